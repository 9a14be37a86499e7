"""The stand-in Hub as a fixture."""

import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules import hub_server from here

from hub_server import NOW, Hub, serve

from bayes_hfgrowth.sources.client import Patience
from bayes_hfgrowth.sources.hub import Collection, collect

type Collect = Callable[..., Collection]


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Serve a stand-in Hub, empty at first."""
    with serve(Hub()) as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Name a folder for the pages."""
    return tmp_path / "cache"


@pytest.fixture
def collect_here(hub: Hub, cache: Path) -> Collect:
    """Collect from the stand-in, on 2025-06-15 unless told otherwise."""

    def call(*base_models: str, now: datetime = NOW, **options: Any) -> Collection:
        settings: dict[str, Any] = {
            "endpoint": hub.endpoint,
            "cache": cache,
            "token": False,
            "progress": False,
            "patience": Patience(first_wait=0.01, timeout=5),
        }
        return collect(base_models, now=lambda: now, **(settings | options))

    return call
