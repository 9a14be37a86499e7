"""Sums of organizations with base models yet to be released, held against what came.

    python -m benchmarks.births --fit-dir fits --out births.csv

fits a growth model to all base models that the shipped data hold at each as-of date, and the birth
process of organizations to their creation dates; forecasts the sums of organizations with base
models yet to be released and without; and holds both against what came, of all base models that
the shipped data have at the later date, those released meanwhile among them. For each date it
prints, at the first, the middle and the last horizon,

- the share of organizations whose sum came within the central intervals,
- the mean CRPS of ln(1 + fine-tunes since the date), and how far medians are off on that scale,
- base models that were released, and the mean of the draws of their number,

then the same of the sum of all.

    python -m benchmarks.births --births-alone

needs no fit: it forecasts how many base models organizations release, from five dates and with
several half-lives of what a month says of a rate, and holds that against what was released.

With `--fit-dir` fits are kept, and used again by a later run with
the same growth model, data and settings. `--organization` and `--min-finetunes` take part of the
data, to try it out: what is left out of small base models is left out of the births too.
"""

import argparse
import inspect
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_hfgrowth as hfg
from bayes_hfgrowth.evaluation.releases import average_of_releases, score_releases
from bayes_hfgrowth.evaluation.scores import LEVELS, ensemble_crps
from bayes_hfgrowth.forecast.totals import WITH_NEW
from bayes_hfgrowth.posterior.births import HALF_LIFE, Births, monthly_births
from bayes_hfgrowth.support.errors import ForecastError, HFGrowthError
from bayes_hfgrowth.support.files import write_table
from benchmarks.sums import fitted, markdown

BIRTH_DATES = ("2023-08-21", "2023-11-21", "2024-02-21", "2024-05-21", "2024-08-21")
BIRTH_HORIZONS = (3, 6, 12)
HALF_LIVES = (np.inf, 12.0, HALF_LIFE, 6.0)
"""What `births_alone` is run over: as-of dates, months ahead, months."""

DATES = ("2024-02-21", "2024-08-21")
"""As-of dates."""


def rows_of(table: pd.DataFrame) -> list[list[str]]:
    """Make the rows of a table that is printed.

    Parameters
    ----------
    table : pandas.DataFrame
        From `average_of_releases`, or rows of `score_releases`.
    """
    averages = "organizations" in table
    scores = [*(f"inside_{level}" for level in LEVELS), "crps_log"]
    scores += ["bias_log"] if averages else []
    counts = ["organizations"] if averages else ["actual", "median"]
    counts += ["new_base_models", "expected_base_models"]
    head = ["months ahead", "new releases", *scores, *counts]
    return [
        [name.replace("_", " ") for name in head],
        *(
            [
                str(row["horizon"]),
                "with" if row[WITH_NEW] else "without",
                *(f"{row[name]:.3f}" for name in scores),
                *(f"{row[name]:,.0f}" for name in counts),
            ]
            for row in table.sort_values(["horizon", WITH_NEW]).to_dict("records")
        ),
    ]


def births_alone(panel: hfg.Panel, half_life: float, seed: int) -> list[list[str]]:
    """Hold forecasts of the number of base models released against what came; rows of a table.

    Parameters
    ----------
    panel : Panel
        All that is known.
    half_life : float
        Of what a month says of a rate, in months.
    seed : int
        Of the draws.
    """
    models = panel.base_models
    created, names = pd.DatetimeIndex(models["created_at"]), models["organization"].to_numpy()
    end = models["observed_until"].max() + pd.DateOffset(days=1)
    scores = []
    for date in (pd.Timestamp(text, tz="UTC") for text in BIRTH_DATES):
        process = Births(monthly_births(created, names, date), half_life)
        drawn = process.draw(1000, np.random.default_rng(seed))
        numbers = drawn.simulate(max(BIRTH_HORIZONS), np.random.default_rng(seed + 1)).cumsum(
            axis=2
        )
        for months in BIRTH_HORIZONS:
            until = date + pd.DateOffset(months=months)
            if until > end:
                continue
            for o, name in enumerate(process.organizations):
                came = ((created > date) & (created <= until) & (names == name)).sum()
                ordered = np.sort(numbers[:, o, months - 1])
                inside = [
                    np.quantile(ordered, 0.5 - level / 200.0, method="lower")
                    <= came
                    <= np.quantile(ordered, 0.5 + level / 200.0, method="higher")
                    for level in LEVELS
                ]
                crps = ensemble_crps(np.log1p(came), np.log1p(ordered))
                scores.append((months, *inside, float(crps)))
    columns = ["months", *(f"inside {level}" for level in LEVELS), "crps log"]
    table = pd.DataFrame(scores, columns=columns).groupby("months").mean()
    life = "none" if np.isinf(half_life) else f"{half_life:g}"
    return [
        [life, str(months), *(f"{row[name]:.3f}" for name in columns[1:])]
        for months, row in table.iterrows()
    ]


def main() -> None:
    """Run the benchmark."""
    defaults = inspect.signature(hfg.GrowthModel.fit).parameters
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="surge", help="shipped name or specification file")
    parser.add_argument("--date", action="append", help="as-of date; by default the two above")
    parser.add_argument("--draws", type=int, default=defaults["draws"].default)
    parser.add_argument("--tune", type=int, default=defaults["tune"].default)
    parser.add_argument("--target-accept", type=float, default=defaults["target_accept"].default)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--organization", action="append", help="only this one; repeatable")
    parser.add_argument("--min-finetunes", type=int, default=0, help="leave smaller ones out")
    parser.add_argument("--fit-dir", type=Path, help="folder to keep the fits in, and to use")
    parser.add_argument("--out", type=Path, help="all scores, .csv or .parquet")
    parser.add_argument("--births-alone", action="store_true", help="numbers of base models only")
    options = parser.parse_args()
    if options.births_alone:
        head = ["half-life", "months ahead", *(f"inside {level}" for level in LEVELS), "crps log"]
        example = hfg.load_example()
        rows = [births_alone(example, life, options.seed) for life in HALF_LIVES]
        print(markdown([head, *(row for part in rows for row in part)]))
        return
    settings = {name: getattr(options, name) for name in ("draws", "tune", "target_accept", "seed")}
    parts = []
    try:
        model = hfg.GrowthModel(options.model)
        panel = hfg.load_example().select(
            organizations=options.organization, min_finetunes=options.min_finetunes
        )
        for date in options.date or DATES:
            folder = options.fit_dir
            path = None if folder is None else folder / date / model.spec.name / "fit.nc"
            fit = fitted(model, panel.as_of(date), settings, path)
            scores = score_releases(fit, panel, seed=options.seed)
            scores.insert(0, "as_of", date)
            parts.append(scores)
            last = int(scores["horizon"].max())
            chosen = scores[scores["horizon"].isin({1, (last + 1) // 2, last})]
            print(f"\n{model.spec.name}, {date}: organizations\n")
            print(markdown(rows_of(average_of_releases(chosen))))
            print(f"\n{model.spec.name}, {date}: all of them together\n")
            whole = chosen[chosen["organization"] == "all"]
            print(markdown(rows_of(whole)), flush=True)
            if not fit.convergence.converged:
                print(f"\nNot converged: {'; '.join(fit.convergence.problems)}")
        if options.out is not None:
            write_table(pd.concat(parts, ignore_index=True), options.out, ForecastError)
    except HFGrowthError as failure:
        parser.exit(2, f"{parser.prog}: {failure}\n")


if __name__ == "__main__":
    main()
