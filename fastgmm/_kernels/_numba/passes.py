"""Parallel passes over the samples: blocks within slots, slots over threads.

X arrives as (n, d, 2) and sample_weight as (n, 2), views that repeat each element: so every
memory order has one type, and Numba compiles one signature for float64 and one for float32.
A slot is a fixed range of rows with scratch and statistics of its own, merged in order:
the number of threads changes no bit.
"""

from numba import prange

from ._jit import (
    BLOCK,
    I0,
    I1,
    I2,
    I3,
    I4,
    STRIDE,
    U,
    aligned_empty,
    block_function,
    parallel,
    slot_function,
)
from .block import transpose
from .mahalanobis import block_log_prob
from .moments import add_block_moments, empty_pending, flush_all
from .posterior import best_component, normalize_block

_MERGE_CHUNK_SIZE = 4096
_MERGE_CHUNK = U(_MERGE_CHUNK_SIZE)


@block_function
def _load(X, start, count, packed, rows, block):
    """Copy ``count`` rows of X about the origin, as they are and transposed; the rest is zero.

    One or two features, which the moments take from the block alone, are not copied as rows.
    """
    d = U(packed.n_features)
    origin = packed.origin
    if d <= I2:
        for j in range(d):
            o = j * STRIDE
            for b in range(count):
                block[o + b] = X[start + b, j, I0] - origin[j]
            for b in range(count, BLOCK):
                block[o + b] = 0.0
        return
    for b in range(count):
        for j in range(d):
            rows[b * d + j] = X[start + b, j, I0] - origin[j]
    for o in range(count * d, BLOCK * d):
        rows[o] = 0.0
    transpose(rows, I0, d, BLOCK, block)


