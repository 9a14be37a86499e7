"""One family of errors: catch `HFGrowthError` to catch whatever this package refuses."""

__all__ = [
    "ClusterError",
    "ComparisonError",
    "FitError",
    "ForecastError",
    "HFGrowthError",
    "OrganizationError",
    "PanelError",
    "SourceError",
    "SpecificationError",
]


class HFGrowthError(Exception):
    """Base of every error that the package raises on purpose.

    Raised only through its subclasses. The message is one line: what was wrong, where
    (file, row, value), and what to do about it.
    """


class PanelError(HFGrowthError, ValueError):
    """A panel, or a question asked of a panel, makes no sense.

    Raised when a panel file cannot be read or written, when a table breaks a rule of the
    panel format, and when an as-of date or a selection is malformed or leaves nothing.
    """


class OrganizationError(HFGrowthError, ValueError):
    """A table of namespaces and organizations is unusable.

    Raised when a user's table cannot be read or contradicts itself.
    """


class SpecificationError(HFGrowthError, ValueError):
    """A growth-model specification is unusable.

    Raised when a specification file cannot be found or read, or when it names a growth
    model, prior or setting that does not exist or has an impossible value.
    """


class FitError(HFGrowthError, ValueError):
    """A fit cannot be made, saved, loaded or questioned.

    Raised when a panel cannot be fitted with the given settings, when a fit file is
    missing, damaged or foreign, and when a fit is asked about something it does not hold.
    """


class ForecastError(HFGrowthError, ValueError):
    """A forecast cannot be made, tabulated, scored or written.

    Raised for an impossible horizon or interval, for a base model that the fit does not
    hold, and for files of forecasts that cannot be written.
    """


class ComparisonError(HFGrowthError, ValueError):
    """Organizations cannot be compared, or a comparison cannot be written.

    Raised for fewer than two organizations, for one that the fit does not hold or that is
    named twice, and for a fit that has no organization level.
    """


class ClusterError(HFGrowthError, OSError):
    """A cluster does not do the work.

    Raised when Dask is not installed, no scheduler answers at an address or it has no workers,
    and when a cluster is lost on the way.
    """


class SourceError(HFGrowthError, OSError):
    """A source of panels did not deliver.

    Raised when the Hub or a bulk snapshot cannot be reached or read, or answers with
    something that cannot be trusted.
    """
