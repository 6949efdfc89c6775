"""Full covariances: distances that are left unfinished where they cannot matter.

The first rows of a factor bound a log-probability from above, since each further row subtracts
a square:

    log_prob[k] <= coefficient_k - |first rows of (factor_k x + shift_k)|^2

Where the bound is far below the best component of a sample, the other rows are not needed. On
separated clusters only few distances must be completed. Their samples are gathered, one component
at a time (partial distance elimination: Bei and Gray, IEEE Transactions on Communications 33,
1985). While too many distances are left, some more rows are computed for all samples.

The best log-probability is not known in advance. Each further row is expected to subtract 1/2 from
it, and the threshold is set accordingly. If the threshold was too high, a second round completes
the samples that were skipped.
"""

import numpy as np

from .block import fill, gather
from .jit import I0, I1, I2, I3, I4, I16, U, by_dimension, part, step
from .layout import first_rows
from .posterior import LOG_PROB_FLOOR, find_maximum, raise_maximum
from .primitives import cast, sizes, tail, vector_loop
from .selection import WORD, count_selected, list_selected, select, subtract
from .triangle import start, subtract_rows

# blocks that are not searched after one that had nothing to leave out
_PAUSE = U(15)


@part
def _lower(maximum, cut, threshold):
    """Lower the thresholds that were too high; return how many.

    maximum, cut  IN
    threshold     IN OUT
    """
    vector_loop()
    BLOCK = sizes(maximum)[0]
    count = I0
    for b in range(BLOCK):
        needed = maximum[b] - cut
        count += U(needed < threshold[b])
        threshold[b] = min(threshold[b], needed)
    return count


@step
def _complete(packed, scratch, k, first, m):
    """Complete the listed samples of component k, and raise their maximum.

    packed                      IN
    rows, index                 IN      of the scratch
    values, maximum             IN OUT  of the scratch
    gathered, whitened, extra   OUT     of the scratch
    """
    index, extra, maximum = scratch.index, scratch.extra, scratch.maximum
    values = tail(scratch.values, k * sizes(extra)[1])
    d = U(packed.n_features)
    # up to whole vectors: padding lanes hold old indices, and their results are discarded
    count = (m + I16 - I1) // I16 * I16
    for a in range(count):
        extra[a] = values[index[a]]
    gather(scratch.rows, scratch.zeros, d, index, count, scratch.gathered)
    subtract_rows(packed, k, first, d, scratch.gathered, count, scratch.whitened, extra)
    for a in range(m):
        b = index[a]
        value = extra[a]
        values[b] = value
        maximum[b] = max(maximum[b], value)


@step
def _select_all(scratch, n_components, seen):
    """Select the values that reach their threshold, in all components; return how many.

    values, threshold  IN      of the scratch
    words              IN OUT  of the scratch
    """
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    lowest = cast(LOG_PROB_FLOOR, scratch.values)
    selected = I0
    for k in range(n_components):
        values = tail(scratch.values, k * STRIDE)
        words = tail(scratch.words, k * (BLOCK // WORD))
        select(values, lowest, scratch.threshold, words, seen)
        selected += count_selected(words, values)
    return selected


@part
def _complete_all(packed, scratch, first, most):
    """Complete the selected samples: gathered or, if more than ``most``, the whole block.

    packed                      IN
    rows, block                 IN      of the scratch
    words, values, maximum      IN OUT  of the scratch
    """
    BLOCK, STRIDE = sizes(scratch.values)[:2]
    for k in range(U(packed.n_components)):
        values = tail(scratch.values, k * STRIDE)
        words = tail(scratch.words, k * (BLOCK // WORD))
        m = list_selected(words, values, scratch.index)
        if m == I0:
            continue
        if m <= most:
            _complete(packed, scratch, k, first, m)
            continue
        d = U(packed.n_features)
        subtract_rows(packed, k, first, d, scratch.block, BLOCK, scratch.whitened, values)
        raise_maximum(values, scratch.maximum)
        for i in range(BLOCK // WORD):
            words[i] = ~I0


@part
def _plane_log_prob(packed, scratch, cut):
    values, K = scratch.values, U(packed.n_components)
    for k in range(K):
        start(packed, k, scratch.block, sizes(values)[0], tail(values, k * sizes(values)[1]))
    find_maximum(values, K, scratch.maximum)


@part
def _space_log_prob(packed, scratch, cut):
    """Take some rows of every factor for all samples, then the others where they matter."""
    values, maximum, pause = scratch.values, scratch.maximum, scratch.pause
    BLOCK, STRIDE = sizes(values)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    first, stop = first_rows(d), U(packed.leading)
    if cut == np.inf or pause[0] > I0:
        stop = d
        pause[0] -= min(pause[0], I1)
    for k in range(K):
        start(packed, k, scratch.block, BLOCK, tail(values, k * STRIDE))
    while True:
        for k in range(K):
            row = tail(values, k * STRIDE)
            subtract_rows(packed, k, first, stop, scratch.block, BLOCK, scratch.whitened, row)
        find_maximum(values, K, maximum)
        if stop == d:
            return
        growth = 0.5 * np.float64(d - stop)
        subtract(maximum, cast(cut + growth + np.sqrt(growth), values), scratch.threshold)
        # measured: completing 3/4 of a block as it is takes as long as all of it gathered, which
        # takes another 6 d + 60 multiply-adds a sample
        rest = (d - stop) * (d + stop + I3) // I2
        cost, gain = I4 * (rest + U(6) * d + U(60)), I3 * rest * BLOCK
        first = stop
        if I2 * _select_all(scratch, K, I0) * cost <= gain * K:
            break
        if I4 * first < I3 * d:
            stop += (d - stop + I16 - I1) // I16 * I4
        else:
            stop = d
            pause[0] = _PAUSE
    fill(maximum, LOG_PROB_FLOOR)
    most, seen = gain // cost, I0
    while True:
        _complete_all(packed, scratch, first, most)
        if seen != I0 or _lower(maximum, cast(cut, values), scratch.threshold) == I0:
            return
        most, seen = BLOCK, ~I0
        _select_all(scratch, K, seen)


#: Write the log-probabilities of full covariances, and the largest.
#:
#: packed, cut                 IN
#: rows, block                 IN   of the scratch
#: values, maximum             OUT  of the scratch
full_log_prob = by_dimension(plane=_plane_log_prob, space=_space_log_prob)
