"""The density that the engine ``whitened`` samples: the PyMC model's, in other coordinates."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr

from bayes_hfgrowth.inference.adaptation import Aim, WhitenedPosterior
from bayes_hfgrowth.model.pymc_model import build_model
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.sources.example import load_example

type Floats = npt.NDArray[np.float64]

CASES = ("citation", "reinforced", "surge", "carried", "global")
TOLD = ("apple/DepthPro", "apple/OpenELM-3B", "facebook/layerskip-llama3.2-1B",
        "facebook/chameleon-7b")  # fmt: skip
SILENT = ("facebook/mms-tts-mqn",)


class Case:
    """A posterior of a few base models, aimed in two ways."""

    def __init__(self, spec: GrowthSpec, base_models: tuple[str, ...] = TOLD) -> None:
        self.history = History.from_panel(load_example().select(base_models=base_models))
        self.spec = spec
        self.posterior = WhitenedPosterior(spec, self.history)
        blind = self.posterior.aim_blind(np.random.default_rng(1))
        self.dimensions = self.posterior.aimed(blind).n_dim
        self.aims = {"blind": blind, "draws": self.posterior.aim_by(self.near(blind))}

    def near(self, aim: Aim) -> xr.Dataset:
        """Draws around the middle of an aim, as a pilot would leave them."""
        rng = np.random.default_rng(2)
        found = [self(aim, x)[2:] for x in 0.5 * rng.standard_normal((4 * 60, self.dimensions))]
        point, theta = (
            np.array(part).reshape(4, 60, *part[0].shape) for part in zip(*found, strict=True)
        )
        lead = ("chain", "draw")
        return xr.Dataset(
            {"point": ((*lead, "i"), point), "theta": ((*lead, "base_model", "k"), theta)}
        )

    def __call__(self, aim: Aim, x: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Log density, its gradient, the point and the growth parameters."""
        return self.posterior.joint_density(x, **self.posterior.data(aim))

    def pymc_point(self, aim: Aim, x: Floats) -> dict[str, Any]:
        """Where the PyMC model has this, in its unbounded coordinates."""
        _, _, point, theta = self(aim, x)
        layout, group = self.posterior.layout, self.history.organization_of
        blocks = layout.blocks
        places: dict[str, Any] = {}
        for k, name in enumerate([*self.spec.parameters, "dormancy"][: layout.columns]):
            location = means = point[k]
            if layout.pooled:
                between = point[blocks["between"]][k]
                means = point[blocks["means"]].reshape(-1, layout.columns)[:, k]
                places[f"between_organizations_{name}_log__"] = between
                places[f"organization_{name}_offset"] = (means - location) / np.exp(between)
                means = means[group]
            places[f"location_{name}"] = location
            if name != "dormancy":
                within = point[blocks["within"]][k]
                places[f"between_base_models_{name}_log__"] = within
                places[f"{name}_offset"] = (theta[:, k] - means) / np.exp(within)
        if "strength" in blocks:
            places["carry_over_strength"] = point[blocks["strength"]][0]
            places["carry_over_memory_logodds__"] = point[blocks["memory"]][0]
        return {name: np.asarray(value) for name, value in places.items()}

    def log_jacobian(self, aim: Aim, x: Floats) -> float:
        """Log determinant of the PyMC model's coordinates by ours, by finite differences."""
        step = 1e-5

        def flat(x: Floats) -> Floats:
            return np.concatenate([v.ravel() for v in self.pymc_point(aim, x).values()])

        unit = step * np.eye(len(x))
        matrix = np.array([flat(x + u) - flat(x - u) for u in unit]) / (2.0 * step)
        return float(np.linalg.slogdet(matrix)[1])


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, spec_of: Callable[[str], GrowthSpec]) -> Case:
    return Case(spec_of(request.param))


def test_density_is_that_of_the_pymc_model(case: Case) -> None:
    """Up to one constant, wherever the coordinates are aimed."""
    parts = build_model(case.spec, case.history).compile_logp(sum=False, mode="FAST_COMPILE")
    rng = np.random.default_rng(3)
    blind, drawn = case.aims["blind"], case.aims["draws"]
    assert np.abs(blind["precision"] - drawn["precision"]).max() > 0.1
    for aim in case.aims.values():
        offsets, values = [], []
        for x in rng.standard_normal((8, case.dimensions)):
            value = case.log_jacobian(aim, x)
            value += sum(part.sum() for part in parts(case.pymc_point(aim, x)))
            values.append(value)
            offsets.append(case(aim, x)[0] - value)
        assert np.ptp(values) > 1.0
        np.testing.assert_allclose(offsets, offsets[0], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("aim", ["blind", "draws"])
def test_gradient_in_every_coordinate(case: Case, aim: str) -> None:
    check_gradient(case, case.aims[aim])


@pytest.mark.parametrize("name", ["carried", "global"])
def test_gradient_with_base_models_summed_out(
    name: str, spec_of: Callable[[str], GrowthSpec]
) -> None:
    both = Case(spec_of(name), TOLD + SILENT)
    alone = Case(spec_of(name))
    assert both.dimensions == alone.dimensions
    check_gradient(both, both.aims["blind"])


def check_gradient(case: Case, aim: Aim) -> None:
    x = np.random.default_rng(4).standard_normal(case.dimensions)
    step = 1e-5
    moved = [
        (case(aim, x + step * unit)[0] - case(aim, x - step * unit)[0]) / (2.0 * step)
        for unit in np.eye(case.dimensions)
    ]
    np.testing.assert_allclose(case(aim, x)[1], moved, rtol=1e-5, atol=1e-5)
