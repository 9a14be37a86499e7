"""Verdicts: planted surges are found in the right month, and quiet panels stay quiet.

`benchmarks.verdicts` measures the same on real fits of many panels.
"""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from bayes_hfgrowth.diagnostics import LEVEL, VERDICTS, diagnose
from bayes_hfgrowth.diagnostics.months import month_laws
from bayes_hfgrowth.diagnostics.predictive import replicated_months
from bayes_hfgrowth.diagnostics.surges import judge_months
from bayes_hfgrowth.diagnostics.text import surge_sentence
from bayes_hfgrowth.diagnostics.verdicts import judge
from bayes_hfgrowth.growth.law import PROBABILITY
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    log_likelihood,
    simulated_history,
)
from bayes_hfgrowth.support.months import month_end


def verdicts_of(fit, seed=0):
    return judge(fit, replicated_months(fit), np.random.default_rng(seed))


def laws_of(fit):
    """Draws of the base models' growth parameters, and of what they share."""
    return base_model_parameters(fit.spec, fit.posterior), SharedDraws.of(fit.spec, fit.posterior)


def plant(history, base_model, month, count):
    """The history with another count in one month; what follows keeps its increments."""
    own = slice(history.start[base_model], history.start[base_model + 1])
    new, previous = history.new.copy(), history.previous.copy()
    new[own.start + month - 1] = count
    previous[own] = np.cumsum(new[own]) - new[own]
    return dataclasses.replace(history, new=new, previous=previous)


def test_quiet_panels_stay_quiet(make_fit):
    calls = [
        (verdicts_of(make_fit(draws=100, seed=seed)).verdicts["verdict"] == "surge").mean()
        for seed in range(5)
    ]
    # 120 base models, each called with a probability of at most 0.05.
    assert np.mean(calls) <= 0.09


@pytest.mark.parametrize("model", ["citation", "reinforced", "surge"])
def test_a_planted_surge_is_found_in_its_month(make_fit, model):
    quiet = make_fit(model, draws=100, seed=3)
    theta, shared = laws_of(quiet)
    mean = month_laws(quiet.spec, quiet.history, theta, shared)[0].mean(axis=0)
    at = int(np.argmax(mean))
    owner, month = int(quiet.history.base_model_of[at]), int(quiet.history.month[at])
    planted = plant(quiet.history, owner, month, round(10 * mean[at]))
    fit = make_fit(model, draws=100, seed=3, distort=lambda _: planted)
    found = verdicts_of(fit)
    row = found.verdicts.iloc[owner]
    assert row["verdict"] == "surge"
    assert row["surge_month"] == month
    assert row["surge_new"] == round(10 * mean[at])
    assert 4 < row["surge_size"] < 40
    assert row["surge_probability"] == row["lowest_probability"] < LEVEL
    created = fit.history.created_at[[owner]]
    assert row["surge_date"] == month_end(created, np.array([month]))[0]
    best = found.surges[found.surges["base_model"] == row["base_model"]].iloc[0]
    assert best["month"] == month
    sentence = surge_sentence(best)
    assert f"{row['surge_new']:,} new fine-tunes in month {month} (to " in sentence
    assert f"{row['surge_date']:%Y-%m-%d}" in sentence


def test_surges_are_found_in_a_real_fit(tiny_fit, refit, tiny_panel):
    """Simulated counts with one tenfold month of one base model, fitted with the surge in them.

    No other month is a burst.
    """
    spec, posterior = tiny_fit.spec, tiny_fit.posterior.isel(draw=[40])
    theta, shared = base_model_parameters(spec, posterior)[0], SharedDraws.of(spec, posterior)
    shared = shared.take(np.array([0]))
    shared.values[:, PROBABILITY] = 0.0
    rng = np.random.default_rng(4)
    at_risk = None if spec.dormancy is None else np.zeros(len(tiny_fit.organizations))
    history = simulated_history(spec, tiny_fit.history, theta, shared, rng, at_risk)
    mean = month_laws(spec, history, theta[None], shared)[0][0]
    dispersion = np.exp(theta[history.base_model_of, 3])
    at = int(np.argmax(np.where(history.month > 3, mean / dispersion**2, 0.0)))
    owner, month = int(history.base_model_of[at]), int(history.month[at])
    history = plant(history, owner, month, round(10 * mean[at]))
    result = diagnose(refit(history.to_panel(), draws=100))
    found = result.verdicts.set_index("base_model")
    row = found.loc[history.base_models[owner]]
    assert (row["verdict"], row["surge_month"]) == ("surge", month)
    assert (found["verdict"] == "surge").sum() <= 2
    named = f"{history.base_models[owner]}: {round(10 * mean[at]):,} new fine-tunes in month"
    assert named in result.text()


