"""Panel files as they were known at a date, in pieces; and forecasts of them."""

import pandas as pd
import pytest

from bayes_hfgrowth import Panel, forecast_file, forecast_new, load_example, read_panel
from bayes_hfgrowth.panel.chunks import PanelChunks
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import ForecastError, PanelError

DATES = ["2024-02-21", "2022-06-01", "2025-02-21", "2030-01-01"]


@pytest.fixture(scope="module")
def panel():
    example = load_example()
    return example.select(base_models=list(example.base_models.index[::40]))


@pytest.fixture(scope="module", params=[True, False], ids=["observed", "no observation date"])
def known(request, panel):
    return panel if request.param else Panel(panel.table, None)


@pytest.fixture
def file(known, tmp_path):
    path = tmp_path / "panel.parquet"
    known.write(path)
    return path


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("size", [7, 10_000])
def test_the_pieces_are_the_panel_as_of_the_date(known, file, date, size):
    expected = known.as_of(date)
    pieces = PanelChunks(file, size, as_of=date)
    for _ in range(2):
        table = pd.concat([part.table for part in pieces], ignore_index=True)
        pd.testing.assert_frame_equal(table, expected.table, check_dtype=False)
    assert pieces.base_models == len(expected.base_models)
    assert pieces.organizations == set(expected.table["organization"])
    ends = expected.base_models["observed_until"].max()
    assert pieces.last_date == (expected.observed_at or ends)


def test_without_a_date_nothing_is_cut_off(known, file):
    pieces = PanelChunks(file, 9)
    table = pd.concat([part.table for part in pieces], ignore_index=True)
    pd.testing.assert_frame_equal(table, known.table, check_dtype=False)
    assert pieces.last_date == (known.observed_at or known.base_models["observed_until"].max())


@pytest.mark.parametrize(("date", "message"), [("2019-01-01", "was created by"), ("soon", "soon")])
def test_dates_that_cannot_be(file, date, message):
    with pytest.raises(PanelError, match=message):
        PanelChunks(file, 9, as_of=date)


# --- Forecasts --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def population(make_fit):
    return PopulationPosterior.from_fit(make_fit(draws=50))


@pytest.mark.parametrize("by", ["base_model", "organization", "all"])
def test_a_file_is_forecast_as_the_panel_is(population, known, file, tmp_path, by):
    done = forecast_file(
        population, file, None, tmp_path / "f.parquet", until="2024-06-01", threshold=50,
        as_of="2024-02-21", by=by, chunk=13, draws=60, progress=False,
    )  # fmt: skip
    part = known.as_of("2024-02-21")
    expected = forecast_new(population, part, until="2024-06-01", draws=60, progress=False)
    table = expected.at_dates(by=by, threshold=50)
    found = pd.read_parquet(tmp_path / "f.parquet")
    pd.testing.assert_frame_equal(found, table, check_dtype=False)
    assert done.base_models == len(part.base_models)
    assert (done.answers["date"] == pd.Timestamp("2024-06-01", tz="UTC")).all()
    last = table[table["date"] == "2024-06-01"]
    assert done.answers["observed"].tolist() == sorted(last["observed"], reverse=True)[:12]


def test_a_threshold_alone_makes_a_table_at_dates(population, file, tmp_path):
    forecast_file(population, file, 2, tmp_path / "f.csv", threshold=3, draws=40, progress=False)
    table = pd.read_csv(tmp_path / "f.csv")
    assert table["date"].nunique() == 2
    assert {"threshold", "probability_above"} <= set(table.columns)
    expected = forecast_new(population, read_panel(file), 2, draws=40, progress=False)
    assert len(table) == len(expected.at_dates())


@pytest.mark.parametrize(
    ("months", "options", "message"),
    [
        (None, {}, "neither is given"),
        (3, {"until": "2027-01-01"}, "both are given"),
        (None, {"until": "2022-06-01", "as_of": "2024-02-21"}, "is not after 2024-02-21"),
        (None, {"until": "2999-01-01"}, "months ahead is out of range"),
        (0, {}, "0 months ahead is out of range"),
        (3, {"threshold": -1}, "is no count"),
    ],
)
def test_horizons_that_cannot_be(population, panel, tmp_path, months, options, message):
    panel.write(tmp_path / "panel.csv")
    with pytest.raises(ForecastError, match=message):
        forecast_file(population, tmp_path / "panel.csv", months, tmp_path / "f.csv",
                      progress=False, **options)  # fmt: skip
    assert not (tmp_path / "f.csv").exists()


def test_a_fit_is_forecast_until_a_date(made_fit):
    from bayes_hfgrowth.forecast.paths import forecast

    until = forecast(made_fit, until="2025-03-15")
    assert until.draws.sizes["horizon"] == 3
    months = forecast(made_fit, 3)
    assert until.draws.attrs == months.draws.attrs | {"forecast_until": "2025-03-15T00:00:00+00:00"}
    assert until.draws["finetunes"].equals(months.draws["finetunes"])
    with pytest.raises(ForecastError, match="neither is given"):
        forecast(made_fit)
    with pytest.raises(ForecastError, match="is not after 2025-01-01"):
        forecast(made_fit, until="2024-12-31")


def test_a_cluster_gives_the_same_table(population, panel, tmp_path):
    panel.write(tmp_path / "panel.parquet")
    for name, dask in (("here.csv", None), ("there.csv", "local")):
        forecast_file(
            population, tmp_path / "panel.parquet", None, tmp_path / name, until="2024-06-01",
            threshold=50, as_of="2024-02-21", chunk=20, draws=40, dask=dask, jobs=1,
            progress=False,
        )  # fmt: skip
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
