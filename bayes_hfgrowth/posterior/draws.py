"""A fitted growth model as data: draws, observations, and how they came about, in one file."""

import json
import os
import struct
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import xarray as xr

from bayes_hfgrowth.model.specification import GrowthSpec
from bayes_hfgrowth.panel.counted import Counted
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.convergence import Convergence
from bayes_hfgrowth.support.errors import FitError, HFGrowthError
from bayes_hfgrowth.support.files import is_file, is_folder, is_there, whole_file

__all__ = [
    "ATTRIBUTE",
    "FORMAT",
    "Described",
    "FittedDraws",
    "read_group",
    "read_tree",
    "write_tree",
    "writer_of",
]

ATTRIBUTE = "bayes_hfgrowth"
"""Attribute of the file that holds everything but arrays, as JSON."""

FORMAT = 1
"""Version of the file format."""

_HEAP = b"GCOL\x01\0\0\0"  # how a global heap of HDF5 begins

_PREDICTIVE = ("posterior_predictive", "log_likelihood")
_GROUPS = ("posterior", "sample_stats", "prior", *_PREDICTIVE, "observed_data", "constant_data")
_NOT_JSON = (RecursionError, TypeError, ValueError)  # what reading other text as JSON raises


class Described:
    """What a fit says of itself, and the population that is taken from it."""

    about: dict[str, Any]
    """How the fit was made: specification, panel, dates, seed, convergence, versions."""

    @cached_property
    def spec(self) -> GrowthSpec:
        """The growth model."""
        return GrowthSpec.from_json(json.dumps(self.about["specification"]))

    @cached_property
    def convergence(self) -> Convergence:
        """The verdict on the sampler, made when the model was fitted."""
        return Convergence.from_json(json.dumps(self.about["convergence"]))

    @cached_property
    def counted(self) -> Counted:
        """What was counted: fine-tunes where the fit does not say."""
        return Counted.read(self.about.get("panel", {}))


