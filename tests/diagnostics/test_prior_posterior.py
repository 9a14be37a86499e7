"""Prior against posterior: quantiles of both, and how much the data narrow."""

import numpy as np
import pytest

from bayes_hfgrowth.diagnostics import prior_posterior_table
from bayes_hfgrowth.model.priors import draw_prior
from bayes_hfgrowth.model.specification import Prior


@pytest.mark.parametrize("model", ["surge", "bursts", "citation", "reinforced"])
def test_every_parameter_with_a_prior_has_a_row(make_fit, model):
    fit = make_fit(model, base_models=6, chains=2, draws=40)
    table = prior_posterior_table(fit)
    assert list(table.columns) == [
        "parameter", "prior_median", "prior_lower_95", "prior_upper_95", "posterior_median",
        "posterior_lower_95", "posterior_upper_95", "posterior_to_prior_sd",
    ]  # fmt: skip
    assert table["parameter"].tolist() == list(fit.tree["log_prior"].data_vars)
    learnt = {name for name, entry in fit.spec.shared.items() if isinstance(entry, Prior)}
    assert learnt <= set(table["parameter"])
    assert table.notna().all(axis=None)
    for when in ("prior", "posterior"):
        assert (table[f"{when}_lower_95"] < table[f"{when}_median"]).all()
        assert (table[f"{when}_median"] < table[f"{when}_upper_95"]).all()


def test_the_numbers_are_those_of_prior_and_posterior_draws(made_fit):
    rng = np.random.default_rng(3)
    draws = draw_prior(made_fit.spec, np.zeros(1, dtype=np.int64), 1, 40_000, rng, 1)
    for row in prior_posterior_table(made_fit).itertuples():
        prior = draws[row.parameter].to_numpy().ravel()
        below = [(prior < end).mean() for end in
                 (row.prior_lower_95, row.prior_median, row.prior_upper_95)]  # fmt: skip
        np.testing.assert_allclose(below, [0.025, 0.5, 0.975], atol=0.01, err_msg=row.parameter)
        known = made_fit.posterior[row.parameter].to_numpy().ravel()
        assert row.posterior_median == pytest.approx(np.median(known))
        assert row.posterior_lower_95 == pytest.approx(np.quantile(known, 0.025))
        assert row.posterior_upper_95 == pytest.approx(np.quantile(known, 0.975))


def test_the_ratio_is_taken_on_the_scale_of_the_prior(make_fit):
    made_fit = make_fit("bursts", base_models=6, chains=2, draws=40)
    table = prior_posterior_table(made_fit).set_index("parameter")["posterior_to_prior_sd"]
    posterior, spec = made_fit.posterior, made_fit.spec
    fitness = np.log(posterior["global_fitness"].to_numpy()).std()
    sigma = spec.parameters["fitness"].location.parameters["sigma"]
    assert table["global_fitness"] == pytest.approx(fitness / sigma, rel=0.01)
    immediacy = posterior["global_immediacy"].to_numpy().std()
    sigma = spec.parameters["immediacy"].location.parameters["sigma"]
    assert table["global_immediacy"] == pytest.approx(immediacy / sigma, rel=0.01)
    factor = np.log(posterior["burst_factor"].to_numpy()).std()
    sigma = spec.bursts.factor.parameters["sigma"]
    assert table["burst_factor"] == pytest.approx(factor / sigma, rel=0.01)


def test_a_posterior_like_the_prior_has_the_ratio_one(made_fit):
    from bayes_hfgrowth.posterior.draws import FittedDraws

    rng = np.random.default_rng(4)
    draws = draw_prior(made_fit.spec, np.zeros(1, dtype=np.int64), 1, 40_000, rng, 1)
    tree = made_fit.tree.copy()
    tree["posterior"] = draws
    ratios = prior_posterior_table(FittedDraws(tree))["posterior_to_prior_sd"]
    np.testing.assert_allclose(ratios, 1.0, atol=0.03)
