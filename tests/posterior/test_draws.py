"""Fit files: written whole, and refused in one line when they are anything else."""

import json
import random
import re
import subprocess
import sys

import h5py
import pytest
import xarray as xr

from bayes_hfgrowth import load_fit
from bayes_hfgrowth.posterior.draws import ATTRIBUTE, read_tree, write_tree
from bayes_hfgrowth.support.errors import FitError


@pytest.fixture(scope="module")
def small_fit(make_fit):
    """With arrays that are compressed in a file, and others that are too short for that."""
    return make_fit(base_models=6, chains=2, draws=60)


@pytest.fixture(scope="module")
def content(small_fit, tmp_path_factory):
    """Its file, byte by byte."""
    path = tmp_path_factory.mktemp("draws") / "fit.nc"
    small_fit.save(path)
    return path.read_bytes()


def refusal(path):
    with pytest.raises(FitError) as refused:
        read_tree(path)
    said = str(refused.value)
    assert "\n" not in said
    assert str(path) in said
    return said


def described(content, tmp_path, about):
    """The file with another attribute."""
    path = tmp_path / "described.nc"
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        assert ATTRIBUTE in file.attrs
        file.attrs[ATTRIBUTE] = about
    return path


def changed(fit, tmp_path, change):
    """The file of a fit after a change to its tree."""
    tree = fit.tree.copy()
    change(tree)
    path = tmp_path / "changed.nc"
    write_tree(tree, path)
    return path


def test_what_is_written_is_read_back(small_fit, tmp_path):
    path = tmp_path / "fit.nc"
    small_fit.save(path)
    read = load_fit(path)
    assert read.about == small_fit.about
    assert read.base_models == small_fit.base_models
    assert read.organizations == ("Meta", "Qwen", "StabilityAI")
    for group in small_fit.tree.children:
        xr.testing.assert_equal(read.tree[group].to_dataset(), small_fit.tree[group].to_dataset())
    # the file is not held open: it can be replaced and removed
    write_tree(read.tree, path)
    assert load_fit(path).about == small_fit.about


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fit.csv", "does not end in .nc"),
        ("fit", "does not end in .nc"),
        ("nowhere/fit.nc", "there is no folder"),
        ("folder.nc", "is a folder"),
    ],
)
def test_places_that_cannot_be_written_to(small_fit, tmp_path, name, message):
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(FitError, match=message):
        small_fit.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.nc"]


def test_a_failing_write_leaves_the_old_file_and_nothing_else(small_fit, tmp_path):
    path = tmp_path / "fit.nc"
    path.write_bytes(b"old")
    tree = small_fit.tree.copy()
    tree.attrs["impossible"] = {"netCDF": "has no such attribute"}
    with pytest.raises(TypeError):
        write_tree(tree, path)
    assert [file.name for file in tmp_path.iterdir()] == ["fit.nc"]
    assert path.read_bytes() == b"old"


def test_an_ending_in_capitals_will_do(small_fit, tmp_path):
    small_fit.save(tmp_path / "FIT.NC")
    assert load_fit(tmp_path / "FIT.NC").about == small_fit.about


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist; make a fit with: hfgrowth fit PANEL --out"),
        (b"", "is not a NetCDF file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "is not a NetCDF file"),
        (b"<!doctype html><html></html>", "is not a NetCDF file"),
        (b"base_model,month\n", "is not a NetCDF file"),
        (b"\x89HDF\r\n\x1a\n", "is damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(5000), "is damaged"),
    ],
)
def test_files_that_are_no_fit(tmp_path, content, message):
    path = tmp_path / "wrong.nc"
    if content is not None:
        path.write_bytes(content)
    assert message in refusal(path)


def test_folders_and_devices(tmp_path):
    assert "is a folder" in refusal(tmp_path)
    assert "is not a NetCDF file" in refusal("/dev/null")


def test_another_netcdf_file(tmp_path):
    path = tmp_path / "other.nc"
    xr.Dataset({"x": ("a", [1, 2])}).to_netcdf(path, engine="h5netcdf")
    assert "has no group posterior; make one with hfgrowth fit" in refusal(path)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ("not JSON", "JSONDecodeError"),
        ("[1]", "TypeError"),
        ('{"format": 99}', "it has format 99, not 1"),
        ("{}", "KeyError: 'format'"),
        ("[" * 50_000, "written by an unknown version, is not a fit that this version"),
    ],
)
def test_foreign_attributes(content, tmp_path, about, message):
    said = refusal(described(content, tmp_path, about))
    assert message in said
    assert said.endswith("fit the panel again")


