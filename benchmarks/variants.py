"""What was tried to forecast better: variants of `surge`, each fitted and scored in seconds.

    python -m benchmarks.variants --out variants.csv

Each variant is fitted by empirical Bayes: the points of a base model are weighted by importance,
and the population is what maximises the posterior given them, round by round. That takes no
part in the package; it serves to tell, before anything is built, whether an idea is worth a
sampler. The population is taken as known, so intervals are a little too narrow, and the scores
a little worse than those of the posterior.

Printed and written for each variant and date: CRPS of ln(1 + new fine-tunes) at the horizon on
base models with at least 5 fine-tunes, the forecast mean of ln(1 + new) against the observed one
by count, the central 50% shares of the randomised PIT by count, and the log evidence.
"""

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayes_hfgrowth as hfg
from bayes_hfgrowth.evaluation.scores import central_share, ensemble_crps
from bayes_hfgrowth.history import History
from bayes_hfgrowth.priors import frozen
from bayes_hfgrowth.simulation import log_likelihood as law_of_the_package
from bayes_hfgrowth.spec import read_spec
from benchmarks.variant_law import Law, log_likelihood, paths

VARIANTS: dict[str, dict[str, float]] = {
    "as shipped": {},
    "m = 1/2": {"m": 0.5},
    "m = 2": {"m": 2.0},
    "m = 5": {"m": 5.0},
    "m = 5, memory 0.4": {"m": 5.0, "memory": 0.4},
    "m = 30": {"m": 30.0},
    "no carry-over": {"strength": 0.0},
    "carry-over 0.3, last month only": {"strength": 0.3, "memory": 0.0},
    "carry-over 0.7, memory 0.5": {"strength": 0.7, "memory": 0.5},
    "months below expectation carry over by half": {"below": 0.5},
    "months below expectation carry over by 1.3 times": {"below": 1.3},
    "single fine-tunes lift less (offset 2)": {"offset": 2.0},
    "surges of small counts shrunk (by 1), strength 0.6": {"shrinkage": 1.0, "strength": 0.6},
    "surges of small counts shrunk (by 3), strength 0.7": {"shrinkage": 3.0, "strength": 0.7},
    "a second, slow memory (0.9)": {"strength": 0.4, "slow_strength": 0.6},
    "each base model its own carry-over (sd 0.2)": {"own_strength": 0.2},
    "exponent of the variance 1.4": {"exponent": 1.4},
    "exponent of the variance 1.6": {"exponent": 1.6},
    "base models retire, 2% a month": {"retire": 0.02},
    "the same, 5% a month": {"retire": 0.05},
    "the same, 5% over 1 + count": {"retire": 0.05, "retire_power": 1.0},
    "the same, 10% over 1 + count": {"retire": 0.10, "retire_power": 1.0},
    "the same, 25% over (1 + count)^1.5": {"retire": 0.25, "retire_power": 1.5},
    "dormant ones get 0.01 a month": {"leak": 0.01},
    "the Hub grows 3% a month, then stands still": {"hub_past": 0.03},
    "the Hub shrinks 2% a month and goes on so": {"hub_past": -0.02, "hub_ahead": -0.02},
    "fitness moves with the date of creation": {"cohort": 1.0},
}
"""Settings of the law; `own_strength` and `cohort` are of the population."""

CLASSES = {"none": (0, 0), "1-4": (1, 4), "5-49": (5, 49), "50+": (50, 10**9)}
POINTS, ROUNDS, DRAWS = 400, 6, 1000
_WIDER, _FREEDOM, _FROM_PRIOR = 1.2, 5, 0.3  # of the proposals


@dataclass(eq=False)
class Population:
    """Means and spreads of the growth parameters; the share of dormant base models."""

    prior: dict[str, np.ndarray]
    typical: np.ndarray  # (parameters,)
    organizations: np.ndarray  # (organizations, parameters)
    between_organizations: np.ndarray
    between_base_models: np.ndarray
    dormancy: np.ndarray  # (organizations,)
    cohort: float = 0.0  # of ln fitness for each month that it was created later


def _population(history: History, own_strength: float, strength: float) -> Population:
    """Where the priors of the shipped specification are centred."""
    prior: dict[str, list[float]] = {name: [] for name in ("mean", "sd", "bo", "bos", "bb", "bbs")}
    for pooling in read_spec("surge").parameters.values():
        location = frozen(pooling.location)
        prior["mean"].append(location.mean())
        prior["sd"].append(location.std())
        for short, spread in (
            ("bo", pooling.between_organizations),
            ("bb", pooling.between_base_models),
        ):
            prior[short].append(spread.parameters["median"])
            prior[f"{short}s"].append(spread.parameters["sigma"])
    if own_strength:
        for name, value in zip(prior, (strength, 0.1, 0.05, 0.5, own_strength, 0.3), strict=True):
            prior[name].append(value)
    arrays = {name: np.array(values) for name, values in prior.items()}
    number = len(history.organizations)
    return Population(
        arrays, arrays["mean"].copy(), np.tile(arrays["mean"], (number, 1)),
        arrays["bo"].copy(), arrays["bb"].copy(), np.full(number, 0.4),
    )  # fmt: skip


