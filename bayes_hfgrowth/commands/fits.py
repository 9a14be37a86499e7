"""The commands that make a fit and forecast from it: `hfgrowth fit` and `forecast`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.commands.screen import announce, show_verdict
from bayes_hfgrowth.panel.counted import METRICS, RELATIONS, Metric, Relation
from bayes_hfgrowth.support.errors import FitError, ForecastError, PanelError
from bayes_hfgrowth.support.names import numbered

if TYPE_CHECKING:
    import pandas as pd

    from bayes_hfgrowth.panel.table import Panel
    from bayes_hfgrowth.posterior.convergence import Convergence
    from bayes_hfgrowth.posterior.population import PopulationPosterior

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
TargetAccept = Annotated[
    float,
    typer.Option(
        metavar="P",
        help="Acceptance the step size is tuned to, 0.5 to below 1; more after divergences.",
    ),
]
Seed = Annotated[
    int | None, typer.Option(help="Makes the run repeatable; without it one is drawn and stored.")
]
ReadSeed = Annotated[
    int | None, typer.Option(help="Makes the run repeatable; by default the seed of the fit.")
]

Until = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="How far ahead, as a date, in place of --months."),
]
Months = Annotated[
    int | None, typer.Option("--months", metavar="H", help="How far ahead, in months.")
]
AsOf = Annotated[
    str | None,
    typer.Option(metavar="DATE", help="With --panel: forecast from what was known at this date."),
]
NewPanel = Annotated[
    Path | None,
    typer.Option(
        metavar="PANEL",
        help="Forecast the base models of this panel, which need not be in the fit; "
        "nothing is fitted again.",
    ),
]
OfRelation = Annotated[
    Relation | None,
    typer.Option(
        "--relation",
        metavar="|".join(RELATIONS),
        help="Which rows to take from a panel of several relations.",
    ),
]
FitOrNone = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FIT]",
        help="Fit file, .nc, or that of a population. With --panel it may be missing: then "
        "the population posterior that comes with the package is used.",
    ),
]


def fit(
    *,
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
    relation: OfRelation = None,
    metric: Annotated[
        Metric | None,
        typer.Option(
            metavar="|".join(METRICS),
            help="Fit fine-tunes or the namespaces that made them; by default what the panel says.",
        ),
    ] = None,
    min_finetunes: Annotated[
        int, typer.Option(min=0, help="Leave out base models with fewer fine-tunes.")
    ] = 0,
    draws: Annotated[int, typer.Option(help="Kept draws of each chain.")] = 1000,
    tune: Annotated[int, typer.Option(help="Warm-up draws of each chain; nuts needs more.")] = 100,
    chains: Annotated[int, typer.Option(help="Independent chains, at least 2.")] = 4,
    target_accept: TargetAccept = 0.7,
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
    from bayes_hfgrowth.inference.sampling import Settings
    from bayes_hfgrowth.panel.organizations import read_organizations
    from bayes_hfgrowth.panel.table import read_panel

    check_file(out, (".nc",), FitError)
    settings = Settings(
        draws,
        tune,
        chains,
        seed or 0,
        target_accept,
        engine=engine,  # type: ignore[arg-type]
    )
    check_settings(settings)
    growth_model = GrowthModel(model)
    table = read_organizations(organizations_file) if organizations_file else None
    data = read_panel(panel, table, relation)
    if metric is not None:
        data = data.counting(metric)
    if as_of is not None:
        data = data.as_of(as_of)
    data = data.select(organizations=organization or None, min_finetunes=min_finetunes)
    checked_history(data)
    announce(
        f"fitting {growth_model.spec.name} to {numbered(len(data.base_models), 'base model')} "
        f"of {numbered(data.base_models['organization'].nunique(), 'organization')}"
        + ("" if data.counted.usual else f", by their {data.counted.many}")
    )
    result = growth_model.fit(
        data,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
        target_accept=target_accept,
        engine=engine,  # type: ignore[arg-type]
    )
    result.save(out)
    announce(f"wrote {out}")
    show_verdict(result.convergence)


def forecast(
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Table (.csv, .parquet) or draws (.nc) to write."
        ),
    ],
    fit_file: FitOrNone = None,
    months: Months = None,
    until: Until = None,
    threshold: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Tell how probable it is that the count is above N by each date."
        ),
    ] = None,
    panel: NewPanel = None,
    as_of: AsOf = None,
    relation: OfRelation = None,
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
    with_new_releases: Annotated[
        bool,
        typer.Option(
            "--with-new-releases",
            help="Add to sums the base models that organizations have yet to release.",
        ),
    ] = False,
    seed: ReadSeed = None,
    dask: Dask = None,
) -> None:
    """Forecast cumulative fine-tunes from a fit, or new base models from its population.

    With --until or --threshold the table is one of counts at calendar dates, and what it says of
    the last date is printed, of the base models with most fine-tunes.
    """
    from bayes_hfgrowth.forecast.answers import checked_threshold
    from bayes_hfgrowth.forecast.totals import check_new_releases, checked_by, interval_columns
    from bayes_hfgrowth.support.horizon import until_date

    check_file(out, (".csv", ".parquet", ".nc"), ForecastError)
    levels = levels_of(intervals)
    interval_columns(levels)  # refuses impossible ones
    checked_by(by)
    last = until_date(months, until)
    limit = None if threshold is None else checked_threshold(threshold)
    if limit is not None and out.suffix.lower() == ".nc":
        raise ForecastError(f"--threshold asks for a table, and {out} are draws; write .csv")
    if with_new_releases:
        check_new_releases(by, bool(base_model), out)
    ask = _Asked(months, last, limit, base_model or None, seed, out, levels, by, with_new_releases)
    if panel is not None:
        convergence = _of_panel(fit_file, panel, as_of, relation, ask, dask)
    elif dask is not None or as_of is not None or relation is not None:
        option, why = (
            ("--dask", "a forecast from a fit alone needs no cluster")
            if dask is not None
            else (
                "--as-of" if as_of is not None else "--relation",
                "a fit knows what it was fitted to",
            )
        )
        raise ForecastError(f"{option} goes with --panel; {why}")
    elif fit_file is not None:
        convergence = _of_fit(fit_file, ask)
    else:
        raise ForecastError(
            "there is nothing to forecast; give a fit file, or new base models with --panel PANEL"
        )
    if with_new_releases:
        announce("the sums are with base models yet to be released; the table says so")
    show_verdict(convergence, only_bad=True)


@dataclass(frozen=True)
class _Asked:
    """What a forecast is to tell, and where it goes."""

    months: int | None
    until: "pd.Timestamp | None"
    threshold: int | None
    base_models: list[str] | None
    seed: int | None
    out: Path
    intervals: list[float]
    by: str
    with_new_releases: bool

    @property
    def horizon(self) -> str:
        if self.until is not None:
            return f"until {self.until:%Y-%m-%d}"
        return numbered(self.months or 0, "month")


def _of_fit(fit_file: Path, ask: _Asked) -> "Convergence":
    """Forecast base models that are in the fit."""
    from bayes_hfgrowth.fit import load_fit
    from bayes_hfgrowth.forecast.panel_file import largest_at_end
    from bayes_hfgrowth.support.files import write_table

    result = load_fit(fit_file)
    predicted = result.forecast(ask.months, ask.base_models, ask.seed, until=ask.until)
    number = predicted.draws.sizes["base_model"]
    fewest = result.about["panel"].get("fewest_finetunes", 0)
    if ask.with_new_releases and fewest:
        announce(
            f"the fit has only base models with {fewest:,} {result.counted.many} or more, so "
            "releases are of such ones, and the latest are missing: fit all base models to be sure"
        )
    dated = ask.until is not None or ask.threshold is not None
    if not dated or ask.out.suffix.lower() == ".nc":
        predicted.save(ask.out, ask.intervals, ask.by, with_new_releases=ask.with_new_releases)
        announce(f"wrote {ask.out}: {numbered(number, 'base model')}, {ask.horizon}")
        return result.convergence
    table = predicted.at_dates(
        intervals=ask.intervals,
        by=ask.by,
        threshold=ask.threshold,
        with_new_releases=ask.with_new_releases,
    )
    write_table(table, ask.out, ForecastError)
    announce(f"wrote {ask.out}: {numbered(number, 'base model')}, {ask.horizon}")
    show_answers(largest_at_end(table), number if ask.by == "base_model" else None)
    return result.convergence


def _of_panel(
    fit_file: Path | None,
    panel: Path,
    as_of: str | None,
    relation: Relation | None,
    ask: _Asked,
    dask: str | None,
) -> "Convergence":
    """Forecast base models that need not be in the fit."""
    from bayes_hfgrowth.forecast.panel_file import forecast_file

    population = population_of(fit_file)
    done = forecast_file(
        population,
        panel,
        ask.months,
        ask.out,
        ask.seed,
        until=ask.until,
        threshold=ask.threshold,
        as_of=as_of,
        relation=relation,
        intervals=ask.intervals,
        by=ask.by,
        base_models=ask.base_models,
        with_new_releases=ask.with_new_releases,
        dask=dask,
    )
    if fit_file is None:  # only now, so that a refusal is one line
        tell_shipped(population)
    announce(f"wrote {ask.out}: {numbered(done.base_models, 'base model')}, {ask.horizon}")
    tell_strangers(done.unknown)
    if done.unlike:
        announce(
            f"{done.unlike} of {done.base_models} base models are so unlike the population that "
            "its stored draws are too few for them; fit them to be sure"
        )
    if done.answers is not None:
        show_answers(done.answers, done.base_models if ask.by == "base_model" else None)
    return population.convergence


def population_of(fit_file: Path | None) -> "PopulationPosterior":
    """The population of a fit, or the one that comes with the package."""
    from bayes_hfgrowth.posterior.population import PopulationPosterior, load_population

    return PopulationPosterior.load(fit_file) if fit_file else load_population()


def fitted_panel(path: Path | None, relation: Relation | None) -> "Panel | None":
    """Read the panel that a fit is shown with, where one is given.

    Raises
    ------
    PanelError
        When it cannot be read, or a relation is given without it.
    """
    from bayes_hfgrowth.panel.table import read_panel

    if path is not None:
        return read_panel(path, relation=relation)
    if relation is not None:
        raise PanelError("--relation goes with --panel; a fit knows what it was fitted to")
    return None


def tell_shipped(population: "PopulationPosterior") -> None:
    """Announce that a forecast is from the population that comes with the package."""
    learned_from = population.about["panel"]
    announce(
        "from the population posterior that comes with the package: "
        f"{learned_from['base_models']:,} base models, months to "
        f"{learned_from['last_month'][:10]}"
    )


def tell_strangers(organizations: Sequence[str]) -> None:
    """Announce the organizations that the population does not know."""
    if organizations:
        announce(
            f"not in the fit, so drawn from all organizations: {', '.join(organizations[:5])}"
            + (f" and {len(organizations) - 5} more" if len(organizations) > 5 else "")
        )


def show_answers(rows: "pd.DataFrame", of: int | None) -> None:
    """Print what a table of counts at dates says of its last date, on standard output.

    Parameters
    ----------
    rows : pandas.DataFrame
        Rows of `bayes_hfgrowth.forecast.answers.dated_table`.
    of : int or None
        How many base models the table has; None for sums.
    """
    from bayes_hfgrowth.forecast.answers import sentence
    from bayes_hfgrowth.panel.counted import Counted

    levels = [name.removeprefix("lower_") for name in rows.columns if name.startswith("lower_")]
    level = "80" if "80" in levels else levels[0]
    for row in rows.to_dict("records"):
        typer.echo(f"{row.get('base_model', row['organization'])} {sentence(row, level)}")
    if of is not None and of > len(rows):
        many = Counted.read(rows.iloc[0]).many
        announce(f"these are the {len(rows)} base models with most {many}, of {of:,}")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (fit, forecast):
        app.command()(command)


def levels_of(text: str) -> list[float]:
    """Read central intervals from an option, in percent."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ForecastError(
            f"intervals {text!r} are not numbers with commas between them, such as 50,80,95"
        ) from None
