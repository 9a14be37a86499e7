import dataclasses
import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayes_hfgrowth.model.specification import (
    Bursts,
    CarryOver,
    Dormancy,
    GrowthSpec,
    PeriodEffect,
    Pooling,
    Prior,
    available_models,
    read_spec,
)
from bayes_hfgrowth.support.errors import SpecificationError

ROOT = Path(__file__).parents[2]
FULL = (ROOT / "models" / "bursts.toml").read_text(encoding="utf-8")
CITATION = (ROOT / "models" / "citation.toml").read_text(encoding="utf-8")


def edited(text, *changes):
    """A user's copy of a specification, with some passages changed where they come first."""
    for old, new in changes:
        assert old in text, f"the shipped file no longer says {old!r}"
        text = text.replace(old, new, 1)
    return text


def table(name):
    """Text of one table of a shipped growth model that has them all, with its header."""
    return re.search(rf"^\[{re.escape(name)}\]\n.*?(?=^\[|^# ---)", FULL, re.S | re.M).group()


HALF = 'innovation = {distribution = "HalfNormal", sigma = 0.3, reason = "half"}\n'
PERIOD_EFFECT = table("period_effect.persistence") + table("period_effect.innovation")
BURSTS = table("bursts.probability") + table("bursts.factor") + table("bursts.size")


@pytest.fixture
def copy(tmp_path):
    """Write a user's file and return its path."""

    def write(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path):
    """The one line with which a specification is refused."""
    with pytest.raises(SpecificationError) as caught:
        read_spec(path)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


# Shipped specifications


def test_shipped_growth_models():
    likelihoods = {name: read_spec(name).likelihood for name in available_models()}
    assert likelihoods == {
        "bursts": "surge",
        "citation": "poisson",
        "reinforced": "birth",
        "surge": "surge",
    }


def test_bursts_is_surge_with_one_table_more():
    surge = read_spec("surge")
    own = {"name": "surge", "description": surge.description, "bursts": None}
    assert dataclasses.replace(read_spec("bursts"), **own) == surge


@pytest.mark.parametrize("name", ["bursts", "citation", "reinforced", "surge"])
def test_shipped_specification_is_complete(name):
    spec = read_spec(name)
    assert spec.name == name
    own_law = spec.likelihood == "surge"
    assert spec.m == (1 if own_law else 30)
    assert (spec.dormancy is not None) == own_law
    assert (spec.bursts is not None) == (name == "bursts")
    assert spec.pooling == "organization"
    parameters = ["fitness", "immediacy", "longevity"]
    if own_law:
        assert spec.carry_over == CarryOver(strength=0.5, memory=0.2)
        parameters.append("dispersion")
    else:
        assert spec.reinforcement == 1.0
        assert spec.carry_over is None
        assert spec.period_effect is None
        assert spec.shared == {}
    assert list(spec.parameters) == parameters
    for text in (spec.description, spec.m_reason):
        assert len(text) > 60
        assert "\n" not in text
    for pooling in spec.parameters.values():
        for prior in (
            pooling.location,
            pooling.between_organizations,
            pooling.between_base_models,
        ):
            assert len(prior.reason) > 60, "every prior has its reason"
    for entry in spec.shared.values():
        assert not isinstance(entry, Prior) or len(entry.reason) > 60


def test_shared_parameters():
    assert {
        name: (entry.distribution, *entry.parameters.values())
        if isinstance(entry, Prior)
        else entry
        for name, entry in read_spec("bursts").shared.items()
    } == {
        "reinforcement_exponent": ("Beta", 6, 2),
        "carry_over_strength": 0.5,
        "carry_over_memory": 0.2,
        "period_persistence": ("Beta", 98, 2),
        "period_innovation": ("LogNormal", 0.2, 0.3),
        "burst_probability": ("Beta", 1, 50),
        "burst_factor": ("LogNormal", 10, 0.7),
        "burst_size": ("LogNormal", 0.7, 0.5),
    }


def test_shared_parameters_stand_in_a_fixed_order_and_only_where_they_have_a_table():
    spec = read_spec("bursts")
    assert list(spec.shared) == [
        "reinforcement_exponent",
        *("carry_over_strength", "carry_over_memory"),
        *("period_persistence", "period_innovation"),
        *("burst_probability", "burst_factor", "burst_size"),
    ]
    spec = dataclasses.replace(spec, reinforcement=0.7, period_effect=None, bursts=None)
    assert spec.shared == {
        "reinforcement_exponent": 0.7,
        "carry_over_strength": 0.5,
        "carry_over_memory": 0.2,
    }


