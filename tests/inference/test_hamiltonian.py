"""The sampler on a hierarchy of normal distributions, whose posterior is known exactly."""

import math

import numpy as np
import pytest
from scipy.special import expit

from bayes_hfgrowth.growth.transition import Floats
from bayes_hfgrowth.inference import hamiltonian
from bayes_hfgrowth.inference.hamiltonian import Chain

# Members y_i ~ N(x, 1) are seen with noise, data_i ~ N(y_i, s²); x ~ N(0, 3²).
DATA = np.array([1.0, 2.0, 4.0, 0.5, 3.0])
NOISE, WIDE = 0.7, 3.0


class Hierarchy:
    """Members by themselves, with two points each that do not follow the population.

    Together with it they are moved in the coordinates y - x.
    """

    def __init__(self, broken: float = math.inf, data: Floats = DATA) -> None:
        self.broken, self.data = broken, data
        self.points = np.empty((2, len(data)))

    def of_members(self, x: float) -> Floats:
        """Log weights of the points."""
        y = self.points
        value = -0.5 * ((self.data - y) / NOISE) ** 2 - 0.5 * (y - x) ** 2
        return np.asarray(value + 3.0 * np.log1p((y - self.data) ** 2 / 5.0))  # t of 5 degrees

    def renew(self, kept: Floats, rng: np.random.Generator) -> None:
        self.points[0] = kept[:, 0]
        self.points[1] = self.data + rng.standard_t(5.0, len(self.data))

    def density(self, x: Floats) -> tuple[float, Floats]:
        if x[0] > self.broken:
            return math.nan, np.full(1, math.nan)
        log_weights = self.of_members(x[0])
        top = log_weights.max(axis=0)
        weights = np.exp(log_weights - top)
        total = (top + np.log(weights.mean(axis=0))).sum() - 0.5 * (x[0] / WIDE) ** 2
        pull = (weights * (self.points - x[0])).sum(axis=0) / weights.sum(axis=0)
        return float(total), np.array([pull.sum() - x[0] / WIDE**2])

    def pick(self, x: Floats, uniform: Floats) -> tuple[Floats, Floats, Floats]:
        log_weights = self.of_members(x[0])
        second = expit(log_weights[1] - log_weights[0]) > uniform
        kept = np.where(second, self.points[1], self.points[0])[:, None]
        return x.copy(), kept, kept

    def joined(self, x: Floats, kept: Floats) -> Floats:
        return np.concatenate([x, kept[:, 0] - x[0]])

    def joint_density(self, xy: Floats) -> tuple[float, Floats]:
        x, away = xy[0], xy[1:]
        if x > self.broken:
            return math.nan, np.full(len(xy), math.nan)
        pull = (self.data - x - away) / NOISE**2
        value = -0.5 * (NOISE * pull) @ (NOISE * pull) - 0.5 * away @ away - 0.5 * (x / WIDE) ** 2
        return float(value), np.append(pull.sum() - x / WIDE**2, pull - away)

    def parted(self, xy: Floats) -> tuple[Floats, Floats]:
        return xy[:1].copy(), (xy[0] + xy[1:])[:, None]


def run(hierarchy: Hierarchy, seed: int, draws: int = 4000) -> Chain:
    chain = Chain(hierarchy, np.zeros(1), np.ones((len(DATA), 1)), np.random.default_rng(seed), 0.8)
    chain.tune(100, lambda: False)
    chain.draw(draws, lambda: False)
    return chain


def exact() -> tuple[Floats, Floats]:
    """Mean and covariance of population and members, by their joint precision."""
    n = len(DATA)
    precision = np.zeros((n + 1, n + 1))
    precision[0, 0] = WIDE**-2 + n
    precision[0, 1:] = precision[1:, 0] = -1.0
    precision[1:, 1:] = (1.0 + NOISE**-2) * np.eye(n)
    covariance = np.linalg.inv(precision)
    return covariance @ np.append(0.0, DATA / NOISE**2), covariance


def test_it_draws_from_the_joint_posterior() -> None:
    """Two points for each member are a poor estimate of the likelihood; the draws are exact."""
    chain = run(Hierarchy(), 1)
    draws = np.column_stack([np.array(chain.draws["point"])[:, 0],
                             np.array(chain.draws["theta"])[..., 0]])  # fmt: skip
    mean, covariance = exact()
    spread = np.sqrt(np.diag(covariance))
    # 4,000 draws of which at least 400 are effective: five standard errors.
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.25 * spread.max())
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.25 * spread.max() ** 2)
    assert chain.divergences == 0
    assert 0.6 < np.mean(chain.draws["acceptance_rate"]) < 0.99


