"""Matrices to and from the layout of the kernels, in pairs of bands of equal work.

A band is four rows of a lower triangle. Band i has i + 1 tiles, so the first and the last band
together have as many tiles as the second and the last but one.
"""

from numba import prange

from .jit import I1, I2, I3, I4, I16, U, parallel_pass, part
from .layout import first_rows
from .primitives import tail

_SQRT_HALF = 0.5**0.5


@part
def _add_band(tiles, d, band, out):
    """Add four rows of a symmetric matrix, and their mirror image.

    tiles  IN
    out    ADDS TO
    """
    own = tail(tiles, I16 * (band * (band + I1) // I2))
    first = band * I4
    stop = min(first + I4, d)
    for j in range(stop):
        for i in range(max(first, j), stop):
            value = own[j // I4 * I16 + (i - first) * I4 + j % I4]
            out[i * d + j] += value
            if j < i:
                out[j * d + i] += value


@part
def _add_bands(tiles, d, t, out):
    """Do the work of slot t: two bands, or one in the middle.

    tiles  IN
    out    ADDS TO
    """
    bands = (d + I3) // I4
    pairs = (bands + I1) // I2
    matrix, low = t // pairs, t % pairs
    high = bands - I1 - low
    own = tail(tiles, matrix * I16 * (bands * (bands + I1) // I2))
    for band in range(low, high + I1, max(high - low, I1)):
        _add_band(own, d, band, tail(out, matrix * d * d))


@parallel_pass
def add_symmetric(tiles, order, out):
    """Add (m, d, d) symmetric matrices, given by the lower triangle of their 4 x 4 tiles.

    tiles  IN
    out    ADDS TO  flat
    """
    d = U(order)
    n_slots = out.size // (order * order) * ((order + 7) // 8)
    for t in prange(n_slots):
        _add_bands(tiles, d, U(t), out)


@part
def _pack_band(upper, d, first, stop, out):
    """Write some rows of the transpose of a triangle.

    upper  IN
    out    OUT
    """
    o = first * (first + I1) // I2
    for j in range(first):
        for i in range(first, stop):
            out[o] = upper[j * d + i] * _SQRT_HALF
            o += I1
    for i in range(first, stop):
        for j in range(first, i + I1):
            out[o] = upper[j * d + i] * _SQRT_HALF
            o += I1


@part
def _pack_bands(upper, d, t, out):
    """Do the work of slot t: two bands, or one in the middle; the first has 1 to 4 rows.

    upper  IN
    out    OUT
    """
    bands = (d + I3) // I4
    pairs = (bands + I1) // I2
    matrix, low = t // pairs, t % pairs
    high = bands - I1 - low
    width = first_rows(d)
    own = tail(upper, matrix * d * d)
    packed = tail(out, matrix * (d * (d + I1) // I2))
    for band in range(low, high + I1, max(high - low, I1)):
        stop = band * I4 + width
        _pack_band(own, d, max(stop, I4) - I4, stop, packed)


@parallel_pass
def pack_triangles(upper, order, out):
    """Write the transposes of (K, d, d) triangles / sqrt(2), in bands of four rows.

    upper  IN   flat
    out    OUT  flat
    """
    d = U(order)
    n_slots = upper.size // (order * order) * ((order + 7) // 8)
    for t in prange(n_slots):
        _pack_bands(upper, d, U(t), out)
