"""Sums of forecasts against what came: the whole Hub, organizations, and base models beside them.

    python -m benchmarks.sums --fit-dir fits --out sums.csv

fits a growth model to all base models that the shipped data hold at each as-of date, without a
bound on their fine-tunes, forecasts them, and adds up draws: the same draw of all base models
together, so that a sum carries what base models share. What came is the count so many months of
age later minus the count at the date, of the base models whose month the shipped data hold. The
targets are on base models that were at least a month old at the date, as the figures that they are
held against. For each date and horizon it prints

- the grand total: what came, median and intervals, mean of the draws over their median, and the
  same with the base models younger than a month, which have no data of their own;
- the total of each organization: what came, median and intervals;
- organizations: mean CRPS of ln(1 + new fine-tunes), and how many lie inside the plain central
  intervals of the draws (not the randomised PIT: totals are large);
- base models with at least 5 fine-tunes at the date: mean CRPS of ln(1 + new fine-tunes); with at
  least 50: central shares of the randomised PIT, as in a backtest;
- base models with 1 to 4: their sum against what came, by the mean of the draws, by the median,
  and as a backtest has it, the mean forecast of ln(1 + new fine-tunes) over the observed one;

each with its target and whether it is met, then how the fits converged, and all targets in one
table. With `--fit-dir` fits are kept, and used again by a later run with the same growth model,
data and settings: remove the folder when the package has changed. Dates other than the three of
the targets are forecast 1, 3, 6 and 12 months ahead, as far as the data reach.
"""

import argparse
import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_hfgrowth as hfg
from bayes_hfgrowth.fit import GrowthFit
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import FitError, ForecastError, HFGrowthError
from bayes_hfgrowth.support.files import write_table
from bayes_hfgrowth.support.months import as_utc
from benchmarks.sums_measures import Measures, Place, measured
from benchmarks.sums_targets import (
    bounds,
    count,
    is_met,
    markdown,
    organization_table,
    place_table,
    target_table,
    yes_no,
)

HORIZONS: Mapping[str, tuple[int, ...]] = {
    "2024-02-21": (6, 12),
    "2024-08-21": (1, 6),
    "2024-11-21": (1, 3),
}
"""Months ahead from each date of the targets."""

OTHER_HORIZONS = (1, 3, 6, 12)
"""Months ahead from any other date."""


def long_table(found: Mapping[Place, Measures]) -> pd.DataFrame:
    """Put all measures into one table: ``as_of``, ``horizon``, ``measure``, ``value``, ...

    Then ``lower`` and ``upper``, the bounds of the target (infinite or missing where there is
    none), and ``met``.
    """
    rows = []
    for place, values in found.items():
        for name, value in values.items():
            lower, upper = bounds(place, name) or (math.nan, math.nan)
            met = yes_no(is_met(place, name, value))
            rows.append((*place, name, value, lower, upper, met))
    columns = ["as_of", "horizon", "measure", "value", "lower", "upper", "met"]
    return pd.DataFrame(rows, columns=columns)


def fitted(
    model: hfg.GrowthModel, panel: Panel, settings: Mapping[str, float], path: Path | None
) -> GrowthFit:
    """Fit a growth model, or read the fit when one of the same data and settings is there.

    Parameters
    ----------
    model : GrowthModel
        What to fit.
    panel : Panel
        What was known at the date.
    settings : mapping
        ``draws``, ``tune``, ``target_accept``, ``seed``.
    path : Path or None
        Where the fit is kept, if anywhere.

    Raises
    ------
    FitError
        When the fit cannot be made, read or written.
    """
    if path is not None and path.exists():
        kept = hfg.load_fit(path)
        about = kept.about
        if (
            about["specification"] == json.loads(model.spec.to_json())
            and about["panel"]["digest"] == panel.digest
            and settings.items() <= about["sampler"].items()
        ):
            return kept
    fit = model.fit(panel, **settings)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise FitError(f"{path.parent} cannot be made: {failure.strerror}") from failure
        fit.save(path)
    return fit


