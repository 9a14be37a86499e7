"""The published fits beside ours: sorted by rule, drawn in the right units."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth import load_paper_fits
from bayes_hfgrowth.figures.paper import (
    choose_base_models,
    paper_comparison,
    published_curve,
    published_kind,
)
from bayes_hfgrowth.growth import cumulative
from bayes_hfgrowth.support.errors import FitError

INTERIOR = {"lambda": 5.0, "mu": 0.2, "sigma": 0.6}
ZERO_BOUND = {"lambda": 21.0, "mu": 1e-15, "sigma": 3.9}
START = {"lambda": 0.5, "mu": 2.0, "sigma": 0.5}
RUNAWAY = {"lambda": 3e5, "mu": 91.0, "sigma": 22.0}


def on_the_curve(history):
    """Counts of every fourth base model follow the published curve, rounded; others are large."""
    new = 4.0 * history.new
    for index in range(0, len(history.base_models), 4):
        rows = slice(history.start[index], history.start[index + 1])
        curve = published_curve(history.month[rows], pd.Series(INTERIOR) * [1 + index / 100, 1, 1])
        new[rows] = np.diff(np.round(curve), prepend=0.0)
    previous = np.concatenate(
        [
            np.cumsum(part) - part
            for part in np.split(new, history.start[1:-1])
        ]
    )  # fmt: skip
    return dataclasses.replace(history, new=new, previous=previous)


@pytest.fixture(scope="module", params=["reinforced", "surge"])
def fit(request, make_fit):
    return make_fit(request.param, base_models=40, draws=60, distort=on_the_curve)


@pytest.fixture(scope="module")
def paper_fits(fit):
    kinds = [INTERIOR, ZERO_BOUND, START, RUNAWAY]
    rows = [kinds[index % 4] for index in range(len(fit.base_models))]
    table = pd.DataFrame(rows, index=pd.Index(fit.base_models, name="base_model"))
    table.loc[::4, "lambda"] *= 1 + np.arange(0, 40, 4) / 100
    return table.assign(verdict="Fit the model")


def test_published_ages_are_in_years_and_m_is_1():
    age = np.array([0.0, 6.0, 12.0, 30.0])
    np.testing.assert_allclose(
        published_curve(age, pd.Series(INTERIOR)), cumulative(age / 12, 5.0, 0.2, 0.6, 1.0)
    )
    # At the age of exp(mu) years half of the attention has come.
    middle = 12 * np.exp(0.2)
    assert published_curve(middle, pd.Series(INTERIOR)) == pytest.approx(np.exp(2.5) - 1)


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        (INTERIOR, "interior"),
        (ZERO_BOUND, "zero bound"),
        (START, "starting guess"),
        (RUNAWAY, "runaway"),
        ({"lambda": 27.3, "mu": 6.19, "sigma": 9.8}, "runaway"),
        ({"lambda": 26.2, "mu": 3.5, "sigma": 5.6}, "between"),
        ({"lambda": 0.0, "mu": 1.0, "sigma": 0.5}, "between"),
        ({"lambda": np.nan, "mu": np.nan, "sigma": np.nan}, "none"),
    ],
)
def test_published_fits_are_sorted_by_their_parameters(parameters, kind):
    assert published_kind(pd.DataFrame([parameters])).tolist() == [kind]


def test_the_real_published_fits_are_mostly_not_interior():
    kinds = published_kind(load_paper_fits()).value_counts()
    assert kinds["starting guess"] > 100
    assert kinds["zero bound"] > 200
    assert 6 <= kinds["interior"] < kinds["zero bound"]


def test_base_models_are_chosen_by_count_and_every_kind_is_seen(fit, paper_fits):
    interior, degenerate = choose_base_models(fit, paper_fits)
    counts = dict(zip(fit.base_models, fit.history.finetunes, strict=True))
    months = dict(zip(fit.base_models, fit.history.months, strict=True))
    assert len(interior) <= 6
    assert all(fit.base_models.index(name) % 4 == 0 for name in interior)
    eligible = [
        counts[name]
        for name in fit.base_models[::4]
        if counts[name] >= 10 and months[name] >= 6
    ]  # fmt: skip
    assert [counts[name] for name in interior] == sorted(eligible, reverse=True)[:6]
    assert set(degenerate.values()) == {"zero bound", "starting guess", "runaway"}
    for kind, place in (("zero bound", 1), ("starting guess", 2), ("runaway", 3)):
        taken = [name for name, which in degenerate.items() if which == kind]
        names = [name for name in fit.base_models[place::4] if months[name] >= 4]
        of_kind = sorted((counts[n] for n in names if counts[n] >= 10), reverse=True)
        assert [counts[name] for name in taken] == of_kind[: len(taken)]
        assert len(taken) >= min(2, len(of_kind))  # a kind that is short leaves room for others
    assert len(degenerate) == 6


def test_a_published_curve_far_from_the_data_is_not_interior(fit, paper_fits):
    far = paper_fits.assign(sigma=paper_fits["sigma"].where(paper_fits["mu"] != 0.2, 0.06))
    assert choose_base_models(fit, far)[0] == []


def test_the_figure_shows_twelve_panels_with_data_and_both_curves(fit, paper_fits, assert_tidy):
    figure = paper_comparison(fit, paper_fits)
    interior, degenerate = choose_base_models(fit, paper_fits)
    assert len(figure.axes) == len(interior) + len(degenerate)
    assert figure.get_supxlabel() == "Age of the base model (months)"
    assert figure.get_supylabel() == "Cumulative fine-tunes"
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [*interior, *degenerate]
    for axes, name in zip(figure.axes, titles, strict=True):
        ours, published, data = axes.lines
        assert data.get_ydata()[-1] == fit.history.finetunes[fit.base_models.index(name)]
        np.testing.assert_allclose(
            published.get_ydata(), published_curve(published.get_xdata(), paper_fits.loc[name])
        )
        assert ours.get_ydata()[0] == 0.0
    assert_tidy(figure)


def test_our_line_is_the_median_of_the_draws(fit, paper_fits):
    figure = paper_comparison(fit, paper_fits)
    axes = figure.axes[0]
    name = axes.get_title(loc="left")
    line = axes.lines[0]
    age = line.get_xdata()[-1]
    index = fit.base_models.index(name)
    if fit.spec.likelihood == "surge":
        rows = slice(fit.history.start[index], fit.history.start[index + 1])
        months = fit.tree["posterior_predictive"]["new_finetunes"].to_numpy()[:, :, rows]
        expected = sorted(float(path.sum()) for chain in months for path in chain)
    else:
        own = fit.posterior.sel(base_model=name)
        parameters = zip(
            *(own[p].to_numpy().ravel() for p in ("fitness", "immediacy", "longevity")),
            strict=True,
        )
        expected = sorted(float(cumulative(age, *one, fit.spec.m)) for one in parameters)
    assert line.get_ydata()[-1] == pytest.approx(np.median(expected))


def test_a_fit_without_such_base_models_is_refused(make_fit, paper_fits):
    fit = make_fit("reinforced", base_models=40, draws=60)
    with pytest.raises(FitError, match="interior published parameters"):
        paper_comparison(fit, paper_fits.assign(**ZERO_BOUND))
