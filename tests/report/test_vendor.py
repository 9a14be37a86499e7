"""The plotting script that reports carry is the published one, with its licence."""

import json
import tarfile
from pathlib import Path

import pytest

from bayes_hfgrowth.report import vendor
from bayes_hfgrowth.report.vendor import update
from bayes_hfgrowth.report.vendor.update import LICENCE, RECORD, SCRIPT, digest, unfit_for_a_page

FOLDER = Path(vendor.__file__).parent


def test_the_script_is_the_recorded_one():
    record = json.loads((FOLDER / RECORD).read_text())
    script = (FOLDER / SCRIPT).read_bytes()
    assert digest(script) == record[SCRIPT]
    assert f"v{record['version']}".encode() in script[:200]
    assert record["licence"] == "MIT"
    assert "Permission is hereby granted" in (FOLDER / LICENCE).read_text()
    assert unfit_for_a_page(script.decode()) is None


@pytest.mark.parametrize("text", ["a </script> b", "</SCRIPT", "<!-- x", "'<script>'"])
def test_what_would_end_the_script_is_found(text):
    assert unfit_for_a_page(text) is not None


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """An npm that packs what it is told to, on a PATH with nothing else."""

    def pack(script, status=0):
        package = tmp_path / "package"
        package.mkdir()
        (package / SCRIPT).write_bytes(script)
        (package / "LICENSE").write_text("MIT")
        archive = tmp_path / "made.tgz"
        with tarfile.open(archive, "w:gz") as files:
            files.add(package, "package")
        bin_folder = tmp_path / "bin"
        bin_folder.mkdir()
        program = bin_folder / "npm"
        program.write_text(
            f'#!/bin/sh\n[ {status} = 0 ] || {{ echo "no such version" >&2; exit {status}; }}\n'
            f'/bin/cp "{archive}" "$4/made.tgz"\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(bin_folder))

    return pack


def test_update_writes_script_licence_and_record(npm, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    npm(b"plot();")
    assert update.main(["--version", "9.9.9", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([SCRIPT, LICENCE, RECORD])
    record = json.loads((out / RECORD).read_text())
    assert record["version"] == "9.9.9"
    assert record[SCRIPT] == digest(b"plot();")


@pytest.mark.parametrize(
    ("script", "status", "arguments", "message"),
    [
        (b"other();", 0, [], "not what it was"),
        (b"'</script>'", 0, ["--version", "9.9.9"], "would end the script"),
        (b"", 3, ["--version", "0"], "no such version"),
    ],
)
def test_update_refuses(npm, tmp_path, capsys, script, status, arguments, message):
    out = tmp_path / "out"
    out.mkdir()
    npm(script, status)
    assert update.main([*arguments, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(out.iterdir()) == []


def test_update_without_npm(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert update.main(["--out", str(tmp_path)]) == 2
    assert "npm cannot be run" in capsys.readouterr().err
