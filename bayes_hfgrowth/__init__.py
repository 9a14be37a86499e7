"""Hierarchical Bayesian growth model of the fine-tune counts of open-weight base models."""

import importlib
from typing import TYPE_CHECKING, Any

from bayes_hfgrowth.support.errors import (
    ClusterError,
    ComparisonError,
    FitError,
    ForecastError,
    HFGrowthError,
    OrganizationError,
    PanelError,
    SourceError,
    SpecificationError,
)

if TYPE_CHECKING:
    from bayes_hfgrowth.answer_page import page
    from bayes_hfgrowth.comparison import Comparison
    from bayes_hfgrowth.diagnostics import Diagnostics
    from bayes_hfgrowth.evaluation.backtest import Backtest, backtest
    from bayes_hfgrowth.fit import GrowthFit, GrowthModel, load_fit
    from bayes_hfgrowth.forecast.panel_file import forecast_file
    from bayes_hfgrowth.forecast.paths import Forecast, forecast_new
    from bayes_hfgrowth.model.specification import GrowthSpec, available_models, read_spec
    from bayes_hfgrowth.panel.counted import Counted
    from bayes_hfgrowth.panel.organizations import OrganizationTable, read_organizations
    from bayes_hfgrowth.panel.relations import RelationPanels, read_relations
    from bayes_hfgrowth.panel.table import Panel, read_panel
    from bayes_hfgrowth.posterior.convergence import Convergence
    from bayes_hfgrowth.posterior.population import PopulationPosterior, load_population
    from bayes_hfgrowth.sources.example import load_example, load_paper_fits
    from bayes_hfgrowth.sources.hub import fetch_panel, fetch_relations
    from bayes_hfgrowth.sources.snapshot import read_snapshot

__all__ = [
    "Backtest",
    "ClusterError",
    "Comparison",
    "ComparisonError",
    "Convergence",
    "Counted",
    "Diagnostics",
    "FitError",
    "Forecast",
    "ForecastError",
    "GrowthFit",
    "GrowthModel",
    "GrowthSpec",
    "HFGrowthError",
    "OrganizationError",
    "OrganizationTable",
    "Panel",
    "PanelError",
    "PopulationPosterior",
    "RelationPanels",
    "SourceError",
    "SpecificationError",
    "__version__",
    "available_models",
    "backtest",
    "fetch_panel",
    "fetch_relations",
    "forecast_file",
    "forecast_new",
    "load_example",
    "load_fit",
    "load_paper_fits",
    "load_population",
    "page",
    "read_organizations",
    "read_panel",
    "read_relations",
    "read_snapshot",
    "read_spec",
]

__version__ = "0.1.0"

# PyMC takes seconds to import, so each name is loaded when it is first asked for; the commands
# that need no sampler stay quick.
_HOME = {
    "Backtest": "evaluation.backtest",
    "Comparison": "comparison",
    "Convergence": "posterior.convergence",
    "Counted": "panel.counted",
    "Diagnostics": "diagnostics",
    "Forecast": "forecast.paths",
    "GrowthFit": "fit",
    "GrowthModel": "fit",
    "GrowthSpec": "model.specification",
    "OrganizationTable": "panel.organizations",
    "Panel": "panel.table",
    "PopulationPosterior": "posterior.population",
    "RelationPanels": "panel.relations",
    "available_models": "model.specification",
    "backtest": "evaluation.backtest",
    "fetch_panel": "sources.hub",
    "fetch_relations": "sources.hub",
    "forecast_file": "forecast.panel_file",
    "forecast_new": "forecast.paths",
    "load_example": "sources.example",
    "load_fit": "fit",
    "load_paper_fits": "sources.example",
    "load_population": "posterior.population",
    "page": "answer_page",
    "read_organizations": "panel.organizations",
    "read_panel": "panel.table",
    "read_relations": "panel.relations",
    "read_snapshot": "sources.snapshot",
    "read_spec": "model.specification",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
