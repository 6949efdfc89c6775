"""Parallel passes over the samples: blocks within slots, slots over threads.

A slot is a fixed range of rows with statistics of its own, merged in order: the number of
threads changes no bit. Scratch, and so the arithmetic, has the type of the packed components.
"""

import numpy as np
from numba import prange

from ..layout import SMALLEST_BLOCK
from .jit import I0, I1, I2, U, parallel_pass, part, shared_part, step
from .kept_distances import keeps_distances, listed_posterior, written_log_prob
from .layout import up_to_four
from .load import load_block, load_resp, load_weight
from .mahalanobis import block_log_prob
from .moments import add_block_moments, add_listed_moments
from .posterior import find_best, find_maximum, normalize_block
from .primitives import not_inlined, sizes, vector_loop
from .scratch import lay_out_scratch, scratch_size
from .selection import CUT
from .sums import count_unsafe, share_out
from .waiting import flush_all

_MERGE_CHUNK_SIZE = 4096
_MERGE_CHUNK = U(_MERGE_CHUNK_SIZE)
_UNIT = U(SMALLEST_BLOCK)


@step
def _is_safe(count, packed, scratch):
    """Return whether the type ``work`` can represent this block.

    packed, scratch  IN
    """
    unsafe = count_unsafe(
        scratch.maximum, scratch.weight, count,
        packed.lowest, packed.smallest_weight, packed.largest_weight,
    )  # fmt: skip
    return unsafe == I0


