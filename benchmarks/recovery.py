"""Are known parameters recovered? Simulated panels, fitted; kept intervals counted, ranks drawn.

For each growth model, parameters are drawn from its priors, a panel is simulated from them, and
the panel is fitted. Over many panels a central 90% interval must hold the truth 90% of the
time, and the rank of the truth among the draws must be uniform (simulation-based calibration;
Talts, Betancourt, Simpson, Vehtari and Gelman 2018). A panel in which some count passes a
million is thrown away before anyone looks at its parameters; choosing by the data leaves the
posterior, and so the coverage, as it is.

    python -m benchmarks.recovery --panels 200 --out recovery

writes recovery_MODEL.csv (truth, interval and rank of every population parameter of every panel,
of the period effect of the last calendar month, and of one base model's), prints the coverage, and
draws recovery_MODEL.png: the distribution of the ranks less the uniform one, with the band that
holds 95% of such curves (Säilynoja, Bürkner and Vehtari 2022). Each panel has a seed of its own, so
a longer run holds the shorter one, and panels that the file holds are not fitted again: remove it
when the package has changed. The model files are read as they are shipped.
"""

import argparse
import dataclasses
import math
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.ecdf_utils import ecdf_pit
from matplotlib.figure import Figure

from bayes_hfgrowth.figures import save_figure
from bayes_hfgrowth.inference.sampling import Settings, sample
from bayes_hfgrowth.model.priors import draw_prior
from bayes_hfgrowth.model.specification import GrowthSpec, available_models, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.period import month_names
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.convergence import population_names
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    simulated_history,
)
from bayes_hfgrowth.support.errors import HFGrowthError
from bayes_hfgrowth.support.files import write_table
from bayes_hfgrowth.support.progress import Progress

TOO_MANY = 1e6


