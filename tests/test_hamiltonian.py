"""The sampler on a hierarchy of normal distributions, whose posterior is known exactly."""

import math

import numpy as np
import pytest
from scipy.special import expit

from bayes_hfgrowth import hamiltonian
from bayes_hfgrowth.errors import FitError
from bayes_hfgrowth.growth.law import Floats
from bayes_hfgrowth.hamiltonian import Chain

# Members y_i ~ N(x, 1) are seen with noise and an offset that they share, data_i ~ N(y_i + h, s²);
# h ~ N(0, 0.8²), x ~ N(0, 3²).
DATA = np.array([1.0, 2.0, 4.0, 0.5, 3.0])
NOISE, OFFSET, WIDE = 0.7, 0.8, 3.0


class Hierarchy:
    """A population (h, x) of which h is held, and two points for each member.

    Points are told by their distance from data - h. So they follow h but not x; together with
    the population they are moved in the coordinates y - x.
    """

    held = 1

    def __init__(self, broken: float = math.inf, data: Floats = DATA) -> None:
        self.broken, self.data = broken, data
        self.points, self.offset, self.before = np.empty((2, len(data))), 0.0, 0.0
        self.slow = np.array([[OFFSET]])

    def broken_at(self, h: float, x: float) -> bool:
        return max(abs(h), x) > self.broken

    def of_members(self, x: float) -> Floats:
        """Log weights of the points."""
        y = self.data - self.offset + self.points
        value = -0.5 * (self.points / NOISE) ** 2 - 0.5 * (y - x) ** 2
        return np.asarray(value + 3.0 * np.log1p(self.points**2 / 5.0))  # t of 5 degrees

    def renew(self, x: Floats, kept: Floats, rng: np.random.Generator) -> None:
        self.offset = x[0]
        self.points[0] = kept[:, 0]
        self.points[1] = rng.standard_t(5.0, len(self.data))

    def move_points(self, x: Floats, rng: np.random.Generator) -> float:
        self.before, self.offset = self.offset, x[0]
        return self.density(x)[0]

    def stay(self) -> None:
        self.offset = self.before

    def density(self, x: Floats) -> tuple[float, Floats]:
        if self.broken_at(*x):
            return math.nan, np.full(2, math.nan)
        log_weights = self.of_members(x[1])
        top = log_weights.max(axis=0, initial=-1e9)
        weights = np.exp(log_weights - top)
        total = (top + np.log(weights.mean(axis=0))).sum()
        total -= 0.5 * (x[1] / WIDE) ** 2 + 0.5 * (x[0] / OFFSET) ** 2
        away = self.data - self.offset + self.points - x[1]
        pull = (weights * away).sum(axis=0) / weights.sum(axis=0)
        return float(total), np.array([0.0, pull.sum() - x[1] / WIDE**2])

    def pick(self, x: Floats, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        log_weights = self.of_members(x[1])
        second = expit(log_weights[1] - log_weights[0]) > rng.random(len(self.data))
        kept = np.where(second, self.points[1], self.points[0])
        return x.copy(), (self.data - self.offset + kept)[:, None], kept[:, None]

    def joined(self, x: Floats, kept: Floats) -> Floats:
        return np.concatenate([x, self.data - x[0] + kept[:, 0] - x[1]])

    def joint_density(self, xy: Floats) -> tuple[float, Floats]:
        h, x, away = xy[0], xy[1], xy[2:]
        if self.broken_at(h, x):
            return math.nan, np.full(len(xy), math.nan)
        pull = (self.data - h - x - away) / NOISE**2
        value = -0.5 * (NOISE * pull) @ (NOISE * pull) - 0.5 * away @ away
        value -= 0.5 * (x / WIDE) ** 2 + 0.5 * (h / OFFSET) ** 2
        population = [pull.sum() - h / OFFSET**2, pull.sum() - x / WIDE**2]
        return float(value), np.concatenate([population, pull - away])

    def parted(self, xy: Floats) -> tuple[Floats, Floats]:
        return xy[:2].copy(), (xy[1] + xy[2:] - self.data + xy[0])[:, None]


def chain_on(hierarchy: Hierarchy, seed: int, step: float = 0.2) -> Chain:
    kept = np.zeros((len(hierarchy.data), 1))
    return Chain(hierarchy, np.zeros(2), kept, np.random.default_rng(seed), 0.8, step=step)


def run(hierarchy: Hierarchy, seed: int, draws: int = 2400) -> Chain:
    chain = chain_on(hierarchy, seed)
    chain.tune(100, lambda: False)
    chain.draw(draws, lambda: False)
    return chain


def exact() -> tuple[Floats, Floats]:
    """Mean and covariance of h, x and the members, by their joint precision."""
    n = len(DATA)
    precision = np.zeros((n + 2, n + 2))
    precision[0, 0] = OFFSET**-2 + n * NOISE**-2
    precision[0, 2:] = precision[2:, 0] = NOISE**-2
    precision[1, 1] = WIDE**-2 + n
    precision[1, 2:] = precision[2:, 1] = -1.0
    precision[2:, 2:] = (1.0 + NOISE**-2) * np.eye(n)
    covariance = np.linalg.inv(precision)
    seen = DATA / NOISE**2
    return covariance @ np.concatenate([[seen.sum(), 0.0], seen]), covariance


def standard_error(values: Floats) -> float:
    """Of the mean, by batches longer than the memory of the chain."""
    batches = values.reshape(40, -1).mean(axis=1)
    return float(batches.std(ddof=1) / math.sqrt(len(batches)))


def check_moments(draws: Floats, mean: float, variance: float, smallest: float = 0.1) -> None:
    """Within four standard errors, which are small beside the spread."""
    for values, expected in ((draws, mean), ((draws - mean) ** 2, variance)):
        error = standard_error(values)
        assert error < smallest * max(variance, math.sqrt(variance))
        assert abs(values.mean() - expected) < 4.0 * error


def test_it_draws_from_the_joint_posterior() -> None:
    """Two points for each member are a poor estimate of the likelihood; the draws are exact."""
    chain = run(Hierarchy(), 1)
    draws = np.column_stack(
        [np.array(chain.draws["point"]), np.array(chain.draws["theta"])[..., 0]]
    )
    mean, covariance = exact()
    spread = np.sqrt(np.diag(covariance))
    for column, expected, width in zip(draws.T, mean, spread, strict=True):
        check_moments(column, expected, width**2, 0.3)
    # Of the draws at least 400 are effective: five standard errors.
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.25 * spread.max() ** 2)
    assert chain.divergences == 0
    assert 0.6 < np.mean(chain.draws["acceptance_rate"]) < 0.99
    assert 0.1 < np.mean(chain.draws["slow_acceptance"]) < 0.8