@shared_part
def _accumulate_slot(X, sample_weight, resp, packed, kept, start, stop, todo, memory, statistics):
    """Write the statistics of those blocks of the rows start to stop that are still to do.

    Where ``packed`` has coefficients the responsibilities are the posterior: distances,
    normalisation and moments of a block follow one another while it is in cache. Where it has
    centres alone they are given by ``resp``. A block that its type cannot represent is left
    to do.

    X, sample_weight, resp, packed  IN
    kept                            IN OUT  see kept_distances.py
    todo                            IN OUT  an element for each block, 0 once it has been added
    memory                          OUT     workspace
    statistics                      OUT
    """
    not_inlined()
    vector_loop()
    BLOCK, STRIDE = sizes(packed.centers)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    size = U(statistics.size)
    # moments of one or two features are sums over all samples
    cut = CUT if d > I2 else np.inf
    is_given = packed.coefficients.size == 0
    is_listed = keeps_distances(packed) and kept.upper.size > 0
    scratch = lay_out_scratch(memory, K, d, True, packed.centers)
    for i in range(size):
        statistics[i] = 0.0
    for b in range(STRIDE):
        scratch.norm[b] = 0.0
    for first in range(start, stop, BLOCK):
        if todo[first // _UNIT] == 0:
            continue
        count = min(BLOCK, stop - first)
        load_weight(sample_weight, first, count, scratch)
        if is_listed:
            listed_posterior(packed, X, scratch, kept, first, count, cut)
        else:
            load_block(packed, X, first, count, scratch)
            if is_given:
                load_resp(resp, first, count, K, scratch)
            else:
                written_log_prob(packed, scratch, kept, first, cut)
                normalize_block(scratch, K, packed.offset, cut)
        if not is_given and not _is_safe(count, packed, scratch):
            continue
        for unit in range(first // _UNIT, (first + count + _UNIT - I1) // _UNIT):
            todo[unit] = 0
        statistics[size - I1] += share_out(
            scratch.weight, scratch.norm, scratch.scale, count, scratch.share
        )
        if is_listed:
            add_listed_moments(packed, count, scratch, statistics)
        else:
            add_block_moments(packed, count, scratch, statistics)
    flush_all(packed, scratch, statistics)


@part
def _merge_chunk(slots, chunk, out):
    """Add the slots, in their order, to one chunk of the sums.

    slots  IN
    out    ADDS TO
    """
    start = chunk * _MERGE_CHUNK
    stop = min(start + _MERGE_CHUNK, U(out.size))
    for s in range(len(slots)):
        for i in range(start, stop):
            out[i] += slots[s, i]


@parallel_pass
def accumulate(X, sample_weight, resp, packed, kept, bounds, todo, slots, out):
    """Run ``_accumulate_slot`` for every slot, and merge.

    X, sample_weight, resp, packed, bounds  IN
    kept, todo                              IN OUT
    slots                                   OUT      workspace
    out                                     ADDS TO
    """
    K, d = U(packed.n_components), U(packed.n_features)
    size = scratch_size(K, d, True, packed.centers)
    for t in prange(len(slots)):
        start, stop = U(bounds[t]), U(bounds[t + 1])
        memory = np.empty(size)
        _accumulate_slot(X, sample_weight, resp, packed, kept, start, stop, todo, memory, slots[t])
    for chunk in prange((out.size + _MERGE_CHUNK_SIZE - 1) // _MERGE_CHUNK_SIZE):
        _merge_chunk(slots, U(chunk), out)


@part
def _store_rows(values, start, count, n_components, out):
    """Write the values of a block as rows.

    values  IN
    out     OUT
    """
    STRIDE = sizes(values)[1]
    for b in range(count):
        for k in range(n_components):
            out[start + b, k] = values[k * STRIDE + b]


@part
def _store_scaled_rows(values, scale, start, count, n_components, out):
    """Write the scaled values of a block as rows.

    values, scale  IN
    out            OUT
    """
    STRIDE = sizes(values)[1]
    for b in range(count):
        for k in range(n_components):
            out[start + b, k] = values[k * STRIDE + b] * scale[b]


@shared_part
def _posterior_slot(X, packed, start, stop, memory, log_prob, log_prob_norm, resp, labels):
    """Evaluate the rows start to stop; outputs of length 0 are not wanted.

    X, packed                              IN
    memory                                 OUT  workspace
    log_prob, log_prob_norm, resp, labels  OUT
    """
    not_inlined()
    vector_loop()
    BLOCK = sizes(packed.centers)[0]
    K, d = U(packed.n_components), U(packed.n_features)
    has_log_prob, has_resp = log_prob.shape[0] > 0, resp.shape[0] > 0
    has_norm, has_labels = log_prob_norm.size > 0, labels.size > 0
    cut = np.inf if has_log_prob or has_resp else CUT
    scratch = lay_out_scratch(memory, K, d, False, packed.centers)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load_block(packed, X, first, count, scratch)
        block_log_prob(packed, scratch, cut)
        if has_log_prob:
            _store_rows(scratch.values, first, count, K, log_prob)
        if has_labels:
            find_best(scratch.values, K, scratch.share, scratch.extra)
            for b in range(count):
                labels[first + b] = scratch.extra[b]
        if not (has_norm or has_resp):
            continue
        normalize_block(scratch, K, packed.offset, cut)
        if has_norm:
            for b in range(count):
                log_prob_norm[first + b] = scratch.norm[b]
        if has_resp:
            _store_scaled_rows(scratch.values, scratch.scale, first, count, K, resp)


@parallel_pass
def posterior(X, packed, bounds, log_prob, log_prob_norm, resp, labels):
    """Run ``_posterior_slot`` for every slot.

    X, packed, bounds                      IN
    log_prob, log_prob_norm, resp, labels  OUT  those of length 0 are not wanted
    """
    K, d = U(packed.n_components), U(packed.n_features)
    size = scratch_size(K, d, False, packed.centers)
    for t in prange(len(bounds) - 1):
        start, stop = U(bounds[t]), U(bounds[t + 1])
        memory = np.empty(size)
        _posterior_slot(X, packed, start, stop, memory, log_prob, log_prob_norm, resp, labels)


@shared_part
def _normalize_slot(log_prob, log_prob_norm, start, stop, memory):
    """Normalise the rows start to stop of (n, K) log-probabilities in place.

    log_prob       IN OUT
    log_prob_norm  OUT
    memory         OUT  workspace
    """
    not_inlined()
    vector_loop()
    BLOCK, STRIDE = sizes(log_prob)[:2]
    K = U(log_prob.shape[1])
    scratch = lay_out_scratch(memory, K, I1, False, log_prob_norm)
    values = scratch.values
    for o in range(up_to_four(K) * STRIDE):
        values[o] = 0.0
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


@parallel_pass
def normalize(log_prob, log_prob_norm, bounds):
    """Run ``_normalize_slot`` for every slot.

    bounds         IN
    log_prob       IN OUT
    log_prob_norm  OUT
    """
    K = U(log_prob.shape[1])
    size = scratch_size(K, I1, False, log_prob_norm)
    for t in prange(len(bounds) - 1):
        start, stop = U(bounds[t]), U(bounds[t + 1])
        memory = np.empty(size)
        _normalize_slot(log_prob, log_prob_norm, start, stop, memory)
