"""The sampler on a hierarchy of normal distributions, whose posterior is known exactly."""

import math

import numpy as np
import pytest

from bayes_hfgrowth import hamiltonian
from bayes_hfgrowth.hamiltonian import Chain
from bayes_hfgrowth.transition import Floats

# Members y_i ~ N(x, 1) are seen with noise, data_i ~ N(y_i, s²); x ~ N(0, 3²).
DATA = np.array([1.0, 2.0, 4.0, 0.5, 3.0])
NOISE, WIDE = 0.7, 3.0


class Hierarchy:
    """Members in the coordinates u = y, so that the points do not follow the population."""

    def __init__(self, broken: float = math.inf) -> None:
        self.broken = broken

    def members(self, x: float, y: Floats) -> tuple[Floats, Floats]:
        own = DATA[:, None]
        value = -0.5 * ((own - y) / NOISE) ** 2 - 0.5 * (y - x) ** 2
        return value[..., 0], (own - y) / NOISE**2 - (y - x)

    def target(
        self, x: Floats, points: Floats, log_proposal: Floats
    ) -> tuple[float, Floats, Floats, Floats, Floats]:
        if x[0] > self.broken:
            return math.nan, np.full(1, math.nan), x.copy(), points.copy(), log_proposal.copy()
        log_weights = self.members(x[0], points)[0] - log_proposal
        top = log_weights.max(axis=0)
        weights = np.exp(log_weights - top)
        total = (top + np.log(weights.mean(axis=0))).sum() - 0.5 * (x[0] / WIDE) ** 2
        pull = (weights * (points[..., 0] - x[0])).sum(axis=0) / weights.sum(axis=0)
        slope = np.array([pull.sum() - x[0] / WIDE**2])
        return float(total), slope, x.copy(), points.copy(), log_weights

    def single(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        return self.members(x[0], y)


def run(hierarchy: Hierarchy, seed: int, draws: int = 4000) -> Chain:
    chain = Chain(
        hierarchy.target, hierarchy.single, np.zeros(1), np.ones((len(DATA), 1)),
        np.random.default_rng(seed), 0.8,
    )  # fmt: skip
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


@pytest.mark.parametrize("divergent", [0.2, 1.0, 1000.0])
def test_second_trajectories_leave_the_posterior_as_it_is(
    divergent: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps so long that most first trajectories fail, some by more than counts as divergent."""
    monkeypatch.setattr(hamiltonian, "DIVERGENT", divergent)
    model = Hierarchy()
    chain = Chain(
        model.target, model.single, np.zeros(1), np.ones((len(DATA), 1)),
        np.random.default_rng(5), 0.8, step=1.9,
    )  # fmt: skip
    chain.draw(12_000, lambda: False)
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


def test_it_stops_when_told() -> None:
    chain = run(Hierarchy(), 1, 0)
    finished = chain.finished
    chain.draw(100, lambda: chain.finished >= finished + 3)
    assert chain.finished == finished + 3
    assert len(chain.draws["logp"]) == 3


@pytest.mark.parametrize("number", [0, 1])
def test_no_member_at_all(number: int) -> None:
    """Every base model of a panel may be silent, so summed out."""
    rng = np.random.default_rng(number)

    def target(
        x: Floats, points: Floats, log_proposal: Floats
    ) -> tuple[float, Floats, Floats, Floats, Floats]:
        return -0.5 * float(x @ x), -x, x.copy(), points.copy(), log_proposal.copy()

    def single(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        return np.empty(0), np.empty(y.shape)

    chain = Chain(target, single, np.ones(2), np.empty((0, 4)), rng, 0.8)
    chain.draw(2000, lambda: False)
    assert np.array(chain.draws["point"]).var(axis=0) == pytest.approx(1.0, abs=0.25)
