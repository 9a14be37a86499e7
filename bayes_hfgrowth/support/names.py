"""Look names up, and suggest near ones when they are not there."""

import difflib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from bayes_hfgrowth.support.errors import HFGrowthError

__all__ = ["indices_of", "numbered", "suggestion"]


def numbered(number: int, what: str) -> str:
    """A number of things, with the plural where it belongs.

    Examples
    --------
    >>> numbered(1, "base model"), numbered(1315, "base model")
    ('1 base model', '1,315 base models')
    """
    return f"{number:,} {what if number == 1 else what + 's'}"


def suggestion(name: str, known: Sequence[str], what: str, where: str) -> str:
    """Second half of the error message of `indices_of`: near names, or an example.

    Examples
    --------
    >>> suggestion("Metta", ["Meta", "Google"], "organization", "panel")
    "did you mean 'Meta'?"
    """
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3)
    if near:
        return "did you mean " + " or ".join(repr(by_lower[match]) for match in near) + "?"
    if not known:
        return f"the {where} holds no {what} at all"
    return f"the {where} holds {numbered(len(known), what)}, such as {known[0]!r}"


def indices_of(
    names: Iterable[str] | None,
    known: Sequence[str],
    what: str,
    where: str,
    error: type[HFGrowthError],
) -> npt.NDArray[np.int64]:
    """Positions of names, each once, in the order given; all positions when None is given.

    Parameters
    ----------
    names : iterable of str or None
        What to look up.
    known : sequence of str
        Where to look.
    what, where : str
        What is named, and what holds it; for the message.
    error : type of HFGrowthError
        What to raise.

    Raises
    ------
    HFGrowthError
        Of the given type, when a name is not known or none is given.
    """
    if names is None:
        return np.arange(len(known))
    wanted = [names] if isinstance(names, str) else list(dict.fromkeys(names))
    if not wanted:
        raise error(f"no {what} is named; name at least one, or leave the choice out for all")
    position = {name: index for index, name in enumerate(known)}
    for name in wanted:
        if name not in position:
            raise error(
                f"{what} {name!r} is not in the {where}; {suggestion(name, known, what, where)}"
            )
    return np.array([position[name] for name in wanted], dtype=np.int64)
