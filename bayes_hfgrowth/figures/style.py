"""One look for all figures: sizes, colours, and how a figure is saved."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from bayes_hfgrowth.support.errors import HFGrowthError
from bayes_hfgrowth.support.files import whole_file

__all__ = [
    "COLOURS",
    "CYCLE",
    "ENDINGS",
    "WIDTH",
    "band",
    "counts_on",
    "key_line",
    "log_ticks",
    "name_rows",
    "new_figure",
    "note_on",
    "panel_grid",
    "panel_title",
    "rounded_count",
    "save_figure",
    "shortened",
    "styled",
]

WIDTH = 7.0
"""Width of a figure in inches: the text width of a paper."""

ENDINGS = (".png", ".svg", ".pdf")
"""Formats that figures are saved in."""

# Okabe and Ito (2008): told apart under every common form of colour blindness.
COLOURS = {
    "observed": "#000000",
    "model": "#0072B2",
    "paper": "#D55E00",
    "other": "#009E73",
    "muted": "#7F7F7F",
}
"""What each colour stands for in every figure."""

CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#000000")
"""Colours of what stands side by side and has none of its own."""

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "svg.fonttype": "none",
    "svg.hashsalt": "bayes-hfgrowth",
    "pdf.fonttype": 42,
}


_PARTS = (
    (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    (1, 1.2, 1.5, 2, 3, 4, 5, 7),
    (1, 1.5, 2, 3, 5, 7),
    (1, 2, 5),
    (1, 3),
    (1,),
)
"""Ticks within a decade of a logarithmic axis, the densest first."""


@contextmanager
def styled() -> Iterator[None]:
    """Draw inside this; the user's own settings of matplotlib come back afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Empty figure that belongs to no window and to no list of open figures.

    Parameters
    ----------
    height, width : float
        Inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_grid(figure: Figure | SubFigure, rows: int, columns: int, number: int) -> list[Axes]:
    """As many panels as are needed of a grid, row by row; the rest stays empty."""
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[number:]:
        axes.remove()
    return panels[:number]


def name_rows(panels: Sequence[Axes], names: Sequence[str]) -> None:
    """Name the rows that panels side by side share, from the top down, with a grid of values."""
    for axes in panels:
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.3, color="#D0D0D0")
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.5, -0.5)


def band(
    axes: Axes,
    x: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    opacity: float,
    colour: str = "model",
    **options: Any,
) -> None:
    """Fill between two lines, in one of the `COLOURS`; options are those of matplotlib."""
    axes.fill_between(x, lower, upper, color=COLOURS[colour], alpha=opacity, linewidth=0, **options)


def key_line(label: str, colour: str, **options: Any) -> Line2D:
    """Entry of a legend for a line or a mark in one of the `COLOURS`."""
    return Line2D([], [], color=COLOURS[colour], label=label, **options)


def note_on(axes: Axes, text: str, colour: str, top: float) -> None:
    """Write a note into the upper left corner, so high as a share of the height."""
    place = axes.transAxes
    axes.text(0.05, top, text, transform=place, va="top", fontsize=6.5, color=COLOURS[colour])


def counts_on(axes: Axes, *, x: bool = False, y: bool = False) -> None:
    """Write the ticks of an axis as counts: 950, 1,200, 12k, 3.4M."""
    formatter = FuncFormatter(lambda value, _: _count(value))
    if x:
        axes.xaxis.set_major_formatter(formatter)
    if y:
        axes.yaxis.set_major_formatter(formatter)


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers for a logarithmic axis: as many as there are, up to a limit.

    Parameters
    ----------
    low, high : float
        Ends of the axis, above 0.
    most : int
        Most ticks, at least 2.

    Returns
    -------
    list of float
        Between the ends; perhaps none where these are close together.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for parts in _PARTS:
        ticks = [
            # Read from its digits: 1.2 * 10**-3 would be written out as 0.0012000000000000001.
            value
            for k in range(first, last + 1)
            for part in parts
            if low <= (value := float(f"{part}e{k}")) <= high
        ]
        if len(ticks) <= most:
            return ticks
    return ticks[:: -(-len(ticks) // most)]


def rounded_count(value: float) -> str:
    """A count by its two leading digits, written as on the axes."""
    return _count(float(f"{value:.2g}"))


def shortened(text: str, longest: int) -> str:
    """The text, cut in the middle where it is too long for its place."""
    if len(text) <= longest:
        return text
    keep = longest - 1
    return f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}"


def panel_title(name: str, longest: int) -> str:
    """A base model's name on one line if it fits, else its namespace above the rest."""
    if len(name) <= longest:
        return name
    namespace, slash, rest = name.rpartition("/")
    lines = [namespace + slash, rest] if namespace else [rest]
    return "\n".join(shortened(line, longest) for line in lines)


def save_figure(
    figure: Figure, path: str | os.PathLike[str], error: type[HFGrowthError] = HFGrowthError
) -> None:
    """Write a figure, whole or not at all; the same figure gives the same file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From any function of `bayes_hfgrowth.figures`.
    path : path-like
        Ends in ``.png``, ``.svg`` or ``.pdf``.
    error : type of HFGrowthError
        What to raise.

    Raises
    ------
    HFGrowthError
        Of the given type, when the ending is another or the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise error(
            f"{os.fspath(path)} ends in {ending or 'nothing'}; "
            "figures are saved as .png, .svg or .pdf"
        )
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
    with styled(), whole_file(path, error) as temporary:
        figure.savefig(temporary, format=ending[1:], dpi=200, metadata=undated)


def _count(value: float) -> str:
    if value < 0:
        return f"\N{MINUS SIGN}{_count(-value)}"
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit * (10 if name == "k" else 1):
            return f"{value / unit:g}{name}"
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"
