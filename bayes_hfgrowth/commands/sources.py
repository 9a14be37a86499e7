"""The commands that make panels: `hfgrowth fetch` and `hfgrowth snapshot`."""

from collections.abc import Iterable, Mapping
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
Relations = Annotated[
    list[Relation] | None,
    typer.Option(
        "--relation",
        metavar="|".join(RELATIONS),
        help="Which children to count, as they are declared on the Hub; by default finetune. "
        "Repeated, it makes a panel with a column relation.",
    ),
]
Refresh = Annotated[
    bool, typer.Option("--refresh", help="List everything again, not only what is new.")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where arriving pages are kept; by default HFGROWTH_CACHE or ~/.cache."
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
        list[str] | None, typer.Argument(metavar="[BASE_MODEL]...", help="Hub ids, namespace/name.")
    ] = None,
    organization: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMESPACE", help="Take all base models of a Hub namespace."),
    ] = None,
    relation: Relations = None,
    metric: MetricOption = "finetunes",
    refresh: Refresh = False,
    cache: Cache = None,
) -> None:
    """Collect a panel from the live Hub.

    A run that was interrupted goes on where it stopped; a later one asks only for what is new.
    The token is that of `hf auth login` or HF_TOKEN, the Hub that of HF_ENDPOINT.
    """
    from bayes_hfgrowth.sources.hub import collect_relations, lines_of

    check_file(out, (".csv", ".parquet"), PanelError)
    found = collect_relations(
        base_models or (),
        namespaces=organization or (),
        relations=relation or ("finetune",),
        metric=metric,
        cache=cache,
        refresh=refresh,
    )
    panels = {name: one.panel for name, one in found.items()}
    _finish(panels, lines_of(found.values()), out)


def snapshot(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Parquet (hub-stats) or CSV (ai_ecosystem): files, a folder, or hf://datasets/….",
        ),
    ],
    out: Out,
    relation: Relations = None,
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
    """Build a panel of all base models from a snapshot of the whole Hub.

    Of several relations, the files are read once for each.
    """
    from bayes_hfgrowth.sources.lineage import checked_relations
    from bayes_hfgrowth.sources.snapshot import snapshot_panel

    check_file(out, (".csv", ".parquet"), PanelError)
    panels: dict[Relation, Panel] = {}
    lines: list[str] = []
    notes: list[str] = []
    for name in checked_relations(relation or ("finetune",)):
        panels[name], summary, more = snapshot_panel(
            files,
            relation=name,
            metric=metric,
            min_finetunes=min_finetunes,
            namespaces=organization or (),
            observed_at=observed_at,
        )
        lines += summary.lines()
        notes += more
    _finish(panels, dict.fromkeys([*lines, *notes]), out)


def _finish(panels: Mapping[Relation, Panel], lines: Iterable[str], out: Path) -> None:
    from bayes_hfgrowth.panel.relations import RelationPanels

    if len(panels) == 1:
        next(iter(panels.values())).write(out)
    else:
        RelationPanels(panels).write(out)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in [*lines, f"wrote {out}"]:
        console.print(line, markup=False)
