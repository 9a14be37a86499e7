"""The posterior without a base model: its weights against brute force, and what they do."""

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayes_hfgrowth.comparison.without as without_module
from bayes_hfgrowth.comparison import largest_base_models
from bayes_hfgrowth.comparison.without import Without, log_weights_without
from bayes_hfgrowth.model.priors import LOG_SCALE
from bayes_hfgrowth.posterior.draws import FittedDraws
from bayes_hfgrowth.posterior.importance import Population
from bayes_hfgrowth.posterior.simulation import SharedDraws, dormancy_shares, log_likelihood

NUMBER = 100_000


def log_likelihoods(fit, base_model, theta, draws):
    """Log likelihood of one base model at risk, at points of shape (points, parameters).

    `draws` says under which draw's shared parameters each is taken.
    """
    history = fit.history.subset(np.array([base_model]))
    shared = SharedDraws.of(fit.spec, fit.posterior).take(draws)
    shares = dormancy_shares(fit.spec, fit.posterior)
    no_dormancy = None if shares is None else np.zeros((len(theta), shares.shape[1]))
    months = log_likelihood(fit.spec, history, theta[:, None], shared, no_dormancy)
    return months.sum(axis=1, dtype=np.float64)


def from_population(fit, base_model, draws, seed):
    """Base models drawn from the population of some draws; shape (points, parameters)."""
    group = int(fit.history.organization_of[base_model])
    population = Population.from_posterior(fit.spec, fit.posterior)
    mean, scale = population.means[draws, group], population.scales[draws]
    return mean + scale * np.random.default_rng(seed).standard_normal(mean.shape)


def settled(fit, base_model):
    """The fit with that base model's parameters drawn anew, from what its counts leave.

    Each draw has those of its own posterior given the draw's population and shared parameters.
    """
    sizes = fit.posterior.sizes
    number = sizes["chain"] * sizes["draw"]
    draws = np.arange(NUMBER) % number
    theta = from_population(fit, base_model, draws, 5)
    logs = log_likelihoods(fit, base_model, theta, draws)
    weights = np.exp(logs - logs.max())
    rng = np.random.default_rng(6)
    theta = theta[rng.choice(NUMBER, size=number, p=weights / weights.sum())]
    posterior = fit.posterior.copy(deep=True)
    for column, name in enumerate(fit.spec.parameters):
        values = np.exp(theta[:, column]) if LOG_SCALE[name] else theta[:, column]
        at = {"base_model": base_model}
        posterior[name][at] = values.reshape(sizes["chain"], sizes["draw"])
    tree = fit.tree.copy()
    tree["posterior"] = xr.DataTree(posterior)
    tree.attrs = dict(fit.tree.attrs)
    return FittedDraws(tree)


def log_marginal(fit, base_model, draw):
    """Mean likelihood over the population of one draw: its logarithm, and the error of that."""
    draws = np.full(NUMBER, draw)
    theta = from_population(fit, base_model, draws, draw)
    logs = log_likelihoods(fit, base_model, theta, draws)
    top = max(logs.max(), -600.0)
    likelihood = np.exp(logs - top)
    value, error = likelihood.mean(), likelihood.std() / np.sqrt(NUMBER)
    shares = dormancy_shares(fit.spec, fit.posterior)
    if shares is not None:
        share = shares[draw, fit.history.organization_of[base_model]]
        value, error = (1.0 - share) * value, (1.0 - share) * error
        if fit.history.finetunes[base_model] == 0:
            value += share * np.exp(-top)
    return np.log(value) + top, error / value


def check(fit, base_model, tolerance, monkeypatch):
    """The weights against brute force at some draws, by more points than they usually have."""
    monkeypatch.setattr(without_module, "POINTS", 80_000)
    monkeypatch.setattr(without_module, "POINTS_EACH", 40_000)
    weights = log_weights_without(fit, base_model, np.random.default_rng(0))
    chosen = np.arange(5, 100, 12)
    brute = [log_marginal(fit, base_model, draw) for draw in chosen]
    expected = -np.array([value for value, _ in brute])
    assert np.ptp(expected) > 2 * tolerance  # there is something to be right about
    np.testing.assert_allclose(weights[chosen], expected, rtol=0, atol=tolerance)
    monkeypatch.undo()
    fewer = log_weights_without(fit, base_model, np.random.default_rng(1))
    assert np.std(fewer - weights) < 0.1
    return weights


