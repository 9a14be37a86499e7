"""The law of a month written a second time, in high precision and without any of its shortcuts.

Numbers are those of mpmath with 60 digits, so a central difference of step 1e-15 is exact to far
more digits than a double has. Nothing here is imported from `bayes_hfgrowth.growth` but what the
compiled functions take as input.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
from scipy import stats

from bayes_hfgrowth.growth.law import (
    LIKELIHOODS,
    LawDraws,
    Months,
    Observed,
    Shared,
    month_constants,
)

type Floats = npt.NDArray[np.float64]

STEP = mpmath.mpf("1e-15")
NO_BURSTS = (0.0, 1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Case:
    """Months of one base model, and parameters to take their density at.

    Parameters
    ----------
    law : {"poisson", "birth", "surge"}
    new : sequence of float
        Fine-tunes of each month, from age 1 on.
    theta : sequence of float
        Ln fitness, immediacy, ln longevity, and under ``"surge"`` ln dispersion.
    shared : sequence of float
        Exponent, strength, memory, probability, factor, size.
    period : sequence of float
        Period effects, those that are left out 0; month k begins in calendar month k - 1.
    share : float
        Share of each month of age that lies in its first calendar month.
    m : float
    """

    law: str
    new: Sequence[float]
    theta: Sequence[float]
    shared: Sequence[float] = (1.0, 0.0, 0.0, *NO_BURSTS)
    period: Sequence[float] = ()
    share: float = 1.0
    m: float = 1.0

    @property
    def number(self) -> int:
        """The law's number."""
        return LIKELIHOODS[self.law]

    @property
    def effects(self) -> Floats:
        """Period effects of all calendar months that are touched."""
        effects = np.zeros(len(self.new) + 1)
        known = self.period[: len(effects)]
        effects[: len(known)] = known
        return effects

    @property
    def shared_values(self) -> Shared:
        """What all base models share, as the compiled law takes it."""
        return Shared(np.array(self.shared), self.effects)

    def draws(self, number: int, dormancy: float = 0.0) -> LawDraws:
        """So many draws, all alike."""
        return LawDraws(
            np.tile(self.theta, (number, 1, 1)),
            np.tile(self.shared, (number, 1)),
            np.tile(self.effects, (number, 1)),
            np.zeros(1, dtype=np.int64),
            np.full((number, 1), dormancy),
        )

    def observed(self, copies: int = 1) -> Observed:
        """Law and months as the compiled functions take them."""
        return Observed(self.number, self.m, self.months(copies))

    def months(self, copies: int = 1) -> Months:
        """The months as the compiled law takes them, the base model so many times over."""
        new = np.tile(np.asarray(self.new, dtype=np.float64), copies)
        length = len(self.new)
        single = np.asarray(self.new, dtype=np.float64)
        previous = np.tile(np.cumsum(single) - single, copies)
        return Months(
            np.arange(copies + 1, dtype=np.int64) * length,
            np.tile(np.log(np.arange(1.0, length + 1)), copies),
            previous,
            new,
            month_constants(self.number, previous, new, self.m),
            np.tile(np.arange(length, dtype=np.int64), copies),
            np.full(length * copies, self.share),
        )


@dataclasses.dataclass(frozen=True)
class Month:
    """What the law says of one month: all that it takes to draw it."""

    log_density: Any
    mean: Any
    size: Any
    burst_given: Any


def months_of(case: Case) -> list[Month]:
    """Go through the months, each given those before it."""
    with mpmath.workdps(60):
        return _months(case.law, case.new, case.theta, case.shared, case.effects, case)


def log_density(case: Case) -> float:
    """Log density of all months."""
    with mpmath.workdps(60):
        return float(mpmath.fsum(month.log_density for month in months_of(case)))


def derivatives(case: Case) -> tuple[Floats, Floats, Floats]:
    """Derivatives of the log density by theta, shared and period effects.

    By central differences, one-sided where a parameter is at the end of its range.
    """
    with mpmath.workdps(60):
        parts = [[mpmath.mpf(float(v)) for v in values] for values in _parts(case)]

        def at(part: int, place: int, steps: int) -> Any:
            moved = [list(values) for values in parts]
            moved[part][place] += steps * STEP
            return mpmath.fsum(
                month.log_density for month in _months(case.law, case.new, *moved, case)
            )

        found = []
        for part, values in enumerate(parts):
            column = np.zeros(len(values))
            for place, value in enumerate(values):
                if part == 1 and place > 2 and case.shared[3] == 0.0:
                    continue  # without bursts their parameters say nothing
                if part == 1 and place == 0 and value == 1.0:
                    difference = 3 * at(1, 0, 0) - 4 * at(1, 0, -1) + at(1, 0, -2)
                elif part == 1 and place == 2 and value == 0.0:
                    difference = -3 * at(1, 2, 0) + 4 * at(1, 2, 1) - at(1, 2, 2)
                else:
                    difference = at(part, place, 1) - at(part, place, -1)
                column[place] = float(difference / (2 * STEP))
            found.append(column)
        return found[0], found[1], found[2]


