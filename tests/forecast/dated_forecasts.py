"""Forecasts with counts of our own, for questions whose answers are known."""

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hfgrowth.forecast.draws import Forecast
from bayes_hfgrowth.support.months import month_end

START = pd.Timestamp("2025-02-21", tz="UTC")


def forecast_of(counts, observed, *, organizations=None, until=None, ages=None):
    """Forecast with these counts at dates; shape (draws, base models, dates)."""
    counts = np.asarray(counts)
    draws, number, months = counts.shape
    ages = np.arange(3, 3 + number) if ages is None else np.asarray(ages)
    ends = START - pd.to_timedelta(np.arange(number) % 20, unit="D")  # of the last known months
    created = [month_end(end, -int(age))[0] for end, age in zip(ends, ages, strict=True)]
    names = [f"o{i % 2}/m{i}" for i in range(number)]
    organizations = organizations or [f"O{i % 2}" for i in range(number)]
    dims = ("chain", "draw", "base_model", "horizon")
    dates = month_end(START, np.arange(1, months + 1)).tz_localize(None)
    dataset = xr.Dataset(
        {
            "finetunes": (dims, counts[None]),
            "finetunes_at_date": (dims, counts[None]),
            "observed": ("base_model", np.asarray(observed)),
            "months": ("base_model", ages),
            "organization": ("base_model", np.array(organizations, dtype=object)),
            "created_at": ("base_model", pd.DatetimeIndex(created).tz_localize(None)),
        },
        coords={
            "chain": [0], "draw": np.arange(draws), "base_model": np.array(names, dtype=object),
            "horizon": np.arange(1, months + 1), "date": ("horizon", dates),
        },
        attrs={"forecast_from": START.isoformat()},
    )  # fmt: skip
    if until is not None:
        dataset.attrs["forecast_until"] = pd.Timestamp(until, tz="UTC").isoformat()
    return Forecast(dataset, pd.DataFrame({"base_model": [], "month": [], "finetunes": []}))


def random_forecast(seed=0, draws=400, number=4, months=6, most=20, **options):
    """Forecast with random counts."""
    rng = np.random.default_rng(seed)
    observed = rng.integers(0, 30, number)
    steps = rng.integers(0, most + 1, (draws, number, months))
    return forecast_of(observed[:, None] + steps.cumsum(axis=2), observed, **options)
