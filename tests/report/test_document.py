"""The page as a document: complete, escaped, closed to the network, the same each time."""

import base64
import hashlib
import html
import re
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from report_pages import HOSTILE, HOSTILE_ORGANIZATION, island

from bayes_hfgrowth.diagnostics import period_table
from bayes_hfgrowth.report import render_report, write_report
from bayes_hfgrowth.report.content import gather
from bayes_hfgrowth.support.errors import FitError, ForecastError

VOID = {"meta", "link", "input", "img", "br"}
LOADING = {"src", "href", "action", "data", "poster", "srcset", "formaction", "background"}


class Reader(HTMLParser):
    """Elements with their attributes and texts, and whether all of them are closed."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.scripts, self.text = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def read(page):
    return Reader(page)


def test_every_element_is_closed_and_every_id_is_one(read):
    assert read.open == []
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded(read):
    for tag, attributes in read.elements:
        for name in LOADING & set(attributes):
            assert attributes[name].startswith(("#", "data:")), (tag, name)
        assert not [name for name in attributes if name.startswith("on")], tag


def test_the_policy_lets_only_the_two_scripts_run(read):
    [policy] = [
        attributes["content"]
        for attributes in read.all("meta")
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data: blob:"
    running = [
        script
        for script, attributes in zip(read.scripts, read.all("script"), strict=True)
        if attributes.get("type") != "application/json"
    ]
    digests = {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in running
    }
    assert set(rules["script-src"].split()) == digests
    assert len(digests) == 2


def test_what_refers_to_an_id_finds_it(read):
    ids = {attributes["id"] for _, attributes in read.elements if "id" in attributes}
    for _, attributes in read.elements:
        for name in ("for", "aria-labelledby", "aria-controls"):
            if name in attributes:
                assert attributes[name] in ids
        target = attributes.get("href", "")
        if target.startswith("#") and "=" not in target:
            assert target[1:] in ids


def test_tables_figures_and_controls_are_named(read):
    tables = read.all("table")
    assert tables
    assert len(read.all("caption")) == len(tables)
    assert all(attributes.get("scope") in ("col", "row") for attributes in read.all("th"))
    assert all(attributes["alt"] for attributes in read.all("img"))
    labels = {attributes.get("for") for attributes in read.all("label")}
    assert {attributes["id"] for attributes in read.all("select")} <= labels
    assert all(
        attributes.get("aria-label") for attributes in read.all("div") if "tabindex" in attributes
    )
    [root] = read.all("html")
    assert root["lang"] == "en"


def test_it_tells_what_the_fit_holds(page, read, told_fit):
    text = " ".join(" ".join(read.text).split())
    assert "24 open-weight base models of 3 organizations for the next 6 months" in text
    assert f"{told_fit.history.finetunes.sum():,}" in text
    assert "2025-01-01" in text
    assert "hfgrowth report FIT --out report.html --months 6 --seed 3" in text
    assert "Do not use these numbers" not in text
    assert told_fit.spec.name in text
    for check in ("surge", "off the curve", "as expected", "too few counts"):
        assert check in text
    assert [model["name"] for model in island(page)["base_models"]] == list(told_fit.base_models)


def test_the_attention_on_the_hub_is_told_and_drawn(page, read, content, told_fit):
    text = " ".join(" ".join(read.text).split())
    table = period_table(told_fit, 6, seed=3)
    pd.testing.assert_frame_equal(content.period, table)
    last, end = table[table["fitted"]].iloc[-1], table.iloc[-1]
    assert f"in {last['calendar_month']}, the last of them, {last['median']:.3g}" in text
    assert (
        f"for {end['calendar_month']} that gives {end['median']:.3g} "
        f"({end['lower_95']:.3g} to {end['upper_95']:.3g})." in text
    )
    [alt] = [image["alt"] for image in read.all("img") if "Attention" in image["alt"]]
    assert f"highest in {table['calendar_month'][table['median'].idxmax()]}" in alt
    assert 'href="#attention"' in page
    rows = content.diagnostics.prior_posterior
    assert page.count(f'<th scope="row" class="name">{rows["parameter"][0]}</th>') >= 2
    assert f"Prior against posterior of {len(rows)} parameters" in text


def test_a_growth_model_without_period_effect_says_nothing_of_it(make_fit):
    plain = render_report(gather(make_fit("citation", base_models=6, draws=20), 2))
    assert Reader(plain).open == []
    assert "attention" not in plain[: plain.index("<main>")]
    assert 'id="attention"' not in plain
    assert "Prior against posterior" not in plain


def test_a_fit_that_did_not_converge_shouts(hostile_page, hostile_fit):
    text = " ".join(" ".join(Reader(hostile_page).text).split())
    assert "Do not use these numbers: the sampler has not converged" in text
    for problem in hostile_fit.convergence.problems:
        assert problem.replace(HOSTILE_ORGANIZATION, "") in text


def test_harmful_names_are_text(page, hostile_page):
    read, harmless = Reader(hostile_page), Reader(page)
    assert {tag for tag, _ in read.elements} == {tag for tag, _ in harmless.elements} | {"li"}
    assert len(read.scripts) == 3
    assert not [a for _, a in read.elements if any(name.startswith("on") for name in a)]
    numbers = island(hostile_page)
    assert [model["name"] for model in numbers["base_models"][: len(HOSTILE)]] == list(HOSTILE)
    assert numbers["organizations"][0] == HOSTILE_ORGANIZATION
    [text] = re.findall(r'id="report-data">(.*?)</script>', hostile_page)
    assert not set("<>&'\u2028\u2029") & set(text)
    assert html.escape(HOSTILE_ORGANIZATION) in hostile_page
    assert HOSTILE_ORGANIZATION not in hostile_page


def test_same_fit_same_page(told_fit, page, tmp_path):
    write_report(told_fit, tmp_path / "report.html", months=6, seed=3)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_no_place_of_this_machine_stands_in_it(page):
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    for place in (Path.home(), Path.cwd(), sys.prefix, tempfile.gettempdir()):
        assert f"{place}/" not in own


@pytest.mark.parametrize("name", ["report", "report.htm", "report.pdf", "."])
def test_other_endings_are_refused(told_fit, tmp_path, name):
    with pytest.raises(FitError, match=r"\.html"):
        write_report(told_fit, tmp_path / name)


def test_impossible_horizons_and_seeds_are_refused(told_fit, tmp_path):
    with pytest.raises(ForecastError, match="0 months ahead"):
        write_report(told_fit, tmp_path / "report.html", months=0)
    with pytest.raises(ForecastError, match="seed is -1"):
        write_report(told_fit, tmp_path / "report.html", seed=-1)
    assert list(tmp_path.iterdir()) == []
