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
from bayes_hfgrowth.growth.law import EXPONENT
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.conditional import Conditional, condition
from bayes_hfgrowth.posterior.draws import FORMAT
from bayes_hfgrowth.posterior.importance import GOOD_K
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.posterior.simulation import calendar_needed, futures, log_likelihood
from bayes_hfgrowth.support.errors import FitError, ForecastError

COUNTS = {
    "busy": [3, 9, 14, 20, 22, 30, 41, 35, 28],
    "quiet": [0, 0, 1, 0, 0, 0],
    "silent": [0] * 8,
    "newborn": [],
}


def panel_of(organization="Qwen", created_at="2024-03-14", **series):
    rows = [
        (f"{organization}/{name}", organization, created_at, month, count)
        for name, new in series.items()
        for month, count in enumerate(np.append(0, np.cumsum(new)))
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    return Panel.from_table(pd.DataFrame(rows, columns=columns))


def by_brute_force(conditional, history, each):
    """Draws of a base model from every draw of the population, weighted by their likelihood."""
    rng = np.random.default_rng(3)
    name = history.organizations[0]
    rows = np.repeat(np.arange(conditional.draws), each)
    means, scales = conditional.of_base_models(name)  # any organization's if it is not known
    _, shares = conditional.of_organization(name)
    theta = means[rows] + scales[rows] * rng.standard_normal((len(rows), 4))
    weights = 1 - shares[rows]
    if len(history.month):
        plain = dataclasses.replace(conditional.spec, dormancy=None)
        shared = conditional.over_calendar(*calendar_needed(history, 6)).take(rows)
        months = log_likelihood(plain, history, theta[:, None], shared)
        weights *= np.exp(months.sum(axis=1, dtype=np.float64))
    return rows, theta, weights, shares[rows] if history.finetunes[0] == 0 else 0.0 * weights


CASES = [
    *((organization, name, "2024-03-14") for organization in ("Qwen", "Nobody") for name in COUNTS),
    ("Qwen", "busy", "2024-10-20"),  # its last months are after the fit's
    ("Qwen", "quiet", "2022-12-20"),  # its first ones are before
]


@pytest.mark.parametrize(("organization", "name", "created_at"), CASES)
def test_draws_and_forecasts_are_those_of_brute_force(wide, organization, name, created_at):
    """Under exponents from 0.6 to 0.9, and period effects with a standard deviation of 0.3."""
    panel = panel_of(organization, created_at, **{name: COUNTS[name]})
    history = History.from_panel(panel)
    conditional = Conditional(wide, 4, 3000)
    each = 100 if name == "busy" else 10  # few months leave more of the draws their weight
    rows, theta, at_risk, dormant = by_brute_force(conditional, history, each)
    weights = at_risk + dormant
    found = condition(conditional, history)
    assert found.pareto_k[0] < GOOD_K
    # The same draws of the population on both sides, so what they have of noise is left out; both
    # are importance averages of some thousand effective draws of the rest.
    effective = min(weights.sum() ** 2 / (weights**2).sum(), 1000)
    assert effective > 300
    mean = np.average(theta, axis=0, weights=weights)
    spread = np.sqrt(np.average((theta - mean) ** 2, axis=0, weights=weights))
    error = spread * np.sqrt(1 / effective + 1 / 1000)
    assert (np.abs(found.theta[:, 0].mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(found.theta[:, 0].std(axis=0), spread, rtol=0.15)
    exponent = conditional.shared.values[:, EXPONENT]  # noqa: PD011
    expected = np.average(exponent[rows], weights=weights)
    assert abs(exponent[found.draw[:, 0]].mean() - expected) < 5 * 0.087 / np.sqrt(effective)
    share = dormant.sum() / weights.sum()
    assert found.dormant[:, 0].mean() == pytest.approx(share, abs=0.05)
    # And what is forecast from them.
    rng = np.random.default_rng(8)
    some = rng.choice(len(rows), 4000, p=weights / weights.sum())
    shared = conditional.over_calendar(*calendar_needed(history, 6)).take(rows[some])
    plain = dataclasses.replace(wide.spec, dormancy=None)
    paths = futures(plain, history, theta[some][:, None], shared, 6, rng)[:, 0, -1]
    asleep = rng.random(4000) * weights[some] < dormant[some]
    theirs = np.log1p(np.where(asleep, 0, paths - history.finetunes[0]))
    new = forecast_new(wide, panel, 6, 4, draws=3000, progress=False).draws["finetunes"]
    ours = np.log1p(new.to_numpy()[0, :, 0, -1] - history.finetunes[0])
    assert abs(ours.mean() - theirs.mean()) < 5 * theirs.std() * np.sqrt(1 / effective + 1 / 1000)
    grid = np.unique(np.concatenate([ours, theirs]))
    levels = [np.searchsorted(np.sort(x), grid, side="right") / x.size for x in (ours, theirs)]
    assert np.abs(levels[0] - levels[1]).max() < 1.95 * np.sqrt(1 / effective + 1 / 1000)


# --- Sums over base models ------------------------------------------------------------------


def width_of(total):
    """Width of the 80% interval of the logarithm."""
    return float(np.diff(np.quantile(np.log(total), [0.1, 0.9]))[0])


def test_sums_are_as_wide_as_those_of_a_joint_simulation(wide):
    """Two base models of one organization, which share population and period effects."""
    posterior, series, draws = wide.posterior.copy(), {"one": [4], "other": [6]}, 8000
    posterior["period_innovation"] = 0.6 + 0.0 * posterior["period_innovation"]
    posterior["period_persistence"] = 0.9 + 0.0 * posterior["period_persistence"]
    # So that what they share is much of the width.
    posterior["organization_fitness"] = 2.0 * posterior["organization_fitness"]
    posterior["organization_dispersion"] = 0.1 * posterior["organization_dispersion"]
    for name in wide.spec.parameters:
        posterior[f"between_base_models_{name}"] = 0.4 * posterior[f"between_base_models_{name}"]
    wide = PopulationPosterior(posterior, wide.about)
    new = forecast_new(wide, panel_of(**series), 12, 4, draws=draws, progress=False)
    counts = new.draws["finetunes"].to_numpy()[0, :, :, -1]
    found = width_of(counts.sum(axis=1))
    # Jointly: draws of the population, and both base models under each. Every base model is taken
    # as the only new one, so that the draws are weighted by what the months of one say of them,
    # the geometric mean of both.
    conditional, rng = Conditional(wide, 4, draws), np.random.default_rng(2)
    plain = dataclasses.replace(wide.spec, dormancy=None)
    paths, joint = [], np.ones(draws)
    for name, months in series.items():
        history = History.from_panel(panel_of(**{name: months}))
        _, theta, weights, _ = by_brute_force(conditional, history, 60)
        weights = weights.reshape(draws, -1)
        joint *= np.sqrt(weights.sum(axis=1))
        weights = weights.cumsum(axis=1)
        at = (weights < (rng.random(draws) * weights[:, -1])[:, None]).sum(axis=1)
        own = theta.reshape(draws, -1, 4)[np.arange(draws), at]
        shared = conditional.over_calendar(*calendar_needed(history, 12))
        paths.append(futures(plain, history, own[:, None], shared, 12, rng)[:, 0, -1])
    some = rng.choice(draws, draws, p=joint / joint.sum())
    expected = width_of(paths[0][some] + paths[1][some])
    alone = width_of(paths[0][some] + rng.permutation(paths[1][some]))
    apart = width_of(counts[:, 0] + rng.permutation(counts[:, 1]))
    assert found == pytest.approx(expected, rel=0.08)
    assert found > 1.07 * apart
    assert alone < 0.9 * expected


def test_what_base_models_share_is_shared_and_no_more(wide):
    """Draws of newborn base models: of one organization, known or not, and of two unknown ones."""
    conditional = Conditional(wide, 4, 2000)
    names = ("Lab/a", "Lab/b", "Other/a", "Qwen/a", "Qwen/b")
    panel = pd.concat([panel_of(n.split("/")[0], **{n.split("/")[1]: []}).table for n in names])
    history = History.from_panel(Panel.from_table(panel))
    assert history.base_models == names
    found = condition(conditional, history)
    assert ((found.draw == np.arange(2000)[:, None]).mean(axis=0) > 0.95).all()
    near = np.corrcoef(found.theta[:, :, 0].T)
    means, _ = conditional.of_organization("Lab")
    within = (conditional.scales[:, 0] ** 2).mean()
    expected = means[:, 0].var() / (means[:, 0].var() + within)
    assert near[0, 1] == pytest.approx(expected, abs=0.1)
    location = np.log(conditional.population.posterior["global_fitness"].to_numpy()).var()
    assert near[0, 2] == pytest.approx(location / (means[:, 0].var() + within), abs=0.1)


def test_what_a_base_model_teaches_reaches_its_unknown_organization(population):
    """Its organization's mean, which is integrated out, moves with it far enough."""
    history = History.from_panel(panel_of("Nobody", busy=[40, 80, 150, 200, 220]))
    conditional = Conditional(population, 5, 2000)
    found = condition(conditional, history)
    means, _ = conditional.of_base_models("Nobody")
    assert found.pareto_k[0] < GOOD_K
    assert found.theta[:, 0, 0].mean() > means[:, 0].mean() + 0.1
    _, theta, weights, _ = by_brute_force(conditional, history, 400)
    assert found.theta[:, 0, 0].mean() == pytest.approx(
        np.average(theta[:, 0], weights=weights), abs=0.06
    )


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
    name, options = "openai/whisper-tiny.en", {"draws": 250}
    panel = tiny_panel.as_of("2023-08-01")
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
    before, after = population.shared, again.shared
    assert after.first == before.first
    np.testing.assert_allclose(after.values, before.values, rtol=1e-6)
    np.testing.assert_allclose(after.period, before.period, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("written", "mend"), [(FORMAT - 1, "fit the panel again"), (FORMAT + 1, "update the package")]
)
def test_files_of_other_formats_are_refused_in_one_line(population, tmp_path, written, mend):
    about = population.about | {"format": written, "versions": {"bayes-hfgrowth": "0.4.1"}}
    path = tmp_path / "other.nc"
    PopulationPosterior(population.posterior, about).save(path)
    with pytest.raises(FitError, match=f"was written by bayes-hfgrowth 0.4.1 .*; {mend}$") as told:
        PopulationPosterior.load(path)
    assert "\n" not in str(told.value)


def test_a_population_of_an_older_growth_law_names_what_wrote_it(population, tmp_path):
    specification = dict(population.about["specification"])
    del specification["reinforcement"]
    versions = {"bayes-hfgrowth": "0.4.1"}
    about = population.about | {"specification": specification, "versions": versions}
    path = tmp_path / "older.nc"
    PopulationPosterior(population.posterior, about).save(path)
    with pytest.raises(FitError, match=r"bayes-hfgrowth 0\.4\.1, .*; fit the panel again$") as told:
        PopulationPosterior.load(path)
    assert "\n" not in str(told.value)
    undated = PopulationPosterior(
        population.posterior.drop_vars("calendar_month"), population.about
    )
    undated.save(path)
    with pytest.raises(FitError, match="of which calendar months"):
        PopulationPosterior.load(path)


@pytest.mark.parametrize(
    "name", ["between_organizations_fitness", "global_longevity", "organization_dormancy"]
)
def test_a_population_with_a_level_missing_is_refused(population, tmp_path, name):
    path = tmp_path / "part.nc"
    PopulationPosterior(population.posterior.drop_vars(name), population.about).save(path)
    with pytest.raises(FitError, match=rf"holds no population .*{name}.*; fit the panel again$"):
        PopulationPosterior.load(path)
    about = {key: value for key, value in population.about.items() if key != "seed"}
    PopulationPosterior(population.posterior, about).save(path)
    with pytest.raises(FitError, match=r"holds no population .*seed"):
        PopulationPosterior.load(path)


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


def test_no_draw_is_no_forecast(population):
    with pytest.raises(ForecastError, match="give at least 1"):
        forecast_new(population, panel_of(busy=[1]), 3, draws=0, progress=False)


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
