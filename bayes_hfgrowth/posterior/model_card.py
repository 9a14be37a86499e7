"""The model card of a fit or a population: written from what the file itself knows.

Names in a fit come from panels and files of others. They stand in code spans, in which nothing
is markup, so they cannot become headings, links, HTML or metadata.
"""

import json
import re
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCard, ModelCardData

from bayes_hfgrowth.model.specification import GrowthSpec, Prior

if TYPE_CHECKING:
    from bayes_hfgrowth.posterior.sharing import Shared

__all__ = ["MARK", "code_span", "model_card"]

MARK = "<!-- Written by bayes-hfgrowth. Saving again replaces this file while this line stands. -->"
"""Line by which a card that nobody has taken over is known."""

_LISTED = 60  # organizations that a card names

_LAWS = {
    "poisson": "independent Poisson counts around the growth curve",
    "birth": "reinforced Poisson process, by its exact transition law",
    "surge": "sublinear reinforcement with carry-over between months and wide negative binomial "
    "scatter",
}

_PARTS = {
    "reinforcement_exponent": "Exponent of the reinforcement",
    "carry_over_strength": "Strength of the carry-over",
    "carry_over_memory": "Memory of the carry-over",
    "period_persistence": "Persistence of the period effect",
    "period_innovation": "Innovation of the period effect",
    "burst_probability": "Probability of a burst",
    "burst_factor": "Mean of a burst, in means of a regular month",
    "burst_size": "Size of a burst's negative binomial",
}

_TEMPLATE = """\
---
{{ card_data }}
---

{{ mark }}

# {{ title }}
{%- if not convergence.converged %}

## ⚠️ NOT CONVERGED: do not trust these numbers

The sampler did not pass its checks:

{% for problem in problems -%}
- {{ problem }}
{% endfor %}
Fit again: {{ convergence.advice }}.
{%- endif %}

{{ what }}

Growth model of the monthly {{ counts }} of open-weight base models on the Hugging Face Hub,
fitted with `bayes-hfgrowth`. The curve is that of
Wang, Song and Barabási (2013), brought to base models by Bhandari, Chen and Gao
([arXiv 2502.15987](https://arxiv.org/abs/2502.15987)), with
reinforcement to a power that is learned unless the growth model says otherwise; here it is a
hierarchical Bayesian model.

## How to use it

```python
import bayes_hfgrowth as hfg

{{ usage }}
```

## Data

{% for label, value in data -%}
- {{ label }}: {{ value }}
{% endfor %}
## Model and sampler

{% for label, value in model -%}
- {{ label }}: {{ value }}
{% endfor %}
The full specification with every prior and its reason is in `config.json`{{ also }}.

## Convergence

{{ verdict }}

R-hat below 1.01 and bulk and tail effective sample sizes of at least 400 are asked of every
population parameter, and no divergence at all.

## Limits

{% for limit in limits -%}
- {{ limit }}
{% endfor %}
## Versions

{% for label, value in versions -%}
- {{ label }}: {{ value }}
{% endfor %}"""

_WHAT = {
    "fit": "The posterior of every base model and organization, with the months behind it, in one "
    "NetCDF file (`fit.nc`) that ArviZ reads as it stands.",
    "population": "What a fit learned of organizations, without its base models, in one NetCDF "
    "file (`population.nc`): enough to forecast base models that were never fitted.",
}

_NEW = """
panel = hfg.read_panel("new.csv")  # base models that were in no fit
hfg.forecast_new(population, panel, months=12).table()"""
_USAGE = {
    "fit": "fit = hfg.GrowthFit.from_pretrained({repo})\n"
    "print(fit.convergence)\n"
    "fit.forecast(months=12).table()",
    "population": "population = hfg.PopulationPosterior.from_pretrained({repo})" + _NEW,
    "shipped": "population = hfg.load_population()" + _NEW,
}


def code_span(text: object) -> str:
    """Put foreign text into a code span of Markdown, on one line.

    Parameters
    ----------
    text : object
        Any text; white space becomes single spaces, invisible characters become question marks.

    Returns
    -------
    str
        The span; its fence is longer than any run of backticks in the text.
    """
    line = " ".join(str(text).split())
    line = "".join(sign if sign.isprintable() else "?" for sign in line)
    fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    pad = " " if not line or line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def model_card(
    kind: str,
    fit: "Shared",
    metadata: dict[str, Any],
    *,
    repo_id: str | None = None,
    license: str | None = None,  # noqa: A002  # as the metadata field is called
    data: str | None = None,
    shipped: bool = False,
) -> ModelCard:
    """Write the card.

    Parameters
    ----------
    kind : {"fit", "population"}
        What the file holds.
    fit : Shared
        The fit or population; a bad verdict on its sampler stands at the top.
    metadata : dict
        ``library_name``, ``tags`` and the like for the head of the card.
    repo_id : str, optional
        Where the file will be, for the example of use.
    license : str, optional
        Identifier of the licence, such as ``"mit"``; left out when it is not known.
    data : str, optional
        Where the counts come from, in a phrase.
    shipped : bool
        Whether this is the population that comes with the package.
    """
    counts = "fine-tune counts" if fit.counted.usual else f"counts of {fit.counted.many}"
    card_data = ModelCardData(**metadata | ({"license": license} if license else {}))
    usage = _USAGE["shipped" if shipped else kind]
    return ModelCard.from_template(
        card_data,
        template_str=_TEMPLATE,
        mark=MARK,
        title=f"{counts[0].upper()}{counts[1:]} of open-weight base models: "
        + ("a fitted growth model" if kind == "fit" else "population posterior"),
        what=_WHAT[kind],
        convergence=fit.convergence,
        counts=counts,
        problems=[code_span(problem) for problem in fit.convergence.problems],
        usage=usage.format(repo=json.dumps(repo_id or "namespace/name")),
        data=_rows(_data(fit, license, data)),
        model=_rows(_model(fit)),
        also=" and in the NetCDF file" if not shipped else " of `save_pretrained` and in the file",
        verdict=code_span(fit.convergence),
        limits=_limits(kind, fit),
        versions=_rows(fit.about.get("versions", {}).items()),
    )


