"""Organizations against each other, with the uncertainty of every statement."""

from bayes_hfgrowth.comparison.claim import CLAIMED, EarlyPeaks, early_peaks
from bayes_hfgrowth.comparison.quantities import (
    MANY,
    NEW_BASE_MODELS,
    NEW_MONTHS,
    QUANTITIES,
    Quantity,
)
from bayes_hfgrowth.comparison.results import Comparison, compare, largest_base_models

__all__ = [
    "CLAIMED",
    "MANY",
    "NEW_BASE_MODELS",
    "NEW_MONTHS",
    "QUANTITIES",
    "Comparison",
    "EarlyPeaks",
    "Quantity",
    "compare",
    "early_peaks",
    "largest_base_models",
]
