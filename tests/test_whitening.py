"""The whitened density: its gradient, and that it is the density it claims to be."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from scipy.special import expit, log_expit

from bayes_hfgrowth.growth.law import EXPONENT, LIKELIHOODS, SHARED
from bayes_hfgrowth.growth.points import log_likelihoods
from bayes_hfgrowth.history import History
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.spec import read_spec
from bayes_hfgrowth.straightening import pivots_at, straightened
from bayes_hfgrowth.whitening import ASLEEP, AWAKE, EITHER, Drawn, Whitening, log_density

type Floats = npt.NDArray[np.float64]

TOLD = (
    "openai/whisper-large-v3", "facebook/chameleon-7b", "stabilityai/StableBeluga2",
    "facebook/dinov2-giant",
)  # fmt: skip
SILENT = ("facebook/audio-magnet-small", "openai/consistency-decoder")
PARTS = ("means", "log_spreads", "shared", "period", "logits")


class Setting:
    """Everything that the density takes, with a random summary.

    Of the base models without fine-tunes the one may be dormant, and the other is.
    """

    def __init__(self, model: str) -> None:
        rng = np.random.default_rng(1)
        self.spec = read_spec(model)
        self.surge = model == "surge"
        panel = load_example().as_of("2024-08-01").select(base_models=TOLD + SILENT)
        history = History.from_panel(panel)
        self.history = history.subset(np.argsort(history.finetunes == 0, kind="stable"))
        assert (self.history.finetunes > 0).sum() == len(TOLD)
        self.law = LIKELIHOODS[self.spec.likelihood]
        self.months = self.history.months_of(self.law, self.spec.m)
        n, size = len(self.history.base_models), len(self.spec.parameters)
        calendar = self.history.calendar_span[1]
        self.state = np.full(n, AWAKE, dtype=np.int64)
        if self.surge:
            self.state[len(TOLD) :] = EITHER, ASLEEP
        bursts = (0.03, 8.0, 0.7) if self.surge else (0.0, 1.0, 1.0)
        law = (0.8, 0.5, 0.3) if self.surge else (1.0, 0.0, 0.0)
        organizations = len(self.history.organizations)
        self.y = rng.normal(size=(n, size)) * 0.5
        self.population = Drawn(
            np.array([1.5, 3.0, 0.5, 1.0])[:size] + 0.2 * rng.normal(size=(organizations, size)),
            rng.normal(size=size) * 0.3 - 0.5,
            np.array([*law, *bursts]),
            0.3 * rng.normal(size=calendar) * self.surge,
            np.linspace(-0.4, 0.8, organizations)
            if self.surge
            else np.full(organizations, -np.inf),
        )
        root = rng.normal(size=(n, size, size)) * 3
        precision = root @ root.transpose(0, 2, 1)
        precision[0] = 0.0  # a summary without any information is allowed
        centres = self.population.means[self.history.organization_of]
        centres = centres + 0.3 * rng.normal(size=(n, size))
        last_age = np.log(self.history.months)
        self.aim = Whitening(
            precision,
            np.einsum("nij,nj->ni", precision, centres),
            rng.normal(size=(len(TOLD), size, 1 + calendar)),
            np.append(0.7, 0.1 * rng.normal(size=calendar)),
            pivots_at(last_age, centres, np.arange(n) % 2 == 1),
        )

    def __call__(self, **changes: Floats) -> tuple[float, Floats, Floats, Drawn]:
        """Density, growth parameters, and the derivatives by `y` and by the population."""
        y = changes.pop("y", self.y)
        population = self.population._replace(**changes)
        by = Drawn(*(np.zeros(part.shape) for part in population))
        theta = np.empty(y.shape)
        total, by_y = log_density(
            self.law, self.spec.m, y, self.state, self.history.organization_of, self.months,
            self.aim, population, theta, by,
        )  # fmt: skip
        return total, theta, by_y, by

    def months_at(self, theta: Floats, population: Drawn) -> Floats:
        """Log likelihood of each base model, in case it is not dormant."""
        out = np.empty((len(theta), 1))
        log_likelihoods(
            self.law, self.months, self.spec.m, theta[:, :, None].copy(), population.shared,
            population.period, out,
        )  # fmt: skip
        return out[:, 0]


@pytest.fixture(scope="module", params=["citation", "reinforced", "surge"])
def density(request: pytest.FixtureRequest) -> Setting:
    return Setting(request.param)


def test_gradient_agrees_with_finite_differences(density: Setting) -> None:
    _, _, by_y, by = density()
    rng = np.random.default_rng(2)
    values: dict[str, Any] = {"y": density.y, **density.population._asdict()}
    slopes = {"y": by_y, **by._asdict()}
    assert set(values) == {"y", *PARTS}
    for name, value in values.items():
        if name in ("shared", "period", "logits") and not density.surge:
            continue  # the paper's own laws know nothing of them
        for _ in range(5):
            direction = rng.normal(size=value.shape)
            if name == "shared":
                direction *= np.array([1.0, 1.0, 1.0, 0.01, 1.0, 1.0])
            step = 1e-5
            up = density(**{name: value + step * direction})[0]
            down = density(**{name: value - step * direction})[0]
            moved = (up - down) / (2 * step)
            found = (slopes[name] * direction).sum()
            assert found == pytest.approx(moved, rel=1e-5, abs=1e-4), name


def test_who_is_dormant_has_no_coordinates(density: Setting) -> None:
    total, theta, by_y, _ = density()
    asleep = density.state == ASLEEP
    assert asleep.any() == density.surge
    moved = density.y + 0.7 * asleep[:, None]
    assert density(y=moved)[0] == total
    assert (by_y[asleep] == 0.0).all()
    own = density.population.means[density.history.organization_of]
    np.testing.assert_array_equal(theta[asleep], own[asleep])


def test_impossible_months_have_no_density(density: Setting) -> None:
    y = density.y.copy()
    y[0] = 1e6
    assert density(y=y)[0] == -np.inf


def test_density_is_likelihood_times_prior_times_jacobian(density: Setting) -> None:
    """Between two populations and places."""
    rng = np.random.default_rng(3)
    group, awake = density.history.organization_of, density.state != ASLEEP
    other = {name: part.copy() for name, part in density.population._asdict().items()}
    for name in ("means", "log_spreads") + PARTS[2:] * density.surge:
        spread = 0.05 if name == "shared" else 0.2
        other[name] = other[name] * (1.0 + spread * rng.uniform(-1.0, 1.0, other[name].shape))
    offsets, values = [], []
    for changes in ({}, {"y": density.y + 0.3}, other, {"y": density.y - 0.2, **other}):
        population = density.population._replace(
            **{name: part for name, part in changes.items() if name != "y"}
        )
        total, theta, *_ = density(**changes)
        months, logits = density.months_at(theta, population), population.logits[group]
        either = np.logaddexp(log_expit(logits), log_expit(-logits) + months)
        value = np.where(
            density.state == AWAKE,
            log_expit(-logits) + months,
            np.where(density.state == EITHER, either, log_expit(logits)),
        ).sum()
        spreads = np.exp(population.log_spreads)
        value += stats.norm(population.means[group], spreads).logpdf(theta)[awake].sum()
        joined = density.aim.precision + np.diag(spreads**-2.0)
        value -= 0.5 * np.linalg.slogdet(joined)[1][awake].sum()
        bent = awake & (density.aim.pivots[:, 2] > 0.0)
        value += theta[bent, 2].sum()  # up to a constant
        offsets.append(total - value)
        values.append(value)
    assert np.ptp(values) > 1.0
    np.testing.assert_allclose(offsets, offsets[0], rtol=0.0, atol=1e-7 * np.abs(values).max())


def test_coordinates_follow_the_normal_summary(density: Setting) -> None:
    """θ̃ = c + L⁻ᵀ y, of the precision H + diag(spread⁻²) and the moved centre."""
    population, aim = density.population, density.aim
    theta = density(y=np.zeros(density.y.shape))[1]
    q = np.exp(-2.0 * population.log_spreads)
    moved = np.append(population.shared[EXPONENT], population.period) - aim.origin
    assert len(population.shared) == SHARED
    weighted = aim.weighted.copy()
    weighted[: len(TOLD)] += aim.cross @ moved
    precision = aim.precision + np.diag(q)
    own = population.means[density.history.organization_of]
    centre = np.linalg.solve(precision, (weighted + q * own)[..., None])[..., 0]
    awake = density.state != ASLEEP
    straight = straightened(aim.pivots, theta)
    np.testing.assert_allclose(straight[awake], centre[awake], rtol=1e-6, atol=1e-8)
    size = theta.shape[1]
    units = np.empty((len(theta), size, size))
    for k in range(size):
        y = np.tile(np.eye(size)[k], (len(theta), 1))
        units[:, :, k] = straightened(aim.pivots, density(y=y)[1]) - centre
    covariance = units @ units.transpose(0, 2, 1)
    inverse = np.linalg.inv(precision)
    np.testing.assert_allclose(covariance[awake], inverse[awake], rtol=1e-5, atol=1e-8)


def test_standard_normal_coordinates_without_information_give_the_prior() -> None:
    density = Setting("surge")
    density.aim = Whitening(*(np.zeros(part.shape) for part in density.aim))
    _, theta, *_ = density()
    spreads = np.exp(density.population.log_spreads)
    expected = density.population.means[density.history.organization_of] + spreads * density.y
    awake = density.state != ASLEEP
    np.testing.assert_allclose(theta[awake], expected[awake], rtol=1e-12)
    assert expit(density.population.logits).max() < 1.0