@pytest.mark.parametrize("model", ["citation", "reinforced", "surge"])
def test_weights_are_the_inverse_of_the_marginal_likelihood(make_fit, model, monkeypatch):
    fit = make_fit(model, draws=25, width=0.1)
    base_model = int(np.flatnonzero(fit.history.finetunes > 20)[0])
    check(settled(fit, base_model), base_model, 0.2, monkeypatch)


def nothing_at_all(history):
    """The first base model, one of Meta, gets no fine-tune."""
    own = slice(history.start[0], history.start[1])
    new, previous = history.new.copy(), history.previous.copy()
    new[own], previous[own] = 0.0, 0.0
    return dataclasses.replace(history, new=new, previous=previous)


def test_one_without_any_finetune_may_be_dormant(make_fit, monkeypatch):
    fit = settled(make_fit(draws=25, width=0.1, distort=nothing_at_all), 0)
    weights = check(fit, 0, 0.02, monkeypatch)
    # It says that many are dormant, so without it fewer are.
    shares = dormancy_shares(fit.spec, fit.posterior)[:, 0]
    without = Without.from_logarithms(weights)
    assert without.mean(shares, np.arange(100)) < shares.mean()


def test_one_without_a_month_changes_nothing(make_fit):
    fit = make_fit(draws=50)
    youngest = len(fit.base_models) - 1
    assert (log_weights_without(fit, youngest, np.random.default_rng(0)) == 0).all()
    without = Without.from_logarithms(np.zeros(200))
    assert without.pareto_k == 0
    np.testing.assert_allclose(without.weights, 1 / 200)


def test_an_organization_does_worse_without_its_best(make_fit):
    fit = make_fit(draws=100, width=0.1)
    best = int(largest_base_models(fit).loc["Meta", "position"])
    fit = settled(fit, best)
    without = Without.from_logarithms(log_weights_without(fit, best, np.random.default_rng(0)))
    fitness = fit.posterior["organization_fitness"].sel(organization="Meta").to_numpy().ravel()
    assert without.mean(fitness, np.arange(400)) < fitness.mean()


def test_the_largest_of_each_is_found_by_looking(made_fit):
    table = largest_base_models(made_fit)
    assert tuple(table.index) == made_fit.organizations
    for name, row in table.iterrows():
        own = {
            model: int(count)
            for model, count in zip(made_fit.base_models, made_fit.history.finetunes, strict=True)
            if model.startswith(f"{name}/")
        }
        assert row["finetunes"] == own[row["base_model"]] == max(own.values())
        assert row["share"] == pytest.approx(max(own.values()) / sum(own.values()))
        assert made_fit.base_models[row["position"]] == row["base_model"]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40),
    st.floats(0.0, 1.0),
)
def test_a_weighted_quantile_is_one_of_repeated_values(rows, probability):
    """Weights that are whole numbers repeat values."""
    if not any(times for _, times in rows):
        rows.append((3, 1))
    values = np.array([value for value, _ in rows], dtype=np.float64)
    times = np.array([number for _, number in rows])
    without = Without(times / times.sum(), 0.0)
    draw = np.arange(len(rows))
    repeated = np.sort(np.repeat(values, times))
    (told,) = without.quantiles(values, [probability], draw)
    assert told in repeated
    assert (repeated <= told).mean() >= probability - 1e-9
    assert (repeated < told).mean() <= probability + 1e-9
    assert without.mean(values, draw) == pytest.approx(repeated.mean())


def test_weights_follow_the_draw_that_a_row_comes_from():
    without = Without(np.array([0.5, 0.3, 0.2]), 0.0)
    draw = np.array([2, 2, 0, 0])  # the middle one is not simulated
    values = np.array([1.0, 3.0, 10.0, 20.0])
    assert without.mean(values, draw) == pytest.approx((0.2 * 4 + 0.5 * 30) / 1.4)


def test_weights_on_draws_that_were_left_out_fall_back_to_even_ones():
    without = Without(np.array([1.0, 0.0, 0.0]), np.inf)
    assert without.mean(np.array([4.0, 6.0]), np.array([1, 2])) == 5.0
