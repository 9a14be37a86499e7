"""Make the population posterior that comes with the package, and its model card.

The shipped one, which took 17 minutes on two cores:

    python -m bayes_hfgrowth.data.make_population --seed 1 --draws 1500 --target-accept 0.9
"""

import argparse
import sys
from pathlib import Path

from bayes_hfgrowth.fit import GrowthFit, GrowthModel
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.support.errors import FitError, HFGrowthError
from bayes_hfgrowth.support.files import whole_file

__all__ = ["main", "write_population"]

LARGEST = 5_000_000
"""Most bytes of the file."""

COUNTS = "the example panel of this package, from the authors of arXiv 2502.15987"
LICENCE = "mit"
"""Of those counts; see ``LICENSE-data``."""


def write_population(
    fit: GrowthFit, folder: Path, keep: int, *, even_if_not_converged: bool = False
) -> PopulationPosterior:
    """Write ``population.nc``, with `keep` draws at most, and ``population.md`` into a folder.

    The fit is of the example panel, or of a part of it. If one that failed its checks will do, the
    card says so at its top.

    Raises
    ------
    FitError
        When the fit did not converge, or the file is too large or cannot be written.
    """
    if not (fit.convergence.converged or even_if_not_converged):
        raise FitError(
            f"the fit did not converge: {'; '.join(fit.convergence.problems)}; nothing was "
            f"written. {fit.convergence.advice[:1].upper()}{fit.convergence.advice[1:]}"
        )
    population = PopulationPosterior.from_fit(fit, keep)
    card = population.generate_model_card(license=LICENCE, data=COUNTS, shipped=True)
    with (
        whole_file(folder / "population.nc", FitError) as file,
        whole_file(folder / "population.md", FitError) as text,
    ):
        population.save(file)
        size = file.stat().st_size
        if size > LARGEST:
            raise FitError(f"{size:,} bytes are more than {LARGEST:,}; keep fewer draws")
        text.write_text(f"{str(card).rstrip()}\n", encoding="utf-8")
    return population


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="surge", help="growth model, surge by default")
    parser.add_argument("--as-of", metavar="DATE", help="use only what was known at this date")
    parser.add_argument(
        "--min-finetunes",
        type=int,
        default=0,
        metavar="N",
        help="leave out base models with fewer fine-tunes; the population is then one of "
        "successes, and its card says so",
    )
    parser.add_argument("--draws", type=int, default=1000, help="kept draws of each chain")
    parser.add_argument("--tune", type=int, default=100, help="warm-up draws of each chain")
    parser.add_argument("--chains", type=int, default=4, help="independent chains")
    parser.add_argument("--seed", type=int, default=1, help="makes the run repeatable")
    parser.add_argument("--target-accept", type=float, default=0.7, metavar="P")
    parser.add_argument("--keep", type=int, default=2000, help="draws to keep, at most")
    parser.add_argument("--even-if-not-converged", action="store_true", help="write it anyway")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder")
    options = parser.parse_args(arguments)
    try:
        panel = load_example()
        if options.as_of is not None:
            panel = panel.as_of(options.as_of)
        fit = GrowthModel(options.model).fit(
            panel.select(min_finetunes=options.min_finetunes),
            draws=options.draws,
            tune=options.tune,
            chains=options.chains,
            seed=options.seed,
            target_accept=options.target_accept,
        )
        sys.stderr.write(f"{fit.convergence}\n")
        write_population(
            fit, options.out, options.keep, even_if_not_converged=options.even_if_not_converged
        )
    except HFGrowthError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
