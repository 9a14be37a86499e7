"""Share a fit or a population through a folder or a repository of the Hugging Face Hub.

The work is done by `huggingface_hub.ModelHubMixin`. Files are NetCDF, JSON and Markdown: nothing
that is loaded can hold code.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import httpx2
from huggingface_hub import ModelCard, ModelHubMixin, constants, hf_hub_download
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bayes_hfgrowth.posterior.draws import Described
from bayes_hfgrowth.posterior.model_card import MARK, model_card
from bayes_hfgrowth.support.errors import FitError, HFGrowthError
from bayes_hfgrowth.support.files import whole_file

__all__ = ["Shared"]

_DOWNLOAD = ("revision", "cache_dir", "force_download", "local_files_only", "token")
_LOG_IN = "log in with `hf auth login` (or HF_TOKEN)"


class Shared(
    Described,
    ModelHubMixin,
    library_name="bayes-hfgrowth",
    tags=["bayesian", "fine-tunes", "forecasting", "growth-model", "hierarchical-model", "pymc"],
    pipeline_tag="time-series-forecasting",
    paper_url="https://arxiv.org/abs/2502.15987",
):
    """What fits and populations have in common when they are shared."""

    # Set, and on the class: so the mixin neither takes the arguments of the constructor for a
    # configuration nor tries to set one on an instance, which is frozen.
    _hub_mixin_config = {"library_name": "bayes-hfgrowth"}  # noqa: RUF012

    _kind: ClassVar[str]
    _shared_files: ClassVar[tuple[str, ...]]
    """What is looked for, in order; the first is what is written."""

    # What the classes have, one as fields, the other as properties.
    organizations: Any
    posterior: Any

    @classmethod
    def _read_shared(cls, path: Path) -> Self:
        """Read the file of a folder or a repository."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file."""
        raise NotImplementedError

    def save_pretrained(  # type: ignore[override]  # folders of any kind, and no other result
        self, folder: str | os.PathLike[str], **options: Any
    ) -> str | None:
        """Write a folder that can be shared: NetCDF file, ``config.json`` and model card.

        Parameters
        ----------
        folder : path-like
            Made when it is missing. A model card in it that somebody has taken over, by
            removing the line that says who wrote it, stays.
        **options
            Of `huggingface_hub.ModelHubMixin.save_pretrained`. In ``model_card_kwargs``:
            ``license`` (such as ``"mit"``) and ``data`` (where the counts come from).

        Raises
        ------
        FitError
            When the folder cannot be written to.
        """
        with _one_line(f"{os.fspath(folder)} cannot be written"):
            return super().save_pretrained(Path(folder), **options)

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Write to a repository of the Hub, which is made when it is missing, in one commit.

        Parameters
        ----------
        repo_id : str
            ``namespace/name``.
        **options
            Of `huggingface_hub.ModelHubMixin.push_to_hub`: ``private``, ``token``, ``branch``,
            ``create_pr``, ``commit_message``, ``model_card_kwargs`` (as for `save_pretrained`)
            and others.

        Returns
        -------
        str
            Address of the commit.

        Raises
        ------
        FitError
            When the Hub cannot be reached or refuses.
        """
        card = {"repo_id": repo_id} | (options.pop("model_card_kwargs", None) or {})
        with _one_line(f"{repo_id} cannot be written"):
            return super().push_to_hub(repo_id, model_card_kwargs=card, **options)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        repo_id_or_folder: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
    ) -> Self:
        """Read from a folder, or from a repository of the Hub.

        Parameters
        ----------
        repo_id_or_folder : str or path-like
            Folder written by `save_pretrained`, or ``namespace/name`` on the Hub.
        revision : str, optional
            Branch, tag or commit; the newest by default.
        token : str or bool, optional
            As in huggingface_hub: a token, False for none, by default the stored one.
        cache_dir : path-like, optional
            Where downloads are kept.
        force_download, local_files_only : bool
            Whether to download what is there already, or nothing at all.

        Raises
        ------
        FitError
            When there is no such folder or repository, it holds something else, a file is
            damaged, or the Hub cannot be reached.
        """
        name = os.fspath(repo_id_or_folder)
        if Path(name).is_file():
            reader = "load_fit" if cls._kind == "fit" else f"{cls.__name__}.load"
            raise FitError(f"{name} is a file; read it with {reader}, or give its folder")
        with _one_line(f"{name} cannot be read"):
            try:
                return super().from_pretrained(
                    name,
                    revision=revision,
                    token=token,
                    cache_dir=None if cache_dir is None else Path(cache_dir),
                    force_download=force_download,
                    local_files_only=local_files_only,
                )
            except (AttributeError, RecursionError, TypeError, json.JSONDecodeError) as failure:
                raise FitError(  # the mixin takes it for a JSON object without looking
                    f"{name} has a config.json that is none ({type(failure).__name__}); it is "
                    "damaged or of something else, so take another"
                ) from failure

    def generate_model_card(self, *args: Any, **options: Any) -> ModelCard:
        """Write the model card; options as ``model_card_kwargs`` of `save_pretrained`."""
        metadata = self._hub_mixin_info.model_card_data.to_dict()
        return model_card(self._kind, self, metadata, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write what the mixin does not know how to; it goes on to the model card."""
        self.save(save_directory / self._shared_files[0])
        config = {**self._hub_mixin_config, "kind": self._kind, **self.about}
        with whole_file(save_directory / constants.CONFIG_NAME, FitError) as temporary:
            temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        card = save_directory / "README.md"
        if card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace"):
            card.unlink()  # the mixin writes one only where there is none

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> Self:
        # Not what the mixin found in config.json; the NetCDF file says it all.
        download = {name: options[name] for name in _DOWNLOAD}
        for name in cls._shared_files:
            path = Path(model_id) / name
            if not Path(model_id).is_dir():
                try:
                    path = Path(hf_hub_download(model_id, name, **download))
                except RemoteEntryNotFoundError:
                    continue
            elif not path.exists():
                continue
            try:
                return cls._read_shared(path)
            except FitError as failure:
                raise FitError(f"{name} of {model_id} is unusable: {failure}") from failure
        raise FitError(
            f"{model_id} holds no {' or '.join(cls._shared_files)}; give a folder or repository "
            f"that {cls.__name__}.save_pretrained or push_to_hub wrote"
        )


