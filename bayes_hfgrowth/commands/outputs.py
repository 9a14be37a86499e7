"""Refuse a place that cannot be written to before the work, not after it."""

import tempfile
from pathlib import Path

from bayes_hfgrowth.support.errors import HFGrowthError

__all__ = ["check_file", "check_folder"]


def check_file(path: Path, endings: tuple[str, ...], error: type[HFGrowthError]) -> None:
    """Check that a file of this name could be written.

    Parameters
    ----------
    path : pathlib.Path
        The file; it need not exist.
    endings : tuple of str
        What its name may end in.
    error : type of HFGrowthError
        What to raise.

    Raises
    ------
    HFGrowthError
        Of the given type, for another ending, a folder of that name, or a folder around it
        that is missing or cannot be written to.
    """
    if path.suffix.lower() not in endings:
        raise error(f"{path} does not end in {' or '.join(endings)}; give such a name")
    if path.is_dir():
        raise error(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise error(f"{path}: there is no folder {path.parent}; create it first")
    _check_writable(path.resolve().parent, path, error)


def check_folder(path: Path, error: type[HFGrowthError]) -> None:
    """Check that a folder is there and can be written to, or could be made.

    Parameters
    ----------
    path : pathlib.Path
        The folder; it need not exist, nor the ones around it.
    error : type of HFGrowthError
        What to raise.

    Raises
    ------
    HFGrowthError
        Of the given type, when something in the way is not a folder or cannot be written to.
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise error(f"{place} is not a folder; give another name")
    _check_writable(place, path, error)


def _check_writable(folder: Path, path: Path, error: type[HFGrowthError]) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as failure:
        raise error(
            f"{path} cannot be written ({failure.strerror or failure}); give another place"
        ) from failure
