"""The posterior under points: averages by brute force, gradients, and ways there and back."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit
from scipy.stats import norm, qmc

from bayes_hfgrowth.crosses import DEGREES, WIDER
from bayes_hfgrowth.growth.points import log_likelihoods
from bayes_hfgrowth.history import History
from bayes_hfgrowth.points import Points, compile_points
from bayes_hfgrowth.posterior_density import population_at, population_density
from bayes_hfgrowth.proposals import Proposals
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.spec import GrowthSpec
from bayes_hfgrowth.whitened import WhitenedPosterior

type Floats = npt.NDArray[np.float64]

AS_OF = "2024-08-01"
TOLD = ("facebook/chameleon-7b", "openai/whisper-large-v3", "stabilityai/StableBeluga2")
SILENT = ("openai/consistency-decoder", "facebook/audio-magnet-small")


class Case:
    """Points of a few base models, those with fine-tunes first, at a population of the aim."""

    def __init__(self, spec: GrowthSpec, base_models: tuple[str, ...] = TOLD + SILENT) -> None:
        panel = load_example().as_of(AS_OF).select(base_models=base_models)
        self.posterior = WhitenedPosterior(spec, History.from_panel(panel))
        self.aim = self.posterior.aim_blind(np.random.default_rng(1))
        self.data = self.posterior.data(self.aim)
        self.points = Points(self.posterior, self.aim)
        self.x = self.aim.starts[3].copy()
        self.kept = self.points.coordinates(self.x, self.aim.kept[3])
        self.points.renew(self.x, self.kept, np.random.default_rng(2))

    @property
    def point(self) -> Floats:
        """The population at `x`."""
        return self.empty()[1]

    def empty(self) -> tuple[float, Floats]:
        """Log density without any base model at `x`, and the point there."""
        shape = (0, self.posterior.layout.parameters, 2)
        nothing = np.empty(shape), np.empty((0, 2))
        value, _, point, _ = population_density(self.x, self.data, nothing, nothing)
        return value, point

    def elsewhere(self, seed: int) -> Floats:
        """Another population, in all coordinates."""
        return self.x + 0.3 * np.random.default_rng(seed).standard_normal(len(self.x))

    def free(self, rng: np.random.Generator) -> Floats:
        """Points by themselves, from the distribution that each of a cross has."""
        normal = rng.standard_normal(self.kept.shape)
        square = rng.chisquare(DEGREES, (len(self.kept), 1)) / DEGREES
        return np.asarray(WIDER * normal / np.sqrt(square))

    def by_brute_force(self, number: int = 2**15) -> tuple[Floats, Floats, Floats, Floats]:
        """What the months say of each base model under the population, by quasi-Monte Carlo.

        Returns
        -------
        evidence : ndarray, shape (base models,)
            Mean likelihood, in case it is not dormant.
        dormant : ndarray, shape (base models,)
            Probability, before its months, that it is.
        mean, spread : ndarray, shape (base models, parameters)
            Of the posterior, in case it is not dormant.
        """
        population = population_at(self.point, self.data)
        own, spreads = population.means[self.data.group], np.exp(population.log_spreads)
        uniform = qmc.Sobol(own.shape[1], rng=4).random(number)
        theta = own[:, None] + spreads * norm.ppf(uniform)
        value = np.empty((len(own), number))
        log_likelihoods(
            self.data.law, self.data.months, self.data.m,
            np.ascontiguousarray(theta.transpose(0, 2, 1)), population.shared, population.period,
            value,
        )  # fmt: skip
        weights = np.exp(value)
        evidence = weights.mean(axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
        mean = np.einsum("ns,nsk->nk", weights, theta)
        square = np.einsum("ns,nsk->nk", weights, (theta - mean[:, None]) ** 2)
        return evidence, expit(population.logits)[self.data.group], mean, np.sqrt(square)


@pytest.fixture(scope="module", params=["citation", "reinforced", "carried", "global"])
def case(request: pytest.FixtureRequest, spec_of: Callable[[str], GrowthSpec]) -> Case:
    return Case(spec_of(request.param))


@pytest.fixture(scope="module")
def surge(spec_of: Callable[[str], GrowthSpec]) -> Case:
    """Two weakly observed base models, in a population in which the second may well be dormant."""
    case = Case(spec_of("surge"), (TOLD[0], SILENT[1]))
    for start in case.aim.starts:
        case.x = start.copy()
        if 0.2 < dormant_given_months(case) < 0.8:
            return case
    raise AssertionError("no population is like that")


def dormant_given_months(case: Case) -> float:
    """Probability that the second base model is dormant, by Bayes' rule."""
    evidence, dormant, _, _ = case.by_brute_force(2**12)
    return float(dormant[1] / (dormant[1] + (1.0 - dormant[1]) * evidence[1]))