def fitted(
    history: History, law: Law, own_strength: float = 0.0, cohort: bool = False, seed: int = 0
) -> tuple[Population, np.ndarray, np.ndarray, float]:
    """Population, points and weights of every base model, and the log evidence."""
    rng = np.random.default_rng(seed)
    population = _population(history, own_strength, law.strength)
    owner, number, size = history.organization_of, len(history.base_models), len(population.typical)
    born = history.created_at
    when = np.asarray((born - born.mean()).days, np.float64) / 30.44
    normal = rng.standard_normal((number, POINTS, size))
    scale = np.sqrt(rng.chisquare(_FREEDOM, (number, POINTS)) / _FREEDOM)[..., None]
    wide = rng.random((number, POINTS)) < _FROM_PRIOR
    centre = population.organizations[owner]
    covariance = np.tile(np.diag(population.between_base_models**2) * 1.5, (number, 1, 1))
    silent = history.finetunes == 0
    for done in range(ROUNDS):
        spread = population.between_base_models
        mean = population.organizations[owner].copy()
        mean[:, 0] += population.cohort * when
        factor = _WIDER * np.linalg.cholesky(covariance + 1e-6 * np.eye(size))
        near = centre[:, None] + np.einsum("npq,nsq->nsp", factor, normal / scale)
        far = mean[:, None] + _WIDER * spread * normal
        theta = np.where(wide[..., None], far, near)
        density = log_likelihood(law, history.start, history.new, theta, population.dormancy[owner])
        prior = _normal(theta, mean, spread)
        student = np.einsum("npq,nsq->nsp", np.linalg.inv(factor), theta - centre[:, None])
        proposal = np.logaddexp(
            math.log(_FROM_PRIOR) + _normal(theta, mean, _WIDER * spread),
            math.log1p(-_FROM_PRIOR)
            - (_FREEDOM + size) / 2 * np.log1p((student**2).sum(-1) / _FREEDOM)
            - np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(-1)[:, None]
            + math.lgamma((_FREEDOM + size) / 2) - math.lgamma(_FREEDOM / 2)
            - size / 2 * math.log(_FREEDOM / 2),
        )  # fmt: skip
        weight = density + prior - proposal
        most = weight.max(axis=1, keepdims=True)
        weight = np.exp(weight - most)
        # The densities of normal and proposal lack the same power of 2π.
        evidence = float((np.log(weight.mean(axis=1)) + most[:, 0]).sum())
        weight /= weight.sum(axis=1, keepdims=True)
        if done == ROUNDS - 1:
            break
        centre = np.einsum("ns,nsp->np", weight, theta)
        apart = theta - centre[:, None]
        covariance = np.einsum("ns,nsp,nsq->npq", weight, apart, apart)
        thin = np.where(1.0 / (weight**2).sum(axis=1) < 30.0, 0.05, 0.002)
        asleep = population.dormancy[owner] / np.exp((weight * density).sum(axis=1))
        asleep = np.where(silent, np.clip(asleep, 0.0, 1.0), 0.0)
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        _maximise(population, owner, centre, variance, 1.0 - asleep, when if cohort else None)
        covariance = covariance + thin[:, None, None] * np.diag(spread**2)
    return population, theta, weight, evidence


