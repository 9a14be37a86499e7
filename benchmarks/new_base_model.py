"""What one new base model costs from a stored population, and whether it is the joint answer.

    python -m benchmarks.new_base_model
    python -m benchmarks.new_base_model --joint 3

The first prints the time of `hfgrowth forecast --panel` as a whole process, and the computation
after import, for a base model of an organization that the population knows, of one that it does
not, and for one without any fine-tune. Wall and CPU time: on a busy machine the second counts.

It also prints the time for each of many base models that are forecast together, by one thread.

The second fits base models of the shipped data with and without one of them, forecasts the one
from the population without it, and prints how far that lies from the forecast of the joint fit,
in Monte Carlo standard errors.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from bayes_hfgrowth import Panel, PopulationPosterior

COUNTS = {
    "known organization": ("Qwen", [12, 18, 21, 9]),
    "unknown organization": ("newlab", [12, 18, 21, 9]),
    "no fine-tune yet": ("Qwen", [0, 0, 0, 0]),
}
RUNS = 5


def panel_rows(organization: str, new: list[int]) -> pd.DataFrame:
    """A panel of one base model."""
    total = np.append(0, np.cumsum(new))
    return pd.DataFrame(
        {
            "base_model": f"{organization}/model-1",
            "organization": organization,
            "created_at": "2024-09-01",
            "month": np.arange(len(total)),
            "finetunes": total,
        }
    )


def time_process(population: Path | None, panel: Path, out: Path) -> tuple[float, float]:
    """Wall and CPU seconds of the command line."""
    main = "from bayes_hfgrowth.cli import main; main()"
    fit = [] if population is None else [str(population)]
    options = ["forecast", *fit, "--panel", str(panel), "--months", "12", "--out", str(out)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", main, *options], check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def costs(population_file: Path | None) -> None:
    """Print what it costs, with the shipped population or another."""
    with tempfile.TemporaryDirectory() as folder:
        panel, out = Path(folder) / "new.csv", Path(folder) / "forecast.csv"
        panel_rows(*COUNTS["unknown organization"]).to_csv(panel, index=False)
        time_process(population_file, panel, out)  # whoever runs it first compiles
        times = np.array([time_process(population_file, panel, out) for _ in range(RUNS)])
    wall, cpu = np.median(times, axis=0)
    print(f"whole process, median of {RUNS}: {wall:.2f} s wall, {cpu:.2f} s CPU")

    start = time.process_time()
    import bayes_hfgrowth as hfg
    from bayes_hfgrowth.forecast.paths import forecast_new

    load = hfg.PopulationPosterior.load
    population = load(population_file) if population_file else hfg.load_population()
    print(f"import and reading the population: {time.process_time() - start:.2f} s CPU")
    panels = {}
    for name, rows in COUNTS.items():
        new = panels[name] = hfg.Panel.from_table(panel_rows(*rows))
        seconds = []
        for _ in range(RUNS):
            begin, start = time.perf_counter(), time.process_time()
            forecast_new(population, new, 12, progress=False)
            seconds.append((time.perf_counter() - begin, time.process_time() - start))
        wall, cpu = np.median(seconds, axis=0)
        print(
            f"{name}: first {seconds[0][0]:.3f} s wall, {seconds[0][1]:.3f} s CPU; "
            f"median of {RUNS} {wall:.3f} s wall, {cpu:.3f} s CPU"
        )
    many(population, panels)


def many(population: "PopulationPosterior", new: dict[str, "Panel"], number: int = 60) -> None:
    """Print what each of many base models costs, alone in its months or not."""
    import bayes_hfgrowth as hfg
    from bayes_hfgrowth.forecast.paths import forecast_new

    for name, panel in new.items():
        copies = [
            panel.table.assign(base_model=lambda table, i=i: table["base_model"] + f"-{i}")
            for i in range(number)
        ]
        whole = hfg.Panel.from_table(pd.concat(copies))
        start = time.process_time()
        forecast_new(population, whole, 12, progress=False, jobs=1)
        print(f"{name}, {number} of them: {(time.process_time() - start) / number:.4f} s CPU each")


def joint(number: int, named: list[str], draws: int, min_finetunes: int) -> None:
    """Print how far the conditional forecast is from the joint one.

    Of base models that are evenly spaced by their fine-tunes, and of those that are named.
    """
    import arviz as az

    import bayes_hfgrowth as hfg
    from bayes_hfgrowth.forecast.paths import forecast_new
    from bayes_hfgrowth.posterior.population import PopulationPosterior

    panel = hfg.load_example().as_of("2024-08-21").select(min_finetunes=min_finetunes)
    model = hfg.GrowthModel("surge")
    names = list(panel.base_models.sort_values("finetunes").index)
    evenly = np.linspace(0, len(names) - 1, number + 2).astype(int)[1:-1]
    chosen = [*(names[at] for at in evenly), *named]
    fit = model.fit(panel, draws=draws, seed=1)
    print(f"{len(names)} base models; joint fit {fit.convergence}")
    together = fit.forecast(12)
    for name in chosen:
        rest = model.fit(
            panel.select(base_models=[n for n in names if n != name]), draws=draws, seed=2
        )
        alone = forecast_new(
            PopulationPosterior.from_fit(rest), panel.select(base_models=[name]), 12, seed=3,
            progress=False,
        )  # fmt: skip
        verdict = "converged" if rest.convergence.converged else "NOT CONVERGED"
        pareto_k = alone.draws["pareto_k"].item()
        print(f"{name}: fit without it {verdict}, Pareto k {pareto_k:.2f}")
        observed = int(alone.draws["observed"].item())
        for horizon in (1, 6, 12):
            ours, theirs = (
                np.log1p(
                    forecast.draws["finetunes"].sel(base_model=name, horizon=horizon) - observed
                )
                for forecast in (alone, together)
            )
            effective = float(az.ess(theirs.to_numpy(), method="mean"))
            mean, expected = float(ours.mean()), float(theirs.mean())
            sd = float(theirs.std())
            error = sd * np.sqrt(1 / effective + 1 / ours.size)
            print(
                f"  {horizon:2d} months: mean of ln(1 + new) {mean:.3f} and joint {expected:.3f}, "
                f"{(mean - expected) / error:+.1f} standard errors; "
                f"sd {float(ours.std()):.3f} and {sd:.3f}"
            )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--joint", type=int, default=0, metavar="N", help="base models to leave out"
    )
    parser.add_argument(
        "--base-model", action="append", default=[], help="a further one to leave out"
    )
    parser.add_argument("--population", type=Path, help="another than the shipped one, .nc")
    parser.add_argument("--draws", type=int, default=650)
    parser.add_argument("--min-finetunes", type=int, default=100)
    options = parser.parse_args()
    if options.joint or options.base_model:
        joint(options.joint, options.base_model, options.draws, options.min_finetunes)
    else:
        costs(options.population)


if __name__ == "__main__":
    main()