def _parts(case: Case) -> tuple[Sequence[float], Sequence[float], Floats]:
    return case.theta, case.shared, case.effects


def _months(
    law: str,
    new: Sequence[float],
    theta: Sequence[Any],
    shared: Sequence[Any],
    effects: Sequence[Any],
    case: Case,
) -> list[Month]:
    mp = mpmath.mp
    fitness, immediacy, longevity = mp.exp(theta[0]), mp.mpf(theta[1]), mp.exp(theta[2])
    exponent, strength, memory, probability, factor, burst_size = map(mp.mpf, shared)
    m, share, half = mp.mpf(case.m), mp.mpf(case.share), mp.mpf(1) / 2

    def attention(age: int) -> Any:
        # As half an erfc, whose upper tail has all its digits, too.
        z = (mp.log(age) - immediacy) / longevity if age else -mp.inf
        return mp.erfc(-z / mp.sqrt(2)) / 2 if age else mp.mpf(0)

    found, count, effective, s = [], mp.mpf(0), mp.mpf(0), mp.mpf(0)
    for k, x in enumerate(map(mp.mpf, new), start=1):
        h = fitness * (attention(k) - attention(k - 1))
        if law == "poisson":
            f = m * (mp.exp(fitness * attention(k)) - mp.exp(fitness * attention(k - 1)))
            value = x * mp.log(f) - f - mp.loggamma(x + 1)
            found.append(Month(value, f, mp.inf, mp.mpf(0)))
        elif law == "birth":
            f = (count + m) * mp.expm1(h)
            found.append(Month(_negative_binomial(x, f, count + m), f, count + m, mp.mpf(0)))
        else:
            z = share * effects[k - 1] + ((1 - share) * effects[k] if share < 1 else 0)
            a, less = effective + m, 1 - exponent
            grown = a * mp.exp(h) if less == 0 else (a**less + less * h) ** (1 / less)
            f = (grown - a) * mp.exp(z)
            mean = f * mp.exp(strength * s)
            size = mp.sqrt(mean) / mp.exp(theta[3])
            value, p = _negative_binomial(x, mean, size), mp.mpf(0)
            if probability > 0:
                regular = (1 - probability) * mp.exp(value)
                burst = probability * mp.exp(_negative_binomial(x, factor * mean, burst_size))
                value, p = mp.log(regular + burst), burst / (regular + burst)
            r = x - p * max(x - mean, mp.mpf(0))
            effective += r
            s = memory * s + (1 - memory) * mp.log((r + half) / (f + half))
            found.append(Month(value, mean, size, p))
        count += x
    return found


def _negative_binomial(x: Any, mean: Any, size: Any) -> Any:
    mp = mpmath.mp
    return (
        mp.loggamma(x + size)
        - mp.loggamma(size)
        - mp.loggamma(x + 1)
        + size * mp.log(size / (size + mean))
        + x * mp.log(mean / (size + mean))
    )


class Counts:
    """The distribution of a month's count, by SciPy.

    Parameters
    ----------
    case : Case
    month : int
        Counted from 0; that month's own count says nothing.
    """

    def __init__(self, case: Case, month: int = -1) -> None:
        self.case = case
        found = months_of(case)[month]
        self.mean, self.size = float(found.mean), float(found.size)
        self.probability, self.factor, self.burst_size = case.shared[3:]
        if np.isinf(self.size):
            self.regular = stats.poisson(self.mean)
        else:
            self.regular = stats.nbinom(self.size, self.size / (self.size + self.mean))
        bursts = self.factor * self.mean
        self.burst = stats.nbinom(self.burst_size, self.burst_size / (self.burst_size + bursts))

    def cdf(self, x: npt.ArrayLike) -> Floats:
        """Probability of a count up to x."""
        regular, burst = self.regular.cdf(x), self.burst.cdf(x)
        return np.asarray((1.0 - self.probability) * regular + self.probability * burst)

    def moments(self) -> tuple[float, float]:
        """Mean and variance."""
        laws = [(1.0 - self.probability, self.regular), (self.probability, self.burst)]
        mean = sum(share * law.mean() for share, law in laws)
        square = sum(share * (law.var() + law.mean() ** 2) for share, law in laws)
        return float(mean), float(square - mean**2)

    def chance(self, found: npt.NDArray[np.integer]) -> float:
        """Probability of counts at least as unlike the law, by a chi-square test."""
        edges = np.unique(np.concatenate([[-1.0], np.quantile(found, np.linspace(0.05, 0.95, 9))]))
        edges = np.append(np.floor(edges), np.inf)
        edges = np.unique(edges)
        expected = len(found) * np.diff(self.cdf(edges))
        observed = np.histogram(found, bins=np.append(edges[:-1] + 0.5, np.inf))[0]
        kept = expected > 5
        share = observed[kept].sum() / expected[kept].sum()
        return float(stats.chisquare(observed[kept], expected[kept] * share).pvalue)
