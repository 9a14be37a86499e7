"""The posterior under points: averages by brute force, gradients, and ways there and back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from bayes_hfgrowth.inference import points
from bayes_hfgrowth.inference.adaptation import WhitenedPosterior
from bayes_hfgrowth.inference.crosses import CROSSES, DEGREES, WIDER
from bayes_hfgrowth.inference.points import Points
from bayes_hfgrowth.inference.proposals import Proposals
from bayes_hfgrowth.inference.ridge import straightened
from bayes_hfgrowth.model.specification import GrowthSpec, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.simulation import log_likelihood
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.support.cluster import beside

TOLD = ("apple/DepthPro", "apple/OpenELM-3B", "facebook/layerskip-llama3.2-1B",
        "facebook/chameleon-7b")  # fmt: skip
SILENT = ("facebook/mms-tts-mqn",)


class Case:
    """Points of a few base models, aimed by a first look and by draws with straightened ones."""

    def __init__(self, spec: GrowthSpec) -> None:
        self.spec = spec
        self.history = History.from_panel(load_example().select(base_models=TOLD + SILENT))
        self.posterior = WhitenedPosterior(spec, self.history)
        self.aim = self.posterior.aim_blind(np.random.default_rng(1))
        self.points = Points(self.posterior, self.aim)
        self.x = self.aim["starts"][3, : self.posterior.layout.size]
        self.kept = self.aim["kept"][3]
        self.points.renew(self.kept, np.random.default_rng(2))


@pytest.fixture(scope="module", params=["citation", "reinforced", "surge", "global"])
def case(request: pytest.FixtureRequest, spec_of: Callable[[str], GrowthSpec]) -> Case:
    return Case(spec_of(request.param))


def test_average_is_what_brute_force_finds(case: Case) -> None:
    """Between two populations, silent base models and prior taken from the joint density."""
    proposals, data = case.points._proposals, case.points._data
    points = case.points._points
    law = stats.multivariate_t(np.zeros(points.shape[1]), WIDER**2, df=DEGREES)
    told = case.history.subset(np.flatnonzero(case.history.finetunes > 0))
    theta = case.points._theta
    straight = proposals.straight(points.transpose(2, 0, 1))
    np.testing.assert_allclose(
        straightened(data["pivots"], theta.transpose(2, 0, 1)), straight, rtol=1e-8
    )

    def by_hand(x: np.ndarray) -> float:
        value, _ = case.points.density(x)
        parts = case.posterior.layout.read(case.points._population(x))
        means, spreads = parts["means"][told.organization_of], parts["spreads"]
        number = points.shape[2]
        months = log_likelihood(
            case.spec, told, theta.transpose(2, 0, 1), np.tile(parts["carry"], (number, 1)),
            np.zeros((number, len(told.organizations))),
        )  # fmt: skip
        months = np.add.reduceat(months.astype(np.float64), told.start[:-1], axis=1)
        normal = stats.norm(means[:, :, None], spreads[:, None]).logpdf(theta).sum(axis=1)
        proposal = law.logpdf(points.transpose(0, 2, 1))
        bent = np.where(data["pivots"][:, 2] > 0, theta[:, 2].T, 0.0).T
        weights = months.T + normal + bent - proposal
        told_part = (logsumexp(weights, axis=1) - np.log(number)).sum()
        awake = np.log1p(-parts["dormancy"])[told.organization_of].sum()
        # Prior and silent base models, by the joint density less its own told base models.
        xy = np.concatenate([x, np.zeros(case.kept.size)])
        joint, _, _, here = case.posterior.joint_density(xy, **data)
        own = log_likelihood(
            case.spec, told, here[None], parts["carry"][None], np.zeros((1, len(means)))
        ).sum(dtype=np.float64)
        own += stats.norm(means, spreads).logpdf(here).sum()
        joined = data["precision"] + np.diag(spreads**-2.0)
        own -= 0.5 * np.linalg.slogdet(joined)[1].sum()
        own += np.where(data["pivots"][:, 2] > 0, here[:, 2], 0.0).sum()
        return value - (told_part + awake) - (joint - own - awake)

    first = by_hand(case.x)
    second = by_hand(case.x + 0.3 * np.random.default_rng(3).standard_normal(len(case.x)))
    assert first == pytest.approx(second, abs=2e-3)


def test_gradient_agrees_with_finite_differences(case: Case) -> None:
    step, value = 1e-5, lambda x: case.points.density(x)[0]
    units = np.eye(len(case.x))
    moved = [(value(case.x + step * u) - value(case.x - step * u)) / (2.0 * step) for u in units]
    np.testing.assert_allclose(case.points.density(case.x)[1], moved, rtol=1e-5, atol=1e-5)


def test_together_and_apart(case: Case) -> None:
    xy = case.points.joined(case.x, case.kept)
    x, kept = case.points.parted(xy)
    np.testing.assert_array_equal(x, case.x)
    np.testing.assert_allclose(kept, case.kept, rtol=1e-6, atol=1e-8)
    theta = case.posterior.joint_density(xy, **case.points._data)[3]
    np.testing.assert_allclose(theta, case.points._theta[:, :, 0], rtol=1e-8)


def test_points_are_picked_in_proportion_to_their_weights(case: Case) -> None:
    case.points.density(case.x)
    parts = case.posterior.layout.read(case.points._population(case.x))
    group = case.points._data["group"]
    theta = case.points._theta
    normal = stats.norm(parts["means"][group][:, :, None], parts["spreads"][:, None])
    weights = case.points._log_weights + normal.logpdf(theta).sum(axis=1)
    weights = np.exp(weights - weights.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    number = 2 * theta.shape[1] * CROSSES
    assert theta.shape[2] == number
    heights = (np.arange(2000) + 0.5) / 2000
    seen = np.zeros(weights.shape)
    for height in heights:
        _, _, kept = case.points.pick(case.x, np.full(len(group), height))
        same = (case.points._points == kept[:, :, None]).all(axis=1)
        seen += same / same.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(seen / len(heights), weights, atol=1e-3)


def test_an_impossible_point_weighs_nothing(case: Case) -> None:
    kept = case.kept.copy()
    kept[0] = 1e6
    points = Points(case.posterior, case.aim)
    points.renew(kept, np.random.default_rng(4))
    value, slope = points.density(case.x)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    _, theta, _ = points.pick(case.x, np.full(len(kept), 0.5))
    assert (np.abs(theta) < 100.0).all()


def test_proposals_have_the_moments_of_the_draws() -> None:
    rng = np.random.default_rng(5)
    draws = rng.standard_normal((500, 3, 2)) @ np.array([[1.0, 0.5], [0.0, 0.2]]) + 4.0
    proposals = Proposals.from_draws(draws, np.ones(2), 1.5)
    np.testing.assert_allclose(proposals.centre, draws.mean(axis=0))
    found = proposals.root @ proposals.root.transpose(0, 2, 1)
    for i in range(3):
        expected = 2.25 * np.cov(draws[:, i].T, bias=True)
        np.testing.assert_allclose(found[i], expected, atol=1e-3)
    there = proposals.straight(rng.standard_normal((7, 3, 2)))
    np.testing.assert_allclose(proposals.straight(proposals.coordinates(there)), there)


def test_draws_that_are_all_alike_still_make_a_proposal() -> None:
    proposals = Proposals.from_draws(np.ones((10, 2, 3)), np.ones(3), 1.0)
    assert (np.linalg.det(proposals.root) > 0.0).all()


def test_another_process_compiles_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where nothing was compiled before; what it does there, it can do here too."""
    posterior = Case(read_spec("surge")).posterior
    asked = []

    @contextmanager
    def watched(function: Callable[..., None], pieces: Any) -> Iterator[Callable[[], Any]]:
        asked.extend((function, piece) for piece in pieces)
        with beside(function, [piece for _, piece in asked]) as results:
            yield results

    monkeypatch.setattr(points, "beside", watched)
    monkeypatch.setattr(points, "_compiled_before", lambda: True)
    assert points.compile_points(posterior) > 0.0
    assert not asked
    monkeypatch.setattr(points, "_compiled_before", lambda: False)
    monkeypatch.setattr(points.joblib, "cpu_count", lambda: 2)
    assert points.compile_points(posterior) > 0.0
    [(function, piece)] = asked
    function(*piece)
