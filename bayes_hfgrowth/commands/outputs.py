"""Refuse a place that cannot be written to before the work, not after it."""

import tempfile
from pathlib import Path

from bayes_hfgrowth.support.errors import HFGrowthError
from bayes_hfgrowth.support.files import is_folder, is_there

__all__ = ["check_file", "check_folder"]


def check_file(path: Path | None, endings: tuple[str, ...], error: type[HFGrowthError]) -> None:
    """Check that a file of this name could be written, if one is given; it need not exist.

    Raises
    ------
    HFGrowthError
        Of the given type, for another ending, a folder of that name, or a folder around it
        that is missing or cannot be written to.
    """
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise error(f"{path} does not end in {' or '.join(endings)}; give such a name")
    if is_folder(path):
        raise error(f"{path} is a folder; give the name of a file")
    if not is_folder(path.parent):
        raise error(f"{path}: there is no folder {path.parent}; create it first")
    try:
        path.with_name(f".{path.stem}.00000000{path.suffix}").lstat()  # as long as what is written
    except FileNotFoundError:
        pass
    except OSError as failure:
        raise _refused(path, failure, error) from failure
    _check_writable(path.resolve().parent, path, error)


def check_folder(path: Path, error: type[HFGrowthError]) -> None:
    """Check that a folder can be written to, or could be made, with those around it.

    Raises
    ------
    HFGrowthError
        Of the given type, when something in the way is not a folder or cannot be written to.
    """
    try:
        path.absolute().lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as failure:
        raise _refused(path, failure, error) from failure
    place = path.absolute()
    while not is_there(place):
        place = place.parent
    if not is_folder(place):
        raise error(f"{place} is not a folder; give another name")
    _check_writable(place, path, error)


def _check_writable(folder: Path, path: Path, error: type[HFGrowthError]) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as failure:
        raise _refused(path, failure, error) from failure


def _refused(path: Path, failure: OSError, error: type[HFGrowthError]) -> HFGrowthError:
    reason = failure.strerror or failure
    return error(f"{path} cannot be written ({reason}); give another place")
