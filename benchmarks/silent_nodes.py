"""How far off the sum over base models without fine-tunes is, by the number of nodes.

    python -m benchmarks.silent_nodes

prints the error of the log density of the silent base models of the shipped data over twelve
populations scattered about the one that the nodes were put around, against 65,536 nodes for each
organization: the standard deviation, since an error that is the same everywhere cancels, and the
time of one density with its gradient.
"""

import time
from unittest import mock

import numpy as np

from bayes_hfgrowth import silent
from bayes_hfgrowth.history import History
from bayes_hfgrowth.silent_density import log_density_silent
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.spec import read_spec
from bayes_hfgrowth.transition import LIKELIHOODS

CENTRE, SPREADS = (2.0, 4.3, 0.75, 0.8), (0.5, 0.55, 0.55, 1.0)


def main() -> None:
    """Run the benchmark."""
    history = History.from_panel(load_example())
    groups = silent.SilentGroups.of(history, history.finetunes == 0)
    spec, organizations = read_spec("surge"), len(history.organizations)
    assert spec.carry_over is not None
    carry = np.array([float(spec.carry_over.strength), float(spec.carry_over.memory)])  # type: ignore[arg-type]
    law, rng = LIKELIHOODS["surge"], np.random.default_rng(1)
    centre = np.tile(CENTRE, (organizations, 1)) + 0.25 * rng.normal(size=(organizations, 4))
    # As wide as a posterior: organizations with many base models are known better.
    width = np.where(groups.number.sum(axis=1) > 80, 0.08, 0.2)[:, None]
    populations = [
        (
            centre + width * rng.normal(size=centre.shape) + 0.1 * rng.normal(size=4),
            np.log(SPREADS) + 0.1 * rng.normal(size=4),
            0.3 * rng.normal(size=organizations),
        )
        for _ in range(12)
    ]

    def densities(number: int, moving: bool = False) -> tuple[np.ndarray, float]:
        with mock.patch.multiple(silent, NODES=number, MOVING=number):
            at = (
                silent.moving_nodes(groups, 4)
                if moving
                else silent.nodes(
                    law, spec.m, groups, centre, np.tile(SPREADS, (organizations, 1)), carry
                )
            )
        begin = time.perf_counter()
        values = np.array([
            log_density_silent(
                law, means, log_spreads, carry, logits, groups.ages, groups.number, at.start,
                at.theta, at.log_density, at.empty, spec.m, np.zeros(means.shape), np.zeros(4),
                np.zeros(2), np.zeros(organizations),
            )
            for means, log_spreads, logits in populations
        ])  # fmt: skip
        return values, (time.perf_counter() - begin) / len(populations)

    exact, _ = densities(65_536)
    print("nodes           of the largest  error  milliseconds")
    for moving, numbers in ((True, (64, 128, 256)), (False, (1024, 2048, 4096, 8192))):
        for number in numbers:
            values, seconds = densities(number, moving)
            print(
                f"{'moving' if moving else 'staying':14}  {number:14,}  "
                f"{(values - exact).std():5.2f}  {seconds * 1e3:12.2f}"
            )


if __name__ == "__main__":
    main()
