"""Put the page together and write it."""

import re
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from bayes_hfgrowth import __version__
from bayes_hfgrowth.answer_page.content import LEVELS, PageContent, Subject
from bayes_hfgrowth.evaluation.calibration import COMMAND
from bayes_hfgrowth.figures.dated import (
    RelationSeries,
    alike_chart,
    dated_fan,
    leaders_chart,
    relations_chart,
)
from bayes_hfgrowth.forecast.answers import percent
from bayes_hfgrowth.panel.relations import RECENT, RelationPanels
from bayes_hfgrowth.report.inline import Drawing, data_address, drawing, page_environment, text_of
from bayes_hfgrowth.support.months import month_end
from bayes_hfgrowth.support.names import numbered

__all__ = ["answer_style", "render_answer", "render_page"]

_PLACE = ("bayes_hfgrowth.answer_page", "template")


def render_page(content: PageContent) -> str:
    """Render the page: an HTML document that asks nothing of any network and runs no script.

    Names are untrusted text: the template engine escapes them, and figures are images in which
    letters are shapes.

    Parameters
    ----------
    content : PageContent
        What it tells.
    """
    return _page(content, _shared(content))


def render_answer(content: PageContent) -> str:
    """Render the answers, charts and verdicts of a page, to stand in another one.

    Parameters
    ----------
    content : PageContent
        What they are taken from.

    Returns
    -------
    str
        An element ``<div class="hfgrowth">`` without script, which holds a link to the whole
        page; `answer_style` is its style.
    """
    shared = _shared(content)
    whole = data_address("text/html", _page(content, shared).encode())
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(content.asked.names))[:80].strip("-.")
    template = _environment().get_template("answer.html.jinja")
    return template.render(**shared, whole_page=whole, file_name=f"{name or 'forecast'}.html")


def answer_style() -> str:
    """Return the rules of style of what `render_answer` returns, for that element alone.

    Colours are for whoever takes it up to set, as ``--ink``, ``--ground`` and so on.
    """
    return f".hfgrowth {{\n{text_of(*_PLACE, 'content.css')}}}\n"


def _page(content: PageContent, shared: dict[str, Any]) -> str:
    leaders = content.leaders
    template = _environment().get_template("page.html.jinja")
    return template.render(
        **shared,
        about=content.population.about,
        recent=RECENT,
        title=_title(content),
        leaders_figure=None if leaders is None else _leaders_figure(leaders),
        address=_address([*content.sums, *content.subjects]),
        command=COMMAND,
        version=__version__,
        style=Markup(text_of(*_PLACE, "page.css") + text_of(*_PLACE, "content.css")),
    )


@cache  # with the templates, which take as long to compile as a page takes to fill
def _environment() -> Environment:
    environment = page_environment(*_PLACE)
    environment.filters |= {
        "months": partial(numbered, what="month"),
        "percent": percent,
        "signed": lambda value: f"{100 * value:+.0f}%",
        "share": lambda value: f"{100 * value:.0f}%",
    }
    return environment


def _shared(content: PageContent) -> dict[str, Any]:
    """Collect what the page and its answers alone are both made of."""
    return {
        "content": content,
        "sections": [_section(subject, content) for subject in content.subjects],
        "sums": [_section(subject, content) for subject in content.sums],
        "levels": LEVELS,
    }


def _title(content: PageContent) -> str:
    names = [subject.name for subject in (*content.sums, *content.subjects)]
    several = f" and {len(names) - 1} more" if len(names) > 1 else ""
    counted = content.counted.of(names[0])
    return f"{counted[0].upper()}{counted[1:]}{several} by {content.until:%Y-%m-%d}"


def _section(subject: Subject, content: PageContent) -> dict[str, Any]:
    """A subject and what is drawn of it."""
    counts = (subject.table, subject.dates, subject.counts)
    fan = dated_fan(*counts, threshold=content.threshold, counted=content.counted)
    start = f"{subject.dates[-1]:%Y-%m-%d}"
    text = (
        f"{content.counted.title} by date, {subject.name}: {subject.observed:,} on {start}, then "
        "the median forecast and bands of 50, 80 and 95%. "
        f"{subject.answer[0].upper()}{subject.answer[1:]}."
    )
    return {
        "subject": subject,
        "fan": drawing(fan, text),
        "alike": _alike(subject),
        "relations": _relations(subject, content),
    }


def _alike(subject: Subject) -> Drawing | None:
    found = subject.comparables
    if found is None or not found.paths:
        return None
    later = [f"{row.base_model} had {row.later:,}" for row in found.nearest.itertuples()]
    text = (
        f"Fine-tunes by age: {subject.name} up to {numbered(subject.months, 'month')}, and base "
        f"models that had as many then, to {numbered(found.age + found.months, 'month')}, when "
        f"{', '.join(later)}."
    )
    return drawing(alike_chart(subject.counts, found.paths), text)


def _relations(subject: Subject, content: PageContent) -> Drawing | None:
    last, panels = subject.relations, content.asked.by_relation
    if last is None or panels is None:
        return None
    counts = [f"{n:,} {what}" for n, what in zip(last["count"], last["counted"], strict=True)]
    text = f"{subject.name} by relation: {', '.join(counts)}."
    return drawing(relations_chart(_series(panels, subject, content)), text)


def _series(panels: RelationPanels, subject: Subject, content: PageContent) -> list[RelationSeries]:
    """The relations of a base model as they are drawn."""
    found = []
    for panel in panels.panels.values():
        own = panel.table[panel.table["base_model"] == subject.name]
        if own.empty:
            continue
        knows = "authors" in own and panel.counted.metric != "authors"
        found.append(
            RelationSeries(
                panel.counted,
                month_end(own["created_at"].iloc[0], own["month"].to_numpy()),
                own[panel.counted.metric].to_numpy(),
                own["authors"].to_numpy(np.float64) if knows else None,
                subject.table if panel.counted == content.counted else None,
            )
        )
    return found


def _leaders_figure(shares: pd.DataFrame) -> Drawing:
    last = shares.iloc[-1]
    parts = [f"{name} {percent(last[name])}" for name in last.index]
    text = (
        f"Probability of leading by date, from {shares.index[0]:%Y-%m-%d} to "
        f"{shares.index[-1]:%Y-%m-%d}. At the end: {', '.join(parts)}."
    )
    return drawing(leaders_chart(shares), text)


def _address(subjects: Sequence[Subject]) -> str:
    """All numbers as a CSV file that is part of the page."""
    tables = [
        subject.table.assign(base_model=subject.name if subject.created_at is not None else "")
        for subject in subjects
    ]
    table = pd.concat(tables, ignore_index=True)
    front = ["base_model", "organization"]
    table = table[[*front, *(name for name in table if name not in front)]]
    table["date"] = [f"{date:%Y-%m-%dT%H:%M:%SZ}" for date in table["date"]]
    # A spreadsheet takes what begins so for a formula, and names are anybody's.
    for name in front:
        risky = table[name].str[:1].isin(list("=+-@\t\r"))
        table[name] = np.where(risky, "'" + table[name], table[name])
    return data_address("text/csv", table.to_csv(index=False).encode())
