"""Passes over rows with missing values: what is expected given the others."""

import numpy as np
from numba import prange

from ..layout import TIED
from .block import fill
from .jit import I0, I1, I2, I3, I4, I16, U, parallel_pass, part, shared_part
from .layout import up_to_four
from .observed import factor_of, is_matrix, observed_log_prob, regress_run, run_end, whiten_observed
from .passes import _MERGE_CHUNK_SIZE, _merge_chunk
from .posterior import find_best, normalize_block
from .primitives import carve, not_inlined, sizes, tail
from .regression import add_covariance, predict
from .scratch import lay_out_scratch, scratch_size
from .selection import CUT, WORD, list_selected
from .sums import add_products, share_out, weighted_sums


@part
def _second_offset(plain, k):
    """Return where the second moments of a component are in the statistics.

    plain  IN
    """
    K, d = U(plain.n_components), U(plain.n_features)
    rows = up_to_four(d) // I4
    size = I16 * (rows * (rows + I1) // I2) if is_matrix(plain) else d
    shared = I0 if plain.kind == TIED else U(k)
    return K * (I1 + d) + shared * size


@part
def _gather_samples(block, d, index, count, out):
    """Write listed samples of a block.

    block, index  IN
    out           OUT
    """
    STRIDE = sizes(block)[1]
    for j in range(d):
        own, to = tail(block, j * STRIDE), tail(out, j * STRIDE)
        for a in range(count):
            to[a] = own[index[a]]


@part
def _fill_in(plain, k, count, scratch, matrices, missing, statistics):
    """Write conditional means in place of missing deviations, and add conditional covariances.

    plain              IN
    gathered, w        IN       of the scratch
    z                  IN OUT   of the scratch
    whitened, wz       OUT      of the scratch
    matrices, missing  OUT      workspace
    statistics         ADDS TO
    """
    d = U(plain.n_features)
    second = tail(statistics, _second_offset(plain, k))
    factor = factor_of(plain, k)
    r, inverse = tail(matrices, d * d), tail(matrices, I2 * d * d)
    start = I0
    while start < count:
        stop = run_end(scratch.gathered, d, start, count)
        m = regress_run(plain, k, scratch.gathered, start, stop, scratch, matrices, missing)[0]
        weight = 0.0
        for a in range(start, stop):
            weight += scratch.w[a]
        if is_matrix(plain):
            t, z = tail(scratch.wz, start), tail(scratch.z, start)
            predict(r, d, missing, m, stop - start, t, z)
            add_covariance(r, d, missing, m, weight, inverse, second)
        else:
            for a in range(m):
                j = missing[a]
                second[j] += weight / (factor[j] * factor[j])
        start = stop


@part
def _add_component(plain, k, count, scratch, matrices, missing, statistics):
    """Add the moments of listed samples of a block to those of a component.

    plain                 IN
    block, values, share  IN       of the scratch
    index                 IN       of the scratch
    matrices, missing     OUT      workspace
    statistics            ADDS TO
    """
    STRIDE = sizes(scratch.block)[1]
    K, d = U(plain.n_components), U(plain.n_features)
    w, resp = scratch.w, tail(scratch.values, k * STRIDE)
    for a in range(count):
        w[a] = resp[scratch.index[a]] * scratch.share[scratch.index[a]]
        statistics[k] += w[a]
    padded = (count + I16 - I1) // I16 * I16
    for a in range(count, padded):
        w[a] = 0.0
    _gather_samples(scratch.block, d, scratch.index, count, scratch.gathered)
    whiten_observed(plain, k, scratch.gathered, count, scratch.z, scratch.whitened)
    _fill_in(plain, k, count, scratch, matrices, missing, statistics)
    first, second = tail(statistics, K + k * d), tail(statistics, _second_offset(plain, k))
    for j in range(d):
        z = tail(scratch.z, j * STRIDE)
        for a in range(count, padded):
            z[a] = 0.0
        if not is_matrix(plain):
            sums = weighted_sums(z, 0.0, w, padded)
            first[j] += sums[0]
            second[j] += sums[1]
    if is_matrix(plain):
        add_products(scratch.z, w, d, padded, scratch.wz, first, second)


@shared_part
def _accumulate_incomplete_slot(X, sample_weight, plain, start, stop, memory, used, statistics):
    """Write the statistics of the rows start to stop.

    X, sample_weight, plain, used  IN
    memory                         OUT  workspace; the scratch takes the first ``used`` numbers
    statistics                     OUT
    """
    not_inlined()
    BLOCK = sizes(memory)[0]
    K, d = U(plain.n_components), U(plain.n_features)
    size = U(statistics.size)
    scratch = lay_out_scratch(memory, K, d, True, plain.means)
    matrices = tail(memory, used)
    missing = carve(memory, used + I3 * d * d, np.uint64)
    for i in range(size):
        statistics[i] = 0.0
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        observed_log_prob(X, plain, first, count, scratch, matrices, missing)
        normalize_block(scratch, K, 0.0, CUT)
        fill(scratch.weight, 0.0)
        for b in range(count):
            scratch.weight[b] = sample_weight[first + b]
        statistics[size - I1] += share_out(
            scratch.weight, scratch.norm, scratch.scale, count, scratch.share
        )
        for k in range(K):
            words = tail(scratch.words, k * (BLOCK // WORD))
            n = list_selected(words, scratch.values, scratch.index)
            while n > I0 and scratch.index[n - I1] >= count:
                n -= I1  # those are behind the last sample
            if n > I0:
                _add_component(plain, k, n, scratch, matrices, missing, statistics)


@parallel_pass
def accumulate_incomplete(X, sample_weight, plain, bounds, slots, out):
    """Run ``_accumulate_incomplete_slot`` for every slot, and merge.

    X, sample_weight, plain, bounds  IN
    slots                            OUT      workspace
    out                              ADDS TO
    """
    K, d = U(plain.n_components), U(plain.n_features)
    used = U(scratch_size(K, d, True, plain.means))
    size = used + I3 * d * d + d
    for t in prange(len(slots)):
        start, stop = U(bounds[t]), U(bounds[t + 1])
        memory = np.empty(size)
        _accumulate_incomplete_slot(X, sample_weight, plain, start, stop, memory, used, slots[t])
    for chunk in prange((out.size + _MERGE_CHUNK_SIZE - 1) // _MERGE_CHUNK_SIZE):
        _merge_chunk(slots, U(chunk), out)


@shared_part
def _posterior_incomplete_slot(X, plain, start, stop, log_prob_norm, resp, labels, memory, used):
    """Evaluate the rows start to stop; outputs of length 0 are left alone.

    X, plain, used               IN
    log_prob_norm, resp, labels  OUT  resp flat
    memory                       OUT  workspace; the scratch takes the first ``used`` numbers
    """
    not_inlined()
    BLOCK, STRIDE = sizes(memory)[:2]
    K, d = U(plain.n_components), U(plain.n_features)
    scratch = lay_out_scratch(memory, K, d, True, plain.means)
    matrices = tail(memory, used)
    missing = carve(memory, used + I3 * d * d, np.uint64)
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        observed_log_prob(X, plain, first, count, scratch, matrices, missing)
        if labels.size > 0:
            find_best(scratch.values, K, scratch.share, scratch.extra)
            for b in range(count):
                labels[first + b] = scratch.extra[b]
        normalize_block(scratch, K, 0.0, np.inf)
        if log_prob_norm.size > 0:
            for b in range(count):
                log_prob_norm[first + b] = scratch.norm[b]
        if resp.size > 0:
            for b in range(count):
                for k in range(K):
                    resp[(first + b) * K + k] = scratch.values[k * STRIDE + b] * scratch.scale[b]


@parallel_pass
def posterior_incomplete(X, plain, bounds, log_prob_norm, resp, labels):
    """Run ``_posterior_incomplete_slot`` for every slot.

    X, plain, bounds             IN
    log_prob_norm, resp, labels  OUT  resp flat
    """
    K, d = U(plain.n_components), U(plain.n_features)
    used = U(scratch_size(K, d, True, plain.means))
    size = used + I3 * d * d + d
    for t in prange(len(bounds) - 1):
        start, stop = U(bounds[t]), U(bounds[t + 1])
        memory = np.empty(size)
        _posterior_incomplete_slot(X, plain, start, stop, log_prob_norm, resp, labels, memory, used)
