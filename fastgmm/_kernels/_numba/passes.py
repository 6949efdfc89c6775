"""Passes over the samples: blocks within slots, which ``launch.py`` gives to threads.

X arrives as (n, d, 2) and sample_weight as (n, 2), views that repeat each element: so every
memory order has one type. Scratch, and so the arithmetic, has the type of the packed components.
A slot is a fixed range of rows with scratch and statistics of its own, merged in order:
the number of threads changes no bit.
"""

import numpy as np

from ..layout import SMALLEST_BLOCK
from ._jit import (
    I0,
    I1,
    I2,
    U,
    block_function,
    by_dimension,
    sizes,
    slot_function,
    spliced,
    vector_loop,
)
from .block import fill, transpose
from .mahalanobis import block_log_prob
from .moments import add_block_moments
from .pointers import cast, fetch, is_null, keep, row_pointer
from .posterior import best_component, find_maximum, normalize_block
from .scratch import new_scratch
from .selection import CUT, NEGLIGIBLE, WORD, select
from .sums import count_unsafe, share_out

_MERGE_CHUNK_SIZE = 4096
_MERGE_CHUNK = U(_MERGE_CHUNK_SIZE)
_UNIT = U(SMALLEST_BLOCK)


@block_function
def _load_contiguous(values, step, count, d, origin, rows):
    """Copy rows whose features lie side by side."""
    vector_loop()
    for b in range(count):
        for j in range(d):
            rows[b * d + j] = values[b * step + j] - origin[j]


def _load_plane(packed, X, start, count, scratch):
    block, origin = scratch.block, packed.origin
    BLOCK, STRIDE = sizes(block)[:2]
    for j in range(U(packed.n_features)):
        o = j * STRIDE
        for b in range(count):
            block[o + b] = X[start + b, j, I0] - origin[j]
        for b in range(count, BLOCK):
            block[o + b] = 0.0


