"""How many nodes the sum over base models without fine-tunes needs.

    python -m benchmarks.silent_nodes

prints the error of the log density of the silent base models of the shipped data, against 4,096
nodes for each organization, at several widths of the population and under three choices of the
random scramble. Only differences along a row matter to a posterior: an error that is the same
everywhere cancels.
"""

import numpy as np

from bayes_hfgrowth.history import History
from bayes_hfgrowth.silent import SilentGroups, log_density_silent, nodes
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.spec import read_spec
from bayes_hfgrowth.transition import LIKELIHOODS

SPREADS = {
    "narrow": (0.3, 0.3, 0.3, 0.5),
    "plausible": (0.5, 0.55, 0.55, 1.0),
    "wide": (1.0, 0.8, 0.6, 1.2),
    "very wide": (0.25, 2.0, 0.6, 1.0),
}
MEANS = (2.0, 4.3, 0.75, 0.8)
LOGIT = 0.0


def main() -> None:
    """Run the benchmark."""
    history = History.from_panel(load_example())
    groups = SilentGroups.of(history, history.finetunes == 0)
    spec, organizations = read_spec("surge"), len(history.organizations)
    assert spec.carry_over is not None
    carry = np.array([float(spec.carry_over.strength), float(spec.carry_over.memory)])  # type: ignore[arg-type]

    def density(spreads: tuple[float, ...], points: np.ndarray) -> float:
        return log_density_silent(
            LIKELIHOODS["surge"], np.tile(MEANS, (organizations, 1)), np.log(spreads), carry,
            np.full(organizations, LOGIT), groups.number, points, spec.m,
            np.zeros((organizations, 4)), np.zeros(4), np.zeros(2), np.zeros(organizations),
        )  # fmt: skip

    exact = {name: density(s, nodes(4, [4096] * organizations)) for name, s in SPREADS.items()}
    print("nodes  scramble  " + "  ".join(f"{name:>10}" for name in SPREADS))
    for number in (32, 64, 128, 256):
        for scramble in range(3):
            # Other organizations' points are another scramble.
            points = nodes(4, [number] * organizations * (scramble + 1))[-organizations:]
            errors = [density(s, points) - exact[name] for name, s in SPREADS.items()]
            print(f"{number:5}  {scramble + 1:8}  " + "  ".join(f"{e:10.2f}" for e in errors))


if __name__ == "__main__":
    main()
