"""Weights of pairs: against the same sums by NumPy, and against what other modules find."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import kstest, multivariate_t

from bayes_hfgrowth.growth.adjoint import gradients_of
from bayes_hfgrowth.growth.blocks import Block, block_for
from bayes_hfgrowth.growth.law import LIKELIHOODS, Shared
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.conditional import POINTS, Conditional, condition
from bayes_hfgrowth.posterior.importance import DEGREES, log_normal_densities
from bayes_hfgrowth.posterior.laplace import Centre, mode_of
from bayes_hfgrowth.posterior.pairs import BLOCK, log_likelihoods_of, weigh
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.resampling import (
    Organization,
    draw_points,
    draw_points_of_organization,
)
from bayes_hfgrowth.posterior.simulation import log_likelihood

NEW = np.array([3.0, 9.0, 14.0, 20.0, 22.0])
SERIES = {"busy": NEW, "zero count": np.zeros(4), "newborn": np.empty(0)}


def one_lane(months: int, calendar: int) -> Block:
    """A block of one lane with so many months."""
    block = block_for(1, months, 4, calendar)
    block.length[0] = months
    return block


@pytest.fixture(scope="module", params=["citation", "reinforced", "surge"])
def conditional(request, make_fit):
    return Conditional(PopulationPosterior.from_fit(make_fit(request.param, draws=50)), 1, 200)


@pytest.fixture(scope="module")
def surge(make_fit):
    """With exponents and period effects that differ from draw to draw."""
    population = PopulationPosterior.from_fit(make_fit(draws=50))
    posterior, rng = population.posterior.copy(), np.random.default_rng(3)
    for name, wide in (("period_effect", 0.2), ("reinforcement_exponent", 0.05)):
        values = posterior[name]
        posterior[name] = values + wide * rng.standard_normal(values.shape)
    return Conditional(PopulationPosterior(posterior, population.about), 1, 200)


def one_base_model(new):
    return dataclasses.replace(
        History.newborn(1),
        created_at=pd.DatetimeIndex(["2024-02-20"], tz="UTC"),
        start=np.array([0, len(new)]),
        month=np.arange(1.0, len(new) + 1.0),
        previous=np.cumsum(new) - new,
        new=new,
    )


def months_of(conditional, new):
    """Months as `Conditional.weights` takes them."""
    spec = conditional.spec
    found = one_base_model(new).months_of(LIKELIHOODS[spec.likelihood], spec.m, 0)
    if conditional.shared.period is None:
        return found._replace(calendar=np.zeros_like(found.calendar))
    return found


def weights_of(conditional, new, organization="Qwen"):
    return conditional.weights(organization, months_of(conditional, new))


def exact(conditional, new, theta, rows):
    """Log likelihood under the draws' own shared parameters and period effects."""
    plain, history = dataclasses.replace(conditional.spec, dormancy=None), one_base_model(new)
    if not len(new):
        return np.zeros(len(rows))
    shared = conditional.over_calendar(*history.calendar_span).take(rows)
    months = log_likelihood(plain, history, theta[:, None], shared)
    return months.sum(axis=1, dtype=np.float64)


