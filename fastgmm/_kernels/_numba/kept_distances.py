"""Full covariances: components that the distances of an earlier pass rule out.

EM changes the parameters little from one pass to the next. So one pass writes down a code for each
distance, and the passes after it bound their own distances by the codes: by the triangle
inequality, as Elkan (ICML 2003) does for k-means. Components that cannot come within ``cut`` of
the best one of a sample are left out. The others are computed as in any other pass, to the same
bits.

``KeptDistances`` says what the codes and the bounds are.
"""

import numpy as np

from ..kept_distances import LARGEST_CODE, MARGIN
from ..layout import SMALLEST_BLOCK
from .block import fill
from .jit import I0, I1, I2, I3, I4, I16, U, by_covariance_type, by_dimension, part
from .layout import first_rows
from .mahalanobis import block_log_prob
from .partial_distance import gather
from .posterior import LOG_PROB_FLOOR, raise_maximum
from .primitives import cast, sizes, tail, vector_loop
from .selection import WORD, list_selected, subtract
from .triangle import start, subtract_rows

_UNIT = U(SMALLEST_BLOCK)
_LARGEST = np.uint8(LARGEST_CODE)
_EXACT = np.uint8(LARGEST_CODE + 1)
_NOT_EXACT = np.uint8(0)
_ZERO, _LOWEST = np.float32(0.0), np.float32(-np.inf)


@part
def _encode(values, coefficient, scale, threshold, codes):
    """Write the codes of one component; return how many of its samples are exact.

    values, threshold  IN
    codes              OUT
    """
    vector_loop()
    count = I0
    largest, zero = cast(LARGEST_CODE, values), cast(0.0, values)
    for b in range(_UNIT):
        y = np.sqrt(max(coefficient - values[b], zero)) * scale
        y = y if y < largest else largest
        is_exact = values[b] >= threshold[b] and y < largest
        codes[b] = np.uint8(np.int32(y)) | (_EXACT if is_exact else _NOT_EXACT)
        count += U(is_exact)
    return count


