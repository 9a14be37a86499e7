"""Time and memory of forecasts from a stored population, for growing numbers of base models.

The base models are simulated with the shipped data's shape: organization and creation date of
shipped ones, months to the same last day, counts from the growth model under the population.
Each size is a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

SIMULATED = 10_000  # base models that are simulated at a time


def simulated_panel(population_file, number, path, seed=1):
    """Write a Parquet panel of so many base models."""
    import bayes_hfgrowth as hfg
    from bayes_hfgrowth.panel.history import History
    from bayes_hfgrowth.posterior.simulation import simulated_history

    population = hfg.PopulationPosterior.load(population_file)
    shipped = History.from_panel(hfg.load_example())
    rng = np.random.default_rng([seed, number])
    means, shares = population.of_organizations(shipped.organizations, rng)
    draw = len(means) // 2
    means, scales = means[draw], population.spreads[draw]
    shared = population.shared.take(np.array([draw]))
    # One path of the period effect for all parts.
    shared = shared.ahead_of(shipped, 1, rng)
    writer = None
    for first in range(0, number, SIMULATED):
        size = min(SIMULATED, number - first)
        part = shipped.subset(rng.integers(0, len(shipped.base_models), size))
        names = [
            f"{part.organizations[o]}/simulated-{first + i}"
            for i, o in enumerate(part.organization_of)
        ]
        theta = means[part.organization_of]
        theta = theta + scales * rng.standard_normal(theta.shape)
        part = simulated_history(
            population.spec, part, theta, shared, rng, None if shares is None else shares[draw]
        )
        months = part.months + 1
        count = np.zeros(months.sum(), dtype=np.int64)
        month = np.concatenate([np.arange(n) for n in months])
        count[month > 0] = part.previous + part.new
        table = pa.Table.from_pandas(
            pd.DataFrame(
                {
                    "base_model": np.repeat(np.array(names, dtype=object), months),
                    "organization": np.repeat(
                        np.array(part.organizations, dtype=object)[part.organization_of], months
                    ),
                    "created_at": np.repeat(part.created_at, months),
                    "month": month,
                    "finetunes": count,
                }
            )
        )
        writer = writer or pa.parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()


def measured(population, panel, months, out, dask, jobs):
    """Forecast in this process; seconds, CPU seconds and peak memory."""
    import bayes_hfgrowth as hfg

    posterior = hfg.PopulationPosterior.load(population)
    wall = time.perf_counter()
    done = hfg.forecast_file(posterior, panel, months, out, 1, dask=dask, jobs=jobs)
    wall = time.perf_counter() - wall
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "base_models": done.base_models,
        "seconds": wall,
        "cpu_seconds": sum(use.ru_utime + use.ru_stime for use in used),
        "peak_mb": max(use.ru_maxrss for use in used) / 1024,
        "unlike": done.unlike,
    }


def main():
    """Simulate panels, forecast each, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--population", type=Path, help="fit or population, .nc")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--extrapolate", type=int, default=1_000_000)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--dask", help="address of a scheduler, or local")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--out", type=Path, default=Path("scale"))
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out.mkdir(exist_ok=True)
    population = given.population
    if given.one is not None:
        out = given.out / "forecast.parquet"
        print(
            json.dumps(measured(population, given.one, given.months, out, given.dask, given.jobs))
        )
        return
    if population is None:
        import bayes_hfgrowth as hfg

        population = given.out / "population.nc"
        if not population.exists():
            fit = hfg.GrowthModel("surge").fit(hfg.load_example().select(min_finetunes=30), seed=1)
            hfg.PopulationPosterior.from_fit(fit).save(population)
    rows = []
    for number in given.sizes:
        panel = given.out / f"panel-{number}.parquet"
        if not panel.exists():
            simulated_panel(population, number, panel)
        command = [sys.executable, "-m", "benchmarks.scale", "--one", str(panel)]
        command += ["--population", str(population), "--out", str(given.out)]
        command += ["--months", str(given.months)]
        command += ["--dask", given.dask] if given.dask else []
        command += ["--jobs", str(given.jobs)] if given.jobs else []
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(found.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    print(table.round(1).to_string(index=False))
    table.to_csv(given.out / "scale.csv", index=False)
    if len(table) > 1:
        logs = np.log(table[["base_models", "seconds", "cpu_seconds"]])
        last = logs.iloc[-2:].diff().iloc[-1]  # small sizes hide the growth behind the start
        for name in ("seconds", "cpu_seconds"):
            exponent = last[name] / last["base_models"]
            factor = (given.extrapolate / table["base_models"].iloc[-1]) ** max(exponent, 1.0)
            hours = table[name].iloc[-1] * factor / 3600.0
            print(
                f"growth exponent of {name} between the last two sizes: {exponent:.3f}; "
                f"extrapolated from the last to {given.extrapolate:,}: {hours:.2f} hours"
            )


if __name__ == "__main__":
    main()
