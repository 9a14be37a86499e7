"""Real fits of small panels: what the file holds, repeatability, odd panels."""

import json
from pathlib import Path

import arviz as az
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hfgrowth as hfg
from bayes_hfgrowth import fit as fit_module
from bayes_hfgrowth.posterior.draws import ATTRIBUTE, FORMAT
from bayes_hfgrowth.support.errors import FitError

AS_OF = "2024-08-01"
SHORT = {"draws": 40, "tune": 40, "chains": 2, "seed": 1, "progress": False}
DRAWS = 200  # of each chain of `tiny_fit`
NEWBORN = "meta-llama/Llama-3.1-8B"
# Few and of few calendar months, so that fits are cheap; the second one has no fine-tune.
YOUNG = ("apple/OpenELM-270M", "apple/MobileCLIP-S1", "meta-llama/CodeLlama-7b-hf",
         "meta-llama/Meta-Llama-3-8B", NEWBORN)  # fmt: skip
GROWTH = ("fitness", "immediacy", "longevity", "dispersion")
SHARED = ("reinforcement_exponent", "period_persistence", "period_innovation")

# A fit of 15 base models has months with a large Pareto k, and so few draws a rough one.
pareto_k = pytest.mark.filterwarnings("ignore:Estimated shape parameter:UserWarning")


@pytest.fixture(autouse=True)
def headless():
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


@pytest.fixture(scope="module")
def young_panel():
    """Five base models of two organizations, born in 2024, to the end of the shipped data."""
    return hfg.load_example().select(base_models=YOUNG)


@pytest.fixture(scope="module")
def young_fit(young_panel):
    """A real fit of what was known of them at the as-of date."""
    return hfg.GrowthModel("surge").fit(young_panel.as_of(AS_OF), **SHORT)


@pytest.fixture(scope="module")
def loaded(young_fit, tmp_path_factory):
    """The same fit, from its file."""
    path = tmp_path_factory.mktemp("young") / "fit.nc"
    young_fit.save(path)
    return hfg.load_fit(path)


# --- What a fit holds -----------------------------------------------------------------------


def test_groups_variables_and_dimensions(tiny_fit_file, tiny_fit):
    with xr.open_datatree(tiny_fit_file, engine="h5netcdf") as tree:
        assert set(tree.children) == {
            "posterior", "sample_stats", "prior", "prior_predictive", "posterior_predictive",
            "log_likelihood", "log_prior", "observed_data", "constant_data",
        }  # fmt: skip
        variables: dict[str, tuple[str, ...]] = {}
        for name in GROWTH:
            variables |= {
                name: ("chain", "draw", "base_model"),
                f"organization_{name}": ("chain", "draw", "organization"),
                f"global_{name}": ("chain", "draw"),
                f"between_organizations_{name}": ("chain", "draw"),
                f"between_base_models_{name}": ("chain", "draw"),
            }
        variables |= {
            "organization_dormancy": ("chain", "draw", "organization"),
            "global_dormancy": ("chain", "draw"),
            "between_organizations_dormancy": ("chain", "draw"),
            "period_effect": ("chain", "draw", "calendar_month"),
            **dict.fromkeys(SHARED, ("chain", "draw")),
        }
        for group in ("posterior", "prior"):
            assert {str(k): v.dims for k, v in tree[group].data_vars.items()} == variables
        months = ("chain", "draw", "observation")
        for group in ("prior_predictive", "posterior_predictive", "log_likelihood"):
            assert {k: v.dims for k, v in tree[group].data_vars.items()} == {
                "new_finetunes": months
            }
        assert {str(k) for k in tree["log_prior"].data_vars} == {
            f"{level}_{name}"
            for name in GROWTH
            for level in ("global", "between_organizations", "between_base_models")
        } | {"global_dormancy", "between_organizations_dormancy", *SHARED}
        assert {k: v.dims for k, v in tree["observed_data"].data_vars.items()} == {
            "new_finetunes": ("observation",)
        }
        assert {k: v.dims for k, v in tree["constant_data"].data_vars.items()} == {
            "base_model_index": ("observation",),
            "month": ("observation",),
            "previous": ("observation",),
            "organization_index": ("base_model",),
            "created_at": ("base_model",),
            "months": ("base_model",),
            "finetunes": ("base_model",),
        }
        assert {"diverging", "energy", "logp", "step_size"} <= set(tree["sample_stats"].data_vars)
        assert tree["posterior"].sizes["chain"] == 4
        assert tree["posterior"].sizes["draw"] == DRAWS
        assert tree["posterior"]["organization"].to_numpy().tolist() == [
            "Apple", "Meta", "OpenAI", "StabilityAI",
        ]  # fmt: skip
        assert tree["posterior"]["base_model"].to_numpy().tolist() == list(tiny_fit.base_models)
        months = tree["posterior"]["calendar_month"].to_numpy().tolist()
        assert months == [str(m) for m in pd.period_range("2022-05", "2024-07", freq="M")]
        assert tree["prior"]["calendar_month"].to_numpy().tolist() == months
        assert not any(np.isnan(value).any() for value in tree["posterior"].data_vars.values())


