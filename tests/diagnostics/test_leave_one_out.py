"""PSIS-LOO where densities have no tail."""

import arviz as az
import numpy as np
import pytest
import xarray as xr

from bayes_hfgrowth.diagnostics import leave_one_out
from bayes_hfgrowth.diagnostics.leave_one_out import psis_loo

CHAINS, DRAWS, MONTHS = 2, 200, 6


def tree_of(densities):
    rng = np.random.default_rng(1)
    lead = ("chain", "draw")
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"fitness": (lead, rng.standard_normal((CHAINS, DRAWS)))}),
            "log_likelihood": xr.Dataset({"new_finetunes": ((*lead, "observation"), densities)}),
        }
    )


@pytest.fixture
def densities():
    shape = (CHAINS, DRAWS, MONTHS)
    return np.random.default_rng(2).normal(-2.0, 0.3, shape).astype(np.float32)


def test_months_with_a_tail_are_left_to_arviz(densities):
    ours = psis_loo(tree_of(densities))
    exact = tree_of(densities.astype(np.float64))
    theirs = az.loo(exact, pointwise=True, var_name="new_finetunes")
    assert ours.elpd == theirs.elpd
    np.testing.assert_array_equal(ours.pareto_k, theirs.pareto_k)


@pytest.mark.parametrize("value", [0.0, -1e-30, -0.5])
def test_a_month_that_all_draws_find_alike_keeps_its_density(densities, value):
    densities[:, :, 3] = value
    with pytest.raises(ValueError, match="tail values are the same"):
        az.loo(tree_of(densities), pointwise=True, var_name="new_finetunes")
    found = psis_loo(tree_of(densities))
    elpd, k = np.asarray(found.elpd_i), np.asarray(found.pareto_k)
    assert elpd[3] == pytest.approx(value, abs=1e-8)
    assert k[3] < found.good_k
    others = np.delete(densities, 3, axis=2)
    rest = az.loo(tree_of(others), pointwise=True, var_name="new_finetunes")
    np.testing.assert_allclose(np.delete(elpd, 3), rest.elpd_i, atol=1e-6)


def test_a_tie_among_the_lowest_only(densities):
    densities[0, :50, 3] = -9.0  # as where a density is cut off
    assert np.isfinite(np.asarray(psis_loo(tree_of(densities)).elpd_i)).all()


def test_processes_that_share_the_months_find_the_same(densities, monkeypatch):
    monkeypatch.setattr(leave_one_out, "_LONG", 0)
    monkeypatch.setattr(leave_one_out.joblib, "cpu_count", lambda: 2)
    densities = np.tile(densities, (1, 1, 4))
    densities[:, :, 7] = -0.5
    tree = tree_of(densities)
    alone = psis_loo(tree)
    with leave_one_out.running_psis_loo(tree) as result:
        beside = result()
    np.testing.assert_array_equal(beside.elpd_i, alone.elpd_i)
    np.testing.assert_array_equal(beside.pareto_k, alone.pareto_k)
    for name in ("elpd", "se", "p"):
        assert getattr(beside, name) == pytest.approx(getattr(alone, name), rel=1e-12)
    assert beside.n_data_points == alone.n_data_points == 24
    assert beside.warning == alone.warning


def test_whoever_does_not_wait_hears_nothing_of_it(densities, monkeypatch, recwarn):
    monkeypatch.setattr(leave_one_out, "_LONG", 0)
    monkeypatch.setattr(leave_one_out.joblib, "cpu_count", lambda: 2)
    tree = tree_of(np.tile(densities, (1, 1, 1000)))
    with pytest.raises(KeyboardInterrupt), leave_one_out.running_psis_loo(tree):
        raise KeyboardInterrupt
    assert not [w for w in recwarn if "cancelled" in str(w.message)]
