"""Find the files of a snapshot: local ones, all shards of a set, or those of an hf:// address."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from bayes_hfgrowth.support.errors import SourceError
from bayes_hfgrowth.support.files import first_line

_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<ending>\.\w+)")
_PATTERN = re.compile(r"[*?\[]")


def snapshot_files(
    names: Sequence[str | os.PathLike[str]],
    token: str | bool | None,
    stage: Callable[[str], None],
) -> list[Path]:
    """Resolve what the user names to local files, each once.

    Parameters
    ----------
    names : sequence of path-like
        Files, folders, patterns with ``*``, or addresses ``hf://…``.
    token : str or bool, optional
        For an address, as in huggingface_hub.
    stage : callable
        Told what is being downloaded.

    Raises
    ------
    SourceError
        If something is missing or can't be fetched.
    """
    found = [file for name in names for file in _files(os.fspath(name), token, stage)]
    if not found:
        raise SourceError("no snapshot is given: name a file")
    return list(dict.fromkeys(found))


def _files(name: str, token: str | bool | None, stage: Callable[[str], None]) -> list[Path]:
    """Resolve a name to local files, all shards of a set."""
    if name.startswith("hf://"):
        return _download(name, token, stage)
    path = Path(name).expanduser()
    if path.is_dir():
        found = sorted(path.rglob("*.parquet")) or sorted(path.rglob("*.csv"))
        if not found:
            raise SourceError(
                f"{name} is a folder without .parquet or .csv files; name the snapshot"
            )
        return found
    if not path.exists() and _PATTERN.search(name):
        fixed = Path(path.anchor or ".")
        found = sorted(fixed.glob(os.fspath(path.relative_to(path.anchor))))
        if not found:
            raise SourceError(f"no file matches {name}; check the path")
        return found
    if not path.exists():
        raise SourceError(f"{name}: no such file; check the path")
    if match := _SHARD.fullmatch(path.name):
        shards = [path.with_name(shard) for shard in _shard_names(match)]
        if missing := [shard.name for shard in shards if not shard.exists()]:
            raise SourceError(
                f"{name} is one of {len(shards)} shards and {len(missing)} are missing "
                f"({missing[0]}); a part of the Hub gives wrong counts, fetch them all"
            )
        return shards
    return [path]


def _shard_names(match: re.Match[str]) -> list[str]:
    rest = f"of-{match['count']}{match['ending']}"
    return [f"{match['stem']}-{number:05d}-{rest}" for number in range(int(match["count"]))]


def _download(address: str, token: str | bool | None, stage: Callable[[str], None]) -> list[Path]:
    """Let huggingface_hub bring the files of an hf:// address into its own cache."""
    import httpx2
    from huggingface_hub import HfFileSystem, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

    try:
        files = HfFileSystem(token=token)
        targets = sorted(map(str, files.glob(address))) if _PATTERN.search(address) else [address]
        if not targets:
            raise SourceError(f"no file matches {address}; check the address")
        local = []
        for target in targets:
            place = files.resolve_path(target)
            if not isinstance(place, HfFileSystemResolvedRepositoryPath):
                raise SourceError(f"{address} is not a file of a dataset; check the address")
            match = _SHARD.fullmatch(place.path_in_repo)
            for shard in _shard_names(match) if match else [place.path_in_repo]:
                stage(f"downloading {shard}")
                kind, revision = place.repo_type, place.revision
                local.append(
                    hf_hub_download(
                        place.repo_id, shard, repo_type=kind, revision=revision, token=token
                    )
                )
        return [Path(file) for file in local]
    except SourceError:
        raise
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        raise SourceError(
            f"{address} can't be fetched ({first_line(error)}); check the address and the network, "
            "or log in with `hf auth login`"
        ) from error


def file_kind(file: Path) -> str:
    """Tell by its first and last bytes whether a file is ``parquet`` or ``csv``.

    Raises
    ------
    SourceError
        If it is neither, or not whole.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(512)
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - 4, 0))
            tail = stream.read()
    except OSError as error:
        raise SourceError(f"{file} can't be read: {error.strerror or error}") from error
    if not head:
        raise SourceError(f"{file} is empty; fetch it again")
    if head.startswith(b"PAR1"):
        if tail != b"PAR1":
            raise SourceError(
                f"{file} ends in the middle of the data ({size:,} bytes): the download broke off; "
                "fetch it again"
            )
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        raise SourceError(f"{file} holds a web page, not a snapshot; download the file itself")
    if text.startswith(b"version https://git-lfs"):
        raise SourceError(f"{file} is only a pointer of git LFS; run `git lfs pull` beside it")
    if file.suffix.lower() != ".csv" or b"\0" in head:
        raise SourceError(f"{file} is neither Parquet nor a .csv file; give a snapshot of the Hub")
    return "csv"
