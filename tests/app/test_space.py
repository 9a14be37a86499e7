"""The files that make a Space of the app."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture
def header():
    """What the Hub reads of the README."""
    _, text, _ = (APP / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(text)


def test_the_header_says_what_the_hub_asks_for(header):
    assert header["sdk"] == "gradio"
    assert (APP / header["app_file"]).is_file()
    assert header["license"] == PROJECT["license"].lower()
    assert len(header["short_description"]) <= 60
    assert header["title"]
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {header["colorFrom"], header["colorTo"]} <= colours


def test_the_header_has_the_versions_that_are_tested(header):
    [wanted] = map(Requirement, PROJECT["optional-dependencies"]["app"])
    assert wanted.specifier.contains(header["sdk_version"])
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"gradio=={header['sdk_version']}" in pins
    assert Requirement("python" + PROJECT["requires-python"]).specifier.contains(
        header["python_version"]
    )


def test_a_space_installs_what_the_package_needs():
    lines = (APP / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == PROJECT["dependencies"]


def test_a_space_holds_the_package_with_data_and_growth_models(tmp_path):
    """What `make space` puts together is imported from there, and from nowhere else."""
    space = tmp_path / "space"
    subprocess.run(["make", "--silent", "-C", str(ROOT), "space", f"SPACE={space}"], check=True)
    for name in ("app.py", "app.css", "README.md", "requirements.txt"):
        assert (space / name).read_bytes() == (APP / name).read_bytes()
    code = (
        "import bayes_hfgrowth as hfg; print(hfg.__file__); print(*hfg.available_models());"
        "print(len(hfg.load_example().base_models))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=space, env={"PYTHONPATH": str(space)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, models, number = done.stdout.splitlines()
    assert file == str(space / "bayes_hfgrowth" / "__init__.py")
    assert "surge" in models.split()
    assert number == "3120"


def test_nothing_is_loaded_from_afar():
    for path in (APP / "app.py", APP / "app.css"):
        assert not re.search(r"https?://|//\w+\.\w+|@import|url\(", path.read_text())