@pytest.mark.parametrize("astray", [0.05, 0.5, 3.0])
def test_second_trajectories_leave_the_posterior_as_it_is(
    astray: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps so long that many first trajectories fail, and second ones are tried after some."""
    monkeypatch.setattr(hamiltonian, "ASTRAY", astray)
    chain = Chain(
        Hierarchy(), np.zeros(1), np.ones((len(DATA), 1)), np.random.default_rng(5), 0.8,
        step=1.6,
    )  # fmt: skip
    chain.draw(12_000, lambda: False)
    steps = np.array(chain.draws["n_steps"])
    assert (steps > steps.min() * hamiltonian.FINER).mean() > 0.005
    assert np.mean(chain.draws["acceptance_rate"]) < 0.6
    mean, covariance = exact()
    x = np.array(chain.draws["point"])[:, 0]
    spread = math.sqrt(covariance[0, 0])
    parts = x.reshape(40, -1)  # batches longer than the memory of the chain
    error = parts.mean(axis=1).std(ddof=1) / math.sqrt(len(parts))
    assert error < 0.1 * spread
    assert abs(x.mean() - mean[0]) < 4.0 * error
    squares = ((parts - mean[0]) ** 2).mean(axis=1)
    error = squares.std(ddof=1) / math.sqrt(len(parts))
    assert abs(squares.mean() - spread**2) < 4.0 * error


@pytest.mark.parametrize("part", ["_move_population", "_move_together"])
def test_each_move_by_itself_leaves_the_posterior_as_it_is(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the other one the chain is slower, not wrong."""
    nothing = dict.fromkeys(("acceptance_rate", "n_steps", "logp"), 1.0) | {"diverging": False}
    other = {"_move_population": "_move_together", "_move_together": "_move_population"}[part]
    still = {"_move_together": 1.0, "_move_population": nothing}[other]
    monkeypatch.setattr(Chain, other, lambda _: still)
    chain = run(Hierarchy(), 6, 6000)
    x = np.array(chain.draws["point"])[:, 0]
    mean, covariance = exact()
    assert x.mean() == pytest.approx(mean[0], abs=0.25 * math.sqrt(covariance[0, 0]))
    assert x.var() == pytest.approx(covariance[0, 0], rel=0.25)


def test_same_seed_same_draws() -> None:
    first, second, other = (run(Hierarchy(), seed, 50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.draws["theta"], second.draws["theta"])
    assert not np.array_equal(first.draws["theta"], other.draws["theta"])


def test_a_density_that_is_not_a_number_is_not_entered() -> None:
    mean, covariance = exact()
    edge = mean[0] + math.sqrt(covariance[0, 0])
    chain = run(Hierarchy(edge), 3, 1000)
    points = np.array(chain.draws["point"])
    assert (points <= edge).all()
    assert points.std() > 0.0
    assert np.isfinite(chain.draws["logp"]).all()


def test_where_no_density_is_a_number_nothing_moves() -> None:
    """The energy's error is not a number either, and no comparison with it is true."""
    chain = Chain(
        Hierarchy(broken=-math.inf), np.zeros(1), np.ones((len(DATA), 1)),
        np.random.default_rng(2), 0.8,
    )  # fmt: skip
    chain.draw(5, lambda: False)
    assert (np.array(chain.draws["point"]) == 0.0).all()
    assert (np.array(chain.draws["acceptance_rate"]) == 0.0).all()
    assert chain.divergences == 5


def test_it_stops_when_told() -> None:
    chain = run(Hierarchy(), 1, 0)
    finished = chain.finished
    chain.draw(100, lambda: chain.finished >= finished + 3)
    assert chain.finished == finished + 3
    assert len(chain.draws["logp"]) == 3


def test_no_member_at_all() -> None:
    """Every base model of a panel may be silent, so summed out."""
    model = Hierarchy(data=np.empty(0))
    chain = Chain(model, np.ones(1), np.empty((0, 1)), np.random.default_rng(1), 0.8)
    chain.tune(100, lambda: False)
    chain.draw(2000, lambda: False)
    assert np.array(chain.draws["point"]).var() == pytest.approx(WIDE**2, rel=0.25)
