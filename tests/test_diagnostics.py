"""Diagnostics: a right model passes, a wrong one is caught, the numbers are those of the draws."""

import dataclasses
import json

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hfgrowth.convergence import population_names
from bayes_hfgrowth.diagnostics import MOST_REPLICATES, diagnose
from bayes_hfgrowth.draws import ATTRIBUTE, FittedDraws
from bayes_hfgrowth.errors import FitError

PREDICTIVE = [
    "check", "observed", "replicated_median", "lower_95", "upper_95", "tail_probability",
]  # fmt: skip


@pytest.fixture(scope="module")
def diagnostics(made_fit):
    return diagnose(made_fit)


def check(diagnostics, words):
    table = diagnostics.predictive
    return table[table["check"].str.contains(words)].iloc[0]


def test_the_tables_have_their_columns(diagnostics):
    assert list(diagnostics.predictive.columns) == PREDICTIVE
    assert list(diagnostics.population.columns) == [
        "parameter", "mean", "sd", "lower_95", "upper_95", "ess_bulk", "ess_tail", "r_hat",
    ]  # fmt: skip
    assert list(diagnostics.loo.bad.columns) == [
        "base_model", "month", "new_finetunes", "pareto_k",
    ]  # fmt: skip
    assert list(diagnostics.rootogram.columns) == [
        "lower", "upper", "observed", "median", "lower_95", "upper_95",
    ]  # fmt: skip
    assert list(diagnostics.pit.columns) == ["pit", "deviation", "lower_95", "upper_95"]


def test_the_population_is_summarised_from_the_draws(made_fit, diagnostics):
    table = diagnostics.population.set_index("parameter")
    values = made_fit.posterior["organization_fitness"].sel(organization="Qwen").to_numpy()
    row = table.loc["organization_fitness[Qwen]"]
    assert row["mean"] == pytest.approx(values.mean())
    assert row["lower_95"] == pytest.approx(np.quantile(values, 0.025), rel=0.01)
    assert row["ess_bulk"] == pytest.approx(az.ess(values, method="bulk"))
    scalars = [n for n in population_names(made_fit.posterior) if not n.startswith("organ")]
    assert set(scalars) <= set(table.index)
    assert not any(name.startswith("fitness") for name in table.index)


def test_loo_is_that_of_arviz(made_fit, diagnostics):
    result = az.loo(made_fit.tree, pointwise=True, var_name="new_finetunes")
    loo = diagnostics.loo
    assert loo.elpd == pytest.approx(float(result.elpd))
    assert loo.months == len(made_fit.history.new)
    assert loo.draws == 1600
    assert len(loo.bad) == int((result.pareto_k > result.good_k).sum())
    # A cloud this narrow: leaving a month out changes nothing.
    pointwise = made_fit.tree["log_likelihood"]["new_finetunes"].to_numpy().reshape(1600, -1)
    assert loo.elpd == pytest.approx(pointwise.mean(axis=0).sum(), rel=0.01)


def test_statistics_are_those_of_the_replicates(made_fit, diagnostics):
    replicated = made_fit.tree["posterior_predictive"]["new_finetunes"].to_numpy()
    replicated = replicated.reshape(-1, replicated.shape[-1])
    chosen = np.linspace(0, len(replicated) - 1, MOST_REPLICATES).round().astype(int)
    observed = made_fit.history.new
    zeros, tail = [], 0.0
    for panel in replicated[chosen]:
        share = sum(1 for count in panel if count == 0) / len(panel)
        zeros.append(share)
        tail += 1.0 if share > np.mean(observed == 0) else 0.5 * (share == np.mean(observed == 0))
    row = check(diagnostics, "without a new")
    assert row["observed"] == pytest.approx(np.mean(observed == 0))
    assert row["replicated_median"] == pytest.approx(np.median(zeros))
    assert row["tail_probability"] == pytest.approx(tail / MOST_REPLICATES)
    assert check(diagnostics, "most new")["observed"] == observed.max()
    inside = []
    for month, count in enumerate(observed):
        lower = np.quantile(replicated[chosen, month], 0.1, method="lower")
        upper = np.quantile(replicated[chosen, month], 0.9, method="higher")
        inside.append(lower <= count <= upper)
    assert check(diagnostics, "80%")["observed"] == pytest.approx(np.mean(inside))


@pytest.mark.parametrize("model", ["citation", "surge"])
def test_tail_probabilities_of_a_right_model_are_uniform(make_fit, model):
    """The counts come from the model and the posterior sits on the truth."""
    results = [diagnose(make_fit(model, draws=60, seed=seed)) for seed in range(4)]
    tails = np.array([result.predictive["tail_probability"] for result in results])
    # Four uniform numbers have a mean of 0.5 with a standard deviation of 0.14.
    assert (np.abs(tails.mean(axis=0) - 0.5) < 0.42).all()
    assert tails.std() == pytest.approx(12**-0.5, abs=0.1)
    outside = [
        (pit["deviation"].abs() > pit["upper_95"])[1:-1].any()
        for pit in (result.pit for result in results)
    ]
    assert sum(outside) <= 2  # of 4, each with probability 0.05


