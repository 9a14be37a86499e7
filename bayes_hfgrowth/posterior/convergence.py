"""Has the sampler converged? The verdict that every fit carries."""

import json
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

__all__ = ["Convergence", "check_convergence", "population_names"]

# Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021): R-hat below 1.01 and an effective
# sample size of 100 for each of four chains before a posterior is put to use.
MAX_R_HAT = 1.01
MIN_ESS = 400.0
# For the thousands of base-model parameters the extreme of so many estimates is itself noise,
# so one in a hundred may fall short of the smaller bound.
MIN_ESS_BASE_MODEL = 200.0
SHARE_BASE_MODEL = 0.99
MAX_R_HAT_BASE_MODEL = 1.05


@dataclass(frozen=True)
class Convergence:
    """What the convergence checks found.

    Parameters
    ----------
    converged : bool
        Whether every check passed.
    problems : tuple of str
        One sentence for each check that failed.
    r_hat, ess_bulk, ess_tail : float
        Largest R-hat, smallest bulk and tail effective sample size of a population parameter.
    r_hat_name, ess_bulk_name, ess_tail_name : str
        Which parameters these are.
    divergences : int
        Divergent transitions after warm-up, all chains.
    base_model_r_hat : float
        Largest R-hat of a base model's parameter.
    base_model_ess : float
        The bulk effective sample size that 99% of the base models' parameters reach.
    """

    converged: bool
    problems: tuple[str, ...]
    r_hat: float
    r_hat_name: str
    ess_bulk: float
    ess_bulk_name: str
    ess_tail: float
    ess_tail_name: str
    divergences: int
    base_model_r_hat: float
    base_model_ess: float

    @property
    def advice(self) -> str:
        """What to change in the next fit, by what failed; empty when nothing did."""
        advice = []
        if self.divergences:
            advice.append(
                "the divergences ask for smaller steps: bring --target-accept nearer to 1, "
                "such as 0.99"
            )
        # A value that is not a number fails.
        if not (self.r_hat < MAX_R_HAT and self.base_model_r_hat < MAX_R_HAT_BASE_MODEL):
            advice.append("the chains disagree (R-hat): give them more --tune and --draws")
        enough = self.ess_bulk >= MIN_ESS and self.ess_tail >= MIN_ESS
        if not (enough and self.base_model_ess >= MIN_ESS_BASE_MODEL):
            advice.append("too few effective draws (ESS): give more --draws")
        return "; ".join(advice)

    def to_json(self) -> str:
        """Write as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Convergence":
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "problems": tuple(values["problems"])})

    def __str__(self) -> str:
        """One line for the screen."""
        facts = (
            f"population: R-hat {self.r_hat:.3f} ({self.r_hat_name}), "
            f"bulk ESS {self.ess_bulk:.0f} ({self.ess_bulk_name}), "
            f"tail ESS {self.ess_tail:.0f} ({self.ess_tail_name}); "
            f"{self.divergences} divergences; base models: R-hat {self.base_model_r_hat:.3f}, "
            f"ESS {self.base_model_ess:.0f}"
        )
        return f"converged ({facts})" if self.converged else f"NOT CONVERGED ({facts})"


def population_names(posterior: xr.Dataset) -> list[str]:
    """Variables that describe the population rather than a single base model."""
    return [str(name) for name in posterior.data_vars if "base_model" not in posterior[name].dims]


def check_convergence(
    posterior: xr.Dataset, sample_stats: xr.Dataset, moved: npt.NDArray[np.bool_] | None = None
) -> Convergence:
    """Check R-hat, bulk and tail effective sample size, and divergences.

    Parameters
    ----------
    posterior : xarray.Dataset
        All draws, over ``chain`` and ``draw``.
    sample_stats : xarray.Dataset
        With ``diverging``.
    moved : array of bool, optional
        Which base models the sampler moved, over ``base_model``; all by default. Those that
        are not a month old are drawn anew for every draw of the population, so their chains
        tell nothing more.
    """
    import arviz as az  # takes seconds to load, and whoever only reads a verdict needs none of it

    names = population_names(posterior)
    population = posterior[names]
    singles = posterior.drop_vars(names)
    if moved is not None and moved.any():
        singles = singles.isel(base_model=moved)
    # A parameter that never moves makes both divide 0 by 0; NaN then counts as the worst value.
    with np.errstate(invalid="ignore", divide="ignore"):
        r_hat, r_hat_name = _extreme(az.rhat(population), largest=True)
        bulk, bulk_name = _extreme(az.ess(population, method="bulk"), largest=False)
        tail, tail_name = _extreme(az.ess(population, method="tail"), largest=False)
        single_r_hat, _ = _extreme(az.rhat(singles), largest=True)
        sizes = az.ess(singles, method="bulk").to_array().to_numpy()
    single_ess = float(np.quantile(np.nan_to_num(sizes, nan=0.0), 1.0 - SHARE_BASE_MODEL))
    divergences = int(sample_stats["diverging"].sum())

    problems = []
    if not r_hat < MAX_R_HAT:
        problems.append(f"R-hat of {r_hat_name} is {r_hat:.3f}, not below {MAX_R_HAT}")
    for kind, size, name in (("bulk", bulk, bulk_name), ("tail", tail, tail_name)):
        if not size >= MIN_ESS:
            problems.append(
                f"{kind} effective sample size of {name} is {size:.0f}, below {MIN_ESS:.0f}"
            )
    if divergences:
        problems.append(f"{divergences} divergent transitions after warm-up")
    if not single_r_hat < MAX_R_HAT_BASE_MODEL:
        problems.append(
            f"R-hat of a base model's parameter is {single_r_hat:.3f}, "
            f"not below {MAX_R_HAT_BASE_MODEL}"
        )
    if not single_ess >= MIN_ESS_BASE_MODEL:
        problems.append(
            f"more than 1% of the base models' parameters have an effective sample size below "
            f"{MIN_ESS_BASE_MODEL:.0f} (at {single_ess:.0f})"
        )
    return Convergence(
        converged=not problems,
        problems=tuple(problems),
        r_hat=r_hat,
        r_hat_name=r_hat_name,
        ess_bulk=bulk,
        ess_bulk_name=bulk_name,
        ess_tail=tail,
        ess_tail_name=tail_name,
        divergences=divergences,
        base_model_r_hat=single_r_hat,
        base_model_ess=single_ess,
    )


def _extreme(values: xr.Dataset, *, largest: bool) -> tuple[float, str]:
    """Worst value over all variables, and which one; a value that is not a number is worst."""
    worst, worst_name = (-np.inf, "") if largest else (np.inf, "")
    for name in values.data_vars:
        array = values[name]
        flat = array.to_numpy().ravel()
        if flat.size == 0:
            continue
        at = int(np.argmax(np.where(np.isnan(flat), np.inf, flat if largest else -flat)))
        value = float(flat[at])
        if np.isnan(value) or (value > worst if largest else value < worst):
            label = f"[{array.coords[array.dims[0]].to_numpy()[at]}]" if array.ndim else ""
            worst, worst_name = value, f"{name}{label}"
            if np.isnan(value):
                break
    return worst, worst_name
