"""Measure the report of all shipped base models: its size, and how fast it opens.

    python -m benchmarks.report [--fit FIT] [--months 12] [--out DIR]

Without a fit of your own, makes a rough posterior of all 3,120 base models in a minute or two
(the population is set by hand, each base model is sampled given it) and writes it as a fit file.
Runs the command line `hfgrowth report` on it, and opens the page in a headless Chromium: seconds
until the chart is drawn, what the console said, what was asked of the network.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr
from playwright.sync_api import sync_playwright

from bayes_hfgrowth.growth.law import LAW_NAMES
from bayes_hfgrowth.model.priors import LOG_SCALE, log_prior
from bayes_hfgrowth.model.specification import FIXED, read_spec
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.posterior.convergence import check_convergence
from bayes_hfgrowth.posterior.draws import ATTRIBUTE, FORMAT, FittedDraws
from bayes_hfgrowth.posterior.simulation import (
    SharedDraws,
    base_model_parameters,
    log_likelihood,
    replicates,
)
from bayes_hfgrowth.sources.example import load_example
from tests.report.chromium import find_chromium

HFGROWTH = [sys.executable, "-c", "from bayes_hfgrowth.cli import main; main()"]
CHAINS = 4

STEPS = 80
"""Steps of the sampler that makes the rough posterior."""

COPIED = (0, 3, 6, 9, 12)
"""Steps before which the better half of a base model's draws takes the place of the worse."""

# Median base model and spread around it, on the scale on which each parameter is normal.
POPULATION = {
    "fitness": (1.5, 0.8),
    "immediacy": (2.8, 0.5),
    "longevity": (0.3, 0.4),
}
LARGEST_MB = 15.0
SLOWEST_SECONDS = 3.0


