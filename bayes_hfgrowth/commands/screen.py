"""What the commands print: messages on standard error, results on standard output."""

from collections.abc import Mapping, Sequence

import pandas as pd
from rich.console import Console
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from bayes_hfgrowth.posterior.convergence import Convergence

__all__ = ["announce", "show_sections", "show_table", "show_verdict"]

_WIDTH_OF_FILES = 160  # characters


def announce(message: str) -> None:
    """Print one line about what is going on, on standard error."""
    Console(stderr=True, soft_wrap=True).print(Text(message))


def show_verdict(verdict: Convergence, *, only_bad: bool = False) -> None:
    """Print the verdict on convergence, in a red box when it is bad, on standard error."""
    console = Console(stderr=True)
    if not verdict.converged:
        lines = "\n".join(f"- {problem}" for problem in verdict.problems)
        text = f"{lines}\nDo not trust these numbers. Fit again: {verdict.advice}."
        console.print(Box(Text(text), title="NOT CONVERGED", style="bold red"))
    elif not only_bad:
        console.print(Text(str(verdict)), soft_wrap=True)


def show_table(table: pd.DataFrame, title: str, numbers: Sequence[str]) -> None:
    """Print a table on standard output: its text columns, then the numeric ones that are named."""
    texts = [str(name) for name in table.columns if table[name].dtype.kind in "OUT"]
    grid = Table(title=Text(title))
    for name in texts:
        grid.add_column(name.replace("_", " "))
    for name in numbers:
        grid.add_column(name.replace("_", " "), justify="right")
    for row in table[[*texts, *numbers]].itertuples(index=False):
        cells = [value if isinstance(value, str) else _number(value) for value in row]
        grid.add_row(*(Text(cell) for cell in cells))
    console = Console()
    if not console.is_terminal:  # a file has no edge to fit into
        console.width = max(console.width, _WIDTH_OF_FILES)
    console.print(grid)


def show_sections(sections: Mapping[str, Sequence[str]]) -> None:
    """Print sentences under their headings on standard output; none of them is broken."""
    console = Console(soft_wrap=True)
    for heading, sentences in sections.items():
        console.print()
        console.print(Text(heading, style="bold"))
        for sentence in sentences:
            console.print(Text(f"- {sentence}"))


def _number(value: float) -> str:
    if pd.isna(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"
