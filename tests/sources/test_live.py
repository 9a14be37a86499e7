"""What only the true Hub can confirm; runs where HFGROWTH_LIVE_HUB is set.

HFGROWTH_LIVE_HUB=1 pytest tests/sources/test_live.py
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bayes_hfgrowth.sources.cache import parse_time
from bayes_hfgrowth.sources.client import PAGE_SIZE, HubClient, NotAvailableError
from bayes_hfgrowth.sources.hub import collect
from bayes_hfgrowth.sources.lineage import carries

pytestmark = pytest.mark.skipif(
    not os.environ.get("HFGROWTH_LIVE_HUB"), reason="asks the true Hub; set HFGROWTH_LIVE_HUB=1"
)

MANY, FEW = "Qwen/Qwen2.5-0.5B", "allenai/OLMo-2-0425-1B"


@pytest.fixture
def client() -> HubClient:
    return HubClient()


def test_a_page_is_as_the_collector_takes_it(client: HubClient) -> None:
    base = client.model(MANY)
    assert base["_id"] is not None
    assert isinstance(base["childrenModelCount"]["finetune"], int)
    rows, following = client.page(client.children_query(MANY, "finetune"))
    assert 0 < len(rows) <= PAGE_SIZE
    assert all(carries(row, base, "finetune") for row in rows)
    assert all(row["_id"] for row in rows)
    times = [parse_time(row["createdAt"]) for row in rows]
    assert times == sorted(times, reverse=True)  # type: ignore[type-var]
    assert following is not None
    assert "cursor" in parse_qs(urlsplit(following).query)
    more, _ = client.page(following)
    assert not {row["_id"] for row in rows} & {row["_id"] for row in more}


def test_renames_and_missing_models(client: HubClient) -> None:
    assert client.model("gpt2")["id"] == "openai-community/gpt2"
    with pytest.raises(NotAvailableError, match="check the spelling"):
        client.model("openai-community/no-such-model-here")


def test_a_whole_collection(tmp_path: Path) -> None:
    collection = collect([FEW], cache=tmp_path, progress=False)
    row = collection.summary.table.loc[0]
    assert row["children"] > 0
    assert abs(row["hub_count"] - row["children"]) <= 0.02 * row["children"] + 2
    observed_at = collection.panel.observed_at
    assert observed_at is not None
    assert observed_at.date() == datetime.now(UTC).date()
