"""Exact posteriors of blocks of samples that are compared with some of the components.

The parameters of these are copied, so that the steps of a block are those of ``passes.py``. A copy
takes a fraction of the time in which they are compared with all samples of the block.
"""

import numpy as np
from numba import prange

from .jit import I0, I1, I2, I4, U, by_type, parallel_pass, part, shared_part, step
from .layout import up_to_four
from .load import load_block
from .mahalanobis import block_log_prob
from .posterior import find_best, normalize_block
from .primitives import not_inlined, sizes, tail, vector_loop
from .scratch import lay_out_scratch, scratch_size
from .selection import CUT


@part
def _copy(values, size, some, count, out):
    """Copy the numbers of some components, so many each.

    values, some  IN
    out           OUT
    """
    for a in range(count):
        source, target = tail(values, U(some[a]) * size), tail(out, a * size)
        for i in range(size):
            target[i] = source[i]


@part
def _copy_interleaved(values, height, some, count, out):
    """Copy the numbers of some components, of which four are interleaved; behind the last zeros.

    values, some  IN
    out           OUT
    """
    for a in range(up_to_four(count)):
        target = tail(out, a // I4 * I4 * height + a % I4)
        if a < count:
            k = U(some[a])
            source = tail(values, k // I4 * I4 * height + k % I4)
            for j in range(height):
                target[j * I4] = source[j * I4]
        else:
            for j in range(height):
                target[j * I4] = 0.0


def _constructor(cls):
    def construct(packed, n_components, coefficients, factors, shifts, squares):
        return cls(
            n_components, packed.n_features, packed.origin, coefficients, factors, shifts, squares,
            packed.whitener, packed.centers, packed.leading, packed.offset, packed.lowest,
            packed.smallest_weight, packed.largest_weight,
        )  # fmt: skip

    return construct


#: Return the same with other components.
_with_components = by_type(_constructor)


@step
def _numbers_each(packed):
    """Return how many numbers of the factors belong to one component.

    packed  IN
    """
    if packed.squares.size > 0:
        return up_to_four(U(packed.n_features))
    return U(packed.factors.size) // U(packed.n_components)


@part
def _take_some(packed, some, count, memory):
    """Return some of the components, as they are packed.

    packed, some  IN
    memory        OUT  workspace
    """
    d, size = U(packed.n_features), _numbers_each(packed)
    coefficients = memory
    shifts = tail(coefficients, up_to_four(count))
    factors = tail(shifts, up_to_four(count) * d)
    squares = packed.squares
    _copy_interleaved(packed.coefficients, I1, some, count, coefficients)
    if squares.size > 0:
        squares = tail(factors, up_to_four(count) * size)
        _copy_interleaved(packed.squares, I1, some, count, squares)
        _copy_interleaved(packed.shifts, I1, some, count, shifts)
        _copy_interleaved(packed.factors, size, some, count, factors)
    else:
        _copy(packed.shifts, d, some, count, shifts)
        _copy(packed.factors, size, some, count, factors)
    return _with_components(packed, np.int64(count), coefficients, factors, shifts, squares)


@shared_part
def _listed_block(X, packed, some, n_some, first, scratch, memory, log_prob_norm, labels):
    """Evaluate the block that begins with row ``first``.

    X, packed, some        IN
    scratch, memory        OUT  workspace
    log_prob_norm, labels  OUT
    """
    not_inlined()
    vector_loop()
    BLOCK = sizes(packed.centers)[0]
    count = min(BLOCK, U(labels.size) - first)
    taken = _take_some(packed, some, n_some, memory)
    load_block(taken, X, first, count, scratch)
    block_log_prob(taken, scratch, CUT)
    find_best(scratch.values, n_some, scratch.share, scratch.extra)
    for b in range(count):
        labels[first + b] = some[U(scratch.extra[b])]
    normalize_block(scratch, n_some, packed.offset, CUT)
    for b in range(count):
        log_prob_norm[first + b] = scratch.norm[b]


@part
def _most(edges):
    """Return the length of the longest list.

    edges  IN
    """
    most = I0
    for t in range(len(edges) - 1):
        most = max(most, U(edges[t + 1] - edges[t]))
    return most


@shared_part
def _listed_slot(X, packed, edges, listed, start, stop, memory, used, log_prob_norm, labels):
    """Evaluate the blocks start to stop.

    X, packed, edges, listed  IN
    memory                    OUT  workspace; the scratch takes the first ``used`` numbers
    log_prob_norm, labels     OUT
    """
    not_inlined()
    BLOCK, d = sizes(packed.centers)[0], U(packed.n_features)
    scratch = lay_out_scratch(memory, _most(edges), d, False, packed.centers)
    for w in range(start, stop):
        some, n_some = tail(listed, U(edges[w])), U(edges[w + 1] - edges[w])
        own = tail(memory, used)
        _listed_block(X, packed, some, n_some, w * BLOCK, scratch, own, log_prob_norm, labels)


@parallel_pass
def posterior_listed(X, packed, edges, listed, slots, log_prob_norm, labels):
    """Run ``_listed_slot`` for every slot; slots are ranges of blocks.

    X, packed, edges, listed, slots  IN
    log_prob_norm, labels            OUT
    """
    d, most = U(packed.n_features), _most(edges)
    used = U(scratch_size(most, d, False, packed.centers))
    size = used + up_to_four(most) * (I2 + d + _numbers_each(packed))
    for t in prange(len(slots) - 1):
        start, stop = U(slots[t]), U(slots[t + 1])
        memory = np.empty(size)
        _listed_slot(X, packed, edges, listed, start, stop, memory, used, log_prob_norm, labels)