def scattered(history):
    """Half of the months three times as busy, the others empty: too uneven for the model."""
    rng = np.random.default_rng(0)
    new = np.where(rng.random(len(history.new)) < 0.5, 3 * history.new + 5, 0.0)
    return dataclasses.replace(history, new=new)


def test_a_wrong_model_is_caught(make_fit):
    result = diagnose(make_fit("citation", base_models=60, distort=scattered))
    assert check(result, "without a new")["tail_probability"] == 0.0
    assert check(result, "standard deviation")["tail_probability"] < 0.01
    assert check(result, "95%")["tail_probability"] == 1.0
    assert check(result, "ECDF")["tail_probability"] == 0.0
    pit = result.pit
    assert ((pit["deviation"] < pit["lower_95"]) | (pit["deviation"] > pit["upper_95"])).any()
    assert "UNUSUAL" in result.text()


def test_the_band_of_the_pit_holds_95_percent_of_uniform_samples(made_fit):
    """The band comes from the replicates; for independent months a uniform sample tells."""
    pit = diagnose(made_fit).pit
    grid, rng = pit["pit"].to_numpy(), np.random.default_rng(1)
    number = len(made_fit.history.new)
    held = []
    for _ in range(1000):
        ecdf = np.searchsorted(np.sort(rng.random(number)), grid, side="right") / number
        inner = slice(1, -1)
        held.append((np.abs(ecdf - grid)[inner] <= pit["upper_95"].to_numpy()[inner]).all())
    # 400 replicates set the band, so its level is itself uncertain.
    assert stats.binom.ppf(1e-4, 400, 0.95) / 400 - 0.02 < np.mean(held) < 0.99


def test_every_month_is_in_the_rootogram_once(made_fit, diagnostics):
    table, new = diagnostics.rootogram, made_fit.history.new
    assert table["observed"].sum() == len(new)
    assert (table["lower"].to_numpy()[1:] == table["upper"].to_numpy()[:-1] + 1).all()
    for row in table.itertuples():
        assert row.observed == sum(row.lower <= count <= row.upper for count in new)
    assert (table["lower_95"] <= table["median"]).all()
    assert (table["median"] <= table["upper_95"]).all()


def test_an_empty_panel_of_counts_can_be_checked(make_fit):
    fit = make_fit(distort=lambda h: dataclasses.replace(h, previous=0 * h.new, new=0 * h.new))
    result = diagnose(fit)
    assert check(result, "without a new")["observed"] == 1.0
    assert result.rootogram["observed"].sum() == len(fit.history.new)


def test_the_same_fit_gives_the_same_tables(made_fit, diagnostics):
    again = diagnose(made_fit)
    for name in ("population", "predictive", "rootogram", "pit"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(diagnostics, name))
    assert again.text() == diagnostics.text()


def test_the_summary_is_calm_after_convergence(diagnostics):
    text = diagnostics.text()
    assert diagnostics.convergence.converged
    assert text.startswith("The sampler converged")
    assert "NOT" not in text.splitlines()[0]
    assert "global_fitness" in text
    assert "Pareto k is above" in text


def test_the_summary_shouts_without_convergence(make_fit):
    text = diagnose(make_fit(diverging=7)).text()
    assert text.startswith("!!!")
    assert "HAS NOT CONVERGED" in text
    assert "7 divergent transitions" in text


def test_only_the_kept_draws_are_used(made_fit, diagnostics):
    """The pointwise groups may be thinned; everything else of the fit stays."""
    tree = made_fit.tree.copy()
    for name in ("posterior_predictive", "log_likelihood", "log_prior"):
        tree[name] = made_fit.tree[name].isel(draw=slice(None, None, 3))
    about = json.loads(made_fit.tree.attrs[ATTRIBUTE]) | {"pointwise_every": 3}
    tree.attrs = {ATTRIBUTE: json.dumps(about)}
    thinned = diagnose(FittedDraws(tree))
    assert thinned.loo.draws == 4 * 134
    pd.testing.assert_frame_equal(thinned.population, diagnostics.population)


def test_saving_writes_everything_into_a_new_folder(diagnostics, tmp_path):
    files = diagnostics.save(tmp_path / "new" / "checks")
    assert [file.name for file in files] == [
        "population.csv", "predictive.csv", "pareto_k.csv", "summary.txt", "predictive.png",
    ]  # fmt: skip
    assert sorted(file.name for file in (tmp_path / "new" / "checks").iterdir()) == sorted(
        file.name for file in files
    )
    assert (tmp_path / "new" / "checks" / "summary.txt").read_text() == diagnostics.text()
    read = pd.read_csv(tmp_path / "new" / "checks" / "predictive.csv")
    pd.testing.assert_frame_equal(read, diagnostics.predictive, check_dtype=False)


def test_saving_where_a_file_stands_is_refused(diagnostics, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FitError, match="cannot be used as a folder"):
        diagnostics.save(tmp_path / "file")
