"""The command line as users run it, on a small panel of the shipped data."""

import json
import os
import signal
import subprocess
import sys

import pytest

HFGROWTH = [sys.executable, "-W", "error", "-c", "from bayes_hfgrowth.cli import main; main()"]
SHORT = ("--as-of", "2024-08-01", "--draws", "60", "--tune", "60", "--chains", "2", "--seed", "1")


@pytest.fixture(scope="session")
def hfgrowth():
    """Runs the command line to its end."""

    def run(*arguments, **environment):
        return subprocess.run(
            [*HFGROWTH, *map(str, arguments)], env=os.environ | environment, capture_output=True,
            text=True, check=False, timeout=300,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def start():
    """Starts the command line and does not wait for it."""

    def begin(*arguments):
        command = [*HFGROWTH, *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=0
        )

    return begin


@pytest.fixture
def here(monkeypatch, capsys):
    """Runs the command line without a process of its own, which takes seconds to start."""
    from bayes_hfgrowth.cli import main

    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hfgrowth", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, end.value.code or 0, said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def refused(here):
    """Gives the one line of a refusal."""

    def run(*arguments):
        done = here(*arguments)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert done.stderr.startswith("hfgrowth: ")
        return done.stderr

    return run


@pytest.fixture(scope="session")
def panel_file(tiny_panel, tmp_path_factory):
    """Fifteen base models of four organizations, as CSV."""
    path = tmp_path_factory.mktemp("panel") / "panel.csv"
    tiny_panel.write(path)
    return path


@pytest.fixture(scope="session")
def fitted(hfgrowth, panel_file, once):
    """What `hfgrowth fit` said of a short run, and the file that it wrote."""

    def fill(folder):
        (folder / "out").mkdir()
        done = hfgrowth("fit", panel_file, "--out", folder / "out" / "fit.nc", *SHORT)
        assert done.returncode == 0, done.stderr
        (folder / "said.json").write_text(json.dumps([done.stdout, done.stderr]))

    folder = once("fitted", fill)
    said = json.loads((folder / "said.json").read_text())
    return subprocess.CompletedProcess([], 0, *said), folder / "out" / "fit.nc"
