"""Saving figures, and the parts that all figures share."""

import pytest
from matplotlib.figure import Figure
from PIL import Image

from bayes_hfgrowth.figures.style import (
    COLOURS,
    WIDTH,
    counts_on,
    new_figure,
    save_figure,
    shortened,
    styled,
)
from bayes_hfgrowth.support.errors import ForecastError, HFGrowthError


def drawn() -> Figure:
    with styled():
        figure = new_figure(2.0)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize(
    ("ending", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_figures_are_saved_in_each_format_and_always_alike(tmp_path, ending, head):
    for name in ("first", "second"):
        save_figure(drawn(), tmp_path / f"{name}.{ending}")
    content = (tmp_path / f"first.{ending}").read_bytes()
    assert content.startswith(head)
    assert content == (tmp_path / f"second.{ending}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_png_has_the_width_of_a_paper_at_200_dots_an_inch(tmp_path):
    save_figure(drawn(), tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size == (round(WIDTH * 200), 400)


@pytest.mark.parametrize("name", ["figure.jpg", "figure"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ForecastError, match=r"\.png, \.svg or \.pdf"):
        save_figure(drawn(), tmp_path / name, ForecastError)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(HFGrowthError, match="create it first"):
        save_figure(drawn(), tmp_path / "missing" / "figure.png")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(-7500, "\N{MINUS SIGN}7,500"),
     (0, "0"), (950, "950"), (1200, "1,200"), (12000, "12k"), (3.4e6, "3.4M"), (2e9, "2G"),
     (0.5, "0.5")],
)  # fmt: skip
def test_counts_are_written_short(value, shown):
    axes = new_figure(2.0).subplots()
    counts_on(axes, x=True, y=True)
    assert axes.xaxis.get_major_formatter()(value) == shown
    assert axes.yaxis.get_major_formatter()(value) == shown


def test_long_names_are_cut_in_the_middle():
    assert shortened("short", 5) == "short"
    cut = shortened("facebook/a-very-long-name-of-a-model", 15)
    assert len(cut) == 15
    assert cut.startswith("faceboo")
    assert cut.endswith("a-model")
    assert "…" in cut


def test_colours_differ_in_lightness_or_hue_for_every_eye():
    """Machado, Oliveira and Fernandes (2009), full deuteranopia, protanopia, tritanopia."""
    import numpy as np
    from matplotlib.colors import to_rgb

    matrices = {
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                   [-0.011820, 0.042940, 0.968881]],
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
    }  # fmt: skip
    seen_together = ("observed", "model", "paper")
    for matrix in matrices.values():
        seen = [np.array(matrix) @ np.array(to_rgb(COLOURS[name])) for name in seen_together]
        for i in range(3):
            for j in range(i):
                assert np.abs(seen[i] - seen[j]).max() > 0.25
