"""How a fit was made, in rows to read."""

import json
from typing import Any

import numpy as np

from bayes_hfgrowth import __version__
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.report.content import ReportContent
from bayes_hfgrowth.support.months import month_end

__all__ = ["about_data", "about_fit", "about_model", "last_month_end", "priors", "versions"]

type Rows = list[tuple[str, str]]

_PARTS = {
    "reinforcement": "Reinforcement",
    "carry_over": "Carry-over",
    "period_effect": "Period effect of calendar months",
    "bursts": "Bursts",
}

_WORDS = ("distribution", "reason")  # of a prior; all else are its parameters


def last_month_end(fit: FittedDraws) -> str:
    """Day on which the last observed month of any base model ended."""
    ends = month_end(fit.history.created_at, fit.history.months)
    return f"{ends.max():%Y-%m-%d}"


def about_data(fit: FittedDraws) -> Rows:
    """What was counted, and when."""
    history, panel = fit.history, fit.about["panel"]
    created = history.created_at
    rows = [
        ("Base models", f"{len(history.base_models):,}"),
        ("Organizations", f"{len(history.organizations):,}"),
        (fit.counted.title, f"{history.finetunes.sum():,}"),
        ("Observed months", f"{len(history.new):,}"),
        (f"Base models without any {fit.counted.one}", f"{np.sum(history.finetunes == 0):,}"),
        (f"Fewest {fit.counted.many} of a base model", f"{history.finetunes.min():,}"),
        ("Created", f"{created.min():%Y-%m-%d} to {created.max():%Y-%m-%d}"),
        ("Last observed month ended", last_month_end(fit)),
    ]
    if fit.observed_at is not None:
        rows.append(("Observed on", f"{fit.observed_at:%Y-%m-%d}"))
    if "digest" in panel:
        rows.append(("Digest of the panel", panel["digest"]))
    return rows


def about_model(spec: GrowthSpec) -> Rows:
    """The growth model in words."""
    laws = {
        "poisson": "independent Poisson counts around the growth curve",
        "birth": "reinforced Poisson process: negative binomial, by its exact transition law",
        "surge": "sublinear reinforcement with carry-over between months and wide negative "
        "binomial scatter",
    }
    rows = [
        ("Growth model", spec.name),
        ("In words", _line(spec.description)),
        ("Law of the monthly counts", laws[spec.likelihood]),
        ("Pooling", spec.pooling),
        ("m", f"{spec.m:g}. {_line(spec.m_reason)}"),
    ]
    tables: dict[str, Any] = json.loads(spec.to_json())
    for key, name in _PARTS.items():
        if key not in tables:
            if spec.likelihood == "surge":
                rows.append((name, "none"))
            continue
        for part, value in tables[key].items():
            learnt = isinstance(value, dict)
            rows.append((f"{name}, {part}", "learnt, see its prior" if learnt else f"{value:g}"))
    return rows


def priors(spec: GrowthSpec) -> list[tuple[str, str, str, str]]:
    """Every prior: parameter, level, distribution, reason."""
    tables: dict[str, Any] = json.loads(spec.to_json())
    return [
        (
            name.replace("_", " "),
            level.replace("_", " "),
            _distribution(prior),
            _line(prior["reason"]),
        )
        for name, levels in tables.items()
        if isinstance(levels, dict)
        for level, prior in levels.items()
        if isinstance(prior, dict)
    ]


def about_fit(content: ReportContent) -> Rows:
    """Sampler, seeds, and the command that makes this report again."""
    about = content.fit.about
    sampler: dict[str, Any] = about.get("sampler", {})
    sizes = content.fit.posterior.sizes
    rows = [("Chains", f"{sizes['chain']}"), ("Draws of each chain", f"{sizes['draw']:,}")]
    names = {
        "tune": "Warm-up draws of each chain",
        "engine": "Engine of the sampler",
        "target_accept": "Target acceptance",
    }
    rows += [(label, str(sampler[key])) for key, label in names.items() if key in sampler]
    rows += [
        ("Seed of the fit", str(about["seed"])),
        ("Seed of forecast and comparison", str(content.seed)),
    ]
    if "seconds" in about:
        rows.append(("Time to fit", f"{sum(about['seconds'].values()):,.0f} s"))
    command = f"hfgrowth report FIT --out report.html --months {content.months}"
    rows.append(("This report again", f"{command} --seed {content.seed}"))
    return rows


def versions(fit: FittedDraws) -> Rows:
    """Versions behind the fit, and the one behind the report."""
    fitted = [(name, str(version)) for name, version in fit.about.get("versions", {}).items()]
    return [*fitted, ("bayes-hfgrowth, for this report", __version__)]


def _distribution(prior: dict[str, Any]) -> str:
    values = [f"{name} = {prior[name]:g}" for name in prior if name not in _WORDS]
    return f"{prior['distribution']}({', '.join(values)})"


def _line(text: str) -> str:
    """Text of several lines on one."""
    return " ".join(text.split())
