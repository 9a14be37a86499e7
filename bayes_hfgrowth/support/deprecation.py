"""How names of the public interface change, and the tool for it.

The rule: a public name that gets a better one goes on working, with a warning, for one minor
version. With a replacement in 0.2, the old name warns in every 0.2.x and is gone in 0.3. The
warning names both versions and the replacement. It is a `FutureWarning`, which Python shows to
everybody, not to developers alone. What changes in meaning gets a new name; no name changes its
meaning in silence. Each deprecation stands in the changelog under "Deprecated", and its removal
under "Removed". A test fails when the version is raised and an old name is still there.

The public interface is what `bayes_hfgrowth.__all__` lists, the methods and arguments of these,
what the API pages of the documentation show beside them, and the commands with their options.
"""

import functools
import warnings
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Deprecation", "renamed_argument"]


class Deprecation(NamedTuple):
    """An old name that still works.

    Parameters
    ----------
    where : str
        Function that takes it.
    old, new : str
        The name and its replacement.
    since : str
        Version that brought the replacement, as ``"0.2"``.
    """

    where: str
    old: str
    new: str
    since: str

    @property
    def until(self) -> str:
        """Version in which the old name is gone.

        Examples
        --------
        >>> Deprecation("fetch_panel", "organizations", "namespaces", since="0.2").until
        '0.3'
        """
        major, minor = self.since.split(".")
        return f"{major}.{int(minor) + 1}"


def renamed_argument[**P, R](
    old: str, new: str, *, since: str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take a keyword argument by its old name too, with a warning.

    Parameters
    ----------
    old, new : str
        The old name, and the one that the function has now.
    since : str
        Version that brings the new name, as ``"0.2"``.

    Returns
    -------
    callable
        Decorator. The decorated function raises a `TypeError` when it gets both names.

    Examples
    --------
    >>> @renamed_argument("colour", "color", since="0.2")
    ... def paint(color: str) -> str:
    ...     return f"painted {color}"
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     paint(colour="red")
    'painted red'
    >>> print(caught[0].message)
    'colour' of paint is deprecated since bayes-hfgrowth 0.2 and will be gone in 0.3; use 'color'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        deprecation = Deprecation(function.__name__, old, new, since)

        @functools.wraps(function)
        def renamed(*args: P.args, **kwargs: P.kwargs) -> R:
            if old in kwargs:
                if new in kwargs:
                    raise TypeError(
                        f"{function.__name__}() got {old!r} and {new!r}, which are the same; "
                        f"give {new!r} alone"
                    )
                warnings.warn(
                    f"{old!r} of {function.__name__} is deprecated since bayes-hfgrowth {since} "
                    f"and will be gone in {deprecation.until}; use {new!r}",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        vars(renamed)["deprecation"] = deprecation  # a test looks whether it is overdue
        return renamed

    return decorate
