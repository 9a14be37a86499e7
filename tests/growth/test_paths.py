"""Futures against the law: month by month, by their moments, and what they must never do."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from numba import njit
from scipy import stats

from bayes_hfgrowth.growth import cumulative
from bayes_hfgrowth.growth.law import CAP, MEMORY, PROBABILITY, SHARED
from bayes_hfgrowth.growth.monthwise import negative_binomial
from bayes_hfgrowth.growth.paths import Ahead, simulate
from bayes_hfgrowth.model.specification import read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.simulation import SharedDraws, futures
from tests.growth.cases import NEW, PERIOD, THETA, surge
from tests.growth.reference import NO_BURSTS, Case, Counts, log_density, months_of


def paths_of(case, draws, months, seed, **instead):
    """Further counts of each month, shape (draws, months), not added up."""
    rng = np.random.default_rng(seed)
    age = len(case.new)
    effects = np.zeros(age + months + 1)
    known = case.period[: len(effects)]
    effects[: len(known)] = known
    given = case.draws(draws)._replace(period=np.tile(effects, (draws, 1)))._replace(**instead)
    ahead = Ahead(np.arange(age, age + months)[None], np.full((1, months), case.share))
    out = np.empty((draws, 1, months), dtype=np.int64)
    simulate(case.observed(), given, ahead, rng, out)
    assert out.min() >= sum(case.new)
    assert (np.diff(out, axis=-1) >= 0).all()
    return np.diff(out[:, 0], axis=-1, prepend=int(sum(case.new)))


def case_of(law, **more):
    if law == "surge":
        return surge(**more)
    return Case(law, more.get("new", NEW), THETA[law], m=more.get("m", 1.0))


@pytest.mark.parametrize("law", ["poisson", "birth"])
def test_mean_of_newborn_futures_is_the_papers_curve(law):
    draws, months = 40_000, 12
    case = case_of(law, new=())
    counts = paths_of(case, draws, months, 3).cumsum(axis=1)
    curve = cumulative(
        np.arange(1, months + 1), np.exp(case.theta[0]), case.theta[1], np.exp(case.theta[2]), 1.0
    )
    error = counts.std(axis=0) / np.sqrt(draws)
    assert (np.abs(counts.mean(axis=0) - curve) < 4.5 * error).all()


@pytest.mark.parametrize("law", THETA)
def test_each_month_follows_the_law_given_the_months_before_it(law):
    draws = 20_001  # not a multiple of the draws that are gone through at a time
    case = case_of(law, new=(0.0, 1.0, 1.0, 0.0))
    found = paths_of(case, draws, 3, 4)
    with_next = dataclasses.replace(case, new=(*case.new, 0.0))
    assert Counts(with_next).chance(found[:, 0]) > 1e-4
    values, often = np.unique(found[:, 0], return_counts=True)
    for first in values[np.argsort(often)[-3:]].tolist():
        given = found[found[:, 0] == first, 1]
        assert len(given) > 400
        after = dataclasses.replace(case, new=(*case.new, float(first), 0.0))
        assert Counts(after).chance(given) > 1e-4, first


@pytest.mark.parametrize(
    "case",
    [surge(), surge(exponent=1.0), surge(bursts=NO_BURSTS), surge(theta=(-3.0, 1.5, 0.2, 0.4))],
    ids=["all parts", "in proportion", "no bursts", "hardly any"],
)
def test_mean_variance_and_empty_months_of_the_next_month(case):
    draws = 200_000
    case = dataclasses.replace(case, new=(0.0, 1.0, 4.0, 2.0))
    found = paths_of(case, draws, 1, 5)[:, 0].astype(np.float64)
    law = Counts(dataclasses.replace(case, new=(*case.new, 0.0)))
    mean, variance = law.moments()
    empty = float(law.cdf(0))
    assert found.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / draws))
    fourth = np.mean((found - mean) ** 4)
    assert found.var() == pytest.approx(variance, abs=5 * np.sqrt(fourth / draws))
    assert np.mean(found == 0) == pytest.approx(
        empty, abs=5 * np.sqrt(empty * (1.0 - empty) / draws)
    )


def test_each_draw_has_its_own_parameters():
    draws = 12_000
    case = surge(bursts=NO_BURSTS)
    theta, shared = np.tile(case.theta, (draws, 1, 1)), np.tile(case.shared, (draws, 1))
    period = np.tile(np.append(case.effects, 0.0), (draws, 1))
    theta[::2, 0, 0] -= 1.0
    other = np.array([0.4, 0.0, 0.0, 0.2, 30.0, 0.5])
    shared[::2] = other  # every other draw has bursts, and no carry-over
    period[::2] = 0.5
    found = paths_of(case, draws, 1, 6, theta=theta, values=shared, period=period)[:, 0]
    own = dataclasses.replace(case, new=(*case.new, 0.0))
    assert Counts(own).chance(found[1::2]) > 1e-4
    own = dataclasses.replace(
        own, theta=tuple(theta[0, 0]), shared=tuple(other), period=(0.5,) * 10
    )
    assert Counts(own).chance(found[::2]) > 1e-4


def test_a_burst_leaves_the_months_after_it_as_they_would_be():
    draws = 40_000
    # Bursts that stand out are known for what they are.
    case = surge(bursts=(0.2, 2000.0, 3.0), new=(1.0, 3.0, 2.0), period=())
    found = paths_of(case, draws, 2, 7)
    # The median, since a further burst may follow.
    burst = found[:, 0] > 500
    assert 0.1 < burst.mean() < 0.3
    middle = [np.median(found[of, 1]) for of in (burst, ~burst)]
    assert middle[0] == pytest.approx(middle[1], abs=1.0)
    without = surge(bursts=NO_BURSTS, new=(1.0, 3.0, 2.0, 4000.0), period=())
    assert np.median(paths_of(without, draws, 1, 8)[:, 0]) > 50.0


def history_of(number):
    """Base models of one organization, all observed for the same five months without fine-tunes."""
    nothing = np.zeros(5 * number)
    return History(
        base_models=tuple(f"a/{i}" for i in range(number)),
        organizations=("a",),
        organization_of=np.zeros(number, dtype=np.int64),
        created_at=pd.DatetimeIndex(["2024-03-11T00:00Z"] * number),
        start=5 * np.arange(number + 1),
        month=np.tile(np.arange(1.0, 6.0), number),
        previous=nothing,
        new=nothing,
    )


def test_all_base_models_of_a_draw_have_the_same_period_effects():
    draws, number = 4000, 8
    spec = dataclasses.replace(read_spec("surge"), dormancy=None)
    history = history_of(number)
    first, calendar = history.calendar_span
    values = np.tile([0.7, 0.0, 0.0, 0.0, 1.0, 1.0], (draws, 1))
    shared = SharedDraws(
        values, np.zeros((draws, calendar)), first, np.full(draws, 0.9), np.full(draws, 0.6)
    )
    shared = shared.ahead_of(history, 6, np.random.default_rng(9))
    theta = np.tile([2.0, 1.5, 0.5, -1.0], (draws, number, 1))
    found = futures(spec, history, theta, shared, 6, np.random.default_rng(10))[:, :, -1]
    logs = np.log(found + 1.0)
    apart = np.corrcoef(logs.T)[np.triu_indices(number, 1)]
    assert apart.mean() > 0.4
    calm = futures(spec, history, theta, SharedDraws(shared.values), 6, np.random.default_rng(10))
    calm = np.log(calm[:, :, -1] + 1.0)
    assert np.abs(np.corrcoef(calm.T)[np.triu_indices(number, 1)].mean()) < 0.03
    # What is drawn for a month lies on top of the same path.
    ahead = shared.over(first + calendar, 1)[:, 0]
    total = found.sum(axis=1)
    upper, lower = total[ahead > 0.5].mean(), total[ahead < -0.5].mean()
    assert upper > 2.0 * lower


@pytest.mark.parametrize("law", THETA)
def test_dormant_base_models_stay_empty_and_others_grow(law):
    draws, share = 20_000, 0.4
    case = case_of(law, new=(0.0,) * 6)
    at_risk = np.exp(log_density(case))
    dormant = share / (share + (1.0 - share) * at_risk)
    growing = (paths_of(case, draws, 12, 11) > 0).any(axis=1).mean()
    shares = np.full((draws, 1), share)
    mixed = (paths_of(case, draws, 12, 12, dormancy=shares) > 0).any(axis=1).mean()
    assert mixed == pytest.approx((1.0 - dormant) * growing, abs=0.02)
    assert paths_of(case, draws, 12, 13, dormancy=np.ones((draws, 1))).max() == 0
    # Who has a fine-tune is not dormant.
    woken = case_of(law, new=(0.0, 1.0))
    shares = np.full((draws, 1), 0.999)
    one, other = (
        (paths_of(woken, draws, 12, 14, **more) > 0).any(axis=1).mean()
        for more in ({}, {"dormancy": shares})
    )
    assert one == other


@pytest.mark.parametrize("mean", [1e-5, 0.03, 1.0, 3.99, 4.01, 60.0])
@pytest.mark.parametrize("size", [1e-3, 0.05, 0.7, 4.0, 1e6])
def test_negative_binomial_counts(mean, size):
    found = np.empty(100_000)
    law = stats.nbinom(size, size / (size + mean))
    _many(mean, size, np.random.default_rng(7), found)
    kept = np.array([law.pmf(0), *law.cdf([1, 3, 10, 100])])
    seen = np.array([np.mean(found <= x) for x in (0, 1, 3, 10, 100)])
    error = np.sqrt(kept * (1 - kept) / len(found))
    assert (np.abs(seen - kept) <= 4.5 * error + 1e-9 + 10 / len(found) * (error < 1e-4)).all()


@njit
def _many(mean, size, rng, out):
    for i in range(len(out)):
        out[i] = negative_binomial(mean, size, rng)


def test_scatter_without_bounds_comes_to_an_end():
    rng = np.random.default_rng(8)
    assert max(negative_binomial(4.0, 1e-12, rng) for _ in range(1000)) <= CAP
    assert max(negative_binomial(1e17, 1e-300, rng) for _ in range(1000)) <= CAP


@pytest.mark.parametrize("case", [case_of("birth"), surge(exponent=1.0), surge()], ids=range(3))
def test_counts_stop_at_the_cap(case):
    case = dataclasses.replace(case, theta=(6.0, 0.0, -1.0, 0.0)[: len(case.theta)])
    found = paths_of(case, 20, 12, 5).sum(axis=1) + sum(case.new)
    assert found.max() <= CAP


def test_the_months_observed_are_taken_in_as_the_law_has_them():
    """What is remembered of a long history with a burst in it."""
    case = surge(new=(*NEW, 900.0, 3.0, 2.0), memory=0.8, exponent=0.6)
    assert case.shared[MEMORY] == 0.8
    assert case.shared[PROBABILITY] > 0
    assert len(case.shared) == SHARED
    assert len(case.period) == len(PERIOD)
    found = paths_of(case, 20_000, 1, 15)[:, 0]
    own = dataclasses.replace(case, new=(*case.new, 0.0))
    assert float(months_of(own)[8].burst_given) > 0.5
    assert Counts(own).chance(found) > 1e-4
