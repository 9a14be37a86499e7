"""How far a forecast can be trusted, in sentences."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bayes_hfgrowth.evaluation.calibration import COMMAND, Calibration
from bayes_hfgrowth.forecast.answers import DAYS_IN_MONTH, percent
from bayes_hfgrowth.posterior.importance import GOOD_K
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.sources.events import BURST_CHILDREN, BURST_SHARE, LINEAGE_SINCE
from bayes_hfgrowth.support.months import as_utc

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


def checks_of_forecast(
    population: PopulationPosterior,
    start: pd.Timestamp,
    horizon: int,
    calibration: Calibration,
) -> tuple[Check, ...]:
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
        found = [Check("good", f"The population's sampler {verdict}.")]
    else:
        problems = "; ".join(verdict.problems)
        found = [Check("bad", f"The population's sampler did not converge: {problems}.")]
    last = as_utc(population.about["panel"]["last_month"])
    behind = (start - last).days / DAYS_IN_MONTH
    text = f"The population was learned from months up to {last:%Y-%m-%d}"
    if behind > OLD:
        found.append(
            Check("mind", f"{text}, {behind:.0f} months before this forecast: what has changed "
                          "all over the Hub since then is not in it.")
        )  # fmt: skip
    else:
        found.append(Check("good", f"{text}."))
    if not calibration.longest:
        found.append(
            Check("bad", "The calibration of this growth model has not been measured in what ships "
                         f"with the package; {COMMAND} measures it.")
        )  # fmt: skip
    elif horizon > calibration.longest:
        found.append(
            Check("mind", f"Calibration has been measured up to {calibration.longest} months "
                          f"ahead; this forecast goes {horizon}. Of what lies beyond, nothing has "
                          "been measured.")
        )  # fmt: skip
    else:
        found.append(Check("good", f"Calibration has been measured up to {calibration.longest} "
                                   "months ahead."))  # fmt: skip
    return tuple(found)


def checks_of_base_model(
    rows: pd.DataFrame,
    pareto_k: float,
    population: PopulationPosterior,
    learned: Collection[str],
) -> tuple[Check, ...]:
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
    found = []
    if organization in population.organizations:
        found.append(Check("good", f"The population knows {organization}."))
    else:
        found.append(
            Check("mind", f"The population does not know {organization}; it is drawn from all "
                          "organizations, so the interval is wider.")
        )  # fmt: skip
    if age == 0:
        found.append(
            Check("mind", "It has no whole month of data: the forecast is that of a new base "
                          f"model of {organization}, whatever this one is.")
        )  # fmt: skip
    elif count == 0:
        found.append(
            Check("mind", f"It has no {counted.one} after {age} month{'s' if age > 1 else ''}; "
                          "most base models like that never get one.")
        )  # fmt: skip
    elif age < YOUNG:
        found.append(
            Check("mind", "It is younger than three whole months: the forecast rests on its "
                          "organization more than on its counts.")
        )  # fmt: skip
    if pareto_k > GOOD_K:
        found.append(
            Check("bad", "It is so unlike the population that the stored draws are too few for "
                         "it; a fit of your own (hfgrowth fit) would be surer.")
        )  # fmt: skip
    else:
        found.append(Check("good", "The stored draws of the population are enough for it."))
    share = float(last.get("largest_author_share", 0.0) or 0.0)
    bursts = counted.metric == "finetunes"  # else a burst by one author counts once
    if bursts and count >= BURST_CHILDREN and share >= BURST_SHARE:
        found.append(
            Check("mind", f"One author made {percent(share)} of its {counted.many}; such bursts "
                          "end and begin unforeseen.")
        )  # fmt: skip
    if last["created_at"] < LINEAGE_SINCE:
        found.append(
            Check("mind", f"It is from before {LINEAGE_SINCE:%Y-%m}, when lineage was hardly "
                          "declared: its early counts are too low.")
        )  # fmt: skip
    if str(last["base_model"]) in learned:
        found.append(
            Check("mind", "It is in the data that the population was learned from, so its months "
                          "until then count twice, a little.")
        )  # fmt: skip
    return tuple(found)