def test_a_month_is_judged_by_the_posterior_without_it(tiny_fit):
    """Against brute force: very many draws of the population, weighted by the other months."""
    fit, spec = tiny_fit, tiny_fit.spec
    history = fit.history
    i = int(np.argmin(np.where(history.finetunes > 0, np.abs(history.months - 5), np.inf)))
    judged = judge_months(fit, np.random.default_rng(0))
    judged = judged[judged["base_model"] == i].reset_index(drop=True)
    own = history.subset(np.array([i]))
    group, rng = history.organization_of[i], np.random.default_rng(1)
    posterior = fit.posterior
    number = 100_000
    chosen = rng.integers(posterior.sizes["chain"] * posterior.sizes["draw"], size=number)
    columns = []
    for name in spec.parameters:
        mean = posterior[f"organization_{name}"].isel(organization=group).to_numpy().ravel()
        mean = mean if name == "immediacy" else np.log(mean)
        spread = posterior[f"between_base_models_{name}"].to_numpy().ravel()
        columns.append(mean[chosen] + spread[chosen] * rng.standard_normal(number))
    theta = np.stack(columns, axis=-1)[:, None, :]
    shared = SharedDraws.of(spec, posterior).take(chosen)
    mean, size = month_laws(spec, own, theta, shared)
    at_risk = None if spec.dormancy is None else np.zeros((number, len(fit.organizations)))
    density = log_likelihood(spec, own, theta, shared, at_risk).astype(np.float64).clip(-1e6)
    k = int(np.argmax(own.new))
    tail = stats.nbinom.sf(own.new[k] - 1, size[:, k], size[:, k] / (size[:, k] + mean[:, k]))
    others = density.sum(axis=1) - density[:, k]
    if k + 1 < density.shape[1]:
        others -= density[:, k + 1]
    earlier = density[:, :k].sum(axis=1)
    looks = []
    for log_weight in (others, earlier):
        weight = np.exp(log_weight - log_weight.max())
        assert weight.sum() ** 2 / (weight**2).sum() > 1000
        looks.append(float(weight @ tail / weight.sum()))
    expected = stats.hmean(looks) if looks[0] < 0.1 else looks[0]
    assert judged.loc[k, "probability"] == pytest.approx(expected, rel=0.35)


def test_verdicts_follow_from_what_they_report(made_fit):
    table = verdicts_of(made_fit).verdicts
    assert set(table["verdict"]) <= set(VERDICTS)
    surge = table["verdict"] == "surge"
    assert (surge == (table["surges"] > 0)).all()
    assert (surge == table["surge_month"].notna()).all()
    assert (table.loc[~surge, "lowest_probability"] >= LEVEL).all()
    assert (table.loc[table["finetunes"] == 0, "verdict"] == "too few counts").all()
    assert table.loc[table["months"] < 6, "fault_probability"].isna().all()


def test_a_drift_off_the_curve_is_found(make_fit):
    """Months that run ever further from the curve, none of them a surge."""

    def drift(history):
        own = slice(history.start[target], history.start[target + 1])
        mean = means[own]
        tilt = np.linspace(0.35, 2.0, len(mean))
        new = history.new.copy()
        new[own] = np.round(mean * tilt)
        previous = history.previous.copy()
        previous[own] = np.cumsum(new[own]) - new[own]
        return dataclasses.replace(history, new=new, previous=previous)

    quiet = make_fit("citation", draws=100, seed=5)
    target = int(np.argmax(quiet.history.finetunes))
    theta, shared = laws_of(quiet)
    means = month_laws(quiet.spec, quiet.history, theta, shared)[0].mean(axis=0)
    fit = make_fit("citation", draws=100, seed=5, distort=drift)
    row = verdicts_of(fit).verdicts.iloc[target]
    assert row["fault"] in ("drift", "scatter", "persistence")
    assert row["fault_probability"] < 0.02
