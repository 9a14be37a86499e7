"""Fits and populations through folders and a stand-in Hub, by the real client."""

import dataclasses
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from huggingface_hub import ModelCard, constants
from markdown_it import MarkdownIt

sys.path.insert(0, str(Path(__file__).parent))  # the server stands beside the tests

from repository_server import TOKEN, Repositories, Repository, serve

import bayes_hfgrowth as hfg
from bayes_hfgrowth.fit import GrowthFit
from bayes_hfgrowth.posterior.draws import ATTRIBUTE
from bayes_hfgrowth.posterior.model_card import code_span
from bayes_hfgrowth.posterior.population import PopulationPosterior
from bayes_hfgrowth.support.errors import FitError

REPOSITORY = "lab/growth"

# Of huggingface_hub's own: how it hands a file to its HTTP client, and the temporary folder of a
# push that failed, which it leaves to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning"),
]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Serves a stand-in Hub, which every call of huggingface_hub then asks."""
    with serve(Repositories()) as running:
        ask(monkeypatch, running.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # the store of the real Hub
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


def ask(monkeypatch, endpoint):
    """Set what HF_ENDPOINT sets when huggingface_hub is loaded."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture(scope="module")
def fit(tiny_fit):
    return tiny_fit


@pytest.fixture(scope="module")
def population(fit):
    return PopulationPosterior.from_fit(fit, 200)


@pytest.fixture(scope="module")
def saved(fit, population, tmp_path_factory):
    """Both in folders, to be read and copied."""
    folder = tmp_path_factory.mktemp("saved")
    fit.save_pretrained(folder / "fit")
    population.save_pretrained(folder / "population")
    return folder


