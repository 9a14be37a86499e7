"""Forest of organizations: intervals as in the table, every panel with its unit."""

import pytest

from bayes_hfgrowth.comparison import QUANTITIES
from bayes_hfgrowth.figures.organizations import organization_forest
from bayes_hfgrowth.support.errors import ComparisonError


def test_intervals_are_those_of_the_table(comparison):
    figure = organization_forest(comparison.table, quantities=["fitness"])
    (axes,) = figure.axes
    wide, narrow = axes.collections
    rows = comparison.table.query("quantity == 'fitness'").set_index("organization")
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["StabilityAI", "Meta", "Qwen"]
    for level, drawn in ((95, wide), (50, narrow)):
        for name, segment in zip(labels, drawn.get_segments(), strict=True):
            assert segment[:, 0].tolist() == [
                rows.loc[name, f"lower_{level}"],
                rows.loc[name, f"upper_{level}"],
            ]
    assert axes.lines[0].get_xdata().tolist() == rows.loc[labels, "median"].tolist()
    bottom, top = axes.get_ylim()
    assert bottom > top  # the first stands on top


def test_panels_have_units_and_no_text_lies_on_another(comparison, assert_tidy):
    figure = comparison.plot()
    assert len(figure.axes) == 4
    for axes in figure.axes:
        assert axes.get_xlabel().splitlines()[-1].startswith("(")
    assert figure.axes[-1].get_xlabel().endswith("(fine-tunes)")
    assert_tidy(figure)


def test_every_uncertain_quantity_fits_five_to_a_figure(comparison, assert_tidy):
    names = [name for name, quantity in QUANTITIES.items() if quantity.larger is not None]
    for start in range(0, len(names), 5):
        assert_tidy(organization_forest(comparison.table, quantities=names[start : start + 5]))


def test_organizations_can_be_chosen_and_ordered(comparison):
    figure = organization_forest(comparison.table, ["Qwen", "Meta"])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["Qwen", "Meta"]


def test_what_is_not_in_the_table_is_refused(comparison):
    with pytest.raises(ComparisonError, match="'Mata' is not in the comparison; did you mean"):
        organization_forest(comparison.table, ["Mata"])
    with pytest.raises(ComparisonError, match="'speed' is not in the comparison"):
        organization_forest(comparison.table, quantities=["speed"])
