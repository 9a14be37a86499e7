"""The commands that make panels: `hfgrowth fetch` and `hfgrowth snapshot`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.panel.counted import METRICS, RELATIONS, Metric, Relation
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import PanelError

Out = Annotated[
    Path, typer.Option("--out", metavar="PANEL", help="Panel to write, .csv or .parquet.")
]
RelationOption = Annotated[
    Relation,
    typer.Option(
        "--relation",
        metavar="|".join(RELATIONS),
        help="Which children to count, as they are declared on the Hub.",
    ),
]

MetricOption = Annotated[
    Metric,
    typer.Option(
        "--metric",
        metavar="|".join(METRICS),
        help="Count these children, or the different namespaces that made them.",
    ),
]


def fetch(
    out: Out,
    base_models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BASE_MODEL]...", help="Hub ids, namespace/name."),
    ] = None,
    organization: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMESPACE", help="Take all base models of a Hub namespace."),
    ] = None,
    relation: RelationOption = "finetune",
    metric: MetricOption = "finetunes",
    refresh: Annotated[
        bool, typer.Option("--refresh", help="List everything again, not only what is new.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where arriving pages are kept; by default HFGROWTH_CACHE or ~/.cache.",
        ),
    ] = None,
) -> None:
    """Collect a panel from the live Hub.

    A run that was interrupted goes on where it stopped; a later one asks only for what is new.
    The token is that of `hf auth login` or HF_TOKEN, the Hub that of HF_ENDPOINT.
    """
    from bayes_hfgrowth.sources.hub import collect

    check_file(out, (".csv", ".parquet"), PanelError)
    collection = collect(
        base_models or (),
        namespaces=organization or (),
        relation=relation,
        metric=metric,
        cache=cache,
        refresh=refresh,
    )
    _finish(collection.panel, collection.lines(), out)


def snapshot(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Parquet (hub-stats) or CSV (ai_ecosystem): files, a folder, or hf://datasets/….",
        ),
    ],
    out: Out,
    relation: RelationOption = "finetune",
    metric: MetricOption = "finetunes",
    min_finetunes: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Fewest children of a base model; 0 adds models that declare no base model.",
        ),
    ] = 1,
    organization: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMESPACE", help="Keep only base models of a Hub namespace."),
    ] = None,
    observed_at: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="When the snapshot was taken; by default the day of its newest model.",
        ),
    ] = None,
) -> None:
    """Build a panel of all base models from a snapshot of the whole Hub."""
    from bayes_hfgrowth.sources.snapshot import snapshot_panel

    check_file(out, (".csv", ".parquet"), PanelError)
    panel, summary, notes = snapshot_panel(
        files,
        relation=relation,
        metric=metric,
        min_finetunes=min_finetunes,
        namespaces=organization or (),
        observed_at=observed_at,
    )
    _finish(panel, [*summary.lines(), *notes], out)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(fetch)
    app.command()(snapshot)


def _finish(panel: Panel, lines: Iterable[str], out: Path) -> None:
    panel.write(out)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in [*lines, f"wrote {out}"]:
        console.print(line, markup=False)
