"""Weighted moments of one block about each component's centre.

    nk += sum w r,   first += sum w r z,   second += sum w r z z^T,   z = x - centre

For each component only the samples with a responsibility that can matter are looked at; on
separated clusters that is a few in a hundred, and an iteration takes half the time. Diagonal
moments are added sample by sample. Matrices need long dot products: their samples wait, as
rows, until there are enough (added at once, 4 samples a block take 3 times as long).
"""

from ._jit import (
    I0,
    I1,
    I2,
    I3,
    I4,
    I16,
    U,
    block_function,
    by_covariance_type,
    sizes,
    spliced,
    vector_loop,
)  # fmt: skip
from .block import transpose
from .selection import WORD, count_selected, list_selected
from .sums import (
    add_outer_products,
    center,
    center_in_place,
    plane_sums,
    weigh,
    weighted_sums,
)


def _triangle(packed):
    rows = (U(packed.n_features) + I3) // I4
    return I16 * (rows * (rows + I1) // I2)


def _none(packed):
    return I0


def _row(packed):
    return U(packed.n_features)


#: Return how far apart the second moments of two components are in the statistics.
_second_stride = by_covariance_type(full=_triangle, tied=_none, diag=_row, spherical=_row)


def _four(packed):
    return I4


#: Return how far apart two rows of a tile are in the statistics; 0 where there are no tiles.
_tile_row = by_covariance_type(full=_four, tied=_four, diag=_none, spherical=_none)


@spliced
def _flush(packed, scratch, k, first, second, statistics):
    """Add the samples that wait to the sums of component k."""
    w, z, wz = scratch.w, scratch.z, scratch.wz
    STRIDE = sizes(w)[1]
    d = U(packed.n_features)
    m = scratch.waiting[k]
    scratch.waiting[k] = I0
    o = k * scratch.capacity
    padded = (m + I16 - I1) // I16 * I16
    total = 0.0
    for a in range(m):
        w[a] = scratch.waiting_weight[o + a]
        total += w[a]
    statistics[k] += total
    for a in range(m, padded):
        w[a] = 0.0
    transpose(scratch.waiting_rows, o * d, d, padded, z)
    for j in range(d):
        row = j * STRIDE
        for a in range(m, padded):
            z[row + a] = 0.0
        mean = packed.centers[k * d + j]
        statistics[first + j] += center_in_place(z, row, mean, w, padded, wz)
    add_outer_products(wz, z, d, padded, statistics, second)


@block_function
def _append(rows, d, resp, o, share, index, s, count, out, out_weight, a):
    """Copy listed samples and their w r."""
    vector_loop()
    for i in range(count):
        b = index[s + i]
        out_weight[a + i] = resp[o + b] * share[b]
        start = b * d
        to = (a + i) * d
        for j in range(d):
            out[to + j] = rows[start + j]


@block_function
def _add_rows(rows, d, resp, o, share, index, count, centers, co, first, fo, second, so):
    """Add listed samples to diagonal moments; return the sum of w r."""
    vector_loop()
    total = 0.0
    for i in range(count):
        b = index[i]
        w = resp[o + b] * share[b]
        total += w
        start = b * d
        for j in range(d):
            z = rows[start + j] - centers[co + j]
            value = w * z
            first[fo + j] += value
            second[so + j] += value * z
    return total


def _plane(packed, scratch, count, last, statistics):
    d, K = U(packed.n_features), U(packed.n_components)
    stride, tile = _second_stride(packed), _tile_row(packed)
    centers, resp = packed.centers, scratch.values
    for k in range(K):
        c0, c1 = centers[k * d], centers[k * d + (d - I1)]
        first, second = K + k * d, K * (I1 + d) + k * stride
        total, first0, first1, second00, second10, second11 = plane_sums(
            resp, k * sizes(resp)[1], scratch.share, scratch.block, c0, c1, count
        )
        statistics[k] += total
        statistics[first] += first0
        statistics[second] += second00
        if d == I1:
            continue
        statistics[first + I1] += first1
        statistics[second + tile + I1] += second11
        if tile > I0:
            statistics[second + tile] += second10


def _matrix(packed, scratch, count, last, statistics):
    block, resp, share, w = scratch.block, scratch.values, scratch.share, scratch.w
    words, index = scratch.words, scratch.index
    waiting, capacity = scratch.waiting, scratch.capacity
    BLOCK, STRIDE = sizes(block)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    stride = _second_stride(packed)
    for k in range(K):
        o = k * STRIDE
        first = K + k * d
        second = K * (I1 + d) + k * stride
        selected = I0 if last else count_selected(words, k * (BLOCK // WORD), block)
        # measured: a listed sample costs as much as 10 + 1.25 d features of a whole block
        if selected * (U(10) + d + d // I4) > count * d:
            statistics[k] += weigh(resp, o, share, I0, count, w)
            for j in range(d):
                row = j * STRIDE
                mean = packed.centers[k * d + j]
                statistics[first + j] += center(
                    block, row, mean, w, count, scratch.z, scratch.wz, row
                )
            add_outer_products(scratch.wz, scratch.z, d, count, statistics, second)
            selected = I0
        elif selected > I0:
            list_selected(words, k * (BLOCK // WORD), block, index)
        s = I0
        while s < selected or (last and waiting[k] > I0):
            n = min(selected - s, capacity - waiting[k])
            a = k * capacity + waiting[k]
            _append(
                scratch.rows, d, resp, o, share, index, s, n,
                scratch.waiting_rows, scratch.waiting_weight, a,
            )  # fmt: skip
            s += n
            waiting[k] += n
            if waiting[k] == capacity or last:
                _flush(packed, scratch, k, first, second, statistics)


def _diagonal(packed, scratch, count, last, statistics):
    block, resp, share, w = scratch.block, scratch.values, scratch.share, scratch.w
    words, index = scratch.words, scratch.index
    BLOCK, STRIDE = sizes(block)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    for k in range(K):
        o = k * STRIDE
        first = K + k * d
        second = first + K * d
        selected = I0 if last else count_selected(words, k * (BLOCK // WORD), block)
        if selected == I0:
            continue
        # measured: a listed sample costs as much as 25 + 3 d features of a whole block
        if selected * (U(25) + I3 * d) > count * d:
            statistics[k] += weigh(resp, o, share, I0, count, w)
            for j in range(d):
                mean = packed.centers[k * d + j]
                total, square = weighted_sums(block, j * STRIDE, mean, w, count)
                statistics[first + j] += total
                statistics[second + j] += square
        else:
            list_selected(words, k * (BLOCK // WORD), block, index)
            statistics[k] += _add_rows(
                scratch.rows, d, resp, o, share, index, selected,
                packed.centers, k * d, statistics, first, statistics, second,
            )  # fmt: skip


#: Add the moments of one block, now or when a component has enough samples to be worth it.
#:
#: rows, block   IN       samples about the origin, as they come and transposed
#: values        IN       responsibilities; times share they are w r
#: words         IN       which of them can matter
#: share         IN       zero where there is no sample
#: last          IN       no more blocks follow: add all that waits
#: statistics    adds to  packed nk, first, second
add_block_moments = by_covariance_type(
    full=_matrix, tied=_matrix, diag=_diagonal, spherical=_diagonal, plane=_plane
)
