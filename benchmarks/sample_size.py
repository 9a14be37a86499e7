"""How large a sample is enough to learn the population from.

The population is fitted on samples of the shipped base models as of a date, of growing size; base
models that are in no sample are forecast from each. Printed are the CRPS of log(1 + new
fine-tunes) on those with at least 5 fine-tunes at the date and on all of them, how far the
forecast means lie from those by the largest sample (root mean square over base models, in
standard deviations of the forecasts), the widths of the population's posterior (standard
deviations on the scale that is normal), and the seconds of the fit.
"""

import argparse
import time

import numpy as np
import pandas as pd

import bayes_hfgrowth as hfg
from bayes_hfgrowth.evaluation.scores import score_forecast


def main():
    """Fit each sample, forecast the rest, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 400, 800, 1600])
    parser.add_argument("--held-out", type=int, default=400, help="base models to forecast")
    parser.add_argument("--as-of", default="2024-08-21")
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--draws", type=int, default=650)
    parser.add_argument("--tune", type=int, default=80)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default="sample_size.csv")
    given = parser.parse_args()
    everything = hfg.load_example()
    known = everything.as_of(given.as_of)
    # Every sample is the beginning of the same shuffled list, and the end of it is held out.
    names = np.random.default_rng(given.seed).permutation(known.base_models.index.to_numpy())
    if max(given.sizes) + given.held_out > len(names):
        parser.error(f"only {len(names)} base models are known at {given.as_of}")
    rest = known.select(base_models=list(names[-given.held_out :]))
    rows, means, deviations = [], [], []
    for size in given.sizes:
        begin = time.process_time()
        fit = hfg.GrowthModel("surge").fit(
            known.select(base_models=list(names[:size])), draws=given.draws, tune=given.tune,
            seed=given.seed, progress=False,
        )  # fmt: skip
        seconds = time.process_time() - begin
        population = hfg.PopulationPosterior.from_fit(fit)
        found = hfg.forecast_new(population, rest, given.months, given.seed, progress=False)
        scores = score_forecast(found.draws, everything)
        ahead = scores[scores["horizon"] == given.months]
        last = ahead[ahead["observed"] >= 5]
        new = np.log1p(found.draws["finetunes"].isel(horizon=-1) - found.draws["observed"])
        means.append(new.mean(("chain", "draw")).to_numpy())
        deviations.append(new.std(("chain", "draw")).to_numpy())
        scales = population.spreads
        rows.append(
            {
                "sample": size,
                "crps_log": last["crps_log"].mean(),
                "scored": len(last),
                "crps_log_all": ahead["crps_log"].mean(),
                "width_of_spreads": np.log(scales).std(axis=0).mean(),
                "width_of_location": np.log(population.posterior["global_fitness"]).std().item(),
                "unlike": int((found.draws["pareto_k"] > 0.7).sum()),
                "cpu_seconds": seconds,
                "converged": fit.convergence.converged,
            }
        )
        print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False), flush=True)
    table = pd.DataFrame(rows)
    away = (np.array(means) - means[-1]) / np.maximum(deviations[-1], 0.1)
    table["from_largest"] = np.sqrt((away**2).mean(axis=1))
    print(table.round(3).to_string(index=False))
    table.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