def template(organizations: int, base_models: int, seed: int) -> History:
    """Names and ages of a panel whose counts are to be simulated; ages of 3 to 24 months.

    All are observed to the same month, so that ages and calendar months do not go together.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for o in range(organizations):
        for b in range(base_models):
            months, days = int(rng.integers(3, 25)), int(rng.integers(0, 28))
            created = pd.Timestamp("2025-01-01", tz="UTC") - pd.DateOffset(months=months)
            frames.append(
                pd.DataFrame(
                    {
                        "base_model": f"organization-{o}/model-{b}",
                        "organization": f"organization-{o}",
                        "created_at": created + pd.Timedelta(days=days),
                        "month": np.arange(months + 1),
                        "finetunes": 0,
                    }
                )
            )
    return History.from_panel(Panel.from_table(pd.concat(frames, ignore_index=True)))


def simulate_panel(
    spec: GrowthSpec, empty: History, rng: np.random.Generator
) -> tuple[xr.Dataset, History, int]:
    """Draw a truth and a panel from it; also how many panels were thrown away."""
    thrown, (first, calendar) = 0, empty.calendar_span
    while True:
        truth = draw_prior(spec, empty.organization_of, len(empty.organizations), 1, rng, calendar)
        if spec.period_effect is not None:
            truth = truth.assign_coords(calendar_month=month_names(first, calendar))
        history = simulated_history(
            spec, empty, base_model_parameters(spec, truth)[0], SharedDraws.of(spec, truth), rng,
            None if spec.dormancy is None else truth["organization_dormancy"].to_numpy()[0, 0],
        )  # fmt: skip
        if (history.previous + history.new).max() <= TOO_MANY:
            return truth, history, thrown
        thrown += 1


def recover_one(spec: GrowthSpec, settings: Settings, empty: History, number: int) -> pd.DataFrame:
    """Fit one simulated panel; one row for each parameter."""
    seeds = np.random.SeedSequence([settings.seed, len(spec.name), number])
    truth, history, thrown = simulate_panel(spec, empty, np.random.default_rng(seeds))
    run = dataclasses.replace(settings, seed=number)
    posterior, stats, _ = sample(spec, history, run, Progress(False))
    rows = []
    for name in (*population_names(posterior), *spec.parameters):
        values, known = posterior[name], truth[name].isel(chain=0, draw=0)
        if name in spec.parameters:  # one base model, as those of one panel are alike
            values, known = values.isel(base_model=[0]), known.isel(base_model=[0])
        if "calendar_month" in values.dims:  # the last one, from which forecasts set out
            values, known = values.isel(calendar_month=[-1]), known.isel(calendar_month=[-1])
        low, high = values.quantile([0.05, 0.95], dim=("chain", "draw")).to_numpy()
        rank = (values < known).mean(("chain", "draw"))
        rows += [
            {
                "model": spec.name,
                "panel": number,
                "parameter": name,
                "truth": float(np.ravel(known)[index]),
                "lower_90": float(np.ravel(low)[index]),
                "upper_90": float(np.ravel(high)[index]),
                "rank": float(np.ravel(rank)[index]),
                "divergences": int(stats["diverging"].sum()),
                "thrown": thrown,
            }
            for index in range(known.size)
        ]
    return pd.DataFrame(rows)


def recover(
    spec: GrowthSpec, panels: int, settings: Settings, empty: History, path: Path, jobs: int = 1
) -> pd.DataFrame:
    """Fit simulated panels that the file does not hold yet; one row per parameter and panel.

    The file grows on the way, so what is interrupted can be taken up again.
    """
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"panel": []})
    missing = sorted(set(range(panels)) - set(table["panel"]))
    one = partial(recover_one, spec, dataclasses.replace(settings, cores=1), empty)
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for number, found in zip(missing, pool.map(one, missing), strict=True):
            table = pd.concat([table, found], ignore_index=True) if len(table) else found
            if number % 10 == 9 or number == missing[-1]:
                write_table(table, path, HFGrowthError)
                print(f"{spec.name}: panel {number}", flush=True)
    return table[table["panel"] < panels]


def rank_figure(table: pd.DataFrame) -> tuple[Figure, list[str]]:
    """Distribution of the ranks less the uniform one; also which parameters leave the band.

    Of parameters with a value for each organization, the first one's: those of one panel are
    not independent.
    """
    first = table.groupby(["panel", "parameter"], sort=False).first().reset_index()
    names = list(first["parameter"].unique())
    columns = 4
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(7.2, 1.3 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    left = []
    for axes, name in zip(panels, names, strict=False):
        ranks = first.loc[first["parameter"] == name, "rank"].to_numpy()
        at, curve, low, high = ecdf_pit(ranks, 0.95, 2000, rng=np.random.default_rng(1))
        curve, low, high = curve - at, low - at, high - at
        outside = bool(((curve < low) | (curve > high)).any())
        left += [name] * outside
        axes.fill_between(at, low, high, color="0.85", linewidth=0)
        axes.plot(at, curve, color="#D55E00" if outside else "#0072B2", linewidth=1.0)
        axes.set_title(name.replace("_", " "), fontsize=6.5)
        axes.tick_params(labelsize=6)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    figure.supxlabel("Rank of the truth among the draws (share)", fontsize=8)
    figure.supylabel("Share of panels, less uniform", fontsize=8)
    return figure, left


def coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Share of panels whose 90% interval holds the truth, with its Monte Carlo error."""
    held = (table["truth"] >= table["lower_90"]) & (table["truth"] <= table["upper_90"])
    groups = table.assign(held=held).groupby(["model", "parameter"], sort=False)
    result = groups.agg(coverage=("held", "mean"), intervals=("held", "size"))
    error = (0.9 * 0.1 / groups["panel"].nunique()) ** 0.5
    return result.assign(standard_error=error)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--panels", type=int, default=200)
    parser.add_argument("--model", action="append", choices=available_models())
    parser.add_argument("--organizations", type=int, default=4)
    parser.add_argument("--base-models", type=int, default=6, help="of each organization")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--tune", type=int, default=100)
    parser.add_argument("--target-accept", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="panels at once, on a core each")
    parser.add_argument("--out", type=Path, default=Path("recovery"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    empty = template(options.organizations, options.base_models, options.seed)
    settings = Settings(
        options.draws, options.tune, 4, options.seed, options.target_accept,
        pilots=((60, 60), (60, 60), (60, 100)),
    )  # fmt: skip
    for name in options.model or available_models():
        begin = time.perf_counter()
        path = options.out / f"recovery_{name}.csv"
        table = recover(read_spec(name), options.panels, settings, empty, path, options.jobs)
        print(f"{name}: {options.panels} panels, {time.perf_counter() - begin:.0f} s")
        print(coverage(table).round(3).to_string())
        print(f"divergences: {table.groupby('panel')['divergences'].first().sum()}")
        figure, left = rank_figure(table)
        save_figure(figure, options.out / f"recovery_{name}.png")
        print(f"ranks outside the 95% band: {', '.join(left) or 'none'}")


if __name__ == "__main__":
    main()
