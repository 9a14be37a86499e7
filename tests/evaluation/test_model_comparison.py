"""Growth models of the same months side by side."""

import dataclasses

import arviz as az
import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth.evaluation.model_comparison import compare_models
from bayes_hfgrowth.support.errors import ComparisonError


@pytest.fixture(scope="module")
def fits(make_fit):
    """The growth model that made the counts, with one surge planted, and another one."""

    def plant(history):
        new = history.new.copy()
        new[history.start[1] - 2] += 300
        cumulative = np.cumsum(new) - new
        first = np.repeat(cumulative[history.start[:-1].clip(max=len(new) - 1)], history.months)
        return dataclasses.replace(history, new=new, previous=cumulative - first)

    surge = make_fit(draws=100, distort=plant)
    return {
        "surge": surge,
        "reinforced": make_fit("reinforced", draws=100, distort=lambda _: surge.history),
    }


@pytest.fixture(scope="module")
def compared(fits):
    return compare_models(fits, progress=False)


def test_the_growth_model_that_made_the_counts_wins(fits, compared):
    table = compared.table.set_index("model")
    assert list(table.index) == ["surge", "reinforced"]
    assert table.loc["surge", "elpd_diff"] == 0
    for name, fit in fits.items():
        with np.errstate(all="ignore"), pytest.warns(UserWarning, match="Pareto"):
            expected = az.loo(fit.tree, var_name="new_finetunes")
        assert table.loc[name, "elpd"] == pytest.approx(float(expected.elpd), rel=1e-6)
    assert table["loo_weight"].sum() == pytest.approx(1.0)


def test_pointwise_densities_add_up(fits, compared):
    sums = compared.pointwise.groupby("model")["elpd"].sum()
    for _, row in compared.table.iterrows():
        assert sums[row["model"]] == pytest.approx(row["elpd"], rel=1e-6)
    assert len(compared.pointwise) == 2 * len(fits["surge"].history.new)


def test_each_bad_month_has_a_reason(fits, compared):
    bad = compared.bad
    counted = compared.table.set_index("model")["bad_k"]
    assert (
        bad["model"]
        .value_counts()
        .reindex(counted.index, fill_value=0)
        .equals(counted.rename("count"))
    )
    surges = bad[bad["reason"].str.startswith("a surge")]
    assert "Meta/model-0" in set(surges["base_model"])
    assert (bad["reason"].str.len() > 10).all()
    assert (bad["pull"] > 0).mean() > 0.9  # a month with itself in the data is likelier


def test_fits_of_other_months_are_refused(fits, make_fit):
    other = make_fit(draws=50, seed=2)
    with pytest.raises(ComparisonError, match="different months"):
        compare_models({**fits, "other": other}, progress=False)
    with pytest.raises(ComparisonError, match="at least two"):
        compare_models({"surge": fits["surge"]}, progress=False)


def test_saving_writes_tables_and_figure(compared, tmp_path):
    written = compared.save(tmp_path / "new")
    assert sorted(path.name for path in written) == [
        "models.csv", "models.png", "pareto_k.csv", "pointwise.parquet",
    ]  # fmt: skip
    read = pd.read_csv(tmp_path / "new" / "models.csv")
    pd.testing.assert_frame_equal(read, compared.table, check_dtype=False)
