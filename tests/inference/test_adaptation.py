"""The posterior in the engine's coordinates: the growth model's own density, however adapted."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import xarray as xr
from scipy import stats
from scipy.special import log_expit, logit

from bayes_hfgrowth.growth.law import Observed, Shared
from bayes_hfgrowth.growth.points import log_likelihoods
from bayes_hfgrowth.inference.adaptation import Adaptation, NonCentredPosterior
from bayes_hfgrowth.inference.population_layout import Parts, unbounded
from bayes_hfgrowth.inference.posterior_density import posterior_density
from bayes_hfgrowth.inference.ridge import to_ridge
from bayes_hfgrowth.model.priors import draw_prior, frozen
from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.sources.example import load_example

type Floats = npt.NDArray[np.float64]

CASES = ("citation", "reinforced", "carried", "global")
AS_OF = "2024-08-01"
OBSERVED = ("openai/whisper-large-v3", "facebook/chameleon-7b", "stabilityai/StableBeluga2")
ZERO_COUNTS = ("facebook/audio-magnet-small", "openai/consistency-decoder")
NEWBORN = ("meta-llama/Llama-3.1-8B",)


class Case:
    """A posterior of a few base models, adapted in two ways."""

    def __init__(self, spec: GrowthSpec) -> None:
        panel = load_example().as_of(AS_OF).select(base_models=OBSERVED + ZERO_COUNTS + NEWBORN)
        self.history = History.from_panel(panel)
        self.spec = spec
        self.posterior = NonCentredPosterior(spec, self.history)
        blind = self.posterior.adapt_blind(np.random.default_rng(1))
        self.dimensions = self.posterior.dimensions
        self.adaptations = {"blind": blind, "draws": self.posterior.adapt_to(self.draws(blind))}

    def draws(self, adaptation: Adaptation) -> xr.Dataset:
        """Draws around the middle of an adaptation, as a pilot would leave them."""
        rng = np.random.default_rng(2)
        x = 0.5 * rng.standard_normal((4 * 60, self.dimensions))
        found = [self(adaptation, row)[2:] for row in x]
        point, theta = (
            np.array(part).reshape(4, 60, *part[0].shape) for part in zip(*found, strict=True)
        )
        lead = ("chain", "draw")
        return xr.Dataset(
            {"point": ((*lead, "i"), point), "theta": ((*lead, "base_model", "k"), theta)},
            coords={"chain": np.arange(4), "draw": np.arange(60)},
        )

    def __call__(self, adaptation: Adaptation, x: Floats) -> tuple[float, Floats, Floats, Floats]:
        """Log density, its gradient, the point and the growth parameters."""
        return posterior_density(x, self.posterior.data(adaptation))

    def by_hand(self, point: Floats, theta: Floats) -> float:
        """Log density of the growth model at a point and growth parameters, term by term."""
        layout, spec = self.posterior.layout, self.spec
        parts = layout.read(point)
        group = self.posterior.group
        total = 0.0
        for at, prior in layout.priors.items():
            step = 1e-6
            value, up, down = (
                natural(point[at] + move, prior.distribution) for move in (0.0, step, -step)
            )
            assert unbounded(value, prior) == pytest.approx(point[at])
            total += frozen(prior).logpdf(value) + np.log((up - down) / (2.0 * step))
        if spec.period_effect is not None:
            a, scale = float(parts.persistence), float(parts.innovation)
            apart = np.abs(np.subtract.outer(*[np.arange(layout.calendar_months)] * 2))
            law = stats.multivariate_normal(cov=scale**2 / (1.0 - a**2) * a**apart)
            total += law.logpdf(parts.shared.period)
        means = parts.means
        if layout.pooled:
            with_dormancy = point[layout.blocks["means"]].reshape(-1, layout.columns)
            total += stats.norm(parts.location, parts.between).logpdf(with_dormancy).sum()
        total += stats.norm(means[group], parts.scales).logpdf(theta).sum()
        n = self.posterior.with_finetunes
        alive = np.concatenate(
            [self.months_at(self.posterior.observed, theta[:n], parts),
             self.months_at(self.posterior.zeros, theta[n:], parts)]
        )  # fmt: skip
        with np.errstate(divide="ignore"):
            dormant = logit(parts.dormancy)[group]
        alive += log_expit(-dormant)
        total += alive[:n].sum()
        return float(total + np.logaddexp(log_expit(dormant), alive)[n:].sum())

    @staticmethod
    def months_at(observed: Observed, theta: Floats, parts: Parts) -> Floats:
        """Log likelihood of each base model, in case it is not dormant."""
        months = np.empty((len(theta), 1))
        shared = Shared(parts.shared.values.copy(), parts.shared.period.copy())
        log_likelihoods(observed, theta[:, :, None].copy(), shared, months)
        return months[:, 0]

    def log_jacobian(self, adaptation: Adaptation, x: Floats) -> float:
        """Log determinant of point and growth parameters by the coordinates, by differences."""
        step = 1e-5

        def flat(x: Floats) -> Floats:
            _, _, point, theta = self(adaptation, x)
            return np.concatenate([point, theta.ravel()])

        unit = step * np.eye(len(x))
        matrix = np.array([flat(x + u) - flat(x - u) for u in unit]) / (2.0 * step)
        return float(np.linalg.slogdet(matrix)[1])


def natural(value: float, distribution: str) -> float:
    """From the scale on which a parameter is unbounded."""
    if distribution == "Normal":
        return value
    return float(1.0 / (1.0 + np.exp(-value)) if distribution == "Beta" else np.exp(value))


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, spec_of: Callable[[str], GrowthSpec]) -> Case:
    return Case(spec_of(request.param))


def test_density_is_that_of_the_growth_model(case: Case) -> None:
    """Up to one constant, wherever one is."""
    rng = np.random.default_rng(3)
    blind, drawn = case.adaptations.values()
    assert np.abs(blind.non_centring.precision - drawn.non_centring.precision).max() > 0.1
    for adaptation in case.adaptations.values():
        offsets, values = [], []
        for x in 0.7 * rng.standard_normal((6, case.dimensions)):
            value, _, point, theta = case(adaptation, x)
            expected = case.by_hand(point, theta) + case.log_jacobian(adaptation, x)
            values.append(expected)
            offsets.append(value - expected)
        assert np.ptp(values) > 1.0
        np.testing.assert_allclose(offsets, offsets[0], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("name", ["blind", "draws"])
def test_gradient_in_every_coordinate(case: Case, name: str) -> None:
    adaptation = case.adaptations[name]
    x = 0.7 * np.random.default_rng(4).standard_normal(case.dimensions)
    step = 1e-5
    moved = [
        (case(adaptation, x + step * unit)[0] - case(adaptation, x - step * unit)[0]) / (2.0 * step)
        for unit in np.eye(case.dimensions)
    ]
    found = case(adaptation, x)[1]
    np.testing.assert_allclose(found, moved, rtol=1e-4, atol=1e-4)


def test_base_models_have_their_coordinates_back(case: Case) -> None:
    layout = case.posterior.layout
    for adaptation in case.adaptations.values():
        x = np.random.default_rng(5).standard_normal(case.dimensions)
        _, _, point, theta = case(adaptation, x)
        n = case.posterior.with_finetunes
        ridge = theta.copy()
        ridge[:n] = to_ridge(adaptation.non_centring.pivots, theta[:n])
        y = case.posterior.non_centred(point, ridge, adaptation.non_centring)
        np.testing.assert_allclose(y.ravel(), x[layout.size :], rtol=1e-5, atol=1e-6)


def test_chains_start_where_draws_were(case: Case) -> None:
    """The coordinates to start from are those of some of the draws that were adapted to."""
    draws = case.draws(case.adaptations["blind"])
    adaptation = case.adaptations["draws"]
    points = draws["point"].to_numpy().reshape(240, -1)
    nothing = np.zeros(case.posterior.members * case.posterior.layout.parameters)
    for start in adaptation.starts[::25]:
        _, _, point, _ = case(adaptation, np.concatenate([start, nothing]))
        assert np.abs(points - point).max(axis=1).min() < 1e-6


def test_draws_get_their_names(case: Case) -> None:
    """Those of the prior, which `bayes_hfgrowth.model.pymc_model` has too; on the natural scale."""
    draws = case.draws(case.adaptations["blind"])
    named = case.posterior.named(draws, np.random.default_rng(6))
    expected = draw_prior(
        case.spec, case.history.organization_of, len(case.history.organizations), 3,
        np.random.default_rng(7), case.history.calendar_span[1],
    )  # fmt: skip
    assert {k: v.dims for k, v in named.data_vars.items()} == {
        k: v.dims for k, v in expected.data_vars.items()
    }
    for name in expected.data_vars:
        assert named[name].shape[2:] == expected[name].shape[2:], name
        assert np.isfinite(named[name]).all(), name
    assert named["base_model"].to_numpy().tolist() == list(case.history.base_models)
    assert ("calendar_month" in named.coords) == (case.spec.period_effect is not None)
    # Base models stand in the order of the history, the newborn one among them.
    n = case.history.base_models.index(OBSERVED[0])
    first = np.exp(draws["theta"].to_numpy()[:, :, 0, 0])
    members = [np.allclose(np.log(named["fitness"][..., n]), draws["theta"][:, :, i, 0])
               for i in range(case.posterior.members)]  # fmt: skip
    assert sum(members) == 1
    assert first.shape == (4, 60)