def _load_space(packed, X, start, count, scratch):
    rows, origin = scratch.rows, packed.origin
    BLOCK = sizes(rows)[0]
    d = U(packed.n_features)
    if X.strides[1] == X.itemsize and X.strides[0] % X.itemsize == 0 and X.strides[0] > 0:
        step = U(X.strides[0] // X.itemsize)
        _load_contiguous(row_pointer(X, start), step, count, d, origin, rows)
    else:
        for b in range(count):
            for j in range(d):
                rows[b * d + j] = X[start + b, j, I0] - origin[j]
    for o in range(count * d, BLOCK * d):
        rows[o] = 0.0
    transpose(rows, I0, d, BLOCK, scratch.block)


#: Copy ``count`` rows of X about the origin, as they are and transposed; the rest is zero.
#: One or two features, which the moments take from the block alone, are not copied as rows.
_load = by_dimension(plane=_load_plane, space=_load_space)


@spliced
def _load_weight(sample_weight, start, count, scratch):
    """Copy the weights of a block; they are zero where there is no sample."""
    weight = scratch.weight
    for b in range(count):
        weight[b] = sample_weight[start + b, I0]
    for b in range(count, sizes(scratch.values)[0]):
        weight[b] = 0.0


@spliced
def _load_resp(resp, start, count, n_components, scratch):
    """Copy the block's given responsibilities, which are already normalised."""
    block = scratch.values
    BLOCK, STRIDE = sizes(block)[:2]
    fill(scratch.threshold, I0, NEGLIGIBLE)
    for b in range(BLOCK):
        scratch.scale[b] = 1.0
    for k in range(n_components):
        row = k * STRIDE
        for b in range(count):
            block[row + b] = resp[start + b, k, I0]
        for b in range(count, BLOCK):
            block[row + b] = 0.0
        w = k * (BLOCK // WORD)
        select(block, row, cast(0.0, block), scratch.threshold, scratch.words, w, I0)


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
    start, stop, statistics = U(bounds[t]), U(bounds[t + I1]), row_pointer(slots, t)
    BLOCK, STRIDE = sizes(packed.centers)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    size = U(slots.shape[1])
    scratch, memory = new_scratch(K, d, packed.centers, True)
    # moments of one or two features are sums over all samples
    cut = CUT if d > I2 else np.inf
    for i in range(size):
        statistics[i] = 0.0
    for b in range(STRIDE):
        scratch.norm[b] = 0.0
    for first in range(start, stop + BLOCK, BLOCK):
        last = first >= stop
        count = I0
        if not last:
            if todo[first // _UNIT] == 0:
                continue
            count = min(BLOCK, stop - first)
            _load(packed, X, first, count, scratch)
            _load_weight(sample_weight, first, count, scratch)
            if is_null(packed.coefficients):
                _load_resp(resp, first, count, K, scratch)
            else:
                block_log_prob(packed, scratch, cut)
                normalize_block(scratch, K, packed.offset, cut)
                if count_unsafe(
                    scratch.maximum, scratch.weight, count,
                    packed.lowest, packed.smallest_weight, packed.largest_weight,
                ):  # fmt: skip
                    continue
            for unit in range(first // _UNIT, (first + count + _UNIT - I1) // _UNIT):
                todo[unit] = 0
            statistics[size - I1] += share_out(
                scratch.weight, scratch.norm, scratch.scale, scratch.share
            )
        add_block_moments(packed, scratch, count, last, statistics)
    keep(memory)


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
    BLOCK = sizes(packed.centers)[0]
    K = U(packed.n_components)
    scratch, memory = new_scratch(K, U(packed.n_features), packed.centers, False)
    cut = CUT if log_prob.shape[0] == 0 and resp.shape[0] == 0 else np.inf
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        _load(packed, X, first, count, scratch)
        block_log_prob(packed, scratch, cut)
        if log_prob.shape[0] > 0:
            _store_rows(scratch.values, first, count, K, log_prob)
        if not is_null(labels):
            for b in range(count):
                labels[first + b] = best_component(scratch.values, K, b)
        if is_null(log_prob_norm) and resp.shape[0] == 0:
            continue
        normalize_block(scratch, K, packed.offset, cut)
        if not is_null(log_prob_norm):
            for b in range(count):
                log_prob_norm[first + b] = scratch.norm[b]
        if resp.shape[0] > 0:
            _store_scaled_rows(scratch.values, scratch.scale, first, count, K, resp)
    keep(memory)


@slot_function
def normalize(frame, t):
    """Normalise the rows of one slot of (n, K) log-probabilities in place."""
    vector_loop()
    log_prob, log_prob_norm, bounds = fetch(frame)
    start, stop = U(bounds[t]), U(bounds[t + I1])
    BLOCK, STRIDE = sizes(log_prob)[:2]
    K = U(log_prob.shape[1])
    scratch, memory = new_scratch(K, I1, log_prob_norm, False)
    values = scratch.values
    for i in range(K * STRIDE):
        values[i] = 0.0
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        for k in range(K):
            for b in range(count):
                values[k * STRIDE + b] = log_prob[first + b, k]
        find_maximum(values, K, scratch.maximum)
        normalize_block(scratch, K, 0.0, np.inf)
        for b in range(count):
            log_prob_norm[first + b] = scratch.norm[b]
        _store_scaled_rows(values, scratch.scale, first, count, K, log_prob)
    keep(memory)


def merge_chunks(size):
    """Return into how many chunks ``merge`` divides sums of a size."""
    return -(-size // _MERGE_CHUNK_SIZE)


@slot_function
def merge(frame, t):
    """Add the slots, in their order, to chunk t of the sums."""
    slots, n_slots, out, n_sums = fetch(frame)
    size = U(n_sums)
    start = t * _MERGE_CHUNK
    stop = min(start + _MERGE_CHUNK, size)
    for s in range(U(n_slots)):
        for i in range(start, stop):
            out[i] += slots[s * size + i]
