"""The vector-friendly elementary functions against NumPy and SciPy, over their whole ranges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit
from scipy.special import erfcx

from bayes_hfgrowth.growth import elementary

type Floats = npt.NDArray[np.float64]

TINIEST, LARGEST = float(np.finfo(float).tiny), float(np.finfo(float).max)
NEAR_0 = np.geomspace(1e-300, 1.0, 20_001)
EXPONENTS = np.concatenate([np.linspace(-700.0, 700.0, 100_001), NEAR_0, -NEAR_0, [0.0]])


def over(function: Any) -> Callable[[Floats], Floats]:
    """Loop over a function, in which LLVM makes vector instructions of it."""

    @njit(error_model="numpy")
    def loop(x):  # type: ignore[no-untyped-def]
        out = np.empty(len(x))
        for j in range(len(x)):
            out[j] = function(x[j])
        return out

    return loop  # type: ignore[no-any-return]


EXP, EXPM1, LOG, MILLS = (
    over(function)
    for function in (elementary.exp, elementary.expm1, elementary.log, elementary.mills)
)
CASES = {
    "exp": (EXP, np.exp, EXPONENTS, 1e-15),
    "expm1": (EXPM1, np.expm1, EXPONENTS, 2e-15),
    "log": (
        LOG,
        np.log,
        np.concatenate(
            [
                np.geomspace(TINIEST, LARGEST * (1 - 1e-12), 100_001),
                1.0 + NEAR_0[NEAR_0 > 1e-15],
                1.0 - NEAR_0[(NEAR_0 > 1e-15) & (NEAR_0 < 1.0)],
                [TINIEST, LARGEST, 1.0],
            ]
        ),
        1e-15,
    ),
    "mills": (
        MILLS,
        lambda z: 0.5 * erfcx(z / np.sqrt(2.0)),
        np.concatenate([np.linspace(0.0, 60.0, 100_001), NEAR_0, np.geomspace(60.0, 1e12, 1001)]),
        1e-14,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_relative_error_over_the_range(name: str) -> None:
    ours, theirs, x, bound = CASES[name]
    np.testing.assert_allclose(ours(x), theirs(x), rtol=bound, atol=0.0)


@given(st.lists(st.floats(-700.0, 700.0), min_size=1, max_size=33))
def test_exp_and_log_are_inverses(values: list[float]) -> None:
    """In arrays of all lengths, so in the vector instructions and in what is left over."""
    x = np.array(values)
    np.testing.assert_allclose(LOG(EXP(x)), x, rtol=1e-15, atol=3e-16)
    np.testing.assert_allclose(EXPM1(x), np.expm1(x), rtol=2e-15, atol=0.0)
