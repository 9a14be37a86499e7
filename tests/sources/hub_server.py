"""A stand-in Hub: a real HTTP server on loopback that speaks the models API.

It answers the two routes a collector needs (`/api/models/{id}` and `/api/models`), the file
routes a download needs, and misbehaves on request: rate limits, server errors, dropped
connections, slow answers, renames, missing, gated and disabled repositories. Clients reach it
unmodified, through the endpoint setting of huggingface_hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

PAGE_SIZE = 1000
NOW = datetime(2025, 6, 15, 12, tzinfo=UTC)
"""When tests collect, unless they say otherwise."""
RELATIONS = ("adapter", "finetune", "merge", "quantized")
WRONG_TOKEN = "Invalid credentials in Authorization header"

Row = dict[str, Any]


def wire_time(moment: datetime) -> str:
    """Write a time as the Hub does: UTC, milliseconds, a Z."""
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    )


def object_id(text: str) -> str:
    """Give a name its 24 hexadecimal digits, always the same."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def child_row(
    child: str, base: str, created: datetime, relation: str = "finetune", **fields: Any
) -> Row:
    """Make one row of a listing, as it travels on the wire."""
    return {
        "_id": object_id(child),
        "id": child,
        "author": child.split("/")[0],
        "createdAt": wire_time(created),
        "downloads": 6,
        "likes": 3,
        "gated": False,
        "tags": ["safetensors", f"base_model:{base}", f"base_model:{relation}:{base}"],
        "baseModels": {"relation": relation, "models": [{"_id": object_id(base), "id": base}]},
    } | fields


def make_children(
    base: str,
    count: int,
    start: datetime,
    end: datetime,
    *,
    relation: str = "finetune",
    authors: int = 40,
    seed: int = 0,
) -> list[Row]:
    """Scatter children over a span of time; a few authors hold most of them."""
    dice = random.Random(seed)
    span = (end - start).total_seconds()
    rows = []
    for number in range(count):
        author = f"author{int(authors * dice.random() ** 3)}"
        # whole seconds: many children share a creation time, as they do on the Hub
        created = start + timedelta(seconds=int(span * dice.random()))
        rows.append(
            child_row(
                f"{author}/{base.split('/')[-1]}-{relation}-{number}", base, created, relation
            )
        )
    return rows


@dataclass
class Faults:
    """How the server misbehaves; all off at first."""

    every_429: int = 0
    """Each n-th counted answer is a 429."""
    always_429: bool = False
    retry_seconds: int | None = None
    """What a 429 asks the client to wait; `None`: it does not say."""
    drop_share: float = 0.0
    """Share of answers whose connection is cut, before or in the middle of the body."""
    fail_500: int = 0
    """So many answers from now on are a 500."""
    slow_seconds: float = 0.0
    slow_answers: int = 0
    """So many answers from now on come late."""
    html_answers: int = 0
    """So many answers from now on are a login page with status 200."""
    refuse_base_models: bool = False
    """400 where a listing asks for baseModels."""
    ignore_filter: bool = False
    """Listings return the rows of all base models, as for an unknown parameter."""
    repeat_cursor: bool = False
    """The second page points at itself."""
    expire_cursors: bool = False
    """400 for any cursor."""


@dataclass
class Request:
    """One request the server has seen."""

    path: str
    query: dict[str, list[str]]
    status: int
    target: str
    token: str | None


