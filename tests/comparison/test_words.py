"""Probabilities in words: exact where they are told, never surer than the draws."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth.comparison import QUANTITIES
from bayes_hfgrowth.comparison.words import (
    largest_sentence,
    pair_sentence,
    probability_words,
    reliability_words,
)

PROBABILITIES = st.floats(0.0, 1.0)


@given(PROBABILITIES)
def test_words_are_true_of_the_probability(probability):
    sign, number = re.fullmatch(r"([<=>]) (0\.\d\d)", probability_words(probability)).groups()
    told = float(number)
    if sign == "=":
        assert abs(probability - told) <= 0.005 + 1e-12
        assert 0.01 <= told <= 0.99
    elif sign == "<":
        assert probability < told == 0.01
    else:
        assert probability > told == 0.99


@given(PROBABILITIES, PROBABILITIES)
def test_a_larger_probability_is_never_told_as_smaller(one, other):
    low, high = sorted((one, other))
    order = {"<": -1, "=": 0, ">": 1}
    told = [(order[text[0]], float(text[2:])) for text in map(probability_words, (low, high))]
    assert told[0] <= told[1]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=300))
def test_words_agree_with_counting_the_draws(pairs):
    wins = sum(2 * (first > second) + (first == second) for first, second in pairs)
    values = np.array(pairs)
    larger = (values[:, 0] > values[:, 1]) + 0.5 * (values[:, 0] == values[:, 1])
    words = probability_words(float(larger.mean()))
    share = wins / (2 * len(pairs))
    if words[0] == "=":
        assert abs(float(words[2:]) - share) <= 0.005 + 1e-12
    else:
        assert share < 0.005 if words[0] == "<" else share >= 0.995


@pytest.mark.parametrize("quantity", [key for key, q in QUANTITIES.items() if q.larger])
def test_every_statement_names_both_in_their_order(quantity):
    text = pair_sentence(quantity, "FIRST", "SECOND", 0.42, 0.0, 0.37, 0.2)
    assert text.startswith("P(")
    assert 0 < text.index("FIRST") < text.index("SECOND")
    assert text.endswith(") = 0.42; without the largest base model of each = 0.37")
    assert "{" not in text
    assert "\n" not in text


def test_ties_are_told_from_half_a_percent_on():
    assert "ties, 3%, count half" in pair_sentence("fitness", "A", "B", 0.4, 0.03, 0.4, 0.0)
    assert "ties" not in pair_sentence("fitness", "A", "B", 0.4, 0.004, 0.4, 0.0)


@given(st.floats(-1.0, 5.0) | st.just(np.inf))
def test_unreliable_weights_are_never_hidden(k):
    warning = reliability_words(k)
    assert (warning == "") == (k <= 0.7)
    assert pair_sentence("fitness", "A", "B", 0.4, 0.0, 0.4, k).endswith(warning)


def cells(before, after):
    keys = ["fitness", "share_passing_100", "portfolio_after_12_months"]
    columns = {"median": before, "median_without_largest": after}
    return pd.DataFrame(columns, index=pd.Index(keys, name="quantity"))


def test_what_hangs_on_one_is_told_with_both_numbers():
    row = pd.Series({"base_model": "x/big", "finetunes": 90, "share": 0.9, "pareto_k": 0.3})
    text = largest_sentence("X", row, cells([5.0, 0.31, 1234.0], [4.5, 0.2, 12.0]))
    assert text == (
        "x/big holds 90% of the fine-tunes of X; what is said of the total is mostly said of "
        "this one. Without it median fitness is 4.50 instead of 5.00, the share of new ones that "
        "pass 100 fine-tunes is 20% instead of 31%, and the present total 12 months on is 12 "
        "instead of 1,234."
    )
    row["share"], row["pareto_k"] = 0.5, 0.83
    text = largest_sentence("X", row, cells([5.0, 0.31, 1234.0], [4.5, 0.2, 12.0]))
    assert "mostly" not in text
    assert text.endswith("1,234 (unreliable: Pareto k 0.83; fit without it to know).")


def test_an_organization_without_any_finetune_says_so():
    row = pd.Series({"base_model": "x/a", "finetunes": 0, "share": np.nan, "pareto_k": 0.0})
    text = largest_sentence("X", row, cells([1.0] * 3, [1.0] * 3))
    assert text == "No base model of X in the fit has any fine-tune."
