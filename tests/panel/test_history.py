import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.sources.example import load_example


@pytest.fixture(scope="module")
def panel() -> Panel:
    return load_example().select(organizations=["StabilityAI", "IBM"])


def test_months_are_those_of_the_panel(panel: Panel) -> None:
    history = History.from_panel(panel)
    rows = panel.increments()
    names = np.array(history.base_models)[history.base_model_of]
    pd.testing.assert_series_equal(rows["base_model"], pd.Series(names), check_names=False)
    assert (history.previous + history.new).astype(int).tolist() == (
        rows["previous"] + rows["new"]
    ).tolist()
    assert history.finetunes.tolist() == panel.base_models["finetunes"].tolist()
    assert history.months.tolist() == panel.base_models["months"].tolist()
    organizations = np.array(history.organizations)[history.organization_of]
    assert organizations.tolist() == panel.base_models["organization"].tolist()


def test_panels_round_trip(panel: Panel) -> None:
    again = History.from_panel(panel).to_panel()
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    pd.testing.assert_frame_equal(again.table[columns], panel.table[columns])


def test_datasets_round_trip(panel: Panel) -> None:
    history = History.from_panel(panel)
    again = History.from_datasets(*history.to_datasets())
    assert again.base_models == history.base_models
    assert again.organizations == history.organizations
    for name in ("organization_of", "start", "month", "previous", "new"):
        np.testing.assert_array_equal(getattr(again, name), getattr(history, name))
    assert (again.created_at == history.created_at).all()


def test_subset_keeps_the_months_of_each(panel: Panel) -> None:
    history = History.from_panel(panel)
    chosen = np.array([7, 0, 30])
    part = history.subset(chosen)
    for position, index in enumerate(chosen):
        assert part.base_models[position] == history.base_models[index]
        mine = slice(part.start[position], part.start[position + 1])
        theirs = slice(history.start[index], history.start[index + 1])
        np.testing.assert_array_equal(part.new[mine], history.new[theirs])
        np.testing.assert_array_equal(part.previous[mine], history.previous[theirs])


def test_a_base_model_younger_than_a_month_has_no_months() -> None:
    table = pd.DataFrame(
        {
            "base_model": ["a/old", "a/old", "a/new"],
            "organization": "a",
            "created_at": "2024-01-01T00:00:00Z",
            "month": [0, 1, 0],
            "finetunes": [0, 3, 0],
        }
    )
    history = History.from_panel(Panel.from_table(table))
    assert history.months.tolist() == [1, 0]
    assert history.finetunes.tolist() == [3, 0]
    assert history.subset(np.array([1])).new.size == 0


def test_newborns_have_neither_months_nor_counts() -> None:
    history = History.newborn(3)
    assert len(history.base_models) == 3
    assert history.months.tolist() == [0, 0, 0]
    assert history.finetunes.tolist() == [0, 0, 0]
    assert history.subset(np.array([2])).created_at.isna().all()


def test_months_lie_on_the_calendar() -> None:
    """One base model from the middle of a month on, one from a first day, one newborn."""
    months = {"a/middle": 3, "b/first": 2, "c/new": 0}
    created = {"a/middle": "2024-01-21", "b/first": "2024-02-01", "c/new": "2024-04-20"}
    rows = [
        (name, name[0], created[name], k, k) for name, n in months.items() for k in range(n + 1)
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    table = pd.DataFrame(rows, columns=columns).assign(observed_at="2024-04-25")
    history = History.from_panel(Panel.from_table(table))
    january = 12 * 54
    assert history.calendar.tolist() == [
        january,
        january + 1,
        january + 2,
        january + 1,
        january + 2,
    ]
    shares = [11 / 31, 9 / 29, 11 / 31, 1.0, 1.0]
    np.testing.assert_allclose(history.calendar_share, shares)
    # The last month of the first one ends in April.
    assert history.calendar_span == (january, 4)
    assert history.coords["calendar_month"] == ["2024-01", "2024-02", "2024-03", "2024-04"]
    part = history.subset(np.array([1]))
    assert part.calendar_span == (january + 1, 2)
    law = part.months_of(2, 1.0, history.calendar_span[0])
    assert law.calendar.tolist() == [1, 2]
    assert part.months_of(2, 1.0).calendar.tolist() == [0, 1]
    assert history.subset(np.array([2])).calendar_span == (0, 1)
