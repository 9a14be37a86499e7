"""AutoETS and AutoARIMA on ln(1 + monthly increment), computed in an environment of their own.

statsforecast 2.1 wants pandas below 3, this package does not work with it. So the series go to a
file, a Python that has statsforecast simulates from them, and the paths come back in another.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bayes_hfgrowth.support.errors import ForecastError

__all__ = ["STATSFORECAST", "TIME_SERIES", "simulated_increments", "statsforecast_python"]

type Floats = npt.NDArray[np.float64]

STATSFORECAST = "HFGROWTH_STATSFORECAST"
"""Environment variable: a Python that has statsforecast and pyarrow."""

TIME_SERIES = {"auto_ets": 7, "auto_arima": 4}
"""Names of the methods, and the shortest series, in months, that statsforecast takes."""

_SCRIPT = Path(__file__).with_name("statsforecast_paths.py")
_MADE_BY_MAKE = Path(".venv-baselines", "bin", "python")
_MOST_LOG = 36.0  # 2**52; above it counts are no whole numbers any more


def statsforecast_python() -> Path | None:
    """Find a Python that has statsforecast.

    Returns
    -------
    pathlib.Path or None
        What ``HFGROWTH_STATSFORECAST`` names; else this Python if it has it; else the one that
        ``make baselines`` set up, in the working directory or beside the package.
    """
    named = os.environ.get(STATSFORECAST)
    if named:
        return Path(named)
    if find_spec("statsforecast") is not None:
        return Path(sys.executable)
    made = (root / _MADE_BY_MAKE for root in (Path.cwd(), Path(__file__).parents[2]))
    return next((path for path in made if path.exists()), None)


def simulated_increments(
    method: str, series: Sequence[Floats], months: int, draws: int, seed: int
) -> list[Floats | None]:
    """Simulate monthly increments by a method of statsforecast.

    The method sees x = ln(1 + increment) and picks and fits one of its models to each series
    by itself. Sample paths of x become increments exp(x) - 1, none below 0.

    Parameters
    ----------
    method : str
        One of `TIME_SERIES`.
    series : sequence of ndarray
        Monthly increments, oldest first.
    months, draws, seed : int
        How far ahead; number and seed of the sample paths of each series.

    Returns
    -------
    list of ndarray or None
        Of shape (draws, months); None where the method failed.

    Raises
    ------
    ForecastError
        When there is no Python with statsforecast, or it fails.
    """
    python = statsforecast_python()
    if python is None:
        raise ForecastError(
            f"{method} needs statsforecast, which does not go with this pandas; run make "
            f"baselines, or set {STATSFORECAST} to a Python that has statsforecast and pyarrow"
        )
    with tempfile.TemporaryDirectory(prefix="hfgrowth-") as folder:
        given, answer = Path(folder, "series.parquet"), Path(folder, "paths.parquet")
        table = {
            "name": pa.array([str(place) for place in range(len(series))]),
            "values": pa.array([np.log1p(one).tolist() for one in series], pa.list_(pa.float64())),
        }
        pq.write_table(pa.table(table), given)
        command = [
            *(str(python), str(_SCRIPT), str(given), str(answer), "--model", method),
            *("--months", str(months), "--draws", str(draws), "--seed", str(seed)),
        ]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as failure:
            raise ForecastError(
                f"{python} cannot be run ({failure.strerror}); set {STATSFORECAST} to a Python "
                "that has statsforecast and pyarrow"
            ) from failure
        if run.returncode != 0:
            lines = run.stderr.strip().splitlines() or [f"exit status {run.returncode}"]
            raise ForecastError(
                f"{method} failed in {python} ({lines[-1][:160]}); run make baselines anew"
            )
        found = pq.read_table(answer)
    paths: list[Floats | None] = [None] * len(series)
    for name, values in zip(found["name"].to_pylist(), found["paths"], strict=True):
        x = np.minimum(np.asarray(values.values, dtype=np.float64), _MOST_LOG)
        paths[int(name)] = np.maximum(np.expm1(x), 0.0).reshape(draws, months)
    return paths
