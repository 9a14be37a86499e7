"""`hfgrowth fetch` and `hfgrowth snapshot`, as users run them."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import Hub, make_children

from bayes_hfgrowth import read_panel
from bayes_hfgrowth.cli import main

BASE = "meta-llama/Llama-3.1-8B"
CREATED = datetime(2024, 7, 14, 22, 20, 9, tzinfo=UTC)
HFGROWTH = [sys.executable, "-c", "from bayes_hfgrowth.cli import main; main()"]


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """What the command line meets: this Hub, an empty home, an empty cache."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return clean | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HFGROWTH_CACHE": str(tmp_path / "cache"),
        "PYTHONWARNINGS": "error",
    }


def run(
    environment: dict[str, str], *arguments: str | int | Path
) -> subprocess.CompletedProcess[str]:
    command = [*HFGROWTH, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


type Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Here]:
    """Run the command line without a process of its own, against this Hub and the same cache."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HFGROWTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str | int | Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["hfgrowth", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        status = end.value.code or 0
        assert isinstance(status, int)
        return subprocess.CompletedProcess(sys.argv, status, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, before)


def fill(hub: Hub, count: int = 1500) -> None:
    hub.add_base(BASE, CREATED)
    end = CREATED + timedelta(days=400)
    hub.add_children(make_children(BASE, count, CREATED, end))
    hub.page_size = 100


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a refusal must be."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_fetch_writes_a_panel_that_reads_back(
    hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    fill(hub)
    out = tmp_path / "panel.parquet"
    done = run(environment, "fetch", BASE, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "1,500 finetune children" in done.stderr
    panel = read_panel(out)
    born = [pd.Timestamp(row["createdAt"]) for row in hub.children]
    for row in panel.table.itertuples():
        end = row.created_at + pd.DateOffset(months=row.month)
        assert row.finetunes == (sum(b <= end for b in born) if row.month else 0)
    assert panel.observed_at == pd.Timestamp.now("UTC").normalize()


def test_what_was_fetched_can_be_fitted_and_forecast(
    hub: Hub, environment: dict[str, str], here: Here, tmp_path: Path
) -> None:
    fill(hub, 40)
    panel, fit, out = (tmp_path / name for name in ("panel.csv", "fit.nc", "forecast.csv"))
    done = run(environment, "fetch", BASE, "--out", panel)
    assert done.returncode == 0, done.stderr
    for command in (
        ("fit", panel, "--out", fit, "--draws", 20, "--tune", 40, "--chains", 2, "--seed", 1),
        ("forecast", fit, "--months", 2, "--out", out),
    ):
        done = here(*command)
        assert done.returncode == 0, done.stderr
    table = pd.read_csv(out)
    assert table["base_model"].tolist() == [BASE, BASE]
    assert table["organization"].tolist() == ["Meta", "Meta"]
    assert table["observed"].tolist() == [40, 40]
    assert (table["lower_95"] >= 40).all()


def test_collecting_does_not_load_the_samplers(environment: dict[str, str]) -> None:
    """They would more than double the memory and the start-up time."""
    heavy = "{'pymc', 'pytensor', 'arviz', 'matplotlib'}"
    code = (
        "import sys, bayes_hfgrowth.cli, bayes_hfgrowth.sources.hub as hub; "
        f"print({heavy} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_killed_runs_go_on_where_they_stopped(
    hub: Hub,
    environment: dict[str, str],
    here: Here,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(hub)
    dice, answered, kills = random.Random(4), 0, []
    victim: list[subprocess.Popen[bytes]] = []

    def kill(number: int, target: str) -> None:
        if number == answered + kills[-1]:
            victim[0].send_signal(signal.SIGKILL)
            victim[0].wait()

    hub.before_answer = kill
    command = [*HFGROWTH, "fetch", BASE, "--out", str(tmp_path / "panel.parquet")]
    for _ in range(2):
        answered = len(hub.requests)
        kills.append(dice.randint(3, 7))
        victim[:] = [subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)]
        assert victim[0].wait(60) == -signal.SIGKILL
    assert not (tmp_path / "panel.parquet").exists()
    hub.before_answer = None
    done = run(environment, "fetch", BASE, "--out", tmp_path / "panel.parquet")
    assert done.returncode == 0, done.stderr

    # a page whose answer was under way when the run was killed was not finished
    pages = hub.pages_asked()
    assert len(set(pages)) == 15
    assert len(pages) <= 15 + len(kills)
    monkeypatch.setenv("HFGROWTH_CACHE", str(tmp_path / "other"))
    apart = here("fetch", BASE, "--out", tmp_path / "whole.parquet")
    assert apart.returncode == 0
    assert len(hub.pages_asked()) == len(pages) + 15
    assert (tmp_path / "panel.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_ctrl_c_is_one_line(hub: Hub, environment: dict[str, str], tmp_path: Path) -> None:
    fill(hub)
    process: list[subprocess.Popen[str]] = []

    def interrupt(number: int, target: str) -> None:
        if number == 4:
            process[0].send_signal(signal.SIGINT)

    hub.before_answer = interrupt
    command = [*HFGROWTH, "fetch", BASE, "--out", str(tmp_path / "panel.csv")]
    started = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    process.append(started)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert len(said.splitlines()) == 1


def test_two_runs_at_once(hub: Hub, environment: dict[str, str], tmp_path: Path) -> None:
    fill(hub)
    outs = [tmp_path / f"panel{n}.parquet" for n in range(2)]
    both = [
        subprocess.Popen([*HFGROWTH, "fetch", BASE, "--out", str(out)], env=environment, stderr=-3)
        for out in outs
    ]
    assert [one.wait(60) for one in both] == [0, 0]
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert len(set(hub.pages_asked())) == 15


def test_bad_input_is_one_line(
    hub: Hub, environment: dict[str, str], here: Here, tmp_path: Path
) -> None:
    fill(hub, 250)
    hub.add_base("meta-llama/secret", CREATED)
    hub.private.add("meta-llama/secret")
    out = tmp_path / "panel.parquet"
    for name in ("meta-llama/Lama-3.1-8B", "meta-llama/secret"):
        assert "check the spelling, or log in" in refusal(here("fetch", name, "--out", out))
    wrong = environment | {"HF_TOKEN": "hf_wrong"}
    assert "HF_TOKEN" in refusal(run(wrong, "fetch", BASE, "--out", out))
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    assert "unset HF_HUB_OFFLINE" in refusal(run(offline, "fetch", BASE, "--out", out))
    assert not out.exists()


def test_no_network_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = environment | {"HF_ENDPOINT": f"http://127.0.0.1:{free.getsockname()[1]}"}
    line = refusal(run(nowhere, "fetch", BASE, "--out", tmp_path / "panel.csv"))
    assert "can't be reached" in line


def test_a_rate_limit_keeps_what_was_collected(
    hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    fill(hub, 1000)
    hub.faults.retry_seconds = 4000  # longer than anyone waits

    def limit(number: int, target: str) -> None:
        hub.faults.always_429 = number > 7

    hub.before_answer = limit
    line = refusal(run(environment, "fetch", BASE, "--out", tmp_path / "panel.csv"))
    assert "what was collected is kept" in line
    assert len(list((tmp_path / "cache").rglob("page-*"))) == 6
    hub.before_answer, hub.faults.always_429 = None, False
    done = run(environment, "fetch", BASE, "--out", tmp_path / "panel.csv")
    assert done.returncode == 0
    assert len(hub.pages_asked()) == 10


def snapshot_file(path: Path) -> Path:
    """Write a snapshot with the children of the stand-in."""
    rows = make_children(BASE, 300, CREATED, CREATED + timedelta(days=200))
    rows.append({"id": BASE, "createdAt": CREATED.isoformat(), "tags": ["base"]})
    newest = CREATED + timedelta(days=250)
    rows.append({"id": "z/newest", "createdAt": newest.isoformat(), "tags": None})
    table = pd.DataFrame(rows)[["id", "createdAt", "tags"]]
    table["createdAt"] = pd.to_datetime(table["createdAt"], format="ISO8601", utc=True)
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path)
    return path


def test_snapshot_writes_a_panel(environment: dict[str, str], tmp_path: Path) -> None:
    path = snapshot_file(tmp_path / "models.parquet")
    done = run(environment, "snapshot", path, "--out", tmp_path / "panel.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    panel = read_panel(tmp_path / "panel.csv")
    assert panel.base_models["finetunes"].to_dict() == {BASE: 300}
    assert "read from the tags" in done.stderr


def test_a_snapshot_at_an_hf_address(
    hub: Hub, environment: dict[str, str], here: Here, tmp_path: Path
) -> None:
    hub.files["u/hub-stats/models.parquet"] = snapshot_file(tmp_path / "m.parquet").read_bytes()
    out = tmp_path / "panel.csv"
    address = "hf://datasets/u/hub-stats/models.parquet"
    done = run(environment, "snapshot", address, "--out", out)
    assert done.returncode == 0, done.stderr
    assert read_panel(out).base_models["finetunes"].to_dict() == {BASE: 300}
    for wrong in ("hf://datasets/u/none/models.parquet", "hf://datasets/u/hub-stats/x.parquet"):
        line = refusal(here("snapshot", wrong, "--out", out))
        assert re.search("can't be fetched|no file matches", line)


def refused_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> str:
    """Run in this process what needs no Hub; return the one line of the refusal."""
    monkeypatch.setattr(sys, "argv", ["hfgrowth", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    return said.err


@pytest.mark.parametrize("damage", ["html", "half"])
def test_a_damaged_snapshot_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    path = snapshot_file(tmp_path / "models.parquet")
    content = path.read_bytes()
    path.write_bytes(b"<html>error</html>" if damage == "html" else content[: len(content) // 2])
    out = tmp_path / "panel.csv"
    assert "models.parquet" in refused_here(monkeypatch, capsys, "snapshot", path, "--out", out)
    assert not out.exists()


def test_a_place_that_cant_be_written_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for out, mend in ((tmp_path / "p.txt", ".csv"), (tmp_path / "none" / "p.csv", "create it")):
        assert mend in refused_here(monkeypatch, capsys, "fetch", BASE, "--out", out)
