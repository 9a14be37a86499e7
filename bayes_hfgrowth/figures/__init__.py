"""Figures: each family a module, each figure a function that returns a matplotlib figure."""

from bayes_hfgrowth.figures.fan import fan_chart
from bayes_hfgrowth.figures.organizations import organization_forest
from bayes_hfgrowth.figures.paper import paper_comparison
from bayes_hfgrowth.figures.predictive import predictive_check, surge_chart
from bayes_hfgrowth.figures.style import save_figure

__all__ = [
    "fan_chart",
    "organization_forest",
    "paper_comparison",
    "predictive_check",
    "save_figure",
    "surge_chart",
]