def _normal(theta: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    return -0.5 * (((theta - mean[:, None]) / spread) ** 2).sum(-1) - np.log(spread).sum()


def _maximise(
    population: Population, owner: np.ndarray, centre: np.ndarray, variance: np.ndarray,
    awake: np.ndarray, when: np.ndarray | None,
) -> None:  # fmt: skip
    """Move the population to where it is likeliest given the base models' moments."""
    prior, bo, bb = (
        population.prior, population.between_organizations, population.between_base_models
    )  # fmt: skip
    number = len(population.organizations)
    if when is not None:
        apart = centre[:, 0] - population.organizations[owner, 0]
        population.cohort = float(
            (awake * when * apart).sum() / ((awake * when**2).sum() + bb[0] ** 2 / 0.05**2)
        )
        centre = centre.copy()
        centre[:, 0] -= population.cohort * when
    for g in range(number):
        own = owner == g
        population.dormancy[g] = (np.sum(1.0 - awake[own]) + 1.0) / (np.sum(own) + 2.0)
        told = (awake[own, None] * centre[own]).sum(axis=0) / bb**2
        population.organizations[g] = (told + population.typical / bo**2) / (
            awake[own].sum() / bb**2 + 1.0 / bo**2
        )
    population.typical = (
        population.organizations.sum(axis=0) / bo**2 + prior["mean"] / prior["sd"] ** 2
    ) / (number / bo**2 + 1.0 / prior["sd"] ** 2)
    squares = (centre - population.organizations[owner]) ** 2 + variance
    population.between_base_models = _spread(
        (awake[:, None] * squares).sum(axis=0), awake.sum(), prior["bb"], prior["bbs"]
    )
    squares = (population.organizations - population.typical) ** 2 + 0.3 * bo**2
    population.between_organizations = _spread(
        squares.sum(axis=0), number, prior["bo"], prior["bos"]
    )


def _spread(squares: np.ndarray, number: float, median: np.ndarray, sigma: np.ndarray) -> Any:
    """Mode of a spread given a sum of squares, under its log-normal prior."""
    steps = np.linspace(-4.0, 4.0, 401)[:, None] * sigma
    grid = np.log(median) + steps
    density = -number * grid - 0.5 * squares * np.exp(-2.0 * grid) - 0.5 * (steps / sigma) ** 2
    return np.exp(grid[density.argmax(axis=0), np.arange(len(median))])


def scored(
    history: History, later: dict[str, np.ndarray], law: Law, fit: tuple[Any, ...], months: int
) -> dict[str, float]:
    """Forecast, and score what came."""
    population, theta, weight, evidence = fit
    ages = history.months
    came = np.array(
        [
            later[name][age + months] - later[name][age] if age + months < len(later[name]) else -1
            for name, age in zip(history.base_models, ages, strict=True)
        ]
    )
    chosen = np.flatnonzero(came >= 0)
    rng = np.random.default_rng(1)
    levels = (np.arange(DRAWS) + 0.5) / DRAWS
    points = np.empty((len(chosen), DRAWS, theta.shape[2]))
    for row, i in enumerate(chosen):
        at = np.searchsorted(np.cumsum(weight[i]), levels * (1.0 - 1e-9))
        points[row] = theta[i, rng.permutation(np.minimum(at, POINTS - 1))]
    dormancy = population.dormancy[history.organization_of]
    new = paths(law, history.start, history.new, points, dormancy, chosen, months, rng)[..., -1]
    new.sort(axis=1)
    observed, came = history.finetunes[chosen], came[chosen].astype(np.float64)
    logs, log_came = np.log1p(new), np.log1p(came)
    crps = ensemble_crps(log_came, logs)
    low = (new < came[:, None]).sum(axis=1) / (DRAWS + 1)
    high = ((new <= came[:, None]).sum(axis=1) + 1) / (DRAWS + 1)
    row = {"crps": float(crps[observed >= 5].mean())}
    for name, (least, most) in CLASSES.items():
        own = (observed >= least) & (observed <= most)
        row[f"off_{name}"] = float(logs[own].mean() / log_came[own].mean() - 1.0)
        row[f"pit50_{name}"] = float(central_share(low[own], high[own], 50).mean())
    return row | {"log_evidence": evidence}


def check(history: History) -> float:
    """Largest difference of a log likelihood from that of the package, on random points."""
    rng = np.random.default_rng(0)
    few = history.subset(np.arange(0, len(history.base_models), 20))
    theta = np.array([1.2, 2.3, 0.4, 0.7]) + 0.3 * rng.standard_normal((len(few.base_models), 4, 4))
    dormancy = rng.random(len(few.organizations))
    law = Law()
    ours = log_likelihood(law, few.start, few.new, theta, dormancy[few.organization_of])
    theirs = law_of_the_package(
        read_spec("surge"), few, np.ascontiguousarray(theta.swapaxes(0, 1)),
        np.tile([law.strength, law.memory], (4, 1)), np.tile(dormancy, (4, 1)),
    ).astype(np.float64)  # fmt: skip
    totals = np.add.reduceat(theirs, few.start[:-1], axis=1).T
    grown = np.diff(few.start) > 0
    return float(np.abs(ours - totals)[grown].max())


def main() -> None:
    """Fit and score every variant at every date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--variant", action="append", choices=VARIANTS, metavar="NAME")
    parser.add_argument("--as-of", action="append", metavar="DATE")
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("variants.csv"))
    options = parser.parse_args()
    panel = hfg.load_example()
    later = {
        str(name): rows["finetunes"].to_numpy()
        for name, rows in panel.table.groupby("base_model", observed=True)
    }
    dates = options.as_of or ["2024-02-21", "2024-08-21"]
    histories = {date: History.from_panel(panel.as_of(date)) for date in dates}
    apart = check(histories[dates[-1]])
    print(f"largest difference to the log likelihood of the package: {apart:.1e}", flush=True)
    rows: list[dict[str, Any]] = []
    for name in options.variant or VARIANTS:
        begin = time.perf_counter()
        settings = dict(VARIANTS[name])
        own, cohort = settings.pop("own_strength", 0.0), bool(settings.pop("cohort", 0.0))
        law = Law(**settings)
        for date, history in histories.items():
            fit = fitted(history, law, own, cohort)
            row = scored(history, later, law, fit, options.months)
            rows.append({"variant": name, "as_of": date, **row, "cohort": fit[0].cohort})
        last = rows[-len(histories) :]
        told = " ".join(f"{row['crps']:.3f}" for row in last)
        off = " ".join(f"{row['off_1-4']:+.0%}" for row in last)
        seconds = time.perf_counter() - begin
        print(f"{name:52s} {told}   1 to 4: {off}   {seconds:.0f} s", flush=True)
        pd.DataFrame(rows).to_csv(options.out, index=False)


if __name__ == "__main__":
    main()
