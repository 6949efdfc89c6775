"""The samples of a block, their weights and given responsibilities, as the kernels take them.

X arrives as (n, d, 2), sample_weight as (n, 2) and resp as (n, K, 2), views that repeat each
element: so every memory order has one type.
"""

from .block import fill, transpose
from .jit import I0, U, by_dimension, part, step
from .primitives import cast, rows_from, sizes, tail, vector_loop
from .selection import NEGLIGIBLE, WORD, select


@part
def _load_contiguous(values, step, count, d, origin, rows):
    """Copy rows whose features lie side by side.

    values, origin  IN
    rows            OUT
    """
    vector_loop()
    for b in range(count):
        for j in range(d):
            rows[b * d + j] = values[b * step + j] - origin[j]


@part
def _copy_rows(X, start, count, origin, d, rows):
    """Copy rows of X about the origin.

    X, origin  IN
    rows       OUT
    """
    if X.strides[1] == X.itemsize and X.strides[0] % X.itemsize == 0 and X.strides[0] > 0:
        step = U(X.strides[0] // X.itemsize)
        _load_contiguous(rows_from(X, start), step, count, d, origin, rows)
        return
    for b in range(count):
        for j in range(d):
            rows[b * d + j] = X[start + b, j, I0] - origin[j]


@part
def _load_columns(X, start, count, origin, d, block):
    """Copy rows of X about the origin, transposed; the rest of the block is zero.

    X, origin  IN
    block      OUT
    """
    BLOCK, STRIDE = sizes(block)[:2]
    for j in range(d):
        column = tail(block, j * STRIDE)
        for b in range(count):
            column[b] = X[start + b, j, I0] - origin[j]
        for b in range(count, BLOCK):
            column[b] = 0.0


@part
def _load_plane(packed, X, start, count, scratch):
    _load_columns(X, start, count, packed.origin, U(packed.n_features), scratch.block)


@part
def load_rows(packed, X, start, count, scratch):
    """Copy ``count`` rows of X about the origin; the rest is zero.

    packed, X  IN
    rows       OUT  of the scratch
    """
    rows = scratch.rows
    BLOCK = sizes(rows)[0]
    d = U(packed.n_features)
    _copy_rows(X, start, count, packed.origin, d, rows)
    for o in range(count * d, BLOCK * d):
        rows[o] = 0.0


@part
def _load_space(packed, X, start, count, scratch):
    load_rows(packed, X, start, count, scratch)
    d, BLOCK = U(packed.n_features), sizes(scratch.rows)[0]
    transpose(scratch.rows, scratch.zeros, d, BLOCK, scratch.block)


#: Copy ``count`` rows of X about the origin, as they are and transposed; the rest is zero.
#: One or two features, which the moments take from the block alone, are not copied as rows.
#:
#: packed, X    IN
#: rows, block  OUT  of the scratch
load_block = by_dimension(plane=_load_plane, space=_load_space)


@step
def load_weight(sample_weight, start, count, scratch):
    """Copy the weights of a block; they are zero beyond the last sample.

    sample_weight  IN
    weight         OUT  of the scratch
    """
    weight = scratch.weight
    for b in range(count):
        weight[b] = sample_weight[start + b, I0]
    for b in range(count, sizes(scratch.values)[0]):
        weight[b] = 0.0


@step
def load_resp(resp, start, count, n_components, scratch):
    """Copy the block's given responsibilities, which are already normalised.

    resp                             IN
    values, words, scale, threshold  OUT  of the scratch
    """
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    fill(scratch.threshold, NEGLIGIBLE)
    for b in range(BLOCK):
        scratch.scale[b] = 1.0
    for k in range(n_components):
        values = tail(scratch.values, k * STRIDE)
        for b in range(count):
            values[b] = resp[start + b, k, I0]
        for b in range(count, BLOCK):
            values[b] = 0.0
        words = tail(scratch.words, k * (BLOCK // WORD))
        select(values, cast(0.0, values), scratch.threshold, words, I0)
