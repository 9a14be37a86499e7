"""A fit reweighted to be without a base model, beside a fit without it.

    python -m benchmarks.without_largest

fits the base models of some organizations in the shipped data, takes the largest base model of
the organization that hangs most on one out of the posterior by weights, fits again without it,
and prints the 2.5%, 50% and 97.5% quantiles of the organization's median base model: with it, by
weights without it, and as fitted without it.
"""

import argparse

import numpy as np
import pandas as pd

from bayes_hfgrowth import GrowthModel, load_example
from bayes_hfgrowth.comparison import largest_base_models
from bayes_hfgrowth.comparison.without import Without, log_weights_without
from bayes_hfgrowth.posterior.draws import FittedDraws

QUANTILES = (0.025, 0.5, 0.975)


def values_of(fit: FittedDraws, name: str, organization: str) -> np.ndarray:
    """Draws of an organization's parameter."""
    values = fit.posterior[f"organization_{name}"].sel(organization=organization)
    return values.transpose("chain", "draw").to_numpy().ravel()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="surge")
    parser.add_argument("--as-of", default="2024-08-01")
    parser.add_argument("--organization", action="append")
    parser.add_argument("--min-finetunes", type=int, default=20)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--tune", type=int, default=250)
    options = parser.parse_args()
    panel = load_example().as_of(options.as_of)
    panel = panel.select(
        organizations=options.organization or ["BAAI", "OpenAI", "StabilityAI"],
        min_finetunes=options.min_finetunes,
    )
    model = GrowthModel(options.model)
    fit = model.fit(panel, seed=1, draws=options.draws, tune=options.tune)
    largest = largest_base_models(fit)
    organization = largest["share"].idxmax()
    one = largest.loc[organization]
    print(f"{one['base_model']} holds {one['share']:.0%} of the fine-tunes of {organization}")
    others = [name for name in fit.base_models if name != one["base_model"]]
    again = model.fit(
        panel.select(base_models=others), seed=2, draws=options.draws, tune=options.tune
    )
    log_weights = log_weights_without(fit, int(one["position"]), np.random.default_rng(0))
    without = Without.from_logarithms(log_weights)
    effective = 1.0 / (without.weights**2).sum()
    print(f"Pareto k {without.pareto_k:.2f}, {effective:.0f} effective of {len(log_weights)} draws")
    draw = np.arange(len(log_weights))
    rows = []
    for name in ("fitness", "immediacy", "longevity", "dormancy"):
        if f"organization_{name}" not in fit.posterior:
            continue
        before, after = (values_of(each, name, organization) for each in (fit, again))
        for what, quantiles in (
            ("with it", np.quantile(before, QUANTILES)),
            ("by weights", without.quantiles(before, QUANTILES, draw)),
            ("fitted again", np.quantile(after, QUANTILES)),
        ):
            rows.append((name, what, *quantiles))
    columns = ["parameter", "how", *(f"{100 * level:g}%" for level in QUANTILES)]
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
