"""Whether forecasts gain by a factor that an organization shares from month to month.

    python -m benchmarks.organization_months --fit-dir fits

takes the fits of ``python -m benchmarks.sums --fit-dir fits``, in which base models
share nothing but the period effect, and looks at what their organizations share beyond it.

The factor of an organization and a calendar month multiplies the means of all its base models by
exp(u). Over the months u is a stationary autoregression with standard deviation s and persistence
a. The fit knows nothing of it, so it is found in what the fit leaves: with Y the new fine-tunes of
an organization in a calendar month, and R those that the fit draws anew given the months before,

    ln(Y + 1/2) - E ln(R + 1/2) = u + noise,    noise of the variance of ln(R + 1/2),

for organizations and months of which at least `LEAST` are expected; s and a are those of the
largest likelihood. Forecasts then go along paths of u given what was seen of it, less half its
variance, so that the factor has the mean it would have without the spread. They are scored as in
`benchmarks.sums`: as they are, with u as found, and with an u that is given.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import multivariate_normal

import bayes_hfgrowth as hfg
from bayes_hfgrowth.evaluation.scores import LEVELS
from bayes_hfgrowth.fit import GrowthFit
from bayes_hfgrowth.forecast.dated_counts import last_date
from bayes_hfgrowth.forecast.paths import assembled
from bayes_hfgrowth.posterior.simulation import (
    Floats,
    SharedDraws,
    base_model_parameters,
    dormancy_shares,
    futures,
    replicates,
)
from bayes_hfgrowth.support.errors import HFGrowthError
from benchmarks.sums import HORIZONS
from benchmarks.sums_measures import Measures, measured
from benchmarks.sums_targets import markdown

LEAST = 5.0
"""Expected new fine-tunes from which on a month of an organization is looked at."""


type Months = npt.NDArray[np.int64]


class Residuals(NamedTuple):
    """What a fit leaves of the months of one organization.

    Parameters
    ----------
    month : ndarray of int, shape (months,)
        Calendar months, counted from January 1970.
    value, noise : ndarray, shape (months,)
        Log ratio of what came to what was expected, and the variance of its noise.
    """

    month: Months
    value: Floats
    noise: Floats


class Drawn(NamedTuple):
    """Some draws of a fit: growth parameters, what is shared, and shares of dormant base models."""

    theta: Floats
    shared: SharedDraws
    dormancy: Floats | None


def thinned(fit: GrowthFit, number: int) -> Drawn:
    """Take draws of a fit at even distances."""
    total = fit.posterior.sizes["draw"]
    posterior = fit.posterior.isel(draw=slice(None, None, max(1, total * 4 // number)))
    return Drawn(
        base_model_parameters(fit.spec, posterior),
        SharedDraws.of(fit.spec, posterior),
        dormancy_shares(fit.spec, posterior),
    )


def residuals(fit: GrowthFit, drawn: Drawn, rng: np.random.Generator) -> list[Residuals]:
    """What the fit leaves, organization by organization."""
    history = fit.history
    again = replicates(fit.spec, history, drawn.theta, drawn.shared, rng, drawn.dormancy)
    # A month of age counts for the calendar month that holds more of its days.
    month = history.calendar + (history.calendar_share < 0.5)
    owner = history.organization_of[history.base_model_of]
    found = []
    for o in range(len(history.organizations)):
        rows = []
        for m in np.unique(month[owner == o]):
            some = np.flatnonzero((owner == o) & (month == m))
            sums = again[:, some].sum(axis=1)
            if sums.mean() >= LEAST:
                logs = np.log(sums + 0.5)
                came = np.log(history.new[some].sum() + 0.5)
                rows.append((m, came - logs.mean(), logs.var()))
        months, values, noise = np.array(rows).reshape(-1, 3).T
        found.append(Residuals(months.astype(np.int64), values, noise))
    return found


def covariance(one: Months, other: Months, s: float, a: float) -> Floats:
    """Of the factor between months."""
    apart = np.abs(one[:, None] - other[None, :]).astype(np.float64)
    return np.asarray(s * s * np.where(apart > 0, a**apart, 1.0))


def best(found: list[Residuals]) -> tuple[float, float, float]:
    """Find s and a of the largest likelihood, and the log of its ratio to that of s = 0."""

    def log_likelihood(s: float, a: float) -> float:
        return sum(
            float(
                multivariate_normal.logpdf(
                    one.value, cov=covariance(one.month, one.month, s, a) + np.diag(one.noise)
                )
            )
            for one in found
            if len(one.month)
        )

    at = minimize(
        lambda x: -log_likelihood(np.exp(x[0]), expit(x[1])), [-1.0, 0.0], method="Nelder-Mead"
    )
    s, a = float(np.exp(at.x[0])), float(expit(at.x[1]))
    return s, a, log_likelihood(s, a) - log_likelihood(0.0, 0.0)


def left_over(names: Sequence[str], found: list[Residuals]) -> str:
    """How much larger squared residuals are than their noise, in all and by organization."""
    rows = [(name, one) for name, one in zip(names, found, strict=True) if len(one.month)]
    squares = {name: one.value**2 / one.noise for name, one in rows}
    every = np.concatenate(list(squares.values()))
    largest = sorted(squares, key=lambda name: -squares[name].mean())[:3]
    after = [np.stack([one.value[:-1], one.value[1:]]) for _, one in rows]
    return (
        f"  mean square over noise {every.mean():.2f} ({len(every)} months; largest "
        + ", ".join(f"{name} {squares[name].mean():.2f}" for name in largest)
        + f"), correlation with the month before {np.corrcoef(*np.hstack(after)).ravel()[1]:.2f}"
    )


def factor_paths(
    one: Residuals, ahead: Months, s: float, a: float, draws: int, rng: np.random.Generator
) -> Floats:
    """Paths of the factor's logarithm over months ahead, given what was seen of it."""
    gain = np.zeros((len(ahead), len(one.month)))
    if len(one.month):
        seen = covariance(one.month, one.month, s, a) + np.diag(one.noise)
        gain = np.linalg.solve(seen, covariance(one.month, ahead, s, a)).T
    mean = gain @ one.value
    spread = covariance(ahead, ahead, s, a) - gain @ covariance(one.month, ahead, s, a)
    paths = rng.multivariate_normal(mean, spread, size=draws, method="eigh")
    return np.asarray(paths - 0.5 * np.diag(spread))


