"""Base models without fine-tunes: the sum over their parameters, and dormancy."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from bayes_hfgrowth.growth.transition import LIKELIHOODS
from bayes_hfgrowth.inference.silent import (
    Nodes,
    SilentGroups,
    draw_silent,
    first_nodes,
    learned_nodes,
)
from bayes_hfgrowth.inference.silent_density import log_density_silent
from bayes_hfgrowth.model.priors import draw_prior
from bayes_hfgrowth.model.pymc_model import build_model
from bayes_hfgrowth.model.specification import CarryOver, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.simulation import (
    base_model_parameters,
    carry_over,
    dormancy_shares,
    futures,
    log_likelihood,
    replicates,
)

MEANS = np.array([[1.0, 2.5, 0.5, 0.8], [0.4, 2.0, 0.3, 0.5]])
SPREADS = np.array([0.6, 0.5, 0.4, 0.6])
LOG_SPREADS = np.log(SPREADS)
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


def around(case, *, law="surge", draws=200, width=0.15):
    """Nodes learned from populations scattered about `MEANS` and `SPREADS`."""
    rng = np.random.default_rng(6)
    size = 4 if law == "surge" else 3
    means = MEANS[:, :size] + width * rng.normal(size=(draws, 2, size))
    spreads = SPREADS[:size] * np.exp(width * rng.normal(size=(draws, size)))
    carry = expit(logit(CARRY) + width * rng.normal(size=(draws, 2)))
    return learned_nodes(LIKELIHOODS[law], 2.0, case, means, spreads, carry)


def density(
    groups: SilentGroups,
    nodes: Nodes,
    *,
    law="surge",
    means=MEANS,
    log_spreads=LOG_SPREADS,
    carry=CARRY,
    logit_dormancy=LOGIT,
):
    """Log density of silent base models and its gradient."""
    size = 4 if law == "surge" else 3
    gradients = [np.zeros((2, size)), np.zeros(size), np.zeros(2), np.zeros(2)]
    value = log_density_silent(
        LIKELIHOODS[law], np.ascontiguousarray(means[:, :size]), log_spreads[:size], carry,
        logit_dormancy, groups.ages, groups.number, nodes.start, nodes.points, nodes.weights, 2.0,
        *gradients,
    )  # fmt: skip
    names = ("means", "log_spreads", "carry", "logit_dormancy")
    return value, dict(zip(names, gradients, strict=True))


@pytest.mark.parametrize("model", ["citation", "reinforced", "surge"])
def test_density_is_the_mixture_by_brute_force(model):
    spec = dataclasses.replace(read_spec(model), m=2.0, dormancy=None)
    size, law = len(spec.parameters), spec.likelihood
    history = silent_history(("a", 5), ("a", 5), ("a", 9), ("b", 3))
    groups = SilentGroups.of(history, np.ones(4, dtype=bool))
    assert groups.ages.tolist() == [[5, 9], [3, 0]]
    assert groups.number.tolist() == [[2, 1], [1, 0]]
    rng = np.random.default_rng(1)
    draws = 40_000
    expected = 0.0
    for i, o in enumerate(history.organization_of):
        theta = MEANS[o, :size] + SPREADS[:size] * rng.standard_normal((draws, 1, size))
        months = log_likelihood(
            spec, history.subset(np.array([i])), theta, np.tile(CARRY, (draws, 1))
        )
        empty = np.exp(months.sum(axis=1)).mean()
        share = expit(LOGIT[o])
        expected += math.log(share + (1 - share) * empty)
    many = density(groups, first_nodes(groups, size, 32_768), law=law)[0]
    assert many == pytest.approx(expected, abs=0.01)
    few = density(groups, first_nodes(groups, size, 1024), law=law)[0]
    assert few == pytest.approx(expected, abs=0.05)
    learned = density(groups, around(groups, law=law), law=law)[0]
    assert learned == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("law", ["poisson", "birth", "surge"])
def test_slopes_agree_with_finite_differences(law):
    history = silent_history(("a", 5), ("a", 9), ("b", 30))
    groups = SilentGroups.of(history, np.ones(3, dtype=bool))
    at = {
        "means": MEANS[:, : 4 if law == "surge" else 3],
        "log_spreads": LOG_SPREADS[: 4 if law == "surge" else 3],
        "carry": CARRY if law == "surge" else np.zeros(2),
        "logit_dormancy": LOGIT,
    }
    for nodes in (first_nodes(groups, at["means"].shape[1]), around(groups, law=law)):
        slopes = density(groups, nodes, law=law, **at)[1]
        for name, value in at.items():
            if name == "carry" and law != "surge":
                continue
            for place in np.ndindex(value.shape):
                step = np.zeros(value.shape)
                step[place] = 1e-5
                up, down = (
                    density(groups, nodes, law=law, **{**at, name: value + s})[0]
                    for s in (step, -step)
                )
                assert slopes[name][place] == pytest.approx(
                    (up - down) / 2e-5, rel=1e-4, abs=1e-7
                ), (name, place)


def test_learned_nodes_are_few_and_tell_populations_apart():
    """Beside as many that weigh the same, over populations that they were not learned from."""
    ages = [("a", 1 + i % 24) for i in range(300)] + [("b", 12)] * 60
    history = silent_history(*ages)
    groups = SilentGroups.of(history, np.ones(len(ages), dtype=bool))
    learned = around(groups)
    assert (np.diff(learned.start) < 200).all()
    assert np.add.reduceat(learned.weights, learned.start[:-1]) == pytest.approx([1.0, 1.0])
    assert learned.weights.min() > 0.0
    rng = np.random.default_rng(7)
    exact = first_nodes(groups, 4, 16_384)
    same = first_nodes(groups, 4, 256)
    errors = []
    for _ in range(10):
        population = {
            "means": MEANS + 0.15 * rng.normal(size=MEANS.shape),
            "log_spreads": LOG_SPREADS + 0.15 * rng.normal(size=4),
        }
        true = density(groups, exact, **population)[0]
        errors.append([density(groups, n, **population)[0] - true for n in (learned, same)])
    by_learned, by_same = np.std(errors, axis=0)
    assert by_learned < 0.1
    assert by_learned < 0.5 * by_same


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
