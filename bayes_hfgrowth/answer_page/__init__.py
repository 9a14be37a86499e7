"""Base models of the Hub: how many fine-tunes by when, and how sure that is. Answers and a page."""

import datetime as dt
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from bayes_hfgrowth.answer_page.asked import check_asked, from_example, from_hub, from_relations
from bayes_hfgrowth.answer_page.content import PageContent, gather
from bayes_hfgrowth.answer_page.document import render_page
from bayes_hfgrowth.forecast.answers import checked_threshold
from bayes_hfgrowth.forecast.paths import conditional_on
from bayes_hfgrowth.panel.counted import Metric, Relation
from bayes_hfgrowth.panel.relations import RelationPanels
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.population import PopulationPosterior, load_population
from bayes_hfgrowth.sources.client import Patience, UnreachableError
from bayes_hfgrowth.sources.lineage import checked_relations
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.files import whole_file
from bayes_hfgrowth.support.horizon import Date, months_ahead, until_date
from bayes_hfgrowth.support.months import as_utc

__all__ = ["ask", "page"]


def ask(
    names: str | Iterable[str],
    *,
    until: Date | None = None,
    months: int | None = None,
    threshold: float | None = None,
    seed: int | None = None,
    panel: Panel | RelationPanels | None = None,
    as_of: Date | None = None,
    example: bool | Literal["offline"] = False,
    population: PopulationPosterior | None = None,
    relation: Relation | Iterable[Relation] | None = None,
    metric: Metric | None = None,
    cache: str | os.PathLike[str] | None = None,
    refresh: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    patience: Patience | None = None,
    progress: bool = True,
) -> PageContent:
    """Collect and forecast base models: what `page` tells, without writing it.

    Parameters
    ----------
    names, until, months, threshold, seed, panel, as_of, population, relation, metric
        As in `page`.
    example : bool or {"offline"}
        Take the counts that come with the package and not the Hub's, or only where the Hub does
        not answer at all. The answer says so. They are of fine-tunes and of nothing else.
    cache, refresh, token, endpoint, patience
        As in `bayes_hfgrowth.sources.hub.collect`.
    progress : bool
        Whether to show progress on standard error.

    Returns
    -------
    PageContent
        Answers, charts' numbers, and how far to trust them.

    Raises
    ------
    SourceError, ForecastError, PanelError
        As `page` does.
    """
    months = 12 if until is None and months is None else months
    last = until_date(months, until)
    limit = None if threshold is None else checked_threshold(threshold)
    population = load_population() if population is None else population
    known_at = None if as_of is None else as_utc(as_of, "as-of date")
    chosen = [relation] if isinstance(relation, str) else relation
    chosen = None if chosen is None else checked_relations(chosen)
    main = population.counted.relation
    if panel is None:
        panels, relations = None, chosen or (main,)
        counts: Metric = population.counted.metric if metric is None else metric
    else:
        panels = _panels(panel, chosen, metric)
        relations, counts = panels.relations, panels[panels.relations[0]].counted.metric
    check_asked(relations, counts, population.counted)
    wanted = [names] if isinstance(names, str) else list(names)
    shipped = partial(from_example, wanted, known_at, relations=relations, metric=counts)
    if panels is not None:
        asked = from_relations(panels, wanted, known_at, main)
    elif example is True:
        asked = shipped()
    else:
        # What is wrong is said before the Hub is asked.
        latest = pd.Timestamp(dt.datetime.now(dt.UTC)).normalize().as_unit("us")
        start = latest if known_at is None else min(latest, known_at)
        conditional_on(population, months_ahead(months, last, start), seed, 1)
        try:
            asked = from_hub(
                wanted,
                relations=relations,
                forecast=main,
                metric=counts,
                cache=cache,
                refresh=refresh,
                token=token,
                endpoint=endpoint,
                patience=patience,
                progress=progress,
            )
        except UnreachableError as failure:
            if not example:
                raise
            asked = shipped(failure=failure)
        else:
            if known_at is not None:
                asked = asked.as_of(
                    known_at,
                    f"As of {known_at:%Y-%m-%d}, from what the Hub has today: what was deleted "
                    "since is missing.",
                )
    return gather(
        asked, population, until=last, months=months, threshold=limit, seed=seed, progress=progress
    )


