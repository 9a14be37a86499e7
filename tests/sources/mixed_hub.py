"""What a stand-in Hub holds: base models as good and as bad as they come."""

import datetime as dt

from hub_server import Hub, make_children

ANCIENT = dt.datetime(2022, 3, 2, 23, 29, 4, tzinfo=dt.UTC)
"""Creation of everything that is older than the Hub's record."""


def mixed_hub(now):
    """Ten base models of five namespaces; a rename, a repository that is not shown."""
    hub = Hub()

    def add(name, days, children=0, **fields):
        created = now - dt.timedelta(days=days)
        hub.add_base(name, created, **fields)
        hub.add_children(make_children(name, children, created, now, seed=len(hub.models)))

    add("meta-llama/Llama-9", 400, 1500)
    add("Qwen/Q9", 250, 900)
    add("newco/thirty", 200, 30)
    add("newco/none", 100)
    add("newco/yesterday", 1)
    add("newco/today", 0.0001)
    add("newco/gated", 300, 40, gated="manual")
    hub.add_base("old/ancient", ANCIENT)
    hub.gated.add("newco/hidden")
    hub.renames["oldco/Q"] = "Qwen/Q9"
    return hub
