"""Put the page together and write it."""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bayes_hfgrowth.comparison.quantities import quantity_of
from bayes_hfgrowth.diagnostics import VERDICTS
from bayes_hfgrowth.figures import organization_forest, predictive_check
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.report.content import ReportContent, gather
from bayes_hfgrowth.report.inline import Drawing, drawing, plain_names, text_of
from bayes_hfgrowth.report.payload import payload
from bayes_hfgrowth.report.provenance import (
    about_data,
    about_fit,
    about_model,
    last_month_end,
    priors,
    versions,
)
from bayes_hfgrowth.report.vendor.update import LICENCE, RECORD, SCRIPT
from bayes_hfgrowth.support.errors import FitError
from bayes_hfgrowth.support.files import whole_file

__all__ = ["render_report", "write_report"]

SCRIPTS = ("data.js", "table.js", "chart.js", "main.js")
"""The page's own script, in the order in which its parts need each other."""


MOST_SURGES = 25
"""Most surges that are listed; each base model names its own besides."""


def write_report(
    fit: FittedDraws,
    path: str | os.PathLike[str],
    *,
    months: int = 12,
    seed: int | None = None,
    panel: Panel | None = None,
    progress: bool = False,
) -> None:
    """Write the report of a fit to one HTML file.

    Parameters
    ----------
    fit : FittedDraws
        The fit.
    path : path-like
        Ends in ``.html``. The file appears whole or not at all. It asks nothing of any
        network, and the same fit, months and seed give the same file.
    months : int
        How far to forecast, in months.
    seed : int, optional
        Same seed, same numbers as in forecast table and comparison; by default that of the
        fit.
    panel : Panel, optional
        The panel that was fitted, if it came from the Hub: with it the surges say whether one
        author or many made them.
    progress : bool
        Whether to show progress on standard error.

    Raises
    ------
    FitError
        When the name is another, the file cannot be written, or the panel does not know
        authors or has other counts.
    ForecastError
        When the horizon is out of range or the seed is negative.
    """
    if Path(path).suffix.lower() != ".html":
        raise FitError(f"{os.fspath(path)} does not end in .html; a report is one HTML file")
    page = render_report(gather(fit, months, seed, panel=panel, progress=progress))
    with whole_file(path, FitError) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_report(content: ReportContent) -> str:
    """Render the page.

    Names are untrusted text. They reach the page through the template engine, which escapes
    them, through JSON in which no character of markup is left as it is, and as letters drawn
    in images. Should one get through all the same, the policy in the page's head lets no
    script run but the page's own two, named by digest, and opens no connection.
    """
    environment = Environment(
        loader=PackageLoader("bayes_hfgrowth.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {"count": _count, "number": _number, "day": _day}
    environment.filters["said"] = content.fit.counted.said
    plotting = text_of("vendor", SCRIPT)
    own = _own_script()
    fit, diagnostics = content.fit, content.diagnostics
    return environment.get_template("report.html.jinja").render(
        content=content,
        fit=fit,
        counted=fit.counted,
        comparison=content.comparison,
        diagnostics=diagnostics,
        payload=payload(content),
        quantities=[quantity_of(key, fit.counted) for key in _quantities(content)],
        sensitivity=diagnostics.sensitivity.fillna({"remark": ""}),
        verdict_rows=_verdict_rows(content),
        surge_rows=_surge_rows(content),
        notes=content.comparison.notes() if content.comparison else {},
        last_month=last_month_end(fit),
        organizations=_organization_rows(content),
        organization_figure=_organization_figure(content),
        predictive_figure=drawing(
            predictive_check(diagnostics.rootogram, diagnostics.pit, fit.counted)
        ),
        about_data=about_data(fit),
        about_fit=about_fit(content),
        about_model=about_model(fit.spec),
        priors=priors(fit.spec),
        versions=versions(fit),
        style=Markup(text_of("page", "report.css")),
        plotting=Markup(plotting),
        own=Markup(own),
        digests=[_digest(plotting), _digest(own)],
        plotting_record=json.loads(text_of("vendor", RECORD)),
        plotting_licence=text_of("vendor", LICENCE),
    )


def _own_script() -> str:
    parts = "\n".join(text_of("page", name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _digest(script: str) -> str:
    """What a content security policy calls an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _organization_rows(content: ReportContent) -> list[dict[str, Any]]:
    """One row of the comparison for each organization, its quantities as columns."""
    if content.comparison is None:
        return []
    cells = content.comparison.table.set_index(["organization", "quantity"])
    return [
        {"organization": name, "cells": [cells.loc[(name, key)] for key in _quantities(content)]}
        for name in content.comparison.organizations
    ]


def _quantities(content: ReportContent) -> list[str]:
    """Keys of the quantities that the comparison has a value of, in its order."""
    if content.comparison is None:
        return []
    table = content.comparison.table
    known = set(table.loc[table["median"].notna(), "quantity"])
    return [key for key in table["quantity"].unique() if key in known]


def _verdict_rows(content: ReportContent) -> list[dict[str, Any]]:
    """How many base models got each verdict, and what the published table says of them."""
    table = content.diagnostics.published
    columns = ["fits", "does_not_fit", "not_published"]
    return [
        {"verdict": row["verdict"], "meaning": VERDICTS[row["verdict"]], **row[columns]}
        | {"number": int(row[columns].sum())}
        for _, row in table.iterrows()
    ]


def _surge_rows(content: ReportContent) -> list[dict[str, Any]]:
    """The least probable surges."""
    surges = content.diagnostics.surges.sort_values("probability", kind="stable")
    rows = surges.head(MOST_SURGES).to_dict("records")
    return [
        {**row, "made_by": row["made_by"] if isinstance(row["made_by"], str) else "not known"}
        for row in rows
    ]


def _organization_figure(content: ReportContent) -> Drawing | None:
    if content.comparison is None:
        return None
    return drawing(
        organization_forest(
            plain_names(content.comparison.table), counted=content.comparison.counted
        )
    )


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if pd.isna(value):
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _day(value: str | pd.Timestamp) -> str:
    return f"{pd.Timestamp(value):%Y-%m-%d}"
