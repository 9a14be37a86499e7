"""A history as the compiled law reads it."""

from bayes_hfgrowth.growth.law import LIKELIHOODS, Observed
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History

__all__ = ["observed_of"]


def observed_of(spec: GrowthSpec, history: History, first: int | None = None) -> Observed:
    """A history as the compiled law reads it.

    Parameters
    ----------
    spec : GrowthSpec
        Names the law.
    history : History
        The months.
    first : int, optional
        Calendar month of the first period effect, counted from January 1970; by default the
        first one that the history touches.
    """
    law = LIKELIHOODS[spec.likelihood]
    return Observed(law, float(spec.m), history.months_of(law, spec.m, first))