def publish(hub, folder):
    """Put the files of a folder into the Hub, as pushing them does."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    hub.repositories[REPOSITORY] = repository = Repository()
    repository.commit(files)
    repository.in_lfs = {name for name in files if name.endswith(hub.lfs)}
    for name in repository.in_lfs:
        hub.blobs[hashlib.sha256(files[name]).hexdigest()] = files[name]
    return repository


def refusal(call, *arguments, **options):
    """The one line of a refusal."""
    with pytest.raises(FitError) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    return message


def altered(fit, **changes):
    """The same fit with other words in it; ``organizations`` renames them."""
    tree = fit.tree.copy()
    names = changes.pop("organizations", None)
    about = {**fit.about, **changes}
    tree.attrs[ATTRIBUTE] = json.dumps(about)
    if names is not None:
        for group in ("posterior", "constant_data"):
            dataset = tree[group].to_dataset()
            tree[group] = xr.DataTree(dataset.assign_coords(organization=names))
    return GrowthFit(tree)


def unconverged(fit, problem="R-hat of global_fitness is 1.200, not below 1.01"):
    verdict = dataclasses.replace(
        fit.convergence, converged=False, problems=(problem,), r_hat=1.2, divergences=7
    )
    return altered(fit, convergence=json.loads(verdict.to_json()))


# --- The class ------------------------------------------------------------------------------


def test_the_mixin_does_not_take_arguments_for_a_configuration(fit, population):
    for made in (fit, GrowthFit(tree=fit.tree), population, population.thinned(10)):
        assert "_hub_mixin_config" not in vars(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit.tree = None


# --- Folders --------------------------------------------------------------------------------


def test_a_fit_comes_back_from_its_folder(fit, tmp_path):
    folder = tmp_path / "new" / "growth"
    fit.save_pretrained(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "fit.nc"]
    again = GrowthFit.from_pretrained(folder)
    assert type(again) is GrowthFit
    assert again.about == fit.about
    assert again.convergence == fit.convergence
    xr.testing.assert_identical(again.posterior, hfg.load_fit(folder / "fit.nc").posterior)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["library_name"] == "bayes-hfgrowth"
    assert config["kind"] == "fit"
    assert config["specification"] == fit.about["specification"]


def test_a_population_comes_back_from_its_folder_or_that_of_a_fit(population, saved):
    assert (saved / "population" / "population.nc").stat().st_size < 1e6
    small = PopulationPosterior.from_pretrained(saved / "population")
    np.testing.assert_allclose(small.spreads, population.spreads, rtol=1e-6)
    assert small.organizations == population.organizations
    large = PopulationPosterior.from_pretrained(saved / "fit")
    assert len(large.spreads) > len(small.spreads)


def test_saving_again_renews_the_card_unless_somebody_has_taken_it_over(fit, saved, tmp_path):
    shutil.copytree(saved / "fit", tmp_path, dirs_exist_ok=True)
    card = tmp_path / "README.md"
    unconverged(fit).save_pretrained(tmp_path)
    assert "NOT CONVERGED: do not trust" in card.read_text(encoding="utf-8")
    card.write_text("# Mine\n", encoding="utf-8")
    fit.save_pretrained(tmp_path)
    assert card.read_text(encoding="utf-8") == "# Mine\n"


def test_folders_that_hold_something_else(saved, tmp_path):
    assert "holds no fit.nc" in refusal(GrowthFit.from_pretrained, tmp_path)
    shutil.copytree(saved / "population", tmp_path, dirs_exist_ok=True)
    assert "holds no fit.nc" in refusal(GrowthFit.from_pretrained, tmp_path)
    (tmp_path / "population.nc").rename(tmp_path / "fit.nc")
    assert "is not a fit of this package" in refusal(GrowthFit.from_pretrained, tmp_path)
    (tmp_path / "fit.nc").write_bytes(b"\x80\x04K\x01.")  # a pickle
    assert "is not a NetCDF file" in refusal(GrowthFit.from_pretrained, tmp_path)
    message = refusal(PopulationPosterior.from_pretrained, tmp_path)
    assert "fit.nc of" in message
    assert "is not a NetCDF file" in message
    assert "read it with load_fit" in refusal(GrowthFit.from_pretrained, tmp_path / "fit.nc")


@pytest.mark.parametrize("config", ["[1]", "null", "{", '"text"', "[" * 100_000])
def test_a_config_that_is_none_is_one_line(saved, tmp_path, config):
    shutil.copytree(saved / "fit", tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.json").write_text(config, encoding="utf-8")
    assert "config.json" in refusal(GrowthFit.from_pretrained, tmp_path)


def test_a_config_changes_nothing_of_what_is_read(population, saved, tmp_path):
    shutil.copytree(saved / "population", tmp_path, dirs_exist_ok=True)
    config = {"about": {"seed": 99}, "posterior": 1, "kwargs": 2, "args": 3, "cls": 4}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert PopulationPosterior.from_pretrained(tmp_path).about == population.about


def test_half_a_file_is_one_line(fit, population, saved, tmp_path):
    for shared in (fit, population):
        folder = shutil.copytree(saved / shared._kind, tmp_path / shared._kind)
        [path] = folder.glob("*.nc")
        content = path.read_bytes()
        for share in (0.0, 0.3, 0.9):
            path.write_bytes(content[: int(share * len(content))])
            assert path.name in refusal(type(shared).from_pretrained, folder)


def test_an_attribute_that_is_not_json_is_one_line(population, tmp_path):
    tree = xr.DataTree.from_dict({"posterior": population.posterior})
    tree.attrs[ATTRIBUTE] = "{never closed"
    tree.to_netcdf(tmp_path / "population.nc", engine="h5netcdf")
    assert "is not JSON" in refusal(PopulationPosterior.from_pretrained, tmp_path)


def test_places_that_cannot_be_written_to(fit, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(fit.save_pretrained, tmp_path / "file")
    assert "cannot be written" in refusal(fit.save_pretrained, tmp_path / "file" / "below")


# --- The model card -------------------------------------------------------------------------


def test_the_card_says_what_the_fit_is(fit):
    card = fit.generate_model_card(license="mit", data="a test", repo_id=REPOSITORY)
    metadata = yaml.safe_load(str(card).split("---\n")[1])
    assert metadata["library_name"] == "bayes-hfgrowth"
    assert metadata["license"] == "mit"
    assert {"forecasting", "bayesian", "model_hub_mixin"} <= set(metadata["tags"])
    text = card.text
    panel = fit.about["panel"]
    for expected in (
        f"Fine-tunes: {panel['finetunes']:,}", "Observed on: `2024-08-01`", "Base models: 15",
        panel["digest"], "Growth model: `surge`", "Seed: 1", "`pymc`: `6.", "`OpenAI`",
        f'from_pretrained("{REPOSITORY}")', str(fit.convergence), "Licence: `mit`", "`a test`",
    ):  # fmt: skip
        assert expected in text, expected
    assert "license" not in yaml.safe_load(str(fit.generate_model_card()).split("---\n")[1])
    assert "Licence: not stated" in fit.generate_model_card().text


def test_the_card_is_loud_when_the_sampler_did_not_converge(fit, population):
    bad = unconverged(fit)
    for shared in (bad, PopulationPosterior.from_fit(bad)):
        text = shared.generate_model_card().text
        head = text[: text.index("## How to use it")]
        assert "NOT CONVERGED: do not trust these numbers" in head
        assert "R-hat of global_fitness is 1.200" in head
        assert bad.convergence.advice in head
    good = dataclasses.replace(fit.convergence, converged=True, problems=())
    text = altered(fit, convergence=json.loads(good.to_json())).generate_model_card().text
    assert "NOT CONVERGED" not in text


def test_the_card_of_a_selection_says_that_it_is_one(fit):
    panel = {**fit.about["panel"], "fewest_finetunes": 30}
    text = altered(fit, panel=panel).generate_model_card().text
    assert "Only base models with at least 30 fine-tunes were fitted" in text


HOSTILE = (
    "<script>alert(1)</script>",
    "a\n---\nlicense: evil",
    "`code` ``more``",
    "](https://evil.example) **bold** | cell",
    "\n# A heading\n\n- list",
    "{{ 7 * 7 }} {% raw %}",
    "zero\u200bwidth\u202e",
)


def test_foreign_names_stay_text_in_the_card(fit):
    number = len(fit.organizations)
    names = [*HOSTILE, *(f"other-{i}" for i in range(number))][:number]
    for some in (names, list(HOSTILE)[-number:]):
        bad = unconverged(altered(fit, organizations=some), f"R-hat of x[{some[0]}] is bad")
        honest = unconverged(fit)
        card = ModelCard(str(bad.generate_model_card()))  # as a reader takes it apart
        assert card.data.to_dict() == honest.generate_model_card().data.to_dict()
        ours, theirs = (
            [line for line in one.splitlines() if line.startswith(("#", "---", "```", "!"))]
            for one in (card.text, honest.generate_model_card().text)
        )
        assert ours == theirs  # no new heading, rule or block
        assert "49" not in card.text.replace(str(fit.about["panel"]), "").split("## Data")[0]
        assert "\u200b" not in card.text
        assert "\u202e" not in card.text


def test_foreign_names_are_code_for_a_reader_of_markdown():
    markdown = MarkdownIt("commonmark", {"html": True})
    for name in HOSTILE:
        block = markdown.parse(f"- Names: {code_span(name)}, {code_span('next')}\n")
        [inline] = [token for token in block if token.type == "inline"]
        kinds = [child.type for child in inline.children]
        assert kinds == ["text", "code_inline", "text", "code_inline"], name
        assert inline.children[1].content == " ".join(
            "".join(sign if sign.isprintable() else "?" for sign in " ".join(name.split())).split()
        )


# --- The Hub --------------------------------------------------------------------------------


def test_a_fit_is_pushed_and_comes_back(fit, hub, tmp_path):
    address = fit.push_to_hub(REPOSITORY, model_card_kwargs={"license": "mit"})
    repository = hub.repositories[REPOSITORY]
    commit, files = repository.commits[-1]
    assert address == f"{hub.endpoint}/{REPOSITORY}/commit/{commit}"
    assert set(files) == {".gitattributes", "README.md", "config.json", "fit.nc"}
    assert repository.in_lfs == {"fit.nc"}
    assert hub.asked("PUT", "/blobs/") == 1
    assert hub.asked("POST", "/api/validate-yaml") >= 1
    assert f'from_pretrained("{REPOSITORY}")' in files["README.md"].decode()
    assert b"license: mit" in files["README.md"]
    again = GrowthFit.from_pretrained(REPOSITORY)
    assert again.about == fit.about
    assert again.forecast(3).table().equals(fit.forecast(3).table())
    asked = hub.asked("GET", "/blobs/")
    GrowthFit.from_pretrained(REPOSITORY)  # from the cache
    assert hub.asked("GET", "/blobs/") == asked == 1


def test_a_population_is_pushed_in_the_commit_itself_where_the_hub_wants_that(
    population, hub, monkeypatch
):
    hub.lfs = (".bin",)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)  # its other way to upload
    population.push_to_hub(REPOSITORY, private=True)
    assert hub.repositories[REPOSITORY].private
    assert hub.repositories[REPOSITORY].in_lfs == set()
    again = PopulationPosterior.from_pretrained(REPOSITORY)
    np.testing.assert_allclose(again.spreads, population.spreads, rtol=1e-6)


def test_pushing_again_makes_another_commit_and_revisions_can_be_read(fit, hub):
    fit.push_to_hub(REPOSITORY)
    first = hub.repositories[REPOSITORY].commits[-1][0]
    unconverged(fit).push_to_hub(REPOSITORY)
    assert GrowthFit.from_pretrained(REPOSITORY).convergence.problems != ()
    assert GrowthFit.from_pretrained(REPOSITORY, revision=first).convergence == fit.convergence
    assert b"NOT CONVERGED" in hub.repositories[REPOSITORY].commits[-1][1]["README.md"]
    assert "no such revision" in refusal(GrowthFit.from_pretrained, REPOSITORY, revision="0ff")


def test_a_population_is_read_from_the_repository_of_a_fit(fit, saved, hub):
    publish(hub, saved / "fit")
    assert PopulationPosterior.from_pretrained(REPOSITORY).about["seed"] == fit.about["seed"]


def test_whoever_may_not_is_told_in_one_line(fit, hub, monkeypatch):
    assert "refuses the token" in refusal(fit.push_to_hub, "others/growth")
    assert "refuses the token" in refusal(fit.push_to_hub, REPOSITORY, token="hf_wrong")
    monkeypatch.delenv("HF_TOKEN")
    assert "log in with `hf auth login`" in refusal(fit.push_to_hub, REPOSITORY)
    monkeypatch.setenv("HF_TOKEN", "hf_\u20ac")
    message = refusal(fit.push_to_hub, REPOSITORY)
    assert "no token has" in message
    assert "\u20ac" not in message
    assert hub.repositories == {}


def test_repositories_that_cannot_be_read(saved, hub, monkeypatch):
    read = GrowthFit.from_pretrained
    assert "neither a folder here nor a repository" in refusal(read, "lab/none")
    assert "namespace/name" in refusal(read, "no/such/folder")
    repository = publish(hub, saved / "fit")
    repository.in_lfs.clear()
    repository.commit({"fit.nc": b"\x89HDF\r\n\x1a\n damaged"})
    assert "fit.nc of lab/growth is unusable" in refusal(read, REPOSITORY)
    repository.commit({"fit.nc": b"<html>"})
    assert "is not a NetCDF file" in refusal(read, REPOSITORY)
    repository.commit({}, {"fit.nc"})
    assert "lab/growth holds no fit.nc" in refusal(read, REPOSITORY)
    repository.commit({"config.json": b"[]"})
    assert "config.json" in refusal(read, REPOSITORY)
    hub.repositories["lab/gated"] = dataclasses.replace(repository, gated=True)
    assert "is gated" in refusal(read, "lab/gated")
    hub.repositories["lab/private"] = dataclasses.replace(repository, private=True)
    monkeypatch.delenv("HF_TOKEN")
    assert "or it is private" in refusal(read, "lab/private")


def test_a_hub_in_trouble_is_one_line(fit, hub, monkeypatch):
    hub.fail = {"/commit/": 422}
    assert "answers with status 422 (trouble in the stand-in" in refusal(
        fit.push_to_hub, REPOSITORY
    )
    hub.blobs.clear()
    hub.fail = {"/blobs/": 403}
    assert "status 403" in refusal(fit.push_to_hub, REPOSITORY)
    hub.fail = {}
    fit.push_to_hub(REPOSITORY)
    hub.html = True
    for call in (fit.push_to_hub, GrowthFit.from_pretrained):
        assert "not the Hub's" in refusal(call, "lab/other")


def test_a_hub_that_is_not_there_is_one_line(fit, saved, hub, monkeypatch):
    publish(hub, saved / "fit")
    GrowthFit.from_pretrained(REPOSITORY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        ask(monkeypatch, f"http://127.0.0.1:{free.getsockname()[1]}")
        assert "can't be reached" in refusal(fit.push_to_hub, REPOSITORY)
        assert "can't be reached" in refusal(GrowthFit.from_pretrained, "lab/other")
        assert GrowthFit.from_pretrained(REPOSITORY).about == fit.about  # it was kept
    missing = refusal(GrowthFit.from_pretrained, "lab/other", local_files_only=True)
    assert "is not in the cache" in missing


def test_a_process_of_its_own_asks_the_hub_of_the_environment(population, saved, hub, tmp_path):
    publish(hub, saved / "population")
    code = (
        "import bayes_hfgrowth as hfg\n"
        f"population = hfg.PopulationPosterior.from_pretrained({REPOSITORY!r})\n"
        "print(*population.organizations)"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True,
        text=True, check=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == list(population.organizations)
