"""Weighted moments of one block about each component's centre.

    nk += sum w r,   first += sum w r z,   second += sum w r z z^T,   z = x - centre

For each component only the samples whose responsibility can matter are added. On separated clusters
these are a few in a hundred, and an iteration takes half the time. Diagonal moments are added
sample by sample. Matrices need long dot products: their samples wait, as rows, until there are
enough (adding 4 samples in every block takes 3 times as long).
"""

from .block import transpose
from .jit import I0, I1, I2, I3, I4, I16, U, by_covariance_type, part, shared_part, step
from .primitives import not_inlined, sizes, tail, vector_loop
from .selection import WORD, count_selected, list_selected
from .sums import (
    add_outer_products,
    center,
    center_in_place,
    plane_sums,
    weigh,
    weighted_sums,
)

# numbers that may wait to be added, for each sample of a block: 4 MiB in all
_WAITING = U(1 << 11)


@step
def waiting_capacity(n_components, d, like):
    """Return how many samples may wait for each component: 4 MiB in all, a second-level cache."""
    BLOCK = sizes(like)[0]
    capacity = _WAITING * BLOCK // (n_components * d) // I16 * I16
    return min(max(capacity, I16), BLOCK)


def _triangle(packed):
    rows = (U(packed.n_features) + I3) // I4
    return I16 * (rows * (rows + I1) // I2)


def _none(packed):
    return I0


def _row(packed):
    return U(packed.n_features)


# how far apart the second moments of two components are in the statistics
_second_stride = by_covariance_type(full=_triangle, tied=_none, diag=_row, spherical=_row)


def _four(packed):
    return I4


# how far apart two rows of a tile are in the statistics; 0 where there are no tiles
_tile_row = by_covariance_type(full=_four, tied=_four, diag=_none, spherical=_none)


@step
def _second_start(packed, k):
    """Return where the second moments of component k begin in the statistics.

    packed  IN
    """
    d = U(packed.n_features)
    return U(packed.n_components) * (I1 + d) + k * _second_stride(packed)


@step
def _add_plane(resp, count, k, packed, scratch, statistics):
    """Add all samples of a block with one or two features.

    resp, packed, scratch  IN
    statistics             ADDS TO
    """
    d = U(packed.n_features)
    tile = _tile_row(packed)
    first = U(packed.n_components) + k * d
    second = _second_start(packed, k)
    c0, c1 = packed.centers[k * d], packed.centers[k * d + (d - I1)]
    total, first0, first1, second00, second10, second11 = plane_sums(
        resp, scratch.share, scratch.block, c0, c1, count
    )
    statistics[k] += total
    statistics[first] += first0
    statistics[second] += second00
    if d == I2:
        statistics[first + I1] += first1
        statistics[second + tile + I1] += second11
        if tile > I0:
            statistics[second + tile] += second10


@step
def _add_whole_block_to_matrix(resp, count, k, packed, scratch, statistics):
    """Add all samples of a block to component k.

    resp, packed  IN
    w, z, wz      OUT      of the scratch
    statistics    ADDS TO
    """
    block, w = scratch.block, scratch.w
    STRIDE = sizes(block)[1]
    d = U(packed.n_features)
    centers, first = packed.centers, U(packed.n_components) + k * d
    statistics[k] += weigh(resp, scratch.share, count, w)
    for j in range(d):
        o = j * STRIDE
        mean = centers[k * d + j]
        z, wz = tail(scratch.z, o), tail(scratch.wz, o)
        statistics[first + j] += center(tail(block, o), mean, w, count, z, wz)
    second = tail(statistics, _second_start(packed, k))
    add_outer_products(scratch.wz, scratch.z, d, count, second)


@step
def _add_whole_block_to_diagonal(resp, count, k, packed, scratch, statistics):
    """Add all samples of a block to component k.

    resp, packed  IN
    w             OUT      of the scratch
    statistics    ADDS TO
    """
    w = scratch.w
    STRIDE = sizes(w)[1]
    d = U(packed.n_features)
    first, second = U(packed.n_components) + k * d, _second_start(packed, k)
    statistics[k] += weigh(resp, scratch.share, count, w)
    for j in range(d):
        mean = packed.centers[k * d + j]
        total, square = weighted_sums(tail(scratch.block, j * STRIDE), mean, w, count)
        statistics[first + j] += total
        statistics[second + j] += square


@shared_part
def _flush(k, packed, scratch, statistics):
    """Add the samples that wait to the sums of component k.

    packed                                         IN
    waiting, waiting_weight, waiting_rows          IN OUT   of the scratch
    w, z, wz                                       OUT      of the scratch
    statistics                                     ADDS TO
    """
    not_inlined()
    w = scratch.w
    STRIDE = sizes(w)[1]
    d, K = U(packed.n_features), U(packed.n_components)
    m = scratch.waiting[k]
    o = k * scratch.capacity
    padded = (m + I16 - I1) // I16 * I16
    total = 0.0
    scratch.waiting[k] = I0
    for a in range(m):
        w[a] = scratch.waiting_weight[o + a]
        total += w[a]
    statistics[k] += total
    for a in range(m, padded):
        w[a] = 0.0
    transpose(tail(scratch.waiting_rows, o * d), d, padded, scratch.z)
    for j in range(d):
        z, wz = tail(scratch.z, j * STRIDE), tail(scratch.wz, j * STRIDE)
        for a in range(m, padded):
            z[a] = 0.0
        mean = packed.centers[k * d + j]
        statistics[K + k * d + j] += center_in_place(z, mean, w, padded, wz)
    second = tail(statistics, _second_start(packed, k))
    add_outer_products(scratch.wz, scratch.z, d, padded, second)


@step
def _flush_matrices(packed, scratch, statistics):
    """Add whatever still waits; see ``flush_all``."""
    for k in range(U(packed.n_components)):
        if scratch.waiting[k] > I0:
            _flush(k, packed, scratch, statistics)


@part
def _flush_nothing(packed, scratch, statistics):
    pass


#: Add whatever still waits.
#:
#: packed      IN
#: scratch     IN OUT
#: statistics  ADDS TO
flush_all = by_covariance_type(
    full=_flush_matrices,
    tied=_flush_matrices,
    diag=_flush_nothing,
    spherical=_flush_nothing,
    plane=_flush_nothing,
)


@part
def _append(rows, d, resp, share, index, count, out, out_weight):
    """Copy listed samples and their w r.

    rows, resp, share, index  IN
    out, out_weight           OUT
    """
    vector_loop()
    for i in range(count):
        b = index[i]
        out_weight[i] = resp[b] * share[b]
        start = b * d
        to = i * d
        for j in range(d):
            out[to + j] = rows[start + j]


@part
def _add_rows(rows, d, resp, share, index, count, centers, first, second):
    """Add listed samples to diagonal moments; return the sum of w r.

    rows, resp, share, index, centers  IN
    first, second                      ADDS TO
    """
    vector_loop()
    total = 0.0
    for i in range(count):
        b = index[i]
        w = resp[b] * share[b]
        total += w
        start = b * d
        for j in range(d):
            z = rows[start + j] - centers[j]
            value = w * z
            first[j] += value
            second[j] += value * z
    return total


@step
def _add_listed(resp, selected, k, packed, scratch, statistics):
    """Let the listed samples wait; add those of component k when there is no room for more.

    resp, packed  IN
    scratch       IN OUT
    statistics    ADDS TO
    """
    d = U(packed.n_features)
    capacity, waiting = scratch.capacity, scratch.waiting
    s = I0
    while s < selected:
        n = min(selected - s, capacity - waiting[k])
        a = k * capacity + waiting[k]
        _append(
            scratch.rows, d, resp, scratch.share, tail(scratch.index, s), n,
            tail(scratch.waiting_rows, a * d), tail(scratch.waiting_weight, a),
        )  # fmt: skip
        s += n
        waiting[k] += n
        if waiting[k] == capacity:
            _flush(k, packed, scratch, statistics)


@part
def _plane(packed, count, scratch, statistics):
    STRIDE = sizes(scratch.values)[1]
    for k in range(U(packed.n_components)):
        _add_plane(tail(scratch.values, k * STRIDE), count, k, packed, scratch, statistics)


@part
def _matrix(packed, count, scratch, statistics):
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    d = U(packed.n_features)
    for k in range(U(packed.n_components)):
        resp = tail(scratch.values, k * STRIDE)
        words = tail(scratch.words, k * (BLOCK // WORD))
        selected = count_selected(words, resp)
        # measured: a listed sample costs as much as 10 + 1.25 d features of a whole block
        if selected * (U(10) + d + d // I4) > count * d:
            _add_whole_block_to_matrix(resp, count, k, packed, scratch, statistics)
        elif selected > I0:
            list_selected(words, resp, scratch.index)
            _add_listed(resp, selected, k, packed, scratch, statistics)


@part
def _diagonal(packed, count, scratch, statistics):
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    for k in range(K):
        resp = tail(scratch.values, k * STRIDE)
        words = tail(scratch.words, k * (BLOCK // WORD))
        selected = count_selected(words, resp)
        # measured: a listed sample costs as much as 25 + 3 d features of a whole block
        if selected * (U(25) + I3 * d) > count * d:
            _add_whole_block_to_diagonal(resp, count, k, packed, scratch, statistics)
        elif selected > I0:
            list_selected(words, resp, scratch.index)
            first = tail(statistics, K + k * d)
            statistics[k] += _add_rows(
                scratch.rows, d, resp, scratch.share, scratch.index, selected,
                tail(packed.centers, k * d), first, tail(first, K * d),
            )  # fmt: skip


#: Add the moments of one block, now or when a component has enough samples to be worth it.
#:
#: packed        IN
#: rows, block   IN       of the scratch: samples about the origin, as they come and transposed
#: values        IN       responsibilities; times share they are w r
#: words         IN       which of them can matter
#: share         IN       zero where there is no sample
#: statistics    ADDS TO  packed nk, first, second
add_block_moments = by_covariance_type(
    full=_matrix, tied=_matrix, diag=_diagonal, spherical=_diagonal, plane=_plane
)
