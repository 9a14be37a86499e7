"""A maximal coupling by random numbers in common."""

import numpy as np
import pytest

from bayes_hfgrowth.posterior.common_random_numbers import Moves, coupled


def test_positions_are_kept_as_far_as_their_weights_allow():
    weights = np.array([0.4, 0.3, 0.2, 0.1, 0.0])
    rng = np.random.default_rng(1)
    found = np.stack([coupled(weights, Moves.of(5, rng), rng) for _ in range(20_000)])
    shares = np.bincount(found.ravel(), minlength=5) / found.size
    np.testing.assert_allclose(shares, weights, atol=0.005)
    kept = (found == np.arange(5)).mean()
    assert kept == pytest.approx(np.minimum(weights, 0.2).sum(), abs=0.005)
    moves = Moves.of(4000, rng)
    even = np.full(4000, 1 / 4000)
    assert (coupled(even, moves, rng) == np.arange(4000)).mean() > 0.999  # but for rounding
    # Weights that are alike choose alike, whatever they choose; few of 64 candidates are refused.
    weights = rng.gamma(0.3, size=4000)
    one, other = (
        coupled(w / w.sum(), moves, rng)
        for w in (weights, weights * np.exp(0.1 * rng.random(4000)))
    )
    assert (one == other).mean() > 0.85
    assert (one == np.arange(4000)).mean() < 0.5
    # All weight in one place, which no candidate may hit.
    np.testing.assert_array_equal(coupled(np.eye(4000)[7], moves, rng), 7)
