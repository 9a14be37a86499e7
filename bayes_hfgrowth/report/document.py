"""Put the page together and write it."""

import base64
import hashlib
import json
import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from bayes_hfgrowth.comparison import Comparison
from bayes_hfgrowth.comparison.quantities import quantity_of
from bayes_hfgrowth.diagnostics import VERDICTS
from bayes_hfgrowth.figures import (
    attention_chart,
    organization_forest,
    predictive_check,
    prior_posterior,
)
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.report.content import ReportContent, gather
from bayes_hfgrowth.report.inline import drawing, page_environment, plain_names, text_of
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

_PACKAGE = "bayes_hfgrowth.report"

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
    environment = page_environment(_PACKAGE, "page")
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters |= {"number": _number, "said": content.fit.counted.said}
    plotting, own = text_of(_PACKAGE, "vendor", SCRIPT), _own_script()
    fit, comparison, diagnostics = content.fit, content.comparison, content.diagnostics
    predictive = predictive_check(diagnostics.rootogram, diagnostics.pit, fit.counted)
    prior = None if content.period.empty else drawing(prior_posterior(diagnostics.prior_posterior))
    return environment.get_template("report.html.jinja").render(
        content=content,
        fit=fit,
        counted=fit.counted,
        comparison=comparison,
        diagnostics=diagnostics,
        payload=payload(content),
        sensitivity=diagnostics.sensitivity.fillna({"remark": ""}),
        verdict_rows=_verdict_rows(diagnostics.published),
        surge_rows=_surge_rows(diagnostics.surges),
        last_month=last_month_end(fit),
        prior_figure=prior,
        predictive_figure=drawing(predictive),
        **(_organizations(comparison) if comparison else {}),
        **_attention(content.period),
        about_data=about_data(fit),
        about_fit=about_fit(content),
        about_model=about_model(fit.spec),
        priors=priors(fit.spec),
        versions=versions(fit),
        style=Markup(text_of(_PACKAGE, "page", "report.css")),
        plotting=Markup(plotting),
        own=Markup(own),
        digests=[_digest(plotting), _digest(own)],
        plotting_record=json.loads(text_of(_PACKAGE, "vendor", RECORD)),
        plotting_licence=text_of(_PACKAGE, "vendor", LICENCE),
    )


def _own_script() -> str:
    parts = "\n".join(text_of(_PACKAGE, "page", name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


def _digest(script: str) -> str:
    """What a content security policy calls an inline script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _organizations(comparison: Comparison) -> dict[str, Any]:
    """What the section on organizations shows: of quantities those that have a value."""
    table, counted = comparison.table, comparison.counted
    known = set(table.loc[table["median"].notna(), "quantity"])
    keys = [key for key in table["quantity"].unique() if key in known]
    cells = table.set_index(["organization", "quantity"])
    return {
        "quantities": [quantity_of(key, counted) for key in keys],
        "organizations": [
            {"organization": name, "cells": [cells.loc[(name, key)] for key in keys]}
            for name in comparison.organizations
        ],
        "organization_figure": drawing(organization_forest(plain_names(table), counted=counted)),
        "notes": comparison.notes(),
    }


def _verdict_rows(published: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """How many base models got each verdict, and what the published table says of them."""
    number = published[["fits", "does_not_fit", "not_published"]].sum(axis=1)
    meaning = published["verdict"].map(VERDICTS)
    return published.assign(meaning=meaning, number=number).to_dict("records")


def _surge_rows(surges: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """The least probable surges."""
    least = surges.sort_values("probability", kind="stable").head(MOST_SURGES)
    return least.fillna({"made_by": "not known"}).to_dict("records")


def _attention(table: pd.DataFrame) -> dict[str, Any]:
    """What the section on the Hub's attention speaks of and shows; None without period effect."""
    if table.empty:
        return {"attention": None}
    known = table[table["fitted"]]
    rows = {
        "first": known.iloc[0],
        "last": known.iloc[-1],
        "lowest": known.loc[known["median"].idxmin()],
        "highest": known.loc[known["median"].idxmax()],
        "end": table.iloc[-1],
    }
    return {"attention": rows, "attention_figure": drawing(attention_chart(table))}


def _number(value: float) -> str:
    """Three significant digits, thousands apart."""
    if pd.isna(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