def test_everything_but_arrays_is_one_json_attribute(tiny_fit_file, tiny_panel):
    with xr.open_datatree(tiny_fit_file, engine="h5netcdf") as tree:
        assert list(tree.attrs) == [ATTRIBUTE]
        about = json.loads(tree.attrs[ATTRIBUTE])
    assert set(about) == {
        "format", "specification", "panel", "sampler", "seconds", "seed", "pointwise_every",
        "convergence", "versions",
    }  # fmt: skip
    assert about["format"] == FORMAT
    cut = tiny_panel.as_of(AS_OF)
    assert about["panel"] == {
        "digest": cut.digest,
        "metric": "finetunes",
        "relation": "finetune",
        "observed_at": "2024-08-01T00:00:00+00:00",
        "base_models": 15,
        "organizations": 4,
        "silent": int((cut.base_models["finetunes"] == 0).sum()),
        "fewest_finetunes": 0,
        "finetunes": int(cut.base_models["finetunes"].sum()),
        "last_month": cut.base_models["observed_until"].max().isoformat(),
    }
    assert about["specification"] == json.loads(hfg.read_spec("surge").to_json())
    assert about["seed"] == about["sampler"]["seed"] == 1
    assert set(about["sampler"]) == {
        "draws", "tune", "chains", "seed", "target_accept", "cores", "engine", "pilots",
    }  # fmt: skip
    assert {"bayes-hfgrowth", "python", "pymc", "nutpie", "arviz"} <= set(about["versions"])
    assert about["versions"]["bayes-hfgrowth"] == hfg.__version__


def test_large_variables_are_narrow(young_fit, tiny_fit, tiny_fit_file):
    for fit in (young_fit, tiny_fit):  # in memory, and from a file
        for name in GROWTH:
            assert fit.posterior[name].dtype == np.float32
            assert fit.posterior[f"global_{name}"].dtype == np.float64
        assert fit.tree["log_likelihood"]["new_finetunes"].dtype == np.float32
        assert fit.tree["posterior_predictive"]["new_finetunes"].dtype == np.int32
    draws, months = 4 * DRAWS, len(tiny_fit.history.new)
    assert tiny_fit_file.stat().st_size < 10 * draws * (months + 100)


def test_no_draw_is_outside_its_range(tiny_fit):
    posterior = tiny_fit.posterior
    for name in GROWTH:
        assert (posterior[f"between_base_models_{name}"] > 0).all()
        if name != "immediacy":
            assert (posterior[name] > 0).all()
    for name in SHARED:
        assert (posterior[name] > 0).all()
    for name in ("reinforcement_exponent", "period_persistence"):
        assert (posterior[name] < 1).all()
    for group in ("prior_predictive", "posterior_predictive"):
        assert (tiny_fit.tree[group]["new_finetunes"] >= 0).all()


# --- ArviZ on the file as it stands ---------------------------------------------------------


@pareto_k
def test_arviz_reads_and_uses_the_file(tiny_fit_file, tiny_fit):
    tree = az.from_netcdf(tiny_fit_file)
    summary = az.summary(tree, var_names=["global", "organization_fitness"], filter_vars="like")
    assert "organization_fitness[Meta]" in summary.index
    loo = az.loo(tree, pointwise=True)
    assert loo.elpd_i.sizes["observation"] == len(tiny_fit.history.new)
    assert np.isfinite(loo.elpd)
    order = az.compare({"one": loo, "same": az.loo(tree, pointwise=True)})
    assert order["elpd_diff"].abs().max() == 0
    sensitivity = az.psense_summary(tree, var_names=["global_fitness", "global_longevity"])
    assert sensitivity[["prior", "likelihood"]].to_numpy().dtype.kind == "f"


