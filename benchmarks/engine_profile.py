"""Where the time of the engine `marginal` goes, and how far that is from a floor.

    python -m benchmarks.engine_profile

fits all shipped base models with few draws, one chain at a time, and times the compiled parts of
the kept transitions. The floor is one pass over the months of the base models at 40 ns for each,
which is what the arithmetic of their density needs; a chain cannot read the data in less.
"""

import argparse
import functools
import time
from collections import defaultdict
from typing import Any

import pandas as pd

import bayes_hfgrowth as hfg
from bayes_hfgrowth import points, posterior_density, sampling
from bayes_hfgrowth.crosses import CROSSES, SILENT_CROSSES
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.support.progress import Progress

FLOOR = 40e-9  # seconds for the density of a month
PARTS = {
    "renew_points": (points, "points of base models, and their months at all of them"),
    "_averaged": (posterior_density, "population: base models averaged over their points"),
    "_base_models": (posterior_density, "together: base models that are awake, with gradient"),
    "_begin": (posterior_density, "coordinates of the population"),
    "_finish": (posterior_density, "coordinates of the population, back"),
    "pick_points": (points, "a point of each base model picked"),
}


def timed(function: Any, spent: dict[str, list[float]], name: str) -> Any:
    """Wrap a compiled part, to note the CPU seconds of each call."""

    @functools.wraps(function)
    def call(*given: Any) -> Any:
        begin = time.thread_time()
        result = function(*given)
        spent[name].append(time.thread_time() - begin)
        return result

    call.stats = function.stats  # which the engine asks whether it was compiled before
    return call


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--tune", type=int, default=20)
    parser.add_argument("--chains", type=int, default=2)
    options = parser.parse_args()
    history = History.from_panel(hfg.load_example())
    settings = sampling.Settings(options.draws, options.tune, options.chains, seed=1, cores=1)
    spent: dict[str, list[float]] = defaultdict(list)
    for name, (module, _) in PARTS.items():
        setattr(module, name, timed(getattr(module, name), spent, name))
    run_chains, whole = sampling.run_chains, [0.0]

    def last_run(*given: Any) -> Any:
        """The pilots come first; what they spent does not count."""
        spent.clear()
        begin = time.process_time()
        found = run_chains(*given)
        whole[0] = time.process_time() - begin
        return found

    sampling.run_chains = last_run
    sampling.sample(hfg.GrowthModel("surge").spec, history, settings, Progress(False))
    transitions = options.chains * (options.tune + options.draws)
    rows = [
        (what, len(spent[name]) / transitions, 1e3 * sum(spent[name]) / transitions)
        for name, (_, what) in PARTS.items()
    ]
    rows.append(
        ("Python between them", 1.0, 1e3 * whole[0] / transitions - sum(r[2] for r in rows))
    )
    rows.append(("a transition", 1.0, 1e3 * whole[0] / transitions))
    table = pd.DataFrame(rows, columns=["part", "calls", "ms"])
    table["share"] = table["ms"] / table["ms"].iloc[-1]
    print(table.round(3).to_string(index=False))
    told = int(history.months[history.finetunes > 0].sum())
    all_months = len(history.new)
    floor = FLOOR * all_months
    print(
        f"{all_months:,} months, {told:,} of them of the {(history.finetunes > 0).sum():,} base "
        f"models with fine-tunes; floor of a pass: {1e3 * floor:.2f} ms; a transition takes "
        f"{whole[0] / transitions / floor:.1f} floors"
    )
    gradient = sum(spent["_base_models"]) / len(spent["_base_models"]) / told
    # Base models with fine-tunes and those without any are renewed one after the other.
    renewed = 2.0 * sum(spent["renew_points"]) / len(spent["renew_points"])
    numbers = 2 * 4 * CROSSES, 2 * 4 * SILENT_CROSSES
    renewed /= told * numbers[0] + (all_months - told) * numbers[1]
    print(
        f"of a month: at most {1e9 * gradient:.0f} ns for density and gradient, "
        f"{1e9 * renewed:.1f} ns for the density at one of {numbers[0]} points ({numbers[1]} "
        "without fine-tunes)"
    )


if __name__ == "__main__":
    main()
