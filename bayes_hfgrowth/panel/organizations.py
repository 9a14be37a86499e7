"""Which organization stands behind a Hub namespace."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from types import MappingProxyType

from bayes_hfgrowth.support.errors import OrganizationError
from bayes_hfgrowth.support.files import read_csv, row_place, text_fault

__all__ = ["OrganizationTable", "namespace", "organization_table", "read_organizations"]

_COLUMNS = ("namespace", "organization")


def namespace(base_model: str) -> str:
    """Part of a Hub id before the slash; the whole id where there is none (old ids).

    Examples
    --------
    >>> namespace("meta-llama/Llama-3.1-8B")
    'meta-llama'
    >>> namespace("gpt2")
    'gpt2'
    """
    return base_model.partition("/")[0]


@dataclass(frozen=True)
class OrganizationTable:
    """Labels of organizations by Hub namespace.

    The Hub does not tell namespaces apart by case, so neither does this table: ``Meta-Llama``
    and ``meta-llama`` are one namespace.

    Parameters
    ----------
    labels : mapping of str to str
        Organization by namespace in lower case.
    """

    labels: Mapping[str, str]

    def organization(self, base_model: str) -> str:
        """Organization of a base model; its namespace where the table has no label for that."""
        owner = namespace(base_model)
        return self.labels.get(owner.lower(), owner)

    def organizations(self, base_models: Iterable[str]) -> list[str]:
        """Organizations of several base models, in their order.

        A namespace that the table does not know becomes one organization even when it
        comes in several spellings: the first spelling is the label of all.
        """
        labels = dict(self.labels)
        return [labels.setdefault(owner.lower(), owner) for owner in map(namespace, base_models)]


@cache
def organization_table() -> OrganizationTable:
    """Table shipped with the package: 17 organizations and more of their namespaces.

    It follows the labels of the shipped example data and adds renamed namespaces
    (``CohereForAI`` became ``CohereLabs``, ``THUDM`` became ``zai-org``) and those under
    which the Hub keeps old models of an organization (``google-bert``, ``FacebookAI``).
    """
    with as_file(files("bayes_hfgrowth") / "data" / "organizations.csv") as path:
        return OrganizationTable(MappingProxyType(_read(path)))


def read_organizations(path: str | os.PathLike[str]) -> OrganizationTable:
    r"""Shipped table, extended and overridden by a file.

    Parameters
    ----------
    path : path-like
        CSV file with the columns ``namespace`` and ``organization``.

    Raises
    ------
    OrganizationError
        When the file cannot be read, lacks a column, has an empty or malformed cell, or
        gives one namespace two organizations.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "mine.csv"
    ...     _ = path.write_text("namespace,organization\nacme,Acme Corporation\n")
    ...     table = read_organizations(path)
    >>> table.organization("acme/anvil-7b"), table.organization("facebook/opt-125m")
    ('Acme Corporation', 'Meta')
    """
    return OrganizationTable(MappingProxyType({**organization_table().labels, **_read(path)}))


def _read(path: str | os.PathLike[str]) -> dict[str, str]:
    table = read_csv(path, OrganizationError, text=_COLUMNS)
    for column in _COLUMNS:
        if column not in table:
            raise OrganizationError(
                f"{os.fspath(path)} has no column {column!r}; "
                f"its header must be {','.join(_COLUMNS)}"
            )
    labels: dict[str, str] = {}
    first_rows: dict[str, int] = {}
    cells = zip(table["namespace"], table["organization"], strict=True)
    for row, (owner, label) in enumerate(cells, start=1):
        if fault := _fault(owner, label):
            raise OrganizationError(f"{os.fspath(path)}, {row_place(path, row)}: {fault}")
        key = owner.lower()
        if labels.setdefault(key, label) != label:
            raise OrganizationError(
                f"{os.fspath(path)}, {row_place(path, row)}: namespace {owner!r} goes to {label!r} "
                f"here but to {labels[key]!r} in row {first_rows[key]}; keep one of them"
            )
        first_rows.setdefault(key, row)
    return labels


def _fault(owner: str, label: str) -> str | None:
    for column, cell in zip(_COLUMNS, (owner, label), strict=True):
        if fault := text_fault(cell):
            return f"{column} {cell!r} {fault}; correct or remove the row"
    if "/" in owner:
        return f"namespace {owner!r} has a slash; give only the part before it"
    return None
