"""The population that comes with the package: how it is made, and the file as it is."""

import dataclasses
import json
from importlib.resources import files

import pytest

import bayes_hfgrowth as hfg
from bayes_hfgrowth.data.make_population import COUNTS, LARGEST, LICENCE, main, write_population
from bayes_hfgrowth.fit import GrowthFit
from bayes_hfgrowth.posterior.draws import ATTRIBUTE
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import FitError

DATA = files("bayes_hfgrowth") / "data"


def judged(fit, converged):
    """The fit with another verdict."""
    tree = fit.tree.copy()
    verdict = dataclasses.replace(
        fit.convergence, converged=converged, problems=() if converged else ("a test says so",)
    )
    about = {**fit.about, "convergence": json.loads(verdict.to_json())}
    tree.attrs[ATTRIBUTE] = json.dumps(about)
    return GrowthFit(tree)


def test_what_did_not_converge_is_refused_unless_told_so(tiny_fit, tmp_path):
    bad = judged(tiny_fit, converged=False)
    with pytest.raises(FitError, match="did not converge: a test says so; nothing was written"):
        write_population(bad, tmp_path, 100)
    assert list(tmp_path.iterdir()) == []
    write_population(bad, tmp_path, 100, even_if_not_converged=True)
    assert "NOT CONVERGED" in (tmp_path / "population.md").read_text(encoding="utf-8")


def test_a_population_is_written_thinned_with_its_card(tiny_fit, tmp_path):
    written = write_population(judged(tiny_fit, converged=True), tmp_path, 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["population.md", "population.nc"]
    again = PopulationPosterior.load(tmp_path / "population.nc")
    assert again.about == written.about
    assert len(again.spreads) == 100
    card = (tmp_path / "population.md").read_text(encoding="utf-8")
    assert "NOT CONVERGED" not in card
    assert tiny_fit.about["panel"]["digest"] in card
    assert "license: mit" in card
    assert "hfg.load_population()" in card


def test_the_script_fits_what_it_is_told(tmp_path, capsys):
    options = ["--min-finetunes", "80", "--draws", "30", "--tune", "30", "--chains", "2"]
    options += ["--seed", "5", "--keep", "20", "--as-of", "2022-12-21", "--out", str(tmp_path)]
    assert main(options) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert main([*options, "--even-if-not-converged"]) == 0
    made = PopulationPosterior.load(tmp_path / "population.nc")
    assert made.about["seed"] == 5
    assert made.about["panel"]["fewest_finetunes"] >= 80
    assert made.about["panel"]["observed_at"].startswith("2022-12-21")
    assert main(["--model", "gompertz", "--out", str(tmp_path)]) == 2


def test_the_shipped_file_is_small_and_of_the_shipped_data():
    assert len((DATA / "population.nc").read_bytes()) < LARGEST
    population = hfg.load_population()
    assert population.spec == hfg.read_spec("surge")
    panel = hfg.load_example()
    chosen = panel.select(min_finetunes=population.about["panel"]["fewest_finetunes"])
    assert population.about["panel"]["digest"] == chosen.digest
    assert set(population.organizations) == set(chosen.base_models["organization"])


def test_the_shipped_card_is_that_of_the_shipped_file():
    card = hfg.load_population().generate_model_card(license=LICENCE, data=COUNTS, shipped=True)
    assert (DATA / "population.md").read_text(encoding="utf-8").rstrip() == str(card).rstrip()