@pytest.mark.parametrize(
    "key", ["specification", "panel", "seed", "pointwise_every", "convergence"]
)
def test_each_part_of_the_attribute_is_needed(small_fit, content, tmp_path, key):
    about = {name: part for name, part in small_fit.about.items() if name != key}
    assert len(about) == len(small_fit.about) - 1
    assert f"'{key}'" in refusal(described(content, tmp_path, json.dumps(about)))


def test_a_fit_of_an_earlier_law_is_refused_by_the_version_that_wrote_it(
    small_fit, content, tmp_path
):
    about = json.loads(small_fit.tree.attrs[ATTRIBUTE])
    del about["specification"]["reinforcement"]
    about["versions"] = {"bayes-hfgrowth": "0.0.9"}
    said = refusal(described(content, tmp_path, json.dumps(about)))
    assert "written by bayes-hfgrowth 0.0.9, is not a fit that this version" in said
    assert "reinforcement is missing" in said
    assert said.endswith("fit the panel again")


def test_missing_groups_and_variables(small_fit, tmp_path):
    def without_group(tree):
        del tree["log_likelihood"]

    assert "has no group log_likelihood" in refusal(changed(small_fit, tmp_path, without_group))

    def without_fitness(tree):
        tree["posterior"] = xr.DataTree(tree["posterior"].to_dataset().drop_vars("fitness"))

    assert "fitness" in refusal(changed(small_fit, tmp_path, without_fitness))

    def without_a_base_model(tree):
        few = tree["posterior"].to_dataset().isel(base_model=slice(3))
        tree["posterior"] = xr.DataTree(few)

    assert "fitness has the dimensions" in refusal(
        changed(small_fit, tmp_path, without_a_base_model)
    )

    def without_a_month(tree):
        few = tree["log_likelihood"].to_dataset().isel(observation=slice(3))
        tree["log_likelihood"] = xr.DataTree(few)

    assert "log_likelihood holds 3 months" in refusal(changed(small_fit, tmp_path, without_a_month))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_files_cut_anywhere_are_refused(tmp_path, content):
    """As after a broken download; nothing is printed by a library on the way."""
    dice = random.Random(1)
    path = tmp_path / "damaged.nc"
    for length in [0, 1, 8, 100, *(dice.randrange(len(content)) for _ in range(36))]:
        path.write_bytes(content[:length])
        assert refusal(path)
    path.write_bytes(content)
    assert load_fit(path)


def test_zeroed_blocks_are_refused_or_harmless(tmp_path, content):
    """As after a disk failure. HDF5 itself runs for ever on some files with a zeroed heap."""
    heaps = [match.start() for match in re.finditer(rb"GCOL\x01", content)]
    assert heaps
    dice = random.Random(1)
    places = [heap + shift for heap in heaps for shift in (0, 16, 512, 2048)]
    places += [dice.randrange(len(content)) for _ in range(12)]
    for number, at in enumerate(places):
        damaged = content[:at] + bytes(512) + content[at + 512 :]
        (tmp_path / f"{number}.nc").write_bytes(damaged[: len(content)])
    code = (
        "import sys\n"
        "from bayes_hfgrowth.posterior.draws import read_tree\n"
        "from bayes_hfgrowth.support.errors import FitError\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        read_tree(path)\n"
        "        print('harmless')\n"
        "    except FitError as refusal:\n"
        "        print(refusal)\n"
    )
    names = [str(tmp_path / f"{number}.nc") for number in range(len(places))]
    done = subprocess.run(  # in a process that can be stopped
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=True,
        timeout=120,
    )  # fmt: skip
    said = done.stdout.splitlines()
    assert len(said) == len(places)
    assert done.stderr == ""
    for line, name in zip(said, names, strict=True):
        assert line == "harmless" or line.startswith((f"{name} is ", f"{name}, written by "))
    assert sum("a heap has nothing" in line for line in said) >= len(heaps)
