"""Every formula of the growth law, once.

The curve and what it implies stand in `curve` and `attention`, the law of a month in `law`, and
what calls it in `adjoint` (gradients), `points` (likelihoods) and `paths` (simulation).
"""

from bayes_hfgrowth.growth.curve import cumulative, ultimate_impact

__all__ = ["cumulative", "ultimate_impact"]
