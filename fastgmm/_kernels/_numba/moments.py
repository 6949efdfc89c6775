"""Weighted moments of one block about each component's centre.

    nk += sum w r,   first += sum w r z,   second += sum w r z z^T,   z = x - centre

For each component only the samples whose responsibility can matter are added. On separated clusters
these are a few in a hundred, and an iteration takes half the time. Diagonal moments are added
sample by sample. Matrices need long dot products: their samples wait until there are enough
(adding 4 samples in every block takes 3 times as long); see waiting.py.
"""

from .block import fill
from .jit import I0, I1, I2, I3, I4, U, by_covariance_type, part, step
from .layout import second_start
from .primitives import sizes, tail, vector_loop
from .selection import WORD, count_selected, list_selected, subtract
from .sums import add_products, plane_sums, weigh, weighted_sums
from .waiting import let_wait


def _none(packed):
    return I0


def _four(packed):
    return I4


# how far apart two rows of a tile are in the statistics; 0 where there are no tiles
_tile_row = by_covariance_type(full=_four, tied=_four, diag=_none, spherical=_none)


@step
def _add_plane(resp, count, k, packed, scratch, statistics):
    """Add all samples of a block with one or two features.

    resp, packed, scratch  IN
    statistics             ADDS TO
    """
    d = U(packed.n_features)
    tile = _tile_row(packed)
    first = U(packed.n_components) + k * d
    second = second_start(packed, k)
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
    block, share  IN       of the scratch
    w, z, wz      OUT      of the scratch
    statistics    ADDS TO
    """
    block, w = scratch.block, scratch.w
    STRIDE = sizes(block)[1]
    d = U(packed.n_features)
    statistics[k] += weigh(resp, scratch.share, count, w)
    for j in range(d):
        o = j * STRIDE
        subtract(tail(block, o), packed.centers[k * d + j], tail(scratch.z, o))
    first = tail(statistics, U(packed.n_components) + k * d)
    second = tail(statistics, second_start(packed, k))
    add_products(scratch.z, w, d, count, scratch.wz, first, second)


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
    first, second = U(packed.n_components) + k * d, second_start(packed, k)
    statistics[k] += weigh(resp, scratch.share, count, w)
    for j in range(d):
        mean = packed.centers[k * d + j]
        total, square = weighted_sums(tail(scratch.block, j * STRIDE), mean, w, count)
        statistics[first + j] += total
        statistics[second + j] += square


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


@part
def _plane(packed, count, scratch, statistics):
    STRIDE = sizes(scratch.values)[1]
    for k in range(U(packed.n_components)):
        _add_plane(tail(scratch.values, k * STRIDE), count, k, packed, scratch, statistics)


@step
def takes_whole_block(selected, count, d):
    """Return whether a matrix is added faster for a whole block than for the selected samples."""
    # measured: a listed sample costs as much as 10 + 1.25 d features of a whole block
    return selected * (U(10) + d + d // I4) > count * d


@part
def _matrix(packed, count, scratch, statistics):
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    d = U(packed.n_features)
    for k in range(U(packed.n_components)):
        resp = tail(scratch.values, k * STRIDE)
        words = tail(scratch.words, k * (BLOCK // WORD))
        selected = count_selected(words, resp)
        if takes_whole_block(selected, count, d):
            _add_whole_block_to_matrix(resp, count, k, packed, scratch, statistics)
        elif selected > I0:
            list_selected(words, resp, scratch.index)
            for a in range(selected):
                b = scratch.index[a]
                scratch.extra[a] = resp[b] * scratch.share[b]
            let_wait(selected, k, packed, scratch, statistics)


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


@part
def _listed_matrix(packed, count, scratch, statistics):
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    d = U(packed.n_features)
    extra, index, share = scratch.extra, scratch.index, scratch.share
    for k in range(U(packed.n_components)):
        resp, samples = tail(scratch.values, k * STRIDE), tail(scratch.samples, k * BLOCK)
        selected = scratch.n_listed[k]
        if takes_whole_block(selected, count, d):
            fill(extra, 0.0)
            for a in range(selected):
                extra[samples[a]] = resp[a]
            _add_whole_block_to_matrix(extra, count, k, packed, scratch, statistics)
        elif selected > I0:
            for a in range(selected):
                b = U(samples[a])
                index[a] = b
                extra[a] = resp[a] * share[b]
            let_wait(selected, k, packed, scratch, statistics)


@part
def _nothing(packed, count, scratch, statistics):
    pass


#: Do as ``add_block_moments`` does, for a posterior that is listed: see ``listed_posterior``.
#:
#: packed                     IN
#: rows                       IN       of the scratch
#: block                      IN       of the scratch, if a component matters to many samples
#: values, samples, n_listed  IN       of the scratch: responsibilities; times share they are w r
#: share                      IN       zero where there is no sample
#: index, extra               OUT      of the scratch: workspace, as for ``let_wait``
#: statistics                 ADDS TO  packed nk, first, second
add_listed_moments = by_covariance_type(
    full=_listed_matrix, tied=_nothing, diag=_nothing, spherical=_nothing, plane=_nothing
)
