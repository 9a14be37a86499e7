"""Panels of several relations on the command line."""

import pandas as pd
import pytest

from bayes_hfgrowth import RelationPanels


@pytest.fixture
def relations(small_panel, tmp_path):
    """The small panel by two relations, twice as many adapters as fine-tunes."""
    from bayes_hfgrowth import Panel

    table = small_panel.table.assign(observed_at="2024-04-10", relation="adapter")
    table["finetunes"] *= 2
    path = tmp_path / "p.csv"
    RelationPanels({"finetune": small_panel, "adapter": Panel.from_table(table)}).write(path)
    return path


def test_compare_shows_relations(here, relations, tmp_path):
    done = here("compare", relations, "meta-llama/A", "Qwen/B", "--out", tmp_path / "c.csv")
    assert done.returncode == 0, done.stderr
    assert "meta-llama/A on 2024-03-31, 2 months old" in done.stdout
    assert "adapters" in done.stdout
    table = pd.read_csv(tmp_path / "c.csv")
    assert table["count"].tolist() == [9, 18, 0, 0]


def test_compare_tells_what_it_cannot(refused, relations, tmp_path):
    assert "'no/such' is not in the panel" in refused("compare", relations, "no/such")
    assert "--seed goes with a fit" in refused("compare", relations, "Qwen/B", "--seed", 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "{}", "--out", "{}.nc"),
        ("backtest", "{}", "--as-of", "2024-03-01", "--months", 1, "--out", "{}.d"),
    ],
)
def test_several_relations_are_never_mixed(refused, relations, arguments):
    said = refused(*(str(part).replace("{}", str(relations)) for part in arguments))
    assert "counts several relations (finetune, adapter); choose one with --relation" in said


def test_a_fit_counts_authors_only_where_they_are_known(refused, relations, tmp_path):
    said = refused("fit", relations, "--relation", "adapter", "--metric", "authors", "--out",
                   tmp_path / "f.nc")  # fmt: skip
    assert "no column 'authors'" in said


def test_a_relation_without_a_panel_is_refused(refused, tmp_path):
    for command in ("forecast", "rank"):
        said = refused(command, "fit.nc", "--relation", "adapter", "--months", 3, "--out",
                       tmp_path / "f.csv")  # fmt: skip
        assert "--relation goes with --panel" in said or "does not exist" in said
    for command, out in (("diagnose", "checks"), ("figures", "figures"), ("report", "r.html")):
        said = refused(command, "fit.nc", "--relation", "adapter", "--out", tmp_path / out)
        assert "--relation goes with --panel; a fit knows what it was fitted to" in said