@pytest.mark.parametrize("astray", [0.05, 1.0])
def test_second_trajectories_leave_the_posterior_as_it_is(
    astray: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps so long that many first trajectories fail, and second ones are tried after some."""
    monkeypatch.setattr(hamiltonian, "ASTRAY", astray)
    chain = chain_on(Hierarchy(), 5, step=1.6)
    chain.draw(4000, lambda: False)
    steps = np.array(chain.draws["n_steps"])
    assert (steps > steps.min() * hamiltonian.FINER).mean() > 0.005
    assert np.mean(chain.draws["acceptance_rate"]) < 0.6
    mean, covariance = exact()
    check_moments(np.array(chain.draws["point"])[:, 1], mean[1], covariance[1, 1], 0.15)


MOVES = {
    "_move_population": {**dict.fromkeys(("acceptance_rate", "n_steps", "logp"), 1.0),
                         "diverging": False},
    "_move_slowly": 1.0,
    "_move_together": 1.0,
}  # fmt: skip


@pytest.mark.parametrize("without", MOVES)
def test_any_two_moves_leave_the_posterior_as_it_is(
    without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the third one the chain is slower, not wrong."""
    monkeypatch.setattr(Chain, without, lambda _: MOVES[without].copy()
                        if isinstance(MOVES[without], dict) else MOVES[without])  # fmt: skip
    chain = run(Hierarchy(), 6, 3000)
    points = np.array(chain.draws["point"])
    mean, covariance = exact()
    for k in range(2):
        check_moments(points[:, k], mean[k], covariance[k, k], 0.4)


def test_only_slow_and_joint_moves_take_what_is_held_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_move_slowly", "_move_together"):
        monkeypatch.setattr(Chain, name, lambda _: 1.0)
    points = np.array(run(Hierarchy(), 7, 100).draws["point"])
    assert np.ptp(points[:, 0]) == 0.0
    assert np.ptp(points[:, 1]) > 0.0


def test_same_seed_same_draws() -> None:
    first, second, other = (run(Hierarchy(), seed, 50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.draws["theta"], second.draws["theta"])
    assert not np.array_equal(first.draws["theta"], other.draws["theta"])


def test_a_density_that_is_not_a_number_is_not_entered() -> None:
    """By no part of a transition; what is left is the posterior cut off there."""
    mean, _ = exact()
    chain = run(Hierarchy(mean[1]), 3, 400)
    points = np.array(chain.draws["point"])
    assert (np.abs(points[:, 0]) <= mean[1]).all()
    assert (points[:, 1] <= mean[1]).all()
    assert (points.std(axis=0) > 0.0).all()
    assert np.isfinite(chain.draws["logp"]).all()


def test_a_start_without_density_is_refused() -> None:
    chain = chain_on(Hierarchy(1.0), 1)
    chain.x = np.array([0.0, 2.0])
    with pytest.raises(FitError) as refused:
        chain.tune(10, lambda: False)
    said = str(refused.value)
    assert len(said) > 20
    assert "\n" not in said


def test_it_stops_when_told() -> None:
    chain = run(Hierarchy(), 1, 0)
    finished = chain.finished
    chain.draw(100, lambda: chain.finished >= finished + 3)
    assert chain.finished == finished + 3
    assert len(chain.draws["logp"]) == 3


def test_no_member_at_all() -> None:
    """As for a panel whose base models are all younger than a month."""
    chain = run(Hierarchy(data=np.empty(0)), 1, 2000)
    points = np.array(chain.draws["point"])
    check_moments(points[:, 0], 0.0, OFFSET**2, 0.2)
    check_moments(points[:, 1], 0.0, WIDE**2, 0.2)
