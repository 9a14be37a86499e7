"""A stand-in Hub with base models of all kinds, and the modules of other tests."""

import datetime as dt
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))  # for the stand-in Hub
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))  # for harmful names, the browser

from hub_server import serve
from mixed_hub import mixed_hub


@pytest.fixture
def now():
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def hub(now):
    """Ten base models, as good and as bad as they come."""
    with serve(mixed_hub(now)) as running:
        yield running


@pytest.fixture
def options(hub, tmp_path):
    """What the Python call needs to meet this Hub and no other."""
    return {"endpoint": hub.endpoint, "cache": tmp_path / "cache", "token": False,
            "progress": False}  # fmt: skip


@pytest.fixture
def nowhere():
    """Address of a Hub that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture(scope="session")
def example_page(tmp_path_factory):
    """A page of two base models and an organization of the shipped data; and its content."""
    from bayes_hfgrowth import load_example, page

    out = tmp_path_factory.mktemp("page") / "page.html"
    names = ["mistralai/Mistral-7B-v0.1", "meta-llama/Llama-3.1-8B", "DeepSeek"]
    content = page(names, out, until="2025-12-01", threshold=5000, panel=load_example(),
                   progress=False)  # fmt: skip
    return out.read_text(encoding="utf-8"), content
