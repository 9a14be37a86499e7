"""Put the page together and write it."""

import base64
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bayes_hfgrowth import __version__
from bayes_hfgrowth.answer_page.comparables import months_of
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
from bayes_hfgrowth.panel.relations import RECENT
from bayes_hfgrowth.report.inline import Drawing, drawing
from bayes_hfgrowth.support.months import month_end

__all__ = ["answer_style", "render_answer", "render_page"]


class _Section(NamedTuple):
    """A subject and what is drawn of it."""

    subject: Subject
    fan: Drawing
    fan_text: str
    alike: Drawing | None
    alike_text: str
    relations: Drawing | None
    relations_text: str


def render_page(content: PageContent) -> str:
    """Render the page: one file, which asks nothing of any network and runs no script.

    Names are untrusted text: the template engine escapes them, and figures are images in which
    letters are shapes.

    Parameters
    ----------
    content : PageContent
        What it tells.

    Returns
    -------
    str
        An HTML document.
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
    whole = base64.b64encode(_page(content, shared).encode()).decode("ascii")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(content.asked.names))[:80].strip("-.")
    return (
        _environment()
        .get_template("answer.html.jinja")
        .render(
            **shared,
            whole_page=f"data:text/html;base64,{whole}",
            file_name=f"{name or 'forecast'}.html",
        )
    )


def answer_style() -> str:
    """Return the rules of style of what `render_answer` returns, for that element alone.

    Colours are for whoever takes it up to set, as ``--ink``, ``--ground`` and so on.
    """
    return f".hfgrowth {{\n{_text(_environment(), 'content.css')}}}\n"


def _page(content: PageContent, shared: dict[str, Any]) -> str:
    environment = _environment()
    style = _text(environment, "page.css") + _text(environment, "content.css")
    leaders = content.leaders
    return environment.get_template("page.html.jinja").render(
        **shared,
        about=content.population.about,
        recent=RECENT,
        title=_title(content),
        leaders_figure=None if leaders is None else drawing(leaders_chart(leaders)),
        leaders_text="" if leaders is None else _leaders_text(leaders),
        address=_address([*content.sums, *content.subjects]),
        command=COMMAND,
        version=__version__,
        style=Markup(style),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bayes_hfgrowth.answer_page", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda value: f"{value:,.0f}",
        "day": lambda value: f"{pd.Timestamp(value):%Y-%m-%d}",
        "months": months_of,
        "percent": percent,
        "signed": lambda value: f"{100 * value:+.0f}%",
        "share": lambda value: f"{100 * value:.0f}%",
    }
    return environment


def _text(environment: Environment, name: str) -> str:
    """Text of a file beside the templates."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _shared(content: PageContent) -> dict[str, Any]:
    """Collect what the page and its answers alone are both made of."""
    return {
        "content": content,
        "sections": [_section(subject, content) for subject in content.subjects],
        "sums": [_section(subject, content) for subject in content.sums],
        "levels": LEVELS,
    }


def _title(content: PageContent) -> str:
    names = [*(sum_.name for sum_ in content.sums), *(s.name for s in content.subjects)]
    several = f" and {len(names) - 1} more" if len(names) > 1 else ""
    counted = content.counted.of(names[0])
    return f"{counted[0].upper()}{counted[1:]}{several} by {content.until:%Y-%m-%d}"


def _section(subject: Subject, content: PageContent) -> _Section:
    fan = dated_fan(
        subject.table,
        subject.dates,
        subject.counts,
        threshold=content.threshold,
        counted=content.counted,
    )
    start = f"{subject.dates[-1]:%Y-%m-%d}"
    text = (
        f"{content.counted.title} by date, {subject.name}: {subject.observed:,} on {start}, then "
        "the median forecast and bands of 50, 80 and 95%. "
        f"{subject.answer[0].upper()}{subject.answer[1:]}."
    )
    alike, alike_text = None, ""
    found = subject.comparables
    if found is not None and found.paths:
        alike = drawing(alike_chart(subject.counts, found.paths))
        later = [f"{row.base_model} had {row.later:,}" for row in found.nearest.itertuples()]
        alike_text = (
            f"Fine-tunes by age: {subject.name} up to {months_of(subject.months)}, and base models "
            f"that had as many then, to {months_of(found.age + found.months)}, when "
            f"{', '.join(later)}."
        )
    relations, relations_text = None, ""
    if subject.relations is not None:
        relations = drawing(relations_chart(_series(subject, content)))
        last = subject.relations
        counts = [f"{n:,} {what}" for n, what in zip(last["count"], last["counted"], strict=True)]
        relations_text = f"{subject.name} by relation: {', '.join(counts)}."
    return _Section(subject, drawing(fan), text, alike, alike_text, relations, relations_text)


def _series(subject: Subject, content: PageContent) -> list[RelationSeries]:
    """The relations of a base model as they are drawn."""
    panels, found = content.asked.by_relation, []
    assert panels is not None
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


def _leaders_text(shares: pd.DataFrame) -> str:
    """What the chart of leaders shows, in words."""
    last = shares.iloc[-1]
    parts = [f"{name} {percent(last[name])}" for name in last.index]
    return (
        f"Probability of leading by date, from {shares.index[0]:%Y-%m-%d} to "
        f"{shares.index[-1]:%Y-%m-%d}. At the end: {', '.join(parts)}."
    )


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
    text = table.to_csv(index=False)
    return "data:text/csv;base64," + base64.b64encode(text.encode()).decode("ascii")
