"""Passes over rows with missing values, which are NaN: what is expected given the others.

Rows with the same gaps should be neighbours. Each run of them in a block is one regression.
"""

import numpy as np
from numba import prange

from ..layout import FULL, TIED
from .block import advance, fill
from .jit import I0, I1, I2, I3, I4, I16, U, parallel_pass, part, shared_part, step
from .layout import up_to_four
from .passes import _MERGE_CHUNK_SIZE, _merge_chunk
from .posterior import best_component, find_maximum, log, normalize_block
from .primitives import carve, not_inlined, sizes, tail, vector_loop
from .regression import add_covariance, list_missing, orthogonalize, predict, project
from .scratch import lay_out_scratch, scratch_size
from .selection import CUT, WORD, list_selected
from .sums import add_outer_products, center_in_place, share_out, weighted_sums

_HALF_LOG_2PI = 0.9189385332046727


@part
def _is_matrix(plain):
    """Return whether covariances are matrices.

    plain  IN
    """
    return plain.kind == FULL or plain.kind == TIED


@step
def _factor(plain, k):
    """Return the factor of a component: tiles of U^T, or a number for each feature.

    plain  IN
    """
    shared = I0 if plain.kind == TIED else U(k)
    return tail(plain.factors, shared * U(plain.factor_size))