@pytest.mark.parametrize("organization", ["Qwen", "Nobody"])
@pytest.mark.parametrize("new", SERIES.values(), ids=SERIES)
def test_weights_are_likelihood_over_proposal_times_population(conditional, new, organization):
    found = weights_of(conditional, new, organization)
    weighed, (means, scales) = found.weighed, conditional.of_base_models(organization)
    points = weighed.points.T
    draws = len(means)
    proposal = weighed.likelihood - weighed.log_weights
    # What is left of the log weights is the density of a mixture: 70% around the mode.
    moved = means - weighed.shifts
    within = np.diag((scales**2).mean(axis=0))
    wide = multivariate_t(moved.mean(axis=0), np.cov(moved.T) + within, DEGREES)
    assert (proposal > wide.logpdf(points) + np.log(0.299) - 1e-6).all()
    terms = log_normal_densities(points, moved, scales) + weighed.log_weights
    expected = np.logaddexp.reduce(terms, axis=1) + weighed.heights - np.log(POINTS)
    np.testing.assert_allclose(found.log_marginal, expected, rtol=1e-9, atol=1e-9)
    assert weighed.blocks.shape == (draws, POINTS // BLOCK)


@pytest.mark.parametrize("new", SERIES.values(), ids=SERIES)
def test_likelihoods_at_points_are_those_of_a_middling_population(conditional, new):
    weighed = weights_of(conditional, new).weighed
    if conditional.spec.likelihood == "surge" and len(new):
        return  # its mean over draws is none of them; see the next test
    months = exact(conditional, new, weighed.points.T, np.zeros(POINTS, dtype=int))
    possible = months > -1e4  # they are in float32
    assert possible.mean() > 0.6
    near = weighed.likelihood[possible]
    np.testing.assert_allclose(near, months[possible], rtol=1e-5, atol=1e-3)


def test_shifts_bring_the_likelihood_to_that_of_each_draw(surge):
    """What they leave is small beside what there is without them."""
    found = weights_of(surge, NEW)
    rows = np.repeat(np.arange(200), 3)
    points = np.empty(len(rows), dtype=np.int64)
    rng = np.random.default_rng(0)
    draw_points(rows, rng.random(len(rows)), found.population, found.weighed, points)
    weighed = found.weighed
    theta = weighed.points[:, points].T
    with_shift = exact(surge, NEW, theta + weighed.shifts[rows], rows)
    left = with_shift - weighed.likelihood[points] - weighed.heights[rows]
    without = exact(surge, NEW, theta, rows) - weighed.likelihood[points]
    assert left.std() < 0.3
    assert left.std() < 0.25 * without.std()
    assert (weighed.shifts[:, 3] == 0.0).all()  # the dispersion's


def test_exact_likelihoods_are_those_of_the_simulation(surge):
    found = weights_of(surge, NEW)
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 200, 700)
    theta = found.means[rows] + surge.scales[rows] * rng.standard_normal((700, 4))
    theta[3, 1], theta[4, 0] = 400.0, np.nan
    observed, population = found._seen(months_of(surge, NEW))
    out = np.empty(700)
    log_likelihoods_of(observed, population, rows, theta, out)
    fine = np.delete(np.arange(700), [3, 4])
    expected = exact(surge, NEW, theta[fine], rows[fine])
    np.testing.assert_allclose(out[fine], expected, rtol=1e-5, atol=1e-4)
    assert (out[[3, 4]] == -np.inf).all()


def test_the_proposal_integrates_to_one(conditional):
    """The population's density over the proposal has mean 1, so that no constant is missing."""
    found = weights_of(conditional, np.empty(0))
    terms = log_normal_densities(found.weighed.points.T, found.means, found.scales)
    ratios = np.exp(terms + found.weighed.log_weights)  # newborn: the likelihood is 1
    np.testing.assert_allclose(ratios.mean(axis=1).mean(), 1.0, atol=0.1)


def weights_under(found, d, mean, scales):
    """Weights of all points under one draw."""
    moved = (mean - found.weighed.shifts[d])[None]
    terms = log_normal_densities(found.weighed.points.T, moved, scales[None])[0]
    weights = np.exp(terms + found.weighed.log_weights - terms.max())
    return weights / weights.max()


def test_points_are_drawn_by_their_weights(conditional):
    found = weights_of(conditional, NEW)
    number = 40_000
    points = np.empty(number, dtype=np.int64)
    uniform = np.random.default_rng(0).random(number)
    draw_points(np.full(number, 7), uniform, found.population, found.weighed, points)
    weights = weights_under(found, 7, found.means[7], found.scales[7])
    shares = np.bincount(points, minlength=POINTS) / number
    np.testing.assert_allclose(
        shares, weights / weights.sum(), atol=5 * np.sqrt(shares.max() / number)
    )


