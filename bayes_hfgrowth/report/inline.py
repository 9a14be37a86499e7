"""Figures and files that stand inside the page itself."""

import base64
import io
import warnings
from importlib import resources
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.style import styled

__all__ = ["Drawing", "drawing", "plain_names", "text_of"]

PIXELS = 96
"""Pixels of a page in an inch."""


class Drawing(NamedTuple):
    """A figure as an ``<img>`` takes it: ``data:`` address, and size in pixels."""

    address: str
    width: int
    height: int


def drawing(figure: Figure) -> Drawing:
    """Draw a figure as SVG, to stand in the page as an image.

    An image cannot run script or fetch anything, whatever names it holds. Letters are drawn
    as shapes, so it looks the same without the font.
    """
    buffer = io.BytesIO()
    with styled(), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; the table beside has the name.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        mpl.rcParams["svg.fonttype"] = "path"
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    address = "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = figure.get_size_inches() * PIXELS
    return Drawing(address, round(width), round(height))


def plain_names(table: pd.DataFrame) -> pd.DataFrame:
    """Keep matplotlib from reading formulas between the dollar signs of an organization."""
    return table.assign(organization=table["organization"].str.replace("$", r"\$", regex=False))


def text_of(folder: str, name: str) -> str:
    """Text of a file that is shipped inside the report package."""
    return resources.files("bayes_hfgrowth.report").joinpath(folder, name).read_text("utf-8")