@block_function
def _scratch_rows(packed):
    """Return rows for the features, and rows of zeros up to a multiple of 4."""
    d = U(packed.n_features)
    rows = aligned_empty((d + I3) // I4 * I4 * STRIDE)
    for o in range(d * STRIDE, U(rows.size)):
        rows[o] = 0.0
    return rows


@block_function
def _component_rows(packed):
    return aligned_empty((U(packed.n_components) + I3) // I4 * I4 * STRIDE)


@block_function
def _share(sample_weight, start, count, log_prob_norm, scale):
    """Turn scale into w scale, zero where there is no sample; return sum w log p(x)."""
    total = 0.0
    for b in range(count):
        weight = sample_weight[start + b, I0]
        total += weight * log_prob_norm[b]
        scale[b] *= weight
    for b in range(count, BLOCK):
        scale[b] = 0.0
    return total


@block_function
def _load_resp(resp, start, count, n_components, block, scale):
    """Copy the block's given responsibilities, which are already normalised."""
    scale[:] = 1.0
    for k in range(n_components):
        for b in range(count):
            block[k * STRIDE + b] = resp[start + b, k, I0]
        for b in range(count, BLOCK):
            block[k * STRIDE + b] = 0.0


@slot_function
def accumulate_slot(X, sample_weight, resp, packed, start, stop, statistics):
    """Write the statistics of the rows start to stop.

    Where ``packed`` has coefficients the responsibilities are the posterior: distances,
    normalisation and moments of a block follow one another while it is in cache. Where it has
    centres alone they are given by ``resp``.
    """
    K = U(packed.n_components)
    block = _scratch_rows(packed)
    scratch = _scratch_rows(packed)
    values = _component_rows(packed)
    norm = aligned_empty(STRIDE)
    scale = aligned_empty(STRIDE)
    rows = aligned_empty(BLOCK * U(packed.n_features))
    pending = empty_pending(packed)
    statistics[:] = 0.0
    norm[:] = 0.0
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        _load(X, first, count, packed, rows, block)
        if packed.coefficients.size == 0:
            _load_resp(resp, first, count, K, values, scale)
        else:
            block_log_prob(block, packed, scratch, norm, values)
            normalize_block(values, K, norm, scale)
        total = _share(sample_weight, first, count, norm, scale)
        statistics[statistics.size - I1] += total
        add_block_moments(rows, block, values, scale, count, packed, pending, statistics)
    flush_all(packed, pending, statistics)


@block_function
def _store_rows(values, start, count, n_components, out):
    for b in range(count):
        for k in range(n_components):
            out[start + b, k] = values[k * STRIDE + b]


@block_function
def _store_scaled_rows(values, scale, start, count, n_components, out):
    for b in range(count):
        for k in range(n_components):
            out[start + b, k] = values[k * STRIDE + b] * scale[b]


@slot_function
def posterior_slot(X, packed, start, stop, log_prob, log_prob_norm, resp, labels):
    """Evaluate the rows start to stop; outputs of length 0 are not wanted."""
    K = U(packed.n_components)
    block = _scratch_rows(packed)
    scratch = _scratch_rows(packed)
    values = _component_rows(packed)
    norm = aligned_empty(STRIDE)
    scale = aligned_empty(STRIDE)
    rows = aligned_empty(BLOCK * U(packed.n_features))
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        _load(X, first, count, packed, rows, block)
        block_log_prob(block, packed, scratch, norm, values)
        if log_prob.shape[0] > 0:
            _store_rows(values, first, count, K, log_prob)
        if labels.shape[0] > 0:
            for b in range(count):
                labels[first + b] = best_component(values, K, b)
        if log_prob_norm.shape[0] == 0 and resp.shape[0] == 0:
            continue
        normalize_block(values, K, norm, scale)
        if log_prob_norm.shape[0] > 0:
            for b in range(count):
                log_prob_norm[first + b] = norm[b]
        if resp.shape[0] > 0:
            _store_scaled_rows(values, scale, first, count, K, resp)


@slot_function
def normalize_slot(log_prob, log_prob_norm, start, stop):
    """Normalise the rows start to stop of (n, K) log-probabilities in place."""
    K = U(log_prob.shape[1])
    values = aligned_empty((K + I3) // I4 * I4 * STRIDE)
    norm = aligned_empty(STRIDE)
    scale = aligned_empty(STRIDE)
    values[:] = 0.0
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        for k in range(K):
            for b in range(count):
                values[k * STRIDE + b] = log_prob[first + b, k]
        normalize_block(values, K, norm, scale)
        for b in range(count):
            log_prob_norm[first + b] = norm[b]
        _store_scaled_rows(values, scale, first, count, K, log_prob)


@block_function
def _merge_chunk(slots, chunk, out):
    """Add the slots, in their order, to one chunk of the sums."""
    start = chunk * _MERGE_CHUNK
    stop = min(start + _MERGE_CHUNK, U(out.size))
    for t in range(U(slots.shape[0])):
        for i in range(start, stop):
            out[i] += slots[t, i]


@parallel
def accumulate(X, sample_weight, resp, packed, bounds, slots, out):
    """Run ``accumulate_slot`` for every slot and merge."""
    for t in prange(slots.shape[0]):
        accumulate_slot(X, sample_weight, resp, packed, U(bounds[t]), U(bounds[t + 1]), slots[t])
    for chunk in prange((out.size + _MERGE_CHUNK_SIZE - 1) // _MERGE_CHUNK_SIZE):
        _merge_chunk(slots, U(chunk), out)


@parallel
def posterior(X, packed, bounds, log_prob, log_prob_norm, resp, labels):
    """Run ``posterior_slot`` for every slot."""
    for t in prange(bounds.size - 1):
        posterior_slot(
            X, packed, U(bounds[t]), U(bounds[t + 1]), log_prob, log_prob_norm, resp, labels
        )


@parallel
def normalize(log_prob, log_prob_norm, bounds):
    """Run ``normalize_slot`` for every slot."""
    for t in prange(bounds.size - 1):
        normalize_slot(log_prob, log_prob_norm, U(bounds[t]), U(bounds[t + 1]))
