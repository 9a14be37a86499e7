"""What the paper's least squares score where a fit that failed counts, too.

    python -m benchmarks.failed_fits --backtest backtest

reads the scores that `hfgrowth backtest` wrote. Whoever has nothing but the curve has no forecast
where the optimiser gave up or no month is known; here that counts as no further fine-tune, on all
base models with at least 5 fine-tunes at the date, at the longest horizon.
"""

import argparse
from pathlib import Path

import pandas as pd


def main() -> None:
    """Print one line for each date and way to fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--backtest", type=Path, required=True)
    options = parser.parse_args()
    scores = pd.read_parquet(options.backtest / "base_models.parquet")
    scores = scores[scores["observed"] >= 5]
    for date, rows in scores.groupby("as_of"):
        last = rows[rows["horizon"] == rows["horizon"].max()]
        by_method = last.set_index("base_model").groupby("method")
        ours = by_method.get_group("surge")
        for method in ("least_squares_months", "least_squares_years"):
            theirs = by_method.get_group(method)["crps_log"].reindex(ours.index)
            counted = theirs.fillna(ours["log_new"])
            print(
                f"{date} {method}: {theirs.notna().sum()} of {len(ours)} fitted; CRPS "
                f"{counted.mean():.3f}, ours {ours['crps_log'].mean():.3f}, "
                f"{1.0 - ours['crps_log'].mean() / counted.mean():.1%} lower"
            )


if __name__ == "__main__":
    main()
