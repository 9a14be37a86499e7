"""Are known differences between organizations recovered? Simulated panels, fitted; pairs counted.

The population is known: every prior of the growth model stands at its median, only organizations,
base models and the period effects of calendar months differ. Each panel draws its organizations
from it, so their differences are known, simulates the base models of each and is fitted with the
model file as it is shipped. Of every pair of organizations and quantity, the central intervals of
the difference must hold the true one as often as they say, and what is told with a probability must
be true as often.

    python -m benchmarks.contrasts --panels 100 --out contrasts

writes contrasts.csv (one row for each panel, pair and quantity) and prints both. Differences are
of the quantity itself, of ultimate impact and of counts of its logarithm. A panel in which some
count passes a million is thrown away before anyone looks at its parameters.
"""

import argparse
import dataclasses
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hfgrowth.comparison.quantities import QUANTITIES, Draws, curve_draws, peak_months
from bayes_hfgrowth.inference.sampling import Settings, sample
from bayes_hfgrowth.model.priors import frozen
from bayes_hfgrowth.model.specification import (
    GrowthSpec,
    Pooling,
    Prior,
    available_models,
    read_spec,
)
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.support.progress import Progress
from benchmarks.recovery import simulate_panel, template

LEVELS = (50, 80, 95)
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


def known_population(spec: GrowthSpec) -> GrowthSpec:
    """The growth model with each prior of the population replaced by its median."""

    def known(prior: Prior | None) -> Prior | None:
        if prior is None:
            return None
        median = float(frozen(prior).median())
        return Prior("Normal", {"mu": median, "sigma": 1e-12}, prior.reason)

    def middle(value: float | Prior) -> float | Prior | None:
        return known(value) if isinstance(value, Prior) else value

    parameters = {}
    for name, pooling in spec.parameters.items():
        levels = {field.name: getattr(pooling, field.name) for field in dataclasses.fields(Pooling)}
        parameters[name] = Pooling(**{level: known(prior) for level, prior in levels.items()})
    dormancy = spec.dormancy and dataclasses.replace(
        spec.dormancy,
        location=known(spec.dormancy.location),
        between_organizations=known(spec.dormancy.between_organizations),
    )
    shared: dict[str, Any] = {}
    for table in ("carry_over", "period_effect", "bursts"):
        if (part := getattr(spec, table)) is not None:
            values = {name: middle(value) for name, value in vars(part).items()}
            shared[table] = dataclasses.replace(part, **values)
    shared["reinforcement"] = middle(spec.reinforcement)
    return dataclasses.replace(spec, dormancy=dormancy, parameters=parameters, **shared)


def quantities_of(spec: GrowthSpec, draws: xr.Dataset) -> dict[str, Draws]:
    """The quantities that are compared, on the scale on which differences are taken."""
    values = curve_draws(spec, draws, peak_months(spec, draws))
    return {
        name: np.log(of) if QUANTITIES[name].unit == "fine-tunes" else of
        for name, of in values.items()
    }


def contrast_rows(spec: GrowthSpec, truth: xr.Dataset, posterior: xr.Dataset) -> list[dict]:
    """One row for each pair of organizations and quantity."""
    known, told = quantities_of(spec, truth), quantities_of(spec, posterior)
    rows = []
    for name, values in told.items():
        for i, j in itertools.combinations(range(values.shape[1]), 2):
            difference = values[:, i] - values[:, j]
            true = float(known[name][0, i] - known[name][0, j])
            row = {"quantity": name, "first": i, "second": j, "truth": true}
            for level in LEVELS:
                tail = 0.5 - level / 200
                # As in the comparison's own table, rounded outwards.
                row[f"lower_{level}"] = np.quantile(difference, tail, method="lower")
                row[f"upper_{level}"] = np.quantile(difference, 1 - tail, method="higher")
            larger = (difference > 0) + 0.5 * (difference == 0)
            rows.append(row | {"probability": float(larger.mean())})
    return rows


def recover(
    spec: GrowthSpec, panels: int, settings: Settings, empty: History
) -> Iterator[pd.DataFrame]:
    """Fit simulated panels; of each one row for each pair of organizations and quantity."""
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, len(spec.name), 7]))
    population = known_population(spec)
    for number in range(panels):
        truth, history, thrown = simulate_panel(population, empty, rng)
        begin = time.perf_counter()
        run = dataclasses.replace(settings, seed=number)
        posterior, stats, _ = sample(spec, history, run, Progress(False))
        rows = contrast_rows(spec, truth, posterior)
        about = {
            "model": spec.name,
            "panel": number,
            "divergences": int(stats["diverging"].sum()),
            "thrown": thrown,
        }
        print(f"{spec.name}: panel {number} in {time.perf_counter() - begin:.0f} s", flush=True)
        yield pd.DataFrame(rows).assign(**about)


def coverage(table: pd.DataFrame) -> pd.DataFrame:
    """Share of pairs whose intervals hold the truth, and its error by panels."""
    columns = {}
    for level in LEVELS:
        inside = table["truth"].between(table[f"lower_{level}"], table[f"upper_{level}"])
        groups = table.assign(inside=inside).groupby(["model", "quantity"], sort=False)
        columns[f"coverage_{level}"] = groups["inside"].mean()
        # The pairs of one panel share organizations, so panels are what is independent.
        each = table.assign(inside=inside).groupby(["model", "quantity", "panel"], sort=False)
        by_panel = each["inside"].mean().groupby(["model", "quantity"], sort=False)
        columns[f"error_{level}"] = by_panel.std() / by_panel.count() ** 0.5
    return pd.DataFrame(columns).assign(pairs=groups.size())


def calibration(table: pd.DataFrame) -> pd.DataFrame:
    """How often the first was larger, by the probability that was told; ties are left out."""
    decided = table[table["truth"] != 0]
    told = pd.cut(decided["probability"], BINS, include_lowest=True)
    groups = decided.assign(larger=decided["truth"] > 0).groupby(["model", told], observed=True)
    return groups.agg(
        told=("probability", "mean"), true=("larger", "mean"), pairs=("larger", "size")
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--panels", type=int, default=100)
    parser.add_argument("--model", action="append", choices=available_models())
    parser.add_argument("--organizations", type=int, default=4)
    parser.add_argument("--base-models", type=int, default=8, help="of each organization")
    parser.add_argument("--draws", type=int, default=250)
    parser.add_argument("--tune", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("contrasts"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    empty = template(options.organizations, options.base_models, options.seed)
    settings = Settings(
        options.draws, options.tune, 4, options.seed, pilots=((60, 60), (60, 60), (60, 100))
    )
    tables = []
    for name in options.model or ["surge"]:
        begin = time.perf_counter()
        for table in recover(read_spec(name), options.panels, settings, empty):
            tables.append(table)
            pd.concat(tables).to_csv(options.out / "contrasts.csv", index=False)
        seconds = time.perf_counter() - begin
        print(f"{name}: {options.panels} panels in {seconds:.0f} s")
        own = pd.concat(tables[-options.panels :], ignore_index=True)
        print(coverage(own).round(3).to_string())
        print(calibration(own).round(3).to_string())


if __name__ == "__main__":
    main()