def test_surge_priors():
    priors = {
        name: (
            pooling.location.parameters,
            pooling.between_organizations.parameters,
            pooling.between_base_models.parameters,
        )
        for name, pooling in read_spec("surge").parameters.items()
    }
    organizations = {"median": 0.25, "sigma": 0.5}
    assert priors == {
        "fitness": (
            {"mu": 1.8, "sigma": 0.5},
            {"median": 0.5, "sigma": 0.7},
            {"median": 1, "sigma": 0.5},
        ),
        "immediacy": (
            {"mu": 2.5, "sigma": 0.4},
            {"median": 0.2, "sigma": 0.2},
            {"median": 0.5, "sigma": 0.3},
        ),
        "longevity": ({"mu": 0.4, "sigma": 0.5}, organizations, {"median": 0.4, "sigma": 0.5}),
        "dispersion": ({"mu": 0.7, "sigma": 1}, organizations, {"median": 0.6, "sigma": 0.5}),
    }


def test_the_figures_in_the_reasons_follow_from_the_priors():
    spec = read_spec("bursts")

    def central(prior):
        """2.5%, 50% and 97.5% quantiles."""
        values = prior.parameters
        if prior.distribution == "Beta":
            return stats.beta(values["alpha"], values["beta"]).ppf([0.025, 0.5, 0.975])
        if prior.distribution == "LogNormal":
            return [values["median"] * math.exp(values["sigma"] * q) for q in (-1.96, 0, 1.96)]
        return [values["mu"] + values["sigma"] * q for q in (-1.96, 0, 1.96)]

    def reason_has(prior, *figures):
        for figure in figures:
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d]|\.\d)", prior.reason), figure

    location = spec.parameters["fitness"].location
    low, middle, high = (math.exp(x) for x in central(location))
    reason_has(location, f"{middle:.2f}", f"{low:.2f}", f"{high:.1f}")

    def impact(fitness, exponent=0.75):
        rest = 1 - exponent
        return (spec.m**rest + rest * fitness) ** (1 / rest) - spec.m

    assert spec.reinforcement.parameters == {"alpha": 6, "beta": 2}
    assert stats.beta(6, 2).mean() == 0.75
    assert f"{central(spec.reinforcement)[2]:.2f}" == "0.96"
    reason_has(location, "0.75", *(f"{impact(x):.0f}" for x in (low, middle, high)))
    reason_has(location, "0.96", f"{impact(low, 0.96):.0f}", f"{impact(high, 0.96):.0f}")
    between = spec.parameters["fitness"].between_organizations
    up = math.exp(between.parameters["median"])
    reason_has(between, f"{up:.2f}", f"{impact(up * middle):.0f}", f"{impact(middle):.0f}")
    within = spec.parameters["fitness"].between_base_models
    up = math.exp(within.parameters["median"])
    reason_has(within, f"{impact(up * middle):.0f}", f"{impact(middle / up):.1f}")

    location = spec.parameters["immediacy"].location
    low, middle, high = (math.exp(x) for x in central(location))
    reason_has(location, f"{low:.1f} months", f"{middle:.0f} months", f"{high:.0f} months")

    location = spec.parameters["longevity"].location
    low, middle, high = (math.exp(x) for x in central(location))
    reason_has(location, f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}")
    reason_has(location, f"{math.exp(low):.2f} times", f"{math.exp(middle):.1f} times")
    reason_has(location, f"{math.exp(high):.0f} times")

    location = spec.parameters["dispersion"].location
    low, middle, high = (math.exp(x) for x in central(location))
    reason_has(location, f"{low:.2f}", f"{middle:.1f}", f"{high:.0f}")
    reason_has(location, *(f"{math.sqrt(25 + phi * 125):.0f}" for phi in (low, middle, high)))

    between = spec.parameters["immediacy"].between_organizations
    reason_has(between, f"{math.exp(2.5 + between.parameters['median']):.0f} months")
    within = spec.parameters["immediacy"].between_base_models
    reason_has(
        within, *(f"{math.exp(2.5 + one * within.parameters['median']):.0f}" for one in (-1, 1))
    )

    low, _, high = central(spec.reinforcement)
    reason_has(spec.reinforcement, "0.75", f"{low:.2f}", f"{high:.2f}")
    reason_has(spec.reinforcement, *(f"{100**x:.0f}" for x in (0.75, low, high)))

    prior = spec.period_effect.persistence
    low, _, high = central(prior)
    reason_has(prior, "0.98", f"{low:.3f}", f"{high:.3f}")
    reason_has(prior, f"{math.log(0.5, 0.98):.0f} months", f"{math.log(0.5, low):.0f} months")
    reason_has(prior, f"{math.log(0.5, high) / 12:.0f} years")

    prior = spec.period_effect.innovation
    low, middle, high = central(prior)
    reason_has(prior, f"{middle:g}", f"{low:.2f}", f"{high:.2f}")
    reason_has(prior, *(f"{math.exp(x):.2f}" for x in (low, middle, high)))
    year = middle * math.sqrt((1 - 0.98**24) / (1 - 0.98**2))
    reason_has(prior, "0.98", f"{year:.2f}", f"{math.exp(year):.2f}")

    prior = spec.bursts.probability
    low, _, high = central(prior)
    reason_has(prior, "0.020", "51", f"{low:.4f}", f"{high:.3f}")
    assert stats.beta(1, 50).mean() == pytest.approx(1 / 51)
    reason_has(prior, f"{1 / low:,.0f}", f"{1 / high:.0f}")

    prior = spec.bursts.factor
    low, middle, high = central(prior)
    reason_has(prior, f"{middle:g}", f"{low:.2f}", f"{high:.1f}")
    reason_has(prior, *(f"{5 * x:.0f}" for x in (low, middle, high)))
    reason_has(prior, f"{stats.norm.cdf(-math.log(middle) / prior.parameters['sigma']):.4f}")

    prior = spec.bursts.size
    low, middle, high = central(prior)
    reason_has(prior, f"{middle:g}", f"{low:.2f}", f"{high:.2f}")
    reason_has(prior, *(f"{1 / math.sqrt(x):.2f}" for x in (low, middle, high)))
    burst = stats.nbinom(middle, middle / (50 + middle))
    reason_has(prior, f"{burst.median() + 1:.0f}", f"{burst.ppf(0.975):.0f}")

    for pooling in spec.parameters.values():
        for prior in (pooling.between_organizations, pooling.between_base_models):
            low, middle, high = central(prior)
            reason_has(prior, f"{prior.parameters['median']:g}", f"{low:.2f}", f"{high:.2f}")
            reason_has(prior, f"{math.exp(low):.2f}", f"{math.exp(high):.2f}")