@part
def _second_offset(plain, k):
    """Return where the second moments of a component are in the statistics.

    plain  IN
    """
    K, d = U(plain.n_components), U(plain.n_features)
    rows = up_to_four(d) // I4
    size = I16 * (rows * (rows + I1) // I2) if _is_matrix(plain) else d
    shared = I0 if plain.kind == TIED else U(k)
    return K * (I1 + d) + shared * size


@part
def _load(X, d, first, count, block):
    """Write rows of X as the rows of a block, transposed.

    X      IN
    block  OUT
    """
    STRIDE = sizes(block)[1]
    for b in range(count):
        for j in range(d):
            block[j * STRIDE + b] = X[(first + b) * d + j]


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
def _run_end(block, d, start, count):
    """Return the first sample behind ``start`` that has other gaps.

    block  IN
    """
    STRIDE = sizes(block)[1]
    b = start + I1
    while b < count:
        for j in range(d):
            x, y = block[j * STRIDE + start], block[j * STRIDE + b]
            if (x == x) != (y == y):
                return b
        b += I1
    return b


@part
def _deviate(x, mean, count, z):
    """Write x - mean, or 0 where x is missing, of one feature.

    x  IN
    z  OUT
    """
    vector_loop()
    for b in range(count):
        value = x[b] - mean
        z[b] = value if value == value else 0.0


@shared_part
def _whiten_observed(plain, k, block, count, z, y):
    """Write z = x - mean, with 0 for what is missing, and y = U^T z.

    plain, block  IN
    z, y          OUT  (d rows)
    """
    not_inlined()
    STRIDE = sizes(block)[1]
    d = U(plain.n_features)
    for j in range(d):
        row = tail(z, j * STRIDE)
        _deviate(tail(block, j * STRIDE), plain.means[k * d + j], count, row)
    tile = _factor(plain, k)
    if not _is_matrix(plain):
        for j in range(d):
            for b in range(count):
                y[j * STRIDE + b] = tile[j] * z[j * STRIDE + b]
        return
    o = I0
    for i in range(up_to_four(d) // I4):
        rows = tail(y, i * I4 * STRIDE)
        for j in range(I4):
            for b in range(count):
                rows[j * STRIDE + b] = 0.0
        for j in range(i + I1):
            advance(tail(tile, o), tail(z, j * I4 * STRIDE), count, rows)
            o += I16


@part
def _add_squares(y, count, values):
    """Take y^2 / 2 from the log-probabilities.

    y       IN
    values  ADDS TO
    """
    vector_loop()
    for b in range(count):
        values[b] -= 0.5 * (y[b] * y[b])


@part
def _add_constant(values, value, start, stop):
    """Add a number to the log-probabilities of a run.

    values  ADDS TO
    """
    for b in range(start, stop):
        values[b] += value


@part
def _regress_run(plain, k, block, start, stop, scratch, matrices, missing):
    """Take what the missing features of a run explain from y; return their number and log det R.

    plain, block       IN
    whitened           IN OUT  of the scratch
    wz                 OUT     of the scratch: t
    matrices, missing  OUT     Q, R
    """
    d = U(plain.n_features)
    m = list_missing(block, d, start, missing)
    log_det = 0.0
    if not _is_matrix(plain):
        factor = _factor(plain, k)
        for a in range(m):
            log_det += log(factor[missing[a]])
    elif m > I0:
        r = tail(matrices, d * d)
        log_det = orthogonalize(_factor(plain, k), d, missing, m, matrices, r)
        y, t = tail(scratch.whitened, start), tail(scratch.wz, start)
        project(matrices, d, missing, m, stop - start, y, t)
    return m, log_det


@part
def _component_log_prob(plain, k, count, scratch, matrices, missing):
    """Write log (w_k N(x_O | k)) of a block.

    plain              IN
    block              IN   of the scratch
    whitened, z, wz    OUT  of the scratch
    values             OUT  of the scratch
    matrices, missing  OUT  workspace
    """
    STRIDE = sizes(scratch.block)[1]
    d = U(plain.n_features)
    values = tail(scratch.values, k * STRIDE)
    fill(values, plain.coefficients[k])
    _whiten_observed(plain, k, scratch.block, count, scratch.z, scratch.whitened)
    start = I0
    while start < count:
        stop = _run_end(scratch.block, d, start, count)
        m, log_det = _regress_run(plain, k, scratch.block, start, stop, scratch, matrices, missing)
        _add_constant(values, m * _HALF_LOG_2PI - log_det, start, stop)
        start = stop
    for j in range(d):
        _add_squares(tail(scratch.whitened, j * STRIDE), count, values)


@shared_part
def _block_log_prob(X, plain, first, count, scratch, matrices, missing):
    """Load a block, and write log (w_k N(x_O | k)) and the largest of each sample.

    X, plain           IN
    scratch            OUT
    matrices, missing  OUT  workspace
    """
    not_inlined()
    _load(X, U(plain.n_features), first, count, scratch.block)
    for k in range(U(plain.n_components)):
        _component_log_prob(plain, k, count, scratch, matrices, missing)
    find_maximum(scratch.values, U(plain.n_components), scratch.maximum)


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
    factor = _factor(plain, k)
    r, inverse = tail(matrices, d * d), tail(matrices, I2 * d * d)
    start = I0
    while start < count:
        stop = _run_end(scratch.gathered, d, start, count)
        m = _regress_run(plain, k, scratch.gathered, start, stop, scratch, matrices, missing)[0]
        weight = 0.0
        for a in range(start, stop):
            weight += scratch.w[a]
        if _is_matrix(plain):
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
    _whiten_observed(plain, k, scratch.gathered, count, scratch.z, scratch.whitened)
    _fill_in(plain, k, count, scratch, matrices, missing, statistics)
    first, second = tail(statistics, K + k * d), tail(statistics, _second_offset(plain, k))
    for j in range(d):
        z, wz = tail(scratch.z, j * STRIDE), tail(scratch.wz, j * STRIDE)
        for a in range(count, padded):
            z[a] = 0.0
        if _is_matrix(plain):
            first[j] += center_in_place(z, 0.0, w, padded, wz)
        else:
            sums = weighted_sums(z, 0.0, w, padded)
            first[j] += sums[0]
            second[j] += sums[1]
    if _is_matrix(plain):
        add_outer_products(scratch.wz, scratch.z, d, padded, second)


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
        _block_log_prob(X, plain, first, count, scratch, matrices, missing)
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
        _block_log_prob(X, plain, first, count, scratch, matrices, missing)
        if labels.size > 0:
            for b in range(count):
                labels[first + b] = best_component(scratch.values, K, b)
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
