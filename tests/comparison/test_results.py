"""Organizations against each other: probabilities against brute force, tables, refusals."""

import dataclasses
import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hfgrowth.comparison import (
    NEW_BASE_MODELS,
    QUANTITIES,
    compare,
    largest_base_models,
)
from bayes_hfgrowth.comparison.quantities import SIMULATED_DRAWS, peak_months, quantity_draws
from bayes_hfgrowth.comparison.without import log_weights_without
from bayes_hfgrowth.comparison.words import probability_words
from bayes_hfgrowth.growth import cumulative, ultimate_impact
from bayes_hfgrowth.posterior.draws import ATTRIBUTE, FittedDraws
from bayes_hfgrowth.posterior.importance import smoothed_weights
from bayes_hfgrowth.support.errors import ComparisonError

COLUMNS = [
    "organization", "quantity", "unit", "median", "lower_50", "upper_50", "lower_95", "upper_95",
    "median_without_largest", "lower_95_without_largest", "upper_95_without_largest", "pareto_k",
]  # fmt: skip


@pytest.fixture(scope="module")
def made_fit(make_fit):
    """A few more draws than base models are simulated under."""
    return make_fit(draws=SIMULATED_DRAWS // 4 + 5)


@pytest.fixture(scope="module")
def comparison(made_fit):
    return compare(made_fit, ["StabilityAI", "Meta", "Qwen"])


@pytest.fixture(scope="module")
def two(made_fit):
    return compare(made_fit, ["Meta", "Qwen"])


def of(table, organization, quantity):
    chosen = (table["organization"] == organization) & (table["quantity"] == quantity)
    return table[chosen].iloc[0]


def draws_of(fit, name, organization):
    values = fit.posterior[f"organization_{name}"].sel(organization=organization)
    return values.to_numpy().ravel().tolist()


def test_the_table_names_every_quantity_of_every_organization(comparison):
    table = comparison.table
    assert list(table.columns) == COLUMNS
    assert comparison.organizations == ("StabilityAI", "Meta", "Qwen")
    assert list(table["organization"].unique()) == ["StabilityAI", "Meta", "Qwen"]
    assert len(table) == 3 * len(QUANTITIES)
    assert set(table["unit"]) == {
        "log-months", "months", "dimensionless", "fine-tunes", "base models", "share",
    }  # fmt: skip
    assert list(comparison.pairs.columns) == [
        "first", "second", "quantity", "probability", "sentence",
        "probability_without_largest", "pareto_k",
    ]  # fmt: skip
    assert len(comparison.pairs) == 3 * 12


def test_intervals_are_nested(comparison):
    values = comparison.table[["lower_95", "lower_50", "median", "upper_50", "upper_95"]]
    assert (np.diff(values.to_numpy(), axis=1) >= 0).all()


@pytest.mark.parametrize("name", ["immediacy", "longevity", "fitness"])
def test_probabilities_and_medians_are_those_of_the_draws(made_fit, comparison, name):
    meta, qwen = draws_of(made_fit, name, "Meta"), draws_of(made_fit, name, "Qwen")
    larger = 0.0
    for first, second in zip(meta, qwen, strict=True):
        larger += 1.0 if first > second else 0.5 if first == second else 0.0
    pair = comparison.pairs.query("first == 'Meta' and second == 'Qwen' and quantity == @name")
    assert pair["probability"].item() == pytest.approx(larger / len(meta))
    row = of(comparison.table, "Meta", name)
    ordered = sorted(meta)
    assert row["median"] == ordered[(len(ordered) - 1) // 2]
    inside = sum(row["lower_95"] <= value <= row["upper_95"] for value in meta)
    assert 0.95 <= inside / len(meta) <= 0.96


def test_what_the_curve_implies_is_computed_draw_by_draw(made_fit, comparison):
    m = made_fit.spec.m
    parameters = [draws_of(made_fit, p, "Qwen") for p in ("fitness", "immediacy", "longevity")]
    # Months like those of the last year.
    recent = made_fit.posterior["period_effect"].isel(calendar_month=slice(-12, None))
    parameters[0] = parameters[0] * np.exp(recent.mean("calendar_month").to_numpy().ravel())
    parameters.append(made_fit.posterior["reinforcement_exponent"].to_numpy().ravel())
    impacts, peaks = [], []
    for fitness, immediacy, longevity, exponent in zip(*parameters, strict=True):
        impacts.append(float(ultimate_impact(fitness, m, exponent)))
        counts = cumulative(np.arange(601), fitness, immediacy, longevity, m, exponent)
        peaks.append(int(np.argmax(np.diff(counts))) + 1)
    middle = (len(peaks) - 1) // 2
    assert of(comparison.table, "Qwen", "ultimate_impact")["median"] == pytest.approx(
        sorted(impacts)[middle]
    )
    assert of(comparison.table, "Qwen", "peak_age")["median"] == sorted(peaks)[middle]


def test_counts_of_the_data_are_added_up(made_fit, comparison):
    history = made_fit.history
    total, sizes = {}, []
    for model, group, count in zip(
        history.base_models, history.organization_of, history.finetunes, strict=True
    ):
        if history.organizations[group] == "Meta":
            total[model] = int(count)
            sizes.append(int(count))
    assert of(comparison.table, "Meta", "base_models")["median"] == len(sizes)
    assert of(comparison.table, "Meta", "finetunes")["median"] == sum(sizes)
    share = of(comparison.table, "Meta", "share_of_largest")
    assert share["median"] == share["upper_95"] == pytest.approx(max(sizes) / sum(sizes))
    assert total[comparison.largest.loc["Meta", "base_model"]] == max(sizes)


def with_posterior(fit, **values):
    """The fit with other values of some posterior variables."""
    posterior = fit.posterior.copy()
    for name, value in values.items():
        posterior[name] = xr.zeros_like(posterior[name]) + np.asarray(value)
    tree = fit.tree.copy()
    tree["posterior"] = xr.DataTree(posterior)
    tree.attrs = dict(fit.tree.attrs)
    return FittedDraws(tree)


def test_new_base_models_follow_the_curve_where_nothing_is_uncertain(make_fit):
    """Without spread, the mean of the reinforced process from 0 is the curve itself."""
    m, fitness, immediacy, longevity = 30.0, np.array([2.0, 1.5, 2.5]), 1.5, 1.1
    fit = with_posterior(
        make_fit("reinforced", draws=250),
        organization_fitness=fitness,
        organization_immediacy=immediacy,
        organization_longevity=longevity,
        between_base_models_fitness=1e-6,
        between_base_models_immediacy=1e-6,
        between_base_models_longevity=1e-6,
    )
    result = compare(fit, fit.organizations, seed=5)
    expected = cumulative(12, fitness, immediacy, longevity, m)
    name = "finetunes_after_12_months"
    for position, organization in enumerate(fit.organizations):
        row = of(result.table, organization, name)
        # Negative binomial of size m: the median is a little under the mean.
        assert 0.93 * expected[position] < row["median"] < expected[position] * 1.01
        spread = np.sqrt(expected[position] * (1 + expected[position] / m))
        assert row["upper_95"] - row["lower_95"] == pytest.approx(3.92 * spread, rel=0.1)
        assert row["median"] == int(row["median"])


def test_new_base_models_are_dormant_as_often_as_the_organization_is(make_fit):
    growing = {"fitness": 6.0, "immediacy": 0.5, "longevity": 0.8, "dispersion": 0.3}
    fit = with_posterior(
        make_fit(draws=100),
        organization_dormancy=np.array([0.0, 0.6, 1.0]),
        **{f"organization_{name}": value for name, value in growing.items()},
        **{f"between_base_models_{name}": 1e-6 for name in growing},
    )
    # Whatever the order asked for, each organization keeps its own share.
    table = compare(fit, ["StabilityAI", "Meta", "Qwen"]).table
    shares = {name: of(table, name, "dormancy")["median"] for name in fit.organizations}
    assert shares == {"Meta": 0.0, "Qwen": 0.6, "StabilityAI": 1.0}
    new = {name: of(table, name, "finetunes_after_12_months") for name in fit.organizations}
    assert new["Meta"]["lower_95"] > 0  # each of them grows to 50 or so
    assert new["Qwen"]["lower_50"] == new["Qwen"]["median"] == 0 < new["Qwen"]["upper_50"]
    assert new["StabilityAI"]["upper_95"] == 0


def test_a_growth_model_without_dormancy_has_no_share_of_it(make_fit):
    result = compare(make_fit("reinforced", draws=50), ["Meta", "Qwen"])
    assert np.isnan(of(result.table, "Meta", "dormancy")["median"])
    assert "dormancy" not in set(result.pairs["quantity"]) | set(result.ranks["quantity"])


def test_alike_organizations_are_even(make_fit):
    same = dict.fromkeys(("fitness", "immediacy", "longevity", "dispersion"), 1.3)
    same["dormancy"] = 0.3
    fit = with_posterior(
        make_fit(draws=250), **{f"organization_{name}": value for name, value in same.items()}
    )
    pairs = compare(fit, ["Meta", "Qwen"]).pairs.set_index("quantity")
    certain = ["immediacy", "peak_age", "longevity", "fitness", "ultimate_impact", "dormancy"]
    assert (pairs.loc[certain, "probability"] == 0.5).all()  # nothing but ties
    assert "(ties, 100%, count half)" in pairs.loc["fitness", "sentence"]
    number = 500 * NEW_BASE_MODELS
    new = pairs.loc["finetunes_after_12_months", "probability"]
    assert abs(new - 0.5) < 4 * 0.5 / np.sqrt(number)


def test_ranks_of_two_are_their_pairwise_probabilities(two):
    pairs = two.pairs.set_index("quantity")["probability"]
    ranks = two.ranks.set_index(["organization", "quantity"])
    assert len(ranks) == 2 * len(pairs)
    for quantity, probability in pairs.items():
        assert ranks.loc[("Meta", quantity), "largest"] == pytest.approx(probability)
        assert ranks.loc[("Qwen", quantity), "smallest"] == pytest.approx(probability)


def test_swapping_the_order_gives_the_other_probability(made_fit, two):
    there = two.pairs.set_index("quantity")["probability"]
    back = compare(made_fit, ["Qwen", "Meta"]).pairs.set_index("quantity")["probability"]
    curve = ["immediacy", "peak_age", "longevity", "fitness", "ultimate_impact"]
    np.testing.assert_allclose(there[curve], 1.0 - back[curve])


def test_the_same_seed_gives_the_same_table(made_fit, two):
    """By default it is the seed of the fit."""
    again = compare(made_fit, ["Meta", "Qwen"], seed=made_fit.about["seed"])
    pd.testing.assert_frame_equal(two.table, again.table)
    pd.testing.assert_frame_equal(two.pairs, again.pairs)
    other = compare(made_fit, ["Meta", "Qwen"], seed=8)
    assert not other.pairs.equals(two.pairs)


def test_every_sentence_tells_what_counting_its_draws_gives(made_fit, comparison):
    """Draw by draw in a loop, for all pairs and quantities, as the words tell it."""
    chosen = np.array([2, 0, 1])
    left_out = dict(enumerate(largest_base_models(made_fit)["position"]))
    rng = np.random.default_rng(np.random.SeedSequence([made_fit.about["seed"], 5]))
    peaks = peak_months(made_fit.spec, made_fit.posterior)
    draws, _ = quantity_draws(made_fit, chosen, peaks, left_out, rng)
    place = {name: column for column, name in enumerate(comparison.organizations)}
    for pair in comparison.pairs.itertuples():
        sample = draws[pair.quantity].sample[:, [place[pair.first], place[pair.second]]].tolist()
        larger = sum(first > second for first, second in sample)
        tied = sum(first == second for first, second in sample)
        share = (larger + tied / 2) / len(sample)
        sign, told = re.search(r"\) ([<=>]) (\d\.\d\d)", pair.sentence).groups()
        if sign == "=":
            assert float(told) == pytest.approx(share, abs=0.005 + 1e-9), pair.sentence
        else:
            assert share < 0.005 if sign == "<" else share >= 0.995, pair.sentence
        note = re.search(r"ties, (\d+)%", pair.sentence)
        assert (note is not None) == (tied / len(sample) >= 0.005), pair.sentence
        assert note is None or float(note[1]) == pytest.approx(100 * tied / len(sample), abs=0.51)


def test_sentences_say_it_plainly(comparison):
    lines = comparison.sentences()
    text = "\n".join(lines)
    pair = comparison.pairs.query(
        "first == 'StabilityAI' and second == 'Meta' and quantity == 'finetunes_after_12_months'"
    )
    start = (
        "P(a new base model of StabilityAI has more fine-tunes after 12 months than one of Meta)"
    )
    assert f"{start} = {pair['probability'].item():.2f}" in text
    assert all(line.startswith("P(") for line in lines[: len(comparison.pairs)])
    assert "of the fine-tunes of Meta" in text
    assert "= 1.00" not in text
    assert "= 0.00" not in text


def test_one_base_model_that_holds_most_is_named(make_fit):
    def distort(history):
        new = history.new.copy()
        new[history.start[1] - 1] += 1e5  # the last month of the first base model, one of Meta
        return dataclasses.replace(history, new=new)

    result = compare(make_fit(draws=50, distort=distort), ["Meta", "Qwen"])
    assert result.largest.loc["Meta", "base_model"] == "Meta/model-0"
    assert any(
        line.startswith("Meta/model-0 holds") and "mostly said of this one" in line
        for line in result.sentences()
    )


def test_a_fit_of_successful_base_models_only_says_so(comparison):
    assert comparison.min_finetunes == 0  # one base model is younger than a month
    assert "at least" not in comparison.sentences()[-1]
    reminder = dataclasses.replace(comparison, min_finetunes=200).sentences()[-1]
    assert "at least 200 fine-tunes" in reminder


def test_without_the_largest_stands_beside(made_fit, comparison):
    """Medians under the weights, by adding these up in order; pairs under both weights."""
    weights = {}
    for name in comparison.organizations:
        index = made_fit.organizations.index(name)
        largest = made_fit.base_models.index(comparison.largest.loc[name, "base_model"])
        seeds = np.random.SeedSequence([made_fit.about["seed"], 6, index])
        weights[name] = log_weights_without(made_fit, largest, np.random.default_rng(seeds))

    def smoothed(log_weights):
        smooth, k = smoothed_weights(log_weights[:, None])
        return smooth[:, 0], k[0]

    meta, k = smoothed(weights["Meta"])
    values = np.array(draws_of(made_fit, "fitness", "Meta"))
    so_far = 0.0
    ordered = iter(sorted(zip(values, meta, strict=True)))
    while so_far < 0.5:
        value, weight = next(ordered)
        so_far += weight
    row = of(comparison.table, "Meta", "fitness")
    assert row["median_without_largest"] == value
    assert row["pareto_k"] == comparison.largest.loc["Meta", "pareto_k"] == k
    assert row["lower_95_without_largest"] < value < row["upper_95_without_largest"]

    both, k = smoothed(weights["Meta"] + weights["Qwen"])
    larger = values > np.array(draws_of(made_fit, "fitness", "Qwen"))
    pair = comparison.pairs.query(
        "first == 'Meta' and second == 'Qwen' and quantity == 'fitness'"
    ).iloc[0]
    assert pair["probability_without_largest"] == pytest.approx(both[larger].sum())
    assert pair["pareto_k"] == k
    told = probability_words(pair["probability_without_largest"])
    assert f"without the largest base model of each {told}" in pair["sentence"]


def test_without_the_largest_counts_are_those_of_the_others(made_fit, comparison):
    own = made_fit.history.organization_of == made_fit.organizations.index("Meta")
    others = sorted(made_fit.history.finetunes[own].tolist())[:-1]
    row = of(comparison.table, "Meta", "finetunes")
    assert row["median_without_largest"] == row["upper_95_without_largest"] == sum(others)
    assert of(comparison.table, "Meta", "base_models")["median_without_largest"] == len(others)
    share = of(comparison.table, "Meta", "share_of_largest")["median_without_largest"]
    assert share == pytest.approx(max(others) / sum(others))
    portfolio = of(comparison.table, "Meta", "portfolio_after_12_months")
    assert portfolio["lower_95_without_largest"] >= sum(others)
    assert portfolio["median_without_largest"] < portfolio["median"]


def test_what_others_are_asked_for_changes_nothing_of_the_weights(two, comparison):
    for name in ("fitness", "immediacy", "dormancy"):
        first, second = of(two.table, "Meta", name), of(comparison.table, "Meta", name)
        assert first["median_without_largest"] == second["median_without_largest"]


def test_sections_have_short_headings_and_hold_every_sentence(comparison):
    sections = comparison.sections()
    assert list(sections) == [
        "StabilityAI and Meta",
        "StabilityAI and Qwen",
        "Meta and Qwen",
        "The paper's claim: who peaks early",
        "What hangs on one base model",
    ]
    assert [line for lines in sections.values() for line in lines] == comparison.sentences()
    assert all(lines for lines in sections.values())
    for row in comparison.pairs.itertuples():
        assert row.sentence in sections[f"{row.first} and {row.second}"]


def test_the_command_prints_a_table_for_each_and_every_sentence(made_fit, tmp_path):
    path, out = tmp_path / "fit.nc", tmp_path / "table.csv"
    made_fit.tree.to_netcdf(path)
    command = [sys.executable, "-W", "error", "-c", "from bayes_hfgrowth.cli import main; main()"]
    done = subprocess.run(
        [*command, "compare", str(path), "StabilityAI", "Meta", "--out", str(out)],
        capture_output=True, text=True, check=False, timeout=600,
        env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = compare(made_fit, ["StabilityAI", "Meta"])
    for heading, lines in expected.sections().items():
        assert f"\n{heading}\n" in done.stdout
        assert all(f"- {line}\n" in done.stdout for line in lines)
    for name in expected.organizations:
        assert f"{name}: medians, 95% intervals" in done.stdout
    assert "…" not in done.stdout  # nothing is cut short
    pd.testing.assert_frame_equal(pd.read_csv(out), expected.table, check_dtype=False)


@pytest.mark.parametrize(
    ("organizations", "message"),
    [
        (["Meta"], "at least two organizations"),
        ("Meta", "at least two organizations"),
        ([], "no organization is named"),
        (["Meta", "Meta"], "'Meta' is named twice"),
        (["Meta", "StabiltyAI"], "did you mean 'StabilityAI'"),
        (["Meta", "Nobody"], "'Nobody' is not in the fit"),
    ],
)
def test_unusable_choices_are_refused_in_one_line(made_fit, organizations, message):
    with pytest.raises(ComparisonError, match=message) as caught:
        compare(made_fit, organizations)
    assert "\n" not in str(caught.value)


def test_a_negative_seed_is_refused(made_fit):
    with pytest.raises(ComparisonError, match="from 0 on"):
        compare(made_fit, ["Meta", "Qwen"], seed=-1)


def test_a_fit_without_organization_level_is_refused(made_fit):
    tree = made_fit.tree.copy()
    about = json.loads(made_fit.tree.attrs[ATTRIBUTE])
    about["specification"]["pooling"] = "global"
    for name in ("fitness", "immediacy", "longevity", "dispersion"):
        del about["specification"][name]["between_organizations"]
    about["specification"].get("dormancy", {}).pop("between_organizations", None)
    tree.attrs = {ATTRIBUTE: json.dumps(about)}
    with pytest.raises(ComparisonError, match="no organization level"):
        compare(FittedDraws(tree), ["Meta", "Qwen"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_saving_writes_the_table(comparison, tmp_path, ending):
    path = tmp_path / f"organizations.{ending}"
    comparison.save(path)
    read = pd.read_csv(path) if ending == "csv" else pd.read_parquet(path)
    pd.testing.assert_frame_equal(read, comparison.table, check_dtype=False)


def test_saving_under_another_ending_is_refused(comparison, tmp_path):
    with pytest.raises(ComparisonError, match=r"\.csv or \.parquet"):
        comparison.save(tmp_path / "organizations.txt")
