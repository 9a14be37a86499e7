"""The whitened density: its gradient, and that it is the density it claims to be."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from scipy.special import expit

from bayes_hfgrowth.inference.ridge import pivots_at, straightened
from bayes_hfgrowth.inference.summaries import months_of
from bayes_hfgrowth.inference.whitening import log_density
from bayes_hfgrowth.model.specification import read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.simulation import log_likelihood
from bayes_hfgrowth.sources.example import load_example

type Floats = npt.NDArray[np.float64]
NAMES = [
    "openai/whisper-small",
    "openai/whisper-tiny",
    "openai/whisper-base",
    "openai/jukebox-1b-lyrics",
]


class Setting:
    """Everything that the density takes, with a random summary."""

    def __init__(self, model: str) -> None:
        rng = np.random.default_rng(1)
        self.spec = read_spec(model)
        panel = load_example().select(organizations=["OpenAI"], min_finetunes=1)
        self.history = History.from_panel(panel)
        self.months = months_of(self.spec, self.history)
        n, size = len(self.history.base_models), len(self.spec.parameters)
        root = rng.normal(size=(n, size, size)) * 3
        self.precision = root @ root.transpose(0, 2, 1)
        self.precision[0] = 0.0  # a summary without any information is allowed
        self.arguments = {
            "y": rng.normal(size=(n, size)) * 0.5,
            "means": np.array([[1.5, 3.0, 0.5, 1.0]])[:, :size],
            "log_spreads": rng.normal(size=size) * 0.3 - 0.5,
            "carry": np.array([0.5, 0.3]) if model == "surge" else np.zeros(2),
            "logit_dormancy": np.array([-0.4 if model == "surge" else -np.inf]),
        }
        centres = self.arguments["means"][0] + 0.3 * rng.normal(size=(n, size))
        self.weighted = np.einsum("nij,nj->ni", self.precision, centres)
        last_age = np.log(self.history.months)
        self.pivots = pivots_at(last_age, centres, np.arange(n) % 2 == 0)

    def __call__(self, **changes: Floats) -> Any:
        values = {**self.arguments, **changes}
        h = self.history
        theta = np.empty(values["y"].shape)
        by = [np.zeros(values[name].shape) for name in list(values)[1:]]
        total, by_y = log_density(
            self.months.law, values["y"], values["means"], values["log_spreads"], values["carry"],
            values["logit_dormancy"], self.precision, self.weighted, self.pivots,
            h.organization_of, h.start, h.log_age, h.previous, h.new, self.months.constants,
            self.spec.m, theta, *by,
        )  # fmt: skip
        return total, theta, by_y, *by


@pytest.mark.parametrize("model", ["citation", "reinforced", "surge"])
def test_gradient_agrees_with_finite_differences(model: str) -> None:
    density = Setting(model)
    _, _, *slopes = density()
    rng = np.random.default_rng(2)
    for (name, value), slope in zip(density.arguments.items(), slopes, strict=True):
        if name in ("carry", "logit_dormancy") and model != "surge":
            continue
        for _ in range(5):
            direction = rng.normal(size=value.shape)
            step = 1e-5
            up = density(**{name: value + step * direction})[0]
            down = density(**{name: value - step * direction})[0]
            moved = (up - down) / (2 * step)
            assert (slope * direction).sum() == pytest.approx(moved, rel=1e-4)


def test_impossible_months_have_no_density() -> None:
    density = Setting("surge")
    y = density.arguments["y"].copy()
    y[0] = 1e6
    assert density(y=y)[0] == -np.inf


@pytest.mark.parametrize("model", ["citation", "reinforced", "surge"])
def test_density_is_likelihood_times_prior_times_jacobian(model: str) -> None:
    density = Setting(model)
    spreads = np.exp(density.arguments["log_spreads"])
    total, theta, *_ = density()
    other_y = density.arguments["y"] + 0.3
    other, other_theta, *_ = density(y=other_y)

    def by_hand(point: Floats) -> float:
        months = log_likelihood(
            density.spec, density.history, point[None], density.arguments["carry"][None],
            expit(density.arguments["logit_dormancy"])[None],
        )  # fmt: skip
        prior = stats.norm(density.arguments["means"][0], spreads).logpdf(point)
        return float(months.sum(dtype=np.float64) + prior.sum())

    # The map from y is linear, so its Jacobian cancels between two points; bending does not.
    difference = by_hand(other_theta) - by_hand(theta)
    difference += (other_theta - theta)[::2, 2].sum()
    assert other - total == pytest.approx(difference, rel=1e-4, abs=0.05)

    # The Jacobian itself, through the spreads: it is the determinant of the map.
    size = theta.shape[1]
    for i in range(3):
        unit = np.empty((size, size))
        for k in range(size):
            shifted = density.arguments["y"].copy()
            shifted[i, k] += 1.0
            moved = straightened(density.pivots, density(y=shifted)[1])
            unit[:, k] = (moved - straightened(density.pivots, theta))[i]
        covariance = np.linalg.inv(density.precision[i] + np.diag(spreads**-2.0))
        np.testing.assert_allclose(unit @ unit.T, covariance, rtol=1e-6, atol=1e-9)


def test_standard_normal_coordinates_without_information_give_the_prior() -> None:
    density = Setting("surge")
    density.precision[:] = 0.0
    density.weighted[:] = 0.0
    density.pivots[:] = 0.0
    _, theta, *_ = density()
    spreads = np.exp(density.arguments["log_spreads"])
    np.testing.assert_allclose(
        theta, density.arguments["means"][0] + spreads * density.arguments["y"], rtol=1e-12
    )
