"""How many bars of calibration a perfect forecaster would miss, by chance alone.

    python -m benchmarks.chance --backtest backtest

takes the forecasts that `hfgrowth backtest` kept in a folder, lets one of its own draws be what
came, for every base model anew and independent of the others, and counts which bars are met:
central shares of the randomised PIT within 4 points at every horizon, of base models with at
least 5 fine-tunes; within 7 points in every class at the longest horizon; and the mean forecast
of ln(1 + new) within 15% of the observed mean there. Outcomes that share what happens to the
Hub scatter more than these independent ones, so chance does at least as much as it says here.
"""

import argparse
from pathlib import Path

import numpy as np

import bayes_hfgrowth as hfg
from bayes_hfgrowth.evaluation.backtest import kept_draws
from bayes_hfgrowth.evaluation.scores import LEVELS, central_share, outcomes

AS_OF = {"2024-02-21": 6, "2024-08-21": 6, "2024-11-21": 3}
CLASSES = ((0, 0), (1, 4), (5, 49), (50, 10**9))
WITHIN, WITHIN_CLASS, OFF = 0.04, 0.07, 0.15


def met(
    new: np.ndarray, came: np.ndarray, known: np.ndarray, observed: np.ndarray
) -> tuple[list[np.ndarray], ...]:
    """Which bars each replicate meets.

    `new` are draws (base models, horizons, draws), `came` outcomes (replicates, base models,
    horizons), `known` says which of these the panel holds.
    """
    draws = new.shape[2]
    ordered = np.sort(new, axis=2)
    low, high = np.empty(came.shape), np.empty(came.shape)
    for i in range(new.shape[0]):
        for k in range(new.shape[1]):
            values = ordered[i, k]
            low[:, i, k] = np.searchsorted(values, came[:, i, k], "left") / (draws + 1)
            high[:, i, k] = (np.searchsorted(values, came[:, i, k], "right") + 1) / (draws + 1)
    expected, seen = np.log1p(new).mean(axis=2), np.log1p(came)

    def within(own: np.ndarray, k: int, level: int, bound: float) -> np.ndarray:
        share = central_share(low[:, own, k], high[:, own, k], level).mean(axis=1)
        return np.abs(share - level / 100.0) <= bound

    horizons = range(new.shape[1])
    shares = [
        within((observed >= 5) & known[:, k], k, level, WITHIN)
        for k in horizons
        for level in LEVELS
    ]
    last = horizons[-1]
    by_class, means = [], []
    for least, most in CLASSES:
        own = (observed >= least) & (observed <= most) & known[:, last]
        by_class += [within(own, last, level, WITHIN_CLASS) for level in LEVELS]
        off = expected[own, last].mean() / seen[:, own, last].mean(axis=1) - 1.0
        means.append(np.abs(off) <= OFF)
    return shares, by_class, means


def main() -> None:
    """Count bars met by replicates, and by what came."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backtest", type=Path, required=True)
    parser.add_argument("--method", default="surge")
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    panel = hfg.load_example()
    names = ("shares of all", "shares by class", "means by class")
    chance: dict[str, list[np.ndarray]] = {name: [] for name in names}
    real: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for date, months in AS_OF.items():
        draws = kept_draws(options.backtest, date, options.method).isel(horizon=slice(0, months))
        counts = draws["finetunes"].transpose("base_model", "horizon", "chain", "draw").to_numpy()
        observed = draws["observed"].to_numpy()
        new = counts.reshape(*counts.shape[:2], -1) - observed[:, None, None]
        _, end = outcomes(draws, panel)
        known = end >= 0
        picked = rng.integers(new.shape[2], size=(options.replicates, len(new)))
        came = np.stack([new[np.arange(len(new)), :, pick] for pick in picked])
        actual = np.where(known, end - observed[:, None], 0)[None]
        for kept, outcome in ((chance, came), (real, actual)):
            for name, bars in zip(names, met(new, outcome, known, observed), strict=True):
                kept[name] += bars
    for name in names:
        bars = np.array(chance[name])
        number = bars.sum(axis=0)
        few, many = np.quantile(number, [0.05, 0.95])
        print(
            f"{name}: a perfect forecaster meets {number.mean():.1f} of {len(bars)} on average "
            f"({few:.0f} to {many:.0f} in nine cases of ten), all of them in "
            f"{np.mean(number == len(bars)):.0%} of the cases; met here: "
            f"{np.array(real[name]).sum()}"
        )


if __name__ == "__main__":
    main()
