"""Sums over base models: counts at calendar dates, and adding them up."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

from bayes_hfgrowth.forecast.dated_counts import (
    ages_at,
    attention_share,
    counts_at_dates,
    dates_ahead,
    last_date,
    months_needed,
    observed_at_dates,
)
from bayes_hfgrowth.forecast.draws import joined
from bayes_hfgrowth.forecast.panel_file import forecast_file
from bayes_hfgrowth.forecast.paths import forecast, forecast_new
from bayes_hfgrowth.forecast.totals import Totals
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import ForecastError
from bayes_hfgrowth.support.months import month_end

COLUMNS = [
    "organization", "month", "date", "horizon", "observed", "mean", "median",
    "lower_50", "upper_50", "lower_80", "upper_80", "lower_95", "upper_95",
]  # fmt: skip
THETA = np.array([1.0, 1.5, -0.3, 0.2])  # ln fitness, immediacy, ln longevity, ln dispersion


def utc(*dates):
    return pd.DatetimeIndex([pd.Timestamp(date, tz="UTC") for date in dates])


def history_of(*created, months, new=None):
    """Base models with so many months each and one fine-tune in each month."""
    number = len(created)
    start = np.append(0, np.cumsum(months))
    month = np.concatenate([np.arange(1.0, age + 1.0) for age in months])
    new = np.ones(len(month)) if new is None else np.asarray(new, float)
    previous = np.concatenate(
        [np.cumsum(new[a:b]) - new[a:b] for a, b in itertools.pairwise(start)]
    )
    return History(
        base_models=tuple(f"o/{i}" for i in range(number)),
        organizations=("o",),
        organization_of=np.zeros(number, dtype=np.int64),
        created_at=utc(*created),
        start=start,
        month=month,
        previous=previous,
        new=new,
    )


# --- Ages and dates ---------------------------------------------------------------------------


def test_ages_by_hand():
    ages = ages_at(utc("2024-01-31", "2024-02-10"), utc("2024-02-10", "2024-02-29", "2024-03-30"))
    # From January 31 on: 29 days to February 29, then 31 days to March 31.
    assert ages.months.tolist() == [[0, 1, 1], [0, 0, 1]]
    np.testing.assert_allclose(ages.elapsed, [[10 / 29, 0, 30 / 31], [0, 19 / 29, 20 / 31]])


def test_the_dates_are_whole_months_after_the_observation():
    history = history_of("2024-01-31", "2024-02-10", months=[1, 0])
    assert last_date(history) == pd.Timestamp("2024-02-29", tz="UTC")
    observed_at = pd.Timestamp("2024-03-01T12:00Z")
    assert last_date(history, observed_at) == observed_at
    dates = dates_ahead(pd.Timestamp("2024-01-31", tz="UTC"), 3)
    assert list(dates) == list(utc("2024-02-29", "2024-03-31", "2024-04-30"))


def test_months_needed_reach_the_last_date():
    # The second one's data end a month early; the third ends a month of age on the last date.
    history = history_of("2024-01-10", "2024-01-10", "2024-01-20", months=[2, 1, 2])
    dates = dates_ahead(pd.Timestamp("2024-03-20", tz="UTC"), 3)
    assert months_needed(history, dates).tolist() == [4, 5, 3]


# --- The share of a month ---------------------------------------------------------------------


@pytest.mark.parametrize("month", [0, 1, 7, 40])
def test_the_share_is_that_of_the_attention(month):
    def attention(t):
        return stats.norm.cdf((np.log(t) - THETA[1]) / np.exp(THETA[2]))

    below = attention(month) if month else 0.0
    expected = (attention(month + 0.3) - below) / (attention(month + 1.0) - below)
    assert attention_share(THETA[None], month, 0.3)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("immediacy", [-9.0, -30.0, 0.0, 30.0])
@pytest.mark.parametrize("log_longevity", [-3.0, 0.0, 3.0])
def test_the_share_is_one_at_all_ages_also_far_in_the_tails(immediacy, log_longevity):
    theta = np.array([[0.0, immediacy, log_longevity]])
    for month in (0, 1, 300):
        shares = [attention_share(theta, month, e)[0] for e in (0.0, 0.2, 0.7, 0.999, 1.0)]
        assert shares[0] == 0.0
        assert shares[-1] == 1.0
        assert (np.diff(shares) >= 0.0).all()


def test_a_month_without_attention_is_spread_evenly():
    assert attention_share(np.array([[0.0, 30.0, -3.0]]), 1, 0.4)[0] == 0.4


# --- Counts at dates --------------------------------------------------------------------------


def drawn(history, dates, *, draws=4000, seed=2, step=40):
    """Paths with so many fine-tunes in every further month, and their counts at dates."""
    months = int(months_needed(history, dates).max())
    rng = np.random.default_rng(seed)
    new = rng.integers(step, step + 1, (draws, len(history.base_models), months))
    paths = history.finetunes[:, None] + np.cumsum(new, axis=2)
    theta = np.tile(THETA, (draws, len(history.base_models), 1))
    return paths, counts_at_dates(history, paths, theta, dates, rng)


def test_a_month_comes_in_by_a_binomial_of_its_attention():
    history = history_of("2024-01-10", months=[2])
    dates = dates_ahead(pd.Timestamp("2024-03-25", tz="UTC"), 2)
    paths, counts = drawn(history, dates)
    for place, (months, days) in enumerate([(3, 15 / 30), (4, 15 / 31)]):
        share = attention_share(THETA[None], months, days)[0]
        part = counts[:, 0, place] - paths[:, 0, months - 3]
        assert part.mean() == pytest.approx(40 * share, abs=5 * np.sqrt(10 / len(part)))
        assert part.var() == pytest.approx(40 * share * (1 - share), rel=0.15)


def test_a_date_at_the_end_of_a_month_has_its_count():
    history = history_of("2024-01-31", months=[1])
    dates = dates_ahead(pd.Timestamp("2024-02-29", tz="UTC"), 3)
    # Months of age end on March 31, April 30, May 31; the dates are the 29th.
    paths, counts = drawn(history, dates)
    assert (counts[:, 0, 0] < paths[:, 0, 0]).any()
    exact = counts_at_dates(
        history, paths, np.tile(THETA, (len(paths), 1, 1)), utc("2024-03-31", "2024-04-30"),
        np.random.default_rng(1),
    )  # fmt: skip
    np.testing.assert_array_equal(exact[:, 0], paths[:, 0, :2])


def test_two_dates_in_one_month_of_age_take_from_the_same_finetunes():
    """A base model of the 31st, seen on the 30th: February 29 and March 30 are in one month."""
    history = history_of("2023-12-31", months=[1])
    dates = dates_ahead(pd.Timestamp("2024-01-30", tz="UTC"), 2)
    ages = ages_at(history.created_at, dates)
    assert ages.months.tolist() == [[2, 2]]
    assert ages.elapsed[0, 0] == 0.0
    between = utc("2024-03-05", "2024-03-15", "2024-03-30", "2024-04-10")
    paths, counts = drawn(history, between, draws=20_000)
    share = attention_share(THETA[None], 2, 15 / 31)[0]
    part = counts[:, 0, 1] - paths[:, 0, 0]
    assert part.mean() == pytest.approx(40 * share, abs=5 * np.sqrt(10 / len(part)))
    assert part.var() == pytest.approx(40 * share * (1 - share), rel=0.1)
    assert (np.diff(counts[:, 0], axis=1) >= 0).all()
    assert (counts[:, 0, 2] <= paths[:, 0, 1]).all()


def test_counts_are_whole_never_fall_and_lie_on_their_path():
    history = history_of(
        "2023-10-31T23:00", "2023-11-29", "2023-12-30", "2024-01-01", "2024-01-30T05:00",
        months=[3, 1, 1, 0, 0],  # the data of the second one end a month early
    )  # fmt: skip
    for day in ("2024-01-30T12:00", "2024-01-31", "2024-02-28", "2024-02-29"):
        dates = dates_ahead(pd.Timestamp(day, tz="UTC"), 14)
        paths, counts = drawn(history, dates, draws=50, step=9)
        assert counts.dtype == np.int64
        assert (counts >= history.finetunes[:, None]).all()
        assert (np.diff(counts, axis=2) >= 0).all()
        ages = ages_at(history.created_at, dates)
        whole = np.concatenate([np.broadcast_to(history.finetunes[:, None], (50, 5, 1)), paths], 2)
        for i in range(5):
            at = ages.months[i] - history.months[i]
            assert (counts[:, i] >= whole[:, i, at]).all()
            assert (counts[:, i] <= whole[:, i, np.minimum(at + 1, whole.shape[2] - 1)]).all()


def test_a_date_before_the_last_observed_month_has_the_last_known_count():
    history = history_of("2024-01-10", months=[3])
    _, counts = drawn(history, utc("2024-02-20", "2024-04-20"), draws=3)
    assert (counts[:, 0, 0] == 3).all()


def test_observed_months_are_spread_over_their_days():
    created = pd.Timestamp("2024-01-31", tz="UTC")
    dates = utc("2024-01-01", "2024-02-29", "2024-03-15", "2024-03-31", "2024-09-01")
    found = observed_at_dates(created, np.array([10, 41]), dates)
    np.testing.assert_allclose(found, [0, 10, 10 + 31 * 15 / 31, 41, 41])


# --- Sums of a forecast -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def predicted(made_fit):
    return forecast(made_fit, 5)


def by_hand(predicted, names):
    """Draws of a sum, shape (draws, horizons)."""
    draws = predicted.draws["finetunes_at_date"]
    total = sum(draws.sel(base_model=name).astype(np.int64) for name in names)
    return total.to_numpy().reshape(-1, draws.sizes["horizon"])


def test_draws_at_dates_are_part_of_the_forecast(made_fit, predicted):
    draws = predicted.draws
    at_date = draws["finetunes_at_date"]
    assert at_date.dims == draws["finetunes"].dims
    assert at_date.dtype == draws["finetunes"].dtype == np.int32
    assert (at_date >= draws["observed"]).all()
    assert (at_date.diff("horizon") >= 0).all()
    dates = month_end(made_fit.observed_at, np.arange(1, 6)).tz_localize(None)
    assert list(pd.DatetimeIndex(draws["date"])) == list(dates)
    assert draws["date"].dims == ("horizon",)
    # Whoever had a month of age end within a day of the observation is at its own month's end.
    ages = ages_at(made_fit.history.created_at, pd.DatetimeIndex([made_fit.observed_at]))
    whole = (ages.months[:, 0] == made_fit.history.months) & (ages.elapsed[:, 0] == 0.0)
    for i in np.flatnonzero(whole):
        one = draws.isel(base_model=i, horizon=0)
        np.testing.assert_array_equal(one["finetunes"], one["finetunes_at_date"])


def test_totals_are_those_added_up_by_hand(made_fit, predicted):
    table = predicted.total("organization", [50, 80, 95])
    assert list(table.columns) == COLUMNS
    history = made_fit.history
    assert table["organization"].unique().tolist() == sorted(history.organizations)
    for index, organization in enumerate(history.organizations):
        names = [n for n, o in zip(history.base_models, history.organization_of, strict=True)
                 if o == index]  # fmt: skip
        own = table[table["organization"] == organization]
        total = by_hand(predicted, names)
        np.testing.assert_allclose(own["mean"], total.mean(axis=0))
        ordered = np.sort(total, axis=0)
        np.testing.assert_array_equal(own["median"], ordered[(len(total) - 1) // 2])
        observed = history.finetunes[history.organization_of == index].sum()
        assert (own["observed"] == observed).all()
        assert own["horizon"].tolist() == own["month"].tolist() == [1, 2, 3, 4, 5]
        assert list(own["date"]) == list(month_end(made_fit.observed_at, np.arange(1, 6)))
        for level in (50, 80, 95):
            inside = (total >= own[f"lower_{level}"].to_numpy()) & (
                total <= own[f"upper_{level}"].to_numpy()
            )
            assert (inside.mean(axis=0) >= level / 100 - 1e-9).all()


def test_organizations_add_up_to_all_draw_by_draw(predicted):
    each, whole = Totals.of(predicted.draws, "organization"), Totals.of(predicted.draws, "all")
    assert list(whole.counts) == ["all"]
    np.testing.assert_array_equal(sum(each.counts.values()), whole.counts["all"])
    assert sum(each.observed.values()) == whole.observed["all"]
    table = predicted.total("all", [80])
    assert table["organization"].tolist() == ["all"] * 5
    np.testing.assert_allclose(table["mean"], whole.counts["all"].mean(axis=0))


def test_any_part_adds_up_and_so_it_does_after_saving(predicted, tmp_path):
    names = predicted.draws["base_model"].to_numpy().tolist()
    some, others = names[2:9], names[:2] + names[9:]
    part = Totals.of(predicted.draws, "all", some)
    np.testing.assert_array_equal(part.counts["all"], by_hand(predicted, some))
    part.add(Totals.of(predicted.draws, "all", others))
    whole = Totals.of(predicted.draws, "all")
    np.testing.assert_array_equal(part.counts["all"], whole.counts["all"])
    pd.testing.assert_frame_equal(part.table(), whole.table())
    predicted.save(tmp_path / "forecast.nc", by="all")
    with xr.open_dataset(tmp_path / "forecast.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), predicted.draws)
        total = read["finetunes_at_date"].sel(base_model=some).sum("base_model")
        np.testing.assert_array_equal(total.to_numpy().reshape(-1, 5), by_hand(predicted, some))
        again = dataclasses.replace(predicted, draws=read).total("all", base_models=some)
    pd.testing.assert_frame_equal(again, predicted.total("all", base_models=some))


def test_adding_leaves_what_is_added_alone(predicted):
    names = predicted.draws["base_model"].to_numpy().tolist()
    one, other = (Totals.of(predicted.draws, "organization", [name]) for name in names[:2])
    before = next(iter(other.counts.values())).copy()
    one.add(other)
    one.add(other)
    np.testing.assert_array_equal(next(iter(other.counts.values())), before)


def test_a_part_is_forecast_as_it_is_among_all(made_fit, predicted):
    names = list(made_fit.base_models[4:8])
    alone = forecast(made_fit, 5, names).draws
    xr.testing.assert_identical(alone, predicted.draws.sel(base_model=names))


def test_forecasts_of_parts_are_put_together(made_fit, predicted):
    names = list(made_fit.base_models)
    parts = [forecast(made_fit, 5, names[:7]), forecast(made_fit, 5, names[7:])]
    xr.testing.assert_identical(joined(parts).draws, predicted.draws)


def test_a_base_model_whose_data_end_early_is_brought_to_the_dates(make_fit):
    """Its months since then are simulated too."""

    def cut(history):
        kept = (history.base_model_of >= 3) | (history.month <= history.months[0] - 2)
        kept |= (history.base_model_of == 1) | (history.base_model_of == 2)
        lengths = np.bincount(history.base_model_of[kept], minlength=len(history.base_models))
        return dataclasses.replace(
            history, start=np.append(0, np.cumsum(lengths)), month=history.month[kept],
            previous=history.previous[kept], new=history.new[kept],
        )  # fmt: skip

    fit = make_fit(distort=cut, draws=50)
    draws = forecast(fit, 3).draws.isel(base_model=0)
    at_date, counts = draws["finetunes_at_date"], draws["finetunes"]
    assert (at_date.isel(horizon=0) >= counts.isel(horizon=2)).all()
    assert at_date.mean() > counts.mean()


def test_sums_are_wider_than_those_of_independent_paths(made_fit, predicted):
    """The period effect is the same for all base models of a draw."""
    draws = predicted.draws["finetunes_at_date"].isel(horizon=-1)
    values = draws.to_numpy().reshape(-1, draws.sizes["base_model"]).astype(np.float64)
    rng = np.random.default_rng(3)
    alone = np.stack([rng.permutation(column) for column in values.T], axis=1)
    together, apart = (np.log(v.sum(axis=1)).std() for v in (values, alone))
    assert together > apart


def test_sums_too_large_for_a_double_are_cut(predicted):
    draws = predicted.draws.copy()
    draws["finetunes_at_date"] = xr.full_like(draws["finetunes"], 2**53, dtype=np.int64)
    assert (Totals.of(draws, "all").counts["all"] == 2**53).all()


@pytest.mark.parametrize("by", ["organization", "all"])
def test_tables_of_sums_are_written(predicted, tmp_path, by):
    predicted.save(tmp_path / "f.csv", [80], by=by)
    read = pd.read_csv(tmp_path / "f.csv")
    expected = predicted.total(by, [80])
    assert list(read.columns) == list(expected.columns) == [*COLUMNS[:7], "lower_80", "upper_80"]
    np.testing.assert_array_equal(read["upper_80"], expected["upper_80"])


def test_fans_of_sums_start_at_the_observed_sum(predicted):
    figure = predicted.plot_total("organization", ["Qwen", "Meta"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Qwen", "Meta"]
    table = predicted.total("organization").set_index("organization")
    for axes, name in zip(figure.axes, ("Qwen", "Meta"), strict=True):
        median, past = axes.lines[:2]
        assert past.get_ydata()[0] == 0
        assert past.get_xdata()[-1] == median.get_xdata()[0]
        assert past.get_ydata()[-1] == pytest.approx(table.loc[name, "observed"].iloc[0])
        assert median.get_ydata()[0] == table.loc[name, "observed"].iloc[0]
        assert (np.diff(past.get_ydata()) >= 0).all()
    (axes,) = predicted.plot_total("all").axes
    assert axes.get_title(loc="left") == "all"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f.total("country"), "no sum by 'country'; take organization or all"),
        (lambda f: f.total("base_model"), "no sum by 'base_model'"),
        (lambda f: f.total("all", [0]), "interval"),
        (lambda f: f.total("all", base_models=["Meta/model-99"]), "did you mean"),
        (lambda f: f.total("all", base_models=[]), "no base model is named"),
        (lambda f: f.save("f.csv", by="country"), "no table by 'country'"),
        (lambda f: f.plot_total("country"), "no sum by"),
        (lambda f: f.plot_total("organization", ["Quen"]), "organization 'Quen' is not in"),
        (
            lambda f: dataclasses.replace(f, draws=f.draws.drop_vars("finetunes_at_date")).total(),
            "no counts at calendar dates",
        ),
    ],
)
def test_sums_that_cannot_be_are_refused(predicted, make, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForecastError, match=message):
        make(predicted)


# --- Sums of base models that were in no fit --------------------------------------------------


@pytest.fixture(scope="module")
def population(made_fit):
    return PopulationPosterior.from_fit(made_fit)


@pytest.mark.parametrize("known", [False, True], ids=["no observation date", "observed"])
@pytest.mark.parametrize("by", ["organization", "all"])
def test_sums_of_a_panel_file_add_up_chunk_by_chunk(made_fit, population, tmp_path, known, by):
    panel = made_fit.history.to_panel()
    if known:
        panel = dataclasses.replace(panel, observed_at=pd.Timestamp("2025-01-09", tz="UTC"))
    panel.write(tmp_path / "panel.csv")
    forecast_file(
        population, tmp_path / "panel.csv", 3, tmp_path / "sums.parquet", draws=40, chunk=7,
        by=by, progress=False,
    )  # fmt: skip
    expected = forecast_new(population, panel, 3, draws=40, progress=False).total(by)
    found = pd.read_parquet(tmp_path / "sums.parquet")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    start = panel.observed_at if known else panel.base_models["observed_until"].max()
    assert list(expected["date"].unique()) == list(dates_ahead(start, 3))


def test_too_many_sums_are_refused_before_the_work(made_fit, population, tmp_path, monkeypatch):
    made_fit.history.to_panel().write(tmp_path / "panel.csv")
    monkeypatch.setattr("bayes_hfgrowth.forecast.panel_file.MOST_BYTES", 30_000)
    options = {"draws": 1000, "progress": False}
    with pytest.raises(ForecastError, match=r"sums of 3 organizations .* --by all"):
        forecast_file(
            population, tmp_path / "panel.csv", 3, tmp_path / "f.csv", by="organization", **options
        )
    with pytest.raises(ForecastError, match="no table by 'country'"):
        forecast_file(
            population, tmp_path / "panel.csv", 3, tmp_path / "f.csv", by="country", **options
        )
    assert [path.name for path in tmp_path.iterdir()] == ["panel.csv"]
