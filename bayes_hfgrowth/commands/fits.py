"""The commands that make a fit and forecast from it: `hfgrowth fit` and `forecast`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.commands.screen import announce, show_verdict
from bayes_hfgrowth.errors import FitError, ForecastError

if TYPE_CHECKING:
    from bayes_hfgrowth.convergence import Convergence
    from bayes_hfgrowth.forecast import Forecast

FittedPanel = Annotated[
    Path | None,
    typer.Option(
        "--panel",
        metavar="PANEL",
        help="The panel that was fitted: a fit keeps neither its authors nor its downloads.",
    ),
]
FitFile = Annotated[Path, typer.Argument(metavar="FIT", help="Fit file, .nc.")]
Dask = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|local",
        help="Work on the Dask cluster of this scheduler, or on one made of this machine's cores.",
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="Makes the run repeatable; without it one is drawn and stored.")
]
ReadSeed = Annotated[
    int | None, typer.Option(help="Makes the run repeatable; by default the seed of the fit.")
]


def fit(
    panel: Annotated[Path, typer.Argument(metavar="PANEL", help="Panel file, .csv or .parquet.")],
    out: Annotated[Path, typer.Option("--out", metavar="FIT", help="Fit file to write, .nc.")],
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="Growth model: a shipped one or a file.")
    ] = "surge",
    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Use only what was known at this date.")
    ] = None,
    organization: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Use only this organization; repeatable."),
    ] = None,
    organizations_file: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="Table of your own: namespace, organization."),
    ] = None,
    min_finetunes: Annotated[
        int, typer.Option(min=0, help="Leave out base models with fewer fine-tunes.")
    ] = 0,
    draws: Annotated[int, typer.Option(help="Kept draws of each chain.")] = 300,
    tune: Annotated[int, typer.Option(help="Warm-up draws of each chain; nuts needs more.")] = 100,
    chains: Annotated[int, typer.Option(help="Independent chains, at least 2.")] = 4,
    target_accept: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Acceptance the step size is tuned to, 0.5 to below 1; more after divergences.",
        ),
    ] = 0.8,
    seed: Seed = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="marginal|nuts",
            help="How to sample: marginal is fast, nuts the plain reference.",
        ),
    ] = "marginal",
) -> None:
    """Fit the hierarchical growth model to a panel.

    The exit status is 0 even if the sampler did not converge; the verdict is in the file and
    on the screen.
    """
    from bayes_hfgrowth.fit import GrowthModel, check_settings, checked_history
    from bayes_hfgrowth.organizations import read_organizations
    from bayes_hfgrowth.panel import read_panel
    from bayes_hfgrowth.sampling import Settings

    check_file(out, (".nc",), FitError)
    settings = Settings(
        draws, tune, chains, seed or 0, target_accept,
        engine=engine,  # type: ignore[arg-type]
    )  # fmt: skip
    check_settings(settings)
    growth_model = GrowthModel(model)
    table = read_organizations(organizations_file) if organizations_file else None
    data = read_panel(panel, table)
    if as_of is not None:
        data = data.as_of(as_of)
    data = data.select(organizations=organization or None, min_finetunes=min_finetunes)
    checked_history(data)
    announce(
        f"fitting {growth_model.spec.name} to {len(data.base_models)} base models "
        f"of {data.base_models['organization'].nunique()} organizations"
    )
    result = growth_model.fit(
        data, draws=draws, tune=tune, chains=chains, seed=seed, target_accept=target_accept,
        engine=engine,  # type: ignore[arg-type]
    )  # fmt: skip
    result.save(out)
    announce(f"wrote {out}")
    show_verdict(result.convergence)


def forecast(
    months: Annotated[int, typer.Option("--months", metavar="H", help="How far ahead, in months.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Table (.csv, .parquet) or draws (.nc) to write."
        ),
    ],
    fit_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FIT]",
            help="Fit file, .nc, or that of a population. With --panel it may be missing: then "
            "the population posterior that comes with the package is used.",
        ),
    ] = None,
    panel: Annotated[
        Path | None,
        typer.Option(
            metavar="PANEL",
            help="Forecast the base models of this panel, which need not be in the fit; "
            "nothing is fitted again.",
        ),
    ] = None,
    base_model: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Only this base model; repeatable.")
    ] = None,
    intervals: Annotated[
        str, typer.Option(metavar="P,P,…", help="Central intervals of the table, in percent.")
    ] = "50,80,95",
    by: Annotated[
        str,
        typer.Option(
            metavar="base_model|organization|all",
            help="What the table is of: base models, their sum for each organization, or the sum "
            "of all. Sums are counts at calendar dates. Draws are of base models in any case.",
        ),
    ] = "base_model",
    seed: ReadSeed = None,
    dask: Dask = None,
) -> None:
    """Forecast cumulative fine-tunes from a fit, or new base models from its population."""
    from bayes_hfgrowth.totals import checked_by, interval_columns

    check_file(out, (".csv", ".parquet", ".nc"), ForecastError)
    levels = _levels(intervals)
    interval_columns(levels)  # refuses impossible ones
    checked_by(by)
    if panel is not None:
        convergence = _of_panel(fit_file, panel, months, base_model, seed, out, levels, by, dask)
    elif dask is not None:
        raise ForecastError(
            "--dask goes with --panel; a forecast from a fit alone needs no cluster"
        )
    elif fit_file is not None:
        convergence, predicted = _of_fit(fit_file, months, base_model, seed)
        predicted.save(out, levels, by)
        announce(f"wrote {out}: {predicted.draws.sizes['base_model']} base models, {months} months")
    else:
        raise ForecastError(
            "there is nothing to forecast; give a fit file, or new base models with --panel PANEL"
        )
    show_verdict(convergence, only_bad=True)


def _of_fit(
    fit_file: Path, months: int, base_models: list[str] | None, seed: int | None
) -> "tuple[Convergence, Forecast]":
    """Forecast base models that are in the fit."""
    from bayes_hfgrowth.fit import load_fit

    result = load_fit(fit_file)
    return result.convergence, result.forecast(months, base_models or None, seed)


def _of_panel(
    fit_file: Path | None,
    panel: Path,
    months: int,
    base_models: list[str] | None,
    seed: int | None,
    out: Path,
    intervals: list[float],
    by: str,
    dask: str | None,
) -> "Convergence":
    """Forecast base models that need not be in the fit."""
    from bayes_hfgrowth.panel_forecast import forecast_file
    from bayes_hfgrowth.population import PopulationPosterior, load_population

    population = PopulationPosterior.load(fit_file) if fit_file else load_population()
    if fit_file is None:
        learned_from = population.about["panel"]
        announce(
            "from the population posterior that comes with the package: "
            f"{learned_from['base_models']:,} base models, months to "
            f"{learned_from['last_month'][:10]}"
        )
    done = forecast_file(
        population, panel, months, out, seed, intervals=intervals, by=by,
        base_models=base_models or None, dask=dask,
    )  # fmt: skip
    announce(f"wrote {out}: {done.base_models} base models, {months} months")
    if done.unknown:
        announce(
            f"not in the fit, so drawn from all organizations: {', '.join(done.unknown[:5])}"
            + (f" and {len(done.unknown) - 5} more" if len(done.unknown) > 5 else "")
        )
    if done.unlike:
        announce(
            f"{done.unlike} of {done.base_models} base models are so unlike the population that "
            "its stored draws are too few for them; fit them to be sure"
        )
    return population.convergence


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (fit, forecast):
        app.command()(command)


def _levels(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ForecastError(
            f"intervals {text!r} are not numbers with commas between them, such as 50,80,95"
        ) from None