def test_specifications_are_found_in_the_layout_of_a_wheel(tmp_path):
    for source, target in (("bayes_hfgrowth", "."), ("models", "bayes_hfgrowth")):
        shutil.copytree(
            ROOT / source,
            tmp_path / target / source,
            ignore=shutil.ignore_patterns("__pycache__", "*.parquet"),
        )
    (tmp_path / "bayes_hfgrowth" / "__init__.py").write_text("")
    program = (
        "import bayes_hfgrowth.model.specification as s; "
        "print(s.__file__, *(s.read_spec(name).name for name in s.available_models()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    file, *names = done.stdout.split()
    assert Path(file).is_relative_to(tmp_path)
    assert names == ["bursts", "citation", "reinforced", "surge"]


# A user's copy


def test_copied_and_edited_specification(copy):
    path = copy(
        edited(
            FULL,
            ('name = "bursts"', 'name = "long memory"'),
            ("m = 1\n", "m = 10.5\n"),
            ("mu = 1.8", "mu = -1"),
            (
                'distribution = "LogNormal"\nmedian = 0.5\nsigma = 0.7',
                'distribution = "Gamma"\nalpha = 2\nbeta = 8.0',
            ),
            (
                "strength = 0.5",
                'strength = {distribution = "Normal", mu = 0.5, sigma = 0.2, reason = "half"}',
            ),
            (
                "memory = 0.2",
                'memory = {distribution = "Beta", alpha = 1, beta = 3, reason = "short"}',
            ),
            (table("reinforcement.exponent"), "[reinforcement]\nexponent = 1\n"),
            (table("period_effect.innovation"), ""),
            (table("period_effect.persistence"), "[period_effect]\npersistence = 0\n" + HALF),
            (table("bursts.factor"), ""),
            (table("bursts.size"), ""),
            (
                table("bursts.probability"),
                "[bursts]\nprobability = 0.01\nfactor = 1\nsize = 2.5\n",
            ),
        )
    )
    spec = read_spec(path)
    assert spec.name == "long memory"
    assert spec.m == 10.5
    assert spec.parameters["fitness"].location.parameters == {"mu": -1.0, "sigma": 0.5}
    between = spec.parameters["fitness"].between_organizations
    assert between.distribution == "Gamma"
    assert between.parameters == {"alpha": 2.0, "beta": 8.0}
    assert spec.carry_over == CarryOver(
        Prior("Normal", {"mu": 0.5, "sigma": 0.2}, "half"),
        Prior("Beta", {"alpha": 1.0, "beta": 3.0}, "short"),
    )
    assert spec.reinforcement == 1.0
    assert spec.period_effect == PeriodEffect(0.0, Prior("HalfNormal", {"sigma": 0.3}, "half"))
    assert spec.bursts == Bursts(probability=0.01, factor=1.0, size=2.5)
    assert spec.parameters["longevity"] == read_spec("surge").parameters["longevity"]
    assert read_spec(str(path)) == spec


def test_period_effect_and_bursts_may_be_left_out(copy):
    spec = read_spec(copy(edited(FULL, (PERIOD_EFFECT, ""), (BURSTS, ""))))
    assert spec == dataclasses.replace(read_spec("bursts"), period_effect=None, bursts=None)
    assert GrowthSpec.from_json(spec.to_json()) == spec
    assert {"period_effect", "bursts"}.isdisjoint(json.loads(spec.to_json()))


def test_a_number_at_the_end_of_its_range(copy):
    text = edited(
        FULL,
        (table("reinforcement.exponent"), "[reinforcement]\nexponent = 1e-9\n"),
        (PERIOD_EFFECT, "[period_effect]\npersistence = 0.999999\ninnovation = 1e-9\n"),
        (BURSTS, "[bursts]\nprobability = 0.999999\nfactor = 1e6\nsize = 1e-9\n"),
    )
    spec = read_spec(copy(text))
    assert spec.reinforcement == 1e-9
    assert spec.period_effect == PeriodEffect(0.999999, 1e-9)
    assert spec.bursts == Bursts(0.999999, 1e6, 1e-9)


def test_global_pooling(copy):
    text = re.sub(
        r"\[\w+\.between_organizations\].*?(?=\n\[|\n# ---|\Z)", "", CITATION, flags=re.DOTALL
    )
    spec = read_spec(copy(edited(text, ('pooling = "organization"', 'pooling = "global"'))))
    assert spec.pooling == "global"
    assert [pooling.between_organizations for pooling in spec.parameters.values()] == [None] * 3
    assert GrowthSpec.from_json(spec.to_json()) == spec


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "Mine.TOML"
    path.write_bytes(b"\xef\xbb\xbf" + CITATION.replace("\n", "\r\n").encode())
    assert read_spec(path) == read_spec("citation")


def test_a_file_named_like_a_shipped_growth_model_does_not_hide_it(tmp_path, monkeypatch):
    (tmp_path / "surge").write_text("nonsense")
    monkeypatch.chdir(tmp_path)
    assert read_spec("surge").likelihood == "surge"


# Round trip


priors_of_mean = st.builds(
    lambda mu, sigma, reason: Prior("Normal", {"mu": mu, "sigma": sigma}, reason),
    st.floats(-1e6, 1e6),
    st.floats(1e-9, 1e6),
    st.text(min_size=1).map(str.strip).filter(bool),
)


@st.composite
def priors_of_spread(draw):
    distribution, names = draw(
        st.sampled_from(
            [
                ("LogNormal", ("median", "sigma")),
                ("HalfNormal", ("sigma",)),
                ("Gamma", ("alpha", "beta")),
                ("Exponential", ("scale",)),
            ]
        )
    )
    return Prior(distribution, {name: draw(st.floats(1e-9, 1e6)) for name in names}, "reason")


priors_of_share = st.builds(
    lambda alpha, beta: Prior("Beta", {"alpha": alpha, "beta": beta}, "reason"),
    st.floats(1e-9, 1e6),
    st.floats(1e-9, 1e6),
)
priors_of_factor = priors_of_spread().filter(lambda prior: prior.distribution == "LogNormal")


@st.composite
def shared_tables(draw):
    """The tables of the likelihood surge that hold for all base models."""
    return {
        "reinforcement": draw(st.one_of(st.floats(1e-9, 1), priors_of_share)),
        "carry_over": CarryOver(
            draw(st.one_of(st.floats(-0.99, 0.99), priors_of_mean)),
            draw(st.one_of(st.floats(0, 0.99), priors_of_share)),
        ),
        "period_effect": PeriodEffect(
            draw(st.one_of(st.floats(0, 0.99), priors_of_share)),
            draw(st.one_of(st.floats(1e-9, 9), priors_of_spread())),
        )
        if draw(st.booleans())
        else None,
        "bursts": Bursts(
            draw(st.one_of(st.floats(1e-9, 0.99), priors_of_share)),
            draw(st.one_of(st.floats(1, 1e6), priors_of_factor)),
            draw(st.one_of(st.floats(1e-9, 1e6), priors_of_factor)),
        )
        if draw(st.booleans())
        else None,
    }


PAPER = {"reinforcement": 1.0, "carry_over": None, "period_effect": None, "bursts": None}


@st.composite
def specifications(draw):
    likelihood = draw(st.sampled_from(["poisson", "birth", "surge"]))
    pooling = draw(st.sampled_from(["organization", "global"]))
    names = ["fitness", "immediacy", "longevity"] + ["dispersion"] * (likelihood == "surge")
    return GrowthSpec(
        name=draw(st.text(min_size=1).map(str.strip).filter(bool)),
        description="what it assumes",
        likelihood=likelihood,
        pooling=pooling,
        m=draw(st.floats(1e-9, 1e9)),
        m_reason="why",
        **(draw(shared_tables()) if likelihood == "surge" else PAPER),
        dormancy=Dormancy(
            draw(priors_of_mean), draw(priors_of_spread()) if pooling == "organization" else None
        )
        if draw(st.booleans())
        else None,
        parameters={
            name: Pooling(
                draw(priors_of_mean),
                draw(priors_of_spread()) if pooling == "organization" else None,
                draw(priors_of_spread()),
            )
            for name in names
        },
    )


@given(specifications())
def test_json_round_trip(spec):
    text = spec.to_json()
    again = GrowthSpec.from_json(text)
    assert again == spec
    assert again.to_json() == text
    assert list(again.parameters) == list(spec.parameters)


def test_json_has_the_keys_of_a_file():
    assert list(json.loads(read_spec("citation").to_json())) == [
        *("name", "description", "likelihood", "pooling", "m", "m_reason"),
        *("fitness", "immediacy", "longevity"),
    ]
    document = json.loads(read_spec("bursts").to_json())
    assert list(document) == [
        *("name", "description", "likelihood", "pooling", "m", "m_reason"),
        *("reinforcement", "carry_over", "period_effect", "bursts"),
        *("fitness", "immediacy", "longevity", "dispersion", "dormancy"),
    ]
    assert {key: list(document[key]) for key in ("reinforcement", "period_effect", "bursts")} == {
        "reinforcement": ["exponent"],
        "period_effect": ["persistence", "innovation"],
        "bursts": ["probability", "factor", "size"],
    }


def test_json_is_checked():
    spec = dataclasses.replace(read_spec("surge"), m=-3.0)
    with pytest.raises(SpecificationError, match=r"^fit\.nc: m is -3; it must be greater than 0$"):
        GrowthSpec.from_json(spec.to_json(), "fit.nc")
    with pytest.raises(SpecificationError, match=r"^specification is not JSON: .*char 0\)$"):
        GrowthSpec.from_json("surge")
    with pytest.raises(SpecificationError, match=r"^specification is \[\], not a table of keys$"):
        GrowthSpec.from_json("[]")
    with pytest.raises(SpecificationError, match=r"^specification is not JSON: "):
        GrowthSpec.from_json("[" * 200_000)


# Refusals


REFUSALS = {
    "unknown key at the top": (
        [("m_reason =", "reason =")],
        "reason is not a key that is known here (did you mean m_reason?); known are name, "
        "description, likelihood, pooling, m, m_reason, fitness, immediacy, longevity, "
        "reinforcement, carry_over, dispersion, period_effect, bursts, dormancy",
    ),
    "unknown growth parameter": (
        [("[longevity.location]", "[longevty.location]")],
        "longevty is not a key that is known here (did you mean longevity?); known are ",
    ),
    "unknown level": (
        [("[fitness.between_base_models]", "[fitness.between_models]")],
        "fitness.between_models is not a key that is known here (did you mean "
        "between_base_models?); known are location, between_organizations, between_base_models",
    ),
    "key that needs quotes": (
        [("[fitness.location]", '[fitness."a b\\nc"]')],
        'fitness."a b\\nc" is not a key that is known here; known are location, ',
    ),
    "unknown key of a prior": (
        [("mu = 1.8\nsigma = 0.5\n", "mu = 1.8\nsigmaa = 1.0\n")],
        "fitness.location.sigmaa is not a key that is known here (did you mean sigma?); known "
        "are distribution, mu, sigma, reason",
    ),
    "parameter of another distribution": (
        [("median = 0.5", "mu = -1.4")],
        "fitness.between_organizations.mu is not a key that is known here; known are "
        "distribution, median, sigma, reason",
    ),
    "missing parameter": ([("mu = 1.8\n", "")], "fitness.location.mu is missing; add it"),
    "missing key": ([("m = 1\n", "")], "m is missing; add it"),
    "missing likelihood": (
        [('likelihood = "surge"', "")],
        "likelihood is missing; add it",
    ),
    "missing distribution": (
        [('distribution = "Normal"\n', "")],
        "fitness.location.distribution is missing; it must be Normal",
    ),
    "missing carry-over": (
        [("[carry_over]", "[other]")],
        "other is not a key that is known here; known are ",
    ),
    "mistyped reinforcement": (
        [("[reinforcement.exponent]", "[reinforcment.exponent]")],
        "reinforcment is not a key that is known here (did you mean reinforcement?); known are ",
    ),
    "file of an earlier version": (
        [(table("reinforcement.exponent"), ""), (PERIOD_EFFECT, ""), (BURSTS, "")],
        "reinforcement is missing; add the table [reinforcement] with exponent = 1, which keeps "
        "the law of earlier versions",
    ),
    "empty reinforcement": (
        [(table("reinforcement.exponent"), "[reinforcement]\n")],
        "reinforcement.exponent is missing; add it",
    ),
    "missing innovation": (
        [(table("period_effect.innovation"), "")],
        "period_effect.innovation is missing; add it",
    ),
    "missing size": ([(table("bursts.size"), "")], "bursts.size is missing; add it"),
    "unknown key of the bursts": (
        [("[bursts.size]", "[bursts.shape]")],
        "bursts.shape is not a key that is known here; known are probability, factor, size",
    ),
    "distribution of an exponent": (
        [('distribution = "Beta"\nalpha = 6', 'distribution = "Normal"\nalpha = 6')],
        'reinforcement.exponent.distribution is "Normal"; it must be Beta',
    ),
    "distribution of a persistence": (
        [('distribution = "Beta"\nalpha = 98', 'distribution = "Gamma"\nalpha = 98')],
        'period_effect.persistence.distribution is "Gamma"; it must be Beta',
    ),
    "distribution of an innovation": (
        [('distribution = "LogNormal"\nmedian = 0.2\n', 'distribution = "Beta"\n')],
        'period_effect.innovation.distribution is "Beta"; it must be LogNormal, HalfNormal, '
        "Gamma or Exponential",
    ),
    "distribution of a burst": (
        [('distribution = "Beta"\nalpha = 1\n', 'distribution = "Normal"\n')],
        'bursts.probability.distribution is "Normal"; it must be Beta',
    ),
    "distribution of a factor": (
        [('distribution = "LogNormal"\nmedian = 10', 'distribution = "Gamma"')],
        'bursts.factor.distribution is "Gamma"; it must be LogNormal',
    ),
    "distribution of a size": (
        [('distribution = "LogNormal"\nmedian = 0.7', 'distribution = "HalfNormal"')],
        'bursts.size.distribution is "HalfNormal" (did you mean LogNormal?); it must be LogNormal',
    ),
    "missing memory": ([("memory = 0.2", "")], "carry_over.memory is missing; add it"),
    "mistyped distribution": (
        [('distribution = "LogNormal"\nmedian = 0.5', 'distribution = "Lognormal"')],
        'fitness.between_organizations.distribution is "Lognormal" (did you mean LogNormal?); '
        "it must be LogNormal, HalfNormal, Gamma or Exponential",
    ),
    "distribution of a mean": (
        [('distribution = "Normal"\nmu = 1.8', 'distribution = "HalfNormal"')],
        'fitness.location.distribution is "HalfNormal" (did you mean Normal?); it must be Normal',
    ),
    "distribution of a spread": (
        [('distribution = "LogNormal"\nmedian = 0.5', 'distribution = "Beta"\nmedian = 0.5')],
        'fitness.between_organizations.distribution is "Beta"; it must be LogNormal, '
        "HalfNormal, Gamma or Exponential",
    ),
    "distribution of a memory": (
        [("memory = 0.2", 'memory = {distribution = "Normal", mu = 0, sigma = 1, reason = "x"}')],
        'carry_over.memory.distribution is "Normal"; it must be Beta',
    ),
    "distribution of a strength": (
        [("strength = 0.5", 'strength = {distribution = "Beta", alpha = 1, beta = 1}')],
        'carry_over.strength.distribution is "Beta"; it must be Normal',
    ),
    "negative scale": (
        [("mu = 1.8\nsigma = 0.5\n", "mu = 1.8\nsigma = -1.0\n")],
        "fitness.location.sigma is -1; it must be greater than 0",
    ),
    "zero scale": (
        [("median = 0.5\nsigma = 0.7", "median = 0.5\nsigma = 0")],
        "fitness.between_organizations.sigma is 0; it must be greater than 0",
    ),
    "negative median": (
        [("median = 0.5", "median = -0.5")],
        "fitness.between_organizations.median is -0.5; it must be greater than 0",
    ),
    "not a number": (
        [("mu = 1.8", "mu = nan")],
        "fitness.location.mu is NaN; it must be a finite number",
    ),
    "infinite": (
        [("mu = 1.8\nsigma = 0.5\n", "mu = 1.8\nsigma = inf\n")],
        "fitness.location.sigma is Infinity; it must be a finite number",
    ),
    "beyond a float": (
        [("mu = 1.8", "mu = 1" + "0" * 400)],
        f"fitness.location.mu is 1{'0' * 56}...; it must be a finite number",
    ),
    "text for a number": (
        [("mu = 1.8", 'mu = "0.5"')],
        'fitness.location.mu is "0.5"; it must be a number',
    ),
    "truth value for a number": ([("m = 1", "m = true")], "m is true; it must be a number"),
    "date for a number": (
        [("m = 1", "m = 2024-01-01")],
        'm is "2024-01-01"; it must be a number',
    ),
    "line separator": (
        [('pooling = "organization"', 'pooling = "é\u2028"')],
        'pooling is "\\u00e9\\u2028"; it must be organization or global',
    ),
    "number for text": (
        [('name = "bursts"', "name = 3")],
        "name is 3; it must be text in quotes",
    ),
    "number for a table": (
        [("m = 1\n", "m = 1\ncarry_over = 0.5\n"), ("[carry_over]", "[fitness.other]")],
        "carry_over is 0.5, not a table of keys",
    ),
    "list of tables": (
        [("[carry_over]", "[[carry_over]]")],
        'carry_over is [{"strength": 0.5, "memory": 0.2}], not a table of keys',
    ),
    "empty name": ([('name = "bursts"', 'name = " "')], "name is empty; write it out"),
    "m of zero": ([("m = 1", "m = 0")], "m is 0; it must be greater than 0"),
    "negative m": ([("m = 1", "m = -30")], "m is -30; it must be greater than 0"),
    "mistyped likelihood": (
        [('likelihood = "surge"', 'likelihood = "poison"')],
        'likelihood is "poison" (did you mean poisson?); it must be poisson, birth or surge',
    ),
    "space around a choice": (
        [('pooling = "organization"', 'pooling = "organization "')],
        'pooling is "organization " (did you mean organization?); it must be organization or '
        "global",
    ),
    "mistyped pooling": (
        [('pooling = "organization"', 'pooling = "organisation"')],
        'pooling is "organisation" (did you mean organization?); it must be organization or global',
    ),
    "organizations under global pooling": (
        [('pooling = "organization"', 'pooling = "global"')],
        'fitness.between_organizations has no place where pooling is "global"; leave it out, '
        'or set pooling = "organization"',
    ),
    "strength of one": (
        [("strength = 0.5", "strength = 1")],
        "carry_over.strength is 1; it must be above -1 to below 1, or a table with a Normal prior",
    ),
    "memory of one": (
        [("memory = 0.2", "memory = 1.0")],
        "carry_over.memory is 1; it must be from 0 to below 1, or a table with a Beta prior",
    ),
    "negative memory": (
        [("memory = 0.2", "memory = -0.1")],
        "carry_over.memory is -0.1; it must be from 0 to below 1, or a table with a Beta prior",
    ),
    "text for the memory": (
        [("memory = 0.2", 'memory = "short"')],
        'carry_over.memory is "short"; it must be a number',
    ),
}


for number, text in (("1.5", "1.5"), ("0", "0"), ("-0.5", "-0.5"), ("1.0000001", "1.0000001")):
    REFUSALS[f"exponent of {number}"] = (
        [(table("reinforcement.exponent"), f"[reinforcement]\nexponent = {number}\n")],
        f"reinforcement.exponent is {text}; it must be above 0 and at most 1, or a table with a "
        "Beta prior",
    )
for key, number, words in (
    ("persistence", "1", "from 0 to below 1, or a table with a Beta prior"),
    ("persistence", "-0.1", "from 0 to below 1, or a table with a Beta prior"),
    *(
        (
            "innovation",
            number,
            "greater than 0, or a table with a LogNormal, HalfNormal, Gamma or Exponential prior",
        )
        for number in ("0", "-0.2")
    ),
):
    other = {"persistence": "innovation = 0.2", "innovation": "persistence = 0.9"}[key]
    REFUSALS[f"{key} of {number}"] = (
        [(PERIOD_EFFECT, f"[period_effect]\n{other}\n{key} = {number}\n")],
        f"period_effect.{key} is {number}; it must be {words}",
    )
for key, number, words in (
    ("probability", "0", "above 0 to below 1, or a table with a Beta prior"),
    ("probability", "1", "above 0 to below 1, or a table with a Beta prior"),
    ("factor", "0.9", "at least 1, or a table with a LogNormal prior"),
    ("size", "0", "greater than 0, or a table with a LogNormal prior"),
):
    entries = {"probability": "0.01", "factor": "10", "size": "0.7"} | {key: number}
    REFUSALS[f"{key} of {number}"] = (
        [(BURSTS, "[bursts]\n" + "".join(f"{k} = {v}\n" for k, v in entries.items()))],
        f"bursts.{key} is {number}; it must be {words}",
    )


@pytest.mark.parametrize(("changes", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_refusals(copy, changes, expected):
    path = copy(edited(FULL, *changes))
    message = refusal(path)
    if expected.endswith(("known are ", "known are location, ")):
        assert message.startswith(f"{path}: {expected}")
    else:
        assert message == f"{path}: {expected}"


@pytest.mark.parametrize("key", ["m_reason", "description"])
def test_empty_texts(copy, key):
    text = re.sub(rf'^{key} = """.*?"""', f'{key} = "\\\\n"', FULL, flags=re.DOTALL | re.MULTILINE)
    assert refusal(copy(text)).endswith(f": {key} is empty; write it out")


def test_every_reason_must_be_there(copy):
    reasons = list(re.finditer(r'^reason = """.*?"""', FULL, flags=re.DOTALL | re.MULTILINE))
    assert len(reasons) == 20
    for found in reasons:
        before, after = FULL[: found.start()], FULL[found.end() :]
        place = re.findall(r"^\[(.*)\]", before, flags=re.MULTILINE)[-1]
        assert refusal(copy(before + 'reason = ""' + after)).endswith(
            f"{place}.reason is empty; write it out"
        )
        assert refusal(copy(before + after)).endswith(f"{place}.reason is missing; add it")


def test_surge_without_its_tables(copy):
    message = refusal(copy(edited(CITATION, ('likelihood = "poisson"', 'likelihood = "surge"'))))
    assert message.endswith(
        "reinforcement is missing; add the table [reinforcement] with "
        "exponent = 1, which keeps the law of earlier versions"
    )
    text = edited(CITATION, ('likelihood = "poisson"', 'likelihood = "surge"'))
    message = refusal(copy(text + "\n[reinforcement]\nexponent = 1\n"))
    assert message.endswith("carry_over is missing; add it")


@pytest.mark.parametrize("likelihood", ["poisson", "birth"])
@pytest.mark.parametrize(
    "key", ["reinforcement", "carry_over", "dispersion", "period_effect", "bursts"]
)
def test_tables_of_surge_without_surges(copy, key, likelihood):
    document = json.loads(read_spec("bursts").to_json())
    for other in ("reinforcement", "carry_over", "dispersion", "period_effect", "bursts"):
        if other != key:
            del document[other]
    document["likelihood"] = likelihood
    with pytest.raises(SpecificationError) as caught:
        GrowthSpec.from_json(json.dumps(document), "mine.toml")
    assert str(caught.value) == (
        f'mine.toml: {key} has no place with the likelihood "{likelihood}"; leave it out, or set '
        'likelihood = "surge"'
    )


def test_long_values_are_cut_short_in_messages(copy):
    value = '"' + "x" * 500 + '\\n"'
    message = refusal(copy(edited(FULL, ('likelihood = "surge"', f"likelihood = {value}"))))
    assert len(message) < 400


# Files


def test_unknown_growth_model():
    assert refusal("Surg") == (
        'there is no growth model "Surg" (did you mean surge?); name one of bursts, '
        "citation, reinforced, surge, or give a file that ends in .toml"
    )
    assert refusal("").startswith('there is no growth model ""; name one of bursts, ')


def test_file_of_another_kind(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(FULL)
    assert "or give a file that ends in .toml" in refusal(path)


def test_missing_file(tmp_path, monkeypatch):
    path = tmp_path / "mine.toml"
    assert refusal(path) == f"there is no file {path}; check the path"
    monkeypatch.chdir(tmp_path)
    assert refusal("surge.toml") == (
        "there is no file surge.toml; for the growth model that ships with the package, say surge"
    )


def test_folder(tmp_path):
    path = tmp_path / "folder.toml"
    path.mkdir()
    assert refusal(path) == f"{path} is a folder; give the name of a file"


def test_file_below_a_file(copy):
    path = copy(FULL) / "deeper.toml"
    assert refusal(path) == f"{path} cannot be read: Not a directory"


def test_name_that_no_file_can_have():
    assert refusal("mine\0.toml") == (
        "'mine\\x00.toml' is not the name of a file: embedded null byte"
    )


def test_binary_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"abc\xff\xfe\x00")
    assert refusal(path) == (
        f"{path} is not a text file in UTF-8 (byte 4); a specification is written in TOML"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("m = = 30", r"Invalid value \(at line 1, column 5\)"),
        ("m = 30\nm = 31", r"Cannot overwrite a value \(at .*\)"),
        ('m = "30', r".*"),
        ("m = " + "[" * 200_000, r".*"),
        ("m = " + "9" * 5000, r".*"),
        ("\0", r".*"),
    ],
)
def test_broken_toml(copy, text, fault):
    path = copy(text)
    assert re.fullmatch(
        rf"{re.escape(str(path))} is not valid TOML: {fault}; "
        "copy a shipped specification and edit it",
        refusal(path),
    )


def test_empty_file(copy):
    path = copy("")
    assert refusal(path) == f"{path}: name is missing; add it"


@given(content=st.one_of(st.binary(max_size=99), st.text(max_size=99).map(str.encode)))
def test_no_content_breaks_the_reader(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    refusal(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def acceptable(key, value):
    """Whether a value drawn at random may stand at a key of the surge specification."""
    if key in {"name", "description", "m_reason", "reason"}:
        return isinstance(value, str) and bool(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e308:
        return False
    return {
        "mu": True,
        "m": value > 0,
        "sigma": value > 0,
        "median": value > 0,
        "strength": -1 < value < 1,
        "memory": 0 <= value < 1,
        "exponent": 0 < value <= 1,
        "persistence": 0 <= value < 1,
        "innovation": value > 0,
        "probability": 0 < value < 1,
        "factor": value >= 1,
        "size": value > 0,
        "alpha": value > 0,
        "beta": value > 0,
    }.get(key, False)


@given(st.data())
def test_any_value_anywhere_is_taken_where_right_and_refused_in_one_line(data):
    document = json.loads(read_spec("surge").to_json())
    table = document
    while True:
        key = data.draw(st.sampled_from(sorted(table)))
        if not isinstance(table[key], dict) or data.draw(st.booleans()):
            break
        table = table[key]
    table[key] = data.draw(json_values)
    text = json.dumps(document)
    if acceptable(key, table[key]):
        GrowthSpec.from_json(text)
    else:
        with pytest.raises(SpecificationError) as caught:
            GrowthSpec.from_json(text)
        message = str(caught.value)
        assert key in message
        assert len(message.splitlines()) == 1
