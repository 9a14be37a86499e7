import numpy as np
import pytest
import xarray as xr

from bayes_hfgrowth.posterior.convergence import Convergence, check_convergence, population_names

CHAINS, DRAWS = 4, 500


def draws(shift: float = 0.0, correlation: float = 0.0) -> xr.Dataset:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((CHAINS, DRAWS))
    for t in range(1, DRAWS):
        noise[:, t] = correlation * noise[:, t - 1] + noise[:, t]
    noise[0] += shift * noise.std()
    return xr.Dataset(
        {
            "global_fitness": (("chain", "draw"), noise),
            "organization_fitness": (
                ("chain", "draw", "organization"),
                rng.standard_normal((CHAINS, DRAWS, 2)),
            ),
            "fitness": (
                ("chain", "draw", "base_model"),
                rng.standard_normal((CHAINS, DRAWS, 5)),
            ),
        },
        coords={"organization": ["Meta", "Qwen"], "chain": range(CHAINS), "draw": range(DRAWS)},
    )


def stats(diverging: int = 0) -> xr.Dataset:
    flags = np.zeros((CHAINS, DRAWS), dtype=bool)
    flags[0, :diverging] = True
    return xr.Dataset({"diverging": (("chain", "draw"), flags)})


def test_independent_draws_pass():
    verdict = check_convergence(draws(), stats())
    assert verdict.converged
    assert verdict.problems == ()
    assert str(verdict).startswith("converged")
    assert population_names(draws()) == ["global_fitness", "organization_fitness"]


@pytest.mark.parametrize(
    ("posterior", "diverging", "problem"),
    [
        (draws(shift=1.0), 0, "R-hat of global_fitness"),
        (draws(correlation=0.99), 0, "bulk effective sample size of global_fitness"),
        (draws(), 3, "3 divergent transitions"),
    ],
)
def test_each_fault_is_named(posterior, diverging, problem):
    verdict = check_convergence(posterior, stats(diverging))
    assert not verdict.converged
    assert any(problem in text for text in verdict.problems)
    assert str(verdict).startswith("NOT CONVERGED")


@pytest.mark.parametrize(
    ("posterior", "diverging", "asked", "not_asked"),
    [
        (draws(), 0, (), ("--",)),
        (draws(), 3, ("--target-accept",), ("--draws", "--tune")),
        (draws(shift=1.0), 0, ("--tune", "--draws"), ("--target-accept",)),
        (draws().isel(draw=slice(99)), 0, ("ESS", "--draws"), ("--target-accept", "--tune")),
        (draws(shift=1.0), 1, ("--target-accept", "--tune", "--draws"), ()),
    ],
)
def test_the_advice_fits_what_failed(posterior, diverging, asked, not_asked):
    flags = stats(diverging).isel(draw=slice(posterior.sizes["draw"]))
    verdict = check_convergence(posterior, flags)
    assert all(option in verdict.advice for option in asked)
    assert not any(option in verdict.advice for option in not_asked)
    assert bool(verdict.advice) is not verdict.converged


def test_a_stuck_parameter_is_a_fault():
    posterior = draws()
    posterior["organization_fitness"][..., 1] = 1.0
    verdict = check_convergence(posterior, stats())
    assert not verdict.converged
    assert "--draws" in verdict.advice
    assert "organization_fitness[Qwen]" in verdict.problems[0]


def test_a_base_model_whose_chains_disagree_is_a_fault():
    posterior = draws()
    posterior["fitness"][0, :, 2] += 3.0
    verdict = check_convergence(posterior, stats())
    assert any("base model's parameter" in text for text in verdict.problems)
    moved = np.arange(posterior.sizes["base_model"]) != 2
    assert check_convergence(posterior, stats(), moved).converged
    assert check_convergence(posterior, stats(), ~moved).base_model_r_hat > 1.05
    nobody = check_convergence(posterior, stats(), np.zeros_like(moved))
    assert nobody == verdict  # nothing else to go by


def test_json_round_trip():
    verdict = check_convergence(draws(shift=1.0), stats(1))
    assert Convergence.from_json(verdict.to_json()) == verdict
