"""The files around the package agree with each other, and the set-up finds a Python."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bayes_hfgrowth

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

CONDA_NAMES = {"python-duckdb": "duckdb", "playwright-python": "playwright"}
"""Packages that conda-forge calls otherwise."""


def requirements():
    """All requirements of the project, of users and of its developers."""
    extras = PROJECT["optional-dependencies"]
    return [
        Requirement(text)
        for text in [
            *PROJECT["dependencies"],
            *extras["test"],
            *extras["dev"],
            *extras["docs"],
        ]
        if not text.startswith("bayes-hfgrowth")
    ]


def test_environment_for_conda_says_the_same_as_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["--editable ."]}
    listed = {
        CONDA_NAMES.get(required.name, required.name): str(required.specifier)
        for required in map(Requirement, conda)
    }
    assert listed.pop("pip") == ""
    expected = {required.name: str(required.specifier) for required in requirements()}
    expected["python"] = str(Requirement("python" + PROJECT["requires-python"]).specifier)
    assert listed == expected


def test_constraints_pin_every_requirement_within_its_bounds():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert all(re.fullmatch(r"[\w.+!-]+", version) for version in pins.values()), "no addresses"
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    app = map(Requirement, PROJECT["optional-dependencies"]["app"])
    for required in [*requirements(), *app]:
        assert required.specifier.contains(pinned[canonicalize_name(required.name)]), required


def test_python_versions_agree():
    script = (ROOT / ".ci" / "find-python").read_text()
    assert PROJECT["requires-python"] == ">=3.12,<3.15"
    assert "(3, 12) <= sys.version_info[:2] <= (3, 14)" in script
    versions = {text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python ::" in text}
    assert versions == {"3.12", "3.13", "3.14"}


def test_public_names_exist():
    for name in bayes_hfgrowth.__all__:
        assert getattr(bayes_hfgrowth, name) is not None


def test_the_wheel_holds_code_data_and_growth_models(tmp_path):
    build = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", str(ROOT), "--quiet", "--no-deps"),
            *("--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "bayes_hfgrowth"
    expected = {
        path.relative_to(ROOT).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    growth_models = {
        f"bayes_hfgrowth/models/{path.name}" for path in (ROOT / "models").glob("*.toml")
    }
    assert expected | growth_models <= names
    assert not [name for name in names if name.startswith("tests")]


def test_citation_follows_its_schema_and_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    schema = json.loads((ROOT / "tests/schemas/citation-1.2.0.json").read_text())
    jsonschema.validate(citation, schema)
    assert citation["title"] == PROJECT["name"]
    assert citation["version"] == bayes_hfgrowth.__version__
    assert citation["license"] == PROJECT["license"]
    assert set(citation["keywords"]) == set(PROJECT["keywords"])


def test_hooks_of_a_commit_are_the_lint_of_make_and_fetch_nothing():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    [repository] = hooks["repos"]
    assert repository["repo"] == "local"
    assert all(hook["language"] == "system" for hook in repository["hooks"])
    assert not any("additional_dependencies" in hook for hook in repository["hooks"])
    makefile = (ROOT / "Makefile").read_text()
    [recipe] = re.findall(r"^lint: install\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    commands = [line.strip().replace("$(VENV)", ".venv") for line in recipe.splitlines()]
    assert [hook["entry"] for hook in repository["hooks"]] == commands


def test_hooks_of_a_commit_are_valid():
    clientlib = pytest.importorskip("pre_commit.clientlib")
    assert clientlib.load_config(str(ROOT / ".pre-commit-config.yaml"))


# Finding a Python


@pytest.fixture
def machine(tmp_path):
    """A machine of our own making: a home, a PATH and a pyenv without anything in them."""
    for folder in ("home", "bin", "more", "pyenv/versions"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def find_python(machine, *candidates, **environment):
    variables = {
        "HOME": str(machine / "home"),
        "PATH": f"{machine / 'bin'}:{machine / 'more'}",
        "PYENV_ROOT": str(machine / "pyenv"),
        **environment,
    }
    return subprocess.run(
        ["/bin/sh", str(ROOT / ".ci" / "find-python"), *map(str, candidates)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def command(path, body):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def suitable(path):
    """An interpreter that works: the one that runs these tests."""
    return command(path, f'exec "{sys.executable}" "$@"')


def unsuitable(path):
    """An interpreter, or a shim, that fails whatever it is asked."""
    return command(path, "echo 'command not found' >&2; exit 127")


def outdated(path):
    """An interpreter that works but calls itself 3.11."""
    return command(
        path,
        'shift; code="import sys; sys.version_info = (3, 11, 7); $1"\n'
        f'exec "{sys.executable}" -c "$code"',
    )


def test_find_python_passes_over_failing_shims(machine):
    unsuitable(machine / "bin" / "python3.12")
    expected = suitable(machine / "more" / "python3.12")
    found = find_python(machine)
    assert (found.stdout, found.stderr, found.returncode) == (f"{expected}\n", "", 0)


def test_find_python_looks_into_pyenv(machine):
    unsuitable(machine / "bin" / "python3.13")
    outdated(machine / "bin" / "python3")
    outdated(machine / "pyenv/versions/3.11.7/bin/python3")
    expected = suitable(machine / "pyenv/versions/3.13.0/bin/python3.13")
    assert find_python(machine).stdout == f"{expected}\n"


def test_find_python_looks_into_the_home_folder(machine):
    expected = suitable(machine / "home/.pyenv/versions/3.12.1/bin/python3.12")
    assert find_python(machine, PYENV_ROOT="").stdout == f"{expected}\n"


def test_find_python_takes_python3_when_it_is_recent(machine):
    expected = suitable(machine / "bin" / "python3")
    assert find_python(machine).stdout == f"{expected}\n"


def test_find_python_says_what_to_install(machine):
    outdated(machine / "bin" / "python3")
    unsuitable(machine / "bin" / "python3.12")
    (machine / "bin" / "python3.13").write_text("not executable")
    found = find_python(machine)
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.count("\n") == 1
    assert "install one" in found.stderr


def test_find_python_tries_only_the_candidates_it_is_given(machine):
    suitable(machine / "bin" / "python3.12")
    bad, good = unsuitable(machine / "a"), suitable(machine / "b")
    assert find_python(machine, bad, good).stdout == f"{good}\n"
    assert find_python(machine, bad).returncode == 1
    assert find_python(machine, machine / "none").returncode == 1


def test_find_python_finds_the_one_that_is_running(machine):
    folder = os.fspath(Path(sys.executable).parent)
    found = find_python(machine, PATH=folder)
    assert found.stdout.startswith(folder)
