"""Passes over the samples: blocks within slots, which ``launch.py`` gives to threads.

X arrives as (n, d, 2) and sample_weight as (n, 2), views that repeat each element: so every
memory order has one type. Scratch, and so the arithmetic, has the type of the packed components.
A slot is a fixed range of rows with scratch and statistics of its own, merged in order:
the number of threads changes no bit.
"""

from numba import carray

from ..layout import SMALLEST_BLOCK
from ._jit import (
    I0,
    I1,
    I3,
    I4,
    U,
    aligned_empty,
    block_function,
    by_dimension,
    fetch,
    row_pointer,
    sizes,
    slot_function,
    spliced,
    vector_loop,
)
from .block import fill, transpose
from .mahalanobis import block_log_prob
from .moments import add_block_moments, empty_pending
from .posterior import best_component, normalize_block
from .sums import count_unsafe, share_out

_MERGE_CHUNK_SIZE = 4096
_MERGE_CHUNK = U(_MERGE_CHUNK_SIZE)
_UNIT = U(SMALLEST_BLOCK)


@block_function
def _load_contiguous(values, step, count, d, origin, rows):
    """Copy rows whose features lie side by side (2.3 -> X ns per sample of 8 features)."""
    vector_loop()
    for b in range(count):
        for j in range(d):
            rows[b * d + j] = values[b * step + j] - origin[j]


def _load_plane(packed, X, start, count, rows, block):
    BLOCK, STRIDE = sizes(block)[:2]
    origin = packed.origin
    for j in range(U(packed.n_features)):
        o = j * STRIDE
        for b in range(count):
            block[o + b] = X[start + b, j, I0] - origin[j]
        for b in range(count, BLOCK):
            block[o + b] = 0.0


