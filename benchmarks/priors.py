"""What the data add to the priors, and when organizations peak, in the shipped population.

    python -m benchmarks.priors --out docs/figures/priors.png \
        --period-effect docs/figures/period_effect.png

Needs no fit: it reads the population posterior that comes with the package. Prints two tables,
prior against posterior of every population parameter, and the age at the peak of the median base
model of each organization with the answer to the paper's claim, and draws the first of them, and
the period effect.
"""

import argparse
from pathlib import Path

import bayes_hfgrowth as hfg
from bayes_hfgrowth.comparison.claim import early_peaks
from bayes_hfgrowth.comparison.quantities import peak_months
from bayes_hfgrowth.diagnostics import prior_posterior_table
from bayes_hfgrowth.figures import period_effect, prior_posterior, save_figure
from bayes_hfgrowth.support.errors import HFGrowthError
from benchmarks.sums_targets import markdown


def span(row: dict[str, float], when: str) -> str:
    """Median and central 95%."""
    middle, low, high = (row[f"{when}_{end}"] for end in ("median", "lower_95", "upper_95"))
    return f"{middle:.3g} [{low:.3g} to {high:.3g}]"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="figure to write, .png or .pdf")
    parser.add_argument("--period-effect", type=Path, metavar="FILE", help="another one")
    options = parser.parse_args()
    try:
        population = hfg.load_population()
        table = prior_posterior_table(population)
        if options.out is not None:
            save_figure(prior_posterior(table), options.out)
        if options.period_effect is not None:
            save_figure(period_effect(population), options.period_effect)
    except HFGrowthError as error:
        parser.exit(2, f"{error}\n")
    rows = [["parameter", "prior", "posterior", "posterior sd over prior sd"]]
    for row in table.to_dict("records"):
        share = f"{row['posterior_to_prior_sd']:.2f}"
        rows.append([f"`{row['parameter']}`", span(row, "prior"), span(row, "posterior"), share])
    print(markdown(rows))
    posterior = population.posterior
    organizations = tuple(posterior["organization"].to_numpy().tolist())
    early = early_peaks(organizations, peak_months(population.spec, posterior))
    rows = [["organization", "age at the peak (months)", "P(earlier than the median one)",
             "P(among the earliest three)"]]  # fmt: skip
    for row in early.table.to_dict("records"):
        name = f"{row['organization']} (claimed)" if row["claimed"] else row["organization"]
        peak = f"{row['median']:.0f} [{row['lower_95']:.0f} to {row['upper_95']:.0f}]"
        rows.append(
            [name, peak, f"{row['earlier_than_median']:.2f}", f"{row['among_earliest']:.2f}"]
        )
    print()
    print(markdown(rows))
    print()
    for sentence in early.sentences():
        print(f"- {sentence}")


if __name__ == "__main__":
    main()