@pareto_k
@pytest.mark.filterwarnings("ignore:Variables new_finetunes in .* look discrete")
@pytest.mark.parametrize(
    ("plot", "options"),
    [
        (az.plot_ppc_dist, {"num_samples": 20}),
        (az.plot_ppc_rootogram, {}),
        (az.plot_loo_pit, {}),
        (az.plot_energy, {}),
        (az.plot_rank_dist, {"var_names": ["global_fitness"]}),
        (az.plot_forest, {"var_names": ["organization_fitness"]}),
        (az.plot_prior_posterior, {"var_names": ["global_fitness"]}),
        (az.plot_psense_dist, {"var_names": ["global_fitness"]}),
    ],
)
def test_arviz_draws_from_the_file(tiny_fit_file, plot, options):
    assert plot(az.from_netcdf(tiny_fit_file), backend="matplotlib", **options) is not None


# --- Save, load, repeat ---------------------------------------------------------------------


def test_a_loaded_fit_is_the_same_fit(young_fit, loaded):
    for name in young_fit.tree.children:
        xr.testing.assert_equal(loaded.tree[name].to_dataset(), young_fit.tree[name].to_dataset())
    assert loaded.about == young_fit.about
    assert loaded.spec == young_fit.spec
    assert loaded.convergence == young_fit.convergence


def test_a_loaded_fit_gives_the_same_answers(young_fit, loaded):
    xr.testing.assert_identical(loaded.forecast(3).draws, young_fit.forecast(3).draws)
    pd.testing.assert_frame_equal(
        loaded.compare(["Meta", "Apple"]).table, young_fit.compare(["Meta", "Apple"]).table
    )
    pd.testing.assert_frame_equal(loaded.diagnose().predictive, young_fit.diagnose().predictive)


def test_same_seed_same_fit(young_fit, young_panel):
    """Another panel, too: a table from which the rows after the as-of date were deleted."""
    table = young_panel.table
    born = table["created_at"]
    ends = [b + pd.DateOffset(months=m) for b, m in zip(born, table["month"], strict=True)]
    kept = table[pd.DatetimeIndex(ends) <= pd.Timestamp(AS_OF, tz="UTC")]
    assert len(kept) < len(table)
    panel = hfg.Panel.from_table(kept.assign(observed_at=AS_OF))
    by_hand = hfg.GrowthModel("surge").fit(panel, **SHORT)
    assert by_hand.about["panel"] == young_fit.about["panel"]
    for name in young_fit.tree.children:
        xr.testing.assert_equal(by_hand.tree[name].to_dataset(), young_fit.tree[name].to_dataset())
    pd.testing.assert_frame_equal(by_hand.forecast(6).table(), young_fit.forecast(6).table())


def test_other_seed_other_fit(young_fit, young_panel):
    options = {**SHORT, "seed": np.int64(2)}
    other = hfg.GrowthModel("surge").fit(young_panel.as_of(AS_OF), **options)
    for group in ("posterior", "prior", "prior_predictive", "posterior_predictive"):
        first, second = (f.tree[group].to_dataset() for f in (young_fit, other))
        assert not any(first[name].equals(second[name]) for name in first.data_vars)
    assert not other.forecast(6).table().equals(young_fit.forecast(6).table())


def test_a_seed_that_was_not_given_is_drawn_and_stored(tiny_panel):
    # One organization: with several, so short a chain may run away from a bad start.
    cut = tiny_panel.as_of(AS_OF).select(organizations=["OpenAI"])
    options = {**SHORT, "draws": 20, "tune": 20}
    model = hfg.GrowthModel("citation")  # the fastest; a seed is drawn before anything of a model
    one, two = (model.fit(cut, **{**options, "seed": None}) for _ in range(2))
    assert one.about["seed"] != two.about["seed"]
    again = model.fit(cut, **{**options, "seed": one.about["seed"]})
    xr.testing.assert_equal(again.posterior, one.posterior)


# --- What is kept of every month ------------------------------------------------------------


