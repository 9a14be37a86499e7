"""The engines side by side: effective draws per second, and whether they agree.

    python -m benchmarks.engines --min-finetunes 10

fits the same base models by every engine in one run and prints for each the seconds of
compilation and of sampling (pilots included), the smallest bulk effective sample size of the
population's parameters, how many of these a second of sampling brings, R-hat and divergences.
Then it holds every engine against the last one, the reference: the largest distance of two
posterior means in posterior standard deviations, over population parameters and (95% of) the
base models' parameters, and the largest ratio of their standard deviations. ``--as-of``,
``--organization`` and ``--random`` choose other panels.
"""

import argparse

import arviz as az
import numpy as np
import xarray as xr

from bayes_hfgrowth.inference.sampling import Settings, sample
from bayes_hfgrowth.model.specification import read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.convergence import check_convergence, population_names
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.support.progress import Progress

ENGINES = ("marginal", "nuts")
UNBOUNDED = ("carry_over_strength", "period_effect")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="surge")
    parser.add_argument("--as-of")
    parser.add_argument("--organization", action="append")
    parser.add_argument("--min-finetunes", type=int, default=10)
    parser.add_argument(
        "--random", type=int, metavar="N",
        help="so many base models at random, half of them without fine-tunes",
    )  # fmt: skip
    parser.add_argument("--engine", action="append", choices=ENGINES)
    parser.add_argument("--draws", type=int, default=600)
    parser.add_argument("--tune", type=int, default=80)
    parser.add_argument("--reference-draws", type=int, default=1500, help="of the last engine")
    parser.add_argument("--reference-tune", type=int, default=500)
    parser.add_argument("--target-accept", type=float, default=0.7)
    parser.add_argument("--reference-accept", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    panel = load_example()
    if options.as_of:
        panel = panel.as_of(options.as_of)
    panel = panel.select(organizations=options.organization, min_finetunes=options.min_finetunes)
    if options.random:
        panel = panel.select(base_models=at_random(panel, options.random, options.seed))
    history, spec = History.from_panel(panel), read_spec(options.model)
    print(f"{len(history.base_models)} base models, {len(history.new)} months, {options.model}")
    found: dict[str, xr.Dataset] = {}
    engines = options.engine or list(ENGINES)
    for engine in engines:
        last = engine == engines[-1]
        settings = Settings(
            options.reference_draws if last else options.draws,
            options.reference_tune if last else options.tune,
            seed=options.seed, engine=engine,
            target_accept=options.reference_accept if last else options.target_accept,
        )  # fmt: skip
        posterior, statistics, seconds = sample(spec, history, settings, Progress())
        verdict = check_convergence(posterior, statistics, history.finetunes > 0)
        rate = verdict.ess_bulk / seconds["sampling"]
        print(
            f"{engine}: compilation {seconds['compilation']:.1f} s, sampling "
            f"{seconds['sampling']:.1f} s, {rate:.2f} effective draws a second; {verdict}"
        )
        found[engine] = posterior
    reference = found.pop(engines[-1])
    for engine, posterior in found.items():
        print(f"{engine} against {engines[-1]}:")
        compare(posterior, reference)


def at_random(panel: Panel, number: int, seed: int) -> list[str]:
    """Base models at least a month old, half of them without fine-tunes."""
    table = panel.base_models
    rng = np.random.default_rng(seed)
    old = table[table["months"] >= 1]
    kinds = (old.index[old["finetunes"] == 0], old.index[old["finetunes"] > 0])
    return [name for names in kinds for name in rng.choice(names, number // 2, replace=False)]


def compare(posterior: xr.Dataset, reference: xr.Dataset) -> None:
    """Print how far apart means and standard deviations are."""
    dims = ("chain", "draw")
    population = population_names(reference)
    for title, names, share in (
        ("population", population, 1.0),
        ("base models", [n for n in reference.data_vars if n not in population], 0.95),
    ):
        distances, ratios, errors = [], [], []
        for name in names:
            parameter = str(name).removeprefix("global_").removeprefix("organization_")
            plain = parameter == "immediacy" or parameter in UNBOUNDED
            one, other = (d[name] if plain else np.log(d[name]) for d in (posterior, reference))
            spread = other.std(dims)
            distances.append(np.ravel(np.abs(one.mean(dims) - other.mean(dims)) / spread))
            ratios.append(np.ravel(np.abs(np.log(one.std(dims) / spread))))
            error = [az.mcse(d.to_dataset(name="x"))["x"] for d in (one, other)]
            errors.append(np.ravel(np.hypot(*error) / spread))
        distance, ratio, error = (np.concatenate(part) for part in (distances, ratios, errors))
        print(
            f"  {title}: means within {np.quantile(distance, share):.3f} posterior sd (Monte Carlo "
            f"error of the difference up to {np.quantile(error, share):.3f}), sds within "
            f"{np.expm1(np.quantile(ratio, share)):.1%}"
        )


if __name__ == "__main__":
    main()