def rough_fit(draws: int, seed: int) -> FittedDraws:
    """Make a fit file's tree of all shipped base models."""
    rng = np.random.default_rng(seed)
    spec, history = read_spec("reinforced"), History.from_panel(load_example())
    number, models = CHAINS * draws, len(history.base_models)
    lead, shape = ("chain", "draw"), (CHAINS, draws)
    variables = {}
    center, spread = (np.array(column) for column in zip(*POPULATION.values(), strict=True))
    shared = SharedDraws(np.tile([FIXED[name] for name in LAW_NAMES], (number, 1)))
    aged = history.months > 0

    def density(theta: np.ndarray) -> np.ndarray:
        """Log posterior of each base model, the population given; shape (draws, base models)."""
        months = log_likelihood(spec, history, theta, shared).astype(np.float64)
        total = -0.5 * (((theta - center) / spread) ** 2).sum(axis=-1)
        total[:, aged] += np.add.reduceat(months, history.start[:-1][aged], axis=1)
        return total

    # Differential evolution (ter Braak 2006): a step is the difference of two other draws, so
    # it has the right length for every base model. All draws of all base models step at once.
    theta = center + spread * rng.standard_normal((number, models, len(center)))
    here = density(theta)
    for step_number in range(STEPS):
        if step_number in COPIED:  # draws far from the months would never get there
            order = np.argsort(here, axis=0)
            for values in (theta, here):
                own = order.reshape(*order.shape, *(1,) * (values.ndim - 2))
                kept = np.take_along_axis(values, own[number // 2 :], axis=0)
                np.put_along_axis(values, own[: number // 2], kept[: number // 2], axis=0)
        one, other = theta[rng.permutation(number)], theta[rng.permutation(number)]
        step = 2.38 / np.sqrt(2 * len(center)) * (one - other)
        there = theta + step + 0.01 * rng.standard_normal(theta.shape)
        proposed = density(there)
        taken = np.log(rng.random(here.shape)) < proposed - here
        here = np.where(taken, proposed, here)
        theta = np.where(taken[..., None], there, theta)
    for place, name in enumerate(spec.parameters):
        natural = np.exp if LOG_SCALE[name] else np.asarray
        typical = center[place] + 0.1 * rng.standard_normal((*shape, len(history.organizations)))
        variables |= {
            f"global_{name}": (lead, natural(center[place] + 0.1 * rng.standard_normal(shape))),
            f"between_organizations_{name}": (lead, 0.3 + 0.02 * rng.random(shape)),
            f"organization_{name}": ((*lead, "organization"), natural(typical)),
            f"between_base_models_{name}": (lead, spread[place] + 0.02 * rng.random(shape)),
            name: (
                (*lead, "base_model"),
                natural(theta[:, :, place]).reshape(*shape, models).astype(np.float32),
            ),
        }
    posterior = xr.Dataset(
        variables,
        coords={
            "chain": range(CHAINS),
            "draw": range(draws),
            "organization": list(history.organizations),
            "base_model": list(history.base_models),
        },
    )
    theta = base_model_parameters(spec, posterior)

    def over_months(values: np.ndarray) -> xr.Dataset:
        dims = (*lead, "observation")
        return xr.Dataset({"new_finetunes": (dims, values.reshape(*shape, -1))})

    # A month that is certain under every one of these few draws (density 1 to the last digit)
    # has no tail that leave-one-out could smooth.
    likelihood = log_likelihood(spec, history, theta, shared)
    likelihood -= 1e-5 * rng.random(likelihood.shape, dtype=np.float32)
    stats = xr.Dataset({"diverging": (lead, np.zeros(shape, dtype=bool))})
    observed, constant = history.to_datasets()
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "sample_stats": stats,
            "prior": posterior.isel(chain=[0]),
            "posterior_predictive": over_months(replicates(spec, history, theta, shared, rng)),
            "log_likelihood": over_months(likelihood),
            "log_prior": log_prior(spec, posterior),
            "observed_data": observed,
            "constant_data": constant,
        }
    )
    about = {
        "format": FORMAT,
        "specification": json.loads(spec.to_json()),
        "panel": {"observed_at": "2025-02-21T00:00:00+00:00"},
        "seed": seed,
        "pointwise_every": 1,
        "convergence": json.loads(check_convergence(posterior, stats).to_json()),
    }
    tree.attrs[ATTRIBUTE] = json.dumps(about)
    return FittedDraws(tree)


def open_page(page: Path) -> tuple[float, float, list[str], list[str]]:
    """Open a page in a fresh browser profile.

    Returns
    -------
    tuple
        Seconds until the document has loaded, seconds until the chart is drawn, messages of
        the console, addresses asked for besides the page's own.
    """
    with sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            sys.exit("no Chromium found; install one, for example with: apt install chromium")
        browser = playwright.chromium.launch(executable_path=executable)
        tab = browser.new_page()
        messages: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message: messages.append(message.text))
        tab.on("pageerror", lambda error: messages.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        address = page.resolve().as_uri()
        began = time.perf_counter()
        tab.goto(address)
        loaded = time.perf_counter() - began
        tab.wait_for_selector("#chart .scatterlayer .trace")
        tab.wait_for_selector("#base-model-table tbody tr")
        drawn = time.perf_counter() - began
        browser.close()
    elsewhere = [url for url in asked if url != address and not url.startswith("data:")]
    return loaded, drawn, messages, elsewhere


def main() -> int:
    """Measure; the status is 0 if size, time and silence are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=Path, help="fit to report on instead of the rough one")
    parser.add_argument("--draws", type=int, default=100, help="draws of each of 4 chains")
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--opens", type=int, default=3, help="how often to open the page")
    parser.add_argument("--out", type=Path, help="keep fit and page in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.out or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        fit_file, page = options.fit or folder / "fit.nc", folder / "report.html"
        if options.fit is None:
            rough_fit(options.draws, options.seed).save(fit_file)
        began = time.perf_counter()
        command = ["report", str(fit_file), "--out", str(page), "--months", str(options.months)]
        subprocess.run([*HFGROWTH, *command], check=True)
        print(f"hfgrowth report: {time.perf_counter() - began:.1f} s")
        size = page.stat().st_size / 1e6
        print(f"size: {size:.2f} MB (under {LARGEST_MB:.0f})")
        good = size < LARGEST_MB
        for _ in range(options.opens):
            loaded, drawn, messages, elsewhere = open_page(page)
            print(
                f"loaded after {loaded:.2f} s, chart drawn after {drawn:.2f} s "
                f"(under {SLOWEST_SECONDS:.0f}); console: {messages or 'silent'}; "
                f"network: {elsewhere or 'nothing asked'}"
            )
            good &= drawn < SLOWEST_SECONDS and not messages and not elsewhere
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
