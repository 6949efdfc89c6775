"""Matrices to and from the layout of the kernels, in pairs of bands of equal work.

A band is four rows of a lower triangle, the i-th i + 1 tiles long: the first and the last together
are as long as the second and the last but one.
"""

from ._jit import I1, I2, I3, I4, I16, U, slot_function, spliced
from .pointers import fetch
from .triangle import first_rows

_SQRT_HALF = 0.5**0.5


def count_pairs(d):
    """Return how many pairs of bands a triangle has."""
    return -(-d // 8)


@spliced
def _bands(t, d):
    """Return the matrix that slot t works on, and its two bands, which may be one."""
    n_bands = (d + I3) // I4
    pairs = (n_bands + I1) // I2
    low = t % pairs
    return t // pairs, low, n_bands - I1 - low


@spliced
def _add_band(tiles, d, matrix, band, out):
    n_bands = (d + I3) // I4
    o = I16 * (matrix * (n_bands * (n_bands + I1) // I2) + band * (band + I1) // I2)
    start = matrix * d * d
    first = band * I4
    stop = min(first + I4, d)
    for j in range(stop):
        for i in range(max(first, j), stop):
            value = tiles[o + j // I4 * I16 + (i - first) * I4 + j % I4]
            out[start + i * d + j] += value
            if j < i:
                out[start + j * d + i] += value


@slot_function
def add_symmetric(frame, t):
    """Add two bands of a symmetric matrix, given by the lower triangle of its 4 x 4 tiles."""
    tiles, order, out = fetch(frame)
    d = U(order)
    matrix, low, high = _bands(t, d)
    for band in range(low, high + I1, max(high - low, I1)):
        _add_band(tiles, d, matrix, band, out)


@spliced
def _pack_band(upper, d, matrix, first, stop, out):
    start = matrix * d * d
    o = (matrix * (d * (d + I1)) + first * (first + I1)) // I2
    for j in range(first):
        for i in range(first, stop):
            out[o] = upper[start + j * d + i] * _SQRT_HALF
            o += I1
    for i in range(first, stop):
        for j in range(first, i + I1):
            out[o] = upper[start + j * d + i] * _SQRT_HALF
            o += I1


@slot_function
def pack_triangles(frame, t):
    """Write two bands of transposed factors / sqrt(2); all but the first are of four rows."""
    upper, order, out = fetch(frame)
    d = U(order)
    matrix, low, high = _bands(t, d)
    width = first_rows(d)
    for band in range(low, high + I1, max(high - low, I1)):
        stop = band * I4 + width
        _pack_band(upper, d, matrix, max(stop, I4) - I4, stop, out)
