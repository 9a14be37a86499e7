"""Talking to the Hub: waits, retries, redirects and one-line errors, over real connections."""

import socket
import time
from datetime import UTC, datetime

import pytest
from hub_server import Hub, child_row

from bayes_hfgrowth import SourceError
from bayes_hfgrowth.sources.client import (
    HubClient,
    NotAvailableError,
    Patience,
    UnreachableError,
)

BASE = "org/base"
CREATED = datetime(2025, 1, 1, tzinfo=UTC)
QUICK = Patience(timeout=2, first_wait=0.01)


@pytest.fixture
def client(hub: Hub) -> HubClient:
    hub.add_base(BASE, CREATED)
    hub.add_children([child_row("a/b", BASE, CREATED)])
    return HubClient(hub.endpoint, token=False, patience=QUICK)


def page(client: HubClient) -> int:
    return len(client.page(client.children_query(BASE, "finetune"))[0])


def one_line(error: pytest.ExceptionInfo[SourceError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_model_and_its_children(client: HubClient, hub: Hub) -> None:
    model = client.model(BASE)
    assert model["id"] == BASE
    assert model["childrenModelCount"]["finetune"] == 1
    assert page(client) == 1
    assert hub.requests[-1].query["sort"] == ["createdAt"]
    assert hub.requests[-1].query["limit"] == ["1000"]


def test_a_renamed_model_is_followed(client: HubClient, hub: Hub) -> None:
    hub.renames["old/name"] = BASE
    assert client.model("old/name")["id"] == BASE


@pytest.mark.parametrize("call", ["model", "page"])
def test_trouble_that_passes_is_waited_for(client: HubClient, hub: Hub, call: str) -> None:
    hub.faults.fail_500, hub.faults.html_answers = 2, 1
    assert client.model(BASE)["id"] == BASE if call == "model" else page(client) == 1
    assert len(hub.requests) == 4


def test_slow_answers_are_asked_for_again(hub: Hub) -> None:
    hub.add_base(BASE, CREATED)
    hub.faults.slow_seconds, hub.faults.slow_answers = 1.0, 1
    client = HubClient(hub.endpoint, token=False, patience=Patience(timeout=0.2, first_wait=0.01))
    assert client.model(BASE)["id"] == BASE
    assert len(hub.requests) == 2


def test_dropped_connections_are_asked_for_again(client: HubClient, hub: Hub) -> None:
    hub.faults.drop_share = 0.4
    assert [page(client) for _ in range(10)] == [1] * 10
    assert len(hub.requests) > 10


def test_a_rate_limit_is_waited_out_and_shown(hub: Hub) -> None:
    hub.add_base(BASE, CREATED)
    hub.faults.every_429, hub.faults.retry_seconds = 2, 0
    told: list[tuple[float, str]] = []
    client = HubClient(
        hub.endpoint, token=False, patience=QUICK, on_wait=lambda *what: told.append(what)
    )
    client.model(BASE)
    start = time.monotonic()
    client.model(BASE)
    assert time.monotonic() - start >= 1  # whole seconds on the wire: one more is waited
    assert told[0][1] == "rate limit"


def test_an_endless_rate_limit_ends_in_one_line(client: HubClient, hub: Hub) -> None:
    hub.faults.always_429 = True
    with pytest.raises(SourceError) as caught:
        client.model(BASE)
    assert "refused 6 times in a row; what was collected is kept" in one_line(caught)
    assert len(hub.requests) == 6


def test_a_rate_limit_that_asks_for_too_much_ends_at_once(client: HubClient, hub: Hub) -> None:
    hub.faults.always_429, hub.faults.retry_seconds = True, 4000
    with pytest.raises(SourceError) as caught:
        page(client)
    assert "asks to wait 4001 s (rate limit), more than the 660 s" in one_line(caught)
    assert len(hub.requests) == 1


def test_missing_private_gated_and_disabled(client: HubClient, hub: Hub) -> None:
    hub.add_base("org/secret", CREATED)
    hub.private.add("org/secret")
    hub.gated.add("org/gated")
    hub.disabled.add("org/disabled")
    for name, mend in {
        "org/misspelt": "check the spelling",
        "org/secret": "log in with `hf auth login`",
        "org/gated": "accept its conditions",
        "org/disabled": "leave it out",
    }.items():
        with pytest.raises(NotAvailableError) as caught:
            client.model(name)
        assert name in one_line(caught)
        assert mend in one_line(caught)


def test_a_token_opens_what_is_private(hub: Hub) -> None:
    hub.add_base("org/secret", CREATED)
    hub.private.add("org/secret")
    hub.tokens.add("hf_right")
    assert HubClient(hub.endpoint, "hf_right", QUICK).model("org/secret")["id"] == "org/secret"
    assert hub.requests[-1].token == "hf_right"


@pytest.mark.parametrize("token", ["hf_wrong", "hf_öäü", "hf_a\nb"])
def test_a_wrong_token_is_one_line_that_does_not_show_it(hub: Hub, token: str) -> None:
    hub.add_base(BASE, CREATED)
    client = HubClient(hub.endpoint, token, QUICK)
    for call in (lambda: client.model(BASE), lambda: page(client)):
        with pytest.raises(SourceError, match="HF_TOKEN") as caught:
            call()
        assert token not in one_line(caught)


def test_a_malformed_id_is_refused_before_any_request(client: HubClient, hub: Hub) -> None:
    with pytest.raises(SourceError, match="write it as namespace/name"):
        client.model("a/b/c")
    assert hub.requests == []


def test_no_network_is_said_soon() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UnreachableError, match="can't be reached"):
        HubClient(address, False, QUICK).model(BASE)


@pytest.mark.parametrize("address", ["huggingface", "ftp://hub", "http://"])
def test_an_endpoint_that_is_no_address(address: str) -> None:
    with pytest.raises(SourceError, match="HF_ENDPOINT"):
        HubClient(address, False, QUICK).model(BASE)


def test_answers_that_are_not_the_hubs(client: HubClient, hub: Hub) -> None:
    hub.faults.html_answers = 100
    with pytest.raises(SourceError, match="login page or a proxy"):
        page(client)


def test_refused_fields_are_left_out(client: HubClient, hub: Hub) -> None:
    hub.faults.refuse_base_models = True
    assert page(client) == 1
    assert page(client) == 1
    assert [r.status for r in hub.requests] == [400, 200, 200]


def test_a_link_to_elsewhere_is_asked_of_this_endpoint(client: HubClient, hub: Hub) -> None:
    hub.add_children([child_row(f"a/{n}", BASE, CREATED) for n in range(5)])
    hub.page_size = 3
    here, hub.endpoint = hub.endpoint, "https://elsewhere.example"
    rows, following = client.page(client.children_query(BASE, "finetune"))
    assert following is not None
    assert following.startswith("/api/models?")
    more, _ = client.page(following)
    hub.endpoint = here
    assert len({r["id"] for r in rows + more}) == 6
