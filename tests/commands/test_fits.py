"""`hfgrowth fit` and `hfgrowth forecast`, as users run them."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hfgrowth as hfg
from bayes_hfgrowth import load_fit

SHORT = ("--as-of", "2024-08-01", "--draws", "60", "--tune", "60", "--chains", "2", "--seed", "1")
GROUPS = {"posterior", "sample_stats", "prior", "posterior_predictive", "log_likelihood",
          "observed_data", "constant_data"}  # fmt: skip
COLUMNS = [
    "base_model", "organization", "month", "date", "horizon", "observed", "mean", "median",
    "lower_50", "upper_50", "lower_80", "upper_80", "lower_95", "upper_95",
]  # fmt: skip


HEAVY = {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "duckdb"}


def run_and_tell(*arguments):
    """Run the command line in a process that prints at its end what of `HEAVY` it loaded."""
    code = (
        f"import sys; sys.argv[1:] = {[str(argument) for argument in arguments]!r}\n"
        "from bayes_hfgrowth.cli import main\n"
        f"try: main()\nfinally: print(*{HEAVY!r} & set(sys.modules))"
    )
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


# --- Good input -----------------------------------------------------------------------------


def test_fit_writes_the_file_of_the_contract(fitted):
    done, out = fitted
    assert done.stdout == ""
    assert f"wrote {out}" in done.stderr.replace("\n", "")
    assert "fitting surge to 15 base models of 4 organizations" in done.stderr
    assert [path.name for path in out.parent.iterdir()] == ["fit.nc"]
    with xr.open_datatree(out, engine="h5netcdf") as tree:
        assert set(tree.children) >= GROUPS
        posterior = tree["posterior"].to_dataset()
        for name in ("immediacy", "longevity", "fitness"):
            assert posterior[name].dims == ("chain", "draw", "base_model")
            assert posterior[f"organization_{name}"].dims == ("chain", "draw", "organization")
        sizes = dict(posterior.sizes)
        assert sizes.pop("calendar_month") > 12
        assert sizes == {"chain": 2, "draw": 60, "base_model": 15, "organization": 4}
    about = load_fit(out).about
    assert about["seed"] == 1
    assert about["panel"]["observed_at"].startswith("2024-08-01")


def test_a_short_run_says_loudly_that_it_did_not_converge(fitted, here, tmp_path):
    """On the screen, in the file, again when the file is used; the exit status stays 0."""
    done, out = fitted
    assert "NOT CONVERGED" in done.stderr
    assert "Do not trust these numbers" in done.stderr
    assert not load_fit(out).convergence.converged
    later = here("forecast", out, "--months", 1, "--out", tmp_path / "forecast.csv")
    assert later.returncode == 0
    assert "NOT CONVERGED" in later.stderr


@pytest.fixture(scope="module")
def forecast(fitted, tmp_path_factory):
    """The table and the draws of one forecast, read back."""
    folder = tmp_path_factory.mktemp("forecast")
    done = run_and_tell("forecast", fitted[1], "--months", 3, "--out", folder / "forecast.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""  # and no sampler is loaded, which takes seconds
    load_fit(fitted[1]).forecast(3).save(folder / "forecast.nc")
    return pd.read_csv(folder / "forecast.csv"), xr.load_dataset(folder / "forecast.nc")


def test_forecast_table_is_that_of_the_contract(forecast, tiny_panel):
    table, _ = forecast
    assert list(table.columns) == COLUMNS
    assert table["horizon"].tolist() == [1, 2, 3] * 15
    known = tiny_panel.as_of("2024-08-01").base_models
    first = table[table["horizon"] == 1].set_index("base_model")
    pd.testing.assert_series_equal(
        first["observed"], known["finetunes"].loc[first.index], check_names=False
    )
    assert (first["month"] == known["months"].loc[first.index] + 1).all()
    ends = [created + pd.DateOffset(months=int(month)) for created, month in
            zip(known["created_at"].loc[first.index], first["month"], strict=True)]  # fmt: skip
    assert pd.to_datetime(first["date"], utc=True).tolist() == ends
    order = ["observed", "lower_95", "lower_80", "lower_50", "median", "upper_50", "upper_80",
             "upper_95"]  # fmt: skip
    assert (np.diff(table[order].to_numpy(), axis=1) >= 0).all()


def test_forecast_draws_are_those_of_the_contract_and_of_the_table(
    fitted, forecast, here, tmp_path
):
    table, draws = forecast
    out = tmp_path / "forecast.nc"
    assert here("forecast", fitted[1], "--months", 3, "--out", out).returncode == 0
    xr.testing.assert_identical(xr.load_dataset(out), draws)
    counts = draws["finetunes"]
    assert counts.dims == ("chain", "draw", "base_model", "horizon")
    assert counts.shape == (2, 60, 15, 3)
    assert (counts >= draws["observed"]).all()
    assert (counts.diff("horizon") >= 0).all()
    np.testing.assert_allclose(counts.mean(("chain", "draw")).to_numpy().ravel(), table["mean"])


def test_options_of_forecast(fitted, here, tmp_path):
    out = tmp_path / "some.parquet"
    done = here("forecast", fitted[1], "--months", 2, "--base-model", "openai/whisper-small",
                    "--intervals", "90", "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_parquet(out)
    assert list(table.columns) == [*COLUMNS[:8], "lower_90", "upper_90"]
    assert table["base_model"].tolist() == ["openai/whisper-small"] * 2


@pytest.mark.parametrize("by", ["organization", "all"])
def test_tables_of_sums(fitted, here, tmp_path, by):
    out = tmp_path / "sums.csv"
    done = here("forecast", fitted[1], "--months", 3, "--by", by, "--intervals", "80",
                "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(out)
    expected = load_fit(fitted[1]).forecast(3).total(by, [80])
    assert list(table.columns) == list(expected.columns) == [
        *COLUMNS[1:8], "lower_80", "upper_80",
    ]  # fmt: skip
    names = ["Apple", "Meta", "OpenAI", "StabilityAI"] if by == "organization" else ["all"]
    assert table["organization"].unique().tolist() == names
    for column in ("observed", "mean", "median", "upper_80"):
        np.testing.assert_allclose(table[column], expected[column])
    dates = pd.to_datetime(table["date"], utc=True)
    assert dates.dt.strftime("%Y-%m-%d").tolist() == [
        "2024-09-01", "2024-10-01", "2024-11-01",
    ] * len(names)  # fmt: skip


@pytest.mark.parametrize("options", [("--months", 2), ("--until", "2024-10-15")])
def test_sums_with_base_models_yet_to_be_released_say_so(fitted, here, tmp_path, options):
    plain, more = tmp_path / "plain.csv", tmp_path / "more.csv"
    command = ("forecast", fitted[1], *options, "--by", "organization", "--out")
    assert here(*command, plain).returncode == 0
    done = here(*command, more, "--with-new-releases")
    assert done.returncode == 0, done.stderr
    assert "with base models yet to be released" in done.stderr
    tables = [pd.read_csv(path) for path in (plain, more)]
    assert "with_new_releases" not in tables[0]
    assert tables[1]["with_new_releases"].all()
    assert (tables[1]["upper_80"] >= tables[0]["upper_80"]).all()


def test_releases_of_a_fit_without_small_base_models_are_doubted(make_fit, here, tmp_path):
    fit = make_fit(base_models=7, chains=2, draws=40)
    about = fit.about | {"panel": fit.about["panel"] | {"fewest_finetunes": 30}}
    fit.tree.attrs["bayes_hfgrowth"] = json.dumps(about)
    fit.save(tmp_path / "fit.nc")
    done = here("forecast", tmp_path / "fit.nc", "--months", 1, "--by", "all",
                "--with-new-releases", "--out", tmp_path / "f.csv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "only base models with 30 fine-tunes or more" in done.stderr


@pytest.mark.parametrize(
    "options",
    [("--out", "f.csv"), ("--by", "all", "--out", "f.nc"),
     ("--by", "all", "--base-model", "openai/whisper-small", "--out", "f.csv")],
)  # fmt: skip
def test_base_models_yet_to_be_released_are_in_sums_of_all_alone(
    fitted, refused, tmp_path, monkeypatch, options
):
    monkeypatch.chdir(tmp_path)
    line = refused("forecast", fitted[1], "--months", 2, "--with-new-releases", *options)
    assert "--with-new-releases" in line
    assert list(tmp_path.iterdir()) == []


def test_draws_are_those_of_base_models_whatever_the_table_is_by(fitted, forecast, here, tmp_path):
    out = tmp_path / "forecast.nc"
    done = here("forecast", fitted[1], "--months", 3, "--by", "all", "--out", out)
    assert done.returncode == 0, done.stderr
    xr.testing.assert_identical(xr.load_dataset(out), forecast[1])


@pytest.mark.parametrize("by", ["organization", "all"])
def test_sums_of_new_base_models(here, fitted, panel_file, tmp_path, by):
    out = tmp_path / "sums.parquet"
    done = here("forecast", fitted[1], "--panel", panel_file, "--months", 3, "--by", by,
                "--out", out)  # fmt: skip
    assert done.returncode == 0, done.stderr
    population, panel = hfg.PopulationPosterior.load(fitted[1]), hfg.read_panel(panel_file)
    expected = hfg.forecast_new(population, panel, 3, progress=False).total(by)
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected, check_dtype=False)


def test_the_same_seed_gives_the_same_forecast_table(fitted, forecast, here, panel_file, tmp_path):
    done = here("fit", panel_file, "--out", tmp_path / "again.nc", *SHORT)
    assert done.returncode == 0
    done = here("forecast", tmp_path / "again.nc", "--months", 3, "--out", tmp_path / "f.csv")
    assert done.returncode == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "f.csv"), forecast[0])
    done = here("forecast", tmp_path / "again.nc", "--months", 3, "--seed", 2,
                    "--out", tmp_path / "f.csv")  # fmt: skip
    assert done.returncode == 0
    assert not pd.read_csv(tmp_path / "f.csv").equals(forecast[0])


@pytest.fixture(scope="module")
def of_new(panel_file, tmp_path_factory):
    """A forecast of new base models, and what was loaded for it."""
    out = tmp_path_factory.mktemp("new") / "f.csv"
    return run_and_tell("forecast", "--panel", panel_file, "--months", 4, "--out", out), out


def test_new_base_models_need_no_fit(of_new, panel_file):
    done, out = of_new
    assert done.returncode == 0, done.stderr
    assert "from the population posterior that comes with the package" in done.stderr
    population, panel = hfg.load_population(), hfg.read_panel(panel_file)
    assert ("NOT CONVERGED" in done.stderr) is not population.convergence.converged
    expected = hfg.forecast_new(population, panel, 4, progress=False).table()
    np.testing.assert_array_equal(pd.read_csv(out)["median"], expected["median"])


def test_new_base_models_load_no_sampler(of_new):
    """What takes seconds to load stays out of the way from a panel to its forecast."""
    done, out = of_new
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
    assert out.exists()


# --- Signals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_signals_while_sampling_are_one_line_and_leave_nothing(
    start, panel_file, tmp_path, number, status, word
):
    process = start("fit", panel_file, "--out", tmp_path / "fit.nc", "--draws", 20_000)
    said = process.stderr.readline()
    assert said.startswith("fitting surge")
    time.sleep(5)  # past the compilation, among the pilot runs or the draws
    process.send_signal(number)
    out, rest = process.communicate(timeout=120)
    assert process.returncode == status
    assert out == ""
    assert len(rest.splitlines()) == 1, rest
    assert word in rest
    assert list(tmp_path.iterdir()) == []


# --- Bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; check the path"),
        (b"", "panel.csv"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "panel.csv"),
        (b"<!doctype html><html><body>404</body></html>\n", "panel.csv"),
        (b"base_model,created_at,month,finetunes\na/b,2024-01-01,0,x\n", "row"),
    ],
)
def test_panels_that_are_none(refused, tmp_path, content, message):
    path = tmp_path / "panel.csv"
    if content is not None:
        path.write_bytes(content)
    before = list(tmp_path.iterdir())
    assert message in refused("fit", path, "--out", tmp_path / "fit.nc")
    assert list(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "nowhere/fit.nc"), "there is no folder"),
        (("--out", "fit.csv"), "does not end in .nc"),
        (("--out", "fit.nc", "--model", "gompertz"), "gompertz"),
        (("--out", "fit.nc", "--model", "nowhere.toml"), "nowhere.toml"),
        (("--out", "fit.nc", "--organization", "OpenIA"), "OpenIA"),
        (("--out", "fit.nc", "--as-of", "soon"), "soon"),
        (("--out", "fit.nc", "--as-of", "2019-01-01"), "2019-01-01"),
        (("--out", "fit.nc", "--draws", "3"), "draws is 3"),
        (("--out", "fit.nc", "--draws", "many"), "'--draws'"),
        (("--out", "fit.nc", "--engine", "magic"), "magic"),
        ((), "--out"),
    ],
)
def test_fits_that_cannot_be(refused, panel_file, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused("fit", panel_file, *options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--months", 3, "--out", "nowhere/f.csv"), "there is no folder"),
        (("--months", 3, "--out", "f.xlsx"), "does not end in .csv or .parquet or .nc"),
        (("--months", 0, "--out", "f.csv"), "0"),
        (("--months", 3, "--out", "f.csv", "--base-model", "openai/wisper-small"), "whisper-small"),
        (("--months", 3, "--out", "f.csv", "--intervals", "50,often"), "often"),
        (("--months", 3, "--out", "f.csv", "--intervals", "120"), "120"),
        (("--months", 3, "--out", "f.csv", "--by", "country"), "no table by 'country'"),
        (("--months", 3, "--out", "f.nc", "--by", ""), "take base_model, organization or all"),
        (("--out", "f.csv"), "--months"),
    ],
)
def test_forecasts_that_cannot_be(refused, fitted, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused("forecast", fitted[1], *options)
    assert list(tmp_path.iterdir()) == []


def test_a_forecast_of_nothing_is_refused(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refused("forecast", "--months", 3, "--out", "f.csv")
    assert "give a fit file, or new base models with --panel" in message
    assert list(tmp_path.iterdir()) == []


def test_bad_input_is_the_same_in_a_process_of_its_own(hfgrowth, refused, panel_file, tmp_path):
    """Of the two that take such a file for a fit, the one that loads less has the process."""
    ahead = ("--months", 3, "--out", tmp_path / "f.csv")
    assert "is not a NetCDF file" in refused("forecast", panel_file, *ahead)
    command = ("forecast", panel_file, "--panel", panel_file, *ahead)
    done = hfgrowth(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "is not a NetCDF file" in done.stderr
    assert done.stderr == refused(*command)
    assert list(tmp_path.iterdir()) == []
