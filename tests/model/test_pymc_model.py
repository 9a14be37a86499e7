"""The PyMC model against the compiled law and the priors as written."""

import dataclasses

import numpy as np
import pytest

from bayes_hfgrowth.model.priors import LOG_SCALE, draw_prior, frozen, log_prior
from bayes_hfgrowth.model.pymc_model import build_model
from bayes_hfgrowth.model.specification import CarryOver, Prior, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.simulation import base_model_parameters, carry_over, log_likelihood
from bayes_hfgrowth.sources.example import load_example


@pytest.fixture(scope="module")
def history() -> History:
    return History.from_panel(load_example().select(organizations=["OpenAI", "MistralAI"]))


@pytest.mark.parametrize("name", ["citation", "reinforced", "surge"])
def test_pymc_model_and_compiled_law_agree(name: str, history: History) -> None:
    spec = read_spec(name)
    if spec.carry_over is not None:
        spec = dataclasses.replace(spec, carry_over=CarryOver(0.6, 0.3), dormancy=None)
    prior = draw_prior(spec, history.organization_of, 2, 1, np.random.default_rng(1))
    compiled = log_likelihood(
        spec, history, base_model_parameters(spec, prior), carry_over(spec, prior)
    )[0]
    model = build_model(spec, history)
    one = prior.isel(chain=0, draw=0)
    point = {}
    for p in spec.parameters:
        log = np.log if LOG_SCALE[p] else np.asarray
        location = log(one[f"global_{p}"].to_numpy())
        between = one[f"between_organizations_{p}"].to_numpy()
        within = one[f"between_base_models_{p}"].to_numpy()
        mean = log(one[f"organization_{p}"].to_numpy())
        point[f"location_{p}"] = location
        point[f"between_organizations_{p}_log__"] = np.log(between)
        point[f"between_base_models_{p}_log__"] = np.log(within)
        point[f"organization_{p}_offset"] = (mean - location) / between
        point[f"{p}_offset"] = (log(one[p].to_numpy()) - mean[history.organization_of]) / within
    logp = model.compile_logp([model["new_finetunes"]], sum=False, mode="FAST_COMPILE")
    np.testing.assert_allclose(compiled, logp(point)[0], rtol=1e-5, atol=1e-5)


def test_dimensions_and_names(history: History) -> None:
    model = build_model(read_spec("surge"), history)
    assert set(model.coords) == {"organization", "base_model", "observation"}
    dims = model.named_vars_to_dims
    for p in ("immediacy", "longevity", "fitness", "dispersion"):
        assert tuple(dims[p]) == ("base_model",)
        assert tuple(dims[f"organization_{p}"]) == ("organization",)
        assert f"global_{p}" in model.named_vars
    assert tuple(dims["new_finetunes"]) == ("observation",)


def test_global_pooling_has_no_spread_between_organizations(history: History) -> None:
    spec = read_spec("citation")
    parameters = {
        name: dataclasses.replace(pooling, between_organizations=None)
        for name, pooling in spec.parameters.items()
    }
    spec = dataclasses.replace(spec, pooling="global", parameters=parameters)
    names = set(build_model(spec, history).named_vars)
    assert not any(name.startswith("between_organizations") for name in names)
    prior = draw_prior(spec, history.organization_of, 2, 3, np.random.default_rng(1))
    means = prior["organization_fitness"].to_numpy()
    np.testing.assert_allclose(means[..., 0], means[..., 1])


def test_carry_over_can_have_priors(history: History) -> None:
    strength = Prior("Normal", {"mu": 0.5, "sigma": 0.2}, "test")
    memory = Prior("Beta", {"alpha": 2.0, "beta": 2.0}, "test")
    spec = dataclasses.replace(read_spec("surge"), carry_over=CarryOver(strength, memory))
    names = set(build_model(spec, history).named_vars)
    assert {"carry_over_strength", "carry_over_memory"} <= names
    prior = draw_prior(spec, history.organization_of, 2, 400, np.random.default_rng(1))
    carry = carry_over(spec, prior)
    assert carry[:, 0].mean() == pytest.approx(0.5, abs=0.05)
    assert 0 < carry[:, 1].min() < carry[:, 1].max() < 1
    assert {"carry_over_strength", "carry_over_memory"} <= set(log_prior(spec, prior).data_vars)


def test_prior_draws_follow_the_priors() -> None:
    spec = read_spec("surge")
    draws = 4000
    prior = draw_prior(spec, np.zeros(3, dtype=np.int64), 1, draws, np.random.default_rng(1))
    for name, pooling in spec.parameters.items():
        log = np.log if LOG_SCALE[name] else np.asarray
        location = log(prior[f"global_{name}"].to_numpy()).ravel()
        mu, sigma = pooling.location.parameters["mu"], pooling.location.parameters["sigma"]
        assert location.mean() == pytest.approx(mu, abs=5 * sigma / np.sqrt(draws))
        spread = prior[f"between_base_models_{name}"].to_numpy().ravel()
        median = pooling.between_base_models.parameters["median"]
        assert np.median(spread) == pytest.approx(median, rel=0.06)
        assert frozen(pooling.between_base_models).median() == pytest.approx(median)
