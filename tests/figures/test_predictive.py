"""The posterior predictive check as a figure."""

import numpy as np
import pytest

from bayes_hfgrowth.diagnostics import diagnose
from bayes_hfgrowth.figures.predictive import predictive_check


@pytest.fixture(scope="module")
def diagnostics(make_fit):
    return diagnose(make_fit(draws=50))


def test_bars_and_points_are_those_of_the_rootogram(diagnostics):
    left, _ = predictive_check(diagnostics.rootogram, diagnostics.pit).axes
    table = diagnostics.rootogram
    assert [bar.get_height() for bar in left.patches] == table["observed"].tolist()
    points = left.containers[1]
    np.testing.assert_allclose(points.lines[0].get_ydata(), table["median"])
    segments = points.lines[2][0].get_segments()
    np.testing.assert_allclose([s[0, 1] for s in segments], table["lower_95"])
    np.testing.assert_allclose([s[1, 1] for s in segments], table["upper_95"])
    ticks = [tick.get_text() for tick in left.get_xticklabels()]
    assert ticks == [f"{lower:,}" for lower in table["lower"]]


def test_the_line_and_band_are_those_of_the_pit(diagnostics):
    _, right = predictive_check(diagnostics.rootogram, diagnostics.pit).axes
    np.testing.assert_allclose(right.lines[-1].get_ydata(), diagnostics.pit["deviation"])
    vertices = right.collections[0].get_paths()[0].vertices
    assert vertices[:, 1].max() == pytest.approx(diagnostics.pit["upper_95"].max())
    low, high = right.get_ylim()
    assert low < diagnostics.pit["deviation"].min()
    assert high > diagnostics.pit["deviation"].max()


def test_axes_have_units_and_no_text_lies_on_another(diagnostics, assert_tidy):
    figure = predictive_check(diagnostics.rootogram, diagnostics.pit)
    left, right = figure.axes
    assert left.get_xlabel().startswith("New fine-tunes in a month")
    assert left.get_ylabel().startswith("Number of months")
    assert "probability" in right.get_xlabel()
    assert "probability" in right.get_ylabel()
    assert_tidy(figure)


def test_large_counts_fit_too(diagnostics, assert_tidy):
    """A heavy tail makes many bins with long names."""
    import pandas as pd

    edges = [0, 1, 2, 3, 4, 5, *(2**k for k in range(3, 20))]
    table = pd.DataFrame({"lower": edges, "upper": [*(e - 1 for e in edges[1:]), 2**20]})
    table = table.assign(observed=3000, median=2500.0, lower_95=2000.0, upper_95=3300.0)
    assert_tidy(predictive_check(table, diagnostics.pit))
