"""How many by a date, above a number or not, and when; against counting draws by hand."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside this one

from dated_forecasts import START, forecast_of, random_forecast

from bayes_hfgrowth.forecast.answers import percent, sentence
from bayes_hfgrowth.support.errors import ForecastError

COLUMNS = ["base_model", "organization", "month", "date", "horizon", "observed", "mean", "median"]


def test_the_table_at_dates_counts_draws():
    forecast = random_forecast(until="2025-08-01")
    table = forecast.at_dates(intervals=[80], threshold=60)
    assert list(table.columns) == [
        *COLUMNS, "lower_80", "upper_80", "threshold", "probability_above",
    ]  # fmt: skip
    assert len(table) == 4 * 6
    counts = forecast.draws["finetunes_at_date"].to_numpy()[0]
    for i, (_, rows) in enumerate(table.groupby("base_model", sort=False)):
        assert rows["horizon"].tolist() == [1, 2, 3, 4, 5, 6]
        assert (rows["observed"] == forecast.draws["observed"].to_numpy()[i]).all()
        grid = rows.iloc[:5]
        np.testing.assert_allclose(grid["mean"], counts[:, i, :5].mean(axis=0))
        np.testing.assert_allclose(grid["probability_above"], (counts[:, i, :5] > 60).mean(axis=0))
        assert rows["date"].iloc[-1] == pd.Timestamp("2025-08-01", tz="UTC")
        assert rows["mean"].is_monotonic_increasing
        assert rows["probability_above"].is_monotonic_increasing
        inside = (counts[:, i, :5] >= grid["lower_80"].to_numpy()) & (
            counts[:, i, :5] <= grid["upper_80"].to_numpy()
        )
        assert (inside.mean(axis=0) >= 0.8).all()
        month = rows["month"].to_numpy()
        assert month[0] in (3 + i, 4 + i)
        assert (np.diff(month) <= 1).all()


def test_dates_may_be_named_and_sums_asked_for():
    forecast = random_forecast(number=5)
    table = forecast.at_dates(["2025-04-21", "2025-06-01"], [50], by="organization")
    assert list(table.columns) == [*COLUMNS[1:], "lower_50", "upper_50"]
    assert table["organization"].tolist() == ["O0", "O0", "O1", "O1"]
    total = forecast.total("organization", [50])
    same = total[total["date"] == "2025-04-21"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        table[table["date"] == "2025-04-21"].reset_index(drop=True), same, check_dtype=False
    )
    one = forecast.at_dates(["2025-04-21"], [50], base_models=["o1/m3"])
    assert one["base_model"].tolist() == ["o1/m3"]


def test_probability_above_is_the_share_of_draws():
    counts = np.arange(100)[:, None, None] + np.zeros((1, 1, 2), int)
    forecast = forecast_of(counts, [0])
    for n, share in ((-0, 0.99), (49, 0.5), (98, 0.01), (99, 0.0), (10_000, 0.0)):
        row = forecast.probability_above(n).iloc[0]
        assert row["probability"] == pytest.approx(share)
        assert row["standard_error"] == pytest.approx(np.sqrt(share * (1 - share) / 100))
        assert not row["already"]
    assert forecast.probability_above(49, "2025-03-21")["probability"].iloc[0] == 0.5


def test_a_number_below_todays_count_is_passed_already():
    forecast = forecast_of(np.full((10, 2, 3), 20), [20, 5])
    table = forecast.probability_above(19)
    assert table["already"].tolist() == [True, False]
    assert table["probability"].tolist() == [1.0, 1.0]
    # As many as today is not more than today.
    assert forecast.probability_above(20)["already"].tolist() == [False, False]
    found = forecast.time_to(19)
    assert found.table()["median"].iloc[0] == START
    assert found.table()["never"].tolist() == [0.0, 0.0]
    assert found.sentences()[0] == "o0/m0 is above 19 already, with 20"
    row = forecast.at_dates(intervals=[80], threshold=19).to_dict("records")[-4]
    assert sentence(row).endswith("above 19 already, with 20")


def test_time_to_is_a_distribution_with_a_share_that_never_gets_there():
    """Draw j passes 10 in month j + 1, the last forty of a hundred never do."""
    counts = np.zeros((100, 1, 6), int)
    for j in range(60):
        counts[j, 0, j // 10 :] = 11
    forecast = forecast_of(counts, [0], ages=[5])
    found = forecast.time_to(10)
    table = found.table((80, 20)).iloc[0]
    assert table["never"] == pytest.approx(0.4)
    assert not table["already"]
    dates = found.series.dates
    assert dates[4] < table["median"] <= dates[5]  # the 51st of a hundred
    assert table["lower_80"] <= dates[0]
    assert pd.isna(table["upper_80"])
    assert pd.isna(table["upper_80_months"])
    assert table["median_months"] == pytest.approx(
        (table["median"] - START).days / 30.4375, abs=0.05
    )
    by_date = found.by_date()
    np.testing.assert_allclose(by_date["probability"], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    [said] = found.sentences()
    assert "after 2025-08-21" in said
    assert "40% of the draws are not above it by 2025-08-21" in said


def test_what_most_draws_never_pass_has_no_median():
    counts = np.zeros((100, 1, 3), int)
    counts[:30] = 11
    found = forecast_of(counts, [0]).time_to(10)
    assert pd.isna(found.table()["median"].iloc[0])
    assert "not expected to pass 10: 70% of the draws" in found.sentences()[0]


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(0, 120), st.sampled_from(["base_model", "all"]))
def test_all_ways_to_ask_agree(seed, n, by):
    forecast = random_forecast(seed, draws=50, number=3, months=4, until="2025-06-03")
    table = forecast.at_dates(by=by, threshold=n)
    passed = forecast.time_to(n, by=by).by_date()
    np.testing.assert_allclose(passed["probability"], table["probability_above"])
    last = forecast.probability_above(n, by=by)
    ends = table[table["date"] == "2025-06-03"]
    np.testing.assert_allclose(last["probability"], ends["probability_above"])
    never = forecast.time_to(n, by=by).never
    np.testing.assert_allclose(never, 1 - last["probability"])


def test_sentences():
    row = {"date": pd.Timestamp("2027-06-01"), "median": 4120, "lower_80": 3300,
           "upper_80": 5600, "observed": 9}  # fmt: skip
    told = "by 2027-06-01: 4,120 fine-tunes, 80% between 3,300 and 5,600"
    assert sentence(row) == told
    asked = row | {"threshold": 5000, "probability_above": 0.19}
    assert sentence(asked) == f"{told}; above 5,000: 19%"
    assert sentence(asked | {"probability_above": 0.0}).endswith("under 1%")
    assert [percent(share) for share in (0.004, 0.5, 0.999, 1.0)] == [
        "under 1%", "50%", "over 99%", "over 99%",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.probability_above(-1), "threshold -1 is no count"),
        (lambda f: f.probability_above(2.5), "threshold 2.5 is no count"),
        (lambda f: f.probability_above(10**400), "is no count; give a whole number from 0 to 9"),
        (lambda f: f.probability_above(float("nan")), "threshold nan is no count"),
        (lambda f: f.probability_above(float("nan")), "is no count"),
        (lambda f: f.probability_above(True), "is no count"),
        (lambda f: f.probability_above("many"), "is no count"),
        (lambda f: f.time_to(-1), "is no count"),
        (lambda f: f.at_dates(threshold=-3), "is no count"),
        (lambda f: f.at_dates([]), "no date is given"),
        (lambda f: f.at_dates(["2030-01-01"]), "the forecast ends on"),
        (lambda f: f.at_dates(intervals=[0]), "interval"),
        (lambda f: f.at_dates(by="country"), "no table by 'country'"),
        (lambda f: f.probability_above(3, "2020-01-01"), "is not after 2025-02-21"),
        (lambda f: f.probability_above(3, base_models=["o0/m9"]), "did you mean"),
        (lambda f: f.time_to(3, base_models=[]), "no base model is named"),
    ],
)
def test_questions_that_cannot_be(ask, message):
    with pytest.raises(ForecastError, match=message):
        ask(random_forecast())