def test_thinned_groups_hold_the_right_draws(young_fit, young_panel, monkeypatch):
    months, draws = len(young_fit.history.new), SHORT["draws"]
    monkeypatch.setattr(fit_module, "POINTWISE_CELLS", SHORT["chains"] * draws * months // 3 + 1)
    monkeypatch.setattr(fit_module, "LEAST_POINTWISE", 1)
    thin = hfg.GrowthModel("surge").fit(young_panel.as_of(AS_OF), **SHORT)
    assert young_fit.about["pointwise_every"] == 1
    assert thin.about["pointwise_every"] == 3
    xr.testing.assert_equal(thin.posterior, young_fit.posterior)
    for group in ("log_likelihood", "log_prior"):
        xr.testing.assert_equal(
            thin.tree[group].to_dataset(),
            young_fit.tree[group].to_dataset().isel(draw=slice(None, None, 3)),
        )
    kept = thin.tree["posterior_predictive"]
    assert kept["draw"].to_numpy().tolist() == list(range(0, draws, 3))
    assert kept.sizes["observation"] == months


def test_replicates_look_like_the_data(tiny_fit):
    """Prior and posterior predictive are of the months observed, and the posterior's near them."""
    new = tiny_fit.tree["observed_data"]["new_finetunes"].astype(float)
    prior, posterior = (
        np.log1p(tiny_fit.tree[group]["new_finetunes"].astype(float)).mean(("chain", "draw"))
        for group in ("prior_predictive", "posterior_predictive")
    )
    seen = np.log1p(new)
    assert np.corrcoef(posterior, seen)[0, 1] > 0.8
    # 0.64 is 0.6 of the distance (1.07) that a prior has which leaves typical base models open.
    assert np.abs(posterior - seen).mean() < min(0.64, np.abs(prior - seen).mean())


def test_a_short_run_is_said_not_to_have_converged(young_panel, tmp_path):
    options = {**SHORT, "draws": 20, "tune": 20}
    short = hfg.GrowthModel("surge").fit(young_panel.as_of(AS_OF), **options)
    assert not short.convergence.converged
    assert any("effective sample size" in problem for problem in short.convergence.problems)
    short.save(tmp_path / "short.nc")
    assert hfg.load_fit(tmp_path / "short.nc").convergence == short.convergence
    assert "HAS NOT CONVERGED" in short.diagnose().text()


# --- Odd panels -----------------------------------------------------------------------------


def test_a_base_model_younger_than_a_month_gets_a_forecast(tiny_fit):
    table = tiny_fit.forecast(12, [NEWBORN]).table()
    assert table["month"].tolist() == list(range(1, 13))
    assert (table["observed"] == 0).all()
    assert table["upper_80"].iloc[-1] > 50  # it is Meta's, whose base models are used
    assert table["date"].iloc[0] == pd.Timestamp("2024-08-14T22:20:15Z")


def test_a_panel_of_newborns_is_refused(tiny_panel):
    newborns = tiny_panel.as_of("2024-07-20").select(base_models=[NEWBORN])
    with pytest.raises(FitError, match="no base model of the panel is a whole month old"):
        hfg.GrowthModel("surge").fit(newborns)


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning")
def test_strange_names_and_a_thousand_million_finetunes(tmp_path):
    names = {
        'a/"quoted", with comma': "Quotes, 'and' \"more\"",
        "b/<script>alert(1)</script>": "<b>Bold</b>",
        "c/模型-модель-🤗": "Организация",
        "d/" + "long" * 60: "Організація",
        "e/%s {braces} [/red] $x^2$": "Organization [bold]",
    }
    counts = {name: [0, 3, 9, 12, 20, 22] for name in names}
    counts["b/<script>alert(1)</script>"] = [0, 10, 10**6, 10**9, 2 * 10**9, 3 * 10**9]
    rows = [
        (name, names[name], "2024-01-15T00:00:00Z", month, count)
        for name, series in counts.items()
        for month, count in enumerate(series)
    ]
    columns = ["base_model", "organization", "created_at", "month", "finetunes"]
    hfg.Panel.from_table(pd.DataFrame(rows, columns=columns)).write(tmp_path / "panel.csv")
    panel = hfg.read_panel(tmp_path / "panel.csv")
    fit = hfg.GrowthModel("surge").fit(panel, **SHORT)
    fit.save(tmp_path / "fit.nc")
    loaded = hfg.load_fit(tmp_path / "fit.nc")
    assert loaded.base_models == tuple(names)
    assert set(loaded.organizations) == set(names.values())
    forecast = loaded.forecast(6)
    forecast.save(tmp_path / "forecast.csv")
    forecast.save(tmp_path / "forecast.nc")
    table = pd.read_csv(tmp_path / "forecast.csv")
    assert table["base_model"].unique().tolist() == list(names)
    assert (table["lower_95"] >= table["observed"]).all()
    assert table["observed"].max() == 3 * 10**9
    forecast.plot(list(names)).savefig(tmp_path / "fan.png")
    assert len(loaded.compare(list(names.values())).sentences()) > 0
    loaded.diagnose().save(tmp_path / "checks")


def test_one_base_model_under_a_law_and_pooling_of_ones_own(tmp_path, tiny_panel):
    lines = Path("models/citation.toml")
    text = (Path(__file__).parents[1] / lines).read_text(encoding="utf-8")
    blocks = text.replace('pooling = "organization"', 'pooling = "global"').split("\n[")
    kept = [block for block in blocks if "between_organizations]" not in block.split("\n")[0]]
    own = tmp_path / "own.toml"
    own.write_text("\n[".join(kept), encoding="utf-8")
    alone = tiny_panel.as_of(AS_OF).select(base_models=["openai/whisper-tiny.en"])
    fit = hfg.GrowthModel(own).fit(alone, **SHORT)
    assert fit.spec.likelihood == "poisson"
    assert fit.organizations == ("OpenAI",)
    assert not any(name.startswith("between_organizations") for name in fit.posterior.data_vars)
    fit.save(tmp_path / "fit.nc")
    table = hfg.load_fit(tmp_path / "fit.nc").forecast(3).table()
    assert (table["lower_95"] >= 46).all()
    with pytest.raises(hfg.ComparisonError, match="organization"):
        fit.compare(["OpenAI", "Meta"])


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 19}, "draws is 19; give 20 to"),
        ({"draws": -5}, "draws is -5"),
        ({"tune": 10**9}, "tune is 1000000000"),
        ({"chains": 1}, "chains is 1; give 2 to"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "seed is 18446744073709551616; give a number from 0 to 1844"),
        ({"target_accept": 1.0}, "target_accept is 1.0"),
        ({"target_accept": float("nan")}, "target_accept is nan"),
        ({"cores": 0}, "cores is 0"),
        ({"engine": "magic"}, "engine 'magic' does not exist"),
    ],
)
def test_impossible_settings_are_refused_before_anything_runs(tiny_panel, options, message):
    with pytest.raises(FitError, match=message):
        hfg.GrowthModel("surge").fit(tiny_panel, **options)