# --- Averages -------------------------------------------------------------------------------


@pytest.mark.parametrize("base_model", [TOLD[0], SILENT[0]])
def test_averages_are_unbiased(base_model: str, spec_of: Callable[[str], GrowthSpec]) -> None:
    """Their mean over many sets of points is the integral over the growth parameters."""
    case = Case(spec_of("surge"), (base_model,))
    evidence, dormant, _, _ = case.by_brute_force()
    expected = (1.0 - dormant) * evidence + dormant * (base_model in SILENT)
    rng = np.random.default_rng(5)
    before, _ = case.empty()
    found = np.empty(3000)
    for at in range(len(found)):
        case.points.renew(case.x, case.free(rng), rng)
        found[at] = np.exp(case.points.density(case.x)[0] - before)
    error = found.std() / np.sqrt(len(found))
    assert error < 0.02 * expected[0]
    # Brute force itself is good to about half a percent.
    assert abs(found.mean() - expected[0]) < 4.0 * error + 0.005 * expected[0]


def test_picked_points_are_draws_of_the_posterior(surge: Case) -> None:
    """Kept and drawn anew again and again, under one population; dormant as Bayes' rule says."""
    _, _, mean, spread = surge.by_brute_force()
    rng, kept, size = np.random.default_rng(6), surge.kept, len(surge.x)
    draws, asleep = [], []
    for _ in range(4000):
        surge.points.renew(surge.x, kept, rng)
        _, theta, kept = surge.points.pick(surge.x, rng)
        draws.append(theta)
        # Base models that are dormant have no coordinates of their own.
        together = surge.points.joined(surge.x, kept)[size:].reshape(theta.shape)
        asleep.append((together == 0.0).all(axis=1))
    theta, share = np.array(draws, dtype=np.float64), np.mean(asleep, axis=0)
    told, silent = 0, 1
    assert share[told] == 0.0
    assert share[silent] == pytest.approx(dormant_given_months(surge), abs=0.04)
    awake = ~np.array(asleep)
    for i in (told, silent):
        own = theta[awake[:, i], i]
        np.testing.assert_allclose(own.mean(axis=0), mean[i], atol=0.12 * spread[i].max())
        np.testing.assert_allclose(own.std(axis=0), spread[i], rtol=0.15)
    # Who is dormant might have been any base model of its organization.
    population = population_at(surge.point, surge.data)
    own = theta[~awake[:, silent], silent]
    spreads = np.exp(population.log_spreads)
    away = (own - population.means[surge.data.group[silent]]) / spreads
    np.testing.assert_allclose(away.mean(axis=0), 0.0, atol=0.15)
    np.testing.assert_allclose(away.std(axis=0), 1.0, atol=0.15)


def test_gradient_agrees_with_finite_differences(case: Case) -> None:
    """But for what enters the months, which is held."""
    case.points.renew(case.x, case.kept, np.random.default_rng(7))
    step, value = 1e-5, lambda x: case.points.density(x)[0]
    held = case.points.held
    slope = case.points.density(case.x)[1]
    moved = [
        (value(case.x + step * u) - value(case.x - step * u)) / (2.0 * step)
        for u in np.eye(len(case.x))[held:]
    ]
    np.testing.assert_allclose(slope[held:], moved, rtol=1e-5, atol=1e-5)
    assert (slope[:held] == 0.0).all()


# --- Ways there and back --------------------------------------------------------------------


