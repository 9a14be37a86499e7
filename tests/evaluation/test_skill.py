"""Skill against rivals, on what both forecast."""

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth.evaluation.skill import common, skill
from bayes_hfgrowth.support.errors import ForecastError

COLUMNS = [
    "as_of", "rival", "horizon", "base_models", "crps_log", "crps_log_rival", "skill", "skill_se",
]  # fmt: skip


@pytest.fixture
def scores():
    """Method a forecasts x, y, z and the small s; b does without z."""
    values = {
        "a": {"x": 1.0, "y": 2.0, "z": 9.0, "s": 7.0},
        "b": {"x": 2.0, "y": 4.0, "s": 1.0},
    }
    return pd.DataFrame(
        [
            {
                "as_of": "2024-01-01",
                "method": method,
                "base_model": name,
                "horizon": 3,
                "observed": 1 if name == "s" else 20,
                "crps_log": value,
            }
            for method, row in values.items()
            for name, value in row.items()
        ]
    )


def test_skill_compares_what_both_forecast(scores):
    table = skill(scores, "a")
    assert list(table.columns) == COLUMNS
    [row] = table.to_dict("records")
    assert row["rival"] == "b"
    assert row["base_models"] == 2
    assert (row["crps_log"], row["crps_log_rival"]) == (1.5, 3.0)
    assert row["skill"] == pytest.approx(0.5)
    assert row["skill_se"] == pytest.approx(0.0)  # half of the rival's on every base model
    everyone = skill(scores, "a", min_finetunes=0)
    assert everyone["skill"].tolist() == pytest.approx([1 - 10 / 7])


def test_standard_error_is_that_of_repeated_samples():
    rng = np.random.default_rng(1)
    number, repeats = 150, 400
    found = []
    for _ in range(repeats):
        theirs = rng.gamma(3.0, 0.2, number)
        ours = 0.8 * theirs + rng.gamma(2.0, 0.05, number)
        rows = [
            pd.DataFrame({"as_of": "d", "method": m, "base_model": range(number), "horizon": 1,
                          "observed": 9, "crps_log": values})
            for m, values in (("a", ours), ("b", theirs))
        ]  # fmt: skip
        found.append(skill(pd.concat(rows), "a").iloc[0])
    spread = np.std([row["skill"] for row in found], ddof=1)
    assert np.mean([row["skill_se"] for row in found]) == pytest.approx(spread, rel=0.15)


def test_common_keeps_what_all_forecast(scores):
    assert set(common(scores)["base_model"]) == {"x", "y", "s"}
    alone = scores[scores["method"] == "a"]
    assert set(common(alone)["base_model"]) == {"x", "y", "z", "s"}


def test_unknown_methods_are_refused(scores):
    with pytest.raises(ForecastError, match="method 'c' is not in the backtest"):
        skill(scores, "c")
