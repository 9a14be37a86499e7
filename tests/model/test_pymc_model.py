"""The PyMC model against a plain statement of its law and the priors as written."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from pytensor.compile.mode import Mode
from scipy import stats
from scipy.special import gammaln, logit, logsumexp

from bayes_hfgrowth.model.priors import LOG_SCALE, draw_prior, frozen
from bayes_hfgrowth.model.pymc_model import build_model
from bayes_hfgrowth.model.pymc_months import log_reinforced, stationary_pt
from bayes_hfgrowth.model.specification import (
    Bursts,
    CarryOver,
    GrowthSpec,
    PeriodEffect,
    Prior,
    read_spec,
)
from bayes_hfgrowth.panel.history import History
from bayes_hfgrowth.panel.period import stationary
from bayes_hfgrowth.panel.table import Panel
from bayes_hfgrowth.sources.example import load_example

type Floats = npt.NDArray[np.float64]
type Values = dict[str, Any]


def _beta(alpha: float, beta: float) -> Prior:
    return Prior("Beta", {"alpha": alpha, "beta": beta}, "test")


def _log_normal(median: float, sigma: float) -> Prior:
    return Prior("LogNormal", {"median": median, "sigma": sigma}, "test")


FULL = dataclasses.replace(
    read_spec("surge"),
    reinforcement=_beta(6.0, 2.0),
    carry_over=CarryOver(Prior("Normal", {"mu": 0.5, "sigma": 0.2}, "test"), _beta(2.0, 4.0)),
    period_effect=PeriodEffect(_beta(8.0, 2.0), _log_normal(0.2, 0.5)),
    bursts=Bursts(_beta(2.0, 30.0), _log_normal(10.0, 0.7), _log_normal(0.7, 0.5)),
)
SPECS = {
    "full": FULL,
    "no bursts": dataclasses.replace(FULL, bursts=None),
    "exponent 1": dataclasses.replace(FULL, reinforcement=1.0),
    "no period effect": dataclasses.replace(FULL, period_effect=None),
    "numbers": dataclasses.replace(
        FULL,
        reinforcement=0.7,
        carry_over=CarryOver(0.5, 0.0),
        period_effect=PeriodEffect(0.0, 0.3),
        bursts=Bursts(0.05, 8.0, 0.6),
    ),
    "poisson": read_spec("citation"),
    "birth": read_spec("reinforced"),
}
GRADIENTS = ["full", "no bursts", "poisson", "birth"]
# Not compiled into machine code, which takes longer than to run it a few times as it is.
MODE = Mode("py", "fast_run").excluding("fusion", "inplace")


@pytest.fixture(scope="module", autouse=True)
def no_compiler() -> Iterator[None]:
    """Nor what a scan repeats, which PyTensor hands to the C compiler whatever the mode."""
    with pytensor.config.change_flags(cxx=""):
        yield


@pytest.fixture(scope="module")
def history() -> History:
    return History.from_panel(load_example().select(organizations=["OpenAI", "MistralAI"]))


@pytest.fixture(scope="module")
def short(history: History) -> History:
    """A few base models of different ages, two of them without any fine-tune."""
    order = np.argsort(history.finetunes, kind="stable")
    return history.subset(np.concatenate([order[:2], order[len(order) // 2 :][:4], order[-4:]]))


class Case:
    """A model of a few base models, with its density and gradient."""

    def __init__(self, spec: GrowthSpec, history: History, gradient: bool) -> None:
        self.spec, self.history = spec, history
        self.model = build_model(spec, history)
        terms = self.model.logp(sum=False)  # of the variables, the months and the dormancy
        # One gradient for all variables: PyMC's own takes one for each, a scan every time.
        density = sum(term.sum() for term in terms)
        slopes: Any = pt.grad(density, self.model.value_vars) if gradient else []
        self._function = pytensor.function(
            self.model.value_vars, [*terms, *slopes], mode=MODE, on_unused_input="ignore"
        )
        self._terms = len(terms)

    def __call__(self, point: Values) -> tuple[float, list[Floats], dict[str, Floats]]:
        """Log density, its parts for the months and the dormancy, and gradient."""
        names = [variable.name for variable in self.model.value_vars]
        values = self._function(*(point[name] for name in names))
        terms, slopes = values[: self._terms], dict(zip(names, values[self._terms :], strict=False))
        parts = terms[len(self.model.free_RVs) :]
        return float(sum(np.sum(term) for term in terms)), parts, slopes


@pytest.fixture(scope="module")
def case(short: History) -> Callable[[str], Case]:
    return functools.cache(lambda name: Case(SPECS[name], short, name in GRADIENTS))


def draw(model: pm.Model, number: int, seed: int) -> tuple[list[Values], list[Values]]:
    """Two or more draws from the prior: values by name, and points as the sampler has them."""
    variables = [*model.free_RVs, *model.deterministics]
    drawn = pm.draw(variables, draws=number, random_seed=seed, mode=MODE)
    names = [variable.name for variable in variables]
    draws = [dict(zip(names, values, strict=True)) for values in zip(*drawn, strict=True)]
    points = []
    for values in draws:
        point = {}
        for variable in model.free_RVs:
            name = model.rvs_to_values[variable].name
            transform: Callable[[Any], Any] = (
                np.log if name.endswith("_log__") else logit if name.endswith("odds__") else float
            )
            value = np.asarray(values[variable.name])
            point[name] = value if name == variable.name else np.asarray(transform(value))
        points.append(point)
    return draws, points


def given(entry: float | Prior, name: str, values: Values) -> float:
    return float(values[name]) if isinstance(entry, Prior) else entry


def negative_binomial(x: float, mean: float, size: float) -> float:
    """Log density; SciPy's takes a probability, which rounds to 1 for a small mean."""
    if mean > 1e-3 * size:
        return float(stats.nbinom.logpmf(x, size, size / (size + mean)))
    constant = gammaln(x + size) - gammaln(size) - gammaln(x + 1.0)
    return float(constant - size * np.log1p(mean / size) - x * np.log1p(size / mean))


