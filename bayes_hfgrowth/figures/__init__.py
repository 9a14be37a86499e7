"""Figures: each family a module, each figure a function that returns a matplotlib figure."""

from bayes_hfgrowth.figures.concentration import concentration, download_concentration
from bayes_hfgrowth.figures.fan import fan_chart
from bayes_hfgrowth.figures.growth_by_age import growth_by_age, observed_months
from bayes_hfgrowth.figures.milestones import organization_milestones
from bayes_hfgrowth.figures.organization_draws import organization_ranks, organization_ridges
from bayes_hfgrowth.figures.organizations import organization_forest
from bayes_hfgrowth.figures.paper import paper_comparison
from bayes_hfgrowth.figures.parameters import collapse, parameter_pairs
from bayes_hfgrowth.figures.period import attention_chart, period_effect
from bayes_hfgrowth.figures.portfolios import organization_portfolios
from bayes_hfgrowth.figures.predictive import predictive_check, surge_chart
from bayes_hfgrowth.figures.priors import prior_posterior
from bayes_hfgrowth.figures.style import save_figure

__all__ = [
    "attention_chart",
    "collapse",
    "concentration",
    "download_concentration",
    "fan_chart",
    "growth_by_age",
    "observed_months",
    "organization_forest",
    "organization_milestones",
    "organization_portfolios",
    "organization_ranks",
    "organization_ridges",
    "paper_comparison",
    "parameter_pairs",
    "period_effect",
    "predictive_check",
    "prior_posterior",
    "save_figure",
    "surge_chart",
]
