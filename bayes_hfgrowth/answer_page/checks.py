"""How far a forecast can be trusted, in sentences."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pandas as pd

from bayes_hfgrowth.evaluation.calibration import COMMAND, Calibration
from bayes_hfgrowth.forecast.answers import DAYS_IN_MONTH, percent
from bayes_hfgrowth.posterior.convergence import MAX_R_HAT
from bayes_hfgrowth.posterior.importance import GOOD_K
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.sources.events import BURST_CHILDREN, BURST_SHARE, LINEAGE_SINCE
from bayes_hfgrowth.support.months import as_utc
from bayes_hfgrowth.support.names import numbered

__all__ = ["Check", "checks_of_base_model", "checks_of_forecast"]

YOUNG = 3
"""Whole months below which a base model's own counts say little."""

OLD = 6.0
"""Months since the population's last one from which on it is called old."""


@dataclass(frozen=True)
class Check:
    """One thing that speaks for a forecast, or against it.

    Parameters
    ----------
    verdict : {"good", "mind", "bad"}
        Whether it speaks for it, is to be minded, or speaks against it.
    text : str
        What it is.
    """

    verdict: Literal["good", "mind", "bad"]
    text: str


_good, _mind, _bad = (partial(Check, verdict) for verdict in ("good", "mind", "bad"))


def checks_of_forecast(
    population: PopulationPosterior, start: pd.Timestamp, horizon: int, calibration: Calibration
) -> Iterator[Check]:
    """Say what concerns all base models of a page.

    Parameters
    ----------
    population : PopulationPosterior
        What is forecast from.
    start : pandas.Timestamp
        Date that the forecast is from, UTC.
    horizon : int
        Months ahead.
    calibration : Calibration
        What was measured of the growth model.
    """
    verdict = population.convergence
    if verdict.converged:
        yield _good(f"The population's sampler {verdict}.")
    else:
        problems = "; ".join(verdict.problems)
        yield _bad(f"The population's sampler did not converge: {problems}.")
    last = as_utc(population.about["panel"]["last_month"])
    behind = (start - last).days / DAYS_IN_MONTH
    text = f"The population was learned from months up to {last:%Y-%m-%d}"
    if behind > OLD:
        yield _mind(
            f"{text}, {behind:.0f} months before this forecast: what has changed "
            "all over the Hub since then is not in it."
        )
    else:
        yield _good(f"{text}.")
    measured = f"Calibration has been measured up to {calibration.longest} months ahead"
    if not calibration.longest:
        yield _bad(
            "The calibration of this growth model has not been measured in what ships "
            f"with the package; {COMMAND} measures it."
        )
    elif horizon > calibration.longest:
        yield _mind(
            f"{measured}; this forecast goes {horizon}. Of what lies beyond, nothing has "
            "been measured."
        )
    else:
        yield _good(f"{measured}.")
    if calibration.r_hat >= MAX_R_HAT:
        yield _mind(
            "The fits behind the measured calibration had not fully converged: their "
            f"largest R-hat was {calibration.r_hat:.3f}, where {MAX_R_HAT} is asked for."
        )


def checks_of_base_model(
    rows: pd.DataFrame, pareto_k: float, population: PopulationPosterior, learned: Collection[str]
) -> Iterator[Check]:
    """Say what concerns one base model.

    Parameters
    ----------
    rows : pandas.DataFrame
        Its rows of the panel.
    pareto_k : float
        Of its importance weights.
    population : PopulationPosterior
        What is forecast from.
    learned : collection of str
        Base models that the population was learned from, as far as that is known.
    """
    last = rows.iloc[-1]
    counted = population.counted
    age, count = int(last["month"]), int(last[counted.metric])
    organization = str(last["organization"])
    if organization in population.organizations:
        yield _good(f"The population knows {organization}.")
    else:
        yield _mind(
            f"The population does not know {organization}; it is drawn from all "
            "organizations, so the interval is wider."
        )
    if age == 0:
        yield _mind(
            "It has no whole month of data: the forecast is that of a new base "
            f"model of {organization}, whatever this one is."
        )
    elif count == 0:
        yield _mind(
            f"It has no {counted.one} after {numbered(age, 'month')}; "
            "most base models like that never get one."
        )
    elif age < YOUNG:
        yield _mind(
            "It is younger than three whole months: the forecast rests on its "
            "organization more than on its counts."
        )
    if pareto_k > GOOD_K:
        yield _bad(
            "It is so unlike the population that the stored draws are too few for "
            "it; a fit of your own (hfgrowth fit) would be surer."
        )
    else:
        yield _good("The stored draws of the population are enough for it.")
    share = float(last.get("largest_author_share", 0.0) or 0.0)
    bursts = counted.metric == "finetunes"  # else a burst by one author counts once
    if bursts and count >= BURST_CHILDREN and share >= BURST_SHARE:
        yield _mind(
            f"One author made {percent(share)} of its {counted.many}; such bursts "
            "end and begin unforeseen."
        )
    if last["created_at"] < LINEAGE_SINCE:
        yield _mind(
            f"It is from before {LINEAGE_SINCE:%Y-%m}, when lineage was hardly "
            "declared: its early counts are too low."
        )
    if str(last["base_model"]) in learned:
        yield _mind(
            "It is in the data that the population was learned from, so its months "
            "until then count twice, a little."
        )
