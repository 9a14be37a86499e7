"""Old names work for one minor version, warn, and then go."""

import importlib
import re
import warnings
from pathlib import Path

import pytest

import bayes_hfgrowth as hfg
from bayes_hfgrowth.support.deprecation import Deprecation, renamed_argument

ROOT = Path(__file__).parent.parent


@renamed_argument("colour", "color", since="1.9")
def paint(what, *, color="white"):
    """Paint it."""
    return f"{color} {what}"


def test_the_new_name_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paint("door", color="red") == "red door"
        assert paint("door") == "white door"
    assert (paint.__name__, paint.__doc__) == ("paint", "Paint it.")


def test_the_old_name_works_and_says_what_to_write_and_until_when():
    with pytest.warns(FutureWarning) as caught:
        assert paint("door", colour="red") == "red door"
    [warning] = caught
    assert str(warning.message) == (
        "'colour' of paint is deprecated since bayes-hfgrowth 1.9 and will be gone in 1.10; "
        "use 'color'"
    )
    assert warning.filename == __file__  # it points to the caller


def test_both_names_are_refused():
    with pytest.raises(TypeError, match="'colour' and 'color'"):
        paint("door", colour="red", color="blue")


def test_a_panel_of_a_snapshot_takes_the_old_name(tmp_path):
    snapshot = tmp_path / "models.parquet"
    with (
        pytest.warns(FutureWarning, match="'organizations' of read_snapshot .* 'namespaces'"),
        pytest.raises(hfg.SourceError),  # there is no such file, but the argument was understood
    ):
        hfg.read_snapshot(snapshot, organizations=["acme"], progress=False)


def test_a_panel_of_the_hub_takes_the_old_name():
    with (
        pytest.warns(FutureWarning, match="'organizations' of fetch_panel .* 'namespaces'"),
        pytest.raises(hfg.SourceError, match="nothing to fetch"),
    ):
        hfg.fetch_panel(organizations=[], progress=False)


def deprecations():
    """All deprecations of the package."""
    package = ROOT / "bayes_hfgrowth"
    for path in sorted(package.rglob("*.py")):
        if "@renamed_argument(" in path.read_text() and path.name != "_deprecation.py":
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for value in vars(importlib.import_module(name)).values():
                if isinstance(getattr(value, "deprecation", None), Deprecation):
                    yield value.deprecation


def test_none_is_overdue_and_the_changelog_has_them_all():
    found = set(deprecations())
    assert {each.where for each in found} >= {"fetch_panel", "read_snapshot"}
    version = tuple(map(int, hfg.__version__.split(".")[:2]))
    changelog = (ROOT / "CHANGELOG.md").read_text()
    sections = re.findall(r"### Deprecated\n(.*?)(?=\n##|\Z)", changelog, flags=re.DOTALL)
    for each in found:
        assert version < tuple(map(int, each.until.split("."))), each
        assert any(f"`{each.old}`" in text and f"`{each.new}`" in text for text in sections), each
