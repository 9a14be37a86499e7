"""Mean-field ADVI finds normal distributions, and gets past impossible points."""

import numpy as np
import pytest

from bayes_hfgrowth.inference.variational import mean_field_advi

MEAN = np.array([0.0, 3.0, -6.0])
SCALES = np.array([1.0, 0.3, 2.0])


def normal(x):
    z = (x - MEAN) / SCALES
    return -0.5 * float(z @ z), -z / SCALES


@pytest.mark.parametrize("hole", [False, True])
def test_a_normal_distribution_is_found(hole):
    def density(x):
        if hole and x[0] > 2.0:
            return -np.inf, np.full(3, np.nan)
        return normal(x)

    mean, scales = mean_field_advi(density, 3, np.random.default_rng(1))
    assert mean == pytest.approx(MEAN, abs=0.35)
    assert scales[:2] == pytest.approx(SCALES[:2], rel=0.3)
    assert mean.shape == scales.shape == (3,)


def test_it_finds_the_mass_and_not_the_mode():
    """ln of a variance known from little: the density of its logarithm is skewed."""

    def density(x):  # logarithm of a Gamma(1/2) variable
        return float(0.5 * x[0] - np.exp(x[0])), np.array([0.5 - np.exp(x[0])])

    mean, _ = mean_field_advi(density, 1, np.random.default_rng(1))
    mode, true_mean = np.log(0.5), -1.9635
    assert abs(mean[0] - true_mean) < abs(mean[0] - mode)


def test_the_same_seed_finds_the_same():
    first, again = (mean_field_advi(normal, 3, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
