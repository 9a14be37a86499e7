"""The sampler as a stage of a fit: repeatable, the same by either engine, interruptible."""

import dataclasses
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hfgrowth import FitError, GrowthModel, Panel
from bayes_hfgrowth.inference.sampling import Settings, sample
from bayes_hfgrowth.model.specification import read_spec
from bayes_hfgrowth.model.specification_parts import Prior
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.sources.example import load_example
from bayes_hfgrowth.support.progress import Progress

SHORT = Settings(draws=60, tune=60, chains=2, seed=1, pilots=((40, 30),))
FEW = ("apple/DepthPro", "apple/OpenELM-3B", "facebook/layerskip-llama3.2-1B",
       "facebook/chameleon-7b", "facebook/mms-tts-mqn")  # fmt: skip


@pytest.fixture(scope="module")
def history() -> History:
    """Five base models of two organizations, one of them without fine-tunes."""
    return History.from_panel(load_example().select(base_models=FEW))


def draw(history: History, model: str = "surge", settings: Settings = SHORT) -> xr.Dataset:
    return sample(read_spec(model), history, settings, Progress(False))[0]


def test_same_seed_same_draws_other_seed_other_draws(history: History) -> None:
    first = draw(history)
    xr.testing.assert_equal(draw(history), first)
    other = draw(history, settings=Settings(**{**vars(SHORT), "seed": 2}))
    assert not any(first[name].equals(other[name]) for name in first.data_vars)
    # neither do the chains repeat one another
    assert not np.isclose(first["global_fitness"][0], first["global_fitness"][1]).any()


def test_the_engines_agree(history: History) -> None:
    """Means within five standard errors of their difference, scales within a quarter."""
    longer = {
        **vars(SHORT),
        "draws": 800,
        "tune": 300,
        "target_accept": 0.9,
        "pilots": ((150, 100),),
    }
    fast, plain = (
        draw(history, "reinforced", Settings(**{**longer, "engine": engine}))
        for engine in ("marginal", "nuts")
    )
    assert {k: v.dims for k, v in fast.data_vars.items()} == {
        k: v.dims for k, v in plain.data_vars.items()
    }
    for name in fast.data_vars:
        natural = "immediacy" in str(name) and "between" not in str(name)
        pair = [
            (posterior[name] if natural else np.log(posterior[name])).astype(np.float64)
            for posterior in (fast, plain)
        ]
        a, b = pair
        errors = [az.mcse(values.to_dataset(name="x"))["x"] for values in pair]
        distance = np.abs(a.mean(("chain", "draw")) - b.mean(("chain", "draw")))
        assert (distance < 5 * np.hypot(*errors)).all(), name
        ratio = a.std(("chain", "draw")) / b.std(("chain", "draw"))
        assert (np.abs(np.log(ratio)) < 0.3).all(), (name, ratio)


class Interrupted(Progress):
    """Progress that sends Ctrl-C as soon as the last stage of the sampler advances."""

    def __init__(self) -> None:
        super().__init__(False)
        self.sent = 0

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Callable[[int, str], None]]:
        def advance(done: int, remark: str) -> None:
            if title == "sample" and not self.sent:
                self.sent = done + 1
                os.kill(os.getpid(), signal.SIGINT)

        yield advance


def test_ctrl_c_stops_the_chains(history: History) -> None:
    long = Settings(**{**vars(SHORT), "draws": 5000})
    progress = Interrupted()
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        sample(read_spec("surge"), history, long, progress)
    assert 0 < progress.sent < 2 * 5000
    assert threading.active_count() == before


@pytest.fixture(scope="module")
def silent() -> Panel:
    """Two organizations with three base models each, and no fine-tune."""
    rows = [
        (f"o{o}/b{b}", f"o{o}", "2023-01-01", month, 0)
        for o in range(2)
        for b in range(3)
        for month in range(6)
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    return Panel.from_table(pd.DataFrame(rows, columns=columns))


def test_a_chain_that_runs_away_is_refused(silent: Panel) -> None:
    """If all base models of an organization may be dormant, its mean is as its prior has it."""
    spec = read_spec("surge")
    fitness = spec.parameters["fitness"]
    absurd = Prior("LogNormal", {"median": 1000.0, "sigma": 0.1}, "no reason")
    fitness = dataclasses.replace(fitness, between_organizations=absurd)
    spec = dataclasses.replace(spec, parameters={**spec.parameters, "fitness": fitness})
    with pytest.raises(FitError, match=r"fitness of o\d ran away beyond all numbers in chain \d"):
        sample(spec, History.from_panel(silent), SHORT, Progress(False))


def test_a_panel_without_any_finetune_is_fitted(silent: Panel) -> None:
    """Every base model may be dormant then, and only the population is left to move."""
    fit = GrowthModel("surge").fit(silent, seed=1, draws=100, tune=100, progress=False)
    assert float(fit.posterior["organization_dormancy"].mean()) > 0.5  # the prior's mean
    assert fit.posterior["fitness"].sizes["base_model"] == 6
    last = fit.forecast(3).draws["finetunes"].isel(horizon=-1)
    assert 0.5 < float((last == 0).mean()) < 1.0