def plain_period(spec: GrowthSpec, history: History, values: Values) -> Floats:
    """Period effects of the calendar months, one after the other."""
    if spec.period_effect is None:
        return np.zeros(history.calendar_span[1])
    persistence = given(spec.period_effect.persistence, "period_persistence", values)
    innovation = given(spec.period_effect.innovation, "period_innovation", values)
    effects: list[float] = []
    for e in values["period_innovations"]:
        if effects:
            effects.append(persistence * effects[-1] + innovation * e)
        else:
            effects.append(innovation / np.sqrt(1.0 - persistence**2) * e)
    return np.array(effects)


def plain_log_density(
    spec: GrowthSpec, history: History, values: Values, at: Floats | None = None
) -> Floats:
    """Log density of every month, one after the other, as the law is written down.

    With `at`, of these counts instead of those observed, given the months observed before each.
    """
    out = np.empty(len(history.new))
    asked = history.new if at is None else at
    shared = {name: given(entry, name, values) for name, entry in spec.shared.items()}
    delta = 1.0 - shared.get("reinforcement_exponent", 1.0)
    strength = shared.get("carry_over_strength", 0.0)
    memory = shared.get("carry_over_memory", 0.0)
    chance = shared.get("burst_probability", 0.0)
    z = plain_period(spec, history, values)
    for i in range(len(history.base_models)):
        fitness, immediacy, longevity = (
            float(values[name][i]) for name in ("fitness", "immediacy", "longevity")
        )
        attention = stats.norm(immediacy, longevity)
        count = s = 0.0
        for j in range(history.start[i], history.start[i + 1]):
            k, x, m = history.month[j], history.new[j], spec.m
            begin, end = (np.log(k - 1.0) if k > 1 else -np.inf), np.log(k)
            if begin > immediacy:  # where the shares are close to 1
                hazard = fitness * (attention.sf(begin) - attention.sf(end))
            else:
                hazard = fitness * (attention.cdf(end) - attention.cdf(begin))
            if spec.likelihood == "poisson":
                mean = m * np.exp(fitness * attention.cdf(begin)) * np.expm1(hazard)
                out[j] = stats.poisson.logpmf(asked[j], mean)
                continue
            if spec.likelihood == "birth":
                size = history.previous[j] + m
                out[j] = negative_binomial(asked[j], size * np.expm1(hazard), size)
                continue
            position = history.calendar[j] - history.calendar_span[0]
            w = history.calendar_share[j]
            effect = w * z[position] + ((1.0 - w) * z[position + 1] if w < 1.0 else 0.0)
            size = count + m
            u = hazard * size**-delta
            f = size * np.expm1(np.log1p(delta * u) / delta if delta > 0 else u) * np.exp(effect)
            mean = f * np.exp(strength * s)
            scatter = np.sqrt(mean) / values["dispersion"][i]

            def parts(
                x: float, mean: float = mean, scatter: float = scatter
            ) -> Floats:  # regular and burst
                regular = negative_binomial(x, mean, scatter)
                if chance == 0.0:
                    return np.array([regular, -np.inf])
                burst = negative_binomial(x, shared["burst_factor"] * mean, shared["burst_size"])
                return np.log([1.0 - chance, chance]) + np.array([regular, burst])

            out[j] = logsumexp(parts(asked[j]))
            part = x
            if chance > 0.0:
                burst = np.exp(parts(x)[1] - logsumexp(parts(x)))
                part = x - burst * max(x - mean, 0.0)
            count += part
            s = memory * s + (1.0 - memory) * np.log((part + 0.5) / (f + 0.5))
    return out


