"""The claim that some peak early, against counting draw by draw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayes_hfgrowth.comparison import early_peaks
from bayes_hfgrowth.comparison.without import Without

NAMES = ("Alpha", "BAAI", "Meta", "Qwen", "StabilityAI")
CLAIMED = (1, 2, 4)


def counted(row):
    """Of one draw: before the median organization, among the three earliest; by sorting."""
    ordered = sorted(row)
    middle = ordered[2]
    earlier = [1.0 if age < middle else 0.5 if age == middle else 0.0 for age in row]
    among = []
    for age in row:
        before = sum(other < age for other in row)
        alike = sum(other == age for other in row)
        places = min(max(3 - before, 0), alike)
        among.append(places / alike)
    return earlier, among


@given(st.lists(st.lists(st.integers(1, 6), min_size=5, max_size=5), min_size=1, max_size=30))
def test_probabilities_are_those_of_the_draws(rows):
    early = early_peaks(NAMES, np.array(rows, dtype=float))
    table = early.table.set_index("organization").loc[list(NAMES)]
    both = [counted(row) for row in rows]
    np.testing.assert_allclose(
        table["earlier_than_median"], np.mean([earlier for earlier, _ in both], axis=0)
    )
    np.testing.assert_allclose(
        table["among_earliest"], np.mean([among for _, among in both], axis=0)
    )
    assert table["among_earliest"].sum() == pytest.approx(3.0)
    middle = [sorted(row)[2] for row in rows]
    everyone = [all(row[i] < m for i in CLAIMED) for row, m in zip(rows, middle, strict=True)]
    assert early.all_earlier == pytest.approx(np.mean(everyone))
    first = [max(row[i] for i in CLAIMED) < min(row[0], row[3]) for row in rows]
    assert early.are_earliest == pytest.approx(np.mean(first))
    assert early.few == 3
    assert list(table.index[table["claimed"]]) == ["BAAI", "Meta", "StabilityAI"]
    for position, name in enumerate(NAMES):
        ages = sorted(row[position] for row in rows)
        assert table.loc[name, "median"] == ages[(len(ages) - 1) // 2]


def test_the_answer_sorts_the_named_into_likely_unlikely_and_open():
    rng = np.random.default_rng(0)
    peaks = np.tile([20.0, 1.0, 90.0, 30.0, 0.0], (200, 1))
    peaks[:, 4] = np.where(rng.random(200) < 0.6, 5.0, 50.0)
    lines = early_peaks(NAMES, peaks).sentences()
    assert lines[0].startswith("The paper says that base models of BAAI, Meta and StabilityAI peak")
    assert "likely for BAAI, unlikely for Meta and open for StabilityAI" in lines[0]
    assert "P(BAAI peaks before the median organization) > 0.99" in lines
    assert "P(Meta peaks before the median organization) < 0.01" in lines
    assert "P(BAAI, Meta and StabilityAI are the 3 earliest of 5) < 0.01" in lines


def test_without_the_largest_the_weights_decide():
    peaks = np.tile([20.0, 25.0, 90.0, 30.0, 40.0], (4, 1))
    peaks[0, 2] = 1.0  # under one draw Meta is early
    without = {2: Without(np.array([0.7, 0.1, 0.1, 0.1]), 0.9)}
    early = early_peaks(NAMES, peaks, without)
    row = early.table.set_index("organization").loc["Meta"]
    assert row["earlier_than_median"] == 0.25
    assert row["earlier_without_largest"] == pytest.approx(0.7)
    assert np.isnan(early.table.set_index("organization").loc["BAAI", "earlier_without_largest"])
    assert (
        "P(Meta peaks before the median organization) = 0.25; without its largest base model "
        "= 0.70 (unreliable: Pareto k 0.90; fit without it to know)"
    ) in early.sentences()


@pytest.mark.parametrize(
    "names", [("A", "B", "C"), ("Meta", "Qwen"), ("BAAI", "Meta", "StabilityAI")]
)
def test_where_there_is_nothing_to_answer_nothing_is_said(names):
    early = early_peaks(names, np.ones((10, len(names))))
    assert early.sentences() == []
    assert len(early.table) == len(names)
