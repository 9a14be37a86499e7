"""Known parameters come back: simulated panels, fitted; the large run is benchmarks/recovery.py.

Truth and data are drawn from the model, so given the data the truth is one more draw of the
posterior. Whatever is computed of a draw, the rank of the truth among the draws is then uniform,
and independent from panel to panel. The bounds below refuse a right sampler once in 10,000 seeds.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hfgrowth.inference.sampling import Settings, sample
from bayes_hfgrowth.model.priors import LOG_SCALE, draw_prior
from bayes_hfgrowth.model.specification import read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.convergence import population_names
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    simulated_history,
)
from bayes_hfgrowth.support.progress import Progress

PANELS = 16
FALSE_ALARM = 1e-4
TOO_MANY = 1e6  # a panel with such a count is thrown away unseen; that leaves the ranks uniform
SHORT = {"draws": 100, "tune": 80, "target_accept": 0.8, "pilots": ((60, 60),)}


@pytest.fixture(scope="module")
def empty():
    """Names and ages of six base models of two organizations."""
    rows = [
        (f"o{o}/b{b}", f"o{o}", "2023-01-01T00:00:00Z", month, 0)
        for o in range(2)
        for b in range(3)
        for month in range(5 + 4 * b + 2 * o)
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    return History.from_panel(Panel.from_table(pd.DataFrame(rows, columns=columns)))


def population(draws):
    """Population parameters on the scale on which they are unbounded; (draws, parameters)."""
    columns = []
    for name in population_names(draws):
        values = draws[name].transpose("chain", "draw", ...).to_numpy()
        values = values.reshape(values.shape[0] * values.shape[1], -1)
        level, _, parameter = name.rpartition("_")
        logs = level.startswith("between") or LOG_SCALE.get(parameter, False)
        columns.append(np.log(values) if logs else values)
    return np.concatenate(columns, axis=1)


def ranks_of(truth, draws):
    """Share of the draws below the truth: of each parameter, and of their joint distance.

    The distance is that of Mahalanobis from the middle of the draws, so a posterior that is
    too narrow, shifted or wrongly correlated puts the truth too far out.
    """
    centre = draws.mean(axis=0)
    inverse = np.linalg.inv(np.cov(draws.T))

    def distance(points):
        return np.einsum("ij,jk,ik->i", points - centre, inverse, points - centre)

    joint = np.mean(distance(draws) < distance(truth))
    return np.append((draws < truth).mean(axis=0), joint)


@pytest.fixture(scope="module")
def recovered(empty):
    """Ranks of the truth; (panels, parameters and their joint distance)."""
    spec = read_spec("reinforced")
    rng = np.random.default_rng(20)
    ranks = []
    while len(ranks) < PANELS:
        truth = draw_prior(spec, empty.organization_of, 2, 1, rng, empty.calendar_span[1])
        theta, shared = base_model_parameters(spec, truth)[0], SharedDraws.of(spec, truth)
        history = simulated_history(spec, empty, theta, shared, rng)
        if history.finetunes.max() > TOO_MANY:
            continue
        draws, _, _ = sample(spec, history, Settings(seed=len(ranks), **SHORT), Progress(False))
        truth = truth[population_names(draws)]
        ranks.append(ranks_of(population(truth), population(draws)))
    return np.array(ranks)


def bounds(probability):
    """Fewest and most panels whose region of this probability may hold the truth."""
    covered = stats.binom(PANELS, probability)
    return covered.ppf(FALSE_ALARM / 8), covered.isf(FALSE_ALARM / 8)


def refused(ranks):
    """Why these ranks cannot be those of a right sampler; half the false alarms for each."""
    reasons = []
    for probability in (0.5, 0.9):
        covered = int(np.sum(ranks[:, -1] < probability))
        low, high = bounds(probability)
        if not low <= covered <= high:
            reasons.append(f"{covered} of {PANELS} truths in the {probability:.0%} region")
    for column in ranks.T:
        chance = stats.kstest(column, "uniform").pvalue
        if chance < FALSE_ALARM / 2 / ranks.shape[1]:
            reasons.append(f"ranks {np.sort(column).round(2)} are not uniform ({chance:.1g})")
    return reasons


def test_known_population_parameters_are_recovered(recovered):
    assert len(recovered) == PANELS
    assert not refused(recovered)


def test_the_bounds_would_notice_a_posterior_of_the_wrong_width(recovered):
    """The same ranks as if every posterior were normal and half or twice as wide."""
    for factor in (0.5, 2.0):
        dims = recovered.shape[1] - 1
        squared = stats.chi2(dims).ppf(np.clip(recovered[:, -1], 1e-3, 1 - 1e-3))
        joint = stats.chi2(dims).cdf(squared / factor**2)
        normal = stats.norm.ppf(np.clip(recovered[:, :-1], 1e-3, 1 - 1e-3))
        changed = np.column_stack([stats.norm.cdf(normal / factor), joint])
        assert refused(changed)
