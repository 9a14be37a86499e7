"""The data shipped with the package: real counts of fine-tunes up to 21 February 2025.

The data card beside the files, ``bayes_hfgrowth/data/README.md``, tells their origin,
licence, columns and traps.
"""

from importlib.resources import as_file, files

import pandas as pd

from bayes_hfgrowth.panel.table import Panel, read_panel
from bayes_hfgrowth.support.errors import PanelError
from bayes_hfgrowth.support.files import read_table

__all__ = ["load_example", "load_paper_fits"]


def load_example() -> Panel:
    """Load the example panel.

    Returns
    -------
    Panel
        3,120 base models of 17 organizations, observed on 2025-02-21; those without any
        fine-tune are in it.

    Examples
    --------
    >>> panel = load_example()
    >>> len(panel.base_models)
    3120
    >>> print(panel.observed_at.date())
    2025-02-21
    """
    with as_file(files("bayes_hfgrowth") / "data" / "example.parquet") as path:
        return read_panel(path)


def load_paper_fits() -> pd.DataFrame:
    """Load the parameters that the authors of arXiv 2502.15987 published for the example.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``base_model``, in the order of the example panel: ``lambda``, ``mu`` and
        ``sigma`` of their curve (m = 1, age in years; NaN where they gave none) and their
        ``verdict``, ``"Fit the model"`` or ``"Does not fit"``.

    Examples
    --------
    >>> sorted(load_paper_fits()["verdict"].unique())
    ['Does not fit', 'Fit the model']
    """
    with as_file(files("bayes_hfgrowth") / "data" / "paper_fits.parquet") as path:
        return read_table(path, PanelError).set_index("base_model")
