"""Base models yet to be released, and what they add to sums."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from bayes_hfgrowth.forecast.answers import LABEL, sentence
from bayes_hfgrowth.forecast.panel_file import forecast_file
from bayes_hfgrowth.forecast.paths import forecast, forecast_new
from bayes_hfgrowth.forecast.releases import PATHS, Releases
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.posterior.births import Births
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import ForecastError

OBSERVED = pd.Timestamp("2025-01-01", tz="UTC")


@pytest.fixture(scope="module")
def fit(make_fit):
    """A fit of the default growth model, of a few draws."""
    return make_fit(base_models=12, chains=2, draws=100)


@pytest.fixture(scope="module")
def ahead(fit):
    """Its forecast, four months ahead."""
    return forecast(fit, 4)


def with_rate(fit, months, *, rate, draws=400):
    """Releases of one organization that has had so many base models in each month."""
    found = Releases(
        PopulationPosterior.from_fit(fit), fit.history.created_at[:1], ("Qwen",), OBSERVED,
        months, 1, draws,
    )  # fmt: skip
    found.__dict__["births"] = Births({"Qwen": np.full(24, rate)})
    return found


@pytest.mark.parametrize("by", ["organization", "all"])
def test_sums_are_never_below_those_without_and_say_so(ahead, by):
    plain, more = ahead.total(by), ahead.total(by, with_new_releases=True)
    assert "with_new_releases" not in plain
    assert more["with_new_releases"].all()
    for column in ("mean", "median", "lower_80", "upper_95"):
        assert (more[column] >= plain[column]).all()
    assert more["mean"].sum() > plain["mean"].sum()
    assert (more.groupby("organization")["new_base_models"].diff().dropna() >= 0).all()
    pd.testing.assert_series_equal(more["observed"], plain["observed"])
    released = ahead.releases.released
    assert (np.diff(released.base_models, axis=2) >= 0).all()
    assert (np.diff(released.finetunes, axis=2) >= 0).all()
    assert released.finetunes.shape == (200, 3, 4)


def test_the_sum_of_all_is_that_of_organizations(ahead):
    own, whole = (ahead.releases.totals(by) for by in ("organization", "all"))
    np.testing.assert_array_equal(sum(own.counts.values()), whole.counts["all"])


def test_the_same_seed_gives_the_same_numbers(fit, ahead):
    again, other = forecast(fit, 4), forecast(fit, 4, seed=9)
    expected = ahead.total(with_new_releases=True)
    pd.testing.assert_frame_equal(again.total(with_new_releases=True), expected)
    assert not other.total(with_new_releases=True).equals(expected)


def test_a_present_forecast_is_as_it_was(ahead):
    before = ahead.total().copy()
    ahead.total(with_new_releases=True)
    pd.testing.assert_frame_equal(ahead.total(), before)


def test_new_base_models_grow_as_the_population_says(fit):
    """A first month of many base models is that of newborn ones of the organization."""
    found = with_rate(fit, 2, rate=30)
    released = found.released
    number = released.base_models[:, 0, 0]
    assert number.mean() == pytest.approx(30, rel=0.15)
    # Those of the first slot have had seven eighths of a month: a coarse check of the scale.
    born = OBSERVED.tz_convert("UTC")
    rows = [(f"Qwen/new-{i}", "Qwen", born, 0, 0) for i in range(40)]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    panel = Panel.from_table(pd.DataFrame(rows, columns=columns))
    population = PopulationPosterior.from_fit(fit)
    newborn = forecast_new(population, panel, 1, 1, draws=400, progress=False)
    each = newborn.draws["finetunes"].to_numpy()[0, :, :, 0].mean()
    share = released.finetunes[:, 0, 0].mean() / number.mean()
    assert 0.0 < share < each


def test_paths_stand_for_several_where_there_are_very_many(fit):
    few, many = (with_rate(fit, 1, rate=rate, draws=40).released for rate in (400, 4000))
    assert many.base_models.mean() > 4 * PATHS
    ratio = many.finetunes.mean() / few.finetunes.mean()
    assert ratio == pytest.approx(many.base_models.mean() / few.base_models.mean(), rel=0.35)


def test_questions_and_figures_say_what_is_in_the_sums(ahead):
    table = ahead.at_dates(by="organization", threshold=5, with_new_releases=True)
    assert table["with_new_releases"].all()
    assert LABEL in sentence(table.to_dict("records")[-1])
    plain = ahead.at_dates(by="organization", threshold=5)
    assert (table["probability_above"] >= plain["probability_above"]).all()
    figure = ahead.plot_total(with_new_releases=True)
    assert LABEL in figure.get_supylabel()
    assert LABEL not in ahead.plot_total().get_supylabel()
    plt.close("all")


def test_a_table_of_sums_is_written_with_its_label(ahead, tmp_path):
    ahead.save(tmp_path / "t.csv", by="all", with_new_releases=True)
    assert pd.read_csv(tmp_path / "t.csv")["with_new_releases"].all()
    for name, by in (("t.nc", "all"), ("u.csv", "base_model")):
        with pytest.raises(ForecastError, match="sums alone"):
            ahead.save(tmp_path / name, by=by, with_new_releases=True)


def test_what_is_refused(fit, ahead):
    with pytest.raises(ForecastError, match="sums alone"):
        ahead.at_dates(with_new_releases=True)
    with pytest.raises(ForecastError, match="name none"):
        ahead.total(base_models=fit.base_models[:2], with_new_releases=True)
    some = forecast(fit, 2, fit.base_models[:2])
    with pytest.raises(ForecastError, match="forecast all"):
        some.total(with_new_releases=True)


def test_panels_and_panel_files_agree(fit, tmp_path):
    panel = Panel(fit.history.to_panel().table, OBSERVED)
    panel.write(tmp_path / "p.csv")
    population = PopulationPosterior.from_fit(fit)
    whole = forecast_new(population, panel, 3, draws=60, progress=False)
    out = tmp_path / "sums.parquet"
    options = {"draws": 60, "chunk": 5, "progress": False, "with_new_releases": True}
    forecast_file(population, tmp_path / "p.csv", 3, out, by="organization", **options)
    expected = whole.total(with_new_releases=True)
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected, check_dtype=False)
    until = "2025-03-15"
    forecast_file(population, tmp_path / "p.csv", None, out, by="all", until=until, **options)
    assert pd.read_parquet(out)["with_new_releases"].all()
    for by, some, message in (("base_model", None, "sums alone"), ("all", ["a/b"], "name none")):
        with pytest.raises(ForecastError, match=message):
            forecast_file(
                population, tmp_path / "p.csv", 3, out, by=by, base_models=some, **options
            )
