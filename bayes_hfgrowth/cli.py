"""The command line, `hfgrowth`."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from bayes_hfgrowth.commands import (
    demo,
    evaluation,
    figures,
    fits,
    page,
    questions,
    rank,
    report,
    sources,
    update,
)
from bayes_hfgrowth.support.errors import HFGrowthError

FAILURE, BAD_INPUT, INTERRUPTED, TERMINATED = 1, 2, 130, 143

TRACEBACK = "HFGROWTH_TRACEBACK"
"""Environment variable: when set, a failure of the program itself shows its traceback."""

_NOTHING_HALF = "finished files are whole, no half-written one is left"

app = typer.Typer(
    name="hfgrowth",
    help="Bayesian growth of the fine-tune counts of open-weight base models.",
    pretty_exceptions_enable=False,
)
for command in (
    *(demo.demo, sources.fetch, sources.snapshot, page.page, fits.fit, fits.forecast),
    *(update.update, rank.rank, questions.compare, questions.diagnose, figures.figures),
    *(evaluation.backtest, evaluation.score, report.report),
):
    app.command()(command)


def main() -> NoReturn:
    """Run a command and exit.

    The status is 0 on success, 2 after wrong usage or bad input, 1 when the program itself
    failed, 130 after Ctrl-C and 143 after SIGTERM. Every failure is one line on standard error.
    """
    signal.signal(signal.SIGTERM, _terminate)
    arguments = sys.argv[1:]
    try:
        status = app(arguments or ["--help"], prog_name="hfgrowth", standalone_mode=False)
    except HFGrowthError as error:
        _end(str(error), BAD_INPUT)
    except typer.TyperException as error:  # an unknown option, a missing argument
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "hfgrowth"
        _end(f"{error.format_message().rstrip('.')}; see {command} --help", error.exit_code)
    except SystemExit as end:
        if end.code == TERMINATED:
            _end("terminated; " + _NOTHING_HALF, TERMINATED)
        raise
    except KeyboardInterrupt:  # before or after typer
        status = INTERRUPTED
    except BaseException as error:  # a panic of the sampler's Rust is no Exception
        if os.environ.get(TRACEBACK):
            raise
        _end(
            f"failed with {type(error).__name__}: {error}; this is a fault of the program, "
            f"set {TRACEBACK}=1 to see where",
            FAILURE,
        )
    if status == INTERRUPTED:  # typer turns Ctrl-C into this
        _end("interrupted; " + _NOTHING_HALF, INTERRUPTED)
    sys.exit(status or (0 if arguments else BAD_INPUT))


def _end(message: str, status: int) -> NoReturn:
    """Say in one line why the command ends here."""
    sys.stderr.write(f"hfgrowth: {' '.join(message.split())}\n")
    sys.exit(status)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """End as after Ctrl-C, so that temporary files go."""
    sys.exit(TERMINATED)