def _load_space(packed, X, start, count, rows, block):
    BLOCK = sizes(block)[0]
    d = U(packed.n_features)
    origin = packed.origin
    if X.strides[1] == X.itemsize and X.strides[0] % X.itemsize == 0 and X.strides[0] > 0:
        step = U(X.strides[0] // X.itemsize)
        values = carray(row_pointer(X, start), count * step)
        _load_contiguous(values, step, count, d, origin, rows)
    else:
        for b in range(count):
            for j in range(d):
                rows[b * d + j] = X[start + b, j, I0] - origin[j]
    for o in range(count * d, BLOCK * d):
        rows[o] = 0.0
    transpose(rows, I0, d, BLOCK, block)


#: Copy ``count`` rows of X about the origin, as they are and transposed; the rest is zero.
#: One or two features, which the moments take from the block alone, are not copied as rows.
_load = by_dimension(plane=_load_plane, space=_load_space)


@spliced
def _scratch_rows(packed):
    """Return rows for the features, and rows of zeros up to a multiple of 4."""
    STRIDE = sizes(packed.centers)[1]
    d = U(packed.n_features)
    n_rows = (d + I3) // I4 * I4
    rows = aligned_empty(n_rows * STRIDE, packed.centers)
    for j in range(d, n_rows):
        fill(rows, j * STRIDE, 0.0)
    return rows


@spliced
def _component_rows(n_components, like):
    STRIDE = sizes(like)[1]
    return aligned_empty((n_components + I3) // I4 * I4 * STRIDE, like)


@spliced
def _load_weight(sample_weight, start, count, weight):
    """Copy the weights of a block; they are zero where there is no sample."""
    for b in range(count):
        weight[b] = sample_weight[start + b, I0]
    for b in range(count, U(weight.size)):
        weight[b] = 0.0


@spliced
def _load_resp(resp, start, count, n_components, block, scale):
    """Copy the block's given responsibilities, which are already normalised."""
    BLOCK, STRIDE = sizes(block)[:2]
    scale[:] = 1.0
    for k in range(n_components):
        for b in range(count):
            block[k * STRIDE + b] = resp[start + b, k, I0]
        for b in range(count, BLOCK):
            block[k * STRIDE + b] = 0.0


@slot_function
def accumulate(frame, t):
    """Write the statistics of those blocks of one slot that are still to do.

    Where ``packed`` has coefficients the responsibilities are the posterior: distances,
    normalisation and moments of a block follow one another while it is in cache. Where it has
    centres alone they are given by ``resp``. A block that its type cannot represent is left
    to do.
    """
    vector_loop()
    X, sample_weight, resp, packed, bounds, todo, slots = fetch(frame)
    start, stop, statistics = U(bounds[t]), U(bounds[t + I1]), slots[t]
    BLOCK, STRIDE = sizes(packed.centers)[:2]
    K = U(packed.n_components)
    like = packed.centers
    block = _scratch_rows(packed)
    scratch = _scratch_rows(packed)
    values = _component_rows(K, like)
    maximum = aligned_empty(STRIDE, like)
    share = aligned_empty(STRIDE, like)
    norm = aligned_empty(STRIDE, statistics)
    scale = aligned_empty(STRIDE, statistics)
    weight = aligned_empty(STRIDE, statistics)
    rows = aligned_empty(BLOCK * U(packed.n_features), like)
    pending = empty_pending(packed)
    statistics[:] = 0.0
    norm[:] = 0.0
    for first in range(start, stop + BLOCK, BLOCK):
        last = first >= stop
        count = I0
        if not last:
            if todo[first // _UNIT] == 0:
                continue
            count = min(BLOCK, stop - first)
            _load(packed, X, first, count, rows, block)
            _load_weight(sample_weight, first, count, weight)
            if packed.coefficients.size == 0:
                _load_resp(resp, first, count, K, values, scale)
            else:
                block_log_prob(packed, block, scratch, maximum, values)
                normalize_block(values, K, packed.offset, maximum, share, norm, scale)
                if count_unsafe(
                    maximum, weight, count,
                    packed.lowest, packed.smallest_weight, packed.largest_weight,
                ):  # fmt: skip
                    continue
            for unit in range(first // _UNIT, (first + count + _UNIT - I1) // _UNIT):
                todo[unit] = 0
            statistics[statistics.size - I1] += share_out(weight, norm, scale, share)
        add_block_moments(packed, rows, block, values, share, count, last, pending, statistics)


@block_function
def _store_rows(values, start, count, n_components, out):
    STRIDE = sizes(values)[1]
    for b in range(count):
        for k in range(n_components):
            out[start + b, k] = values[k * STRIDE + b]


@block_function
def _store_scaled_rows(values, scale, start, count, n_components, out):
    STRIDE = sizes(values)[1]
    for b in range(count):
        for k in range(n_components):
            out[start + b, k] = values[k * STRIDE + b] * scale[b]


@slot_function
def posterior(frame, t):
    """Evaluate the rows of one slot; outputs of length 0 are not wanted."""
    vector_loop()
    X, packed, bounds, log_prob, log_prob_norm, resp, labels = fetch(frame)
    start, stop = U(bounds[t]), U(bounds[t + I1])
    BLOCK, STRIDE = sizes(packed.centers)[:2]
    K = U(packed.n_components)
    block = _scratch_rows(packed)
    scratch = _scratch_rows(packed)
    like = packed.centers
    values = _component_rows(K, like)
    maximum = aligned_empty(STRIDE, like)
    total = aligned_empty(STRIDE, like)
    norm = aligned_empty(STRIDE, like)
    scale = aligned_empty(STRIDE, like)
    rows = aligned_empty(BLOCK * U(packed.n_features), like)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        _load(packed, X, first, count, rows, block)
        block_log_prob(packed, block, scratch, maximum, values)
        if log_prob.shape[0] > 0:
            _store_rows(values, first, count, K, log_prob)
        if labels.shape[0] > 0:
            for b in range(count):
                labels[first + b] = best_component(values, K, b)
        if log_prob_norm.shape[0] == 0 and resp.shape[0] == 0:
            continue
        normalize_block(values, K, packed.offset, maximum, total, norm, scale)
        if log_prob_norm.shape[0] > 0:
            for b in range(count):
                log_prob_norm[first + b] = norm[b]
        if resp.shape[0] > 0:
            _store_scaled_rows(values, scale, first, count, K, resp)


@slot_function
def normalize(frame, t):
    """Normalise the rows of one slot of (n, K) log-probabilities in place."""
    vector_loop()
    log_prob, log_prob_norm, bounds = fetch(frame)
    start, stop = U(bounds[t]), U(bounds[t + I1])
    BLOCK, STRIDE = sizes(log_prob)[:2]
    K = U(log_prob.shape[1])
    values = _component_rows(K, log_prob)
    maximum = aligned_empty(STRIDE, log_prob)
    total = aligned_empty(STRIDE, log_prob)
    norm = aligned_empty(STRIDE, log_prob)
    scale = aligned_empty(STRIDE, log_prob)
    values[:] = 0.0
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        for k in range(K):
            for b in range(count):
                values[k * STRIDE + b] = log_prob[first + b, k]
        normalize_block(values, K, 0.0, maximum, total, norm, scale)
        for b in range(count):
            log_prob_norm[first + b] = norm[b]
        _store_scaled_rows(values, scale, first, count, K, log_prob)


def merge_chunks(size):
    """Return into how many chunks ``merge`` divides sums of a size."""
    return -(-size // _MERGE_CHUNK_SIZE)


@slot_function
def merge(frame, t):
    """Add the slots, in their order, to chunk t of the sums."""
    slots, n_slots, out = fetch(frame)
    size = U(out.size)
    start = t * _MERGE_CHUNK
    stop = min(start + _MERGE_CHUNK, size)
    for s in range(U(n_slots)):
        for i in range(start, stop):
            out[i] += slots[s * size + i]