@dataclass
class Hub:
    """What the stand-in knows, what it does wrong, and what it was asked."""

    models: dict[str, Row] = field(default_factory=dict)
    children: list[Row] = field(default_factory=list)
    renames: dict[str, str] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    """Dataset files, `namespace/name/path` to content."""
    faults: Faults = field(default_factory=Faults)
    requests: list[Request] = field(default_factory=list)
    page_size: int = PAGE_SIZE
    before_answer: Callable[[int, str], None] | None = None
    """Called with the number of the request and its target before an answer goes out."""
    endpoint: str = ""
    sorted: dict[str, list[Row]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def add_base(self, base: str, created: datetime, **fields: Any) -> Row:
        """Add a base model."""
        row = {
            "_id": object_id(base),
            "id": base,
            "author": base.split("/")[0],
            "createdAt": wire_time(created),
            "downloads": 100,
            "likes": 5,
            "gated": False,
            "disabled": False,
            "tags": ["safetensors"],
        } | fields
        self.models[base] = row
        return row

    def add_children(self, rows: list[Row]) -> None:
        """Add rows that listings return."""
        self.children.extend(rows)

    def pages_asked(self) -> list[str]:
        """Return the targets of all listing requests that were answered with 200."""
        return [r.target for r in self.requests if r.path == "/api/models" and r.status == 200]

    def info(self, base: str) -> Row:
        """Answer for one model, with the number of its children by relation."""
        tagged = dict.fromkeys(RELATIONS, 0)
        for row in self.children:
            for name in RELATIONS:
                tagged[name] += f"base_model:{name}:{base}" in (row.get("tags") or ())
        return {"childrenModelCount": tagged} | self.models[base]

    def select(self, query: dict[str, list[str]]) -> list[Row]:
        """Return all rows of a listing, newest first."""
        what = [query.get("author"), query.get("filter"), self.faults.ignore_filter]
        key = json.dumps([*what, len(self.children), len(self.models)])
        if key not in self.sorted:
            rows = list(self.children)
            if "author" in query:
                rows += self.models.values()
                rows = [r for r in rows if r.get("author") == query["author"][0]]
            if "filter" in query and not self.faults.ignore_filter:
                rows = [r for r in rows if self._carries(r, query["filter"])]
            rows.sort(key=lambda r: (r.get("createdAt") or "", r["_id"]), reverse=True)
            self.sorted[key] = rows
        return self.sorted[key]

    @staticmethod
    def _carries(row: Row, wanted: list[str]) -> bool:
        tags = row.get("tags")
        if tags is None:  # a row that has lost its tags on the wire is still in the server's index
            lineage = row.get("baseModels") or {}
            names = [m["id"] for m in lineage.get("models", [])]
            tags = [f"base_model:{n}" for n in names] + [
                f"base_model:{lineage.get('relation')}:{n}" for n in names
            ]
        return all(tag in tags for tag in wanted)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server.hub
        url = urlsplit(self.path)
        path, query = unquote(url.path), parse_qs(url.query)
        if path == "/api/agent-harnesses":  # asked by the library on its own account, once a day
            self._send(404, {"error": "none"})
            return
        authorization = self.headers.get("authorization")
        token = authorization.removeprefix("Bearer ") if authorization else None
        with hub.lock:
            number = len(hub.requests) + 1
            request = Request(path, query, 0, self.path, token)
            hub.requests.append(request)
        if hub.before_answer:
            hub.before_answer(number, self.path)
        status, body, headers = self._answer(number, path, query, token)
        request.status = status
        self._send(status, body, headers)

    def _answer(
        self, number: int, path: str, query: dict[str, list[str]], token: str | None
    ) -> tuple[int, Any, dict[str, str]]:
        hub, faults = self.server.hub, self.server.hub.faults
        if token is not None and token not in hub.tokens:
            return 401, {"error": WRONG_TOKEN}, {"X-Error-Message": WRONG_TOKEN}
        if faults.slow_answers > 0:
            faults.slow_answers -= 1
            time.sleep(faults.slow_seconds)
        if faults.always_429 or (faults.every_429 and number % faults.every_429 == 0):
            limit = {}
            if faults.retry_seconds is not None:
                limit = {
                    "ratelimit": f'"api";r=0;t={faults.retry_seconds}',
                    "ratelimit-policy": '"fixed window";"api";q=500;w=300',
                }
            return 429, {"error": "too many requests"}, limit
        if faults.fail_500 > 0:
            faults.fail_500 -= 1
            return 500, {"error": "internal"}, {}
        if faults.html_answers > 0:
            faults.html_answers -= 1
            return 200, b"<!doctype html><html><body>Please log in to the network</body></html>", {}
        if path == "/api/models":
            return self._listing(query)
        if path.startswith("/api/models/"):
            return self._one(path.removeprefix("/api/models/"), token)
        return self._file(path)

    def _one(self, name: str, token: str | None) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        if name in hub.renames:
            target = f"{hub.endpoint}/api/models/{quote(hub.renames[name])}"
            if query := urlsplit(self.path).query:
                target += f"?{query}"
            return 307, {}, {"Location": target}
        if name in hub.gated:
            return 403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"}
        if name in hub.disabled:
            return 403, {}, {"X-Error-Message": "Access to this resource is disabled."}
        if name not in hub.models or (name in hub.private and token is None):
            missing = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            return (404 if token else 401), {"error": "Repository not found"}, missing
        return 200, hub.info(name), {}

    def _listing(self, query: dict[str, list[str]]) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        if hub.faults.refuse_base_models and "baseModels" in query.get("expand", []):
            return 400, {"error": '"expand" must be one of [author, cardData, …]'}, {}
        rows = hub.select(query)
        if "cursor" in query:
            if hub.faults.expire_cursors:
                return 400, {"error": "Invalid cursor"}, {}
            created, identifier = json.loads(base64.b64decode(query["cursor"][0]))
            rows = [
                r for r in rows if ((r.get("createdAt") or ""), r["_id"]) < (created, identifier)
            ]
        size = min(int(query.get("limit", [hub.page_size])[0]), hub.page_size)
        page, rest = rows[:size], rows[size:]
        headers = {"ratelimit": '"api";r=489;t=189'}
        if rest and page:
            cursor = base64.b64encode(
                json.dumps([page[-1].get("createdAt") or "", page[-1]["_id"]]).encode()
            ).decode()
            if hub.faults.repeat_cursor and "cursor" in query:
                cursor = query["cursor"][0]
            following = urlencode({**query, "cursor": cursor}, doseq=True)
            headers["Link"] = f'<{hub.endpoint}/api/models?{following}>; rel="next"'
        wanted = set(query.get("expand", [])) | {"_id", "id"}
        return 200, [{k: v for k, v in row.items() if k in wanted} for row in page], headers

    def _file(self, path: str) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        if path.startswith("/api/datasets/"):
            repository = "/".join(path.split("/")[3:5])
            names = [
                n.removeprefix(repository + "/")
                for n in hub.files
                if n.startswith(repository + "/")
            ]
            if not names:
                return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
            if "/paths-info/" in path or "/tree/" in path:
                entries = [
                    {
                        "type": "file",
                        "path": n,
                        "size": len(hub.files[f"{repository}/{n}"]),
                        "oid": object_id(n) + "0" * 16,
                    }
                    for n in names
                ]
                return 200, entries, {}
            return (
                200,
                {
                    "_id": object_id(repository),
                    "id": repository,
                    "sha": "a" * 40,
                    "private": False,
                    "siblings": [{"rfilename": n} for n in names],
                },
                {},
            )
        parts = path.split("/")  # /datasets/{namespace}/{name}/resolve/{revision}/{path}
        if len(parts) > 6 and parts[1] == "datasets" and parts[4] == "resolve":
            content = hub.files.get("/".join([*parts[2:4], *parts[6:]]))
            if content is not None:
                return (
                    200,
                    content,
                    {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": "a" * 40},
                )
            return 404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"}
        return 404, {"error": "no such route"}, {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer, headers = self._file(unquote(urlsplit(self.path).path))
        if "/paths-info/" in self.path and status == 200:
            wanted = set(parse_qs(body.decode()).get("paths", [])) or set(
                json.loads(body or b"{}").get("paths", [])
            )
            answer = [entry for entry in answer if entry["path"] in wanted]
        self._send(status, answer, headers)

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/html" if content.startswith(b"<") else "application/json"
        faults, dice = self.server.hub.faults, self.server.hub.dice
        dropped = faults.drop_share and dice.random() < faults.drop_share
        try:
            if dropped and dice.random() < 0.5:
                self._cut()
                return
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            if dropped:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self._cut()
                return
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):  # the client has gone, or was killed
            self.close_connection = True

    def _cut(self) -> None:
        """Reset the connection instead of closing it in order."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that end early: ending them early is this server's work."""


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Run the stand-in until the block ends; `hub.endpoint` is its address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = hub
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
