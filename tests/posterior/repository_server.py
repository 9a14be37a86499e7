"""A stand-in for the Hub's repositories: a real HTTP server on loopback.

It creates repositories, takes commits as huggingface_hub sends them (files in the commit itself or
through Git LFS), checks the metadata of model cards, and serves files by revision. Real clients
reach it unmodified, through the endpoint setting of huggingface_hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_" + "w" * 34
"""Whoever has it may write to the namespace ``lab``."""


@dataclass
class Repository:
    """One repository: its commits in order, each a name and all files."""

    private: bool = False
    gated: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    in_lfs: set[str] = field(default_factory=set)

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Give the commit of a revision."""
        if revision == "main" and self.commits:
            return self.commits[-1]
        return next((commit for commit in self.commits if commit[0] == revision), None)

    def commit(self, files: dict[str, bytes], removed: set[str] = frozenset()) -> str:
        """Add a commit."""
        before = self.commits[-1][1] if self.commits else {}
        after = {name: content for name, content in before.items() if name not in removed} | files
        known = json.dumps([len(self.commits), sorted(after)]).encode()
        name = hashlib.sha1(known, usedforsecurity=False).hexdigest()
        self.commits.append((name, after))
        return name


@dataclass
class Repositories:
    """What the stand-in holds, what it does wrong, and what it was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    lfs: tuple[str, ...] = (".nc",)
    """Endings of the files that belong into Git LFS."""
    fail: dict[str, int] = field(default_factory=dict)
    """Status that is answered where a path holds a text."""
    html: bool = False
    """Answer everything with a login page."""
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    endpoint: str = ""
    store: str = ""
    """Address of the store behind the Hub, where the files of Git LFS are; a host of its own."""

    def asked(self, method: str, part: str) -> int:
        """How often something was asked."""
        return sum(part in path for how, path, _ in self.requests if how == method)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        hub = self.server.hub
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        status, answer, headers = self._answer(path, body)
        hub.requests.append((self.command, path, status))
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        if not isinstance(answer, bytes):
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        if hub.html:
            return 200, b"<!doctype html><html>Please log in to the network</html>", {}
        for part, status in hub.fail.items():
            if part in path:
                return status, {"error": "trouble in the stand-in"}, {}
        authorization = self.headers.get("authorization", "")
        token = authorization.removeprefix("Bearer ") or None
        if token not in (None, TOKEN):
            wrong = "Invalid credentials in Authorization header"
            return 401, {"error": wrong}, {"X-Error-Message": wrong}
        if path.startswith("/blobs/"):  # as the store behind the Hub: it asks for no token
            return self._blob(path.removeprefix("/blobs/"), body)
        if path == "/api/validate-yaml":
            return self._validate(json.loads(body))
        if path == "/api/repos/create":
            return self._create(json.loads(body), token)
        if "/resolve/" in path:
            name, _, rest = path[1:].partition("/resolve/")
            return self._file(name, *rest.split("/", 1), token)
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(path[1:].removesuffix(".git/info/lfs/objects/batch"), body, token)
        if path.startswith("/api/models/"):
            *name, what, revision = path.removeprefix("/api/models/").split("/")
            if what in ("preupload", "commit"):
                return self._write("/".join(name), what, revision, body, token)
            return self._info(path.removeprefix("/api/models/"), token)
        return 404, {"error": "no such route"}, {}

    def _found(self, name: str, token: str | None) -> Repository | tuple[int, Any, dict[str, str]]:
        repository = self.server.hub.repositories.get(name)
        if repository is None or (repository.private and token is None):
            missing = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            return (404 if token else 401), {"error": "Repository not found"}, missing
        return repository

    def _may_write(self, name: str, token: str | None) -> tuple[int, Any, dict[str, str]] | None:
        if token is None:
            return 401, {"error": "Invalid username or password."}, {}
        if not name.startswith("lab/"):
            return 403, {"error": f"You don't have the rights to write to {name}"}, {}
        return None

    def _create(self, wanted: dict[str, Any], token: str | None) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        name = f"{wanted.get('organization') or 'lab'}/{wanted['name']}"
        if refusal := self._may_write(name, token):
            return refusal
        answer = {"url": f"{hub.endpoint}/{name}", "name": name}
        if name in hub.repositories:
            return 409, answer | {"error": "You already created this model repo"}, {}
        repository = Repository(private=wanted.get("visibility") == "private")
        repository.commit({".gitattributes": b"*.nc filter=lfs diff=lfs merge=lfs -text\n"})
        hub.repositories[name] = repository
        return 200, answer, {}

    def _info(self, name: str, token: str | None) -> tuple[int, Any, dict[str, str]]:
        name, _, revision = name.partition("/revision/")
        found = self._found(name, token)
        if isinstance(found, tuple):
            return found
        commit = found.at(revision or "main")
        if commit is None:
            return 404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"}
        files = [{"rfilename": file} for file in commit[1]]
        return 200, {"_id": "0" * 24, "id": name, "sha": commit[0], "siblings": files}, {}

    def _validate(self, wanted: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        """Check the metadata of a card as the Hub does: it must be YAML, and a mapping."""
        parts = wanted["content"].split("\n---\n")
        try:
            metadata = yaml.safe_load(parts[0].removeprefix("---\n"))
        except yaml.YAMLError as failure:
            return 400, {"errors": [{"message": str(failure)}], "warnings": []}, {}
        if not isinstance(metadata, dict) or not wanted["content"].startswith("---\n"):
            return 200, {"errors": [], "warnings": [{"message": "empty or missing metadata"}]}, {}
        return 200, {"errors": [], "warnings": []}, {}

    def _write(
        self, name: str, what: str, revision: str, body: bytes, token: str | None
    ) -> tuple[int, Any, dict[str, str]]:
        if refusal := self._may_write(name, token):
            return refusal
        found = self._found(name, token)
        if isinstance(found, tuple):
            return found
        return (self._preupload if what == "preupload" else self._commit)(name, found, body)

    def _preupload(
        self, name: str, repository: Repository, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        answers = []
        for file in json.loads(body)["files"]:
            assert base64.b64decode(file["sample"], validate=True) or file["size"] == 0
            mode = "lfs" if file["path"].endswith(self.server.hub.lfs) else "regular"
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False})
        return 200, {"files": answers}, {}

    def _batch(self, name: str, body: bytes, token: str | None) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        if refusal := self._may_write(name, token):
            return refusal
        objects = []
        for wanted in json.loads(body)["objects"]:
            answer = dict(wanted)
            if wanted["oid"] not in hub.blobs:
                answer["actions"] = {"upload": {"href": f"{hub.store}/blobs/{wanted['oid']}"}}
            objects.append(answer)
        return 200, {"transfer": "basic", "objects": objects}, {}

    def _blob(self, oid: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        blobs = self.server.hub.blobs
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != oid:
                return 400, {"error": "the content is another"}, {}
            blobs[oid] = body
            return 200, b"", {}
        return (200, blobs[oid], {"ETag": f'"{oid}"'}) if oid in blobs else (404, {}, {})

    def _commit(
        self, name: str, repository: Repository, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        files: dict[str, bytes] = {}
        removed = set()
        head, *operations = [json.loads(line) for line in body.splitlines()]
        assert head["key"] == "header"
        assert head["value"]["summary"]
        for operation in operations:
            value = operation["value"]
            match operation["key"]:
                case "file":
                    assert value["encoding"] == "base64"
                    files[value["path"]] = base64.b64decode(value["content"], validate=True)
                case "lfsFile":
                    if value["oid"] not in hub.blobs:
                        return 400, {"error": "an LFS file was never uploaded"}, {}
                    files[value["path"]] = hub.blobs[value["oid"]]
                    repository.in_lfs.add(value["path"])
                case "deletedFile":
                    removed.add(value["path"])
                case other:
                    return 400, {"error": f"no such operation: {other}"}, {}
        oid = repository.commit(files, removed)
        return 200, {"commitUrl": f"{hub.endpoint}/{name}/commit/{oid}", "commitOid": oid}, {}

    def _file(
        self, name: str, revision: str, file: str, token: str | None
    ) -> tuple[int, Any, dict[str, str]]:
        hub = self.server.hub
        found = self._found(name, token)
        if isinstance(found, tuple):
            return found
        if found.gated:
            return 403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"}
        commit = found.at(revision)
        if commit is None:
            return 404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"}
        if file not in commit[1]:
            missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit[0]}
            return 404, {"error": "Entry not found"}, missing
        content = commit[1][file]
        sha = hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": commit[0]}
        if file not in found.in_lfs:
            return 200, content, headers | {"ETag": f'"{sha}"'}
        headers |= {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content))}
        return 302, b"", headers | {"Location": f"{hub.store}/blobs/{sha}"}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Repositories


@contextmanager
def serve(hub: Repositories) -> Iterator[Repositories]:
    """Run the stand-in and its store until the block ends; `hub.endpoint` is its address."""
    with ExitStack() as running:
        hub.endpoint, hub.store = (running.enter_context(_run(hub)) for _ in range(2))
        yield hub


@contextmanager
def _run(hub: Repositories) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = hub
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
