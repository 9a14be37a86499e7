"""The page in a real browser: silent, and legible on a telephone."""

import pytest


@pytest.fixture
def tab(example_page, chromium, tmp_path):
    """Opens the page on a telephone; fails at the end if it was not silent."""
    heard = []
    path = tmp_path / "page.html"
    path.write_text(example_page[0], encoding="utf-8")
    context = chromium.new_context(viewport={"width": 390, "height": 844}, is_mobile=True)
    tab = context.new_page()
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on(
        "request",
        lambda request: (
            request.url.startswith(("data:", path.as_uri())) or heard.append(request.url)
        ),
    )
    tab.goto(path.as_uri())
    yield tab
    context.close()
    assert heard == []


def test_nothing_is_wider_than_a_telephone(tab):
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    wide = tab.evaluate(
        """() => [...document.querySelectorAll("img, p, h1, h2, h3, li")]
            .filter((e) => e.getBoundingClientRect().right > 390).map((e) => e.outerHTML)"""
    )
    assert wide == []


def test_charts_are_shown_at_the_size_they_are_drawn_for(tab):
    """Letters of 9 points are 12 pixels high; a chart may shrink to nine tenths, not further."""
    sizes = tab.evaluate(
        """() => [...document.images].map((e) => [e.clientWidth, e.width, e.naturalWidth])"""
    )
    assert len(sizes) >= 8
    for shown, _, natural in sizes:
        assert natural > 0
        assert shown >= 0.9 * natural


def test_details_open_and_the_numbers_can_be_saved(tab):
    tab.locator("details summary").first.click()
    assert tab.locator("details[open] table").first.is_visible()
    with tab.expect_download() as started:
        tab.get_by_role("link", name="All numbers of the sections above as a CSV file").click()
    assert started.value.suggested_filename == "forecast.csv"
    assert started.value.path().read_text().startswith("base_model,organization,")
