"""Diagnostics: a right model passes, a wrong one is caught, the numbers are those of the draws."""

import dataclasses
import json

import arviz as az
import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth.diagnostics import (
    MOST_REPLICATES,
    VERDICTS,
    diagnose,
    period_table,
    prior_posterior_table,
)
from bayes_hfgrowth.posterior.convergence import population_names
from bayes_hfgrowth.posterior.draws import ATTRIBUTE, FittedDraws
from bayes_hfgrowth.sources.example import load_paper_fits
from bayes_hfgrowth.support.errors import FitError

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
        "base_model", "month", "new_finetunes", "pareto_k", "reason",
    ]  # fmt: skip
    assert list(diagnostics.verdicts.columns) == [
        "base_model", "organization", "verdict", "months", "finetunes", "surge_month",
        "surge_date", "surge_new", "surge_expected", "surge_size", "surge_probability",
        "surge_made_by", "surges", "lowest_probability", "fault", "fault_probability",
        "published_verdict",
    ]  # fmt: skip
    assert list(diagnostics.surges.columns) == [
        "base_model", "organization", "month", "date", "new", "expected", "size", "probability",
        "draws", "new_authors", "author_share", "made_by",
    ]  # fmt: skip
    assert list(diagnostics.months.columns) == [
        "base_model", "organization", "month", "new", "median", "lower_95", "upper_95", "surge",
    ]  # fmt: skip
    assert list(diagnostics.sensitivity.columns) == ["parameter", "prior", "likelihood", "remark"]
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
    posterior = made_fit.posterior
    scalars = [n for n in population_names(posterior) if posterior[n].dims == ("chain", "draw")]
    months = posterior["calendar_month"].to_numpy()
    assert {f"period_effect[{month}]" for month in months} <= set(table.index)
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


def scattered(history):
    """Half of the months three times as busy, the others empty: too uneven for the model."""
    rng = np.random.default_rng(0)
    new = np.where(rng.random(len(history.new)) < 0.5, 3 * history.new + 5, 0.0)
    return dataclasses.replace(history, new=new)


def test_a_wrong_model_is_caught(make_fit):
    result = diagnose(make_fit("citation", base_models=6, draws=60, distort=scattered))
    assert check(result, "without a new")["tail_probability"] == 0.0
    assert check(result, "standard deviation")["tail_probability"] < 0.01
    assert check(result, "95%")["tail_probability"] == 1.0
    assert check(result, "ECDF")["tail_probability"] == 0.0
    pit = result.pit
    assert ((pit["deviation"] < pit["lower_95"]) | (pit["deviation"] > pit["upper_95"])).any()
    assert "UNUSUAL" in result.text()


def test_every_month_is_in_the_rootogram_once(made_fit, diagnostics):
    table, new = diagnostics.rootogram, made_fit.history.new
    assert table["observed"].sum() == len(new)
    assert (table["lower"].to_numpy()[1:] == table["upper"].to_numpy()[:-1] + 1).all()
    for row in table.itertuples():
        assert row.observed == sum(row.lower <= count <= row.upper for count in new)
    assert (table["lower_95"] <= table["median"]).all()
    assert (table["median"] <= table["upper_95"]).all()


def test_an_empty_panel_of_counts_can_be_checked(make_fit):
    fit = make_fit(
        base_models=9, draws=50,
        distort=lambda h: dataclasses.replace(h, previous=0 * h.new, new=0 * h.new),
    )  # fmt: skip
    result = diagnose(fit)
    assert check(result, "without a new")["observed"] == 1.0
    assert result.rootogram["observed"].sum() == len(fit.history.new)
    assert set(result.verdicts["verdict"]) == {"too few counts"}
    assert "Surges: none." in result.text()


def test_the_same_fit_gives_the_same_tables(make_fit):
    first, second = (diagnose(make_fit(base_models=9, draws=50)) for _ in range(2))
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table, second.tables[name])
    assert first.text() == second.text()


def test_the_summary_is_calm_after_convergence(diagnostics):
    text = diagnostics.text()
    assert diagnostics.convergence.converged
    assert text.startswith("The sampler converged")
    assert "NOT" not in text.splitlines()[0]
    assert "global_fitness" in text
    assert "Pareto k is above" in text


def test_the_summary_shouts_without_convergence(make_fit):
    text = diagnose(make_fit(base_models=9, draws=50, diverging=7)).text()
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
        *(f"{name}.csv" for name in diagnostics.tables), "summary.txt", "predictive.png",
        "prior_posterior.png", "period.png",
        *(["surges.png"] if len(diagnostics.surges) else []),
    ]  # fmt: skip
    assert sorted(file.name for file in (tmp_path / "new" / "checks").iterdir()) == sorted(
        file.name for file in files
    )
    assert (tmp_path / "new" / "checks" / "summary.txt").read_text() == diagnostics.text()
    read = pd.read_csv(tmp_path / "new" / "checks" / "predictive.csv")
    pd.testing.assert_frame_equal(read, diagnostics.predictive, check_dtype=False)
    read = pd.read_csv(tmp_path / "new" / "checks" / "verdicts.csv", keep_default_na=False)
    assert read["verdict"].tolist() == diagnostics.verdicts["verdict"].tolist()


def test_a_growth_model_without_period_effect_gets_no_file_of_it(make_fit, tmp_path):
    result = diagnose(make_fit("citation", base_models=9, draws=50))
    assert result.period.empty
    assert "period" not in result.tables
    names = [file.name for file in result.save(tmp_path)]
    assert "prior_posterior.csv" in names
    assert not [name for name in names if name.startswith("period")]


def test_the_period_effect_and_the_priors_are_told(made_fit, diagnostics):
    pd.testing.assert_frame_equal(diagnostics.period, period_table(made_fit))
    pd.testing.assert_frame_equal(diagnostics.prior_posterior, prior_posterior_table(made_fit))


def test_months_stand_beside_their_replicates(made_fit, diagnostics):
    table, history = diagnostics.months, made_fit.history
    assert table["new"].tolist() == history.new.astype(int).tolist()
    assert (table["lower_95"] <= table["median"]).all()
    assert (table["median"] <= table["upper_95"]).all()
    found = set(zip(diagnostics.surges["base_model"], diagnostics.surges["month"], strict=True))
    assert table["surge"].sum() == len(found)


def test_every_base_model_has_one_verdict_beside_the_published_one(diagnostics, tiny_fit):
    table = diagnostics.published
    assert list(table["verdict"]) == list(VERDICTS)
    counts = table[["fits", "does_not_fit", "not_published"]]
    assert counts.to_numpy().sum() == len(diagnostics.verdicts) == 24
    assert table["not_published"].sum() == 24  # made-up names
    published = load_paper_fits()["verdict"]
    real = diagnose(tiny_fit)
    assert real.verdicts.set_index("base_model")["published_verdict"].to_dict() == {
        name: published[name] for name in tiny_fit.base_models
    }
    assert real.published[["fits", "does_not_fit"]].to_numpy().sum() == len(tiny_fit.base_models)
    assert len(real.prior_predictive) == 5
    assert len(real.energy) == 4
    assert (real.energy["bfmi"] > 0.2).all()
    assert "Before any data" in real.text()
    assert "published:" in real.text()


def test_saving_where_a_file_stands_is_refused(diagnostics, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FitError, match="cannot be used as a folder"):
        diagnostics.save(tmp_path / "file")
