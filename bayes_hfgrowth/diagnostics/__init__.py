"""Can the fit be trusted, and does the model describe the counts? Checks, in tables and text."""

from bayes_hfgrowth.diagnostics.leave_one_out import LeaveOneOut
from bayes_hfgrowth.diagnostics.period import period_table
from bayes_hfgrowth.diagnostics.predictive import LEVELS, MOST_REPLICATES
from bayes_hfgrowth.diagnostics.prior_posterior import prior_posterior_table
from bayes_hfgrowth.diagnostics.results import Diagnostics, diagnose
from bayes_hfgrowth.diagnostics.verdicts import CHECKS, FAULT, LEVEL, NOTICED, VERDICTS

__all__ = [
    "CHECKS",
    "FAULT",
    "LEVEL",
    "LEVELS",
    "MOST_REPLICATES",
    "NOTICED",
    "VERDICTS",
    "Diagnostics",
    "LeaveOneOut",
    "diagnose",
    "period_table",
    "prior_posterior_table",
]
