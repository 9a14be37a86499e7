"""Ranks and overtaking, against counting by hand."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside this one

from dated_forecasts import forecast_of, random_forecast

from bayes_hfgrowth.forecast.races import rank_shares
from bayes_hfgrowth.support.errors import ForecastError


def shares_by_permutation(counts):
    """Probability of each rank when draws that tie are put in every order alike."""
    number = counts.shape[1]
    shares = np.zeros((number, number))
    for row in counts:
        orders = [
            order for order in itertools.permutations(range(number))
            if all(row[a] >= row[b] for a, b in itertools.pairwise(order))
        ]  # fmt: skip
        for order in orders:
            for rank, series in enumerate(order):
                shares[series, rank] += 1 / len(orders)
    return shares / len(counts)


@settings(max_examples=60)
@given(arrays.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(2, 4)),
                     elements=st.integers(0, 4)))  # fmt: skip
def test_ranks_with_ties_are_those_of_all_orders(counts):
    number = counts.shape[1]
    shares = rank_shares(counts, number)
    np.testing.assert_allclose(shares, shares_by_permutation(counts), atol=1e-12)
    np.testing.assert_allclose(shares.sum(axis=0), 1)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(rank_shares(counts, 1), shares[:, :1])


def test_the_table_of_ranks():
    counts = np.array([[[5, 5], [3, 9], [1, 1]], [[5, 5], [6, 9], [1, 1]]])
    forecast = forecast_of(counts, [5, 3, 1])
    table = forecast.rank()  # at the last date
    assert list(table.columns) == [
        "base_model", "organization", "date", "horizon", "observed", "rank", "probability",
        "at_least",
    ]  # fmt: skip
    assert table["base_model"].tolist() == ["o1/m1"] * 3 + ["o0/m0"] * 3 + ["o0/m2"] * 3
    assert table["probability"].tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    first = forecast.rank("2025-03-21", top=1)
    assert first.set_index("base_model")["probability"].to_dict() == {
        "o0/m0": 0.5, "o1/m1": 0.5, "o0/m2": 0.0,
    }  # fmt: skip
    both = forecast.rank(["2025-03-21", "2025-04-21"])
    assert len(both) == 18
    np.testing.assert_allclose(both.groupby(["date", "rank"])["probability"].sum(), 1)


def test_what_draws_share_is_carried():
    """Each alone is a coin, but the second one always has one more."""
    rng = np.random.default_rng(1)
    first = rng.integers(0, 100, 500)
    forecast = forecast_of(np.stack([first, first + 1], axis=1)[:, :, None], [0, 0])
    table = forecast.rank().set_index(["base_model", "rank"])["probability"]
    assert table["o1/m1", 1] == 1.0
    assert forecast.overtakes("o1/m1", "o0/m0").probability == 1.0
    assert forecast.overtakes("o0/m0", "o1/m1").probability == 0.0


def test_organizations_are_ranked_by_their_sums():
    counts = np.tile([[[5], [8], [4], [0]]], (3, 1, 1))
    table = forecast_of(counts, [0, 0, 0, 0]).rank(by="organization")
    assert table["organization"].tolist() == ["O0", "O0", "O1", "O1"]
    assert table["probability"].tolist() == [1, 0, 0, 1]


def test_overtaking_by_date():
    """Four draws: at once, at the second date and back, at the third, never."""
    b = np.tile([10, 10, 10], (4, 1))
    a = np.array([[11, 12, 13], [9, 11, 11], [0, 10, 11], [0, 10, 10]])
    b[1] = [9, 10, 12]
    forecast = forecast_of(np.stack([a, b], axis=1), [0, 5])
    found = forecast.overtakes("o0/m0", "o1/m1")
    table = found.by_date()
    assert list(table.columns) == ["date", "horizon", "ahead", "overtaken", "first"]
    assert table["ahead"].tolist() == [0.25, 0.5, 0.5]
    assert table["overtaken"].tolist() == [0.25, 0.5, 0.75]
    assert table["first"].tolist() == [0.25, 0.25, 0.25]
    assert found.probability == 0.75
    assert not found.already
    assert found.sentence() == (
        "o0/m0 overtakes o1/m1 by 2025-05-21 with a probability of 75%, as likely as not by "
        "2025-04-21; ahead on 2025-05-21 with a probability of 50%"
    )
    back = forecast.overtakes("o1/m1", "o0/m0")
    assert back.already
    assert "o1/m1 is ahead of o0/m0 already" in back.sentence()


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_one_is_ahead_the_other_or_neither(seed):
    forecast = random_forecast(seed, draws=50, number=2, months=4, until="2025-06-03")
    there = forecast.overtakes("o0/m0", "o1/m1")
    back = forecast.overtakes("o1/m1", "o0/m0")
    assert not (there.ahead & back.ahead).any()
    table = there.by_date()
    assert table["first"].sum() == pytest.approx(there.probability)
    assert (table["overtaken"] >= table["ahead"]).all()
    ranks = forecast.rank(top=1).set_index("base_model")["probability"]
    tie = 1 - table["ahead"].iloc[-1] - back.by_date()["ahead"].iloc[-1]
    assert ranks["o0/m0"] == pytest.approx(table["ahead"].iloc[-1] + tie / 2)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda f: f.rank(top=0), "top is 0"),
        (lambda f: f.rank(base_models=["o0/m0"]), "there is one alone"),
        (lambda f: f.rank(by="all"), "there is one alone"),
        (lambda f: f.rank([]), "no date is given"),
        (lambda f: f.rank("2020-01-01"), "is not after"),
        (lambda f: f.rank(by="country"), "no table by 'country'"),
        (lambda f: f.overtakes("o0/m0", "o0/m0"), "cannot overtake itself"),
        (lambda f: f.overtakes("o0/m0", "o1/m7"), "did you mean"),
        (lambda f: f.overtakes("O0", "O7", by="organization"), "'O7' is not in the forecast"),
    ],
)
def test_races_that_cannot_be(ask, message):
    with pytest.raises(ForecastError, match=message):
        ask(random_forecast())
