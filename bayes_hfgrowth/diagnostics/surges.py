"""Months that the growth model did not see coming, judged without their own help.

A month that stands out pulls its base model's curve towards itself and widens its dispersion,
so a posterior that has seen the month finds it less surprising than it was. Here each month is
judged by what its base model would be taken for without it: the posterior of the base model's
parameters given all its other months and the population that the fit found,

    p(θ | other months) ∝ p(θ | population) · Π p(count of month j | months before it, θ),

the product over all months but the one judged and the one after it. The latter goes too where
surges carry over, since what is expected of it hangs on the month judged. Importance sampling
from a mixture of the posterior, widened, and of the population gives these posteriors for all
months of a base model at once; where that runs thin, the proposal is fitted to the target and
drawn anew.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from scipy import special, stats

from bayes_hfgrowth.diagnostics.months import month_laws, upper_tails
from bayes_hfgrowth.draws import FittedDraws
from bayes_hfgrowth.history import History
from bayes_hfgrowth.priors import LOG_SCALE
from bayes_hfgrowth.simulation import (
    Floats,
    base_model_parameters,
    carry_over,
    log_likelihood,
)
from bayes_hfgrowth.spec import GrowthSpec

__all__ = ["Population", "judge_months"]

PROPOSALS = 1500
"""Draws of a base model's parameters that its months are judged by."""

LEAST_ESS = 100.0
"""Effective number of those below which a suspicious month is looked at again."""

_ROUNDS = 4
_SUSPICIOUS = 0.2  # corrected probability below which it is worth to look again
_DEGREES = 5.0  # of freedom of the proposals
_WIDER = 1.5
_NEVER = -1e6  # log density of a month that a draw makes impossible; kept finite


@dataclass(frozen=True, eq=False)
class Population:
    """Draws of the population that base models come from, on the scale that is normal.

    Parameters
    ----------
    means : ndarray, shape (draws, organizations, parameters)
        Organization means.
    spreads : ndarray, shape (draws, parameters)
        Standard deviations of base models within their organization.
    carry : ndarray, shape (draws, 2)
        Strength and memory of the carry-over.
    """

    means: Floats
    spreads: Floats
    carry: Floats

    @classmethod
    def from_posterior(cls, spec: GrowthSpec, posterior: xr.Dataset) -> "Population":
        """Take the population from posterior draws."""
        means, spreads = [], []
        for name in spec.parameters:
            mean = posterior[f"organization_{name}"].transpose("chain", "draw", "organization")
            values = mean.to_numpy().astype(np.float64)
            values = values.reshape(-1, values.shape[-1])
            means.append(np.log(values) if LOG_SCALE[name] else values)
            spread = posterior[f"between_base_models_{name}"].transpose("chain", "draw")
            spreads.append(spread.to_numpy().astype(np.float64).ravel())
        return cls(
            np.stack(means, axis=-1), np.stack(spreads, axis=-1), carry_over(spec, posterior)
        )


def judge_months(fit: FittedDraws, rng: np.random.Generator) -> pd.DataFrame:
    """Judge every month that brought fine-tunes.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    pandas.DataFrame
        One row for each observed month, in the order of ``fit.history``: ``base_model``
        (position), ``month`` (age), ``new`` (fine-tunes in it), ``expected`` (by the law,
        without the month's own help; geometric mean over the draws), ``probability`` of a
        count at least as large (1 for a month without a fine-tune), ``tenfold`` (the same
        for a count ten times as large as expected), ``draws`` (effective number of draws
        behind them).
    """
    posterior = thinned(fit.posterior)
    spec, history = fit.spec, fit.history
    theta = base_model_parameters(spec, posterior)
    population = Population.from_posterior(spec, posterior)
    number = len(history.new)
    columns = {
        "expected": np.full(number, np.nan),
        "probability": np.ones(number),
        "tenfold": np.ones(number),
        "draws": np.full(number, np.nan),
    }
    for i in np.flatnonzero(history.finetunes > 0):
        months = slice(history.start[i], history.start[i + 1])
        judged = _judge(spec, history.subset(np.array([i])), theta[:, i], population, rng)
        for name, values in judged.items():
            columns[name][months] = values
    return pd.DataFrame(
        {
            "base_model": history.base_model_of,
            "month": history.month.astype(np.int64),
            "new": history.new.astype(np.int64),
            **columns,
        }
    )