def test_points_follow_the_population_and_come_back(case: Case) -> None:
    """As if they had been drawn there, by the same random numbers."""
    there, rng = case.elsewhere(8), np.random.default_rng(9)
    case.points.renew(case.x, case.kept, np.random.default_rng(10))
    here = case.points.density(case.x)[0]
    moved = case.points.move_points(there, rng)
    at_once = Points(case.posterior, case.aim)
    at_once.renew(there, case.kept, np.random.default_rng(10))
    assert moved == pytest.approx(at_once.density(there)[0], rel=1e-9)
    assert moved == case.points.density(there)[0]
    case.points.stay()
    assert case.points.density(case.x)[0] == here


def test_together_and_apart(case: Case) -> None:
    points = Points(case.posterior, case.aim)
    points.renew(case.x, case.kept, np.random.default_rng(11))
    _, theta, kept = points.pick(case.x, np.random.default_rng(12))
    together = points.joined(case.x, kept)
    x, again = points.parted(together)
    np.testing.assert_array_equal(x, case.x)
    asleep = (together[len(x) :].reshape(kept.shape) == 0.0).all(axis=1)
    assert not asleep[: case.posterior.told].any()
    np.testing.assert_allclose(again[~asleep], kept[~asleep], rtol=1e-5, atol=1e-6)
    # The same from somewhere else along the way.
    value, slope = points.joint_density(together)
    other = together + 0.01 * slope / np.abs(slope).max()
    assert points.joint_density(other)[0] > value
    x, away = points.parted(other)
    np.testing.assert_allclose(
        points.joined(x, away)[len(x) :].reshape(kept.shape)[~asleep],
        other[len(x) :].reshape(kept.shape)[~asleep], rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    assert theta.dtype == np.float32


def test_an_impossible_point_weighs_nothing(case: Case) -> None:
    kept, rng = case.kept.copy(), np.random.default_rng(13)
    kept[0] = 1e6
    points = Points(case.posterior, case.aim)
    points.renew(case.x, kept, rng)
    value, slope = points.density(case.x)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    _, theta, _ = points.pick(case.x, rng)
    assert (np.abs(theta) < 100.0).all()


def test_it_is_compiled_before_it_is_aimed(case: Case) -> None:
    assert compile_points(case.posterior) > 0.0


# --- Proposals ------------------------------------------------------------------------------


def test_proposals_have_the_moments_of_the_draws() -> None:
    rng = np.random.default_rng(14)
    draws = rng.standard_normal((500, 3, 2)) @ np.array([[1.0, 0.5], [0.0, 0.2]]) + 4.0
    proposals = Proposals.from_draws(draws, np.ones(2), 1.5, np.zeros((3, 2, 1)))
    np.testing.assert_allclose(proposals.centre, draws.mean(axis=0))
    found = proposals.root @ proposals.root.transpose(0, 2, 1)
    for i in range(3):
        expected = 2.25 * np.cov(draws[:, i].T, bias=True)
        np.testing.assert_allclose(found[i], expected, atol=1e-3)
    there = proposals.straight(rng.standard_normal((7, 3, 2)))
    np.testing.assert_allclose(proposals.straight(proposals.coordinates(there)), there)


def test_proposals_move_with_exponent_and_period_effects() -> None:
    """Those of base models without fine-tunes, which come last, stay."""
    shift = np.arange(6.0).reshape(1, 2, 3)
    proposals = Proposals(np.ones((2, 2)), np.tile(np.eye(2), (2, 1, 1)), shift)
    moved = proposals.moved(np.array([1.0, 0.0, -1.0]))
    np.testing.assert_array_equal(moved.centre, [[-1.0, -1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(moved.moved(np.zeros(3)).centre, moved.centre)
    both = proposals.joined(moved)
    assert both.centre.shape == (4, 2)
    np.testing.assert_array_equal(both.moved(np.array([1.0, 0.0, -1.0])).centre[1:],
                                  both.centre[1:])  # fmt: skip


def test_draws_that_are_all_alike_still_make_a_proposal() -> None:
    proposals = Proposals.from_draws(np.ones((10, 2, 3)), np.ones(3), 1.0, np.zeros((2, 3, 1)))
    assert (np.linalg.det(proposals.root) > 0.0).all()
