"""Months that the growth model did not see coming, judged without their own help.

A month that stands out pulls its base model's curve towards itself and widens its dispersion,
so a posterior that has seen the month finds it less surprising than it was. Here each month is
judged by what its base model would be taken for without it: the posterior of the base model's
parameters given some other months and the population that the fit found,

    p(θ | those months) ∝ p(θ | population) · Π p(count of month j | months before it, θ).

Which months those are, is chosen in two ways. First all but the month judged and, where surges
carry over, the one after it, whose expectation hangs on it. A burst of several months hides
behind itself that way, so a suspicious month is judged by the earlier months alone, too. The
harmonic mean of the two probabilities counts (Wilson 2019, PNAS 116): twice the smaller where
only one look finds the month, since there were two chances to, and no more than that.

The probability is that of a regular month: a growth model that knows bursts takes account of them
in all other months, but a burst is exactly what a verdict should find.

The posteriors come from the fit's own draws, by Pareto-smoothed importance weights; where these
run thin, from Student distributions fitted to the target round by round. The population stays
that of the fit: one base model moves it little.
"""

from collections.abc import Callable
from dataclasses import dataclass

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from bayes_hfgrowth.diagnostics.months import month_laws, upper_tails
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.importance import GOOD_K, Population, Student, smoothed_weights
from bayes_hfgrowth.posterior.simulation import (
    Floats,
    SharedDraws,
    base_model_parameters,
    log_likelihood,
)
from bayes_hfgrowth.support.progress import Progress

__all__ = ["DRAWS", "judge_months"]

DRAWS = 1000
"""Most draws of the posterior that months are judged by, and of each proposal beyond it."""

_SUSPICIOUS = 0.1  # probability by the other months below which a month is looked at again
_ROUNDS = 5
_LEAST_DRAWS = 50.0  # effective number that is enough
_TEMPERED_DRAWS = 50.0  # effective number that the moments of a proposal should rest on
_WIDER = 1.4
_LEAST = 1e-300  # of a probability that is divided by
_NEVER = -1e6  # log density of a month that a draw makes impossible; kept finite


