"""Draws of the quantities: peak months and portfolios against brute force, shares by counting."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from bayes_hfgrowth.comparison import MANY, NEW_BASE_MODELS, QUANTITIES, largest_base_models
from bayes_hfgrowth.comparison.quantities import (
    LONGEST_PEAK,
    curve_draws,
    exponents,
    peak_months,
    quantity_draws,
)
from bayes_hfgrowth.growth import cumulative
from bayes_hfgrowth.model.specification import read_spec

SPEC = read_spec("reinforced")


def posterior_of(fitness, immediacy, longevity, exponent=None):
    dims = ("chain", "draw", "organization")
    values = {"fitness": fitness, "immediacy": immediacy, "longevity": longevity}
    posterior = xr.Dataset(
        {f"organization_{name}": (dims, np.reshape(v, (1, -1, 1))) for name, v in values.items()}
    )
    if exponent is not None:
        posterior["reinforcement_exponent"] = dims[:2], np.reshape(exponent, (1, -1))
    return posterior


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 12.0), st.floats(-2.0, 7.0), st.floats(0.05, 5.0), st.floats(0.05, 1.0)
        ),
        min_size=1,
        max_size=8,
    ),
    st.booleans(),
)
def test_the_search_stops_early_and_misses_nothing(rows, linear):
    *curve, exponent = np.array(rows).T
    exponent = np.ones(len(rows)) if linear else exponent
    posterior = posterior_of(*curve, None if linear else exponent)
    months = peak_months(SPEC, posterior)[:, 0]
    with np.errstate(over="ignore"):
        counts = cumulative(np.arange(LONGEST_PEAK + 1)[:, None], *curve, SPEC.m, exponent)
    growth = np.diff(counts, axis=0)
    for found, column in zip(months, growth.T, strict=True):
        # To rounding: beyond the peak, differences of large counts are not exact.
        assert column[int(found) - 1] >= column.max() * (1 - 1e-9)


def test_exponents_are_drawn_or_as_set():
    curve = np.ones((3, 4))
    drawn = posterior_of(*curve, [0.3, 0.5, 0.9, 1.0])
    np.testing.assert_array_equal(exponents(SPEC, drawn), [0.3, 0.5, 0.9, 1.0])
    np.testing.assert_array_equal(exponents(SPEC, posterior_of(*curve)), np.ones(4))
    fixed = dataclasses.replace(SPEC, reinforcement=0.6)
    np.testing.assert_array_equal(exponents(fixed, posterior_of(*curve)), np.full(4, 0.6))


def test_the_curve_of_each_draw_has_its_own_exponent():
    fitness, exponent = np.array([1.5, 1.5, 40.0]), np.array([1.0, 0.5, 0.5])
    posterior = posterior_of(fitness, np.full(3, 2.0), np.full(3, 1.1), exponent)
    draws = curve_draws(SPEC, posterior, peak_months(SPEC, posterior))
    impact = [SPEC.m * np.expm1(1.5), (SPEC.m**0.5 + 0.75) ** 2 - SPEC.m]
    np.testing.assert_allclose(draws["ultimate_impact"][:2, 0], impact, rtol=1e-12)
    for row in range(3):
        alone = cumulative(6, fitness[row], 2.0, 1.1, SPEC.m, exponent[row])
        np.testing.assert_allclose(draws["median_at_6_months"][row, 0], alone, rtol=1e-13)


@pytest.fixture(scope="module")
def drawn(made_fit):
    left_out = dict(enumerate(largest_base_models(made_fit)["position"]))
    peaks = peak_months(made_fit.spec, made_fit.posterior)
    chosen = np.array([2, 0])
    return quantity_draws(made_fit, chosen, peaks, left_out, np.random.default_rng(3))


def test_every_quantity_says_which_draws_it_comes_from(made_fit, drawn):
    draws, smaller = drawn
    assert set(draws) == {name for name, quantity in QUANTITIES.items() if quantity.larger}
    assert list(draws) == [name for name in QUANTITIES if name in draws]
    for name, of in draws.items():
        assert of.sample.shape == (len(of.draw), 2), name
    fitness = made_fit.posterior["organization_fitness"].to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(draws["fitness"].sample, fitness[draws["fitness"].draw][:, [2, 0]])
    few = draws[f"share_passing_{MANY}"]
    assert len(few.draw) == 400  # every fourth of each chain
    np.testing.assert_array_equal(few.draw.reshape(4, 100)[1], 400 + 4 * np.arange(100))
    new = draws["finetunes_after_12_months"]
    np.testing.assert_array_equal(new.draw.reshape(-1, NEW_BASE_MODELS)[:, 0], few.draw)
    np.testing.assert_array_equal(smaller.draw, few.draw)


def test_shares_are_those_of_the_new_base_models(drawn):
    draws, _ = drawn
    new = draws["finetunes_after_12_months"].sample.reshape(-1, NEW_BASE_MODELS, 2)
    passing, none = np.zeros((len(new), 2)), np.zeros((len(new), 2))
    for i, one in enumerate(new):
        for o in range(2):
            passing[i, o] = sum(count > MANY for count in one[:, o]) / NEW_BASE_MODELS
            none[i, o] = sum(count == 0 for count in one[:, o]) / NEW_BASE_MODELS
    np.testing.assert_allclose(draws[f"share_passing_{MANY}"].sample, passing)
    np.testing.assert_allclose(draws["share_without_finetune"].sample, none)


def test_the_portfolio_is_the_sum_of_the_forecasts(made_fit):
    from bayes_hfgrowth.forecast.paths import forecast

    largest = largest_base_models(made_fit)
    left_out = dict(enumerate(largest["position"]))
    peaks = peak_months(made_fit.spec, made_fit.posterior)
    # Several runs, as totals have long tails.
    runs = [
        quantity_draws(made_fit, np.array([2, 0]), peaks, left_out, np.random.default_rng(seed))
        for seed in range(6)
    ]
    lasts = [
        forecast(made_fit, 12, seed=seed).draws["finetunes"].isel(horizon=-1) for seed in range(6)
    ]
    for column, name in enumerate(("StabilityAI", "Meta")):
        own = [model for model in made_fit.base_models if model.startswith(f"{name}/")]
        rest = [model for model in own if model != largest.loc[name, "base_model"]]
        with_it = [draws["portfolio_after_12_months"].sample[:, column] for draws, _ in runs]
        without = [smaller.sample[:, column] for _, smaller in runs]
        for samples, models in ((with_it, own), (without, rest)):
            totals = [last.sel(base_model=models).sum("base_model").to_numpy() for last in lasts]
            assert np.mean(samples) == pytest.approx(np.mean(totals), rel=0.05)
            known = [made_fit.history.finetunes[made_fit.base_models.index(m)] for m in models]
            assert np.min(samples) >= sum(known)
