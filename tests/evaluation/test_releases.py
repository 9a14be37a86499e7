"""Sums with base models yet to be released, held against what came."""

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth.evaluation.releases import (
    average_of_releases,
    months_known,
    score_releases,
    sums_that_came,
)
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.support.errors import ForecastError

OBSERVED = pd.Timestamp("2025-05-10", tz="UTC")


@pytest.fixture(scope="module")
def fit(make_fit):
    """A fit of the default growth model, of what was known on 2025-01-01."""
    return make_fit(base_models=9, chains=2, draws=60)


@pytest.fixture(scope="module")
def later(fit):
    """Four months later: each base model has four months more, and Qwen another base model."""
    table = fit.history.to_panel().table
    tables = [table]
    for _, own in table.groupby("base_model", sort=False):
        more = pd.concat([own.tail(1)] * 4, ignore_index=True)
        tables.append(
            more.assign(
                month=more["month"] + np.arange(1, 5),
                finetunes=more["finetunes"] + 3 * np.arange(1, 5),
            )
        )
    born = pd.Timestamp("2025-01-20", tz="UTC")
    new = pd.DataFrame({"month": range(4), "finetunes": [0, 10, 20, 30]})
    new = new.assign(base_model="Qwen/new", organization="Qwen", created_at=born)
    whole = Panel.from_table(pd.concat([*tables, new[table.columns.tolist()]]))
    return Panel(whole.table, OBSERVED)


def test_what_came_is_of_old_and_new_base_models(fit, later):
    dates = pd.DatetimeIndex(["2025-02-20", "2025-03-20"], tz="UTC")
    since = pd.Timestamp("2025-01-01", tz="UTC")
    came = sums_that_came(later, ["Qwen", "Meta"], dates, since)
    assert came["Qwen"][1].tolist() == [1, 1]
    assert came["Meta"][1].tolist() == [0, 0]
    without = later.select(base_models=[n for n in later.base_models.index if n != "Qwen/new"])
    before = sums_that_came(without, ["Qwen", "Meta"], dates, since)
    np.testing.assert_allclose(came["Qwen"][0] - before["Qwen"][0], [10.0, 20.0])
    np.testing.assert_allclose(came["all"][0], came["Qwen"][0] + came["Meta"][0])


def test_scores_are_of_both_kinds_of_sums(fit, later):
    assert months_known(fit, later) == 3
    scores = score_releases(fit, later)
    assert len(scores) == (3 + 1) * 3 * 2
    more = scores["with_new_releases"].to_numpy()
    upper = scores.set_index(["organization", "horizon"])["upper_95"]
    assert (upper[more] >= upper[~more]).all()
    assert (scores.loc[~scores["with_new_releases"], "expected_base_models"] == 0).all()
    assert (scores.loc[scores["with_new_releases"], "expected_base_models"] > 0).all()
    inside = scores["actual"].between(scores["lower_80"], scores["upper_80"])
    np.testing.assert_array_equal(scores["inside_80"] == 1.0, inside)
    averages = average_of_releases(scores)
    assert averages["organizations"].tolist() == [3] * 6
    assert averages["inside_80"].between(0, 1).all()


def test_months_that_the_panel_does_not_know_are_refused(fit, later):
    with pytest.raises(ForecastError, match="3 months after the fit"):
        score_releases(fit, later, 4)
    now = Panel(fit.history.to_panel().table, pd.Timestamp("2025-01-01", tz="UTC"))
    with pytest.raises(ForecastError, match="give a later panel"):
        score_releases(fit, now)