@dataclass(frozen=True, eq=False)
class FittedDraws(Described):
    """Posterior draws of a growth model with all that is needed to use them.

    Parameters
    ----------
    tree : xarray.DataTree
        The groups that ArviZ knows: ``posterior``, ``sample_stats``, ``prior``,
        ``prior_predictive``, ``posterior_predictive``, ``log_likelihood``, ``log_prior``,
        ``observed_data``, ``constant_data``.
    """

    tree: xr.DataTree

    @cached_property
    def about(self) -> dict[str, Any]:  # type: ignore[override]  # frozen, like a field
        """How the fit was made: specification, panel digest, dates, seed, versions."""
        return json.loads(self.tree.attrs[ATTRIBUTE])

    @cached_property
    def history(self) -> History:
        """The months that were fitted."""
        return History.from_datasets(
            self.tree["observed_data"].to_dataset(),
            self.tree["constant_data"].to_dataset(),
            self.counted,
        )

    @property
    def posterior(self) -> xr.Dataset:
        """Posterior draws over ``chain``, ``draw``, ``organization``, ``base_model``."""
        return self.tree["posterior"].to_dataset()

    @property
    def base_models(self) -> tuple[str, ...]:
        """Base models in the fit."""
        return self.history.base_models

    @property
    def organizations(self) -> tuple[str, ...]:
        """Organizations in the fit."""
        return self.history.organizations

    @property
    def observed_at(self) -> pd.Timestamp | None:
        """Observation date of the panel (UTC), where it is known."""
        stamp = self.about["panel"]["observed_at"]
        return pd.Timestamp(stamp) if stamp else None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to one NetCDF file.

        Parameters
        ----------
        path : path-like
            Ends in ``.nc``. The file appears whole or not at all.

        Raises
        ------
        FitError
            When the name is another, or the file cannot be written.
        """
        write_tree(self.tree, path)


def write_tree(tree: xr.DataTree, path: str | os.PathLike[str]) -> None:
    """Write a tree to a compressed NetCDF file; as `FittedDraws.save`."""
    if Path(path).suffix.lower() != ".nc":
        raise FitError(f"{os.fspath(path)} does not end in .nc; a fit is one NetCDF file")
    encoding = {
        group.path: {
            str(name): {"zlib": True, "complevel": 1, "shuffle": True}
            for name, variable in group.data_vars.items()
            if variable.dtype.kind in "fiub" and variable.size > 1000
        }
        for group in tree.subtree
    }
    with whole_file(path, FitError) as temporary:
        tree.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)


def read_group(path: str | os.PathLike[str], group: str) -> tuple[xr.Dataset, dict[str, Any]]:
    """Read one group of a file, and the JSON attribute, into memory.

    Raises
    ------
    FitError
        When the file is missing, damaged, or has no such group or attribute.
    """
    name = os.fspath(path)
    loaded = _read_netcdf(path, group)
    if ATTRIBUTE not in loaded.attrs or group not in loaded.children:
        raise FitError(
            f"{name} is not a file of this package (no {group} or no attribute {ATTRIBUTE}); "
            "make one with hfgrowth fit"
        )
    try:
        about: dict[str, Any] = json.loads(loaded.attrs[ATTRIBUTE])
    except _NOT_JSON as failure:
        raise FitError(
            f"{name} is damaged (its attribute {ATTRIBUTE} is not JSON); fit the panel again"
        ) from failure
    return loaded[group].to_dataset(), about


def read_tree(path: str | os.PathLike[str]) -> xr.DataTree:
    """Read a fit file into memory and check that it is one.

    Raises
    ------
    FitError
        When the file is missing, damaged, or not a fit of this package.
    """
    name = os.fspath(path)
    loaded = _read_netcdf(path)
    missing = [group for group in _GROUPS if group not in loaded.children]
    if ATTRIBUTE not in loaded.attrs or missing:
        what = f"has no group {missing[0]}" if missing else f"has no attribute {ATTRIBUTE}"
        raise FitError(
            f"{name} is not a fit of this package: it {what}; make one with hfgrowth fit"
        )
    try:
        _check_tree(loaded)
    except (HFGrowthError, AttributeError, KeyError, *_NOT_JSON) as failure:
        reason = f"{type(failure).__name__}: {failure}" if failure.args else type(failure).__name__
        try:
            about = json.loads(loaded.attrs[ATTRIBUTE])
        except _NOT_JSON:
            about = None
        raise FitError(
            f"{name}, written by {writer_of(about)}, is not a fit that this version, "
            f"{version('bayes-hfgrowth')}, reads ({reason}); fit the panel again"
        ) from failure
    return loaded


def writer_of(about: Any) -> str:
    """What wrote a file, by its attribute, which may be anything."""
    versions = about.get("versions") if isinstance(about, dict) else None
    written = versions.get("bayes-hfgrowth") if isinstance(versions, dict) else None
    return f"bayes-hfgrowth {written}" if written else "an unknown version"


def _read_netcdf(path: str | os.PathLike[str], group: str | None = None) -> xr.DataTree:
    """Read a NetCDF file, or one group of it, into memory."""
    name = os.fspath(path)
    if not is_there(path):
        raise FitError(f"{name} does not exist; make a fit with: hfgrowth fit PANEL --out {name}")
    if is_folder(path):
        raise FitError(f"{name} is a folder; give the .nc file of a fit")
    if not os.access(path, os.R_OK):
        raise FitError(f"{name} cannot be read; ask for the right to")
    if not is_file(path) or not h5py.is_hdf5(name):
        raise FitError(f"{name} is not a NetCDF file; give the .nc file that hfgrowth fit wrote")
    try:
        _check_heaps(path)
        with h5py.File(name) as file:  # h5netcdf prints a traceback of its own if this fails
            file.visititems(_read_attributes)
        with xr.open_datatree(name, engine="h5netcdf") as tree:
            others = [] if group is None else [name for name in tree.children if name != group]
            return tree.drop_nodes(others).load()
    except (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError) as failure:
        reason = str(failure).splitlines()[0] if str(failure) else type(failure).__name__
        raise FitError(f"{name} is damaged ({reason}); fit the panel again") from failure


def _read_attributes(_: str, item: h5py.Group | h5py.Dataset) -> None:
    """Read all attributes of an item; h5py goes on to the next one because nothing is returned."""
    list(item.attrs.items())


def _check_heaps(path: str | os.PathLike[str]) -> None:
    """Walk the global heaps of an HDF5 file, which hold the names of dimensions, as HDF5 does.

    It goes from object to object by their sizes. A free object of size 0, as a zeroed block
    leaves it, would keep it in its place for ever.

    Raises
    ------
    ValueError
        When there is such an object.
    """
    with Path(path).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        start = data.find(_HEAP)
        while 0 <= start <= len(data) - 16:
            (size,) = struct.unpack_from("<Q", data, start + 8)
            end, at = min(start + size, len(data)), start + 16
            while at + 16 <= end:
                index, length = struct.unpack_from("<H6xQ", data, at)
                step = 16 + -(-length // 8) * 8 if index else length
                if step == 0:
                    raise ValueError(f"a heap has nothing at byte {at}")
                at += step
            start = data.find(_HEAP, start + 1)


def _check_tree(tree: xr.DataTree) -> None:
    """Read everything that a fit promises; whatever that raises is a fault of the file."""
    fit = FittedDraws(tree)
    if fit.about["format"] != FORMAT:
        raise ValueError(f"it has format {fit.about['format']}, not {FORMAT}")
    for key in ("panel", "seed", "pointwise_every", "convergence"):
        if key not in fit.about:
            raise ValueError(f"its attribute {ATTRIBUTE} has no {key!r}")
    assert isinstance(fit.convergence.problems, tuple)
    history, posterior = fit.history, fit.posterior
    sample = {name: posterior.sizes[name] for name in ("chain", "draw")}
    base_models = {"base_model": len(history.base_models)}
    organizations = {"organization": len(history.organizations)}
    for name in fit.spec.parameters:
        for variable, levels in (
            (name, base_models),
            (f"organization_{name}", organizations),
            (f"global_{name}", {}),
        ):
            if dict(posterior[variable].sizes) != sample | levels:
                raise ValueError(f"{variable} has the dimensions {dict(posterior[variable].sizes)}")
    for group in _PREDICTIVE:
        months = tree[group]["new_finetunes"].sizes["observation"]
        if months != len(history.new):
            raise ValueError(f"{group} holds {months} months, the data hold {len(history.new)}")
