"""Moments of groups of samples: each group lists its own, with a weight for each entry.

An entry is a place in the table of weights, whose rows are the samples.
"""

import numpy as np
from numba import prange

from .jit import I0, I1, I4, I16, U, parallel_pass, part, shared_part
from .layout import up_to_four
from .primitives import not_inlined, sizes, tail
from .sums import add_products

# Groups are shared out in so many slots, each of them on one thread.
_SLOTS = 64


@part
def _add_sample(x, w, center, d, sums, second):
    """Add the moments of one sample, of each feature alone.

    x, center     IN
    sums, second  ADDS TO
    """
    for j in range(d):
        z = x[j] - center[j]
        sums[j] += w * z
        second[j] += w * z * z


@part
def _load_entries(X, d, weight, width, entries, count, center, memory):
    """Write entries about the centre as rows of a block; return the sum of their weights.

    X, weight, entries, center  IN
    memory                      OUT  workspace: weights, samples
    """
    STRIDE = sizes(memory)[1]
    z, total = tail(memory, STRIDE), 0.0
    for a in range(count):
        entry = U(entries[a])
        x = tail(X, entry // width * d)
        memory[a] = weight[entry]
        total += weight[entry]
        for j in range(d):
            z[j * STRIDE + a] = x[j] - center[j]
    for a in range(count, (count + I16 - I1) // I16 * I16):
        memory[a] = 0.0
        for j in range(d):
            z[j * STRIDE + a] = 0.0
    return total


@part
def _add_tiles(tiles, d, second):
    """Add a symmetric matrix, given by the lower triangle of its 4 x 4 tiles.

    tiles   IN
    second  ADDS TO
    """
    o = I0
    for i in range(I0, d, I4):
        for j in range(I0, i + I1, I4):
            for r in range(i, min(i + I4, d)):
                for c in range(j, min(j + I4, r + I1)):
                    value = tiles[o + I4 * (r - i) + c - j]
                    second[r * d + c] += value
                    if r != c:
                        second[c * d + r] += value
            o += I16


@shared_part
def _add_matrix(X, d, weight, width, entries, n, center, memory, sums, second):
    """Add the first and second moments of a group, a matrix; return the sum of its weights.

    X, weight, entries, center  IN
    memory                      OUT      workspace
    sums, second                ADDS TO
    """
    not_inlined()
    BLOCK, STRIDE = sizes(memory)[:2]
    z = tail(memory, STRIDE)
    wz = tail(z, up_to_four(d) * STRIDE)
    tiles = tail(wz, I4 * STRIDE)
    rows = up_to_four(d) // I4
    for o in range(I16 * (rows * (rows + I1) // U(2))):
        tiles[o] = 0.0
    nk = 0.0
    for first in range(I0, n, BLOCK):
        count = min(BLOCK, n - first)
        nk += _load_entries(X, d, weight, width, tail(entries, first), count, center, memory)
        padded = (count + I16 - I1) // I16 * I16
        add_products(z, memory, d, padded, wz, sums, tiles)
    _add_tiles(tiles, d, second)
    return nk


@shared_part
def _add_variances(X, d, weight, width, entries, n, center, sums, second):
    """Add the moments of a group, of each feature alone; return the sum of its weights.

    X, weight, entries, center  IN
    sums, second                ADDS TO
    """
    not_inlined()
    nk = 0.0
    for o in range(n):
        entry = U(entries[o])
        nk += weight[entry]
        _add_sample(tail(X, entry // width * d), weight[entry], center, d, sums, second)
    return nk


@parallel_pass
def group_moments(X, n, weight, entries, bounds, centers, is_full, nk, first, second):
    """Add the moments of groups about their centres.

    X, weight, entries, bounds, centers  IN       all flat; n is the number of samples
    nk, first, second                    ADDS TO  all flat
    """
    K, d, width = U(nk.size), U(X.size // n), U(weight.size // n)
    size = d * d if is_full else d
    height = up_to_four(d) if is_full else I0  # of the rows that matrices need
    for t in prange(_SLOTS):
        STRIDE = sizes(X)[1]
        memory = np.zeros((I1 + height + I4) * STRIDE + height * (height + I4) // U(2))
        for k in range(U(t) * K // U(_SLOTS), U(t + 1) * K // U(_SLOTS)):
            own, count = tail(entries, U(bounds[k])), U(bounds[k + I1] - bounds[k])
            center, sums = tail(centers, k * d), tail(first, k * d)
            squares = tail(second, k * size)
            if is_full:
                nk[k] += _add_matrix(X, d, weight, width, own, count, center, memory, sums, squares)
            else:
                nk[k] += _add_variances(X, d, weight, width, own, count, center, sums, squares)
