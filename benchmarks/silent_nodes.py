"""How far off the sum over base models without fine-tunes is, by the nodes that it is taken at.

    python -m benchmarks.silent_nodes

prints the error of the log density of the silent base models of the shipped data against 32,768
nodes for the largest organizations: its standard deviation over twelve populations as far apart
as draws of the posterior are, since an error that is the same everywhere cancels. Beside it the
time of one density with its gradient. The learned nodes come from two hundred other populations,
drawn in the same way as a pilot run would leave them.
"""

import time

import numpy as np
from scipy.special import expit

from bayes_hfgrowth.growth.transition import LIKELIHOODS
from bayes_hfgrowth.inference.silent import Nodes, SilentGroups, first_nodes, learned_nodes
from bayes_hfgrowth.inference.silent_density import log_density_silent
from bayes_hfgrowth.model.specification import read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.sources.example import load_example

CENTRE, SPREADS = (2.0, 4.5, 1.05, 1.05), (0.4, 1.25, 0.6, 0.95)
"""Where the posterior of all base models is: ln λ, μ, ln σ, ln of the dispersion."""

CARRY = (0.4, 0.4)


def main() -> None:
    """Run the benchmark."""
    history = History.from_panel(load_example())
    groups = SilentGroups.of(history, history.finetunes == 0)
    spec, organizations = read_spec("surge"), len(history.organizations)
    law, rng = LIKELIHOODS["surge"], np.random.default_rng(1)
    centre = CENTRE + 0.25 * rng.normal(size=(organizations, 4))
    # Organizations with many base models are known better.
    width = np.where(groups.number.sum(axis=1) > 80, 0.1, 0.25)[:, None]

    def populations(number: int) -> tuple[np.ndarray, ...]:
        together = 0.1 * rng.normal(size=(number, 1, 4))
        means = centre + width * rng.normal(size=(number, organizations, 4)) + together
        spreads = SPREADS * np.exp(0.1 * rng.normal(size=(number, 4)))
        logits = 0.3 * rng.normal(size=(number, organizations)) - 1.0
        carry = expit(np.log(2.0 / 3.0) + 0.05 * rng.normal(size=(number, 2)))
        return means, spreads, carry, logits

    scored = populations(12)

    def densities(nodes: Nodes) -> tuple[np.ndarray, float]:
        values, seconds = [], 0.0
        for _ in range(2):
            begin = time.perf_counter()
            values = [
                log_density_silent(
                    law, means, np.log(spreads), carry, logits, groups.ages, groups.number,
                    nodes.start, nodes.points, nodes.weights, spec.m, np.zeros(means.shape),
                    np.zeros(4), np.zeros(2), np.zeros(organizations),
                )
                for means, spreads, carry, logits in zip(*scored, strict=True)
            ]  # fmt: skip
            seconds = (time.perf_counter() - begin) / len(values)
        return np.array(values), seconds

    exact, _ = densities(first_nodes(groups, 4, 32_768))
    print("rule                              nodes in all  error  milliseconds")

    def show(name: str, nodes: Nodes) -> None:
        values, seconds = densities(nodes)
        error = (values - exact).std()
        print(f"{name:32}  {nodes.start[-1]:12,}  {error:5.2f}  {seconds * 1e3:12.2f}")

    for most in (32, 64, 128, 256, 512, 1024):
        show(f"equal weights, at most {most}", first_nodes(groups, 4, most))
    begin = time.perf_counter()
    learned = learned_nodes(law, spec.m, groups, *populations(200)[:3])
    seconds = time.perf_counter() - begin
    show("learned from a pilot", learned)
    print(f"learning took {seconds:.1f} s")


if __name__ == "__main__":
    main()
