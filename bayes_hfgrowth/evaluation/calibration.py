"""How often intervals held what came, by size and horizon: the backtests whose averages ship.

``bayes_hfgrowth/data/calibration.csv`` holds them; `bayes_hfgrowth.data.make_calibration` takes
them out of the folder of ``hfgrowth backtest``.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import as_file, files

import pandas as pd

from bayes_hfgrowth.evaluation.groups import COUNT_CLASSES
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.files import read_csv

__all__ = [
    "CLASSES",
    "COLUMNS",
    "COMMAND",
    "Calibration",
    "digest_of",
    "load_calibration",
    "size_class",
]

CLASSES = tuple(name for name in COUNT_CLASSES if name != "5+")
"""Classes of fine-tunes at the as-of date; each count is in one of them."""

COLUMNS = (
    *("specification", "method", "as_of", "horizon", "finetunes", "base_models"),
    *("coverage_50", "coverage_80", "coverage_95", "pit_50", "pit_80", "pit_95", "bias", "r_hat"),
)
"""Columns of the table: digest and name of the growth model, date and months ahead, class of
fine-tunes at the date, number of base models, shares of outcomes in the central intervals and of
the randomised PIT, mean of ln(1 + new fine-tunes) forecast over observed, less 1, and largest R-hat
of a population parameter in the fit behind the forecasts."""

COMMAND = "hfgrowth backtest PANEL --as-of DATE --months H --out DIR"
"""What measures it."""


def digest_of(spec: GrowthSpec) -> str:
    """Fingerprint of a growth model, as a backtest keeps it."""
    return hashlib.sha256(spec.to_json().encode()).hexdigest()


def size_class(finetunes: int) -> str:
    """Class of a count of fine-tunes, one of `CLASSES`.

    Examples
    --------
    >>> size_class(7)
    '5-49'
    """
    fits = [name for name in CLASSES if COUNT_CLASSES[name][0] <= finetunes]
    return fits[-1]


@dataclass(frozen=True, eq=False)
class Calibration:
    """Measured calibration of one growth model.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns `COLUMNS`; empty where nothing was measured of this growth model.
    """

    table: pd.DataFrame

    @property
    def r_hat(self) -> float:
        """Largest R-hat of the fits behind it; 1 where none was measured."""
        return float(self.table["r_hat"].max()) if len(self.table) else 1.0

    @property
    def longest(self) -> int:
        """Longest horizon that was measured, in months; 0 where none was."""
        return int(self.table["horizon"].max()) if len(self.table) else 0

    def near(self, finetunes: int, horizon: int) -> pd.DataFrame:
        """What was measured at a count at the date of the forecast, next to a horizon in months.

        Returns
        -------
        pandas.DataFrame
            Rows of the class, one for each as-of date: of the horizon, or of the longest
            shorter one, or where there is none of the shortest.
        """
        own = self.table[self.table["finetunes"] == size_class(finetunes)]
        rows = []
        for _, part in own.groupby("as_of", sort=True):
            short = part[part["horizon"] <= horizon]
            wanted = short["horizon"].max() if len(short) else part["horizon"].min()
            rows.append(part[part["horizon"] == wanted])
        return pd.concat(rows, ignore_index=True) if rows else own


def load_calibration(spec: GrowthSpec) -> Calibration:
    """Load what was measured of a growth model, from the file that comes with the package.

    Backtests of another one, or of other priors, tell nothing of it and are left out.

    Raises
    ------
    ForecastError
        When the file cannot be read.
    """
    with as_file(files("bayes_hfgrowth") / "data" / "calibration.csv") as path:
        table = read_csv(
            path, ForecastError, text=("specification", "method", "as_of", "finetunes")
        )
    own = table[table["specification"] == digest_of(spec)].reset_index(drop=True)
    return Calibration(own[list(COLUMNS)])
