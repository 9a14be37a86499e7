"""The observed months of a panel as flat arrays, which the likelihoods read."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from bayes_hfgrowth.growth.law import Months, month_constants
from bayes_hfgrowth.panel.counted import FINETUNES, Counted
from bayes_hfgrowth.panel.period import calendar_position, month_names
from bayes_hfgrowth.panel.table import Panel

__all__ = ["History"]


@dataclass(frozen=True, eq=False)
class History:
    """Months from 1 on of every base model, base models one after the other.

    Parameters
    ----------
    base_models : tuple of str
        In the order of the panel.
    organizations : tuple of str
        Sorted by name.
    organization_of : ndarray of int64, shape (base models,)
        Index of each base model's organization.
    created_at : pandas.DatetimeIndex
        Creation times of the base models, UTC.
    start : ndarray of int64, shape (base models + 1,)
        Base model i has the months ``start[i] .. start[i + 1] - 1``; none if it is younger
        than a month.
    month, previous, new : ndarray of float64, shape (months,)
        Age at the end of each month (months), cumulative count before it, fine-tunes in it.
    counted : Counted
        What stands for fine-tunes here.
    """

    base_models: tuple[str, ...]
    organizations: tuple[str, ...]
    organization_of: npt.NDArray[np.int64]
    created_at: pd.DatetimeIndex
    start: npt.NDArray[np.int64]
    month: npt.NDArray[np.float64]
    previous: npt.NDArray[np.float64]
    new: npt.NDArray[np.float64]
    counted: Counted = FINETUNES

    @classmethod
    def from_panel(cls, panel: Panel) -> "History":
        """Take the months from a panel."""
        models = panel.base_models
        rows = panel.increments()
        codes, organizations = pd.factorize(models["organization"].astype(object), sort=True)
        return cls(
            base_models=tuple(models.index),
            organizations=tuple(organizations),
            organization_of=codes.astype(np.int64),
            created_at=pd.DatetimeIndex(models["created_at"]),
            start=np.append(0, np.cumsum(models["months"].to_numpy())).astype(np.int64),
            month=rows["month"].to_numpy(np.float64),
            previous=rows["previous"].to_numpy(np.float64),
            new=rows["new"].to_numpy(np.float64),
            counted=panel.counted,
        )

    def to_panel(self) -> Panel:
        """Make the panel that has these months, of simulated ones for instance."""
        owner = np.repeat(np.arange(len(self.base_models)), self.months + 1)
        month = np.arange(len(owner)) - (self.start[:-1] + np.arange(len(self.base_models)))[owner]
        counts = np.zeros(len(owner), dtype=np.int64)
        counts[month > 0] = self.previous + self.new
        return Panel.from_table(
            pd.DataFrame(
                {
                    "base_model": np.array(self.base_models, dtype=object)[owner],
                    "organization": np.array(self.organizations, dtype=object)[
                        self.organization_of[owner]
                    ],
                    "created_at": self.created_at[owner],
                    "month": month,
                    self.counted.metric: counts,
                    **self.counted.label,
                }
            )
        )

    @classmethod
    def newborn(cls, number: int) -> "History":
        """So many nameless base models of one organization before their first month."""
        nothing = np.empty(0)
        return cls(
            base_models=("",) * number,
            organizations=("",),
            organization_of=np.zeros(number, dtype=np.int64),
            created_at=pd.DatetimeIndex([pd.NaT] * number, tz="UTC"),
            start=np.zeros(number + 1, dtype=np.int64),
            month=nothing,
            previous=nothing,
            new=nothing,
        )

    @cached_property
    def log_age(self) -> npt.NDArray[np.float64]:
        """Natural logarithm of the age at the end of each month."""
        return np.log(self.month)

    @cached_property
    def months(self) -> npt.NDArray[np.int64]:
        """Age of each base model in whole months."""
        return np.diff(self.start)

    @cached_property
    def base_model_of(self) -> npt.NDArray[np.int64]:
        """Index of the base model of each month."""
        return np.repeat(np.arange(len(self.base_models)), self.months)

    @cached_property
    def _calendar(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        created = self.created_at[self.base_model_of]
        return calendar_position(created, self.month.astype(np.int64))

    @property
    def calendar(self) -> npt.NDArray[np.int64]:
        """Calendar month in which each month of age begins, counted from January 1970."""
        return self._calendar[0]

    @property
    def calendar_share(self) -> npt.NDArray[np.float64]:
        """Share of each month of age that lies in that calendar month, the rest in the next."""
        return self._calendar[1]

    @cached_property
    def calendar_span(self) -> tuple[int, int]:
        """First calendar month that is touched, counted from January 1970, and how many are."""
        if len(self.month) == 0:
            return 0, 1
        first = int(self.calendar.min())
        last = int((self.calendar + (self.calendar_share < 1.0)).max())
        return first, last - first + 1

    def months_of(self, law: int, m: float, first: int | None = None) -> Months:
        """The months as the compiled law reads them; `law` is one of `bayes_hfgrowth.growth.law`.

        The first period effect is that of the calendar month `first`, counted from January 1970;
        by default of the first one that is touched.
        """
        first = self.calendar_span[0] if first is None else first
        return Months(
            self.start,
            self.log_age,
            self.previous,
            self.new,
            month_constants(law, self.previous, self.new, m),
            self.calendar - first,
            self.calendar_share,
        )

    @cached_property
    def finetunes(self) -> npt.NDArray[np.int64]:
        """Last known cumulative count of each base model."""
        totals = np.zeros(len(self.base_models), dtype=np.int64)
        np.add.at(totals, self.base_model_of, self.new.astype(np.int64))
        return totals

    def subset(self, indices: npt.NDArray[np.int64]) -> "History":
        """Base models at some positions, in the order given; the organizations stay."""
        own = [np.arange(self.start[i], self.start[i + 1]) for i in indices]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *own])
        found = replace(
            self,
            base_models=tuple(self.base_models[i] for i in indices),
            organization_of=self.organization_of[indices],
            created_at=self.created_at[indices],
            start=np.append(0, np.cumsum(self.months[indices])).astype(np.int64),
            month=self.month[rows],
            previous=self.previous[rows],
            new=self.new[rows],
        )
        calendar, share = self._calendar
        found.__dict__["_calendar"] = calendar[rows], share[rows]
        return found

    @property
    def coords(self) -> dict[str, list[str] | npt.NDArray[np.int64]]:
        """Coordinates of ``organization``, ``base_model``, ``observation``, ``calendar_month``."""
        return {
            "organization": list(self.organizations),
            "base_model": list(self.base_models),
            "observation": np.arange(len(self.new)),
            "calendar_month": month_names(*self.calendar_span),
        }

    def to_datasets(self) -> tuple[xr.Dataset, xr.Dataset]:
        """Observed and constant data as an ArviZ file keeps them.

        Returns
        -------
        observed_data : xarray.Dataset
            ``new_finetunes`` over ``observation``.
        constant_data : xarray.Dataset
            Over ``observation``: ``base_model_index``, ``month``, ``previous``; over
            ``base_model``: ``organization_index``, ``created_at`` (UTC), ``months``,
            ``finetunes`` (the last known count).
        """
        observed = xr.Dataset(
            {"new_finetunes": ("observation", self.new.astype(np.int64))},
            coords={"observation": self.coords["observation"]},
        )
        constant = xr.Dataset(
            {
                "base_model_index": ("observation", self.base_model_of),
                "month": ("observation", self.month.astype(np.int64)),
                "previous": ("observation", self.previous.astype(np.int64)),
                "organization_index": ("base_model", self.organization_of),
                "created_at": ("base_model", self.created_at.tz_convert("UTC").tz_localize(None)),
                "months": ("base_model", self.months),
                "finetunes": ("base_model", self.finetunes),
            },
            coords={k: v for k, v in self.coords.items() if k != "calendar_month"},
        )
        return observed, constant

    @classmethod
    def from_datasets(
        cls, observed: xr.Dataset, constant: xr.Dataset, counted: Counted = FINETUNES
    ) -> "History":
        """Read the arrays back from the groups that `to_datasets` made."""
        return cls(
            base_models=tuple(constant["base_model"].to_numpy().tolist()),
            organizations=tuple(constant["organization"].to_numpy().tolist()),
            organization_of=constant["organization_index"].to_numpy().astype(np.int64),
            created_at=pd.DatetimeIndex(constant["created_at"].to_numpy()).tz_localize("UTC"),
            start=np.append(0, np.cumsum(constant["months"].to_numpy())).astype(np.int64),
            month=constant["month"].to_numpy().astype(np.float64),
            previous=constant["previous"].to_numpy().astype(np.float64),
            new=observed["new_finetunes"].to_numpy().astype(np.float64),
            counted=counted,
        )
