"""Hierarchical Bayesian growth model of the fine-tune counts of open-weight base models."""

from bayes_hfgrowth.errors import (
    FitError,
    ForecastError,
    HFGrowthError,
    OrganizationError,
    PanelError,
    SourceError,
    SpecificationError,
)
from bayes_hfgrowth.panel import Panel, read_panel

__all__ = [
    "FitError",
    "ForecastError",
    "HFGrowthError",
    "OrganizationError",
    "Panel",
    "PanelError",
    "SourceError",
    "SpecificationError",
    "__version__",
    "read_panel",
]

__version__ = "0.1.0"
