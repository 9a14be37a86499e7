"""Elementary functions written so that LLVM turns loops over them into vector instructions.

Numba calls the C library for `math.exp` and its like, one number at a time, and the gradient of
the transition law is made of little else; in this form four numbers go at once and a call costs
a sixth. There are no branches, the arguments must be what the docstrings say, and the results
are good to a few units in the last place. The reductions and rational functions are those of
the Cephes library (Moshier 1989), the polynomial of `mills` was fitted to SciPy's `erfcx` at
Chebyshev nodes.
"""

import zlib
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = ["exp", "expm1", "inner", "log", "mills", "version_of"]


def version_of(file: str) -> int:
    """Check sum of this folder and of that in which a file stands, for a function to close over.

    Numba's cache on disk tells versions apart by what a compiled function closes over, and of its
    sources only looks at the file that it stands in.
    """
    folders = {Path(__file__).parent, Path(file).parent}
    sources = (path for folder in sorted(folders) for path in sorted(folder.glob("*.py")))
    return zlib.crc32(b"".join(path.read_bytes() for path in sources))


def inner(**options: Any) -> Any:
    """`numba.njit` for functions that only compiled ones call; they compile a tenth faster."""
    compiled: Any = njit  # whose stubs know neither of these
    return compiled(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)


def _bits_of_float(typingctx: Any, value: Any) -> Any:
    """Bits of a float as an integer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


def _float_of_bits(typingctx: Any, value: Any) -> Any:
    """Float that has the bits of an integer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


_bits: Any = intrinsic(_bits_of_float)
_float: Any = intrinsic(_float_of_bits)

# Added to a small number, it leaves the nearest whole one in the last bits.
_ROUND = 6755399441055744.0
_TWO_52 = 4503599627370496.0


@njit(inline="always", error_model="numpy")
def _exp_parts(x: float) -> tuple[float, float]:
    """Return expm1(r) and 2^k, where x = k ln 2 + r; x between -700 and 700."""
    shifted = x * 1.4426950408889634073599 + _ROUND
    k = shifted - _ROUND
    r = (x - k * 6.93145751953125e-1) - k * 1.42860682030941723212e-6
    s = r * r
    p = r * (
        (1.26177193074810590878e-4 * s + 3.02994407707441961300e-2) * s + 9.99999999999999999910e-1
    )
    q = (
        (3.00198505138664455042e-6 * s + 2.52448340349684104192e-3) * s + 2.27265548208155028766e-1
    ) * s + 2.0
    return 2.0 * p / (q - p), _float((_bits(shifted) + 1023) << 52)


@njit(inline="always", error_model="numpy")
def exp(x: float) -> float:
    """Exponential; x between -700 and 700."""
    less_one, scale = _exp_parts(x)
    return scale * less_one + scale


@njit(inline="always", error_model="numpy")
def expm1(x: float) -> float:
    """Exponential less 1, without cancellation; x between -700 and 700."""
    less_one, scale = _exp_parts(x)
    return scale * less_one + (scale - 1.0)


@njit(inline="always", error_model="numpy")
def log(x: float) -> float:
    """Natural logarithm; x normal, positive and finite."""
    bits = _bits(x)
    exponent = _float((bits >> 52) | 0x4330000000000000) - (_TWO_52 + 1022.0)
    part = _float((bits & 0x000FFFFFFFFFFFFF) | 0x3FE0000000000000)
    small = part < 0.70710678118654752440
    exponent = exponent - 1.0 if small else exponent
    f = 2.0 * part - 1.0 if small else part - 1.0
    p = 1.01875663804580931796e-4 * f + 4.97494994976747001425e-1
    p = (p * f + 4.70579119878881725854e0) * f + 1.44989225341610930846e1
    p = (p * f + 1.79368678507819816313e1) * f + 7.70838733755885391666e0
    q = (f + 1.12873587189167450590e1) * f + 4.52279145837532221105e1
    q = (q * f + 8.29875266912776603211e1) * f + 7.11544750618563894466e1
    q = q * f + 2.31251620126765340583e1
    square = f * f
    rest = f * (square * p / q) - exponent * 2.121944400546905827679e-4 - 0.5 * square
    return f + rest + exponent * 0.693359375


@njit(inline="always", error_model="numpy")
def mills(z: float) -> float:
    """Tail of the standard normal beyond z, divided by exp(-z²/2); z not negative."""
    s = (z - 5.0) / (z + 5.0)
    v = -1.957164686948775e-08
    v = v * s + 6.547161153430007e-09
    v = v * s + 1.1270264000506996e-07
    v = v * s - 3.6425144859834636e-08
    v = v * s - 2.774416432593285e-07
    v = v * s + 8.527740736663534e-08
    v = v * s + 3.467424187096505e-07
    v = v * s - 8.959611469813313e-08
    v = v * s + 5.6118250293308194e-08
    v = v * s - 2.2211192529218962e-07
    v = v * s - 2.543154265462254e-06
    v = v * s + 3.916464325562217e-06
    v = v * s + 1.6591393179222145e-05
    v = v * s - 4.973916773328154e-05
    v = v * s - 5.9352424225101686e-05
    v = v * s + 0.0005448935215239955
    v = v * s - 0.0007978731999286661
    v = v * s - 0.0029933759813222734
    v = v * s + 0.020795067163034645
    v = v * s - 0.0691186387683115
    v = v * s + 0.16502036615251162
    v = v * s - 0.31353315666906895
    v = v * s + 0.4953056159703278
    v = v * s - 0.6653825028900807
    v = v * s + 0.7691930497500618
    return v / (z + 5.0)
