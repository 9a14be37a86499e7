"""What all tests share."""

import dataclasses
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from filelock import FileLock
from hypothesis import settings

# Whoever starts the tests in the background hands down an ignored Ctrl-C, to the commands that the
# tests interrupt too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything imports huggingface_hub: it reads these once, and must not meet the user's.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hf-home-")

# How long an example takes depends on what else the machine does.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One worker more than cores: many tests wait for a process, a server or a time."""
    return joblib.cpu_count() + 1


def pytest_collection_modifyitems(items):
    """First what compiles the sampler, the first page, and tests that wait and compile nothing.

    All others find what they need in Numba's cache, instead of several workers compiling the same.
    Notebooks are not last, where they would keep one worker busy and the others waiting.
    """
    first = [
        *("test_demo.py", "answer_page/test_browser.py", "sources/", "answer_page/", "app/"),
        *("commands/", "test_notebooks.py"),
    ]

    def place(item):
        path = item.path.as_posix()
        return next((i for i, part in enumerate(first) if part in path), len(first))

    items.sort(key=place)


@pytest.fixture
def small_panel():
    """Three base models of two organizations, observed on 2024-04-10."""
    from bayes_hfgrowth import Panel  # not before the environment above is set

    rows = [
        ("meta-llama/A", "Meta", "2024-01-31T10:00Z", 0, 0),
        ("meta-llama/A", "Meta", "2024-01-31T10:00Z", 1, 4),
        ("meta-llama/A", "Meta", "2024-01-31T10:00Z", 2, 9),
        ("Qwen/B", "Qwen", "2024-03-05", 0, 0),
        ("Qwen/B", "Qwen", "2024-03-05", 1, 0),
        ("facebook/C", "Meta", "2024-03-31", 0, 0),
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    return Panel.from_table(pd.DataFrame(rows, columns=columns).assign(observed_at="2024-04-10"))


@pytest.fixture(scope="session")
def spec_of(tmp_path_factory):
    """Growth models by name: the shipped ones, and two that hold what these do not.

    ``carried`` is bursts with priors on both parts of the carry-over, ``global`` is surge
    without organization level.
    """
    from bayes_hfgrowth.model.specification import CarryOver, Prior, read_spec

    def make(name):
        if name == "carried":
            strength = Prior("Normal", {"mu": 0.4, "sigma": 0.2}, "a test")
            memory = Prior("Beta", {"alpha": 2.0, "beta": 5.0}, "a test")
            return dataclasses.replace(read_spec("bursts"), carry_over=CarryOver(strength, memory))
        if name != "global":
            return read_spec(name)
        shipped = Path(__file__).parents[1] / "models" / "surge.toml"
        text = shipped.read_text(encoding="utf-8")
        blocks = text.replace('pooling = "organization"', 'pooling = "global"').split("\n[")
        kept = [block for block in blocks if "between_organizations]" not in block.split("\n")[0]]
        path = tmp_path_factory.mktemp("models") / "global.toml"
        path.write_text("\n[".join(kept), encoding="utf-8")
        return read_spec(path)

    return make


@pytest.fixture(scope="session")
def make_fit():
    """Makes fits without sampling: the posterior is a narrow cloud around the truth.

    The counts come from that truth, so the model of such a fit is right; ``distort`` may then
    change them. Three organizations, the median base model of each set by hand.
    """
    from bayes_hfgrowth.model.priors import LOG_SCALE, draw_prior, log_prior
    from bayes_hfgrowth.model.specification import Prior, read_spec
    from bayes_hfgrowth.panel.history import History
    from bayes_hfgrowth.panel.period import month_names, stationary
    from bayes_hfgrowth.posterior.convergence import check_convergence
    from bayes_hfgrowth.posterior.draws import ATTRIBUTE, FORMAT, FittedDraws
    from bayes_hfgrowth.posterior.simulation import (
        SharedDraws,
        base_model_parameters,
        dormancy_shares,
        log_likelihood,
        replicates,
        simulated_history,
    )

    centres = {  # of Meta, Qwen, StabilityAI, on the scale on which they are normal
        "fitness": [1.1, 1.3, 0.9],
        "immediacy": [2.0, 1.4, 2.6],
        "longevity": [0.3, 0.2, 0.5],
        "dispersion": [0.3, 0.5, 0.1],
    }
    shared_centres = {
        "reinforcement_exponent": 0.8,
        "carry_over_strength": 0.5,
        "carry_over_memory": 0.1,
        "period_persistence": 0.8,
        "period_innovation": 0.2,
        "burst_probability": 0.01,
        "burst_factor": 10.0,
        "burst_size": 0.7,
    }

    def make(model="surge", *, base_models=24, chains=4, draws=400, width=0.02, seed=1,
             distort=None, diverging=0):  # fmt: skip
        rng = np.random.default_rng(seed)
        spec = read_spec(model)
        organizations = ("Meta", "Qwen", "StabilityAI")
        group = np.arange(base_models) % 3
        ages = rng.integers(4, 24, base_models)
        ages[-1] = 0  # one younger than a month
        start = np.append(0, np.cumsum(ages))
        nothing = np.zeros(start[-1])
        history = History(
            base_models=tuple(f"{organizations[g]}/model-{i}" for i, g in enumerate(group)),
            organizations=organizations,
            organization_of=group,
            created_at=pd.DatetimeIndex(
                [pd.Timestamp("2025-01-01", tz="UTC") - age * pd.Timedelta(days=31) for age in ages]
            ),
            start=start,
            month=np.concatenate([np.arange(1.0, age + 1) for age in ages]),
            previous=nothing,
            new=nothing,
        )
        shape = (chains, draws)
        variables = {}
        for name in spec.parameters:
            natural = np.exp if LOG_SCALE[name] else np.asarray
            mean = np.array(centres[name])
            truth = mean[group] + 0.3 * rng.standard_normal(base_models)

            def cloud(centre, width=width):
                return centre + width * rng.standard_normal((*shape, *np.shape(centre)))

            lead = ("chain", "draw")
            variables |= {
                f"global_{name}": (lead, natural(cloud(mean.mean()))),
                f"between_organizations_{name}": (lead, np.abs(cloud(0.25))),
                f"organization_{name}": ((*lead, "organization"), natural(cloud(mean, 0.15))),
                f"between_base_models_{name}": (lead, np.abs(cloud(0.3))),
                name: ((*lead, "base_model"), natural(cloud(truth))),
            }
        lead = ("chain", "draw")
        for name, value in spec.shared.items():
            if isinstance(value, Prior):
                around = 1.0 + 0.02 * rng.standard_normal(shape).clip(-3.0, 3.0)
                variables[name] = (lead, shared_centres[name] * around)
        months = month_names(*history.calendar_span)
        if spec.period_effect is not None:
            effect = stationary(rng.standard_normal(len(months)), np.array(0.8), np.array(0.2))
            around = width * rng.standard_normal((*shape, len(months)))
            variables["period_effect"] = ((*lead, "calendar_month"), effect + around)
        if spec.dormancy is not None:
            dormancy = np.array([0.1, 0.05, 0.15])
            variables |= {
                "global_dormancy": (lead, 0.1 + 0.02 * rng.random(shape)),
                "between_organizations_dormancy": (lead, 0.5 + 0.1 * rng.random(shape)),
                "organization_dormancy": (
                    (*lead, "organization"),
                    dormancy * (1.0 + 0.2 * rng.standard_normal((*shape, 3)).clip(-3.0, 3.0)),
                ),
            }
        posterior = xr.Dataset(
            variables,
            coords={
                "chain": np.arange(chains),
                "draw": np.arange(draws),
                "organization": list(organizations),
                "base_model": list(history.base_models),
                **({"calendar_month": months} if spec.period_effect is not None else {}),
            },
        )
        theta, shared = base_model_parameters(spec, posterior), SharedDraws.of(spec, posterior)
        shares = dormancy_shares(spec, posterior)
        history = simulated_history(
            spec, history, theta[0], shared.take(np.array([0])), rng,
            None if shares is None else shares[0],
        )  # fmt: skip
        if distort is not None:
            history = distort(history)

        def over_months(values):
            dims = ("chain", "draw", "observation")
            return xr.Dataset({"new_finetunes": (dims, values.reshape(*shape, -1))})

        observed, constant = history.to_datasets()
        diverged = np.zeros(shape, dtype=bool)
        diverged[0, :diverging] = True
        stats = xr.Dataset({"diverging": (("chain", "draw"), diverged)})
        verdict = check_convergence(posterior, stats)
        tree = xr.DataTree.from_dict(
            {
                "posterior": posterior,
                "sample_stats": stats,
                "prior": draw_prior(spec, group, 3, 50, rng, len(months)),
                "posterior_predictive": over_months(
                    replicates(spec, history, theta, shared, rng, shares)
                ),
                "log_likelihood": over_months(log_likelihood(spec, history, theta, shared, shares)),
                "log_prior": log_prior(spec, posterior),
                "observed_data": observed,
                "constant_data": constant,
            }
        )
        about = {
            "format": FORMAT,
            "specification": json.loads(spec.to_json()),
            "panel": {"observed_at": "2025-01-01T00:00:00+00:00"},
            "seed": seed,
            "pointwise_every": 1,
            "convergence": json.loads(verdict.to_json()),
        }
        tree.attrs[ATTRIBUTE] = json.dumps(about)
        return FittedDraws(tree)

    return make


@pytest.fixture(scope="session")
def made_fit(make_fit):
    """One such fit, for tests that do not change it."""
    return make_fit()


@pytest.fixture(scope="session")
def fit_of(make_fit):
    """Makes one such fit of few draws say that something else was counted."""
    from bayes_hfgrowth import GrowthFit

    few = make_fit(draws=50)

    def make(**counted):
        tree = few.tree.copy()
        about = json.loads(tree.attrs["bayes_hfgrowth"])
        about["panel"] |= {
            "base_models": 24, "finetunes": int(few.history.finetunes.sum()),
            "last_month": "2025-01-01T00:00:00+00:00", **counted,
        }  # fmt: skip
        tree.attrs["bayes_hfgrowth"] = json.dumps(about)
        return GrowthFit(tree)

    return make


AS_OF = "2024-08-01"
TINY = (
    "facebook/opt-125m", "meta-llama/Llama-2-7b", "meta-llama/Llama-2-7b-hf",
    "facebook/mms-tts-mqn",  # no fine-tune at all
    "meta-llama/Llama-3.1-8B",  # younger than a month
    "stabilityai/stable-diffusion-2", "stabilityai/stable-diffusion-2-1",
    "stabilityai/stable-diffusion-2-1-base", "stabilityai/stable-diffusion-xl-base-1.0",
    "openai/whisper-base", "openai/whisper-medium", "openai/whisper-small",
    "openai/whisper-tiny", "openai/whisper-tiny.en",
    "apple/AIM",  # alone in its organization
)  # fmt: skip
SHORT = {"draws": 200, "tune": 60, "seed": 1}


@pytest.fixture(scope="session")
def tiny_panel():
    """Fifteen base models of four organizations, to the end of the shipped data."""
    from bayes_hfgrowth import load_example

    return load_example().select(base_models=TINY)


@pytest.fixture(scope="session")
def refit():
    """Fits a panel by few draws; real, short."""
    from bayes_hfgrowth import GrowthModel

    def fit(panel, **options):
        return GrowthModel("surge").fit(panel, **{**SHORT, "progress": False, **options})

    return fit


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Fills a folder of that name, whichever worker comes first for all of them."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def filled(name, fill):
        folder, done = base / name, base / f"{name}.done"
        with FileLock(f"{folder}.lock"):
            if not done.exists():
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return filled


@pytest.fixture(scope="session")
def tiny_fit_file(once, tiny_panel, refit):
    """The file of a real fit of what was known of the tiny panel at the as-of date; short."""
    folder = once("tiny", lambda folder: refit(tiny_panel.as_of(AS_OF)).save(folder / "fit.nc"))
    return folder / "fit.nc"


@pytest.fixture(scope="session")
def tiny_fit(tiny_fit_file):
    """That fit."""
    from bayes_hfgrowth import load_fit

    return load_fit(tiny_fit_file)


@pytest.fixture(scope="session")
def chromium():
    """A headless browser."""
    sys.path.insert(0, str(Path(__file__).parent / "report"))  # for the module there
    from chromium import find_chromium
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if path is None:
            pytest.skip("no Chromium on the PATH; install one, as .ci/run does")
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()
