"""`hfgrowth page`, as users run it, against the stand-in Hub."""

import datetime as dt
import os
import signal
import subprocess
import sys

import pytest
from hub_server import make_children

from bayes_hfgrowth.cli import main

HFGROWTH = [sys.executable, "-W", "error", "-c", "from bayes_hfgrowth.cli import main; main()"]


@pytest.fixture
def environment(hub, tmp_path):
    """What the command line meets: this Hub, an empty home, an empty cache."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return clean | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HFGROWTH_CACHE": str(tmp_path / "cache"),
    }


def run(environment, *arguments):
    return subprocess.run(
        [*HFGROWTH, "page", *map(str, arguments)], env=environment, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture
def here(hub, tmp_path, monkeypatch, capsys):
    """Runs the command line without a process of its own."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HFGROWTH_CACHE", str(tmp_path / "cache"))
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hfgrowth", "page", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, end.value.code or 0, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, before)


def test_a_page_of_several(environment, tmp_path):
    out = tmp_path / "page.html"
    done = run(environment, "meta-llama/Llama-9", "newco", "--until", "2030-01-01",
               "--threshold", 2000, "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("newco by 2030-01-01: ")
    assert lines[1].startswith("meta-llama/Llama-9 by 2030-01-01: ")
    assert "; above 2,000: " in lines[1]
    assert f"wrote {out}: 5 base models" in done.stderr.replace("\n", "")
    assert "not in the fit, so drawn from all organizations: newco" in done.stderr
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody/x", "--out", "p.html"), "nobody/x is not on"),
        (("Qwen/Q9", "nobody/x", "--out", "p.html"), "nobody/x is not on"),
        (("newco/hidden", "--out", "p.html"), "is gated"),
        (("newco/today", "--out", "p.html"), "too new"),
        (("--out", "p.html"), "nothing is asked for"),
        (("Qwen/Q9",), "--out"),
        (("Qwen/Q9", "--out", "p.htm"), "does not end in .html"),
        (("Qwen/Q9", "--out", "none/p.html"), "there is no folder"),
        (("Qwen/Q9", "--out", "p.html", "--until", "yesterday"), "is not a date"),
        (("Qwen/Q9", "--out", "p.html", "--until", "2020-01-01"), "is not after"),
        (("Qwen/Q9", "--out", "p.html", "--months", 0), "0 months ahead"),
        (("Qwen/Q9", "--out", "p.html", "--threshold", -3), "is no count"),
        (("Qwen/Q9", "--out", "p.html", "--panel", "none.csv"), "no such file"),
        (("Qwen/Q9", "--out", "p.html", "--population", "none.nc"), "none.nc"),
        (("Qwen/Q9", "--out", "p.html", "--relation", "cousin"), "--relation"),
    ],
)
def test_bad_input_is_one_line(here, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = here(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "p.html").exists()


def test_a_killed_download_goes_on_where_it_stopped(hub, environment, here, tmp_path, now):
    created = now - dt.timedelta(days=365)
    hub.add_base("big/one", created)
    hub.add_children(make_children("big/one", 1200, created, now, seed=9))
    hub.page_size = 100
    out, victim = tmp_path / "page.html", []

    def kill(number, target):
        if number == 6:
            victim[0].send_signal(signal.SIGKILL)
            victim[0].wait()

    hub.before_answer = kill
    command = [*HFGROWTH, "page", "big/one", "--out", str(out)]
    victim.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    assert victim[0].wait(120) == -signal.SIGKILL
    assert not out.exists()
    hub.before_answer = None
    done = here("big/one", "--out", out)
    assert done.returncode == 0, done.stderr
    pages = hub.pages_asked()
    assert len(set(pages)) == 12
    assert len(pages) <= 13
    assert out.exists()
