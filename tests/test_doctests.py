"""The examples in docstrings do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

import bayes_hfgrowth

PACKAGE = Path(bayes_hfgrowth.__file__).parent
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]


def test_there_are_examples():
    assert {"bayes_hfgrowth.panel.table", "bayes_hfgrowth.sources.example"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0, "the failures are printed above"
