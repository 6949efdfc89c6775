"""The best components of samples, searched near those that were the best before.

The samples of a group, whose best candidate was the same component, are a few blocks. All of a
block are compared with the same components, whose parameters are read once.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import prange

from .block import fill
from .jit import I0, I1, I2, I4, I8, U, parallel_pass, part, reduction, shared_part, slot_function
from .padded import padded_log_prob
from .posterior import exp64, log
from .primitives import not_inlined, sizes, tail, vector_loop

# Neighbouring blocks, which one thread takes: they share components and samples in its caches.
_RUN = 8
# Runs of blocks take turns in so many slots, each of them with a number for each component.
_SLOTS = 64
_SMALLEST = -708.0


class Search(NamedTuple):
    """What one thread works on: rows of a block, STRIDE numbers each, and lists."""

    x: Any  # (height rows) samples
    z: Any  # (height rows) samples about a mean
    y: Any  # (4 rows)
    log_prob: Any
    values: Any  # (P rows) log-probabilities of the best, best first
    best: Any  # (P rows) int64: which these are
    total: Any
    stamps: Any  # (K,) int64: the block that a component was last listed for, plus 1
    listed: Any  # int64
    scores: Any  # (groups, G) of the neighbours of the groups that begin in the block


@part
def _list(k, block, stamps, listed, n):
    """List a component, unless it is listed for this block; return how many are.

    stamps  IN OUT
    listed  OUT
    """
    if stamps[k] == block:
        return n
    stamps[k] = block
    listed[n] = k
    return n + I1


@part
def _insert(value, k, b, width, values, best):
    """Insert a component among the best of a sample, behind those that are as good.

    values, best  IN OUT
    """
    STRIDE = sizes(values)[1]
    p = width - I1
    while p > I0 and value > values[(p - I1) * STRIDE + b]:
        values[p * STRIDE + b] = values[(p - I1) * STRIDE + b]
        best[p * STRIDE + b] = best[(p - I1) * STRIDE + b]
        p -= I1
    values[p * STRIDE + b] = value
    best[p * STRIDE + b] = k


@reduction
def _count_above(values, threshold, count):
    """Return how many values are above their thresholds.

    values, threshold  IN
    """
    vector_loop()
    n = I0
    for b in range(count):
        n += U(values[b] > threshold[b])
    return n


@reduction
def _sum(values, start, stop):
    """Return the sum of some values.

    values  IN
    """
    vector_loop()
    total = 0.0
    for b in range(start, stop):
        total += values[b]
    return total


@part
def _load_listed(X, d, rows, count, scratch):
    """Write listed samples as the rows of a block.

    X, rows  IN
    x        OUT  of the scratch
    """
    STRIDE = sizes(scratch.x)[1]
    for b in range(count):
        x = tail(X, U(rows[b]) * d)
        for j in range(d):
            scratch.x[j * STRIDE + b] = x[j]


@part
def _list_all(search, w, count, width, candidates, scratch):
    """List the components that a block is compared with; return their number.

    These are its candidates, if the search is wide their neighbours, the neighbours of its groups,
    and one at random.

    search, candidates  IN
    stamps, listed      OUT  of the scratch
    """
    first = U(search.blocks[w])
    block, n = np.int64(w + I1), I0
    for b in range(count):
        own = tail(candidates, U(search.rows[first + b]) * width)
        for p in range(width):
            n = _list(U(own[p]), block, scratch.stamps, scratch.listed, n)
    G = U(search.n_neighbors)
    for a in range(n if search.is_wide else I0):
        near = tail(search.neighbors, U(scratch.listed[a]) * G)
        for g in range(G):
            n = _list(U(near[g]), block, scratch.stamps, scratch.listed, n)
    group = U(search.first_groups[w])
    while group < search.components.size and search.bounds[group] < search.blocks[w + I1]:
        near = tail(search.neighbors, U(search.components[group]) * G)
        for g in range(G):
            n = _list(U(near[g]), block, scratch.stamps, scratch.listed, n)
        group += I1
    return _list(U(search.extra[w]), block, scratch.stamps, scratch.listed, n)


@part
def _insert_neighbor(score, k, last, scores, near):
    """Insert a component among the neighbours of another, which is the first of them.

    scores, near  IN OUT
    """
    g = last
    if g == I0 or k == U(near[0]) or not score > scores[g]:
        return
    while g > I1 and score > scores[g - I1]:
        scores[g] = scores[g - I1]
        near[g] = near[g - I1]
        g -= I1
    scores[g] = score
    near[g] = k


@part
def _score(search, w, k, scratch, neighbors):
    """Let a component become a neighbour of the groups that begin in a block.

    Its score is its mean log-probability over the samples of the group in the block.

    search     IN
    log_prob   IN      of the scratch
    scores     IN OUT  of the scratch
    neighbors  IN OUT
    """
    first, stop = search.blocks[w], search.blocks[w + I1]
    G = U(search.n_neighbors)
    group = first_group = U(search.first_groups[w])
    while group < search.components.size and search.bounds[group] < stop:
        begins, ends = search.bounds[group], min(search.bounds[group + I1], stop)
        if begins >= first and ends > begins:
            mean = _sum(scratch.log_prob, U(begins - first), U(ends - first)) / (ends - begins)
            near = tail(neighbors, U(search.components[group]) * G)
            scores = tail(scratch.scores, (group - first_group) * G)
            _insert_neighbor(mean, k, G - I1, scores, near)
        group += I1


@part
def _exponentiate_best(values, maximum, count, total):
    """Write e^(value - maximum), and add it up.

    maximum  IN
    values   IN OUT
    total    ADDS TO
    """
    vector_loop()
    for b in range(count):
        values[b] = exp64(values[b] - maximum[b], _SMALLEST)
        total[b] += values[b]


@part
def _normalize(count, width, scratch):
    """Turn the best log-probabilities into responsibilities; leave the logarithm of their sum.

    values    IN OUT  of the scratch
    log_prob  OUT     of the scratch: log sum exp
    total     OUT     of the scratch
    """
    vector_loop()
    values, total, maximum = scratch.values, scratch.total, scratch.log_prob
    STRIDE = sizes(values)[1]
    for b in range(count):
        maximum[b] = values[b]
        total[b] = 0.0
    for p in range(width):
        _exponentiate_best(tail(values, p * STRIDE), maximum, count, total)
    for b in range(count):
        maximum[b] = maximum[b] + log(total[b])
        total[b] = 1.0 / total[b]


@shared_part
def _search_block(X, d, padded, search, w, scratch, candidates, resp, log_prob_norm, neighbors):
    """Find the best components of the samples of a block, and the neighbours of its groups.

    X, padded, search    IN
    scratch              OUT     workspace
    candidates           IN OUT  flat
    resp, log_prob_norm  OUT     resp flat
    neighbors            IN OUT
    """
    not_inlined()
    STRIDE = sizes(scratch.x)[1]
    width = U(candidates.size // log_prob_norm.size)
    first = U(search.blocks[w])
    count = U(search.blocks[w + I1]) - first
    rows = tail(search.rows, first)
    padded_count = (count + I8 - I1) // I8 * I8
    _load_listed(X, d, rows, count, scratch)
    n = _list_all(search, w, count, width, candidates, scratch)
    for p in range(width):
        fill(tail(scratch.values, p * STRIDE), -np.inf)
    for g in range(U(scratch.scores.size)):
        scratch.scores[g] = -np.inf
    log_prob, worst = scratch.log_prob, tail(scratch.values, (width - I1) * STRIDE)
    for a in range(n):
        k = U(scratch.listed[a])
        padded_log_prob(padded, k, padded_count, scratch.x, scratch.z, scratch.y, log_prob)
        if _count_above(log_prob, worst, count) > I0:
            for b in range(count):
                if log_prob[b] > worst[b]:
                    _insert(log_prob[b], k, b, width, scratch.values, scratch.best)
        _score(search, w, k, scratch, neighbors)
    _normalize(padded_count, width, scratch)
    for b in range(count):
        row = U(rows[b])
        log_prob_norm[row] = log_prob[b]
        for p in range(width):
            resp[row * width + p] = scratch.values[p * STRIDE + b] * scratch.total[b]
            candidates[row * width + p] = scratch.best[p * STRIDE + b]


@slot_function
def _workspace(padded, search, width):
    """Return the memory of one thread.

    padded, search  IN
    """
    BLOCK, STRIDE = sizes(padded.means)[:2]
    h, K = U(padded.height), U(padded.n_components)
    most = min(K, BLOCK * (width + I1) * (U(search.n_neighbors) + I1))
    floats = np.zeros((I2 * h + I4 + width + I2) * STRIDE)
    z, y = tail(floats, h * STRIDE), tail(floats, I2 * h * STRIDE)
    log_prob, total = tail(y, I4 * STRIDE), tail(y, (I4 + I1) * STRIDE)
    values = tail(total, STRIDE)
    best = np.zeros(width * STRIDE, np.int64)
    stamps, listed = np.zeros(K, np.int64), np.zeros(most, np.int64)
    scores = np.empty(search.most_groups * search.n_neighbors)
    return Search(floats, z, y, log_prob, values, best, total, stamps, listed, scores)


@parallel_pass
def search(X, order, padded, search, candidates, resp, log_prob_norm, neighbors):
    """Find the best components of all samples.

    Slots have equally many runs of blocks, up to one: each thread gets its share of the slots.

    X, padded, search    IN      X flat
    candidates           IN OUT  flat
    resp, log_prob_norm  OUT     resp flat
    neighbors            IN OUT  as those of the search, which are read
    """
    d, n_blocks = U(order), len(search.blocks) - 1
    width = U(candidates.size // log_prob_norm.size)
    n_runs = (n_blocks + _RUN - 1) // _RUN
    turns = (n_runs + _SLOTS - 1) // _SLOTS
    n_slots = (n_runs + turns - 1) // turns
    for t in prange(n_slots):
        scratch = _workspace(padded, search, width)
        for w in range(n_blocks):
            if w // _RUN % n_slots == t:
                _search_block(
                    X, d, padded, search, U(w), scratch, candidates, resp, log_prob_norm, neighbors
                )