def fit_row(date: str, fit: GrowthFit) -> list[str]:
    """Make the row of a fit in the table on convergence."""
    verdict = fit.convergence
    return [
        date,
        count(len(fit.base_models)),
        yes_no(verdict.converged),
        f"{verdict.r_hat:.3f} ({verdict.r_hat_name})",
        f"{verdict.ess_bulk:.0f} ({verdict.ess_bulk_name})",
        f"{verdict.ess_tail:.0f} ({verdict.ess_tail_name})",
        f"{verdict.base_model_ess:.0f}",
        str(verdict.divergences),
        f"{sum(fit.about['seconds'].values()):.0f}",
    ]


def horizons_of(date: str, panel: Panel) -> tuple[int, ...]:
    """Months ahead to be scored from a date, as far as the panel reaches.

    Raises
    ------
    ForecastError
        When it does not reach a month beyond the date.
    """
    start = as_utc(date, "as-of date")
    # Base models end their months at different days, the last of them up to a day before this.
    end = panel.base_models["observed_until"].max() + pd.DateOffset(days=1)
    wanted = HORIZONS.get(date, OTHER_HORIZONS)
    found = tuple(h for h in wanted if start + pd.DateOffset(months=h) <= end)
    if not found:
        raise ForecastError(
            f"the shipped data end on {end:%Y-%m-%d}, not a month after {date}; "
            "give an earlier date"
        )
    return found


def main() -> None:
    """Run the benchmark."""
    defaults = inspect.signature(hfg.GrowthModel.fit).parameters
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="surge", help="shipped name or specification file")
    parser.add_argument("--date", action="append", help="as-of date; the three of the targets")
    parser.add_argument("--draws", type=int, default=defaults["draws"].default)
    parser.add_argument("--tune", type=int, default=defaults["tune"].default)
    parser.add_argument("--target-accept", type=float, default=defaults["target_accept"].default)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fit-dir", type=Path, help="folder to keep the fits in, and to use")
    parser.add_argument("--out", type=Path, help="all measures, .csv or .parquet")
    options = parser.parse_args()
    settings = {name: getattr(options, name) for name in ("draws", "tune", "target_accept", "seed")}
    found: dict[Place, Measures] = {}
    fits = [
        ["as of", "base models", "converged", "R-hat", "bulk ESS", "tail ESS",
         "ESS of base models", "divergences", "seconds"]
    ]  # fmt: skip
    try:
        model, panel = hfg.GrowthModel(options.model), hfg.load_example()
        given = options.date or list(HORIZONS)
        dates = sorted({f"{as_utc(date, 'as-of date'):%Y-%m-%d}" for date in given})
        horizons = {date: horizons_of(date, panel) for date in dates}
        for date in dates:
            folder = options.fit_dir
            path = None if folder is None else folder / date / model.spec.name / "fit.nc"
            fit = fitted(model, panel.as_of(date), settings, path)
            draws = fit.forecast(months=max(horizons[date])).draws
            fits.append(fit_row(date, fit))
            some = np.isin(draws["horizon"].to_numpy(), horizons[date])
            for months, values in measured(draws.isel(horizon=some), panel).items():
                found[date, months] = values
                print(f"\n{model.spec.name}, {date}, {months} months ahead\n")
                print(markdown(place_table((date, months), values)))
                print(f"\n{markdown(organization_table(values))}", flush=True)
            del fit, draws  # before the next date asks for as much
        about = f"{options.draws} draws and {options.tune} of warm-up a chain"
        print(f"\nFits ({about}, target acceptance {options.target_accept})\n")
        print(markdown(fits))
        print(f"\nTargets, {model.spec.name}, seed {options.seed}\n")
        print(markdown(target_table(found)))
        if options.out is not None:
            write_table(long_table(found), options.out, ForecastError)
    except HFGrowthError as failure:
        parser.exit(2, f"{parser.prog}: {failure}\n")


if __name__ == "__main__":
    main()
