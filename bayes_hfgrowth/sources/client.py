"""Ask the Hub: huggingface_hub's own calls, with timeouts, bounded waits and one-line errors."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode, urlsplit

import httpx2
from huggingface_hub import HfApi, constants, errors, utils
from huggingface_hub.hf_api import ExpandModelProperty_T, ModelInfo

from bayes_hfgrowth.sources.cache import CursorRefusedError, Row
from bayes_hfgrowth.support.errors import SourceError
from bayes_hfgrowth.support.files import first_line

PAGE_SIZE = 1000
LIBRARY = "bayes-hfgrowth"
BASE_FIELDS: list[ExpandModelProperty_T] = [
    "createdAt",
    "childrenModelCount",
    "downloads",
    "downloadsAllTime",
    "likes",
    "gated",
    "disabled",
]
CHILD_FIELDS = ("author", "createdAt", "downloads", "likes", "tags")
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
KEPT = "what was collected is kept, run the same command again later"


@dataclass(frozen=True)
class Patience:
    """How long to try for one answer.

    Attributes
    ----------
    timeout : float
        Seconds without a byte after which an answer counts as lost.
    attempts : int
        Tries for one answer, counted separately for rate limits and for failures.
    longest_wait : float
        Seconds waited in all for one answer; by default two of the Hub's windows of 300 s.
    first_wait : float
        Seconds before the second try where the server does not say; doubles up to 30.
    """

    timeout: float = 30.0
    attempts: int = 6
    longest_wait: float = 660.0
    first_wait: float = 1.0


@dataclass(frozen=True)
class _Trouble:
    """A request that failed and may be tried again."""

    kind: Literal["rate limit", "failure", "no connection"]
    reason: str
    last_words: str
    """What to say when patience ends."""
    wait: float | None = None
    """Seconds the server asks to wait."""


class NotAvailableError(SourceError):
    """A repository that is missing, private, gated for its metadata, or disabled."""


class UnreachableError(SourceError):
    """A Hub that has not answered at all: the network is down, or the offline mode is on."""


class HubClient:
    """A connection to one Hub.

    Parameters
    ----------
    endpoint : str, optional
        Address of the Hub; by default huggingface_hub's (``HF_ENDPOINT``).
    token : str or bool, optional
        As in huggingface_hub: a token, `False` for none, by default the one of the usual places.
    patience : Patience
        Timeouts and limits.
    on_wait : callable
        Told the seconds left and the reason, at least once a second while waiting.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        token: str | bool | None = None,
        patience: Patience | None = None,
        on_wait: Callable[[float, str], None] = lambda seconds, reason: None,
    ) -> None:
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._token = token
        self._patience = patience or Patience()
        self._on_wait = on_wait
        self._api = HfApi(endpoint=self.endpoint, token=token, library_name=LIBRARY)
        self._answered = False
        self.base_models_refused = False
        self.requests = 0

    def model(self, name: str) -> Row:
        """Ask for one model by its Hub id; renames are followed.

        Returns
        -------
        dict
            ``id`` (today's), ``_id``, ``createdAt``, ``gated``, ``disabled``,
            ``childrenModelCount`` (numbers by relation, or `None`), ``downloads`` (in the
            last 30 days), ``downloadsAllTime`` and ``likes``, or `None`.

        Raises
        ------
        NotAvailableError
            If there is no such model, or it is private, gated or disabled.
        SourceError
            If the id is malformed, or the Hub does not answer.
        """

        def call() -> ModelInfo:
            timeout = self._patience.timeout
            return self._api.model_info(name, expand=BASE_FIELDS, timeout=timeout)

        info = self._ask(call, name)
        created = info.created_at.isoformat() if info.created_at else None
        counts: object = info.children_model_count  # a number by relation, whatever its type says
        return {
            "id": info.id,
            "_id": getattr(info, "_id", None),
            "createdAt": created,
            "gated": info.gated,
            "disabled": info.disabled,
            "childrenModelCount": counts if isinstance(counts, dict) and counts else None,
            "downloads": info.downloads,
            "downloadsAllTime": info.downloads_all_time,
            "likes": info.likes,
        }

    def children_query(self, base: str, relation: str) -> str:
        """Return the address of the first page of a base model's children."""
        tag = f"base_model:{base}" if relation == "all" else f"base_model:{relation}:{base}"
        return self._query(filter=tag)

    def namespace_query(self, namespace: str) -> str:
        """Return the address of the first page of a namespace's models."""
        return self._query(author=namespace)

    def _query(self, **what: str) -> str:
        # Only the creation time never changes, so only this order is safe across pages.
        fields = [*CHILD_FIELDS, *(() if self.base_models_refused else ("baseModels",))]
        return "/api/models?" + urlencode(
            {**what, "sort": "createdAt", "limit": PAGE_SIZE, "expand": fields}, doseq=True
        )

    def page(self, address: str) -> tuple[list[Row], str | None]:
        """Ask for one page of a listing, by path and query.

        Returns
        -------
        list of dict
            The rows as they travel on the wire.
        str or None
            Path and query of the next page.

        Raises
        ------
        CursorRefusedError
            If the address of a further page is not valid any more.
        SourceError
            If the Hub does not answer, or with something else than a page.
        """

        def call() -> tuple[list[Row], str | None]:
            headers = utils.build_hf_headers(token=self._token, library_name=LIBRARY)
            answer = utils.get_session().get(
                self.endpoint + address, headers=headers, timeout=self._patience.timeout
            )
            utils.hf_raise_for_status(answer)
            rows = answer.json()
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise ValueError("not a list of models")
            following = answer.links.get("next", {}).get("url")
            return rows, self._relative(following) if following else None

        try:
            return self._ask(call, address)
        except errors.BadRequestError as error:
            if "cursor=" in address:
                raise CursorRefusedError(str(error)) from error
            if "expand=baseModels" in address:  # then the tags alone must tell
                self.base_models_refused = True
                return self.page(address.replace("&expand=baseModels", ""))
            raise self._refusal(error, address) from error

    def _relative(self, address: str) -> str:
        """Keep path and query only: the token goes to this endpoint, never where a link points."""
        parts = urlsplit(address)
        prefix = urlsplit(self.endpoint).path
        path = parts.path.removeprefix(prefix) if prefix else parts.path
        return f"{path}?{parts.query}" if parts.query else path

    def _ask[Answer](self, call: Callable[[], Answer], what: str) -> Answer:
        """Call until there is an answer, within the limits of patience."""
        waited = 0.0
        tries = {"rate limit": 0, "failure": 0, "no connection": 0}
        while True:
            self.requests += 1
            try:
                answer = call()
            except (httpx2.HTTPError, OSError, ValueError) as error:  # the Hub's are among them
                trouble = self._trouble(error, what)
                tries[trouble.kind] += 1
                attempts = self._patience.attempts
                if trouble.kind == "no connection":
                    attempts = min(attempts, 3)  # the network is down, not flaky: say so early
                if tries[trouble.kind] >= attempts:
                    kind = UnreachableError if trouble.kind == "no connection" else SourceError
                    raise kind(trouble.last_words) from error
                wait = trouble.wait
                if wait is None:
                    wait = min(30.0, self._patience.first_wait * 2 ** (sum(tries.values()) - 1))
                waited += wait
                if waited > self._patience.longest_wait:
                    raise SourceError(
                        f"{self.endpoint} asks to wait {wait:.0f} s ({trouble.reason}), more than "
                        f"the {self._patience.longest_wait:.0f} s that a run waits for one answer; "
                        f"{KEPT}"
                    ) from error
                self._wait(wait, trouble.reason)
            else:
                self._answered = True
                return answer

    def _trouble(self, error: Exception, what: str) -> "_Trouble":
        """Say how to go on after an error, or raise what ends the run."""
        hub = self.endpoint
        if isinstance(error, errors.HfHubHTTPError):
            self._answered = True
            return self._status_trouble(error, what)
        if isinstance(error, errors.OfflineModeIsEnabled):
            raise UnreachableError(
                "offline mode is on; unset HF_HUB_OFFLINE to ask the Hub"
            ) from error
        if isinstance(error, errors.LocalTokenNotFoundError):
            raise SourceError("no token is stored here; log in with `hf auth login`") from error
        if isinstance(error, errors.HFValidationError):
            raise SourceError(f"{what!r} is not a Hub id; write it as namespace/name") from error
        if isinstance(error, httpx2.LocalProtocolError | UnicodeError):
            # the message of the library would show the token
            raise SourceError(
                "the token has characters that no token has; check HF_TOKEN"
            ) from None
        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
            raise SourceError(
                f"{hub!r} is not the address of a Hub; correct HF_ENDPOINT"
            ) from error
        if isinstance(error, httpx2.TooManyRedirects):
            raise SourceError(f"{hub} redirects {what} in a circle; try again later") from error
        if isinstance(error, ValueError):  # status 200 with a body that is no answer
            self._answered = True
            return _Trouble(
                "failure",
                "unreadable answer",
                f"{hub} answers with something that is not the Hub's (a login page or a proxy?); "
                f"check the network; {KEPT}",
            )
        never = (
            isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) and not self._answered
        )
        return _Trouble(
            "no connection" if never else "failure",
            "connection lost",
            f"{hub} can't be reached ({first_line(error)}); check the network or HF_ENDPOINT; "
            f"{KEPT}",
        )

    def _status_trouble(self, error: errors.HfHubHTTPError, what: str) -> "_Trouble":
        hub, status = self.endpoint, error.response.status_code
        if isinstance(error, errors.BadRequestError) and what.startswith("/"):
            raise error  # the caller can ask differently
        if status not in TRANSIENT:
            raise self._refusal(error, what) from error
        wait = self._asked_to_wait(error.response)
        if status == 429:
            return _Trouble(
                "rate limit",
                "rate limit",
                f"{hub} limits the rate and has refused {self._patience.attempts} times in a row; "
                f"{KEPT}, or log in with `hf auth login`, which doubles the limit",
                wait,
            )
        name = "the listing" if what.startswith("/") else what
        last_words = f"{hub} fails with status {status} for {name}; {KEPT}"
        return _Trouble("failure", f"status {status}", last_words, wait)

    @staticmethod
    def _asked_to_wait(response: httpx2.Response) -> float | None:
        """Return the seconds that the server asks for, if it does."""
        limit = utils.parse_ratelimit_headers(response.headers)
        if response.status_code == 429 and limit is not None and limit.remaining == 0:
            return limit.reset_in_seconds + 1.0  # whole seconds on the wire, rounded down
        after = response.headers.get("retry-after", "")
        return float(after) if after.isdigit() else None

    def _wait(self, seconds: float, reason: str) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._on_wait(left, reason)
            time.sleep(min(left, 1.0))

    def _refusal(self, error: errors.HfHubHTTPError, what: str) -> SourceError:
        hub, status = self.endpoint, error.response.status_code
        name = "the listing" if what.startswith("/") else what
        if isinstance(error, errors.GatedRepoError):
            return NotAvailableError(
                f"{name} is gated and {hub} shows nothing of it; accept its conditions there and "
                "log in with `hf auth login`"
            )
        if isinstance(error, errors.DisabledRepoError):
            return NotAvailableError(f"{name} has been disabled by {hub}; leave it out")
        anonymous = "authorization" not in error.response.request.headers
        missing = isinstance(error, errors.RepositoryNotFoundError) or status == 404
        if missing or (status == 401 and anonymous):
            return NotAvailableError(
                f"{name} is not on {hub}, or it is private; check the spelling, or log in with "
                "`hf auth login` (or HF_TOKEN) as someone who may see it"
            )
        if status in (401, 403):
            return SourceError(
                f"{hub} refuses the token (status {status}); log in again with `hf auth login`, "
                "or correct or unset HF_TOKEN; what was collected is kept"
            )
        return SourceError(f"{hub} answers with status {status} for {name}; {KEPT}")