def _data(fit: "Shared", license_: str | None, data: str | None) -> list[tuple[str, Any]]:
    panel, counted = fit.about.get("panel", {}), fit.counted
    named = sorted(fit.organizations, key=str.casefold)
    more = f" and {len(named) - _LISTED} more" if len(named) > _LISTED else ""
    return [
        ("Counts", data),
        ("Observed on", _day(panel.get("observed_at"))),
        ("Last observed month ended", _day(panel.get("last_month"))),
        ("Base models", panel.get("base_models")),
        (f"Base models without any {counted.one}", panel.get("silent")),
        (f"Fewest {counted.many} of a base model", panel.get("fewest_finetunes")),
        (counted.title, panel.get("finetunes")),
        ("Organizations", len(named)),
        ("Names of the organizations", _Safe(", ".join(map(code_span, named[:_LISTED])) + more)),
        ("Digest of the panel", panel.get("digest")),
        ("Licence", license_ or _Safe("not stated; ask whoever shared this file")),
    ]


def _model(fit: "Shared") -> list[tuple[str, Any]]:
    spec, sampler, sizes = fit.spec, fit.about.get("sampler", {}), fit.posterior.sizes
    fitted = sampler.get("draws")
    parts = {"Period effect": spec.period_effect, "Bursts": spec.bursts}
    if spec.likelihood != "surge":
        parts = {}
    return [
        ("Growth model", spec.name),
        ("Law of the monthly counts", _Safe(_LAWS[spec.likelihood])),
        ("Pooling", spec.pooling),
        ("m", f"{spec.m:g}"),
        *(
            (_PARTS[name], _Safe("learnt") if isinstance(value, Prior) else f"{value:g}")
            for name, value in spec.shared.items()
        ),
        *((label, _Safe("none")) for label, part in parts.items() if part is None),
        ("Chains", sizes["chain"]),
        ("Draws of each chain in the file", sizes["draw"]),
        ("Draws of each chain in the fit", fitted if fitted != sizes["draw"] else None),
        ("Warm-up draws of each chain", sampler.get("tune")),
        ("Engine of the sampler", sampler.get("engine")),
        ("Target acceptance", sampler.get("target_accept")),
        ("Seed", fit.about.get("seed")),
    ]


def _limits(kind: str, fit: "Shared") -> list[str]:
    limits = [
        f"The counts are what the Hub shows: {fit.counted.defined}. Renamed, "
        "deleted and undeclared ones are missing, and nothing is said of downloads or quality.",
        f"It knows nothing that happened after the dates above. {_unforeseen(fit.spec)}",
        "It describes; it does not say what would happen if a base model were released otherwise.",
    ]
    fewest = fit.about.get("panel", {}).get("fewest_finetunes")
    if isinstance(fewest, int) and fewest > 0:
        limits.insert(
            0,
            f"**Only base models with at least {fewest} {fit.counted.many} were fitted**, so it "
            "says how base models grow that have come so far. For any other the forecasts run too "
            "high.",
        )
    if kind == "population":
        limits += [
            "An organization that is not named above is drawn from all of them.",
            "Each new base model is treated as the only new one. A base model that was in the fit "
            "is counted twice when it is forecast from here; use the fit itself for it.",
        ]
    return limits


def _unforeseen(spec: GrowthSpec) -> str:
    """What no forecast knows, and whether the intervals make room for it."""
    parts = {
        "bursts by single authors": spec.bursts,
        "changes of the whole Hub": spec.period_effect,
    }
    sentences = []
    for absent, rest in (
        (False, "are in the spread of the intervals, not foreseen"),
        (True, "are neither foreseen nor in the spread of the intervals"),
    ):
        what = " and ".join(name for name, part in parts.items() if (part is None) == absent)
        if what:
            sentences.append(f"{what.capitalize().replace('hub', 'Hub')} {rest}.")
    return " ".join(sentences)


class _Safe(str):
    """Text of this package, which needs no code span."""

    __slots__ = ()


def _rows(pairs: Any) -> list[tuple[str, str]]:
    """Labels and values as Markdown; without those that are not known."""
    return [
        (label if label[:1].isupper() else code_span(label), _value(value))
        for label, value in pairs
        if value is not None
    ]


def _value(value: Any) -> str:
    if isinstance(value, _Safe):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return code_span(value)


def _day(moment: Any) -> str | None:
    return str(moment)[:10] if moment else None
