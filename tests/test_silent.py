"""Base models without fine-tunes: the sum over their parameters, and dormancy."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from bayes_hfgrowth.history import History
from bayes_hfgrowth.model import build_model
from bayes_hfgrowth.panel import Panel
from bayes_hfgrowth.priors import draw_prior
from bayes_hfgrowth.silent import SilentGroups, draw_silent, moving_nodes, nodes
from bayes_hfgrowth.silent_density import log_density_silent
from bayes_hfgrowth.simulation import (
    base_model_parameters,
    carry_over,
    dormancy_shares,
    futures,
    log_likelihood,
    replicates,
)
from bayes_hfgrowth.spec import CarryOver, read_spec
from bayes_hfgrowth.transition import LIKELIHOODS

MEANS = np.array([[1.0, 2.5, 0.5, 0.8], [0.4, 2.0, 0.3, 0.5]])
SPREADS = np.array([0.6, 0.5, 0.4, 0.6])
CARRY = np.array([0.4, 0.2])
LOGIT = np.array([0.3, -1.0])


def silent_history(*ages: tuple[str, int]) -> History:
    """Base models without fine-tunes, of the organizations and ages given."""
    frames = [
        pd.DataFrame(
            {
                "base_model": f"{organization}/model-{i}",
                "organization": organization,
                "created_at": "2023-01-01T00:00:00Z",
                "month": np.arange(age + 1),
                "finetunes": 0,
            }
        )
        for i, (organization, age) in enumerate(ages)
    ]
    return History.from_panel(Panel.from_table(pd.concat(frames, ignore_index=True)))


def density(groups, at=None, *, means=MEANS, carry=CARRY):
    """Log density of silent base models, by default with nodes around the population."""
    law = LIKELIHOODS["surge"]
    if at is None:
        at = nodes(law, 2.0, groups, MEANS, np.tile(SPREADS, (2, 1)), CARRY)
    gradients = [np.zeros((2, 4)), np.zeros(4), np.zeros(2), np.zeros(2)]
    value = log_density_silent(
        law, means, np.log(SPREADS), carry, LOGIT, groups.ages, groups.number, at.start,
        at.theta, at.log_density, at.empty, 2.0, *gradients,
    )  # fmt: skip
    return value, gradients


def test_density_is_the_mixture_by_brute_force():
    spec = dataclasses.replace(read_spec("surge"), m=2.0, dormancy=None)
    history = silent_history(("a", 5), ("a", 5), ("a", 9), ("b", 3))
    groups = SilentGroups.of(history, np.ones(4, dtype=bool))
    assert groups.ages.tolist() == [[5, 9], [3, 0]]
    assert groups.number.tolist() == [[2, 1], [1, 0]]
    rng = np.random.default_rng(1)
    draws = 40_000
    expected = 0.0
    for i, o in enumerate(history.organization_of):
        theta = MEANS[o] + SPREADS * rng.standard_normal((draws, 1, 4))
        months = log_likelihood(
            spec, history.subset(np.array([i])), theta, np.tile(CARRY, (draws, 1))
        )
        empty = np.exp(months.sum(axis=1)).mean()
        share = expit(LOGIT[o])
        expected += math.log(share + (1 - share) * empty)
    assert density(groups)[0] == pytest.approx(expected, abs=0.01)
    # Nodes that were put around a population somewhat off the mark serve as well.
    off, wide = MEANS + 0.4 * SPREADS, np.tile(1.2 * SPREADS, (2, 1))
    around = nodes(LIKELIHOODS["surge"], 2.0, groups, off, wide, CARRY)
    assert density(groups, around)[0] == pytest.approx(expected, abs=0.03)
    # Nodes that move are fewer.
    assert density(groups, moving_nodes(groups, 4))[0] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("moving", [False, True])
def test_slopes_agree_with_finite_differences(moving):
    history = silent_history(("a", 5), ("a", 9), ("b", 30))
    groups = SilentGroups.of(history, np.ones(3, dtype=bool))
    at = moving_nodes(groups, 4) if moving else None
    by_means, _, by_carry, _ = density(groups, at)[1]
    for organization in range(2):
        for k in range(4):
            step = np.zeros((2, 4))
            step[organization, k] = 1e-5
            up, down = (density(groups, at, means=MEANS + s)[0] for s in (step, -step))
            assert by_means[organization, k] == pytest.approx((up - down) / 2e-5, rel=1e-4)
    for which, step in enumerate(np.diag([1e-5, 1e-5])):
        up, down = (density(groups, at, carry=CARRY + s)[0] for s in (step, -step))
        # Nodes that stay are for a carry-over that is fixed.
        assert by_carry[which] == pytest.approx((up - down) / 2e-5, rel=1e-4)


def test_silent_base_models_are_drawn_from_their_posterior():
    history = silent_history(("a", 12), ("a", 2), ("a", 0))
    groups = SilentGroups.of(history, np.ones(3, dtype=bool))
    draws = 4000
    found = draw_silent(
        LIKELIHOODS["surge"], 2.0, history, groups, np.tile(MEANS[:1], (draws, 1, 1)),
        np.tile(SPREADS, (draws, 1)), np.tile(CARRY, (draws, 1)), np.full((draws, 1), 0.3),
        np.random.default_rng(2),
    )  # fmt: skip
    spec = dataclasses.replace(read_spec("surge"), m=2.0, dormancy=None)
    rng = np.random.default_rng(3)
    theta = MEANS[0] + SPREADS * rng.standard_normal((40_000, 1, 4))
    for i in range(3):
        months = log_likelihood(
            spec, history.subset(np.array([i])), theta, np.tile(CARRY, (len(theta), 1))
        )
        weight = 0.3 + 0.7 * np.exp(months.sum(axis=1))
        mean = (weight[:, None] * theta[:, 0]).sum(axis=0) / weight.sum()
        spread = SPREADS / math.sqrt(draws)
        assert (np.abs(found[:, i].mean(axis=0) - mean) < 6 * spread).all()


def test_dormancy_is_learned_month_by_month():
    spec = read_spec("surge")
    history = silent_history(("a", 6))
    grown = dataclasses.replace(history, new=np.array([0.0, 0, 0, 2, 0, 0]),
                                previous=np.array([0.0, 0, 0, 0, 2, 2]))  # fmt: skip
    theta, carry, share = MEANS[:1][None], CARRY[None], np.array([[0.4]])
    plain = dataclasses.replace(spec, dormancy=None)
    for case, mixed in ((history, True), (grown, False)):
        awake = log_likelihood(plain, case, theta, carry).sum(dtype=np.float64)
        both = log_likelihood(spec, case, theta, carry, share).sum(dtype=np.float64)
        dormant = 0.4 if mixed else 0.0
        assert both == pytest.approx(math.log(dormant + 0.6 * math.exp(awake)), abs=1e-4)
    with pytest.raises(ValueError, match="shares of dormant"):
        log_likelihood(spec, history, theta, carry)


def test_dormant_base_models_stay_empty_and_others_grow():
    spec = read_spec("surge")
    history = silent_history(("a", 6))
    draws = 4000
    theta, carry = np.tile(MEANS[:1], (draws, 1, 1)), np.tile(CARRY, (draws, 1))
    rng = np.random.default_rng(4)
    plain = dataclasses.replace(spec, dormancy=None)
    awake = np.exp(log_likelihood(plain, history, theta[:1], carry[:1]).sum(dtype=np.float64))
    dormant = 0.4 / (0.4 + 0.6 * awake)
    shares = np.full((draws, 1), 0.4)
    growing = futures(plain, history, theta, carry, 24, rng)[:, 0, -1] > 0
    mixed = futures(spec, history, theta, carry, 24, rng, shares)[:, 0, -1] > 0
    assert mixed.mean() == pytest.approx((1 - dormant) * growing.mean(), abs=0.04)
    all_asleep = np.ones((draws, 1))
    assert futures(spec, history, theta, carry, 24, rng, all_asleep).max() == 0
    months = replicates(spec, history, theta, carry, rng, shares)
    law = replicates(plain, history, theta, carry, rng)
    # Before the first month the share is the prior one.
    first = (law[:, 0] > 0).mean()
    assert (months[:, 0] > 0).mean() == pytest.approx(0.6 * first, abs=0.03)


def test_pymc_model_and_compiled_law_agree_on_dormancy():
    spec = dataclasses.replace(read_spec("surge"), carry_over=CarryOver(0.6, 0.3))
    history = silent_history(("a", 5), ("a", 9), ("b", 3), ("b", 0))
    rng = np.random.default_rng(5)
    new = history.new.copy()
    new[4] = 3.0  # the first base model wakes up in its last month
    history = dataclasses.replace(history, new=new)
    prior = draw_prior(spec, history.organization_of, 2, 1, rng)
    compiled = log_likelihood(
        spec, history, base_model_parameters(spec, prior), carry_over(spec, prior),
        dormancy_shares(spec, prior),
    ).sum(dtype=np.float64)  # fmt: skip
    model = build_model(spec, history)
    one = prior.isel(chain=0, draw=0)
    point = {}
    for p in (*spec.parameters, "dormancy"):
        log = {"immediacy": np.asarray, "dormancy": lambda x: np.log(x / (1 - x))}.get(p, np.log)
        location = log(one[f"global_{p}"].to_numpy())
        between = one[f"between_organizations_{p}"].to_numpy()
        mean = log(one[f"organization_{p}"].to_numpy())
        point[f"location_{p}"] = location
        point[f"between_organizations_{p}_log__"] = np.log(between)
        point[f"organization_{p}_offset"] = (mean - location) / between
        if p != "dormancy":
            within = one[f"between_base_models_{p}"].to_numpy()
            point[f"between_base_models_{p}_log__"] = np.log(within)
            offset = (log(one[p].to_numpy()) - mean[history.organization_of]) / within
            point[f"{p}_offset"] = offset
    parts = [model["new_finetunes"], model["dormancy"]]
    found = model.compile_logp(parts, mode="FAST_COMPILE")(point)
    assert found == pytest.approx(compiled, abs=1e-3)
