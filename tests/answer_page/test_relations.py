"""Pages of several relations, and of namespaces."""

import datetime as dt
import re

import pytest
from hub_server import make_children

import bayes_hfgrowth as hfg
from bayes_hfgrowth.answer_page import ask
from bayes_hfgrowth.answer_page.document import render_answer
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.support.errors import ForecastError, SourceError

BASE = "meta-llama/Llama-9"


@pytest.fixture(scope="module")
def population(fit_of):
    return hfg.PopulationPosterior.from_fit(fit_of(), 60)


@pytest.fixture(scope="module")
def of_authors(fit_of):
    return hfg.PopulationPosterior.from_fit(fit_of(metric="authors"), 60)


@pytest.fixture
def relations(hub, now, options):
    """Panels of four relations of two base models."""
    created = now - dt.timedelta(days=400)
    for seed, (relation, number) in enumerate({"adapter": 70, "merge": 9}.items()):
        hub.add_children(make_children(BASE, number, created, now, relation=relation, seed=seed))
    return hfg.fetch_relations([BASE, "newco/none"], **options)


def plain(path):
    return words(path.read_text(encoding="utf-8"))


def words(text):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_relations_stand_side_by_side_and_one_is_forecast(relations, population, tmp_path):
    out = tmp_path / "page.html"
    content = hfg.page([BASE], out, panel=relations, population=population, months=3,
                       progress=False)  # fmt: skip
    [subject] = content.subjects
    assert content.counted == Counted()
    table = relations.last_counts([BASE])
    assert subject.relations["count"].tolist() == table["count"].tolist()
    text = plain(out)
    for counted, count in zip(table["counted"], table["count"], strict=True):
        assert f"{counted} {count:,} " in text
    assert text.count("no forecast: the population knows fine-tunes only") == 3
    html = out.read_text(encoding="utf-8")
    [image] = re.findall(r'<img [^>]*alt="[^"]*by relation: [^"]*"', html)
    assert "adapters" in image
    assert "<script" not in html


def test_the_page_of_one_relation_has_no_such_section(relations, population, tmp_path):
    out = tmp_path / "page.html"
    content = hfg.page([BASE], out, panel=relations["finetune"], population=population, months=3,
                       progress=False)  # fmt: skip
    assert content.subjects[0].relations is None
    assert "By relation" not in plain(out)


def test_relations_come_from_the_hub_too(hub, options, relations, population, tmp_path):
    content = hfg.page([BASE], tmp_path / "page.html", population=population, months=2,
                       relation=["finetune", "merge"], **options)  # fmt: skip
    [subject] = content.subjects
    assert subject.relations["relation"].tolist() == ["finetune", "merge"]
    earlier = content.start - dt.timedelta(days=90)
    cut = hfg.page([BASE], tmp_path / "page.html", population=population, months=2,
                   relation=["finetune", "merge"], as_of=earlier, **options)  # fmt: skip
    assert (cut.subjects[0].relations["count"] < subject.relations["count"]).all()


def test_what_is_asked_without_writing_has_the_relations_too(relations, population):
    content = ask([BASE], panel=relations, population=population, months=2, progress=False)
    assert content.asked.by_relation.relations == relations.relations
    [subject] = content.subjects
    assert subject.relations["count"].tolist() == relations.last_counts([BASE])["count"].tolist()


def test_answers_alone_of_namespaces_say_so(hub, options, of_authors):
    content = ask([BASE, "newco"], population=of_authors, months=2, **options)
    text = words(render_answer(content))
    assert "Namespaces that fine-tuned it so far (dots)" in text
    assert "Sum of the namespaces that fine-tuned it over all its base models" in text
    assert not re.search(r"[\d,]+ fine-tunes", text.split("What was counted")[0])


def test_the_shipped_data_count_fine_tunes_and_nothing_else(
    nowhere, population, of_authors, tmp_path
):
    name, shipped = "apple/AIM", "not in the data that come with the package$"
    with pytest.raises(SourceError, match=f"^adapters are {shipped}"):
        ask(name, example=True, relation=["finetune", "adapter"], population=population,
            progress=False)  # fmt: skip
    with pytest.raises(SourceError, match=f"^a/b, namespaces that fine-tuned it are {shipped}"):
        ask([name, "a/b"], example=True, population=of_authors, progress=False)
    with pytest.raises(SourceError, match=f"can't be reached .*; merges are {shipped}"):
        ask(name, example="offline", relation=["merge", "finetune"], population=population,
            endpoint=nowhere, cache=tmp_path, token=False, progress=False)  # fmt: skip
    with pytest.raises(ForecastError, match="knows only how fine-tunes grow"):
        ask(name, example=True, relation="adapter", population=population, progress=False)


def test_what_the_population_does_not_know_is_refused_before_the_hub_is_asked(
    hub, options, population, of_authors, tmp_path
):
    out = tmp_path / "page.html"
    for wanted in ({"relation": "adapter"}, {"metric": "authors"},
                   {"relation": ["adapter", "merge"]}):  # fmt: skip
        with pytest.raises(ForecastError, match="knows only how fine-tunes grow") as refused:
            hfg.page([BASE], out, population=population, **wanted, **options)
        assert "\n" not in str(refused.value)
    with pytest.raises(ForecastError, match="knows only how namespaces"):
        hfg.page([BASE], out, population=of_authors, metric="finetunes", **options)
    assert not hub.requests
    assert not out.exists()


def test_a_page_of_namespaces_says_so_everywhere(hub, options, of_authors, tmp_path):
    out = tmp_path / "page.html"
    content = hfg.page([BASE, "newco/thirty", "newco"], out, population=of_authors, months=2,
                       threshold=10, **options)  # fmt: skip
    assert content.counted == Counted("authors")
    children = [row for row in hub.children if f"base_model:finetune:{BASE}" in row["tags"]]
    subject = next(each for each in content.subjects if each.name == BASE)
    assert subject.observed <= len({row["author"] for row in children}) < len(children)
    assert "namespaces that fine-tuned it" in subject.answer
    assert subject.comparables is None
    assert not content.calibration.longest
    text = plain(out)
    assert "Namespaces that fine-tuned" in text
    assert "different namespaces of the Hub that have fine-tunes which name the base model" in text
    assert not re.search(r"[\d,]+ fine-tunes", text.split("What was counted")[0])
