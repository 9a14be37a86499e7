"""What pages of HTML share: the template engine, and figures and files that stand inside a page."""

import base64
import io
import warnings
from importlib import resources
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from bayes_hfgrowth.figures.style import styled

__all__ = ["Drawing", "data_address", "drawing", "page_environment", "plain_names", "text_of"]

PIXELS = 96
"""Pixels of a page in an inch."""


class Drawing(NamedTuple):
    """A figure as an ``<img>`` takes it: ``data:`` address, size in pixels, text in its place."""

    address: str
    width: int
    height: int
    text: str


def drawing(figure: Figure, text: str = "") -> Drawing:
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
    width, height = figure.get_size_inches() * PIXELS
    address = data_address("image/svg+xml", buffer.getvalue())
    return Drawing(address, round(width), round(height), text)


def data_address(kind: str, content: bytes) -> str:
    """Address that holds a file itself, of a MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def plain_names(table: pd.DataFrame) -> pd.DataFrame:
    """Keep matplotlib from reading formulas between the dollar signs of an organization."""
    return table.assign(organization=table["organization"].str.replace("$", r"\$", regex=False))


def text_of(package: str, folder: str, name: str) -> str:
    """Text of a file that is shipped inside a package."""
    return resources.files(package).joinpath(folder, name).read_text("utf-8")


def page_environment(package: str, folder: str) -> Environment:
    """Template engine that escapes whatever is filled in, and fails where something is missing."""
    environment = Environment(
        loader=PackageLoader(package, folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda value: f"{value:,.0f}",
        "day": lambda value: f"{pd.Timestamp(value):%Y-%m-%d}",
    }
    return environment
