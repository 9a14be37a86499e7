"""Every formula of the growth law, once.

The curve and what it implies stand in `curve` and `attention`, the law of a month in `law`, and
what calls it in `adjoint` (gradients), `points` (likelihoods) and `paths` (simulation).
"""

from bayes_hfgrowth.growth.curve import cumulative, growth_reached, ultimate_impact

__all__ = ["cumulative", "growth_reached", "ultimate_impact"]
