"""Forecasts from file to file: the same in whatever chunks, by whatever workers."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time

import distributed
import numpy as np
import pandas as pd
import pytest

from bayes_hfgrowth import Panel, forecast_file, forecast_new
from bayes_hfgrowth.cli import main
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.cluster import in_order, workers
from bayes_hfgrowth.support.errors import ClusterError, ForecastError

MONTHS = 3


@pytest.fixture(scope="module")
def population(make_fit):
    return PopulationPosterior.from_fit(make_fit(draws=50))


@pytest.fixture(scope="module")
def panel_file(tmp_path_factory):
    """Forty base models of known and unknown organizations, many with the same months."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(40):
        organization = ("Meta", "Qwen", "Nobody", "Someone")[i % 4]
        new = rng.poisson(0.0 if i % 3 else 3.0, int(rng.integers(0, 6)))
        rows += [
            (f"{organization}/model-{i}", organization, "2024-03-01", month, count)
            for month, count in enumerate(np.append(0, np.cumsum(new)))
        ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    path = tmp_path_factory.mktemp("panel") / "panel.parquet"
    Panel.from_table(pd.DataFrame(rows, columns=columns)).write(path)
    return path


@pytest.fixture(scope="module")
def expected(population, panel_file):
    """The forecast in one go."""
    from bayes_hfgrowth import read_panel

    return forecast_new(population, read_panel(panel_file), MONTHS, draws=100, progress=False)


def run(population, panel_file, out, **options):
    done = forecast_file(
        population, panel_file, MONTHS, out, draws=100, progress=False, **options
    )  # fmt: skip
    assert done.base_models == 40
    assert done.unknown == ("Nobody", "Someone")
    return pd.read_parquet(out) if out.suffix == ".parquet" else pd.read_csv(out)


@pytest.mark.parametrize("options", [{"chunk": 7}, {"chunk": 1, "jobs": 1}, {"jobs": 3}])
def test_chunks_and_threads_make_no_difference(population, panel_file, expected, tmp_path, options):
    found = run(population, panel_file, tmp_path / "f.parquet", **options)
    pd.testing.assert_frame_equal(found, expected.table(), check_dtype=False)
    assert [path.name for path in tmp_path.iterdir()] == ["f.parquet"]


def test_csv_has_one_header(population, panel_file, expected, tmp_path):
    found = run(population, panel_file, tmp_path / "f.csv", chunk=9, intervals=[80])
    assert len(found) == 40 * MONTHS
    np.testing.assert_array_equal(found["upper_80"], expected.table([80])["upper_80"])


def test_draws_are_put_together(population, panel_file, expected, tmp_path):
    from bayes_hfgrowth.evaluation.backtest import read_draws

    forecast_file(population, panel_file, MONTHS, tmp_path / "f.nc", draws=100, chunk=11,
                  progress=False)  # fmt: skip
    found = read_draws(tmp_path / "f.nc")
    assert found["finetunes"].dims == ("chain", "draw", "base_model", "horizon")
    np.testing.assert_array_equal(found["finetunes"], expected.draws["finetunes"])
    np.testing.assert_array_equal(found["pareto_k"], expected.draws["pareto_k"])


def test_too_many_draws_are_refused_before_the_work(population, panel_file, tmp_path, monkeypatch):
    monkeypatch.setattr("bayes_hfgrowth.forecast.panel_file.MOST_BYTES", 40_000)
    with pytest.raises(ForecastError, match=r"draws of 40 base models .*; write a table"):
        forecast_file(population, panel_file, MONTHS, tmp_path / "f.nc", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_part_of_the_base_models_gives_part_of_the_forecast(
    population, panel_file, expected, tmp_path
):
    wanted = ["Nobody/model-2", "Qwen/model-21"]
    out = tmp_path / "f.parquet"
    forecast_file(
        population, panel_file, MONTHS, out, draws=100, base_models=wanted, progress=False
    )
    table = expected.table()
    part = table[table["base_model"].isin(wanted)].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_parquet(out), part, check_dtype=False)


# --- Dask -----------------------------------------------------------------------------------


@pytest.fixture
def cluster():
    """A real cluster: two worker processes, each with a nanny that starts it again."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=logging.CRITICAL
    ) as made:
        yield made


def test_a_worker_killed_on_the_way_makes_no_difference(
    population, panel_file, expected, tmp_path, cluster
):
    killed = []

    def kill():
        scheduler = cluster.scheduler
        deadline = time.monotonic() + 120.0
        while time.monotonic() < deadline and not killed:
            busy = [state for state in scheduler.workers.values() if state.processing]
            some_done = any(state.state == "memory" for state in list(scheduler.tasks.values()))
            if busy and some_done:
                [nanny] = [
                    n for n in cluster.workers.values() if n.worker_address == busy[0].address
                ]
                killed.append(nanny.pid)
                os.kill(nanny.pid, signal.SIGKILL)
            time.sleep(0.001)

    thread = threading.Thread(target=kill)
    thread.start()
    found = run(
        population, panel_file, tmp_path / "f.parquet", chunk=1, dask=cluster.scheduler_address
    )
    thread.join()
    assert len(killed) == 1
    pd.testing.assert_frame_equal(found, expected.table(), check_dtype=False)


def test_the_command_makes_a_cluster_of_its_own(
    population, panel_file, tmp_path, monkeypatch, capsys
):
    """The same table as without; that one needs no process of its own."""
    population.save(tmp_path / "p.nc")
    command = ["forecast", tmp_path / "p.nc", "--panel", panel_file, "--months", "2", "--out"]
    apart, alone = tmp_path / "apart.csv", tmp_path / "alone.csv"
    monkeypatch.setattr(sys, "argv", ["hfgrowth", *map(str, [*command, alone])])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        main()
    signal.signal(signal.SIGTERM, before)
    assert not end.value.code
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "from bayes_hfgrowth.cli import main; main()",
         *command, apart, "--dask", "local"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for out, said in ((alone, capsys.readouterr().err), (apart, done.stderr)):
        assert f"wrote {out}: 40 base models" in said
        assert "Traceback" not in said
    assert apart.read_text() == alone.read_text()


def test_a_scheduler_that_does_not_answer_is_one_line(
    population, panel_file, tmp_path, monkeypatch
):
    monkeypatch.setattr("bayes_hfgrowth.support.cluster.PATIENCE", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(ClusterError, match=f"no Dask scheduler answers at {address}") as told:
            run(population, panel_file, tmp_path / "f.csv", dask=address)
        assert "\n" not in str(told.value)


def test_without_dask_the_extra_is_named(population, panel_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)  # as where it is not installed
    with pytest.raises(ClusterError, match=r"pip install 'bayes-hfgrowth\[cluster\]'"):
        run(population, panel_file, tmp_path / "f.csv", dask="local")


# --- Handing out work -----------------------------------------------------------------------


def test_results_come_in_order_and_pieces_are_not_taken_ahead():
    taken = []

    def pieces():
        for i in range(30):
            taken.append(i)
            yield (lambda i: (time.sleep(0.01 if i % 3 == 0 else 0.0), i)[1], i)

    with workers(None, 3) as (submit, _, hands):
        assert hands == 3
        for i, result in enumerate(in_order(submit, pieces(), 4)):
            assert result == i
            assert len(taken) <= i + 4


def test_a_failure_of_a_piece_is_passed_on():
    def fail():
        raise ForecastError("no")

    with pytest.raises(ForecastError, match="no"), workers(None, 2) as (submit, _, _):
        list(in_order(submit, [(fail,)] * 5, 2))
