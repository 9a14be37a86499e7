"""The population as one vector: where its parts stand, its priors, and its coordinates."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from scipy.special import expit

from bayes_hfgrowth.growth.law import SHARED
from bayes_hfgrowth.inference.coordinates import (
    PopulationSummaries,
    add_by_shared,
    coordinates_at,
    log_prior_at,
    period_factors,
    shared_at,
    to_coordinates,
    to_point,
)
from bayes_hfgrowth.inference.population_layout import PopulationLayout
from bayes_hfgrowth.model.priors import frozen
from bayes_hfgrowth.model.specification import GrowthSpec, Prior, read_spec
from bayes_hfgrowth.model.specification_parts import PeriodEffect

type Floats = npt.NDArray[np.float64]
type SpecOf = Callable[[str], GrowthSpec]

MONTHS = 5


def prior(distribution: str, **parameters: float) -> Prior:
    return Prior(distribution, parameters, "a test")


PRIORS = (
    prior("Normal", mu=-0.4, sigma=1.7),
    prior("LogNormal", median=0.3, sigma=0.6),
    prior("HalfNormal", sigma=0.8),
    prior("Gamma", alpha=2.5, beta=3.0),
    prior("Exponential", scale=0.4),
    prior("Beta", alpha=2.0, beta=5.0),
)


def positive_definite(rng: np.random.Generator, size: int) -> Floats:
    root = rng.normal(size=(size, size)) * 2.0
    return np.asarray(root @ root.T)


class Coordinates:
    """A layout with random summaries of its organizations and of its period effects."""

    def __init__(self, spec: GrowthSpec, organizations: int = 3, months: int = MONTHS) -> None:
        self.layout = PopulationLayout(spec, organizations, months)
        rng = np.random.default_rng(3)
        columns = self.layout.columns
        precision = np.array([positive_definite(rng, columns) for _ in range(organizations)])
        precision[0] = 0.0  # nothing is known of the first
        centre = rng.normal(size=(organizations, columns))
        heard = positive_definite(rng, months)
        self.summaries = PopulationSummaries(
            precision,
            np.einsum("oij,oj->oi", precision, centre),
            heard,
            heard @ rng.normal(size=months) * 0.3,
        )
        self.psi = rng.normal(size=self.layout.size) * 0.5

    def point(self, psi: Floats) -> tuple[float, Floats, Floats]:
        """Log prior density, the point, and the slope of the former."""
        point, slope = np.empty(len(psi)), np.empty(len(psi))
        value = to_point(psi, self.summaries, self.layout.encoded, point, slope)
        return value, point, slope


def spec_named(name: str, spec_of: SpecOf) -> GrowthSpec:
    """Those of `spec_of`, and ``fixed``: surge with period effects of known persistence."""
    if name != "fixed":
        return spec_of(name)
    return dataclasses.replace(spec_of("surge"), period_effect=PeriodEffect(0.6, 0.3))


@pytest.fixture(params=["carried", "citation", "global", "fixed", "one month"])
def coordinates(request: pytest.FixtureRequest, spec_of: SpecOf) -> Coordinates:
    if request.param == "one month":
        return Coordinates(spec_of("carried"), months=1)
    return Coordinates(spec_named(request.param, spec_of))


# --- Where everything stands ----------------------------------------------------------------


def test_blocks_follow_one_another(spec_of: SpecOf) -> None:
    layout = PopulationLayout(spec_of("carried"), 3, MONTHS)
    assert layout.blocks == {
        "shared": slice(0, 8),
        "period": slice(8, 13),
        "location": slice(13, 18),
        "between": slice(18, 23),
        "means": slice(23, 38),
        "within": slice(38, 42),
    }
    assert (layout.columns, layout.parameters, layout.size) == (5, 4, 42)
    # All but the period effects and the organization means have a prior of their own.
    assert sorted(layout.priors) == [*range(8), *range(13, 23), *range(38, 42)]
    assert list(layout.learned) == [
        "reinforcement_exponent", "carry_over_strength", "carry_over_memory",
        "period_persistence", "period_innovation", "burst_probability", "burst_factor",
        "burst_size",
    ]  # fmt: skip


def test_the_papers_own_laws_share_nothing() -> None:
    layout = PopulationLayout(read_spec("citation"), 2, MONTHS)
    assert layout.blocks["period"] == slice(0, 0)
    assert layout.blocks["location"] == slice(0, 3)
    parts = layout.read(np.zeros((4, layout.size)))
    np.testing.assert_array_equal(parts.shared.period, np.zeros((4, MONTHS)))
    np.testing.assert_array_equal(parts.dormancy, np.zeros((4, 2)))
    np.testing.assert_array_equal(parts.shared.values, [[1.0, 0.0, 0.0, 0.0, 1.0, 1.0]] * 4)


def test_global_pooling_has_no_organizations(spec_of: SpecOf) -> None:
    layout = PopulationLayout(spec_of("global"), 3, MONTHS)
    points = np.random.default_rng(1).normal(size=(2, layout.size))
    parts = layout.read(points)
    assert parts.between.shape == (2, 0)
    location = points[:, layout.blocks["location"]]
    np.testing.assert_array_equal(parts.means, np.repeat(location[:, None, :4], 3, axis=1))
    np.testing.assert_array_equal(parts.scales, np.exp(points[:, layout.blocks["within"]]))
    np.testing.assert_allclose(parts.dormancy, np.repeat(expit(location[:, 4:]), 3, axis=1))


def test_a_point_is_read_on_its_scales(spec_of: SpecOf) -> None:
    layout = PopulationLayout(spec_of("carried"), 2, MONTHS)
    point = np.random.default_rng(1).normal(size=(7, layout.size))
    parts = layout.read(point)
    means = point[:, layout.blocks["means"]].reshape(7, 2, 5)
    np.testing.assert_array_equal(parts.means, means[..., :4])
    np.testing.assert_allclose(parts.dormancy, expit(means[..., 4]))
    np.testing.assert_allclose(parts.between, np.exp(point[:, layout.blocks["between"]]))
    columns = [expit(point[:, 0]), point[:, 1], expit(point[:, 2]), expit(point[:, 5]),
               np.exp(point[:, 6]), np.exp(point[:, 7])]  # fmt: skip
    np.testing.assert_allclose(parts.shared.values, np.stack(columns, axis=1))
    np.testing.assert_allclose(parts.persistence, expit(point[:, 3]))
    np.testing.assert_allclose(parts.innovation, np.exp(point[:, 4]))
    np.testing.assert_array_equal(parts.shared.period, point[:, layout.blocks["period"]])


def test_what_is_fixed_is_read_as_it_stands(spec_of: SpecOf) -> None:
    layout = PopulationLayout(spec_named("fixed", spec_of), 2, MONTHS)
    parts = layout.read(np.random.default_rng(1).normal(size=(7, layout.size)))
    np.testing.assert_array_equal(parts.shared.values[:, 1:3], [[0.5, 0.2]] * 7)
    np.testing.assert_array_equal(parts.persistence, [0.6] * 7)
    np.testing.assert_array_equal(parts.innovation, [0.3] * 7)


def test_compiled_code_reads_the_same(coordinates: Coordinates) -> None:
    """And takes derivatives back to the point."""
    layout = coordinates.layout
    months = layout.calendar_months
    weights = np.random.default_rng(2).normal(size=SHARED + months)

    def shared(point: Floats) -> tuple[Floats, Floats]:
        values, period = np.empty(SHARED + 2), np.empty(months)
        shared_at(point, layout.encoded, values, period)
        return values, period

    def total(point: Floats) -> float:
        values, period = shared(point)
        return float(np.sin(np.concatenate([values[:SHARED], period])) @ weights)

    point = coordinates.psi
    parts = layout.read(point)
    values, period = shared(point)
    expected = [*parts.shared.values, parts.persistence, parts.innovation]
    np.testing.assert_allclose(values, expected)
    np.testing.assert_array_equal(period, parts.shared.period)
    by = np.cos(np.concatenate([values[:SHARED], period])) * weights
    found = np.zeros(len(point))
    add_by_shared(layout.encoded, values, by[:SHARED], by[SHARED:], found)
    np.testing.assert_allclose(found, differences(total, point), rtol=1e-6, atol=1e-8)


def differences(function: Callable[[Floats], float], at: Floats, step: float = 1e-6) -> Floats:
    """Central differences by every coordinate."""
    units = step * np.eye(len(at))
    return np.array([(function(at + u) - function(at - u)) / (2.0 * step) for u in units])


# --- Priors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("one", PRIORS, ids=lambda one: one.distribution)
def test_prior_is_scipys_times_the_jacobian(one: Prior) -> None:
    spec = read_spec("citation")
    fitness = dataclasses.replace(spec.parameters["fitness"], location=one)
    spec = dataclasses.replace(spec, parameters={**spec.parameters, "fitness": fitness})
    encoded = PopulationLayout(spec, 1, 1).encoded.priors[0]
    t = np.linspace(-3.0, 2.0, 41)
    match one.distribution:
        case "Normal":
            value, log_jacobian = t, np.zeros(41)
        case "Beta":
            value = expit(t)
            log_jacobian = np.log(value) + np.log1p(-value)
        case _:
            value, log_jacobian = np.exp(t), t
    expected = frozen(one).logpdf(value) + log_jacobian
    found, slope = np.array([log_prior_at(encoded, float(x)) for x in t]).T
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=1e-10, atol=1e-10)
    step = 1e-6
    moved = [
        (log_prior_at(encoded, x + step)[0] - log_prior_at(encoded, x - step)[0]) / (2.0 * step)
        for x in t.tolist()
    ]
    np.testing.assert_allclose(slope, moved, rtol=1e-6, atol=1e-7)


# --- Period effects -------------------------------------------------------------------------


def autocovariance(persistence: float, scale: float, months: int) -> Floats:
    """Covariances of a stationary autoregression."""
    apart = np.abs(np.subtract.outer(np.arange(months), np.arange(months)))
    return np.asarray(scale**2 / (1.0 - persistence**2) * persistence**apart)


@pytest.mark.parametrize("months", [1, 2, 3, 9])
@pytest.mark.parametrize("persistence", [0.0, 0.6, 0.99])
def test_period_factors_are_linear_algebra(months: int, persistence: float) -> None:
    rng = np.random.default_rng(4)
    prior_precision = np.linalg.inv(autocovariance(persistence, 0.3, months))
    for heard in (np.zeros((months, months)), positive_definite(rng, months)):
        weighted = heard @ rng.normal(size=months)
        none = np.empty((0, 0, 0)), np.empty((0, 0))
        summaries = PopulationSummaries(*none, heard, weighted)
        centre, root, log_root = period_factors(persistence, 0.3, summaries)
        joint = prior_precision + heard
        np.testing.assert_allclose(root, np.linalg.cholesky(joint), rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(centre, np.linalg.solve(joint, weighted), atol=1e-10)
        assert log_root == pytest.approx(0.5 * np.linalg.slogdet(joint)[1])


# --- Coordinates ----------------------------------------------------------------------------


def test_coordinates_are_the_inverse_of_points(coordinates: Coordinates) -> None:
    rng = np.random.default_rng(5)
    psi = coordinates.psi + rng.normal(size=(20, len(coordinates.psi)))
    points = np.array([coordinates.point(row)[1] for row in psi])
    back = coordinates_at(coordinates.layout, points, coordinates.summaries)
    np.testing.assert_allclose(back, psi, rtol=1e-9, atol=1e-9)
    for name, block in coordinates.layout.blocks.items():
        moved = np.abs(points[:, block] - psi[:, block]).max(initial=0.0)
        own = name in ("means", "period") and block.stop > block.start
        assert moved > 0.1 if own else moved == 0.0, name


def test_density_is_priors_times_jacobian(coordinates: Coordinates) -> None:
    """The Jacobian is the determinant of the map, by finite differences."""
    layout = coordinates.layout
    blocks = layout.blocks

    def by_hand(psi: Floats) -> float:
        point = coordinates.point(psi)[1]
        total = sum(
            log_prior_at(encoded, float(point[at]))[0]
            for encoded, at in zip(layout.encoded.priors, layout.priors, strict=True)
        )
        step = 1e-6
        unit = np.eye(len(psi)) * step
        jacobian = np.array(
            [coordinates.point(psi + u)[1] - coordinates.point(psi - u)[1] for u in unit]
        ) / (2.0 * step)
        total += math.log(abs(np.linalg.det(jacobian)))
        parts = layout.read(point)
        if layout.spec.period_effect is not None:
            covariance = autocovariance(
                float(parts.persistence), float(parts.innovation), layout.calendar_months
            )
            months = np.zeros(layout.calendar_months)
            total += stats.multivariate_normal(months, covariance).logpdf(parts.shared.period)
        if layout.pooled:
            means = point[blocks["means"]].reshape(layout.organizations, layout.columns)
            total += stats.norm(parts.location, parts.between).logpdf(means).sum()
        return float(total)

    other = coordinates.psi + 0.3 * np.random.default_rng(6).normal(size=len(coordinates.psi))
    found = coordinates.point(other)[0] - coordinates.point(coordinates.psi)[0]
    expected = by_hand(other) - by_hand(coordinates.psi)
    assert abs(expected) > 0.1
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_gradient_through_point_and_back(coordinates: Coordinates) -> None:
    """Of the prior density plus a function of the point, in every coordinate."""
    weights = np.random.default_rng(7).normal(size=len(coordinates.psi))

    def total(psi: Floats) -> float:
        value, point, _ = coordinates.point(psi)
        return value + float(np.sin(point) @ weights)

    psi = coordinates.psi
    _, point, slope = coordinates.point(psi)
    layout, by_point = coordinates.layout.encoded, np.cos(point) * weights
    to_coordinates(psi, coordinates.summaries, layout, point, by_point, slope)
    np.testing.assert_allclose(slope, differences(total, psi), rtol=1e-5, atol=1e-6)