@part
def _write_codes(packed, scratch, kept, first, cut):
    """Write the codes of a block.

    packed, values, maximum  IN
    threshold                OUT  of the scratch
    kept                     OUT  codes, counts
    """
    values, threshold = scratch.values, scratch.threshold
    BLOCK, STRIDE = sizes(values)[:2]
    K = U(packed.n_components)
    count = I0
    subtract(scratch.maximum, cast(cut, values), threshold)
    for u in range(BLOCK // _UNIT):
        o = u * _UNIT
        codes = tail(kept.codes, (first + o) * K)
        for k in range(K):
            row, scale = tail(values, k * STRIDE + o), cast(1.0 / kept.steps[k], values)
            count += _encode(
                row, packed.coefficients[k], scale, tail(threshold, o), tail(codes, k * _UNIT)
            )
    kept.counts[first // _UNIT] = count


@part
def _raise_bound(codes, scale, shift, coefficient, bound):
    """Raise the bounds below the best log-probability by those of one component.

    codes  IN
    bound  IN OUT
    """
    vector_loop()
    for b in range(_UNIT):
        y = scale * np.float32(codes[b] & _LARGEST) + shift
        bound[b] = max(bound[b], coefficient - y * y if codes[b] > _LARGEST else _LOWEST)


@part
def _mark_candidates(codes, scale, shift, coefficient, bound):
    """Return a word whose bits say at which of 64 samples a component may matter.

    codes, bound  IN
    """
    vector_loop()
    word = I0
    for b in range(WORD):
        y = max(scale * np.float32(codes[b] & _LARGEST) + shift, _ZERO)
        word |= U(coefficient - y * y >= bound[b]) << U(b)
    return word


@part
def _select_candidates(scratch, n_components, kept, first, count, cut):
    """Select the samples at which each component may matter.

    kept          IN
    words, bound  OUT  of the scratch
    """
    BLOCK = sizes(scratch.values)[0]
    fill(scratch.bound, -np.inf)
    for u in range(BLOCK // _UNIT):
        o = u * _UNIT
        codes, bound = tail(kept.codes, (first + o) * n_components), tail(scratch.bound, o)
        for k in range(n_components):
            far = tail(kept.lower, I3 * k)
            _raise_bound(tail(codes, k * _UNIT), far[0], far[1], far[2] - np.float32(cut), bound)
    # what fills a block up changes with the origin
    for b in range(count, BLOCK):
        scratch.bound[b] = _LOWEST
    for u in range(BLOCK // _UNIT):
        o = u * _UNIT
        codes, bound = tail(kept.codes, (first + o) * n_components), tail(scratch.bound, o)
        for k in range(n_components):
            near, own = tail(kept.upper, I3 * k), tail(codes, k * _UNIT)
            words = tail(scratch.words, (k * BLOCK + o) // WORD)
            for i in range(_UNIT // WORD):
                w = i * WORD
                words[i] = _mark_candidates(tail(own, w), near[0], near[1], near[2], tail(bound, w))


@part
def _scatter(scratch, m, values):
    """Write the values of the listed samples, and raise their maximum; others do not matter.

    index, extra  IN      of the scratch
    maximum       IN OUT  of the scratch
    values        OUT
    """
    index, extra, maximum = scratch.index, scratch.extra, scratch.maximum
    fill(values, LOG_PROB_FLOOR)
    for a in range(m):
        b = index[a]
        value = extra[a]
        values[b] = value
        maximum[b] = max(maximum[b], value)


@part
def _compute_candidates(packed, scratch, kept, first, count, cut):
    """Write the log-probabilities of the components that may matter, and the largest.

    packed, kept                IN
    rows, block                 IN   of the scratch
    values, maximum             OUT  of the scratch
    gathered, whitened, extra   OUT  of the scratch
    counts                      OUT  of kept
    """
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    _select_candidates(scratch, K, kept, first, count, cut)
    fill(scratch.maximum, LOG_PROB_FLOOR)
    # as in partial_distance.py: from so many samples on, the whole block takes less time
    rest = d * (d + I3) // I2
    most = I3 * rest * BLOCK // (I4 * (rest + U(6) * d + U(60)))
    n_candidates = I0
    for k in range(K):
        values = tail(scratch.values, k * STRIDE)
        m = list_selected(tail(scratch.words, k * (BLOCK // WORD)), values, scratch.index)
        n_candidates += m
        if m == I0:
            fill(values, LOG_PROB_FLOOR)
            continue
        x, some, out = scratch.block, BLOCK, values
        if m <= most:
            # up to whole vectors: padding lanes hold old indices, and their results are discarded
            x, some, out = scratch.gathered, (m + I16 - I1) // I16 * I16, scratch.extra
            gather(scratch.rows, d, scratch.index, some, x)
        start(packed, k, x, some, out)
        subtract_rows(packed, k, first_rows(d), d, x, some, scratch.whitened, out)
        if m <= most:
            _scatter(scratch, m, values)
        else:
            raise_maximum(values, scratch.maximum)
    kept.counts[first // _UNIT] = n_candidates


@part
def _space(packed, scratch, kept, first, count, cut):
    if kept.upper.size > 0:
        _compute_candidates(packed, scratch, kept, first, count, cut)
    else:
        is_written = kept.codes.size > 0
        block_log_prob(packed, scratch, cut + MARGIN if is_written else cut)
        if is_written:
            _write_codes(packed, scratch, kept, first, cut)


@part
def _others(packed, scratch, kept, first, count, cut):
    block_log_prob(packed, scratch, cut)


_full = by_dimension(plane=_others, space=_space)

#: Do as ``block_log_prob`` does. Use the distances that are kept, or write them down.
#:
#: packed       IN
#: rows, block  IN      of the scratch
#: kept         IN OUT
#: first        IN      the first row of the block
#: count        IN      how many samples it has
#: cut          IN
#: values       OUT     of the scratch
#: maximum      OUT     of the scratch
kept_log_prob = by_covariance_type(full=_full, tied=_others, diag=_others, spherical=_others)
