"""Forecasts say what they count, and are made from nothing else."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr

sys.path.insert(0, str(Path(__file__).parent))  # for the module beside

from dated_forecasts import random_forecast

from bayes_hfgrowth import ForecastError, Panel, PopulationPosterior, forecast_file, forecast_new
from bayes_hfgrowth.evaluation.baselines import forecast_baseline
from bayes_hfgrowth.evaluation.scores import score_forecast
from bayes_hfgrowth.forecast.answers import sentence
from bayes_hfgrowth.panel.counted import FINETUNES, Counted

AUTHORS = Counted("authors")


@pytest.fixture
def panel():
    """A base model with 3 fine-tunes by 2 namespaces."""
    rows = [("Qwen/new", "Qwen", "2024-11-01", k, n, a) for k, (n, a) in enumerate(
        [(0, 0), (2, 1), (3, 2)])]  # fmt: skip
    columns = ["base_model", "organization", "created_at", "month", "finetunes", "authors"]
    return Panel.from_table(pd.DataFrame(rows, columns=columns).assign(observed_at="2025-01-02"))


@pytest.fixture(scope="module")
def population(fit_of):
    return PopulationPosterior.from_fit(fit_of(metric="authors"), 100)


def test_a_fit_of_earlier_times_counts_fine_tunes(made_fit):
    assert made_fit.counted == made_fit.history.counted == FINETUNES
    assert PopulationPosterior.from_fit(made_fit).counted == FINETUNES


def test_a_fit_says_what_it_counts_wherever_it_goes(fit_of, tmp_path):
    from bayes_hfgrowth import load_fit

    fit_of(metric="authors", relation="adapter").save(tmp_path / "fit.nc")
    fit = load_fit(tmp_path / "fit.nc")
    assert fit.counted == fit.history.counted == Counted("authors", "adapter")
    assert PopulationPosterior.load(tmp_path / "fit.nc").counted == fit.counted
    assert "namespaces that made adapters of it" in fit.generate_model_card().content


def test_a_table_of_something_else_says_so(fit_of):
    usual, authors = fit_of().forecast(3), fit_of(metric="authors").forecast(3)
    assert "metric" not in usual.table()
    for table in (authors.table(), authors.total(), authors.at_dates(), authors.at_dates(by="all"),
                  authors.rank(), authors.time_to(5).table()):  # fmt: skip
        assert (table["metric"] == "authors").all()
        assert (table["relation"] == "finetune").all()
    pd.testing.assert_frame_equal(
        authors.table().drop(columns=["metric", "relation"]), usual.table()
    )


def test_draws_keep_it_in_their_file(fit_of, tmp_path):
    fit_of(metric="authors").forecast(2).save(tmp_path / "f.nc")
    with xr.open_dataset(tmp_path / "f.nc", engine="h5netcdf") as draws:
        assert draws.attrs["metric"] == "authors"
        assert draws["finetunes"].attrs["long_name"] == "cumulative namespaces that fine-tuned it"


def test_a_figure_of_something_else_says_so(fit_of):
    forecast = fit_of(metric="authors").forecast(2)
    for figure in (forecast.plot(), forecast.plot_total()):
        assert figure.get_supylabel() == "Cumulative namespaces that fine-tuned it"
    assert fit_of().forecast(2).plot().get_supylabel() == "Cumulative fine-tunes"


def test_sentences_name_what_is_counted():
    forecast = random_forecast()
    forecast.draws.attrs |= AUTHORS.written
    row = forecast.at_dates().iloc[-1].to_dict()
    assert f"{row['median']:,} namespaces that fine-tuned it, 80%" in sentence(row)
    assert "each counted once" not in sentence(row)
    total = forecast.at_dates(by="all").iloc[-1].to_dict()
    assert sentence(total).endswith("each counted once for every base model")


def test_a_population_of_fine_tunes_forecasts_nothing_else(fit_of, panel, tmp_path):
    population = PopulationPosterior.from_fit(fit_of(), 50)
    authors = panel.counting("authors")
    authors.write(tmp_path / "p.csv")
    for call in (
        lambda: forecast_new(population, authors, 2, progress=False),
        lambda: forecast_file(
            population, tmp_path / "p.csv", 2, tmp_path / "f.csv", progress=False
        ),
    ):
        with pytest.raises(ForecastError, match=r"fit the panel \(hfgrowth fit") as refused:
            call()
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "f.csv").exists()


def test_a_population_of_authors_forecasts_authors(population, panel):
    with pytest.raises(ForecastError, match="knows only how namespaces"):
        forecast_new(population, panel, 2, progress=False)
    forecast = forecast_new(population, panel.counting("authors"), 2, draws=50, progress=False)
    assert forecast.counted == AUTHORS
    assert forecast.draws["observed"].to_numpy().tolist() == [2]
    assert (forecast.draws["finetunes"] >= 2).all()


def test_a_file_of_several_relations_is_narrowed(fit_of, panel, tmp_path):
    tables = [
        panel.table.assign(observed_at="2025-01-02", relation=r) for r in ("finetune", "merge")
    ]
    pd.concat(tables).to_csv(tmp_path / "p.csv", index=False)
    population = PopulationPosterior.from_fit(fit_of(relation="merge"), 50)
    found = forecast_file(
        population, tmp_path / "p.csv", 2, tmp_path / "f.csv", relation="merge", draws=50,
        progress=False,
    )  # fmt: skip
    assert found.base_models == 1
    assert (pd.read_csv(tmp_path / "f.csv")["relation"] == "merge").all()
    with pytest.raises(ForecastError, match="counts fine-tunes"):
        forecast_file(
            population, tmp_path / "p.csv", 2, tmp_path / "f.csv", relation="finetune",
            progress=False,
        )  # fmt: skip


def test_a_forecast_is_scored_by_what_it_counts(panel):
    authors = panel.counting("authors")
    draws = forecast_baseline("last_value", authors.as_of("2024-12-05"), 1).draws
    assert score_forecast(draws, authors)["actual"].tolist() == [2]
    with pytest.raises(ForecastError, match="the forecast is of namespaces"):
        score_forecast(draws, panel)


def test_organizations_are_compared_by_what_is_counted(fit_of):
    found = fit_of(metric="authors").compare(["Meta", "Qwen"])
    assert "fine-tunes" not in " ".join(found.sentences())
    assert any("more namespaces that fine-tuned it after 12 months" in s for s in found.sentences())
    assert "namespaces that fine-tuned it" in set(found.table["unit"])
    assert fit_of().compare(["Meta", "Qwen"]).table["unit"].isin(["fine-tunes"]).any()
