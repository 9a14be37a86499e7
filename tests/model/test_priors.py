"""Prior draws against their distributions, and log densities against SciPy's."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from bayes_hfgrowth.model.priors import draw_prior, frozen, log_prior
from bayes_hfgrowth.model.specification import Bursts, GrowthSpec, PeriodEffect, Prior, read_spec
from bayes_hfgrowth.panel.period import stationary

SHARED = (
    *("reinforcement_exponent", "period_persistence", "period_innovation"),
    *("burst_probability", "burst_factor", "burst_size"),
)


def prior_draws(spec: GrowthSpec, draws: int, calendar_months: int = 5):
    """Draws for two base models of one organization."""
    of = np.zeros(2, dtype=np.int64)
    return draw_prior(spec, of, 1, draws, np.random.default_rng(1), calendar_months)


@pytest.fixture(scope="module")
def surge():
    """With every table that its law may have."""
    return read_spec("bursts")


@pytest.fixture(scope="module")
def fixed(surge):
    """Surge with a number at each entry."""
    return dataclasses.replace(
        surge,
        reinforcement=0.8,
        period_effect=PeriodEffect(0.6, 0.3),
        bursts=Bursts(0.02, 10.0, 0.7),
    )


@pytest.mark.parametrize(
    ("prior", "scipy"),
    [
        (Prior("Normal", {"mu": 1.0, "sigma": 2.0}, "x"), stats.norm(1.0, 2.0)),
        (Prior("HalfNormal", {"sigma": 2.0}, "x"), stats.halfnorm(scale=2.0)),
        (Prior("LogNormal", {"median": 3.0, "sigma": 0.5}, "x"), stats.lognorm(0.5, scale=3.0)),
        (Prior("Gamma", {"alpha": 2.0, "beta": 4.0}, "x"), stats.gamma(2.0, scale=0.25)),
        (Prior("Exponential", {"scale": 4.0}, "x"), stats.expon(scale=4.0)),
        (Prior("Beta", {"alpha": 6.0, "beta": 2.0}, "x"), stats.beta(6.0, 2.0)),
    ],
    ids=lambda value: getattr(value, "distribution", ""),
)
def test_frozen(prior, scipy):
    x = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(frozen(prior).logpdf(x), scipy.logpdf(x))


@pytest.mark.parametrize("name", SHARED)
def test_shared_parameters_follow_their_priors(surge, name):
    drawn = prior_draws(surge, 4000)[name]
    assert drawn.dims == ("chain", "draw")
    test = stats.kstest(drawn.to_numpy().ravel(), frozen(surge.shared[name]).cdf)
    assert test.pvalue > 1e-4


def test_numbers_are_no_variables(surge, fixed):
    drawn = prior_draws(surge, 3)
    assert {"carry_over_strength", "carry_over_memory"}.isdisjoint(drawn.data_vars)
    drawn = prior_draws(fixed, 3)
    assert {*fixed.shared}.isdisjoint(drawn.data_vars)
    assert {*fixed.shared}.isdisjoint(log_prior(fixed, drawn).data_vars)
    assert "period_effect" in drawn


@pytest.mark.parametrize("name", ["citation", "reinforced"])
def test_the_laws_of_the_paper_share_nothing(name):
    drawn = prior_draws(read_spec(name), 3)
    assert {*SHARED, "period_effect"}.isdisjoint(drawn.data_vars)


def test_without_tables_no_variables(surge):
    spec = dataclasses.replace(surge, period_effect=None, bursts=None)
    drawn = prior_draws(spec, 3)
    assert {*SHARED, "period_effect"} & {*drawn.data_vars} == {"reinforcement_exponent"}


def test_period_effect_is_the_stationary_autoregression(fixed):
    effect = prior_draws(fixed, 20_000, 7)["period_effect"]
    assert effect.dims == ("chain", "draw", "calendar_month")
    assert effect.shape == (1, 20_000, 7)
    found = np.cov(effect.to_numpy()[0].T)
    lag = np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    np.testing.assert_allclose(found, 0.3**2 / (1 - 0.6**2) * 0.6**lag, atol=0.006)
    assert stats.kstest(effect[0, :, -1], stats.norm(scale=0.3 / 0.8).cdf).pvalue > 1e-4


def test_period_effect_goes_with_the_draws_of_its_persistence_and_innovation(surge):
    drawn = prior_draws(surge, 20_000, 40).isel(chain=0)
    persistence = drawn["period_persistence"].to_numpy()
    innovation = drawn["period_innovation"].to_numpy()
    effect = drawn["period_effect"].to_numpy()
    steps = (effect[:, 1:] - persistence[:, None] * effect[:, :-1]) / innovation[:, None]
    first = effect[:, 0] * np.sqrt(1 - persistence**2) / innovation
    innovations = np.column_stack([first, steps])
    assert stats.kstest(innovations.ravel(), "norm").pvalue > 1e-4
    np.testing.assert_allclose(np.corrcoef(innovations[:, :6].T), np.eye(6), atol=0.04)
    np.testing.assert_allclose(stationary(innovations, persistence, innovation), effect)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.01), (0.001, 1.0)])
def test_shares_stay_inside_of_their_support(surge, alpha, beta):
    lean = Prior("Beta", {"alpha": alpha, "beta": beta}, "leans on an end")
    assert np.isin(frozen(lean).rvs(200, random_state=1), [0.0, 1.0]).any(), "else tests nothing"
    spec = dataclasses.replace(
        surge,
        reinforcement=lean,
        period_effect=PeriodEffect(lean, 0.1),
        bursts=Bursts(lean, 10.0, 0.7),
    )
    drawn = prior_draws(spec, 200)
    densities = log_prior(spec, drawn)
    for name in ("reinforcement_exponent", "period_persistence", "burst_probability"):
        assert ((drawn[name] > 0) & (drawn[name] < 1)).all()
        assert np.isfinite(densities[name]).all()
    assert np.isfinite(drawn["period_effect"]).all()


def test_the_number_of_calendar_months_changes_nothing_else(surge):
    long, short = prior_draws(surge, 3, 40), prior_draws(surge, 3, 0)
    assert short["period_effect"].shape == (1, 3, 0)
    assert long.drop_vars("period_effect").identical(short.drop_vars("period_effect"))


def test_log_prior_has_the_densities_of_the_shared_parameters(surge):
    drawn = prior_draws(surge, 50)
    densities = log_prior(surge, drawn)
    assert {*SHARED} <= {*densities.data_vars}
    assert "period_effect" not in densities
    expected = {
        "reinforcement_exponent": stats.beta(6, 2),
        "period_persistence": stats.beta(98, 2),
        "period_innovation": stats.lognorm(0.3, scale=0.2),
        "burst_probability": stats.beta(1, 50),
        "burst_factor": stats.lognorm(0.7, scale=10),
        "burst_size": stats.lognorm(0.5, scale=0.7),
    }
    for name, distribution in expected.items():
        np.testing.assert_allclose(densities[name], distribution.logpdf(drawn[name]))
