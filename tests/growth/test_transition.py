"""The compiled transition law against SciPy, finite differences and its own simulations."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bayes_hfgrowth.growth.curve import curve_increment, reinforced_increment
from bayes_hfgrowth.growth.gradient import gradients
from bayes_hfgrowth.growth.transition import LIKELIHOODS, month_constants
from bayes_hfgrowth.model.specification import CarryOver, GrowthSpec, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.simulation import log_likelihood, replicates

COUNTS = [0, 0, 3, 10, 80, 81, 81, 140]
THETA = {3: [1.2, 1.5, -0.2], 4: [1.2, 1.5, -0.2, 0.4]}


def history_of(counts: list[int]) -> History:
    table = pd.DataFrame(
        {
            "base_model": "a/model",
            "organization": "a",
            "created_at": "2023-01-01T00:00:00Z",
            "month": np.arange(len(counts)),
            "finetunes": counts,
        }
    )
    return History.from_panel(Panel.from_table(table))


def spec_of(name: str, strength: float = 0.6, memory: float = 0.3) -> GrowthSpec:
    spec = read_spec(name)
    if spec.carry_over is None:
        return spec
    return dataclasses.replace(spec, carry_over=CarryOver(strength, memory), dormancy=None)


def point_of(spec: GrowthSpec) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    carry = spec.carry_over
    theta = np.array(THETA[len(spec.parameters)])
    return theta, np.array([carry.strength, carry.memory]) if carry else np.zeros(2)


def by_hand(spec: GrowthSpec, counts: list[int]) -> list[stats.rv_discrete]:
    """The distribution of each month, written with SciPy, month by month."""
    theta, (strength, memory) = point_of(spec)
    curve = (np.exp(theta[0]), theta[1], np.exp(theta[2]))
    laws = []
    s = 0.0
    for k in range(1, len(counts)):
        before, new = counts[k - 1], counts[k] - counts[k - 1]
        if spec.likelihood == "poisson":
            laws.append(stats.poisson(curve_increment(k - 1, k, *curve, spec.m)))
            continue
        f = float(reinforced_increment(before, k - 1, k, *curve, spec.m))
        if spec.likelihood == "birth":
            laws.append(stats.nbinom(before + spec.m, (before + spec.m) / (before + spec.m + f)))
            continue
        mean = f * np.exp(strength * s)
        variance = mean + np.exp(theta[3]) * mean**1.5
        laws.append(stats.nbinom(mean**2 / (variance - mean), mean / variance))
        s = memory * s + (1 - memory) * np.log((new + 0.5) / (f + 0.5))
    return laws


@pytest.mark.parametrize("name", ["citation", "reinforced", "surge"])
def test_log_density_is_that_of_the_law_by_hand(name: str) -> None:
    spec = spec_of(name)
    theta, carry = point_of(spec)
    found = log_likelihood(spec, history_of(COUNTS), theta[None, None], carry[None])[0]
    new = np.diff(COUNTS)
    expected = [law.logpmf(x) for law, x in zip(by_hand(spec, COUNTS), new, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def value_and_gradient(
    spec: GrowthSpec,
    history: History,
    theta: npt.NDArray[np.float64],
    carry: npt.NDArray[np.float64],
) -> tuple[float, npt.NDArray[np.float64]]:
    law = LIKELIHOODS[spec.likelihood]
    constants = month_constants(law, history.previous, history.new, spec.m)
    value, slope = np.empty(1), np.empty((1, len(theta)))
    gradients(
        law, history.start, history.log_age, history.previous, history.new, constants, spec.m,
        theta[None], carry, value, slope,
    )  # fmt: skip
    return float(value[0]), slope[0]


@pytest.mark.parametrize("name", ["citation", "reinforced", "surge"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_gradient_agrees_with_finite_differences(name: str, data: st.DataObject) -> None:
    spec = spec_of(
        name, data.draw(st.floats(-0.9, 0.9), "strength"), data.draw(st.floats(0, 0.95), "memory")
    )
    increments = data.draw(st.lists(st.integers(0, 400), min_size=1, max_size=30), "increments")
    history = history_of([0, *np.cumsum(increments).tolist()])
    low, high = [-2.0, 0.0, -0.7, -2.0], [2.0, 4.0, 1.5, 2.5]
    theta = np.array([data.draw(st.floats(low[k], high[k])) for k in range(len(spec.parameters))])
    carry = point_of(spec)[1]
    value, slope = value_and_gradient(spec, history, theta, carry)
    pointwise = log_likelihood(spec, history, theta[None, None], carry[None])
    assert value == pytest.approx(float(pointwise.sum(dtype=np.float64)), rel=1e-5, abs=1e-3)
    for k in range(len(theta)):
        step = np.zeros(len(theta))
        step[k] = 1e-6
        up = value_and_gradient(spec, history, theta + step, carry)[0]
        down = value_and_gradient(spec, history, theta - step, carry)[0]
        assert slope[k] == pytest.approx((up - down) / 2e-6, rel=2e-4, abs=1e-3 + 1e-7 * abs(value))


@pytest.mark.parametrize("name", ["citation", "reinforced", "surge"])
def test_log_density_stays_a_number_far_out(name: str) -> None:
    spec = spec_of(name)
    history = history_of(COUNTS)
    carry = point_of(spec)[1]
    for immediacy in (-40.0, 40.0):
        for log_longevity in (-4.0, 4.0):
            for log_fitness in (-30.0, 5.0):
                theta = np.array([log_fitness, immediacy, log_longevity, 0.0])
                value, slope = value_and_gradient(
                    spec, history, theta[: len(spec.parameters)], carry
                )
                assert not np.isnan(value)
                assert value < 0
                assert not np.isnan(slope).any()


WILD = [-1e300, -1e6, -701.0, -299.0, -60.0, 0.5, 60.0, 299.0, 701.0, 1e6, 1e300, np.inf, np.nan]


@pytest.mark.parametrize("name", ["citation", "reinforced", "surge"])
def test_density_where_a_step_of_the_sampler_went_wrong(name: str) -> None:
    spec = spec_of(name)
    history = history_of(COUNTS)
    start, carry = point_of(spec)
    for k in range(len(start)):
        for wild in WILD:
            theta = start.copy()
            theta[k] = wild
            value, slope = value_and_gradient(spec, history, theta, carry)  # it comes back at all
            assert value < 0
            if not abs(wild) <= 300:
                assert value == -np.inf
            elif value > -np.inf:
                assert np.isfinite(slope).all()


def test_dispersion_next_to_nothing_gives_the_poisson_law() -> None:
    spec = spec_of("surge", strength=0.0)
    history = history_of(COUNTS)
    theta, carry = point_of(spec)
    f = reinforced_increment(
        history.previous, np.arange(7), np.arange(1, 8), np.exp(theta[0]), theta[1],
        np.exp(theta[2]), spec.m,
    )  # fmt: skip
    expected = stats.poisson(f).logpmf(history.new).sum()
    for log_dispersion in (-18.0, -30.0, -60.0, -250.0):
        theta[3] = log_dispersion
        value, _ = value_and_gradient(spec, history, theta, carry)
        assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["citation", "reinforced", "surge"])
def test_replicates_follow_the_law_by_hand(name: str) -> None:
    spec = spec_of(name)
    theta, carry = point_of(spec)
    draws = 20_000
    found = replicates(
        spec, history_of(COUNTS), np.tile(theta, (draws, 1, 1)), np.tile(carry, (draws, 1)),
        np.random.default_rng(1),
    )  # fmt: skip
    for month, law in enumerate(by_hand(spec, COUNTS)):
        levels = np.unique(law.ppf(np.linspace(0.1, 0.9, 5)))
        edges = np.array([-1, *levels, np.inf])
        expected = draws * np.diff(law.cdf(edges))
        observed = np.histogram(found[:, month], bins=np.append(edges[:-1] + 0.5, np.inf))[0]
        kept = expected > 5
        chance = stats.chisquare(
            observed[kept], expected[kept] * observed[kept].sum() / expected[kept].sum()
        ).pvalue
        assert chance > 1e-4, (month, observed, expected)
