"""Progress of a collection, on standard error."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich import progress
from rich.console import Console


class Display:
    """A bar that tells what is collected, how much of it, and what is waited for.

    `bar` has been started, or is disabled where there is no terminal; `talkative` prints lines.
    """

    def __init__(self, bar: progress.Progress, talkative: bool) -> None:
        self._bar, self._talkative = bar, talkative
        self._models = bar.add_task("asking the Hub", total=None, rows=0)
        self._rows = 0
        self._text = "asking the Hub"
        self._told = ""

    def begin(self, text: str, total: int) -> None:
        """Start on something of known size."""
        self._text = text
        self._bar.update(self._models, description=text, total=total, completed=0)

    def step(self) -> None:
        """Count one more as done."""
        self._bar.advance(self._models)

    def rows(self, count: int) -> None:
        """Count the rows that have arrived."""
        self._rows += count
        self._told = ""
        self._bar.update(self._models, description=self._text, rows=self._rows)

    def waiting(self, seconds: float, reason: str) -> None:
        """Show how long is left to wait, and why."""
        self._bar.update(
            self._models, description=f"{self._text}: {reason}, {seconds:.0f} s to wait"
        )
        if not self._bar.console.is_terminal and seconds > 5 and self._told != reason:
            self._told = reason  # once, where there is no bar to see
            self.say(f"{reason}: waiting {seconds:.0f} s")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._talkative:
            self._bar.console.print(text, markup=False, highlight=False)


def tell(lines: Iterable[str]) -> None:
    """Print lines on standard error as they are, however long."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in lines:
        console.print(line, markup=False)


@contextmanager
def shown(visible: bool) -> Iterator[Display]:
    """Show a display while the block runs; not at all if it is not to be visible."""
    columns = (
        progress.SpinnerColumn(),
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rows]:,} rows"),
        progress.TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    hidden = not visible or not console.is_terminal
    with progress.Progress(*columns, console=console, disable=hidden, transient=True) as bar:
        yield Display(bar, visible)
