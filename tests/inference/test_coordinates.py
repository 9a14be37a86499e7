"""The population as one vector: where its parts stand, its priors, and its coordinates."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit

from bayes_hfgrowth.inference.coordinates import (
    PopulationLayout,
    log_prior_at,
    to_coordinates,
    to_point,
)
from bayes_hfgrowth.model.priors import frozen
from bayes_hfgrowth.model.specification import GrowthSpec, Prior, read_spec

type Floats = npt.NDArray[np.float64]
type SpecOf = Callable[[str], GrowthSpec]


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


class Coordinates:
    """A layout with random summaries of its organizations."""

    def __init__(self, spec: GrowthSpec, organizations: int = 3) -> None:
        self.layout = PopulationLayout(spec, organizations)
        self.priors, self.places = self.layout.encoded()
        rng = np.random.default_rng(3)
        columns = self.layout.columns
        root = rng.normal(size=(organizations, columns, columns)) * 2.0
        self.precision = root @ root.transpose(0, 2, 1)
        self.precision[0] = 0.0  # nothing is known of the first
        centre = rng.normal(size=(organizations, columns))
        self.weighted = np.einsum("oij,oj->oi", self.precision, centre)
        self.psi = rng.normal(size=self.layout.size) * 0.5

    def point(self, psi: Floats) -> tuple[float, Floats, Floats]:
        """Log prior density, the point, and the slope of the former."""
        point, slope = np.empty(len(psi)), np.empty(len(psi))
        value = to_point(psi, self.precision, self.weighted, self.priors, self.places, point, slope)
        return value, point, slope


@pytest.fixture(params=["carried", "citation", "global"])
def coordinates(request: pytest.FixtureRequest, spec_of: SpecOf) -> Coordinates:
    return Coordinates(spec_of(request.param))


# --- Where everything stands ----------------------------------------------------------------


def test_blocks_follow_one_another(spec_of: SpecOf) -> None:
    layout = PopulationLayout(spec_of("carried"), 3)
    assert layout.blocks == {
        "location": slice(0, 5),
        "between": slice(5, 10),
        "means": slice(10, 25),
        "within": slice(25, 29),
        "strength": slice(29, 30),
        "memory": slice(30, 31),
    }
    assert (layout.columns, layout.parameters, layout.size) == (5, 4, 31)
    priors, places = layout.encoded()
    assert places.tolist() == [5, 3, 4, 10, 25, 29, 30, 31]
    assert len(priors) == len(layout.priors) == 31 - 15


def test_global_pooling_has_no_organizations(spec_of: SpecOf) -> None:
    layout = PopulationLayout(spec_of("global"), 3)
    assert layout.encoded()[1].tolist() == [5, 0, 4, 5, 5, -1, -1, 9]
    points = np.arange(18.0).reshape(2, 9) / 9.0
    parts = layout.read(points)
    assert "between" not in parts
    np.testing.assert_array_equal(parts["means"], np.repeat(points[:, None, :4], 3, axis=1))
    np.testing.assert_array_equal(parts["spreads"], np.exp(points[:, 5:]))
    np.testing.assert_array_equal(parts["carry"], [[0.5, 0.2]] * 2)
    np.testing.assert_allclose(parts["dormancy"], np.repeat(expit(points[:, 4:5]), 3, axis=1))


def test_a_point_is_read_on_its_scales(spec_of: SpecOf) -> None:
    layout = PopulationLayout(spec_of("carried"), 2)
    point = np.random.default_rng(1).normal(size=(5, layout.size))
    parts = layout.read(point)
    means = point[:, 10:20].reshape(5, 2, 5)
    np.testing.assert_array_equal(parts["means"], means[..., :4])
    np.testing.assert_allclose(parts["dormancy"], expit(means[..., 4]))
    np.testing.assert_allclose(parts["between"], np.exp(point[:, 5:10]))
    np.testing.assert_allclose(parts["carry"], np.stack([point[:, 24], expit(point[:, 25])], 1))
    fixed = PopulationLayout(read_spec("surge"), 2).read(point[:, :24])["carry"]
    np.testing.assert_array_equal(fixed, np.tile([0.5, 0.2], (5, 1)))


# --- Priors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("one", PRIORS, ids=lambda one: one.distribution)
def test_prior_is_scipys_times_the_jacobian(one: Prior) -> None:
    spec = read_spec("citation")
    fitness = dataclasses.replace(spec.parameters["fitness"], location=one)
    spec = dataclasses.replace(spec, parameters={**spec.parameters, "fitness": fitness})
    encoded = PopulationLayout(spec, 1).encoded()[0][0]
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


# --- Coordinates ----------------------------------------------------------------------------


def test_coordinates_are_the_inverse_of_points(coordinates: Coordinates) -> None:
    rng = np.random.default_rng(5)
    psi = coordinates.psi + rng.normal(size=(20, len(coordinates.psi)))
    points = np.array([coordinates.point(row)[1] for row in psi])
    back = coordinates.layout.coordinates(points, coordinates.precision, coordinates.weighted)
    np.testing.assert_allclose(back, psi, rtol=1e-10, atol=1e-10)
    pooled = coordinates.layout.pooled
    assert np.abs(points - psi).max() > 0.1 if pooled else (points == psi).all()


def test_density_is_priors_times_jacobian(coordinates: Coordinates) -> None:
    """The Jacobian is the determinant of the map, by finite differences."""
    layout = coordinates.layout
    blocks = layout.blocks

    def by_hand(psi: Floats) -> float:
        point = coordinates.point(psi)[1]
        own = np.delete(point, np.arange(blocks["means"].start, blocks["means"].stop))
        total = sum(
            log_prior_at(encoded, float(t))[0]
            for encoded, t in zip(coordinates.priors, own, strict=True)
        )
        step = 1e-6
        unit = np.eye(len(psi)) * step
        jacobian = np.array(
            [coordinates.point(psi + u)[1] - coordinates.point(psi - u)[1] for u in unit]
        ) / (2.0 * step)
        total += math.log(abs(np.linalg.det(jacobian)))
        if layout.pooled:
            parts = layout.read(point)
            means = point[blocks["means"]].reshape(layout.organizations, layout.columns)
            z = (means - parts["location"]) / parts["between"]
            total -= (0.5 * z**2 + np.log(parts["between"])).sum()
        return total

    other = coordinates.psi + 0.3 * np.random.default_rng(6).normal(size=len(coordinates.psi))
    found = coordinates.point(other)[0] - coordinates.point(coordinates.psi)[0]
    assert found == pytest.approx(by_hand(other) - by_hand(coordinates.psi), rel=1e-6, abs=1e-6)


def test_gradient_through_point_and_back(coordinates: Coordinates) -> None:
    """Of the prior density plus a function of the point, in every coordinate."""
    weights = np.random.default_rng(7).normal(size=len(coordinates.psi))

    def total(psi: Floats) -> float:
        value, point, _ = coordinates.point(psi)
        return value + float(np.sin(point) @ weights)

    psi = coordinates.psi
    _, point, slope = coordinates.point(psi)
    to_coordinates(
        psi, coordinates.precision, coordinates.weighted, coordinates.places, point,
        np.cos(point) * weights, slope,
    )  # fmt: skip
    step = 1e-6
    moved = [
        (total(psi + step * unit) - total(psi - step * unit)) / (2.0 * step)
        for unit in np.eye(len(psi))
    ]
    np.testing.assert_allclose(slope, moved, rtol=1e-6, atol=1e-6)