def plain_dormancy(history: History, density: Floats, values: Values) -> float:
    """What a share of dormant base models adds to the summed log density of all months."""
    total = 0.0
    for i, share in enumerate(values["organization_dormancy"][history.organization_of]):
        months = slice(history.start[i], history.start[i + 1])
        if history.months[i] == 0:
            continue
        total += np.log1p(-share)
        if history.finetunes[i] == 0:
            active = np.log1p(-share) + density[months].sum()
            total += np.logaddexp(np.log(share), active) - active
    return total


@pytest.mark.parametrize("name", SPECS)
def test_density_is_that_of_the_law_as_written(name: str, case: Callable[[str], Case]) -> None:
    spec, history, model = case(name).spec, case(name).history, case(name).model
    checked = 0
    for values, point in zip(*draw(model, 10, 1), strict=True):
        with np.errstate(all="ignore"):
            expected = plain_log_density(spec, history, values)
        if not np.abs(expected).max() < 1e6:  # a draw under which the counts are impossible
            continue
        found = case(name)(point)[1]
        np.testing.assert_allclose(found[0], expected, rtol=1e-8, atol=1e-8)
        assert found[0].sum() == pytest.approx(expected.sum(), rel=1e-8)
        if spec.dormancy is not None:
            dormancy = plain_dormancy(history, expected, values)
            assert found[1].sum() == pytest.approx(dormancy, rel=1e-8)
        if spec.period_effect is not None:
            effects = plain_period(spec, history, values)
            np.testing.assert_allclose(values["period_effect"], effects, rtol=1e-9, atol=1e-12)
        checked += 1
    assert checked >= 6


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient_is_that_of_finite_differences(name: str, case: Callable[[str], Case]) -> None:
    density = case(name)
    rng = np.random.default_rng(2)
    for point in draw(density.model, 3, 4)[1]:
        step = {key: rng.standard_normal(np.shape(value)) for key, value in point.items()}

        def central(h: float, point: Values = point, step: Values = step) -> float:
            ends = [
                density({key: value + side * step[key] for key, value in point.items()})[0]
                for side in (h, -h)
            ]
            return (ends[0] - ends[1]) / (2.0 * h)

        slope = sum(np.sum(step[key] * value) for key, value in density(point)[2].items())
        extrapolated = (4.0 * central(1e-4) - central(2e-4)) / 3.0
        assert slope == pytest.approx(extrapolated, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("name", GRADIENTS)
def test_density_and_gradient_are_finite_in_the_corners(
    name: str, case: Callable[[str], Case]
) -> None:
    """Exponents close to 1, hazards that round to 0 and past the largest, long persistence."""
    density = case(name)
    start = draw(density.model, 2, 5)[1][0]
    corners = [
        {"reinforcement_exponent_logodds__": value} for value in (-20.0, 5.0, 8.0, 15.0, 30.0)
    ]
    corners += [{"location_fitness": value} for value in (-40.0, 8.0, 20.0)]
    corners += [{"location_immediacy": value} for value in (-15.0, 30.0)]
    corners += [{"location_dispersion": value} for value in (-12.0, 12.0)]
    corners += [
        {"location_longevity": -4.0, "location_immediacy": 4.0},
        {"period_persistence_logodds__": 25.0},
        {"carry_over_memory_logodds__": -25.0},
    ]
    for corner in corners:
        if not corner.keys() <= start.keys():
            continue
        point = start | {key: np.asarray(value) for key, value in corner.items()}
        value, _, slopes = density(point)
        assert np.isfinite(value), corner
        assert all(np.isfinite(slope).all() for slope in slopes.values()), corner


def test_reinforcement_is_smooth_up_to_the_exponent_1() -> None:
    arguments = [pt.dscalar(name) for name in ("exponent", "log_hazard", "log_count")]
    exponent, log_hazard, log_count = arguments
    value: Any = log_reinforced(log_hazard, log_count, exponent)
    slopes: Any = pt.grad(value, [exponent])
    proportional = log_reinforced(log_hazard, log_count, 1.0)
    at = pytensor.function(
        arguments,
        [value, *slopes, proportional],
        mode=MODE,
    )
    for h in (1e-250, 1e-9, 1e-3, 0.2, 4.0, 80.0):
        for log_size in (-2.0, 0.0, 9.0):
            last, slope, expected = at(1.0, np.log(h), log_size)
            assert last == pytest.approx(float(expected), rel=1e-14)
            # d ln f / d exponent at 1 is (h²/2 + h ln(c + m)) / (1 - exp(-h)).
            by_hand = (0.5 * h**2 + h * log_size) / -np.expm1(-h)
            assert slope == pytest.approx(by_hand, rel=1e-9, abs=1e-12)
            for delta in (1e-13, 1e-9, 1e-6, 1e-5, 1e-4):
                near, _, _ = at(1.0 - delta, np.log(h), log_size)
                middle = at(1.0 - 0.5 * delta, np.log(h), log_size)[1]
                # The midpoint rule leaves a term of third order.
                assert near == pytest.approx(
                    last - delta * middle,
                    rel=1e-12,
                    abs=(h + 10.0) * ((h + 10.0) * delta) ** 3 + 1e-12,
                )


@pytest.mark.parametrize("persistence", [0.0, 0.4, 0.999])
def test_period_effect_is_the_stationary_series(persistence: float) -> None:
    innovations = np.random.default_rng(1).standard_normal(30)
    found = stationary_pt(pt.as_tensor(innovations), persistence, 0.3, 30).eval(mode=MODE)
    expected = stationary(innovations, np.array(persistence), np.array(0.3))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["numbers", "no bursts"])
