"""What the tests of the evaluation share: panels and forecasts small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr


@pytest.fixture
def make_panel():
    """Makes a panel from base models and their cumulative counts at months 0, 1, 2, ..."""
    from bayes_hfgrowth import Panel

    def make(counts, created_at="2024-01-10", organization="Meta"):
        rows = [
            (name, organization, created_at, month, count)
            for name, series in counts.items()
            for month, count in enumerate(series)
        ]
        columns = ["base_model", "organization", "created_at", "month", "finetunes"]
        return Panel.from_table(pd.DataFrame(rows, columns=columns))

    return make


@pytest.fixture
def make_draws():
    """Makes forecast draws of a panel cut at an age, from an array (base model, horizon, draw)."""

    def make(panel, values):
        models = panel.base_models
        values = np.asarray(values)
        return xr.Dataset(
            {
                "finetunes": (
                    ("chain", "draw", "base_model", "horizon"),
                    np.moveaxis(values, -1, 0)[None],
                ),
                "observed": ("base_model", models["finetunes"].to_numpy()),
                "months": ("base_model", models["months"].to_numpy()),
                "organization": ("base_model", models["organization"].to_numpy(dtype=object)),
                "created_at": (
                    "base_model",
                    pd.DatetimeIndex(models["created_at"]).tz_convert("UTC").tz_localize(None),
                ),
            },
            coords={
                "base_model": models.index.to_numpy(dtype=object),
                "horizon": np.arange(1, values.shape[1] + 1),
            },
        )

    return make
