"""Posterior predictive checks: calibrated under a right model, whatever the draws."""

import numpy as np
import pytest
from scipy import stats

from bayes_hfgrowth.diagnostics.predictive import compared, predictive_checks, replicated_months


def checks(fit, seed=0):
    new = fit.history.new.astype(np.int64)
    return predictive_checks(new, replicated_months(fit), np.random.default_rng(seed))


@pytest.mark.parametrize("model", ["citation", "surge"])
def test_tail_probabilities_of_a_right_model_are_uniform(make_fit, model):
    """The counts come from the model and the posterior sits on the truth."""
    results = [checks(make_fit(model, draws=60, seed=seed)) for seed in range(4)]
    tails = np.array([table["tail_probability"] for table, _ in results])
    # Four uniform numbers have a mean of 0.5 with a standard deviation of 0.14.
    assert (np.abs(tails.mean(axis=0) - 0.5) < 0.42).all()
    assert tails.std() == pytest.approx(12**-0.5, abs=0.1)
    outside = [(pit["deviation"].abs() > pit["upper_95"])[1:-1].any() for _, pit in results]
    assert sum(outside) <= 2  # of 4, each with probability 0.05


def test_the_band_of_the_pit_holds_95_percent_of_uniform_samples(made_fit):
    """The band comes from the replicates; for independent months a uniform sample tells."""
    pit = checks(made_fit)[1]
    grid, rng = pit["pit"].to_numpy(), np.random.default_rng(1)
    number = len(made_fit.history.new)
    held = []
    for _ in range(1000):
        ecdf = np.searchsorted(np.sort(rng.random(number)), grid, side="right") / number
        inner = slice(1, -1)
        held.append((np.abs(ecdf - grid)[inner] <= pit["upper_95"].to_numpy()[inner]).all())
    # 400 replicates set the band, so its level is itself uncertain.
    assert stats.binom.ppf(1e-4, 400, 0.95) / 400 - 0.02 < np.mean(held) < 0.99


def test_a_tail_probability_counts_ties_half():
    observed = np.array([0, 2, 4])
    replicated = np.array([[0, 0, 4], [1, 2, 3], [0, 2, 4], [0, 2, 9]])
    table = compared(observed, replicated).set_index("check")
    zeros = table.loc["share of months without a new fine-tune"]
    # Of the shares 2/3, 0, 1/3, 1/3 one is larger than 1/3, two tie.
    assert zeros["tail_probability"] == pytest.approx((1 + 0.5 * 2) / 4)
    assert table.loc["most new fine-tunes of a month", "observed"] == 4