def judge_months(
    fit: FittedDraws, rng: np.random.Generator, progress: Progress | None = None
) -> pd.DataFrame:
    """Judge every month of the base models that have fine-tunes.

    Returns
    -------
    pandas.DataFrame
        One row for each observed month, in the order of ``fit.history``: ``base_model``
        (position), ``month`` (age), ``new`` (fine-tunes in it), ``expected`` (by the law,
        without the month's own help; geometric mean over the draws), ``probability`` of a
        count at least as large (1 for a month without a fine-tune), ``tenfold`` (the same
        for a count ten times as large as expected), ``pareto_k`` of the importance weights
        and ``draws``, the effective number of draws behind the numbers. Base models without
        any fine-tune have probabilities of 1 and nothing else.
    """
    every = max(1, -(-fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] // DRAWS))
    posterior = fit.posterior.isel(draw=slice(None, None, every))
    spec, history = fit.spec, fit.history
    theta = base_model_parameters(spec, posterior)
    population = Population.from_posterior(spec, posterior)
    columns = {name: np.full(len(history.new), np.nan) for name in _JUDGED}
    columns["probability"][:] = columns["tenfold"][:] = 1.0
    growing = np.flatnonzero(history.finetunes > 0)

    def judged(i: int, own: np.random.Generator) -> dict[str, Floats]:
        """Judge one base model, with randomness of its own: threads end in any order."""
        return _Judge(spec, history.subset(np.array([i])), theta[:, i], population, own).months()

    # Nearly all of it is compiled code, which leaves the interpreter to other threads.
    threads = joblib.Parallel(-1, prefer="threads", return_as="generator")
    results = threads(map(joblib.delayed(judged), growing, rng.spawn(len(growing))))
    with (progress or Progress(False)).stage("judge base models", len(growing)) as advance:
        for done, (i, result) in enumerate(zip(growing, results, strict=True), start=1):
            for name, values in result.items():
                columns[name][history.start[i] : history.start[i + 1]] = values
            advance(done, "")
    return pd.DataFrame(
        {
            "base_model": history.base_model_of,
            "month": history.month.astype(np.int64),
            "new": history.new.astype(np.int64),
            **columns,
        }
    )


_JUDGED = ("expected", "probability", "tenfold", "pareto_k", "draws")


@dataclass(frozen=True, eq=False)
class _Sample:
    """Draws of a base model's parameters.

    `base` is the logarithm of population prior over proposal; for the posterior's own draws
    minus the log likelihood, so that ``base + density.sum(axis=1)`` always leads to the
    posterior given all months. `mean` and `size` are those of `month_laws`.
    """

    points: Floats
    shared: SharedDraws
    base: Floats
    density: Floats
    mean: Floats
    size: Floats


type _LogWeights = Callable[[_Sample, npt.NDArray[np.int64]], Floats]


class _Judge:
    """Judges the months of the one base model of a history."""

    def __init__(
        self,
        spec: GrowthSpec,
        history: History,
        theta: Floats,
        population: Population,
        rng: np.random.Generator,
    ) -> None:
        self.spec, self.history, self.population, self.rng = spec, history, population, rng
        self.group = int(history.organization_of[0])
        between = np.cov(population.means[:, self.group].T)
        self.between = between + np.diag((population.scales**2).mean(axis=0))
        density = self.density(theta, population.shared)
        self.posterior = self.sample(theta, population.shared, -density.sum(axis=1), density)

    def sample(self, points: Floats, shared: SharedDraws, base: Floats, density: Floats) -> _Sample:
        """Draws with what the law says of each month under them."""
        laws = month_laws(self.spec, self.history, points[:, None, :], shared)
        return _Sample(points, shared, base, density, *laws)

    def density(self, points: Floats, shared: SharedDraws) -> Floats:
        """Log density of each month under each draw.

        Only base models with fine-tunes are judged, and these are no structural zeros.
        """
        no_dormancy = np.zeros((len(points), len(self.history.organizations)))
        with np.errstate(over="ignore"):
            given = (self.spec, self.history, points[:, None, :], shared, no_dormancy)
            values = log_likelihood(*given).astype(np.float64)
        return np.maximum(np.nan_to_num(values, nan=_NEVER, posinf=_NEVER), _NEVER)

    def months(self) -> dict[str, Floats]:
        """Judge all months."""
        months = np.arange(len(self.history.new))
        result = self.judged(self.posterior, months, self.others)
        for k in np.flatnonzero(self.history.new > 0).tolist():
            if self.history.new[k] > result["expected"][k] and not _reliable(result, k):
                again = self.improved(k, self.others)
                for name in _JUDGED:
                    result[name][k] = again[name][0]
            if result["probability"][k] < _SUSPICIOUS and k < months[-1]:
                early = self.improved(k, self.earlier)
                if not _reliable(early, 0):
                    continue
                looks = np.array([result["probability"][k], early["probability"][0]])
                if looks[1] < looks[0]:
                    for name in _JUDGED:
                        result[name][k] = early[name][0]
                result["probability"][k] = 1.0 / np.mean(1.0 / np.maximum(looks, _LEAST))
        result["tenfold"] = np.minimum(2.0 * result["tenfold"], 1.0)  # at worst, see above
        return result

    def others(self, sample: _Sample, months: npt.NDArray[np.int64]) -> Floats:
        """Log weights given all months but the ones judged; shape (draws, months)."""
        left_out = sample.density[:, months].copy()
        if self.spec.carry_over is not None:
            last = sample.density.shape[1] - 1
            after = sample.density[:, np.minimum(months + 1, last)]
            left_out += np.where(months < last, after, 0.0)
        return (sample.base + sample.density.sum(axis=1))[:, None] - left_out

    def earlier(self, sample: _Sample, months: npt.NDArray[np.int64]) -> Floats:
        """Log weights given the months before the ones judged; shape (draws, months)."""
        density = np.cumsum(sample.density, axis=1)
        before = np.where(months > 0, density[:, months - 1], 0.0)
        return sample.base[:, None] + before

    def improved(self, month: int, log_weights: _LogWeights) -> dict[str, Floats]:
        """Judge one month, with new draws until they suffice."""
        sample, at = self.posterior, np.array([month])
        result = self.judged(sample, at, log_weights)
        for _ in range(_ROUNDS):
            if _reliable(result, 0):
                break
            sample = self.drawn(*_moments(sample.points, log_weights(sample, at)[:, 0]))
            result = self.judged(sample, at, log_weights)
        return result

    def judged(
        self, sample: _Sample, months: npt.NDArray[np.int64], log_weights: _LogWeights
    ) -> dict[str, Floats]:
        """Judge some months by weighted draws."""
        weight, k = smoothed_weights(log_weights(sample, months))
        mean, size = sample.mean[:, months], sample.size[:, months]
        expected = np.exp((weight * np.log(mean)).sum(axis=0))
        tails = [
            np.minimum((weight * upper_tails(count, mean, size)).sum(axis=0), 1.0)
            for count in (self.history.new[months], np.ceil(10.0 * expected))
        ]
        return {
            "expected": expected,
            "probability": tails[0],
            "tenfold": tails[1],
            "pareto_k": k,
            "draws": 1.0 / (weight**2).sum(axis=0),
        }

    def drawn(self, centre: Floats, covariance: Floats) -> _Sample:
        """Draw from a Student distribution there, mixed with one around the population."""
        few, around = DRAWS // 5, self.population.means[:, self.group].mean(axis=0)
        parts = (
            (DRAWS - few, Student(centre, _WIDER**2 * covariance + 0.02 * self.between)),
            (few, Student(around, self.between)),
        )
        points = np.concatenate([student.draw(number, self.rng) for number, student in parts])
        proposal = np.logaddexp(
            *(student.log_density(points) + np.log(number) for number, student in parts)
        )
        chosen = self.rng.integers(len(self.population.shared), size=len(points))
        mean = self.population.means[chosen, self.group]
        scale = self.population.scales[chosen]
        prior = -0.5 * (((points - mean) / scale) ** 2).sum(axis=1) - np.log(scale).sum(axis=1)
        shared = self.population.shared.take(chosen)
        return self.sample(points, shared, prior - proposal, self.density(points, shared))


def _moments(points: Floats, log_weights: Floats) -> tuple[Floats, Floats]:
    """Centre and covariance of weighted draws; where few carry all, the weights are tempered."""
    power, weight = 1.0, special.softmax(log_weights)
    while 1.0 / (weight**2).sum() < _TEMPERED_DRAWS and power > 1e-3:
        power *= 0.7
        weight = special.softmax(power * log_weights)
    centre = weight @ points
    apart = points - centre
    return centre, (weight[:, None] * apart).T @ apart


def _reliable(result: dict[str, Floats], month: int) -> bool:
    return bool(result["pareto_k"][month] <= GOOD_K and result["draws"][month] >= _LEAST_DRAWS)