def test_posterior_predictive_draws_follow_the_law(name: str, short: History) -> None:
    """Each month is drawn given those observed before it."""
    # Draws of the months themselves do not know of dormancy, which is a potential.
    spec = dataclasses.replace(SPECS[name], dormancy=None)
    # Every base model many times over: to draw for all at once takes as long as for one of each.
    times, number = 20, 2000
    each = len(short.base_models)
    several = short.subset(np.tile(np.arange(each), times))
    model = build_model(spec, several)
    values = draw(model, 2, 11)[0][0]
    posterior = {}
    for variable in model.free_RVs:
        dims = model.named_vars_to_dims.get(variable.name, ())
        value = values[variable.name]
        if dims == ("base_model",):
            value = np.tile(value[:each], times)
        shape = (1, number // times, *np.shape(value))
        posterior[variable.name] = (("chain", "draw", *dims), np.broadcast_to(value, shape))
    with model:
        drawn = pm.sample_posterior_predictive(
            xr.DataTree.from_dict({"posterior": xr.Dataset(posterior, several.coords)}),
            random_seed=3,
            progressbar=False,
            compile_kwargs={"mode": MODE},
        )
    found = drawn["posterior_predictive"]["new_finetunes"].to_numpy().reshape(number, -1)
    assert found.shape[1] == len(short.new)
    for asked in (np.zeros_like(short.new), np.ones_like(short.new), short.new):
        chance = np.exp(plain_log_density(spec, short, values, asked))
        error = np.sqrt(chance * (1.0 - chance) / number)
        assert (np.abs((found == asked).mean(axis=0) - chance) < 5.0 * error + 1e-3).all()


@pytest.mark.parametrize("name", SPECS)
def test_only_priors_become_variables(name: str, history: History) -> None:
    spec = SPECS[name]
    model = build_model(spec, history)
    names = {variable.name for variable in model.free_RVs}
    for parameter, entry in spec.shared.items():
        assert (parameter in names) == isinstance(entry, Prior)
    assert ("period_effect" in model.named_vars) == (spec.period_effect is not None)
    assert ("period_innovations" in names) == (spec.period_effect is not None)


def test_dimensions_and_names(history: History) -> None:
    model = build_model(FULL, history)
    assert set(model.coords) == {"organization", "base_model", "observation", "calendar_month"}
    dims = model.named_vars_to_dims
    for p in ("immediacy", "longevity", "fitness", "dispersion"):
        assert tuple(dims[p]) == ("base_model",)
        assert tuple(dims[f"organization_{p}"]) == ("organization",)
        assert f"global_{p}" in model.named_vars
    assert tuple(dims["new_finetunes"]) == ("observation",)
    assert tuple(dims["period_effect"]) == tuple(dims["period_innovations"]) == ("calendar_month",)
    assert [variable.name for variable in model.observed_RVs] == ["new_finetunes"]


def test_global_pooling_has_no_spread_between_organizations(history: History) -> None:
    spec = read_spec("citation")
    parameters = {
        name: dataclasses.replace(pooling, between_organizations=None)
        for name, pooling in spec.parameters.items()
    }
    spec = dataclasses.replace(spec, pooling="global", parameters=parameters)
    names = set(build_model(spec, history).named_vars)
    assert not any(name.startswith("between_organizations") for name in names)
    prior = draw_prior(spec, history.organization_of, 2, 3, np.random.default_rng(1), 1)
    means = prior["organization_fitness"].to_numpy()
    np.testing.assert_allclose(means[..., 0], means[..., 1])


def test_prior_draws_follow_the_priors() -> None:
    spec, draws = FULL, 4000
    owner = np.zeros(3, dtype=np.int64)
    prior = draw_prior(spec, owner, 1, draws, np.random.default_rng(1), 1)
    for name, pooling in spec.parameters.items():
        log = np.log if LOG_SCALE[name] else np.asarray
        location = log(prior[f"global_{name}"].to_numpy()).ravel()
        mu, sigma = pooling.location.parameters["mu"], pooling.location.parameters["sigma"]
        assert location.mean() == pytest.approx(mu, abs=5 * sigma / np.sqrt(draws))
        spread = prior[f"between_base_models_{name}"].to_numpy().ravel()
        median = pooling.between_base_models.parameters["median"]
        assert np.median(spread) == pytest.approx(median, rel=0.06)
        assert frozen(pooling.between_base_models).median() == pytest.approx(median)


def test_a_history_without_months_makes_a_model() -> None:
    table = pd.DataFrame(
        {
            "base_model": ["a/new"],
            "organization": "a",
            "created_at": "2024-01-01T00:00:00Z",
            "month": [0],
            "finetunes": [0],
        }
    )
    density = Case(FULL, History.from_panel(Panel.from_table(table)), gradient=False)
    assert np.isfinite(density(density.model.initial_point())[0])
