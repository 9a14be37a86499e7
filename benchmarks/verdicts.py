"""Are surges found where there are some, and nowhere else? Simulated panels, fitted and judged.

    python -m benchmarks.verdicts --panels 20 --out verdicts

A growth model is fitted to shipped base models with at least 30 fine-tunes. Each panel is then
simulated from one draw of that posterior, without bursts if the growth model has them, so it has
no surge beyond what the law of a regular month allows; it is fitted and judged, and the base
models that are called surging are counted. Then one base model in five gets one month with ten
times the fine-tunes that the law expects there, what follows keeping its increments; the panel is
fitted and judged again, and a surge counts as found where it is named with its month. The month is
any but the first in which the law expects a fine-tune or more.

Whether ten times as many can be told from chance depends on the dispersion of the base model, so
surges are counted three times: all of them; those in months of which the verdict on the quiet
panel had said that ten times as many would be noticed; and those that whoever knew the true
parameters could find, the law giving them less probability than
`bayes_hfgrowth.diagnostics.verdicts.LEVEL`, all months of the base model taken together.

Writes quiet.csv and planted.csv, one row for each base model and for each surge.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd

from bayes_hfgrowth.diagnostics.months import month_laws, upper_tails
from bayes_hfgrowth.diagnostics.predictive import replicated_months
from bayes_hfgrowth.diagnostics.verdicts import LEVEL, NOTICED, judge
from bayes_hfgrowth.fit import GrowthModel
from bayes_hfgrowth.growth.law import PROBABILITY
from bayes_hfgrowth.model.specification import available_models
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    simulated_history,
)
from bayes_hfgrowth.sources.example import load_example

EVERY = 5  # one base model in so many gets a surge
SIZE = 10.0  # times the expectation


def with_surges(
    history: History, expected: np.ndarray, rng: np.random.Generator
) -> tuple[History, list[int]]:
    """Plant surges; also the observations that they were planted in."""
    new = history.new.copy()
    planted = []
    for i in rng.permutation(len(history.base_models)):
        own = np.arange(history.start[i], history.start[i + 1])
        fit = own[(history.month[own] > 1) & (expected[own] >= 1.0)]
        if len(fit) and len(planted) < len(history.base_models) // EVERY:
            at = int(rng.choice(fit))
            new[at] = round(SIZE * expected[at])
            planted.append(at)
    previous = np.concatenate(
        [
            np.cumsum(new[start:stop]) - new[start:stop]
            for start, stop in zip(history.start[:-1], history.start[1:], strict=True)
        ]
    )
    return dataclasses.replace(history, new=new, previous=previous), planted


def _share(of: pd.Series, rows: pd.DataFrame) -> str:
    """Share, its standard error by panels (which are what is independent), and the number."""
    each = of.groupby(rows["panel"]).agg(["sum", "size"])
    total = each.sum()
    apart = each["sum"] - each["size"] * total["sum"] / total["size"]
    error = np.sqrt((apart**2).sum() * len(each) / max(len(each) - 1, 1)) / total["size"]
    return f"{of.mean():.1%} ± {error:.1%} of {len(of)}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--panels", type=int, default=20)
    parser.add_argument("--model", default="surge", choices=available_models())
    parser.add_argument("--base-models", type=int, default=64)
    parser.add_argument("--draws", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("verdicts"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(options.seed)
    shipped = load_example().select(min_finetunes=30)
    names = shipped.base_models.sort_values("finetunes").index.to_numpy()
    chosen = names[np.linspace(0, len(names) - 1, options.base_models).astype(int)]
    model = GrowthModel(options.model)

    def fitted(panel: Panel, seed: int):  # type: ignore[no-untyped-def]
        return model.fit(panel, draws=options.draws, tune=200, seed=seed, progress=False)

    real = fitted(shipped.select(base_models=chosen), options.seed)
    spec = real.spec
    thetas = base_model_parameters(spec, real.posterior)
    all_shared = SharedDraws.of(spec, real.posterior)
    regular = np.array(all_shared.values)
    regular[:, PROBABILITY] = 0.0
    all_shared = dataclasses.replace(all_shared, values=regular)
    quiet_rows, planted_rows = [], []
    for number in range(options.panels):
        begin = time.perf_counter()
        draw = int(rng.integers(len(thetas)))
        theta, shared = thetas[draw], all_shared.take(np.array([draw]))
        awake = None if spec.dormancy is None else np.zeros(len(real.organizations))
        history = simulated_history(spec, real.history, theta, shared, rng, awake)
        fit = fitted(history.to_panel(), number)
        before = judge(fit, replicated_months(fit), rng)
        columns = ["base_model", "months", "finetunes", "verdict", "lowest_probability"]
        quiet_rows.append(before.verdicts[columns].assign(panel=number))
        mean, size = month_laws(spec, history, theta[None], shared)
        history, planted = with_surges(history, mean[0], rng)
        fit = fitted(history.to_panel(), number)
        judgement = judge(fit, replicated_months(fit), rng)
        named = set(judgement.surges[["base_model", "month"]].itertuples(index=False, name=None))
        tails = upper_tails(history.new, mean, size)[0]
        for at in planted:
            i = int(history.base_model_of[at])
            name, month = history.base_models[i], int(history.month[at])
            together = -np.expm1(history.months[i] * np.log1p(-tails[at]))
            planted_rows.append(
                {
                    "panel": number,
                    "base_model": name,
                    "month": month,
                    "months": int(history.months[i]),
                    "expected": float(mean[0, at]),
                    "probability": float(together),
                    "tenfold": before.months["tenfold"].iloc[at],
                    "told": judgement.months["probability"].iloc[at],
                    "found": (name, month) in named,
                }
            )
        pd.concat(quiet_rows).to_csv(options.out / "quiet.csv", index=False)
        pd.DataFrame(planted_rows).to_csv(options.out / "planted.csv", index=False)
        print(f"panel {number} in {time.perf_counter() - begin:.0f} s", flush=True)
    quiet, surges = pd.concat(quiet_rows), pd.DataFrame(planted_rows)
    print(f"called surging without a surge: {_share(quiet['verdict'] == 'surge', quiet)}")
    print(f"tenfold months found: {_share(surges['found'], surges)}")
    promised, possible = surges["tenfold"] < NOTICED, surges["probability"] < LEVEL
    for chosen, what in ((promised, "promised to be noticed"), (possible, "possible to notice")):
        print(f"of those {what}: {_share(surges.loc[chosen, 'found'], surges[chosen])}")
    bins = pd.cut(surges["expected"], [1, 3, 10, 30, np.inf], right=False)
    print(surges.groupby(bins, observed=True)["found"].agg(["mean", "size"]).round(3).to_string())


if __name__ == "__main__":
    main()
