"""The command line, `hfgrowth`."""

import sys

import typer

from bayes_hfgrowth.commands import demo, fits, sources
from bayes_hfgrowth.errors import HFGrowthError

INTERRUPTED = 130

app = typer.Typer(
    name="hfgrowth",
    help="Bayesian growth of the fine-tune counts of open-weight base models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for family in (demo, sources, fits):
    family.register(app)


def main() -> None:
    """Run a command; exit with 0, 2 after bad input, 130 after Ctrl-C."""
    try:
        app()
    except HFGrowthError as error:
        sys.stderr.write(f"hfgrowth: {' '.join(str(error).split())}\n")
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer turns Ctrl-C into this
            sys.stderr.write(
                "hfgrowth: interrupted; finished files are whole, no half-written one is left\n"
            )
        raise
