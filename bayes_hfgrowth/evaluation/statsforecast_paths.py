"""Sample paths of AutoETS and AutoARIMA; run as a script, by a Python that has statsforecast.

    python statsforecast_paths.py SERIES.parquet PATHS.parquet --model auto_ets --months 6

statsforecast 2.1 wants a pandas older than this package does, so this file imports neither the
package nor pandas, and `bayes_hfgrowth.evaluation.time_series` runs it in another environment.

SERIES has one row for each series, ``name`` and ``values`` (a list of floats). PATHS has one row
for each series that could be forecast: ``name`` and ``paths``, a list of draws times months
floats, draw by draw.
"""

import argparse
import sys
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def simulated(name: str, values: np.ndarray, months: int, draws: int, seed: int) -> np.ndarray:
    """Sample paths of one series, shape (draws, months).

    The model is chosen and fitted by the library, its paths are drawn here, all at once: the
    library's own `simulate` takes them one by one in Python, a hundred times slower, and in
    2.1.1 drops the trend of exponential smoothing where it is not damped.
    """
    from statsforecast.models import AutoARIMA, AutoETS

    kind = {"auto_ets": AutoETS, "auto_arima": AutoARIMA}[name]
    fitted = kind(season_length=1).fit(values)
    rng = np.random.default_rng(seed)
    if name == "auto_ets":
        return smoothed_paths(fitted.model_, months, draws, rng)
    return arima_paths(fitted, months, draws, rng)


def smoothed_paths(model: Any, months: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Run the state space of exponential smoothing forward (Hyndman et al. 2008, chapter 2)."""
    error, trend, season = model["components"][:3]
    if trend == "M" or season != "N":  # the library's defaults never choose these
        chosen = "".join(model["components"][:3])
        raise ValueError(f"AutoETS chose {chosen}; set it to additive trends without seasons")
    alpha, beta, _, phi = np.nan_to_num(np.asarray(model["par"][:4], dtype=np.float64))
    damping = phi if phi > 0.0 else 1.0  # not a number where there is no damping
    state = np.asarray(model["states"][-1], dtype=np.float64)
    level = np.full(draws, state[0])
    slope = np.full(draws, state[1] if trend == "A" else 0.0)
    scale = np.sqrt(model["sigma2"])
    paths = np.empty((draws, months))
    for month in range(months):
        expected = level + damping * slope
        noise = scale * rng.standard_normal(draws)
        if error == "M":
            noise *= expected
        paths[:, month] = expected + noise
        level = expected + alpha * noise
        slope = damping * slope + beta * noise
    return paths


def arima_paths(fitted: Any, months: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Point forecast plus the noise of the state space that it comes from."""
    paths = np.tile(np.asarray(fitted.predict(months)["mean"], dtype=np.float64), (draws, 1))
    model = fitted.model_
    if model.get("constant", False):
        return paths
    space = model["model"]
    turn, load = np.asarray(space["T"]), np.asarray(space["Z"])
    left, variances, _ = np.linalg.svd(np.asarray(space["V"]) * model["sigma2"])
    shock = left * np.sqrt(variances)  # V may be singular
    state = np.zeros((draws, len(load)))
    for month in range(months):
        state = state @ turn.T + rng.standard_normal(state.shape) @ shock.T
        noise = np.sqrt(space["h"] * model["sigma2"]) * rng.standard_normal(draws)
        paths[:, month] += state @ load + noise
    return paths


def main() -> None:
    """Read the series, simulate, write the paths; name what failed on standard error."""
    parser = argparse.ArgumentParser()
    parser.add_argument("series")
    parser.add_argument("paths")
    parser.add_argument("--model", required=True, choices=["auto_ets", "auto_arima"])
    parser.add_argument("--months", required=True, type=int)
    parser.add_argument("--draws", default=1000, type=int)
    parser.add_argument("--seed", default=0, type=int)
    options = parser.parse_args()
    table = pq.read_table(options.series)
    warnings.simplefilter("ignore")
    names, paths = [], []
    for place, (name, values) in enumerate(
        zip(table["name"].to_pylist(), table["values"].to_pylist(), strict=True)
    ):
        series = np.asarray(values, dtype=np.float64)
        seed = (options.seed * 1_000_003 + place) % 2**32
        try:
            path = simulated(options.model, series, options.months, options.draws, seed)
        except Exception as failure:  # whatever a library finds impossible
            sys.stderr.write(f"{name}: {failure!r}\n")
            continue
        if np.isfinite(path).all():
            names.append(name)
            paths.append(path.ravel())
    result = pa.table(
        {"name": pa.array(names, pa.string()), "paths": pa.array(paths, pa.list_(pa.float64()))}
    )
    pq.write_table(
        result.replace_schema_metadata({"statsforecast": version("statsforecast")}), options.paths
    )


if __name__ == "__main__":
    main()