def test_points_of_an_unknown_organization_are_as_of_any_and_share_its_mean(surge):
    found = weights_of(surge, NEW, "Nobody")
    rng, pairs = np.random.default_rng(0), np.ones(200, dtype=np.int64)
    between = surge.population.global_level[1]
    times = 300
    points = np.empty((times, 200), dtype=np.int64)
    near = np.empty((times, 200))
    for i in range(times):  # as many organizations, one base model of each
        means = found.means + between * rng.standard_normal(between.shape)
        own = Organization(means, between, surge.scales)
        draw_points_of_organization(
            pairs, rng.random(200), found.population, own, found.weighed, rng, points[i]
        )
        theta = found.weighed.points[:, points[i]].T + found.weighed.shifts
        near[i] = ((theta - means) / surge.scales)[:, 2]
    for d in (3, 80):
        weights = weights_under(found, d, found.means[d], found.scales[d])
        drawn, value = found.weighed.points[2, points[:, d]], found.weighed.points[2]
        order = np.argsort(value)
        cumulative = np.cumsum(weights[order]) / weights.sum()
        place = np.interp(drawn, value[order], cumulative)
        assert kstest(place, "uniform").pvalue > 1e-3
    # The months say little of the longevity, so base models are near their organization's.
    assert near.std() == pytest.approx(1.0, abs=0.25)


def test_the_mode_is_where_the_density_is_largest(conditional):
    found = weights_of(conditional, NEW)
    observed, population = found._seen(months_of(conditional, NEW))
    mean, scales = found.means.mean(axis=0), np.sqrt((found.scales**2).mean(axis=0))
    centre = Centre(mean, scales, Shared(conditional.middle, population.period.mean(axis=0)))
    lane = one_lane(len(NEW), len(centre.shared.period))
    mode, values, vectors = mode_of(observed, centre, lane)

    def slope_at(theta):
        value, by_theta, _, _ = gradients_of(observed, theta[None], centre.shared)
        return value[0], by_theta[0]

    def objective(theta):
        value, slope = slope_at(theta)
        distance = (theta - mean) / scales
        return 0.5 * (distance**2).sum() - value, distance / scales - slope

    best = minimize(objective, mean, jac=True, method="BFGS", options={"gtol": 1e-6})
    np.testing.assert_allclose(mode, best.x, atol=1e-3)
    apart = np.eye(len(mean)) * 1e-4
    hessian = np.array([slope_at(mode - step)[1] - slope_at(mode + step)[1] for step in apart])
    scaled = hessian / 2e-4 * np.outer(scales, scales)
    expected = np.linalg.eigvalsh(0.5 * (scaled + scaled.T)).clip(0.0)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(mean)), atol=1e-9)


def test_all_of_it_is_compiled_once_and_lets_threads_run():
    assert weigh.targetoptions["nogil"]
    assert draw_points.targetoptions["nogil"]
    assert draw_points_of_organization.targetoptions["nogil"]
    assert log_likelihoods_of.targetoptions["nogil"]


def test_draws_of_a_base_model_hang_on_nothing_else(conditional):
    """Whichever others are drawn, in whichever order."""
    rng = np.random.default_rng(1)
    series = [rng.poisson(2.0, n).astype(float) for n in (3, 9, 0, 4)] + [np.zeros(5)] * 3
    start = np.append(0, np.cumsum([len(new) for new in series]))
    history = dataclasses.replace(
        History.newborn(len(series)),
        base_models=tuple("abcdefg"),
        organizations=("Meta", "Nobody"),
        organization_of=np.array([0, 1, 0, 1, 1, 0, 1]),
        created_at=pd.DatetimeIndex(["2024-02-20"] * 4 + ["2024-03-01"] * 3, tz="UTC"),
        start=start,
        month=np.concatenate([np.arange(1.0, len(new) + 1) for new in series]),
        previous=np.concatenate([np.cumsum(new) - new for new in series]),
        new=np.concatenate(series),
    )
    together = condition(conditional, history)
    for chosen in ([5], [3, 1], [6, 4, 2]):
        again = condition(conditional, history.subset(np.array(chosen)))
        for name in ("theta", "draw", "dormant"):
            np.testing.assert_array_equal(getattr(again, name), getattr(together, name)[:, chosen])
        np.testing.assert_array_equal(again.pareto_k, together.pareto_k[chosen])
    # Equal months share their weights, not their draws.
    assert (together.theta[:, 4] != together.theta[:, 6]).any()