def thinned(posterior: xr.Dataset, most: int = 1000) -> xr.Dataset:
    """At most so many draws, evenly spaced in each chain."""
    every = max(1, -(-posterior.sizes["chain"] * posterior.sizes["draw"] // most))
    return posterior.isel(draw=slice(None, None, every))


def _judge(
    spec: GrowthSpec,
    history: History,
    theta: Floats,
    population: Population,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Judge all months of the one base model of a history."""
    group = int(history.organization_of[0])
    own = np.cov(theta.T)
    between = np.cov(population.means[:, group].T)
    between = between + np.diag((population.spreads**2).mean(axis=0))
    centres = [theta.mean(axis=0), population.means[:, group].mean(axis=0)]
    target = _Target(spec, history, population, group)
    sample = target.draw(centres, [_WIDER**2 * own, between], rng)
    result = sample.judge(np.arange(len(history.new)))
    months = len(history.new)
    for k in np.flatnonzero(history.new > 0):
        round_ = 0
        best = sample
        while (
            result["draws"][k] < LEAST_ESS
            and 1 - (1 - result["probability"][k]) ** months < _SUSPICIOUS
            and round_ < _ROUNDS
        ):
            centre, covariance = best.moments(k)
            best = target.draw(
                [centre, centres[1]], [_WIDER * (covariance + 0.01 * between), between], rng
            )
            again = best.judge(np.array([k]))
            for name in result:
                result[name][k] = again[name][0]
            round_ += 1
    return result


@dataclass(frozen=True, eq=False)
class _Target:
    spec: GrowthSpec
    history: History
    population: Population
    group: int

    def draw(
        self, centres: list[Floats], covariances: list[Floats], rng: np.random.Generator
    ) -> "_Sample":
        """Draw from a mixture of Student distributions, and weigh the draws."""
        kinds = [
            stats.multivariate_t(centre, covariance, df=_DEGREES, allow_singular=True)
            for centre, covariance in zip(centres, covariances, strict=True)
        ]
        each = PROPOSALS // len(kinds)
        points = np.concatenate([kind.rvs(each, random_state=rng) for kind in kinds])
        proposal = special.logsumexp([kind.logpdf(points) for kind in kinds], axis=0)
        chosen = rng.integers(len(self.population.carry), size=len(points))
        mean = self.population.means[chosen, self.group]
        spread = self.population.spreads[chosen]
        prior = -0.5 * (((points - mean) / spread) ** 2).sum(axis=1) - np.log(spread).sum(axis=1)
        carry = self.population.carry[chosen]
        theta = points[:, None, :]
        with np.errstate(over="ignore"):
            density = log_likelihood(self.spec, self.history, theta, carry).astype(np.float64)
        return _Sample(
            self,
            points,
            carry,
            prior - proposal,
            np.clip(np.nan_to_num(density, nan=_NEVER), _NEVER, None),
        )


@dataclass(frozen=True, eq=False)
class _Sample:
    target: _Target
    points: Floats
    carry: Floats
    base: Floats
    density: Floats

    def weights(self, months: npt.NDArray[np.int64]) -> Floats:
        """Weights of the draws without each of the months; shape (draws, months)."""
        left_out = self.density[:, months].copy()
        if self.target.spec.carry_over is not None:
            after = np.minimum(months + 1, self.density.shape[1] - 1)
            left_out += np.where(months + 1 < self.density.shape[1], self.density[:, after], 0.0)
        log = (self.base + self.density.sum(axis=1))[:, None] - left_out
        return special.softmax(log, axis=0)

    def moments(self, month: int) -> tuple[Floats, Floats]:
        weight = self.weights(np.array([month]))[:, 0]
        centre = weight @ self.points
        apart = self.points - centre
        return centre, (weight[:, None] * apart).T @ apart

    def judge(self, months: npt.NDArray[np.int64]) -> dict[str, Floats]:
        weight = self.weights(months)
        mean, size = month_laws(
            self.target.spec, self.target.history, self.points[:, None, :], self.carry
        )
        mean, size = mean[:, months], size[:, months]
        new = self.target.history.new[months]
        expected = np.exp((weight * np.log(np.maximum(mean, 1e-300))).sum(axis=0))
        return {
            "expected": expected,
            "probability": np.minimum((weight * upper_tails(new, mean, size)).sum(axis=0), 1.0),
            "tenfold": np.minimum(
                (weight * upper_tails(np.ceil(10.0 * expected), mean, size)).sum(axis=0), 1.0
            ),
            "draws": 1.0 / (weight**2).sum(axis=0),
        }
