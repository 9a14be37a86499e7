"""Ranks of organizations, against counting by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bayes_hfgrowth.support.ranks import rank_table


def test_ranks_are_those_counted_by_hand():
    values = np.array([[3.0, 1.0, 2.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [5.0, 5.0, 0.0]])
    table = rank_table(["A", "B", "C"], {"fitness": values}).set_index("organization")
    assert table["quantity"].unique().tolist() == ["fitness"]
    # A: 1, 1, 3, 1.5. B: 3, 2, 2, 1.5. C: 2, 3, 1, 3.
    assert table["median_rank"].tolist() == [1.0, 2.0, 2.0]
    assert table["lower_95"].tolist() == [1.0, 1.5, 1.0]
    assert table["upper_95"].tolist() == [3.0, 3.0, 3.0]
    assert table["largest"].tolist() == [2.5 / 4, 0.5 / 4, 1 / 4]
    assert table["smallest"].tolist() == [1 / 4, 1 / 4, 2 / 4]


@given(arrays(np.float64, (7, 4), elements=st.integers(0, 3).map(float)))
def test_chances_add_up_and_match_a_count_of_the_draws(values):
    table = rank_table("ABCD", {"x": values})
    assert table["largest"].sum() == pytest.approx(1.0)
    assert table["smallest"].sum() == pytest.approx(1.0)
    for column, row in enumerate(table.itertuples()):
        chance, ranks = 0.0, []
        for draw in values.tolist():
            top = max(draw)
            chance += (draw[column] == top) / draw.count(top)
            above = sum(value > draw[column] for value in draw)
            ranks.append(above + (draw.count(draw[column]) + 1) / 2)
        assert row.largest == pytest.approx(chance / len(values))
        assert row.median_rank == sorted(ranks)[3]
        assert row.lower_95 == min(ranks)
        assert row.upper_95 == max(ranks)
