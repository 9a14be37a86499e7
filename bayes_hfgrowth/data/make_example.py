"""Make the shipped example data from tidy CSV files.

python -m bayes_hfgrowth.data.make_example FINETUNES.csv PAPER_FITS.csv
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from bayes_hfgrowth.panel.table import Panel, read_panel
from bayes_hfgrowth.support.errors import HFGrowthError, PanelError
from bayes_hfgrowth.support.files import read_table, write_table
from bayes_hfgrowth.support.months import as_utc

__all__ = ["main", "make_panel", "make_paper_fits"]

OBSERVED_AT = "2025-02-21"
"""Observation date behind the published counts; the data card says how it was found."""

FIT_COLUMNS = ["base_model", "lambda", "mu", "sigma", "verdict"]


def make_panel(counts: Path) -> Panel:
    """Read the counts and stamp them with their observation date."""
    table = read_panel(counts).table
    return Panel.from_table(table.assign(observed_at=as_utc(OBSERVED_AT)), source=str(counts))


def make_paper_fits(fits: Path, panel: Panel) -> pd.DataFrame:
    """Read the published parameters, in the order of the panel."""
    table = read_table(fits, PanelError)
    missing = [column for column in FIT_COLUMNS if column not in table]
    if missing:
        raise PanelError(f"{fits} has no column {missing[0]!r}; it needs {', '.join(FIT_COLUMNS)}")
    if sorted(table["base_model"]) != sorted(panel.base_models.index):
        raise PanelError(f"{fits} has other base models than the counts; give files that match")
    return table.set_index("base_model").loc[panel.base_models.index].reset_index()[FIT_COLUMNS]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("counts", type=Path, help="CSV file of monthly counts, a panel file")
    parser.add_argument("fits", type=Path, help="CSV file of the published parameters")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder")
    options = parser.parse_args(arguments)
    try:
        panel = make_panel(options.counts)
        fits = make_paper_fits(options.fits, panel)
        panel.write(options.out / "example.parquet")
        write_table(fits, options.out / "paper_fits.parquet", PanelError)
    except HFGrowthError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
