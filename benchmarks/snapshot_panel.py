"""Measure `hfgrowth snapshot` on a synthetic snapshot of 3 million models.

    python -m benchmarks.snapshot_panel [--relation all] [--file models.parquet]

Makes the file if it is not there, runs the command line on 2 threads as a process of its own,
prints its time and memory, and compares the panel with a plain pandas computation on 1% of the
base models.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.make_snapshot import make

HFGROWTH = [sys.executable, "-c", "from bayes_hfgrowth.cli import main; main()"]
UNKNOWN = pd.Timestamp("2022-03-02T23:30:00")


def run(file: Path, out: Path, relation: str) -> tuple[float, float]:
    """Run the command on two cores; return seconds and MB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [*HFGROWTH, "snapshot", str(file), "--out", str(out), "--relation", relation],
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2]),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"hfgrowth snapshot ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def by_pandas(file: Path, relation: str, share: float, seed: int) -> dict[str, pd.DataFrame]:
    """Count a sample of the base models with pandas alone."""
    table = pq.read_table(file, columns=["_id", "id", "author", "createdAt", "baseModels"])
    models = table.to_pandas()
    observed = models["createdAt"].max().normalize()
    edges = models[models["baseModels"].notna()]
    edges = edges[edges["baseModels"].map(lambda b: relation in (b["relation"], "all"))]
    parents = edges["baseModels"].map(lambda b: b["models"][0]["id"])
    edges = edges.assign(parent=parents)[parents != edges["id"]].drop_duplicates(["_id", "parent"])
    edges = edges[edges["createdAt"] >= UNKNOWN]
    names = np.sort(edges["parent"].unique())
    dice = np.random.default_rng(seed)
    sample = dice.choice(names, size=max(1, round(share * len(names))), replace=False)
    created = models.drop_duplicates("id").set_index("id")["createdAt"]
    found = {}
    for name, group in edges[edges["parent"].isin(sample)].groupby("parent"):
        birth = created[name]
        if birth < UNKNOWN:
            continue
        ends = [birth + pd.DateOffset(months=k) for k in range(70)]
        rows = []
        for month, end in enumerate(end for end in ends if end <= observed):
            inside = group[group["createdAt"] <= end] if month else group[:0]
            authors = inside["author"].value_counts()
            rows.append((month, len(inside), len(authors), authors.max() if len(authors) else 0))
        counts = pd.DataFrame(rows, columns=["month", "finetunes", "authors", "largest"])
        if counts["finetunes"].max() > 0:
            found[str(name)] = counts
    return found


def main() -> int:
    """Measure and compare; the status is 0 if all of it holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=Path(tempfile.gettempdir()) / "models.parquet")
    parser.add_argument("--relation", default="finetune")
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--children", type=int, default=600_000)
    parser.add_argument("--sample", type=float, default=0.01)
    given = parser.parse_args()
    if not given.file.exists():
        print(f"making {given.file}")
        make(given.file, given.rows, given.children)
    print(f"{given.file}: {given.file.stat().st_size / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "panel.parquet"
        seconds, memory = run(given.file, out, given.relation)
        panel = pd.read_parquet(out)
    print(f"{len(panel):,} rows in {seconds:.1f} s (under 20) with {memory:.0f} MB (under 2,000)")
    panel["largest"] = (panel["largest_author_share"] * panel["finetunes"]).round().astype("int64")
    right = by_pandas(given.file, given.relation, given.sample, seed=1)
    rows = panel[panel["base_model"].isin(list(right))].groupby("base_model")
    ours = {str(base): group for base, group in rows}
    columns = ["month", "finetunes", "authors", "largest"]
    same = set(ours) == set(right) and all(
        np.array_equal(ours[base][columns].to_numpy(), right[base][columns].to_numpy())
        for base in right
    )
    print(f"identical to pandas on {len(right)} base models: {same}")
    return 0 if same and seconds < 20 and memory < 2000 else 1


if __name__ == "__main__":
    sys.exit(main())
