"""The pages agree with the package and with each other."""

import importlib
import itertools
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

import bayes_hfgrowth

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *DOCS.glob("*.md"),
        *ROOT.glob("*.md"),
        ROOT / "benchmarks" / "README.md",
        ROOT / "models" / "README.md",
        *(ROOT / "bayes_hfgrowth" / "data").glob("*.md"),
    ]
)
LARGEST_PICTURE = 200_000  # bytes


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def parsed(path):
    return MarkdownIt().enable("table").parse(path.read_text())


def inline(path):
    """Tokens within the lines of a page."""
    for token in parsed(path):
        yield from token.children or ()


def targets(path):
    for token in inline(path):
        target = token.attrGet("href") or token.attrGet("src")
        if target and not re.match(r"https?:|mailto:", target):
            yield unquote(target)


def anchors(path):
    """What a heading is called in an address."""
    tokens = parsed(path)
    for opening, content in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in content.children)
            yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in targets(page):
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        if anchor:
            assert anchor in set(anchors(found)), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pictures_say_what_they_show(page):
    for token in inline(page):
        if token.type == "image":
            assert token.content.strip(), token.attrGet("src")


def test_the_readme_is_one_page_with_small_pictures():
    readme = ROOT / "README.md"
    assert len(readme.read_text().splitlines()) < 150
    pictures = [token.attrGet("src") for token in inline(readme) if token.type == "image"]
    assert pictures == ["docs/images/forecast.png", "docs/images/comparison.png"]
    for picture in (DOCS / "images").iterdir():
        assert picture.stat().st_size < LARGEST_PICTURE, picture.name


def test_every_page_of_the_guide_is_in_the_contents():
    trees = re.findall(r"```{toctree}\n(.*?)```", (DOCS / "index.md").read_text(), flags=re.DOTALL)
    listed = {line for tree in trees for line in tree.split() if ":" not in line}
    assert {path.stem for path in DOCS.glob("*.md")} - {"index"} <= listed


def test_the_reference_has_every_public_name():
    text = (DOCS / "api.md").read_text().partition("## Modules")[0]
    listed = re.findall(r"^   (\w+)$", text, flags=re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == set(bayes_hfgrowth.__all__) - {"__version__"}


def test_every_module_of_the_reference_exists():
    text = (DOCS / "api.md").read_text().partition("## Modules")[2]
    listed = re.findall(r"^   ([\w.]+)$", text, flags=re.MULTILINE)
    assert "comparison" in listed
    for name in listed:
        assert importlib.import_module(f"bayes_hfgrowth.{name}").__doc__


def test_every_notebook_has_a_card():
    text = (DOCS / "notebooks.md").read_text()
    expected = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert set(re.findall(r"^:link: \.\./notebooks/(\w+)$", text, flags=re.MULTILINE)) == expected
    assert set(re.findall(r"^\.\./notebooks/(\w+)$", text, flags=re.MULTILINE)) == expected


def test_every_command_is_in_the_guide():
    from typer.main import get_command

    from bayes_hfgrowth.cli import app

    listed = re.findall(r"^\| `hfgrowth (\w+)` \|", (DOCS / "commands.md").read_text(), flags=re.M)
    assert set(listed) == set(get_command(app).commands)


def test_a_term_is_explained_once_and_shortly():
    paragraphs = re.split(r"\n\n+", (DOCS / "glossary.md").read_text())
    terms = [
        match for match in (re.match(r"\*\*(.+?)\.\*\* (.+)", p, re.S) for p in paragraphs) if match
    ]
    names = [match[1].lower() for match in terms]
    assert len(names) == len(set(names)) > 50
    assert max(len(match[2].split()) for match in terms) <= 50


# The site


@pytest.fixture
def offline(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(DOCS / "_ext")
    yield importlib.import_module("offline")
    sys.modules.pop("offline")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.html", '<script async src="https://cdn.example.org/a.js"></script>'),
        ("a.html", '<img alt="x" src="//example.org/a.png">'),
        ("a.html", '<link href="https://fonts.example.org/css" rel="stylesheet">'),
        ("a.css", '@import url("https://fonts.example.org/css");'),
        ("a.css", "src: url(https://fonts.example.org/a.woff2)"),
    ],
)
def test_what_is_loaded_from_a_network_is_found(offline, tmp_path, file, text):
    (tmp_path / file).write_text(text)
    assert len(offline.remote_loads(tmp_path)) == 1


def test_links_to_a_network_are_allowed(offline, tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="https://example.org">x</a><img src="a.png"><script src="_static/a.js"></script>'
    )
    (tmp_path / "a.css").write_text('background: url("data:image/png;base64,AAAA")')
    assert offline.remote_loads(tmp_path) == []
