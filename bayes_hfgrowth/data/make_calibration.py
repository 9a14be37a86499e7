"""Make the table of measured calibration that comes with the package, from a backtest's folder.

hfgrowth backtest PANEL --as-of DATE --months H --out DIR
python -m bayes_hfgrowth.data.make_calibration DIR
"""

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from bayes_hfgrowth.evaluation.calibration import CLASSES, COLUMNS
from bayes_hfgrowth.support.errors import ForecastError, HFGrowthError
from bayes_hfgrowth.support.files import read_csv, write_table

__all__ = ["WORST_R_HAT", "calibration_of", "main"]

WORST_R_HAT = 1.1
"""Above it the intervals of forecasts are not those of the posterior. Coverage asks less of a fit
than its parameters do, whose R-hat is to be below 1.01; the table tells the R-hat."""


def calibration_of(folder: Path, method: str = "surge") -> pd.DataFrame:
    """Take the calibration of a growth model by size and horizon out of a backtest's folder.

    Returns
    -------
    pandas.DataFrame
        With the columns of `bayes_hfgrowth.evaluation.calibration.COLUMNS`.

    Raises
    ------
    ForecastError
        When the folder holds no backtest of the growth model, or the chains of a fit in it
        disagree so much that its intervals cannot be believed.
    """
    scores = read_csv(folder / "scores.csv", ForecastError, text=("group", "method", "as_of"))
    own = scores[(scores["method"] == method) & (scores["grouping"] == "count")]
    own = own[own["group"].isin(CLASSES)].rename(columns={"group": "finetunes"})
    if own.empty:
        raise ForecastError(f"{folder} holds no backtest of {method!r}; name another --method")
    digests, r_hats = {}, {}
    for date in own["as_of"].unique():
        path = folder / str(date).replace(":", "") / method / "about.json"
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            r_hats[date] = float(about["convergence"]["r_hat"])
            digests[date] = about["specification"]
        except (OSError, ValueError, KeyError, TypeError) as failure:
            raise ForecastError(f"{path} cannot be read; run the backtest again") from failure
        if not r_hats[date] < WORST_R_HAT:
            raise ForecastError(
                f"{path}: the chains disagree (R-hat {r_hats[date]:.3f}), so the fit's "
                "calibration tells nothing; run the backtest with more draws"
            )
    own = own.assign(
        specification=own["as_of"].map(digests), r_hat=own["as_of"].map(r_hats).round(3)
    )
    return own[list(COLUMNS)].reset_index(drop=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of hfgrowth backtest")
    parser.add_argument("--method", default="surge", help="growth model, surge by default")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "calibration.csv", help="file to write"
    )
    options = parser.parse_args(arguments)
    try:
        write_table(calibration_of(options.folder, options.method), options.out, ForecastError)
    except HFGrowthError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
