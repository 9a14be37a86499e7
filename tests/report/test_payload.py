"""The numbers in the page are those of forecast table, panel, fit and comparison."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth.comparison import compare
from bayes_hfgrowth.forecast.paths import forecast, interval_columns
from bayes_hfgrowth.report import render_report
from bayes_hfgrowth.report.content import (
    MOST_ORGANIZATIONS,
    gather,
    largest_organizations,
    why_not_compared,
)
from bayes_hfgrowth.report.payload import payload
from bayes_hfgrowth.support.months import month_end


@pytest.fixture(scope="module")
def numbers(content):
    return json.loads(json.dumps(payload(content), allow_nan=False))


def test_names_of_the_fields(numbers):
    assert set(numbers) == {
        "months", "levels", "mean_scale", "series", "organizations", "verdicts", "base_models",
        "comparison",
    }  # fmt: skip
    assert set(numbers["base_models"][0]) == {
        "name", "organization", "verdict", "remarks", "surges", "days", "new", "forecast", "growth",
    }  # fmt: skip
    assert numbers["series"] == ["mean", "median", *interval_columns((50, 80, 95))]


def test_forecasts_are_those_of_the_table(told_fit, numbers):
    table = forecast(told_fit, 6, seed=3).table()
    for model in numbers["base_models"]:
        own = table[table["base_model"] == model["name"]]
        observed = own["observed"].iloc[0]
        assert sum(model["new"]) == observed
        for name, differences in zip(numbers["series"], model["forecast"], strict=True):
            scale = numbers["mean_scale"] if name == "mean" else 1
            read = (observed * scale + np.cumsum(differences)) / scale
            np.testing.assert_allclose(read, own[name], rtol=0, atol=0.051 if scale > 1 else 0)
            assert min(differences) >= 0, "no series falls"


def test_days_are_the_ends_of_the_months(told_fit, numbers):
    history = told_fit.history
    for i, model in enumerate(numbers["base_models"]):
        days = pd.to_datetime(np.cumsum(model["days"]), unit="D", utc=True)
        months = np.arange(history.months[i] + 6 + 1)
        ends = month_end(history.created_at[[i]], months).normalize()
        assert list(days) == list(ends)


def test_growth_is_that_of_the_posterior(told_fit, numbers):
    for i, model in enumerate(numbers["base_models"]):
        for place, name in enumerate(("fitness", "immediacy", "longevity")):
            draws = told_fit.posterior[name].isel(base_model=i).to_numpy()
            wanted = np.quantile(draws, [0.5, 0.025, 0.975])
            got = model["growth"][3 * place : 3 * place + 3]
            np.testing.assert_allclose(got, wanted, rtol=0.006)


def test_verdicts_are_those_of_the_diagnosis(content, numbers):
    judged = content.diagnostics.verdicts.set_index("base_model")["verdict"]
    surges = content.diagnostics.surges
    for model in numbers["base_models"]:
        assert numbers["verdicts"][model["verdict"]] == judged[model["name"]]
        months = surges.loc[surges["base_model"] == model["name"], "month"]
        assert model["surges"] == sorted(months)
        assert model["remarks"]


def test_a_surge_is_named(make_fit):
    def tenfold(history):
        new = history.new.copy()
        new[history.start[3] + 4] = 20 * new.max() + 300
        previous = np.concatenate(
            [np.cumsum(np.append(0, part))[:-1] for part in np.split(new, history.start[1:-1])]
        )
        return type(history)(**{**vars(history), "new": new, "previous": previous})

    content = gather(make_fit(draws=30, distort=tenfold), 2)
    numbers = payload(content)
    model = numbers["base_models"][3]
    assert numbers["verdicts"][model["verdict"]] == "surge"
    assert 5 in model["surges"]
    assert any("in month 5" in remark for remark in model["remarks"])
    assert not any(model["name"] in remark for remark in model["remarks"])


def test_pairs_are_those_of_the_comparison(told_fit, numbers):
    comparison = compare(told_fit, told_fit.organizations, seed=3)
    shown = numbers["comparison"]
    names = shown["organizations"]
    assert names == list(comparison.organizations)
    keys = list(comparison.pairs["quantity"].unique())
    assert len(shown["quantities"]) == len(keys)
    for key, quantity in zip(keys, shown["quantities"], strict=True):
        matrix = quantity["probabilities"]
        own = comparison.pairs[comparison.pairs["quantity"] == key]
        for pair in own.itertuples():
            i, j = names.index(pair.first), names.index(pair.second)
            assert matrix[i][j] == pytest.approx(pair.probability, abs=1e-4)
            assert matrix[i][j] + matrix[j][i] == pytest.approx(1.0)
        assert all(matrix[i][i] is None for i in range(len(names)))
        ranks = comparison.ranks[comparison.ranks["quantity"] == key]
        assert [row[0] for row in quantity["ranks"]] == list(ranks["median_rank"])


def test_organizations_that_cannot_be_compared_are_not(content):
    spec = content.fit.spec
    alone = SimpleNamespace(spec=spec, organizations=("Meta",))
    assert "one organization only, Meta" in why_not_compared(alone)
    pooled = SimpleNamespace(spec=replace(spec, pooling="global"), organizations=("A", "B"))
    assert "pools all base models as one" in why_not_compared(pooled)
    assert why_not_compared(content.fit) == ""


def test_the_organizations_with_most_finetunes_are_compared():
    number = MOST_ORGANIZATIONS + 3
    counts = np.arange(number)[::-1].copy()
    history = SimpleNamespace(organization_of=np.arange(number), finetunes=counts)
    names = tuple(f"organization {i:02}" for i in range(number))
    fit = SimpleNamespace(organizations=names, history=history)
    assert largest_organizations(fit) == list(names[:MOST_ORGANIZATIONS])


def test_a_report_of_namespaces_says_so(fit_of):
    text = render_report(gather(fit_of(metric="authors"), 3, seed=3))
    own = text[text.index("<header>") : text.index('id="making"')]
    own = re.sub(r"(?s)<script.*?</script>|<[^>]+>", " ", own)
    assert "Namespaces that fine-tuned it so far" in own
    assert "different namespaces of the Hub that have fine-tunes" in own
    assert not re.search(r"(?i)(new|cumulative|any|most|[\d,]+) fine-tunes?\b", own)
    assert 'data-counted="namespaces that fine-tuned it"' in text
