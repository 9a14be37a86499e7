import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hfgrowth.forecast.paths import forecast
from bayes_hfgrowth.forecast.totals import interval_columns
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.months import month_end

TABLE_COLUMNS = [
    "base_model", "organization", "month", "date", "horizon", "observed", "mean", "median",
    "lower_50", "upper_50", "lower_80", "upper_80", "lower_95", "upper_95",
]  # fmt: skip


def test_table_has_the_columns_of_the_contract(made_fit):
    table = forecast(made_fit, 6).table()
    assert list(table.columns) == TABLE_COLUMNS
    assert len(table) == 6 * len(made_fit.base_models)
    assert (
        table.groupby("base_model")["horizon"]
        .apply(list)
        .map(lambda h: h == [1, 2, 3, 4, 5, 6])
        .all()
    )
    assert interval_columns([80]) == ["lower_80", "upper_80"]


def test_months_and_dates_go_on_from_the_last_month(made_fit):
    history = made_fit.history
    table = forecast(made_fit, 3).table().set_index(["base_model", "horizon"])
    for i, name in enumerate(history.base_models):
        for h in (1, 3):
            row = table.loc[(name, h)]
            assert row["month"] == history.months[i] + h
            assert row["date"] == month_end(history.created_at[[i]], history.months[i] + h)[0]
            assert row["observed"] == history.finetunes[i]


def test_draws_are_whole_and_never_below_today(made_fit):
    draws = forecast(made_fit, 12).draws
    counts = draws["finetunes"]
    assert counts.dims == ("chain", "draw", "base_model", "horizon")
    assert counts.dtype.kind == "i"
    assert (counts >= draws["observed"]).all()
    assert (counts.diff("horizon") >= 0).all()


def test_intervals_are_nested_and_hold_their_share_of_draws(made_fit):
    predicted = forecast(made_fit, 4)
    table = predicted.table()
    for inner, outer in ((50, 80), (80, 95)):
        assert (table[f"lower_{outer}"] <= table[f"lower_{inner}"]).all()
        assert (table[f"upper_{outer}"] >= table[f"upper_{inner}"]).all()
    counts = predicted.draws["finetunes"].transpose("base_model", "horizon", "chain", "draw")
    values = counts.to_numpy().reshape(*counts.shape[:2], -1)
    for level in (50, 80, 95):
        low = table[f"lower_{level}"].to_numpy().reshape(counts.shape[:2])
        high = table[f"upper_{level}"].to_numpy().reshape(counts.shape[:2])
        inside = ((values >= low[..., None]) & (values <= high[..., None])).mean(axis=-1)
        assert (inside >= level / 100 - 1e-9).all()
    assert (table["median"] >= table["observed"]).all()


def test_same_seed_same_table_other_seed_other(made_fit):
    first = forecast(made_fit, 3, seed=5).table()
    pd.testing.assert_frame_equal(first, forecast(made_fit, 3, seed=5).table())
    assert not first.equals(forecast(made_fit, 3, seed=6).table())


def test_a_base_model_has_the_same_paths_whatever_others_are_asked_for(made_fit):
    name = made_fit.base_models[3]
    among = forecast(made_fit, 6).draws["finetunes"].sel(base_model=name)
    alone = forecast(made_fit, 6, base_models=[name]).draws["finetunes"].sel(base_model=name)
    np.testing.assert_array_equal(alone, among)


def test_a_base_model_younger_than_a_month_gets_a_forecast(made_fit):
    newborn = made_fit.base_models[-1]
    assert made_fit.history.months[-1] == 0
    table = forecast(made_fit, 12, [newborn]).table()
    assert (table["observed"] == 0).all()
    assert table["upper_95"].iloc[-1] > 0


def test_selection_keeps_the_order_given(made_fit):
    names = [made_fit.base_models[5], made_fit.base_models[2]]
    predicted = forecast(made_fit, 2, names)
    assert predicted.draws["base_model"].to_numpy().tolist() == names
    assert predicted.history["base_model"].unique().tolist() == names


@pytest.mark.parametrize(
    ("months", "names", "message"),
    [
        (0, None, "0 months ahead is out of range"),
        (601, None, "601 months ahead"),
        (3, ["Meta/model-99"], "did you mean"),
        (3, [], "no base model is named"),
    ],
)
def test_impossible_forecasts_are_refused(made_fit, months, names, message):
    with pytest.raises(ForecastError, match=message):
        forecast(made_fit, months, names)


@pytest.mark.parametrize("intervals", [[0], [100], [-5], [50, 120], []])
def test_impossible_intervals_are_refused(made_fit, intervals):
    with pytest.raises(ForecastError, match="interval"):
        forecast(made_fit, 1, [made_fit.base_models[0]]).table(intervals)


@pytest.mark.parametrize("ending", ["csv", "parquet", "nc"])
def test_files(made_fit, tmp_path, ending):
    predicted = forecast(made_fit, 2)
    path = tmp_path / f"forecast.{ending}"
    predicted.save(path)
    if ending == "nc":
        with xr.open_dataset(path, engine="h5netcdf") as draws:
            assert draws["finetunes"].dims == ("chain", "draw", "base_model", "horizon")
            for name in ("finetunes", "finetunes_at_date"):
                np.testing.assert_array_equal(draws[name], predicted.draws[name])
                assert draws[name].encoding["complevel"] == 1
    else:
        read = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
        assert list(read.columns) == TABLE_COLUMNS
        np.testing.assert_array_equal(read["median"], predicted.table()["median"])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_wrong_ending_is_refused(made_fit, tmp_path):
    with pytest.raises(ForecastError, match=r"\.xlsx"):
        forecast(made_fit, 1).save(tmp_path / "forecast.xlsx")
