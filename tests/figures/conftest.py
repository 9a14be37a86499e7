"""What the tests of figures share: reading a drawn figure."""

import itertools

import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text


@pytest.fixture(autouse=True)
def nothing_left_open():
    """No figure stays in pyplot's hands, and no setting changes."""
    before = dict(plt.rcParams)
    yield
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before


@pytest.fixture(scope="session")
def comparison(make_fit):
    """Three organizations against each other, in an order of its own."""
    from bayes_hfgrowth.comparison import compare

    return compare(make_fit(draws=100), ["StabilityAI", "Meta", "Qwen"])


def tick_labels(axis):
    """Labels of the ticks that are in view; matplotlib keeps others, undrawn, beside them."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    for ticks in (axis.get_major_ticks(), axis.get_minor_ticks()):
        for tick in ticks:
            if low - slack <= tick.get_loc() <= high + slack:
                yield tick.label1


@pytest.fixture
def texts():
    """Texts of a figure with their boxes in pixels, as drawn."""

    def read(figure):
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        hidden = {
            label
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
            for label in (tick.label1, tick.label2)
        } - {
            label
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for label in tick_labels(axis)
        }
        shown = [
            artist
            for artist in figure.findobj(Text)
            if artist.get_visible() and artist.get_text().strip() and artist not in hidden
        ]
        return [(artist.get_text(), artist.get_window_extent(renderer)) for artist in shown]

    return read


@pytest.fixture
def assert_tidy(texts):
    """Every text lies inside the figure and on no other, and every axis says its unit."""

    def check(figure):
        found = texts(figure)
        assert found
        for text, box in found:
            assert box.x0 >= -1, text
            assert box.y0 >= -1, text
            assert box.x1 <= figure.bbox.width + 1, text
            assert box.y1 <= figure.bbox.height + 1, text
        for (first, one), (second, other) in itertools.combinations(found, 2):
            across = min(one.x1, other.x1) - max(one.x0, other.x0)
            along = min(one.y1, other.y1) - max(one.y0, other.y0)
            assert across <= 1 or along <= 1, f"{first!r} lies on {second!r}"

    return check
