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
from .block import fill, gather, transpose
from .jit import I0, I1, I2, I3, I4, I16, U, by_covariance_type, by_dimension, part, step
from .layout import first_rows
from .load import load_rows
from .mahalanobis import block_log_prob
from .moments import takes_whole_block
from .posterior import LOG_PROB_FLOOR, normalize_lists
from .primitives import cast, sizes, tail, vector_loop
from .selection import WORD, count_selected, list_selected, subtract
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


@step
def _transpose_if_needed(scratch, n_components, d, count, most):
    """Transpose the samples if a component takes the whole block, for distances or moments.

    rows, words  IN   of the scratch
    block        OUT
    """
    BLOCK = sizes(scratch.values)[0]
    largest = I0
    for k in range(n_components):
        words = tail(scratch.words, k * (BLOCK // WORD))
        largest = max(largest, count_selected(words, scratch.values))
    if largest > most or takes_whole_block(largest, count, d):
        transpose(scratch.rows, scratch.zeros, d, BLOCK, scratch.block)


@part
def _keep_list(index, values, count, samples, maximum):
    """Keep which samples a component has candidates at, and raise their maximum.

    index, values  IN
    samples        OUT
    maximum        IN OUT
    """
    for a in range(count):
        b = index[a]
        samples[a] = np.uint16(b)
        maximum[b] = max(maximum[b], values[a])


@part
def _compute_candidates(packed, scratch, kept, first, count, cut):
    """List the log-probabilities of the components that may matter, and write the largest.

    packed, kept                       IN
    rows                               IN   of the scratch
    values, samples, n_listed          OUT  of the scratch: lists
    maximum                            OUT  of the scratch
    block, gathered, whitened, extra   OUT  of the scratch
    counts                             OUT  of kept
    """
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    index, extra = scratch.index, scratch.extra
    _select_candidates(scratch, K, kept, first, count, cut)
    fill(scratch.maximum, LOG_PROB_FLOOR)
    # as in partial_distance.py: from so many samples on, the whole block takes less time
    rest = d * (d + I3) // I2
    most = I3 * rest * BLOCK // (I4 * (rest + U(6) * d + U(60)))
    _transpose_if_needed(scratch, K, d, count, most)
    n_candidates = I0
    for k in range(K):
        values = tail(scratch.values, k * STRIDE)
        m = list_selected(tail(scratch.words, k * (BLOCK // WORD)), values, index)
        scratch.n_listed[k] = m
        n_candidates += m
        if m == I0:
            continue
        x, some, out = scratch.block, BLOCK, extra
        if m <= most:
            # up to whole vectors: padding lanes hold old indices, and their results are discarded
            x, some, out = scratch.gathered, (m + I16 - I1) // I16 * I16, values
            gather(scratch.rows, scratch.zeros, d, index, some, x)
        start(packed, k, x, some, out)
        subtract_rows(packed, k, first_rows(d), d, x, some, scratch.whitened, out)
        if m > most:
            for a in range(m):
                values[a] = extra[index[a]]
        _keep_list(index, values, m, tail(scratch.samples, k * BLOCK), scratch.maximum)
    kept.counts[first // _UNIT] = n_candidates


def _always(packed):
    return True


def _never(packed):
    return False


_full_keeps = by_dimension(plane=_never, space=_always)

#: Return whether passes over such components keep distances.
#:
#: packed  IN
keeps_distances = by_covariance_type(full=_full_keeps, tied=_never, diag=_never, spherical=_never)


@part
def _written(packed, scratch, kept, first, cut):
    is_written = kept.codes.size > 0
    block_log_prob(packed, scratch, cut + MARGIN if is_written else cut)
    if is_written:
        _write_codes(packed, scratch, kept, first, cut)


@part
def _unwritten(packed, scratch, kept, first, cut):
    block_log_prob(packed, scratch, cut)


_full = by_dimension(plane=_unwritten, space=_written)

#: Do as ``block_log_prob`` does, and write the distances down if they are to be kept.
#:
#: packed       IN
#: rows, block  IN   of the scratch
#: kept         OUT  codes, counts
#: first        IN   the first row of the block
#: cut          IN
#: values       OUT  of the scratch
#: maximum      OUT  of the scratch
written_log_prob = by_covariance_type(
    full=_full, tied=_unwritten, diag=_unwritten, spherical=_unwritten
)


@part
def _listed_posterior(packed, X, scratch, kept, first, count, cut):
    load_rows(packed, X, first, count, scratch)
    _compute_candidates(packed, scratch, kept, first, count, cut)
    normalize_lists(scratch, U(packed.n_components), packed.offset, cut)


@part
def _no_posterior(packed, X, scratch, kept, first, count, cut):
    pass


_full_posterior = by_dimension(plane=_no_posterior, space=_listed_posterior)

#: Write the posterior of a block as lists, from distances that are kept.
#:
#: packed, X                         IN
#: kept                              IN   codes, upper, lower
#: counts                            OUT  of kept
#: first                             IN   the first row of the block
#: count                             IN   how many samples it has
#: cut                               IN
#: rows                              OUT  of the scratch
#: block                             OUT  of the scratch, if a component matters to many samples
#: values, samples, n_listed, scale  OUT  of the scratch: see ``normalize_lists``
#: norm, maximum                     OUT  of the scratch
#: words, index, bound, threshold    OUT  of the scratch: workspace
#: gathered, whitened, extra, share  OUT  of the scratch: workspace
listed_posterior = by_covariance_type(
    full=_full_posterior, tied=_no_posterior, diag=_no_posterior, spherical=_no_posterior
)