def page(
    names: str | Iterable[str],
    out: str | os.PathLike[str],
    *,
    until: Date | None = None,
    months: int | None = None,
    threshold: int | None = None,
    seed: int | None = None,
    panel: Panel | RelationPanels | None = None,
    as_of: Date | None = None,
    population: PopulationPosterior | None = None,
    relation: Relation | Iterable[Relation] | None = None,
    metric: Metric | None = None,
    cache: str | os.PathLike[str] | None = None,
    refresh: bool = False,
    token: str | bool | None = None,
    endpoint: str | None = None,
    progress: bool = True,
) -> PageContent:
    """Write one HTML page about base models: what will come, how sure that is, and why.

    Their counts are collected from the Hub and forecast from a population posterior; nothing
    is fitted. The page opens in any browser, asks nothing of any network and runs no script.

    Parameters
    ----------
    names : str or iterable of str
        Ids of base models, ``namespace/name``, or namespaces, for all their base models.
    out : path-like
        Ends in ``.html``. The file appears whole or not at all.
    until : date, optional
        Until when to forecast; by default so many `months`.
    months : int, optional
        How far to forecast, in months, in place of `until`; 12 when neither is given.
    threshold : int, optional
        Ask also how probable it is that the count is above it, and when it gets there.
    seed : int, optional
        Same counts and seed, same page; by default the seed of the population's fit.
    panel : Panel or RelationPanels, optional
        Take the counts from it and not from the Hub; the names may be organizations too.
    as_of : date, optional
        Forecast from what was known at this date. What the Hub has lost since is not seen.
    population : PopulationPosterior, optional
        Forecast from this one; by default the one that comes with the package.
    relation : {"finetune", "adapter", "merge", "quantized", "all"}, or several, optional
        Which children to count; by default those that the population was learned from, or all
        that a panel holds. Several stand side by side, and only the former are forecast.
    metric : {"finetunes", "authors"}, optional
        Whether to count these children, or the different namespaces that made them; by default
        what the population, or the panel, counts.
    cache, refresh, token, endpoint
        As in `bayes_hfgrowth.sources.hub.collect`; an interrupted collection goes on where
        it stopped.
    progress : bool
        Whether to show progress on standard error.

    Returns
    -------
    PageContent
        What the page tells.

    Raises
    ------
    SourceError
        When an id or namespace does not exist or may not be seen, nothing is left to count,
        or the Hub cannot be reached.
    ForecastError
        When the horizon, the threshold or the seed is impossible, the population was learned
        from something else than is asked for, or the file cannot be written.
    PanelError
        When the panel does not hold what is asked for, or nothing was known at the as-of date.
    """
    path = Path(out)
    if path.suffix.lower() != ".html":
        raise ForecastError(f"{path} does not end in .html; a page is one HTML file")
    content = ask(
        names,
        until=until,
        months=months,
        threshold=threshold,
        seed=seed,
        panel=panel,
        as_of=as_of,
        population=population,
        relation=relation,
        metric=metric,
        cache=cache,
        refresh=refresh,
        token=token,
        endpoint=endpoint,
        progress=progress,
    )
    text = render_page(content)
    with whole_file(path, ForecastError) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return content


def _panels(
    panel: Panel | RelationPanels, relations: tuple[Relation, ...] | None, metric: Metric | None
) -> RelationPanels:
    """Panels by relation, as they are asked for."""
    found = RelationPanels({panel.counted.relation: panel}) if isinstance(panel, Panel) else panel
    found = found if relations is None else found.chosen(relations)
    return found if metric is None else found.counting(metric)
