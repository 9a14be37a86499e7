"""Progress of long work, shown on standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress
from rich.console import Console

__all__ = ["Progress"]

type Advance = Callable[[int, str], None]


class Progress:
    """Stages of a job, each with a bar of its own.

    Parameters
    ----------
    show : bool
        Whether to show anything at all. Bars appear only on a terminal; elsewhere nothing is
        printed, so that logs stay readable.
    """

    def __init__(self, show: bool = True) -> None:
        self._show = show and sys.stderr is not None and sys.stderr.isatty()

    def heading(self, title: str) -> None:
        """Name the job that the next stages belong to."""
        if self._show:
            Console(stderr=True).print(title, markup=False, highlight=False)

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Advance]:
        """Show one stage while the block runs.

        Parameters
        ----------
        title : str
            What is being done.
        total : int, optional
            Number of steps; a spinner is shown when it is not known.

        Yields
        ------
        callable
            Takes the number of steps done so far and a remark.
        """
        if not self._show:
            yield lambda done, remark: None
            return
        columns = [
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            *([progress.MofNCompleteColumn(), progress.TimeRemainingColumn()] if total else []),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[remark]}", markup=False),
        ]
        with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(title, total=total, remark="")
            yield lambda done, remark: bars.update(task, completed=done, remark=remark)