def scored(
    fit: GrowthFit,
    drawn: Drawn,
    left: list[Residuals],
    law: tuple[float, float],
    horizons: tuple[int, ...],
    seed: int,
) -> dict[int, Measures]:
    """Forecast along the factor, and score."""
    history, months, rng = fit.history, max(horizons), np.random.default_rng(seed)
    shared = drawn.shared.ahead_of(history, months, rng)
    assert shared.period is not None
    known = sum(history.calendar_span)
    counts = np.empty((len(drawn.theta), len(history.base_models), months), np.int64)
    for o, one in enumerate(left):
        members = np.flatnonzero(history.organization_of == o)
        period = shared.period.copy()
        at = known - shared.first
        ahead = np.arange(known, shared.first + period.shape[1])
        period[:, at:] += factor_paths(one, ahead, *law, len(period), rng)
        part = history.subset(members)
        counts[:, members] = futures(
            fit.spec, part, np.ascontiguousarray(drawn.theta[:, members]),
            replace(shared, period=period), months, rng, drawn.dormancy,
        )  # fmt: skip
    both = np.stack([counts, counts])[:, None]
    found = assembled(history, both, last_date(history, fit.observed_at))
    some = np.isin(found.draws["horizon"].to_numpy(), horizons)
    return measured(found.draws.isel(horizon=some), hfg.load_example())


def rows_of(title: str, date: str, found: dict[int, Measures]) -> list[list[str]]:
    """Rows of the table."""
    rows = []
    for months, values in found.items():
        inside, fifty = (
            "/".join(f"{values[f'{of}_inside_{level}']:.2f}" for level in LEVELS)
            for of in ("organizations", "fifty")
        )
        rows.append([
            f"{date}, {months}", title, f"{values['organizations_crps']:.3f}", inside,
            f"{values['total_median']:,.0f} [{values['total_lower_95']:,.0f} to "
            f"{values['total_upper_95']:,.0f}], {values['total_actual']:,.0f}",
            f"{values['five_crps']:.3f}", fifty,
        ])  # fmt: skip
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--date", action="append", help="as-of date; the three of the targets")
    parser.add_argument("--fit-dir", type=Path, required=True, help="of benchmarks.sums")
    parser.add_argument("--draws", type=int, default=1000, help="of the fit, that are gone on from")
    parser.add_argument("--scale", type=float, help="s of a third forecast")
    parser.add_argument("--persistence", type=float, default=0.5, help="its a")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    table = [
        ["date, months ahead", "factor", "organizations: CRPS", "inside 50/80/95%",
         "total: median [95%], what came", "base models ≥ 5: CRPS", "≥ 50 inside 50/80/95%"]
    ]  # fmt: skip
    try:
        for date in options.date or list(HORIZONS):
            fit = hfg.load_fit(options.fit_dir / date / "surge" / "fit.nc")
            drawn = thinned(fit, options.draws)
            left = residuals(fit, drawn, np.random.default_rng(options.seed))
            s, a, gain = best(left)
            print(f"{date}: s = {s:.3f}, a = {a:.2f}, {gain:.1f} log units over none")
            print(left_over(fit.history.organizations, left), flush=True)
            horizons = HORIZONS.get(date, (1, 3, 6))
            laws = {"none": (0.0, 0.0), "as found": (s, a)}
            if options.scale is not None:
                laws["as given"] = (options.scale, options.persistence)
            for title, law in laws.items():
                found = scored(fit, drawn, left, law, horizons, options.seed)
                table += rows_of(title, date, found)
            del fit, drawn
    except HFGrowthError as failure:
        parser.exit(2, f"{parser.prog}: {failure}\n")
    print(f"\n{markdown(table)}")


if __name__ == "__main__":
    main()
