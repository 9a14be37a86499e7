"""The commands that make a fit and forecast from it: `hfgrowth fit` and `forecast`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayes_hfgrowth.commands.outputs import check_file
from bayes_hfgrowth.commands.screen import announce, show_verdict
from bayes_hfgrowth.panel.counted import METRICS, RELATIONS, Metric, Relation
from bayes_hfgrowth.support.errors import FitError, ForecastError, HFGrowthError, PanelError
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
Draws = Annotated[int, typer.Option(help="Kept draws of each chain.")]
Chains = Annotated[int, typer.Option(help="Independent chains, at least 2.")]
ReadSeed = Annotated[
    int | None, typer.Option(help="Makes the run repeatable; by default the seed of the fit.")
]
Until = Annotated[
    str | None, typer.Option(metavar="DATE", help="How far ahead, as a date, in place of --months.")
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
PanelFile = Annotated[Path, typer.Argument(metavar="PANEL", help="Panel file, .csv or .parquet.")]
KnownAt = Annotated[
    str | None, typer.Option(metavar="DATE", help="Use only what was known at this date.")
]
Intervals = Annotated[
    str, typer.Option(metavar="P,P,…", help="Central intervals of the table, in percent.")
]
TableFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Table to write, .csv or .parquet.")
]
HowFar = Annotated[
    int, typer.Option("--months", metavar="H", help="How far to forecast, in months.")
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
    panel: PanelFile,
    out: Annotated[Path, typer.Option("--out", metavar="FIT", help="Fit file to write, .nc.")],
    model: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="Growth model: a shipped one or a file.")
    ] = "surge",
    as_of: KnownAt = None,
    organization: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Use only this organization; repeatable."),
    ] = None,
    organizations_file: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Table of your own: namespace, organization.")
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
    draws: Draws = 1000,
    tune: Annotated[int, typer.Option(help="Warm-up draws of each chain; nuts needs more.")] = 100,
    chains: Chains = 4,
    target_accept: TargetAccept = 0.7,
    seed: Annotated[
        int | None,
        typer.Option(help="Makes the run repeatable; without it one is drawn and stored."),
    ] = None,
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
    settings: dict[str, Any] = {
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "target_accept": target_accept,
        "engine": engine,
    }
    check_settings(Settings(**settings, seed=seed or 0))
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
    result = growth_model.fit(data, **settings, seed=seed)
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
    intervals: Intervals = "50,80,95",
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
    from bayes_hfgrowth.forecast.totals import check_new_releases, checked_by
    from bayes_hfgrowth.support.horizon import until_date

    check_file(out, (".csv", ".parquet", ".nc"), ForecastError)
    levels = levels_of(intervals)
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
    elif dask is not None:
        raise ForecastError(
            "--dask goes with --panel; a forecast from a fit alone needs no cluster"
        )
    else:
        check_fit_alone(as_of, relation, ForecastError)
        if fit_file is None:
            raise ForecastError(
                "there is nothing to forecast; give a fit file, or new base models with --panel "
                "PANEL"
            )
        convergence = _of_fit(fit_file, ask)
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
    asked: dict[str, Any] = {
        "intervals": ask.intervals,
        "by": ask.by,
        "with_new_releases": ask.with_new_releases,
    }
    wrote = f"wrote {ask.out}: {numbered(number, 'base model')}, {ask.horizon}"
    dated = ask.until is not None or ask.threshold is not None
    if dated and ask.out.suffix.lower() != ".nc":
        table = predicted.at_dates(threshold=ask.threshold, **asked)
        write_table(table, ask.out, ForecastError)
        announce(wrote)
        show_answers(largest_at_end(table), number if ask.by == "base_model" else None)
    else:
        predicted.save(ask.out, **asked)
        announce(wrote)
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
    """Read the panel that a fit is shown with, where one is given."""
    from bayes_hfgrowth.panel.table import read_panel

    if path is not None:
        return read_panel(path, relation=relation)
    check_fit_alone(None, relation, PanelError)
    return None


def check_fit_alone(
    as_of: str | None, relation: Relation | None, error: type[HFGrowthError]
) -> None:
    """Refuse options that choose from a panel where none is given."""
    for option, value in (("--as-of", as_of), ("--relation", relation)):
        if value is not None:
            raise error(f"{option} goes with --panel; a fit knows what it was fitted to")


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
    """Print what rows of `bayes_hfgrowth.forecast.answers.dated_table` say, on standard output.

    `of` is how many base models the table has; None for sums.
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


def levels_of(text: str) -> list[float]:
    """Read central intervals from an option, in percent, and refuse impossible ones."""
    from bayes_hfgrowth.forecast.totals import interval_columns

    try:
        levels = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ForecastError(
            f"intervals {text!r} are not numbers with commas between them, such as 50,80,95"
        ) from None
    interval_columns(levels)  # raises where one is impossible
    return levels