def test_the_pymc_model_can_be_had(tiny_panel):
    model = hfg.GrowthModel("surge").pymc_model(tiny_panel.as_of(AS_OF))
    assert {"fitness", "organization_fitness", "new_finetunes"} <= set(model.named_vars)


@pareto_k
def test_a_fit_of_namespaces_is_one_from_end_to_end(young_panel, tmp_path):
    table = young_panel.table.assign(observed_at=young_panel.observed_at)
    table["authors"] = np.ceil(np.sqrt(table["finetunes"])).astype(int)
    panel = hfg.Panel.from_table(table).counting("authors").as_of("2024-08-01")
    fit = hfg.GrowthModel("surge").fit(panel, **SHORT)
    assert fit.about["panel"]["metric"] == "authors"
    assert fit.about["panel"]["finetunes"] == panel.base_models["finetunes"].sum()
    fit.save(tmp_path / "fit.nc")
    forecast = hfg.load_fit(tmp_path / "fit.nc").forecast(3)
    assert (forecast.table()["metric"] == "authors").all()
    assert (forecast.draws["observed"] == panel.base_models["finetunes"].to_numpy()).all()
    text = fit.diagnose().text()
    assert "new fine-tunes" not in text
    assert "namespaces that fine-tuned it" in text
    with pytest.raises(FitError, match="give no panel"):
        fit.diagnose(panel)
    fit.update(hfg.Panel.from_table(table).counting("authors"))
