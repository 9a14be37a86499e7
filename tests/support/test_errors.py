import pytest

import bayes_hfgrowth as hfg
from bayes_hfgrowth.support import errors


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("PanelError", ValueError),
        ("OrganizationError", ValueError),
        ("SpecificationError", ValueError),
        ("FitError", ValueError),
        ("ForecastError", ValueError),
        ("ComparisonError", ValueError),
        ("SourceError", OSError),
        ("ClusterError", OSError),
    ],
)
def test_each_error_is_of_the_family_and_of_the_builtin_it_specialises(name, builtin):
    error = getattr(hfg, name)
    with pytest.raises(hfg.HFGrowthError, match=r"^what went wrong$"):
        raise error("what went wrong")
    assert issubclass(error, builtin)
    assert "Raised when" in error.__doc__ or "Raised for" in error.__doc__


def test_the_package_exports_the_whole_family():
    assert set(errors.__all__) <= set(hfg.__all__)
