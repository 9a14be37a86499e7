"""A fit conditioned on months that came later."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hfgrowth.evaluation.updates import (
    scores_of_update,
    summary_of_update,
    table_of_update,
)
from bayes_hfgrowth.forecast.paths import forecast
from bayes_hfgrowth.forecast.updating import update
from bayes_hfgrowth.growth.law import LawDraws
from bayes_hfgrowth.growth.monthwise import pointwise
from bayes_hfgrowth.model.observed import observed_of
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.common_random_numbers import random_of
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    dormancy_shares,
)
from bayes_hfgrowth.support.errors import ForecastError

OBSERVED = pd.Timestamp("2025-01-01", tz="UTC")


def panel_of(fit, observed_at=OBSERVED):
    """The panel that a made fit is of."""
    return Panel(fit.history.to_panel().table, observed_at)


def later_panel(fit, months=2, factor=1.0, observed_at="2025-03-01"):
    """The same with so many months more; each brings what the last three did on average."""
    tables = []
    for _, own in panel_of(fit).table.groupby("base_model", sort=False):
        count = own["finetunes"].to_numpy()
        pace = (count[-1] - count[max(0, len(count) - 4)]) / min(3, max(1, len(count) - 1))
        ahead = np.arange(1, months + 1)
        more = pd.concat([own.tail(1)] * months, ignore_index=True)
        more["month"] += ahead
        more["finetunes"] += np.rint(factor * pace * ahead).astype(np.int64)
        tables += [own, more]
    table = pd.concat(tables, ignore_index=True)
    return Panel(Panel.from_table(table).table, pd.Timestamp(observed_at, tz="UTC"))


@pytest.fixture(scope="module")
def small_fit(make_fit):
    """A fit of the default growth model, of a few draws."""
    return make_fit(base_models=9, chains=2, draws=200, width=0.1)


@pytest.fixture(scope="module")
def updated(small_fit):
    """That fit with two months more of every base model."""
    return update(small_fit, later_panel(small_fit), seed=3)


# --- Weights --------------------------------------------------------------------------------


def test_weights_are_the_law_of_the_new_months_along_one_path_of_the_period_effect(
    small_fit, updated
):
    fit, history = small_fit, updated.history
    spec = fit.spec
    shared = SharedDraws.of(spec, fit.posterior)
    assert sum(history.calendar_span) > shared.first + shared.period.shape[1]
    shared = shared.continued(*history.calendar_span, random_of(3, 11))
    density = np.empty((400, len(history.new)))
    draws = LawDraws(
        base_model_parameters(spec, fit.posterior),
        shared.values,
        shared.over(*history.calendar_span),
        history.organization_of,
        dormancy_shares(spec, fit.posterior),
    )
    pointwise(observed_of(spec, history), draws, density)
    late = history.month > fit.history.months[history.base_model_of]
    for i in range(len(history.base_models)):
        raw = density[:, late & (history.base_model_of == i)].sum(axis=1)
        plain = np.exp(raw - raw.max())
        plain /= plain.sum()
        smooth = updated.reweighted.weights[:, i]
        assert smooth.sum() == pytest.approx(1.0)
        body = plain < np.quantile(plain, 0.75)  # smoothing touches the tail alone
        ratio = smooth[body] / plain[body]
        np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)


def test_the_posterior_is_that_of_quadrature(make_fit):
    """Without anything shared, draws of a known normal and a Poisson law have an exact answer."""
    fit = make_fit("citation", base_models=6, chains=4, draws=1500, width=0.15, seed=4)
    found = update(fit, later_panel(fit, months=3, factor=1.3), seed=1)
    theta = base_model_parameters(fit.spec, fit.posterior)
    points, chance = np.polynomial.hermite_e.hermegauss(24)
    grid = np.stack(np.meshgrid(*[points] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    prior = np.prod(np.stack(np.meshgrid(*[chance] * 3, indexing="ij"), axis=-1), axis=-1).ravel()
    checked = 0
    for i in range(6):
        own = found.history.subset(np.array([i]))
        before = int(fit.history.months[i])
        if not own.new[before:].any() or found.reweighted.pareto_k[i] > 0.7:
            continue
        at = theta[:, i].mean(axis=0) + 0.15 * grid
        attention = stats.norm.cdf(
            (np.log(np.append(1e-300, own.month)) - at[:, [1]]) / np.exp(at[:, [2]])
        )
        mean = fit.spec.m * np.diff(np.exp(np.exp(at[:, [0]]) * attention), axis=1)
        log_density = stats.poisson.logpmf(own.new[before:], mean[:, before:]).sum(axis=1)
        weight = prior * np.exp(log_density - log_density.max())
        exact = (weight[:, None] * at).sum(axis=0) / weight.sum()
        ours = (found.reweighted.weights[:, i, None] * theta[:, i]).sum(axis=0)
        error = 0.15 / np.sqrt(found.reweighted.effective[i])
        np.testing.assert_allclose(ours, exact, atol=5.0 * error)
        drawn = theta[found.reweighted.draw[:, i], i].mean(axis=0)
        np.testing.assert_allclose(drawn, exact, atol=7.0 * error)
        checked += 1
    assert checked >= 3


def test_draws_are_chosen_by_their_weights_and_stay_where_they_can(updated):
    for i, weights in enumerate(updated.reweighted.weights.T):
        draw = updated.reweighted.draw[:, i]
        share = np.bincount(draw, minlength=len(weights)) / len(weights)
        # Any two sets of draws: the total variation is the noise of what has moved.
        moved = np.mean(draw != np.arange(len(weights)))
        expected = np.clip(1.0 - len(weights) * weights, 0.0, None).mean()
        assert moved == pytest.approx(expected, abs=0.1)
        middle = np.arange(len(weights)) / len(weights)
        assert share @ middle == pytest.approx(weights @ middle, abs=0.1)


# --- What is made of them ---------------------------------------------------------------------


@pytest.mark.parametrize("model", ["surge", "reinforced"])
def test_months_that_the_fit_knows_leave_draws_and_forecasts_alone(make_fit, model):
    fit = make_fit(model, base_models=7, chains=2, draws=60)
    found = update(fit, panel_of(fit))
    assert set(found.base_models["source"]) == {"unchanged"}
    np.testing.assert_array_equal(found.reweighted.draw, np.tile(np.arange(120)[:, None], (1, 7)))
    assert found.earlier() is None
    ours, theirs = found.forecast(4).draws, forecast(fit, 4).draws
    for name in ("finetunes", "finetunes_at_date"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert ours["date"].equals(theirs["date"])


def test_new_months_are_where_forecasts_begin(small_fit, updated):
    found = updated.forecast(3)
    draws = found.draws
    assert draws["finetunes"].shape == (2, 200, 9, 3)
    assert (draws["months"] == small_fit.history.months + 2).all()
    np.testing.assert_array_equal(draws["observed"], updated.history.finetunes)
    assert (draws["finetunes"] >= draws["observed"]).all()
    assert pd.Timestamp(draws["date"].to_numpy()[0]) == pd.Timestamp("2025-04-01")
    assert found.total("all")["median"].is_monotonic_increasing
    np.testing.assert_array_equal(draws["finetunes"], updated.forecast(3).draws["finetunes"])


def test_a_faster_pace_is_learned(make_fit):
    fit = make_fit(base_models=9, chains=2, draws=400, width=0.25, seed=6)
    slow, fast = (update(fit, later_panel(fit, factor=factor)) for factor in (0.5, 1.5))
    theta = base_model_parameters(fit.spec, fit.posterior)[:, :, 0]
    busiest = np.argmax(fit.history.finetunes)
    means = [found.reweighted.weights[:, busiest] @ theta[:, busiest] for found in (slow, fast)]
    assert means[0] < means[1]


def test_what_the_draws_cannot_tell_is_named(small_fit):
    table = later_panel(small_fit).table.copy()
    name = small_fit.base_models[0]
    last = table.index[table["base_model"] == name][-1]
    table.loc[last, "finetunes"] += 500_000
    found = update(small_fit, Panel(table, pd.Timestamp("2025-03-01", tz="UTC")))
    assert name in found.refit
    assert found.base_models.loc[name, "pareto_k"] > 0.7
    assert name in " ".join(summary_of_update(found, scores_of_update(found))["Update"])


def test_base_models_that_only_one_side_knows(small_fit):
    table = later_panel(small_fit).table
    gone, stranger = small_fit.base_models[1], "acme/anvil"
    own = table[table["base_model"] == gone].assign(base_model=stranger, organization="acme")
    panel = Panel.from_table(pd.concat([own, table[table["base_model"] != gone]]))
    found = update(small_fit, Panel(panel.table, pd.Timestamp("2025-03-01", tz="UTC")))
    assert found.unknown == (stranger,)
    assert found.missing == (gone,)
    draws = found.forecast(2).draws
    assert draws["base_model"].to_numpy().tolist() == list(found.history.base_models)
    assert draws["source"].to_numpy()[0] == "population"
    assert np.isfinite(draws["pareto_k"]).all()
    scores = scores_of_update(found)
    assert stranger not in set(scores["base_model"])
    made = table_of_update(found, found.forecast(2), scores)
    assert made.loc[made["base_model"] == stranger, "crps_log"].isna().all()


# --- Scores -----------------------------------------------------------------------------------


def test_scores_are_of_the_forecast_that_the_fit_makes(small_fit, updated):
    scores = scores_of_update(updated).set_index("base_model")
    table = forecast(small_fit, 2, seed=3).table()
    table = table[table["horizon"] == 2].set_index("base_model")
    np.testing.assert_array_equal(scores["median"], table["median"].loc[scores.index])
    made = table_of_update(updated, updated.forecast(1), scores.reset_index())
    made = made.set_index("base_model")
    actual = pd.Series(updated.history.finetunes, updated.history.base_models)
    inside = actual.between(table["lower_80"], table["upper_80"])
    np.testing.assert_array_equal(made["inside_80"] == 1.0, inside.loc[made.index])
    assert (made["new_months"] == 2).all()


# --- Refusals ---------------------------------------------------------------------------------


def test_panels_that_contradict_the_fit_are_refused(small_fit):
    good = later_panel(small_fit)
    name = small_fit.base_models[0]

    def changed(column, value, rows):
        table = good.table.copy()
        mask = (table["base_model"] == name) & rows(table)
        table.loc[mask, column] = value(table.loc[mask, column])
        return dataclasses.replace(good, table=table)

    def everywhere(table):
        return table["month"] >= 0

    day = pd.Timedelta(days=1)
    for panel, message in (
        (changed("finetunes", lambda n: n + 1, lambda t: t["month"] > 1), "contradicts"),
        (changed("created_at", lambda d: d + day, everywhere), "was created on"),
        (changed("organization", lambda o: "acme", everywhere), "is of 'acme'"),
        (dataclasses.replace(good, observed_at=None).as_of("2024-11-01"), "observed later"),
        (Panel(panel_of(small_fit).as_of("2024-11-01").table, OBSERVED), "months in the panel"),
        (Panel(good.table.assign(base_model="a/b").head(1), OBSERVED), "no base model of the fit"),
    ):
        with pytest.raises(ForecastError, match=message) as refusal:
            update(small_fit, panel)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ForecastError, match="seed"):
        update(small_fit, good, seed=-1)


def test_nothing_is_left_of_a_history_but_one_base_model(small_fit):
    from bayes_hfgrowth.posterior.reweighting import alone

    one, part = alone(small_fit.history, 4), small_fit.history.subset(np.array([4]))
    assert isinstance(one, History)
    for name in ("month", "previous", "new"):
        np.testing.assert_array_equal(getattr(one, name), getattr(part, name))
    assert one.calendar_span == part.calendar_span
