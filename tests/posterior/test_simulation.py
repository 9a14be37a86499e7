"""Draws of what base models share, and what is simulated from them."""

import dataclasses

import numpy as np
import pytest

from bayes_hfgrowth.model.priors import draw_prior
from bayes_hfgrowth.model.specification import FIXED, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.period import month_names
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    calendar_needed,
    dormancy_shares,
    futures,
    log_likelihood,
    replicates,
    simulated_history,
)

DRAWS = 300


@pytest.fixture
def drawn(small_panel):
    """A history, and draws of everything from the prior of a growth model with every table."""
    spec, history = read_spec("bursts"), History.from_panel(small_panel)
    first, number = history.calendar_span
    rng = np.random.default_rng(1)
    prior = draw_prior(spec, history.organization_of, 2, DRAWS, rng, number)
    return spec, history, prior.assign_coords(calendar_month=month_names(first, number))


def test_draws_are_read_or_fixed_in_the_order_of_the_law(drawn):
    spec, history, prior = drawn
    shared = SharedDraws.of(spec, prior)
    assert len(shared) == DRAWS
    exponent = prior["reinforcement_exponent"].to_numpy().ravel()
    np.testing.assert_array_equal(shared.values[:, 0], exponent)
    np.testing.assert_array_equal(shared.values[:, 1], spec.carry_over.strength)
    np.testing.assert_array_equal(shared.values[:, 5], prior["burst_size"].to_numpy().ravel())
    np.testing.assert_array_equal(shared.over(*history.calendar_span), prior["period_effect"][0])
    classic = SharedDraws.of(read_spec("reinforced"), prior)
    fixed = [FIXED[name] for name in ("reinforcement_exponent", "carry_over_strength")]
    assert classic.values[0, :2].tolist() == fixed
    assert classic.period is None
    assert not classic.over(600, 5).any()
    some = shared.take(np.array([7, 3]))
    np.testing.assert_array_equal(some.values, shared.values[[7, 3]])
    np.testing.assert_array_equal(some.period, shared.period[[7, 3]])


def test_period_effects_are_continued_and_otherwise_refused(drawn):
    spec, history, prior = drawn
    shared, rng = SharedDraws.of(spec, prior), np.random.default_rng(2)
    first, number = history.calendar_span
    with pytest.raises(ValueError, match="do not cover"):
        shared.over(first, number + 1)
    longer = shared.ahead_of(history, 12, rng)
    begin, needed = calendar_needed(history, 12)
    assert longer.over(begin, needed).shape == (DRAWS, needed)
    np.testing.assert_array_equal(longer.over(first, number), shared.period)
    # An autoregression in both directions.
    path = longer.over(first + number - 1, 2)
    innovation = (path[:, 1] - shared.persistence * path[:, 0]) / shared.innovation
    assert innovation.std() == pytest.approx(1.0, abs=0.15)
    assert abs(innovation.mean()) < 0.25
    assert not SharedDraws(shared.values).over(first, number + 40).any()


def test_a_share_of_dormant_base_models_is_asked_for(drawn):
    spec, history, prior = drawn
    theta, shared = base_model_parameters(spec, prior), SharedDraws.of(spec, prior)
    with pytest.raises(ValueError, match="shares of dormant"):
        log_likelihood(spec, history, theta, shared)
    plain = dataclasses.replace(spec, dormancy=None)
    no_dormancy = np.zeros((DRAWS, 2))
    np.testing.assert_array_equal(
        log_likelihood(spec, history, theta, shared, no_dormancy),
        log_likelihood(plain, history, theta, shared),
    )
    assert dormancy_shares(plain, prior) is None
    shares = dormancy_shares(spec, prior)
    density = log_likelihood(spec, history, theta, shared, shares)
    assert density.shape == (DRAWS, len(history.new))
    assert (density <= 0).all()


def test_replicates_and_futures_have_the_shape_of_the_history(drawn):
    spec, history, prior = drawn
    theta, shared = base_model_parameters(spec, prior), SharedDraws.of(spec, prior)
    shares, rng = dormancy_shares(spec, prior), np.random.default_rng(3)
    months = replicates(spec, history, theta, shared, rng, shares)
    assert months.shape == (DRAWS, len(history.new))
    assert months.min() >= 0
    ahead = shared.ahead_of(history, 6, rng)
    paths = futures(spec, history, theta, ahead, 6, rng, shares)
    assert paths.shape == (DRAWS, len(history.base_models), 6)
    assert (paths[:, :, 0] >= history.finetunes).all()


def test_a_simulated_history_has_ages_and_names_of_the_template(drawn):
    spec, history, prior = drawn
    theta, shared = np.tile([3.0, 0.5, 0.0, -1.0], (3, 1)), SharedDraws.of(spec, prior)
    made = simulated_history(
        spec, history, theta, shared.take(np.array([0])), np.random.default_rng(4), np.ones(2)
    )
    assert not made.new.any()  # all are dormant
    assert made.base_models == history.base_models
    np.testing.assert_array_equal(made.month, history.month)
    growing = simulated_history(
        spec, history, theta, shared.take(np.array([0])),
        np.random.default_rng(4), np.zeros(2),
    )  # fmt: skip
    assert growing.new.sum() > 0
    for i, start in enumerate(growing.start[:-1]):
        own = slice(start, growing.start[i + 1])
        np.testing.assert_array_equal(
            growing.previous[own], np.cumsum(growing.new[own]) - growing.new[own]
        )
