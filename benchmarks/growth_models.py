"""The shipped growth models side by side: leave-one-out, forecasts of the future, weights.

    python -m benchmarks.growth_models --out growth_models

fits each growth model to the base models that had at least `--min-finetunes` fine-tunes at two
as-of dates, compares the fits of the later date month by month (PSIS-LOO through `arviz.compare`,
with the reason of each Pareto k that is too large), and stacks the forecasts from both dates by
what came. Writes models.csv, pareto_k.csv, pointwise.parquet and models.png, and prints how many
months have which reason.
"""

import argparse
import re
from pathlib import Path

import bayes_hfgrowth as hfg
from bayes_hfgrowth.evaluation.model_comparison import compare_models
from bayes_hfgrowth.evaluation.stacking import stack_forecasts
from bayes_hfgrowth.model.specification import available_models


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--as-of", nargs="+", default=["2024-02-21", "2024-08-21"])
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--min-finetunes", type=int, default=30)
    parser.add_argument("--draws", type=int, default=650)
    parser.add_argument("--tune", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("growth_models"))
    options = parser.parse_args()
    panel = hfg.load_example()
    fits, forecasts = {}, {}
    for date in sorted(options.as_of):
        known = panel.as_of(date).select(min_finetunes=options.min_finetunes)
        print(f"{date}: {len(known.base_models)} base models")
        fits = {
            name: hfg.GrowthModel(name).fit(
                known, draws=options.draws, tune=options.tune, seed=options.seed
            )
            for name in available_models()
        }
        for name, fit in fits.items():
            print(f"{name}: {'; '.join(fit.convergence.problems) or 'converged'}")
        forecasts[date] = {name: fit.forecast(options.months).draws for name, fit in fits.items()}
    stacking = stack_forecasts(forecasts, panel)
    compared = compare_models(fits, stacking)
    compared.save(options.out)
    print(compared.table.round(3).to_string(index=False))
    print(f"CRPS of the stacked forecasts: {stacking.crps_log:.3f} of {stacking.forecasts}")
    kinds = compared.bad["reason"].map(lambda reason: re.sub(r"[\d,.]+%?", "N", reason))
    print(compared.bad.assign(kind=kinds).groupby(["model", "kind"]).size().to_string())


if __name__ == "__main__":
    main()
