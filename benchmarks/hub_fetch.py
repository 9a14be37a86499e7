"""Measure `hfgrowth fetch` against a stand-in Hub with 25,000 children on 25 pages.

    python -m benchmarks.hub_fetch

Prints requests, memory and time of a plain run; the outcome of 20 runs killed at random moments
until one finishes; and of a run with a 429 on every third answer and 10% of the connections cut.
The stand-in is the one of the tests; the command line runs as a process of its own.
"""

import argparse
import gzip
import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from bayes_hfgrowth import read_panel

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sources"))

from hub_server import Hub, make_children, serve

BASE = "meta-llama/Llama-3.1-8B"
CREATED = datetime(2024, 7, 14, 22, 20, 9, tzinfo=UTC)
HFGROWTH = [sys.executable, "-c", "from bayes_hfgrowth.cli import main; main()"]


def start(hub: Hub, folder: Path, out: Path) -> subprocess.Popen[bytes]:
    """Start a run with its own cache."""
    environment = os.environ | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HFGROWTH_CACHE": str(folder / "cache"),
    }
    command = [*HFGROWTH, "fetch", BASE, "--out", str(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def finish(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Wait for a run; return its status and its largest memory in MB."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss / 1024


def by_hand(hub: Hub, observed_at: pd.Timestamp) -> list[int]:
    """Count the children month by month with pandas alone."""
    born = pd.to_datetime([row["createdAt"] for row in hub.children], utc=True)
    ends = [pd.Timestamp(CREATED) + pd.DateOffset(months=k) for k in range(60)]
    ends = [end for end in ends if end <= observed_at]
    return [0, *(int((born <= end).sum()) for end in ends[1:])]


def right(hub: Hub, out: Path) -> bool:
    """Compare a panel with the count by hand."""
    panel = read_panel(out)
    assert panel.observed_at is not None
    return panel.table["finetunes"].tolist() == by_hand(hub, panel.observed_at)


def finished_pages(folder: Path) -> set[str]:
    """Return the addresses of the pages that are on disk."""
    found = set()
    for path in (folder / "cache").rglob("page-*.json.gz"):
        with gzip.open(path) as file:
            found.add(json.loads(file.readline())["request"])
    return found


def main() -> int:
    """Run all three measurements; the status is 0 if all of them hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--children", type=int, default=25_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    hub = Hub()
    hub.add_base(BASE, CREATED)
    hub.add_children(make_children(BASE, given.children, CREATED, CREATED + timedelta(days=500)))
    bound = math.ceil(given.children / 1000) + 2
    good = True
    with serve(hub), tempfile.TemporaryDirectory() as name:
        home = Path(name)
        began = time.perf_counter()
        status, memory = finish(start(hub, home / "plain", home / "plain.parquet"))
        took = time.perf_counter() - began
        ok = status == 0 and right(hub, home / "plain.parquet") and len(hub.requests) <= bound
        ok &= memory < 300
        good &= ok
        print(
            f"plain: {len(hub.requests)} requests (at most {bound}), {memory:.0f} MB (under 300), "
            f"{took:.1f} s, panel right: {ok}"
        )

        hub.requests.clear()
        dice = random.Random(given.seed)
        folder, out = home / "killed", home / "killed.parquet"
        kills, asked_again = 0, 0
        pages = math.ceil(given.children / 1000)
        while True:
            kept = finished_pages(folder)
            before = len(hub.requests)
            process = start(hub, folder, out)
            if kills < given.kills:
                # most kills come within the next three pages, so that 20 of them fit into 25
                nth, delay = dice.randint(1, 3), dice.uniform(0, 0.1)

                def strike(number: int, target: str) -> None:
                    if number == before + nth:  # noqa: B023
                        threading.Timer(delay, process.send_signal, [signal.SIGKILL]).start()  # noqa: B023

                hub.before_answer = strike
            else:
                hub.before_answer = None
            status, _ = finish(process)
            again = Counter(r.target for r in hub.requests[before:] if r.path == "/api/models")
            asked_again += sum(count for target, count in again.items() if target in kept)
            if status == 0:
                break
            kills += status == -signal.SIGKILL
        same = out.read_bytes() == (home / "plain.parquet").read_bytes()
        ok = kills == given.kills and same and asked_again == 0
        good &= ok
        print(
            f"killed {kills} times: same panel as without: {same}, finished pages asked for again: "
            f"{asked_again}, requests for {pages} pages: "
            f"{sum(r.path == '/api/models' for r in hub.requests)}"
        )

        hub.requests.clear()
        hub.before_answer = None
        hub.faults.every_429, hub.faults.retry_seconds, hub.faults.drop_share = 3, 0, 0.1
        began = time.perf_counter()
        status, _ = finish(start(hub, home / "faults", home / "faults.parquet"))
        took = time.perf_counter() - began
        refused = sum(r.status == 429 for r in hub.requests)
        same = status == 0 and (
            (home / "faults.parquet").read_bytes() == (home / "plain.parquet").read_bytes()
        )
        good &= same
        print(
            f"429 on every third answer, 10% dropped: same panel: {same}, {len(hub.requests)} "
            f"requests, {refused} of them refused, {took:.0f} s"
        )
    print(
        f"memory of this script with the stand-in: {resource.getrusage(0).ru_maxrss / 1024:.0f} MB"
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
