"""The app in a real browser, with a stand-in Hub and without any."""

import datetime as dt
import re

import pytest
from playwright.sync_api import expect

SCREENS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}


@pytest.fixture(params=SCREENS)
def screen(request):
    return SCREENS[request.param]


def ask(tab, names, **more):
    """Fill in the fields, press the button and wait; return what is then shown."""
    if more:
        tab.get_by_role("button", name="Date, threshold, other counts").click()
        for label, value in more.items():
            if value is True:
                tab.get_by_label(label).check()
            else:
                tab.get_by_label(label).fill(value)
    tab.get_by_label("Base models or namespaces").fill(names)
    tab.get_by_role("button", name="Ask").click()
    shown = tab.locator("#answer .hfgrowth")
    shown.wait_for()
    return shown


EARLIER = f"{dt.datetime.now(dt.UTC) - dt.timedelta(days=60):%Y-%m-%d}"
UNTIL, AS_OF = "Until", "From what was known on"
THRESHOLD, SHIPPED = "Above how many fine-tunes?", "Take the counts that come with the package"


def test_an_id_gets_the_sentence_and_the_chart_of_the_page(app, hub, look, screen, tmp_path):
    from bayes_hfgrowth.answer_page import ask as ask_package

    shown = ask(look(app, **screen), "Qwen/Q9", **{THRESHOLD: "2,000"})
    content = ask_package(
        "Qwen/Q9", threshold=2000, endpoint=hub.endpoint, cache=tmp_path, token=False,
        progress=False,
    )  # fmt: skip
    [subject] = content.subjects
    said = shown.locator(".answer").inner_text()
    assert said == f"Qwen/Q9 {subject.answer}. {subject.passing}."
    [chart] = shown.locator("img").all()
    text = chart.get_attribute("alt")
    assert text.startswith(f"Fine-tunes by date, Qwen/Q9: {subject.observed:,} on ")
    assert subject.answer[1:] in text


def test_a_namespace_gets_a_sum_and_its_base_models(app, look):
    tab = look(app)
    shown = ask(tab, "newco, meta-llama/Llama-9")
    answers = shown.locator(".answer").all_inner_texts()
    assert answers[0].startswith("newco, all 4 base models together, by ")
    assert answers[1].startswith("meta-llama/Llama-9 by ")
    assert shown.locator("img").count() == 6
    for text in shown.locator("img").evaluate_all("images => images.map(image => image.alt)"):
        assert re.search(r"\d", text)
    shown.get_by_text("Numbers", exact=True).first.click()
    assert shown.locator("details[open] table").is_visible()


def test_everything_fits_the_screen(app, look, screen):
    tab = look(app, **screen)
    width = screen["viewport"]["width"]
    tab.get_by_role("button", name="Date, threshold, other counts").click()
    ask(tab, "Qwen/Q9 meta-llama/Llama-9")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    wide = tab.evaluate(
        """width => [...document.querySelectorAll("input, textarea, button, img, p, h1, h2, li")]
            .filter(e => e.getBoundingClientRect().right > width).map(e => e.outerHTML)""",
        width,
    )
    assert wide == []
    # Letters of 9 points are 12 pixels high; a chart may shrink to nine tenths, not further.
    sizes = tab.locator("#answer img").evaluate_all(
        "images => images.map(image => [image.clientWidth, image.naturalWidth])"
    )
    assert len(sizes) == 2
    assert all(shown >= 0.9 * natural > 0 for shown, natural in sizes)
    unnamed = tab.evaluate(
        """() => [...document.querySelectorAll("input, textarea")].filter(e => !e.labels.length
            && !e.ariaLabel).map(e => e.outerHTML)"""
    )
    assert unnamed == []


def test_enter_asks_and_the_whole_page_can_be_saved(app, look):
    tab = look(app)
    field = tab.get_by_label("Base models or namespaces")
    field.fill("https://huggingface.co/Qwen/Q9")
    field.press("Enter")
    said = tab.locator("#answer .answer").inner_text()
    with tab.expect_download() as started:
        tab.get_by_role("link", name="Save the whole page").click()
    assert started.value.suggested_filename == "Qwen-Q9.html"
    text = started.value.path().read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert said.removeprefix("Qwen/Q9 ") in text