@contextmanager
def _one_line(failed: str) -> Iterator[None]:
    """Turn whatever the Hub, the network or the file system raises into one line."""
    try:
        yield
    except HFGrowthError:
        raise
    except (httpx2.LocalProtocolError, UnicodeError):
        # The message of the library would show the token.
        raise FitError(
            f"{failed}: the token has characters that no token has; correct HF_TOKEN"
        ) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, RuntimeError, ValueError) as failure:
        raise FitError(f"{failed}: {_reason(failure)}") from failure


def _reason(failure: BaseException) -> str:
    """What went wrong, and the mend."""
    hub = constants.ENDPOINT
    if isinstance(failure, HFValidationError):
        return "there is no such folder, and a Hub id is written as namespace/name"
    if isinstance(failure, LocalTokenNotFoundError):
        return f"no token is stored here; {_LOG_IN}"
    if isinstance(failure, GatedRepoError):
        return f"it is gated; accept its conditions on {hub} and {_LOG_IN}"
    if isinstance(failure, RevisionNotFoundError):
        return f"it has no such revision on {hub}; check the spelling"
    if isinstance(failure, HfHubHTTPError):
        status = failure.response.status_code
        if not str(failure.response.request.url).startswith(hub):  # the store behind the Hub
            return f"the store of {hub} answers with status {status}; try again later"
        anonymous = "authorization" not in failure.response.request.headers
        writing = failure.response.request.method not in ("GET", "HEAD")
        missing = isinstance(failure, RepositoryNotFoundError) or status == 404
        if writing and anonymous and status in (401, 403):
            return f"{hub} does not know who you are; {_LOG_IN}"
        if missing or (status == 401 and anonymous):
            return (
                f"it is neither a folder here nor a repository on {hub}, or it is private; check "
                f"the spelling, or {_LOG_IN} as someone who may see it"
            )
        if status in (401, 403):
            return (
                f"{hub} refuses the token (status {status}); log in again with `hf auth login` "
                f"as someone who may, or correct HF_TOKEN"
            )
        return f"{hub} answers with status {status}{_said(failure)}; try again later"
    # Offline, and failed uploads, are told by what lies beneath.
    cause = failure.__cause__ or failure.__context__
    if isinstance(failure, LocalEntryNotFoundError | RuntimeError) and isinstance(
        cause, httpx2.HTTPError | OSError
    ):
        return _reason(cause)
    if isinstance(failure, FileMetadataError | json.JSONDecodeError):
        return (
            f"{hub} answers with something that is not the Hub's (a login page or a proxy?); check "
            "the network or HF_ENDPOINT"
        )
    if isinstance(failure, OfflineModeIsEnabled):
        return "offline mode is on, and it is not in the cache; unset HF_HUB_OFFLINE"
    if isinstance(failure, LocalEntryNotFoundError):
        return "it is not in the cache; allow the download, or check the network"
    if isinstance(failure, httpx2.HTTPError | httpx2.InvalidURL | ConnectionError | TimeoutError):
        return f"{hub} can't be reached ({_short(failure)}); check the network or HF_ENDPOINT"
    if isinstance(failure, OSError):
        return f"{failure.strerror or _short(failure)}; check the place"
    return f"{_short(failure)}; check the name and the options"


def _said(failure: HfHubHTTPError) -> str:
    """What the server said, shortened."""
    message = " ".join((failure.server_message or "").split())
    return f" ({message[:120]})" if message else ""


def _short(failure: BaseException) -> str:
    return (str(failure).splitlines() or [""])[0][:120] or type(failure).__name__
