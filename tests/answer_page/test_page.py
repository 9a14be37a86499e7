"""The page from Python: it says what the forecast says, and nothing of it harms."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from hub_server import make_children
from report_pages import HOSTILE, HOSTILE_ORGANIZATION

import bayes_hfgrowth as hfg
from bayes_hfgrowth.answer_page import ask
from bayes_hfgrowth.answer_page.document import answer_style, render_answer
from bayes_hfgrowth.forecast.answers import sentence
from bayes_hfgrowth.support.errors import FitError, ForecastError, PanelError, SourceError


def test_the_answers_are_those_of_the_forecast(example_page):
    text, content = example_page
    panel = hfg.load_example().select(organizations=["DeepSeek"])
    names = ["mistralai/Mistral-7B-v0.1", "meta-llama/Llama-3.1-8B", *panel.base_models.index]
    forecast = hfg.forecast_new(
        hfg.load_population(), hfg.load_example().select(base_models=names),
        until="2025-12-01", progress=False,
    )  # fmt: skip
    assert content.number == len(names)
    assert len(content.subjects) == 6
    assert [subject.observed for subject in content.subjects] == sorted(
        forecast.draws["observed"].to_numpy(), reverse=True
    )[:6]
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))
    table = forecast.at_dates(["2025-12-01"], threshold=5000).set_index("base_model")
    for subject in content.subjects:
        said = sentence(table.loc[subject.name].to_dict())
        assert said == subject.answer
        assert f"{subject.name} {said}." in plain
    [total] = content.sums
    [row] = forecast.at_dates(["2025-12-01"], by="organization", threshold=5000).query(
        "organization == 'DeepSeek'"
    ).to_dict("records")  # fmt: skip
    assert total.answer == sentence(row)
    assert f"DeepSeek, all {len(panel.base_models)} base models together, {total.answer}." in plain
    leaders = forecast.rank(top=1, base_models=[s.name for s in content.subjects])
    expected = leaders.set_index("base_model")["probability"]
    for subject in content.subjects:
        assert content.leaders[subject.name].iloc[-1] == pytest.approx(expected[subject.name])
    np.testing.assert_allclose(content.leaders.sum(axis=1), 1)


def test_it_is_one_file_that_asks_for_nothing(example_page):
    text, _ = example_page
    assert "<script" not in text.lower()
    assert "default-src 'none'" in text
    outside = re.findall(r'(?:src|href|action|poster|data)="([^"]*)"', text)
    assert all(address.startswith(("data:", "#")) for address in outside)
    assert "http://" not in re.sub(r"data:[^\"]+", "", text)
    assert "url(" not in text
    assert "@import" not in text


def test_every_figure_has_a_text(example_page):
    text, content = example_page
    images = re.findall(r"<img [^>]*>", text)
    assert len(images) >= len(content.subjects) + 2
    for image in images:
        [alt] = re.findall(r'alt="([^"]*)"', image)
        assert len(alt) > 60
        assert re.search(r"\d", alt)


def test_the_numbers_can_be_saved(example_page):
    text, content = example_page
    [packed] = re.findall(r'href="data:text/csv;base64,([^"]+)"', text)
    table = pd.read_csv(io.BytesIO(base64.b64decode(packed)))
    number = len(content.subjects) + len(content.sums)
    assert len(table) == number * content.horizon
    one = table[table["base_model"] == content.subjects[0].name]
    np.testing.assert_array_equal(one["median"], content.subjects[0].table["median"])


def test_calibration_and_hindsight_are_told(example_page):
    text, content = example_page
    assert "Measured calibration at these sizes" in text
    assert "2024-08-21" in text
    assert content.calibration.longest == 6
    assert any("up to 6 months ahead; this forecast goes 10" in c.text for c in content.checks)
    past = content.hindsight
    assert past.seen  # the population knows the months that followed
    assert "so these are no true forecasts" in text
    panel = hfg.load_example()
    known = panel.as_of("2024-08-21").base_models
    for row in past.table.itertuples():
        assert row.observed == known.loc[row.base_model, "finetunes"]
        assert row.actual == panel.base_models.loc[row.base_model, "finetunes"]
        assert row.inside == (row.lower_80 <= row.actual <= row.upper_80)


def test_the_same_seed_gives_the_same_page(tmp_path):
    for name in ("one.html", "two.html"):
        hfg.page("apple/AIM", tmp_path / name, months=2, panel=hfg.load_example(), seed=4,
                 progress=False)  # fmt: skip
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]


def test_an_as_of_date_hides_what_came_later(tmp_path):
    content = hfg.page(
        "apple/AIM", tmp_path / "p.html", months=2, as_of="2024-08-21", panel=hfg.load_example(),
        progress=False,
    )  # fmt: skip
    known = hfg.load_example().as_of("2024-08-21").base_models.loc["apple/AIM"]
    assert content.start == pd.Timestamp("2024-08-21", tz="UTC")
    assert content.subjects[0].observed == known["finetunes"]


@pytest.fixture(scope="module")
def harmful_page(tmp_path_factory):
    """A page of names that would do harm if any layer took them for more than text."""
    names = [name.replace("\u2028", "") for name in HOSTILE]  # no panel lets that in
    rows = [
        (name, HOSTILE_ORGANIZATION, "2024-03-01", month, 3 * month)
        for name in names for month in range(5)
    ]  # fmt: skip
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    panel = hfg.Panel.from_table(pd.DataFrame(rows, columns=columns))
    out = tmp_path_factory.mktemp("harmful") / "p.html"
    content = hfg.page([], out, months=2, threshold=20, panel=panel, progress=False)
    return out.read_text(encoding="utf-8"), content


def test_harmful_names_are_text(harmful_page):
    text, _ = harmful_page
    assert "<script" not in text.lower()
    assert "<img src=x" not in text
    assert "<b onclick" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7 * 7 }}" in text


def test_a_population_that_did_not_converge_says_so(tmp_path, make_fit):
    from bayes_hfgrowth.posterior.population import PopulationPosterior

    population = PopulationPosterior.from_fit(make_fit(draws=60, diverging=9))
    population.about["panel"] = hfg.load_population().about["panel"]
    content = hfg.page("apple/AIM", tmp_path / "p.html", months=2, panel=hfg.load_example(),
                       population=population, progress=False)  # fmt: skip
    text = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert 'role="alert"' in text
    assert content.checks[0].verdict == "bad"


# --- Answers alone ---------------------------------------------------------------------------


def test_answers_alone_are_those_of_the_page(example_page):
    text, content = example_page
    fragment = render_answer(content)
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", fragment))
    for subject in (*content.sums, *content.subjects):
        assert f"{subject.answer}." in plain
    [packed] = re.findall(r'href="data:text/html;base64,([^"]+)"', fragment)
    assert base64.b64decode(packed).decode() == text
    images = re.findall(r'<img src="([^"]*)"[^>]*alt="([^"]*)"', fragment)
    assert len(images) == len(content.sums) + len(content.subjects)
    assert all(address.startswith("data:") and f'src="{address}"' in text for address, _ in images)
    assert all(f'alt="{alt}"' in text for _, alt in images)


def test_the_style_of_answers_touches_nothing_else():
    style = answer_style()
    assert style.startswith(".hfgrowth {")
    assert style.count("{") == style.count("}")
    assert not re.search(r"^(:root|body|\*)", style, flags=re.MULTILINE)


def test_harmful_names_are_text_in_answers(harmful_page):
    text = render_answer(harmful_page[1])
    assert "<script" not in text.lower()
    assert "<img src=x" not in text
    assert "<b onclick" not in text
    assert "{{ 7 * 7 }}" in text


def test_shipped_counts_instead_of_the_hub(hub):
    content = ask("apple/AIM", months=2, example=True, endpoint=hub.endpoint, progress=False)
    assert content.asked.source == "the data that come with the package"
    assert content.start == pd.Timestamp("2025-02-21", tz="UTC")
    assert hub.requests == []


def test_shipped_counts_where_the_hub_does_not_answer(nowhere, tmp_path):
    content = ask("apple/AIM", endpoint=nowhere, cache=tmp_path, example="offline", progress=False)
    assert content.asked.source.endswith(", since the Hub does not answer")
    assert "since the Hub does not answer" in render_answer(content)


def test_a_hub_that_answers_is_not_replaced(hub, options):
    with pytest.raises(SourceError, match="apple/AIM is not on"):
        ask("apple/AIM", example="offline", **options)


def test_what_neither_the_hub_nor_the_shipped_data_have(nowhere, tmp_path):
    message = r"can't be reached .*; a/b, c are not in the data that come with the package$"
    with pytest.raises(SourceError, match=message):
        ask(["a/b", "apple/AIM", "c"], endpoint=nowhere, cache=tmp_path, example="offline",
            progress=False)  # fmt: skip


def test_an_address_is_an_id(hub, options):
    content = ask("https://huggingface.co/Qwen/Q9/", months=1, **options)
    assert content.asked.names == ("Qwen/Q9",)


# --- From the Hub -----------------------------------------------------------------------------


def test_two_base_models_stand_side_by_side(hub, options, tmp_path):
    out = tmp_path / "p.html"
    content = hfg.page(["Qwen/Q9", "meta-llama/Llama-9"], out, threshold=2000, **options)
    assert [subject.name for subject in content.subjects] == ["meta-llama/Llama-9", "Qwen/Q9"]
    assert content.horizon == 12
    assert "Who leads, and by when" in out.read_text(encoding="utf-8")
    [race] = content.races
    assert race.startswith("Qwen/Q9 overtakes meta-llama/Llama-9 by ")
    today = content.asked.today["meta-llama/Llama-9"]
    assert today >= content.subjects[0].observed
    assert not content.hindsight.seen


def test_a_namespace_is_all_its_base_models(hub, options, tmp_path):
    content = hfg.page("newco", tmp_path / "p.html", months=3, **options)
    assert {subject.name for subject in content.subjects} == {
        "newco/thirty", "newco/gated", "newco/none", "newco/yesterday",
    }  # fmt: skip
    [total] = content.sums
    assert total.base_models == 4
    assert any("newco/today" in note for note in content.asked.notes)


def test_a_count_passed_since_the_last_whole_month_is_passed_already(hub, options, tmp_path, now):
    hub.add_children(make_children("newco/none", 9, now - pd.Timedelta(days=3), now, seed=8))
    content = hfg.page("newco/none", tmp_path / "p.html", threshold=5, **options)
    [subject] = content.subjects
    assert subject.observed == 0
    if subject.today > 5:  # the day itself is not over, so some are not counted yet
        assert subject.passing.startswith("It is above 5 already by the count of ")
    assert subject.today >= 6


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("newco/none", "It has no fine-tune after 3 months"),
        ("newco/yesterday", "It has no whole month of data"),
        ("newco/gated", "The population does not know newco"),
    ],
)
def test_small_base_models_have_an_honest_page(hub, options, tmp_path, name, told):
    content = hfg.page(name, tmp_path / "p.html", **options)
    assert any(told in check.text for check in content.subjects[0].checks)
    assert told in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_a_renamed_base_model_is_found(hub, options, tmp_path):
    content = hfg.page("oldco/Q", tmp_path / "p.html", **options)
    assert content.subjects[0].name == "Qwen/Q9"
    assert "renamed: oldco/Q is Qwen/Q9 today" in (tmp_path / "p.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("names", "more", "error", "message"),
    [
        (["nobody/x"], {}, SourceError, "nobody/x is not on"),
        (["nobody"], {}, SourceError, "lists no models of 'nobody'"),
        (["newco/hidden"], {}, SourceError, "is gated"),
        (["newco/today"], {}, SourceError, "too new"),
        (["old/ancient"], {}, SourceError, "age of repositories"),
        (["a/b/c"], {}, SourceError, "is not a Hub id"),
        ([""], {}, SourceError, "nothing is asked for"),
        ([], {}, SourceError, "nothing is asked for"),
        (["Qwen/Q9"], {"until": "2020-01-01"}, ForecastError, "is not after"),
        (["Qwen/Q9"], {"until": "2999-01-01"}, ForecastError, "out of range"),
        (["Qwen/Q9"], {"until": "2030-01-01", "months": 3}, ForecastError, "both are given"),
        (["Qwen/Q9"], {"threshold": -1}, ForecastError, "is no count"),
        (["Qwen/Q9"], {"seed": -1}, ForecastError, "seed"),
        (["Qwen/Q9"], {"as_of": "2019-01-01"}, PanelError, "was created by"),
    ],
)
def test_pages_that_cannot_be(hub, options, tmp_path, names, more, error, message):
    with pytest.raises(error, match=message):
        hfg.page(names, tmp_path / "p.html", **options, **more)
    assert not (tmp_path / "p.html").exists()


def test_what_is_wrong_is_said_before_the_hub_is_asked(hub, options, tmp_path):
    for more in ({"until": "2020-01-01"}, {"threshold": -1}, {"months": 0}):
        with pytest.raises(ForecastError):
            hfg.page("Qwen/Q9", tmp_path / "p.html", **options, **more)
    with pytest.raises(ForecastError, match=r"does not end in \.html"):
        hfg.page("Qwen/Q9", tmp_path / "p.pdf", **options)
    assert hub.requests == []


def test_names_that_a_panel_does_not_hold(tmp_path):
    for names, message in ((["a/b"], "'a/b' is not in the panel"), (["Nobody"], "'Nobody'")):
        with pytest.raises(PanelError, match=message):
            hfg.page(names, tmp_path / "p.html", panel=hfg.load_example(), progress=False)


def test_a_date_before_a_base_model_was_created():
    with pytest.raises(
        PanelError, match="created on 2024-07-14, so nothing was known of it on 2024-01-01;"
    ):
        ask("meta-llama/Llama-3.1-8B", panel=hfg.load_example(), as_of="2024-01-01")


def test_populations_that_are_none(tmp_path):
    with pytest.raises(FitError):
        hfg.PopulationPosterior.load(tmp_path / "none.nc")
