"""The command `hfgrowth page`: one page about base models of the Hub."""

from pathlib import Path
from typing import Annotated

import typer

from bayes_hfgrowth.commands.fits import Months, ReadSeed, Until, population_of, tell_strangers
from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.commands.screen import announce, show_verdict
from bayes_hfgrowth.commands.sources import Cache, Refresh, Relations
from bayes_hfgrowth.panel.counted import METRICS, Metric
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.names import numbered


def page(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.html", help="Page to write.")],
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID_OR_NAMESPACE]...",
            help="Base models of the Hub, namespace/name, or namespaces for all of theirs.",
        ),
    ] = None,
    until: Until = None,
    months: Months = None,
    threshold: Annotated[
        int | None,
        typer.Option(metavar="N", help="Ask how probable more than N fine-tunes are, and when."),
    ] = None,
    panel: Annotated[
        Path | None,
        typer.Option(metavar="PANEL", help="Take the counts from this panel, not from the Hub."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Forecast from what was known at this date.")
    ] = None,
    population: Annotated[
        Path | None,
        typer.Option(
            metavar="FIT",
            help="Forecast from the population of this fit, not from the one in the package.",
        ),
    ] = None,
    relation: Relations = None,
    metric: Annotated[
        Metric | None,
        typer.Option(
            metavar="|".join(METRICS),
            help="Count these children, or the different namespaces that made them; by default "
            "as the population does.",
        ),
    ] = None,
    refresh: Refresh = False,
    cache: Cache = None,
    seed: ReadSeed = None,
) -> None:
    """Write one HTML page about base models: how many fine-tunes by when, and how sure that is.

    Counts are collected from the Hub and forecast from a population posterior, 12 months ahead
    unless --until or --months says otherwise; nothing is fitted. Several base models stand side
    by side, and so do several relations, of which only the one that the population was learned from
    is forecast. The page loads nothing from any network. The answers are printed too.
    """
    from bayes_hfgrowth.answer_page import page as write
    from bayes_hfgrowth.panel.relations import read_relations

    check_file(out, (".html",), ForecastError)
    known = population_of(population)
    content = write(
        names or (),
        out,
        until=until,
        months=months,
        threshold=threshold,
        seed=seed,
        panel=None if panel is None else read_relations(panel),
        as_of=as_of,
        population=known,
        relation=relation or None,
        metric=metric,
        cache=cache,
        refresh=refresh,
    )
    for subject in (*content.sums, *content.subjects):
        typer.echo(f"{subject.name} {subject.answer}")
    for note in content.asked.notes:
        announce(note)
    strangers = {subject.organization for subject in content.subjects} - set(known.organizations)
    tell_strangers(sorted(strangers))
    number = numbered(content.number, "base model")
    announce(f"wrote {out}: {number}, {out.stat().st_size / 1e6:.1f} MB")
    show_verdict(known.convergence, only_bad=True)
