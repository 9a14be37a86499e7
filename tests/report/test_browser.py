"""The page as people use it, in a real browser: it must stay silent and ask for nothing."""

import datetime as dt
import re

import pytest
from report_pages import HOSTILE, HOSTILE_ORGANIZATION, island

from bayes_hfgrowth.forecast.paths import forecast
from bayes_hfgrowth.report import render_report
from bayes_hfgrowth.report.content import gather

PHONE = {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def many(make_fit):
    """A fit whose base models need two pages of the table."""
    return make_fit(base_models=40, draws=30)


@pytest.fixture(scope="module")
def table(many):
    """The forecast table that the page must agree with."""
    return forecast(many, 6, seed=11).table().set_index(["base_model", "horizon"])


@pytest.fixture(scope="module")
def page_of_many(many):
    return render_report(gather(many, 6, seed=11))


def column(tab, place):
    """Texts of a column of the table of base models, as shown."""
    return tab.locator(f"#base-model-table tbody tr > :nth-child({place})").all_inner_texts()


def number(text):
    return float(text.replace(",", ""))


def bounds(text):
    return tuple(number(part) for part in text.split(" to "))


def test_search_finds_sort_orders_and_the_chosen_numbers_are_those_of_the_table(
    look, page_of_many, table, many
):
    tab = look(page_of_many)
    assert tab.locator("#status").inner_text().startswith("40 of 40 base models, rows 1 to 25")

    tab.locator("#search").press_sequentially("STABILITY model")
    own = [name for name in many.base_models if name.startswith("StabilityAI")]
    assert tab.locator("#status").inner_text().startswith(f"{len(own)} of 40")
    assert set(column(tab, 1)) == set(own)

    header = tab.locator("#base-model-table thead th", has_text="Median forecast")
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    medians = table["median"].xs(6, level="horizon")
    assert column(tab, 6) == [f"{value:,}" for value in sorted(medians[own], reverse=True)]
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(tab, 6) == [f"{value:,}" for value in sorted(medians[own])]
    assert tab.locator("[aria-sort]").count() == 1

    name = column(tab, 1)[2]
    tab.get_by_role("button", name=name, exact=True).click()
    assert tab.locator("#chosen-name").inner_text() == name
    assert tab.locator("tr[aria-current=true]").inner_text().startswith(name)
    rows = tab.locator("#chosen-forecast tbody tr").all()
    assert len(rows) == 6
    for horizon, row in enumerate(rows, start=1):
        expected = table.loc[(name, horizon)]
        cells = row.locator("th, td").all_inner_texts()
        assert cells[:2] == [str(horizon), f"{expected['date']:%Y-%m-%d}"]
        assert number(cells[2]) == expected["median"]
        assert number(cells[3]) == pytest.approx(expected["mean"], abs=0.0501)
        for level, cell in zip((50, 80, 95), cells[4:], strict=True):
            assert bounds(cell) == (expected[f"lower_{level}"], expected[f"upper_{level}"])
    assert f"median {expected['median']:,}" in tab.locator("#chosen-summary").inner_text()


def test_every_row_agrees_with_the_table(look, page_of_many, table, many):
    tab = look(page_of_many)
    tab.locator("#page-size").select_option("50")
    tab.locator("#horizon").select_option("2")
    rows = tab.locator("#base-model-table tbody tr").all()
    assert len(rows) == 40
    verdicts = {row["name"]: row["verdict"] for row in island(page_of_many)["base_models"]}
    names = island(page_of_many)["verdicts"]
    for row in rows:
        cells = row.locator("th, td").all_inner_texts()
        expected = table.loc[(cells[0], 2)]
        age = many.history.months[many.base_models.index(cells[0])]
        assert cells[1] == expected["organization"]
        assert number(cells[3]) == age
        assert number(cells[4]) == expected["observed"]
        assert number(cells[5]) == expected["median"]
        assert number(cells[6]) == expected["median"] - expected["observed"]
        assert bounds(cells[7]) == (expected["lower_80"], expected["upper_80"])
        assert cells[8] == names[verdicts[cells[0]]]


def test_filters_and_pages(look, page_of_many, many):
    tab = look(page_of_many)
    first = column(tab, 1)
    assert tab.get_by_role("button", name="Previous").is_disabled()
    tab.get_by_role("button", name="Next").click()
    assert tab.locator("#page").inner_text() == "Page 2 of 2"
    assert not set(column(tab, 1)) & set(first)
    assert tab.get_by_role("button", name="Next").is_disabled()
    tab.locator("#organization-filter").select_option("Qwen")
    assert set(column(tab, 2)) == {"Qwen"}
    assert tab.locator("#page").inner_text() == "Page 1 of 1"
    tab.locator("#search").fill("nothing is called so")
    assert tab.locator("#status").inner_text() == "0 of 40 base models."
    tab.locator("#search").fill("")
    tab.locator("#organization-filter").select_option("all")
    for verdict in set(column(tab, 9)):
        tab.locator("#verdict-filter").select_option(verdict)
        assert set(column(tab, 9)) == {verdict}
        tab.locator("#verdict-filter").select_option("all")


def test_every_column_sorts_both_ways(look, page_of_many):
    tab = look(page_of_many)
    tab.locator("#page-size").select_option("50")
    read = {
        **dict.fromkeys((1, 2, 9), str.casefold),
        3: dt.date.fromisoformat,
        **dict.fromkeys((4, 5, 6, 7), number),
        8: lambda text: bounds(text)[1],
    }
    for place, key in read.items():
        button = tab.locator("#base-model-table thead th").nth(place - 1).get_by_role("button")
        for _ in range(2):
            button.click()
            header = tab.locator("#base-model-table thead th").nth(place - 1)
            falling = header.get_attribute("aria-sort") == "descending"
            shown = column(tab, place)
            if place == 1:  # by the numbers in the names, not by their digits
                shown = [tuple(re.findall(r"\d+|\D+", text)) for text in shown]
                shown = [(name, int(digits)) for name, digits in shown]
                assert shown == sorted(shown, reverse=falling)
            else:
                assert shown == sorted(shown, key=key, reverse=falling)


def test_the_chart_draws_what_is_known_and_what_is_forecast(look, page_of_many, table, many):
    tab = look(page_of_many)
    name = tab.locator("#chosen-name").inner_text()
    index = many.base_models.index(name)
    start, end = many.history.start[index : index + 2]
    read = """() => document.getElementById("chart").data.map(
        (trace) => [trace.name ?? "", [...trace.y], [...trace.x]])"""
    traces = {name: (y, x) for name, y, x in tab.evaluate(read) if name}
    counts = [0, *(many.history.previous + many.history.new)[start:end]]
    assert traces["observed"][0] == counts
    own = table.loc[name]
    assert traces["median forecast"][0] == [counts[-1], *own["median"]]
    assert traces["95% interval"][0] == [counts[-1], *own["upper_95"]]
    assert traces["median forecast"][1][1:] == [f"{date:%Y-%m-%d}" for date in own["date"]]
    assert traces["observed"][1][-1] == traces["median forecast"][1][0]

    tab.get_by_label("log", exact=True).check()
    tab.get_by_label("age", exact=True).check()
    tab.locator("#horizon").select_option("3")
    assert tab.evaluate('document.getElementById("chart").layout.yaxis.type') == "log"
    traces = {name: (y, x) for name, y, x in tab.evaluate(read) if name}
    age = len(counts) - 1
    assert traces["median forecast"][1] == [age, age + 1, age + 2, age + 3]
    assert min(min(y) for y, _ in traces.values()) > 0
    assert "In 3 months" in tab.locator("#chosen-summary").inner_text()


def test_every_base_model_can_be_charted(look, page_of_many, many):
    tab = look(page_of_many)
    for name in (many.base_models[-1], *many.base_models[:3]):  # the first has no month yet
        tab.locator("#search").fill(name)
        tab.get_by_role("button", name=name, exact=True).click()
        for scale in ("log", "linear"):
            tab.get_by_label(scale, exact=True).check()
        assert tab.locator("#chosen-name").inner_text() == name


def test_the_chart_can_be_saved(look, page_of_many):
    tab = look(page_of_many)
    tab.locator("#chart").hover()
    with tab.expect_download() as started:
        tab.locator("#chart .modebar-btn[data-title^=Download]").click()
    assert started.value.suggested_filename == "fan_chart.png"
    assert started.value.path().read_bytes().startswith(b"\x89PNG")


def test_all_of_it_works_from_the_keyboard(look, page_of_many):
    tab = look(page_of_many)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    reached = set()
    for _ in range(80):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.id || document.activeElement.textContent"))
    for control in ("search", "organization-filter", "verdict-filter", "horizon", "page-size"):
        assert control in reached
    button = tab.locator("#base-model-table tbody button").nth(3)
    name = button.inner_text()
    button.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#chosen-name").inner_text() == name
    assert tab.evaluate("document.activeElement.id") == "chosen-name"
    header = tab.locator("#base-model-table thead th").first
    header.get_by_role("button").focus()
    tab.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "ascending"


def test_addresses_lead_to_base_models(look, page_of_many, many):
    name = many.base_models[7]
    tab = look(page_of_many, f"#base-model={name.replace('/', '%2F')}")
    assert tab.locator("#chosen-name").inner_text() == name
    other = many.base_models[9]
    tab.evaluate("(name) => { location.hash = `base-model=${encodeURIComponent(name)}`; }", other)
    tab.wait_for_function(
        "(name) => document.getElementById('chosen-name').textContent === name", arg=other
    )
    tab.evaluate("location.hash = 'base-model=%E0%A4%A'")  # no address at all
    tab.evaluate("location.hash = 'base-model=nobody'")
    assert tab.locator("#chosen-name").inner_text() == other


def test_pairs_follow_the_chosen_quantity(look, page_of_many):
    tab = look(page_of_many)
    comparison = island(page_of_many)["comparison"]
    names = comparison["organizations"]
    for at, quantity in enumerate(comparison["quantities"]):
        tab.locator("#pairs-quantity").select_option(str(at))
        rows = [
            row.locator("td").all_text_contents() for row in tab.locator("#pairs tbody tr").all()
        ]
        for i, row in enumerate(rows):
            for j, text in enumerate(row):
                p = quantity["probabilities"][i][j]
                if i == j:
                    assert text == "-"
                elif text.startswith(("<", ">")):
                    assert p < 0.005 if text == "< 0.01" else p >= 0.995
                else:
                    assert float(text) == pytest.approx(p, abs=0.00501)
        ranked = tab.locator("#ranks tbody th").all_text_contents()
        medians = {name: row[0] for name, row in zip(names, quantity["ranks"], strict=True)}
        assert [medians[name] for name in ranked] == sorted(medians.values())


def test_static_tables_sort(look, page_of_many):
    tab = look(page_of_many)
    header = tab.locator("#organization-table thead th").nth(4)
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    cells = tab.locator("#organization-table tbody tr > :nth-child(5)").all()
    values = [float(cell.get_attribute("data-value")) for cell in cells]
    assert values == sorted(values, reverse=True)


def test_harmful_names_stay_text(look, hostile_page):
    tab = look(hostile_page)
    tab.locator("#page-size").select_option("50")
    shown = column(tab, 1)
    for name in HOSTILE:
        # The browser shows a line separator as a blank.
        assert " ".join(name.split()) in [" ".join(text.split()) for text in shown]
        tab.locator("#search").fill(name)
        tab.locator("#base-model-table tbody button").first.click()
        assert tab.locator("#chosen-name").evaluate("(node) => node.textContent") == name
        assert tab.locator("#chosen-name *").count() == 0
    tab.locator("#search").fill("")
    tab.locator("#organization-filter").select_option(HOSTILE_ORGANIZATION)
    assert set(column(tab, 2)) == {HOSTILE_ORGANIZATION}
    assert tab.locator("body script").count() == 3
    assert tab.locator("body img").count() == 4, "the figures"
    assert tab.locator("b, [onclick], [onerror]").count() == 0
    assert tab.get_by_role("alert").is_visible()
    assert "has not converged" in tab.get_by_role("alert").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [PHONE, {"viewport": {"width": 1600, "height": 1000}}])
def test_it_fits_the_screen_and_can_be_read(look, page_of_many, screen, scheme):
    tab = look(page_of_many, color_scheme=scheme, **screen)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    faint = tab.evaluate(CONTRAST)
    assert faint == []
    assert tab.evaluate("document.querySelector('#chart .main-svg').clientWidth > 300")


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (colour.startsWith("rgb") && (rgb(colour)[3] ?? 1) === 1) return rgb(colour);
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll("body *:not(script)")) {
    if (node.closest("#chart, #pairs td, :disabled")) continue;
    const words = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!words || !node.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push([node.tagName, node.textContent.slice(0, 40), ratio]);
  }
  return faint;
}"""
"""Texts whose contrast with what lies behind them is below 4.5 to 1 (WCAG 2.2, AA)."""
