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
from bayes_hfgrowth.organizations import OrganizationTable, read_organizations
from bayes_hfgrowth.panel import Panel, read_panel
from bayes_hfgrowth.sources.example import load_example, load_paper_fits
from bayes_hfgrowth.sources.hub import fetch_panel
from bayes_hfgrowth.sources.snapshot import read_snapshot

__all__ = [
    "FitError",
    "ForecastError",
    "HFGrowthError",
    "OrganizationError",
    "OrganizationTable",
    "Panel",
    "PanelError",
    "SourceError",
    "SpecificationError",
    "__version__",
    "fetch_panel",
    "load_example",
    "load_paper_fits",
    "read_organizations",
    "read_panel",
    "read_snapshot",
]

__version__ = "0.1.0"