def test_one_question_after_another(app, look):
    tab = look(app)
    ask(tab, "Qwen/Q9")
    ask(tab, "nobody/x")
    tab.get_by_role("alert").wait_for()
    assert tab.locator("#answer .answer").count() == 0
    ask(tab, "newco/thirty")
    tab.locator("#answer .answer").wait_for()
    assert tab.locator("#answer .answer").inner_text().startswith("newco/thirty by ")


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("newco/none", {}, "It has no fine-tune after 3 months"),
        ("newco/yesterday", {}, "It has no whole month of data"),
        ("newco/gated", {}, "The population does not know newco"),
        ("oldco/Q", {}, "Qwen/Q9 by "),
        ("Qwen/Q9", {AS_OF: EARLIER}, f"known on {EARLIER}"),
    ],
)
def test_small_and_renamed_base_models_have_an_honest_answer(app, look, name, more, told):
    shown = ask(look(app), name, **more)
    assert told in shown.inner_text()
    assert shown.locator("img").count() == 1


@pytest.mark.parametrize(
    ("names", "more", "told"),
    [
        ("", {}, "nothing is asked for"),
        ("nobody/x", {}, "nobody/x is not on"),
        ("nobody", {}, "lists no models of 'nobody'"),
        ("newco/hidden", {}, "is gated"),
        ("newco/today", {}, "too new"),
        ("old/ancient", {}, "age of repositories"),
        ("<img/src=x/onerror=alert(1)>", {}, "is not a Hub id"),
        ("x/${alert(1)}{{alert(2)}}", {}, "is not a Hub id"),
        ("Qwen/Q9", {UNTIL: "2020-01-01"}, "is not after"),
        ("Qwen/Q9", {UNTIL: "soon"}, "is not a date"),
        ("Qwen/Q9", {UNTIL: "2999-01-01"}, "out of range"),
        ("Qwen/Q9", {THRESHOLD: "-3"}, "is no count"),
        ("Qwen/Q9", {THRESHOLD: "many"}, "is no count"),
        ("Qwen/Q9", {AS_OF: "2019-01-01"}, "was created by"),
    ],
)
def test_bad_input_is_one_line(app, look, names, more, told):
    shown = ask(look(app), names, **more)
    text = shown.get_by_role("alert").inner_text()
    assert text == shown.inner_text()
    assert told in text
    assert "\n" not in text


def test_without_a_network_the_shipped_data_answer(offline_app, look, screen):
    shown = ask(look(offline_app, **screen), "mistralai/Mistral-7B-v0.1")
    text = shown.inner_text()
    assert text.startswith("mistralai/Mistral-7B-v0.1 by ")
    assert "the data that come with the package, since the Hub does not answer" in text
    assert "known on 2025-02-21" in text
    assert shown.locator("img").count() == 1


def test_without_a_network_others_are_refused_in_one_line(offline_app, look):
    text = ask(look(offline_app), "Qwen/Q9").get_by_role("alert").inner_text()
    assert "can't be reached" in text
    assert text.endswith("Qwen/Q9 is not in the data that come with the package")
    assert "\n" not in text


def test_the_shipped_counts_are_taken_when_they_are_wanted(app, hub, look):
    before = len(hub.requests)
    tab = look(app)
    shown = ask(tab, "CohereAI apple/AIM", **{SHIPPED: True, UNTIL: "2025-12-01"})
    assert "all " in shown.locator(".answer").first.inner_text()
    assert "Counts from the data that come with the package, known on" in shown.inner_text()
    assert len(hub.requests) == before


def test_examples_fill_the_field(app, look):
    tab = look(app)
    tab.get_by_role("button", name="deepseek-ai").click()
    expect(tab.get_by_label("Base models or namespaces")).to_have_value("deepseek-ai")


def test_the_app_asks_nobody_but_the_hub(app, offline_app, outside, look):
    ask(look(app), "newco/thirty")
    assert outside[1] == []
