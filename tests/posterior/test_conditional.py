"""New base models from a stored population: against brute force and against the joint fit."""

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from bayes_hfgrowth import Panel
from bayes_hfgrowth.forecast.paths import forecast, forecast_new
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.conditional import Conditional, condition
from bayes_hfgrowth.posterior.importance import GOOD_K
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import log_likelihood
from bayes_hfgrowth.support.errors import FitError, ForecastError

COUNTS = {"busy": [3, 9, 14, 20, 22], "quiet": [0, 0, 1, 0, 0, 0], "silent": [0] * 8, "newborn": []}


def panel_of(organization="Qwen", **series):
    rows = [
        (f"{organization}/{name}", organization, "2024-03-01", month, count)
        for name, new in series.items()
        for month, count in enumerate(np.append(0, np.cumsum(new)))
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    return Panel.from_table(pd.DataFrame(rows, columns=columns))


@pytest.fixture(scope="module")
def population(made_fit):
    return PopulationPosterior.from_fit(made_fit)


def by_brute_force(population, history, index, rng):
    """Draws of a base model from the population, weighted by the likelihood of its months."""
    means, shares = population.of_organizations(history.organizations, rng)
    o = history.organization_of[index]
    draws = np.repeat(np.arange(len(means)), 60)
    theta = means[draws, o] + population.spreads[draws] * rng.standard_normal((len(draws), 4))
    one = dataclasses.replace(
        history.subset(np.array([index])), organizations=("o",), organization_of=np.zeros(1, int)
    )
    plain = dataclasses.replace(population.spec, dormancy=None)
    months = log_likelihood(plain, one, theta[:, None], population.carry[draws])
    awake = (1 - shares[draws, o]) * np.exp(months.sum(axis=1, dtype=np.float64))
    return theta, awake + (shares[draws, o] if one.finetunes[0] == 0 else 0.0)


@pytest.mark.parametrize("organization", ["Qwen", "Nobody"])
@pytest.mark.parametrize("name", list(COUNTS))
def test_parameters_are_those_of_brute_force(population, organization, name):
    history = History.from_panel(panel_of(organization, **{name: COUNTS[name]}))
    rng = np.random.default_rng(3)
    theta, weights = by_brute_force(population, history, 0, rng)
    mean = np.average(theta, axis=0, weights=weights)
    spread = np.sqrt(np.average((theta - mean) ** 2, axis=0, weights=weights))
    found = condition(Conditional(population, 4), history, 4000)
    assert found.pareto_k[0] < GOOD_K
    # Both are importance averages of some thousand effective draws.
    effective = min(weights.sum() ** 2 / (weights**2).sum(), 1000)
    error = spread * np.sqrt(1 / effective + 1 / 1000)
    assert (np.abs(found.theta[:, 0].mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(found.theta[:, 0].std(axis=0), spread, rtol=0.2)


def test_what_a_base_model_teaches_reaches_its_unknown_organization(population):
    """A fresh organization moves with its base model; a known one hardly does."""
    history = History.from_panel(panel_of("Nobody", busy=[40, 80, 150, 200, 220]))
    means, _ = population.of_organizations(["Nobody"], np.random.default_rng(5))
    found = condition(Conditional(population, 5), history, 2000)
    assert found.theta[:, 0, 0].mean() > means[:, 0, 0].mean() + 0.1
    used = len(np.unique(found.draw[:, 0]))
    assert used < 0.9 * len(means)  # some draws of the population are ruled out


def test_paths_of_all_base_models_go_with_about_the_same_draw_of_the_population(population):
    """So that they can be added up: what they share stays shared."""
    found = condition(Conditional(population, 5), History.from_panel(panel_of(**COUNTS)), 2000)
    assert (np.diff(found.draw, axis=0) >= 0).all()
    correlations = np.corrcoef(found.draw.T)
    assert len(correlations) == len(COUNTS) > 1
    assert correlations.min() > 0.9


def test_unknown_organizations_come_from_the_global_level(population):
    means, shares = population.of_organizations(["Nobody", "Qwen"], np.random.default_rng(0))
    posterior = population.posterior
    location = np.log(posterior["global_fitness"].to_numpy()).ravel()
    between = posterior["between_organizations_fitness"].to_numpy().ravel()
    assert means[:, 0, 0].std() == pytest.approx(np.hypot(location.std(), between.mean()), rel=0.1)
    known = np.log(posterior["organization_fitness"].sel(organization="Qwen").to_numpy())
    np.testing.assert_allclose(means[:, 1, 0], known.ravel())
    own = logit(posterior["global_dormancy"].to_numpy()).mean()
    assert np.median(shares[:, 0]) == pytest.approx(expit(own), rel=0.15)


def test_a_base_model_left_out_is_forecast_as_if_it_had_been_fitted(tiny_panel, refit, tmp_path):
    """What the joint posterior says of a base model, the stored population without it says too."""
    name, options = "openai/whisper-tiny.en", {"draws": 500}
    panel = tiny_panel.as_of("2024-08-01")
    joint = forecast(refit(panel, **options), 6, [name]).draws["finetunes"]
    others = panel.select(base_models=[n for n in panel.base_models.index if n != name])
    PopulationPosterior.from_fit(refit(others, **options)).save(tmp_path / "population.nc")
    population = PopulationPosterior.load(tmp_path / "population.nc")
    alone = forecast_new(population, panel.select(base_models=[name]), 6, 1, progress=False)
    assert float(alone.draws["pareto_k"].item()) < GOOD_K
    observed = int(alone.draws["observed"].item())
    for horizon in (1, 3, 6):
        ours, theirs = (
            np.log1p(draws.sel(horizon=horizon).to_numpy().ravel() - observed)
            for draws in (alone.draws["finetunes"], joint)
        )
        # The autocorrelated draws of two short fits are worth some 400 each.
        assert abs(ours.mean() - theirs.mean()) < 5 * theirs.std() * np.sqrt(2 / 400)
        assert ours.std() == pytest.approx(theirs.std(), rel=0.25)
        # And the whole distribution: the largest distance of two samples of 400, at 0.1%.
        grid = np.unique(np.concatenate([ours, theirs]))
        shares = [
            np.searchsorted(np.sort(some), grid, side="right") / some.size
            for some in (ours, theirs)
        ]
        assert np.abs(shares[0] - shares[1]).max() < 1.95 * np.sqrt(2 / 400)


def test_forecasts_start_from_today_and_are_repeatable(population):
    panel = panel_of(**COUNTS)
    first, second = (forecast_new(population, panel, 5, 7, progress=False) for _ in range(2))
    pd.testing.assert_frame_equal(first.table(), second.table())
    counts = first.draws["finetunes"]
    assert (counts.isel(horizon=0) >= first.draws["observed"]).all()
    assert (counts.diff("horizon") >= 0).all()
    other = forecast_new(population, panel, 5, 8, progress=False)
    assert not other.draws["finetunes"].equals(counts)
    # Months without a fine-tune make it likelier that none will ever come.
    still = (counts.isel(horizon=-1) == 0).mean(("chain", "draw"))
    assert still.sel(base_model="Qwen/silent") > still.sel(base_model="Qwen/newborn")


def test_a_population_is_stored_small_and_read_back(population, tmp_path):
    path = tmp_path / "population.nc"
    population.save(path)
    again = PopulationPosterior.load(path)
    assert again.organizations == population.organizations
    assert again.spec == population.spec
    np.testing.assert_allclose(again.spreads, population.spreads, rtol=1e-6)
    assert len(population.thinned(100).spreads) <= 100
    assert path.stat().st_size < 2e6


def test_files_without_a_population_are_refused(tmp_path):
    path = tmp_path / "none.nc"
    with pytest.raises(FitError, match="does not exist"):
        PopulationPosterior.load(path)
    path.write_text("no population")
    with pytest.raises(FitError, match="not a NetCDF file"):
        PopulationPosterior.load(path)


@pytest.mark.parametrize(("months", "seed", "message"), [(0, 1, "1 to 600"), (3, -1, "from 0")])
def test_impossible_requests_are_refused(population, months, seed, message):
    with pytest.raises(ForecastError, match=message):
        forecast_new(population, panel_of(busy=[1]), months, seed, progress=False)


def test_the_command_forecasts_a_panel_of_new_base_models(population, tmp_path):
    fit, panel, out = (tmp_path / name for name in ("p.nc", "new.csv", "f.csv"))
    population.save(fit)
    pd.concat([panel_of(**COUNTS).table, panel_of("Nobody", busy=[2, 3]).table]).to_csv(
        panel, index=False
    )
    main = "from bayes_hfgrowth.cli import main; main()"
    command = [sys.executable, "-c", main, "forecast", "--months", "3", "--out"]
    done = subprocess.run(
        [*command, out, fit, "--panel", panel], capture_output=True, text=True, check=True
    )
    assert "not in the fit, so drawn from all organizations: Nobody" in done.stderr
    table = pd.read_csv(out)
    assert len(table) == 3 * 5
    expected = forecast_new(PopulationPosterior.load(fit), Panel.from_table(pd.read_csv(panel)), 3)
    np.testing.assert_array_equal(table["median"], expected.table()["median"])
