"""Exponential, logarithm and normal quantile as arithmetic that LLVM compiles for several numbers at once.

A loop that calls the C library's functions is computed number by number. Here are neither calls nor
branches nor conversions between whole numbers and floats, which AVX2 has not for 64 bits: a float's
bits are moved instead. Here alone may products and sums be fused; each sum has at most one product to
fuse with, so that a number gets the same bits at any place of a loop.

numba keeps what it has compiled by the file of the function that was called: after a change of this
file, touch those that import from it.

Source: the reductions of the argument, Cody and Waite (1980), Software Manual for the Elementary
Functions, chapters 5 and 6. The polynomials interpolate the series at the Chebyshev nodes of the
reduced range (Muller et al. 2018, Handbook of Floating-Point Arithmetic, chapter 10); their
coefficients were computed with 60 digits. The quantile: Wichura (1988).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import njit

LOG2_E = 1.4426950408889634
"""1 / ln 2."""

LN2 = 0.6931471805599453
"""ln 2."""

LN2_HIGH = float.fromhex("0x1.62e42feep-1")
"""The first 32 bits of ln 2: a whole number below 2^21 times it is exact; Cody and Waite (1980)."""

LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
"""ln 2 - LN2_HIGH."""

LOWEST, HIGHEST = -708.0, 709.0
"""Where exp stays a normal number; beyond, it is the value at the bound."""

ROUNDING = 1.5 * 2.0**52
"""Floats of this size lie 1 apart, and their last bits are the whole number added to it."""

FRACTION = 52
"""Bits of a float below its exponent."""

FRACTION_BITS = (1 << FRACTION) - 1
BIAS = 1023
"""What a float's exponent is stored with."""

ONE_BITS = BIAS << FRACTION
"""The bits of 1.0."""

ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
"""The bits of sqrt(1/2)."""

BIG = 2.0**FRACTION
BIG_BITS = (BIAS + FRACTION) << FRACTION
"""2^52 and its bits; its last bits are the whole number added to it."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def exp(x: float) -> float:
    """e^x = 2^n e^r, |r| <= ln(2) / 2; e^r by a polynomial of degree 10, off by less than 3.3e-16."""
    x = min(max(x, LOWEST), HIGHEST)
    shifted = x * LOG2_E + ROUNDING
    n = shifted - ROUNDING
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    # Even and odd powers apart: two short chains of operations instead of a long one.
    q = r * r
    even = 0.0013888888932488599 + q * (2.4801504346997686e-05 + q * 2.7626357241447223e-07)
    even = 1.0 + q * (0.5000000000000006 + q * (0.04166666666657314 + q * even))
    odd = 0.008333333385667782 + q * (0.00019841170270440067 + q * 2.764018079620985e-06)
    odd = 1.0000000000000067 + q * (0.16666666666554406 + q * odd)
    power = np.float64(even + r * odd).view(np.int64) + (np.float64(shifted).view(np.int64) << FRACTION)
    return np.int64(power).view(np.float64)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def log(x: float) -> float:
    """Logarithm of a normal number x = 2^k m > 0, sqrt(1/2) <= m < sqrt(2); of 0 it is about -709.

    ln m = 2 artanh(s), s = (m - 1) / (m + 1): 2 s + s^3 P(s^2), where P = 2/3 + 2/5 s^2 + ... is of
    degree 6, off by less than 5e-18.
    """
    bits = np.float64(x).view(np.int64) + (ONE_BITS - ROOT_HALF_BITS)
    # Shifted without a sign: AVX2 has no other shift of 64 bits to the right.
    biased = np.int64(np.uint64(bits) >> np.uint64(FRACTION))
    k = np.int64(biased | BIG_BITS).view(np.float64) - (BIG + BIAS)
    m = np.int64((bits & FRACTION_BITS) + ROOT_HALF_BITS).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    w = z * z
    even = 0.666666666666667 + w * (0.28571428625975487 + w * (0.18182889125261723 + w * 0.14616449685043406))
    odd = 0.39999999999899505 + w * (0.2222221113479508 + w * 0.15331721600556042)
    return k * LN2 + ((s * z) * (even + z * odd) + (s + s))


CENTRE = 0.425
"""|p - 1/2| up to which the quantile is a ratio of polynomials in p; Wichura (1988)."""

TAIL_SHIFT = 1.6
"""What the root of -log p is taken less; Wichura (1988)."""

LEAST_TAIL = 1.4e-11
"""Probability of a tail from which on the coefficients hold, exp(-25); Wichura (1988)."""

# Coefficients of PPND16, the highest power first.
CENTRE_ABOVE = (
    *(2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457),
    *(13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
)
CENTRE_BELOW = (
    *(5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867),
    *(5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)
TAIL_ABOVE = (
    *(7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258),
    *(3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
)
TAIL_BELOW = (
    *(1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459),
    *(0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def normal_quantile(p: float) -> float:
    """Quantile of the standard normal distribution for LEAST_TAIL <= p <= 1 - LEAST_TAIL.

    Source: Wichura (1988), Applied Statistics 37(3), algorithm AS 241: relative error about 1e-16.
    """
    q = p - 0.5
    r = CENTRE * CENTRE - q * q
    central = q * _polynomial(CENTRE_ABOVE, r) / _polynomial(CENTRE_BELOW, r)
    r = sqrt(-log(min(p, 1.0 - p))) - TAIL_SHIFT
    tail = _polynomial(TAIL_ABOVE, r) / _polynomial(TAIL_BELOW, r)
    outer = -tail if q < 0.0 else tail
    return central if abs(q) <= CENTRE else outer


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, forceinline=True)
def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    """Value at x, by Horner's rule."""
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
