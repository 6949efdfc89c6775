"""Full covariances: distances that are left unfinished where they cannot matter.

The first rows of a factor bound a log-probability from above, since each further row subtracts
a square:

    log_prob[k] <= coefficient_k - |first rows of (factor_k x + shift_k)|^2

Where the bound is far below the best component of a sample, the rest need not be known. On
separated clusters few are left; their samples are gathered, one component at a time, and
completed (partial distance elimination: Bei and Gray, IEEE Transactions on Communications 33,
1985). As long as too many are left, some more rows are taken for all.

The best is not known in advance, but what the rows to come will subtract from it is expected:
half a unit each. Where it was more, a last round takes what the one before left out.
"""

import numpy as np

from ._jit import (
    I0,
    I1,
    I2,
    I3,
    I4,
    I16,
    U,
    block_function,
    by_dimension,
    sizes,
    spliced,
    vector_loop,
)
from .block import fill, transpose_tile
from .pointers import cast
from .posterior import LOG_PROB_FLOOR, find_maximum, raise_maximum
from .selection import WORD, count_selected, list_selected, select, subtract
from .triangle import first_rows, start, subtract_rows

_COMPLETE = I1
# blocks that are not searched after one that had nothing to leave out
_PAUSE = U(15)


@spliced
def _gather(scratch, row, m, d, gathered):
    """Copy the listed samples and their values, up to whole vectors; return how many.

    What the list held before fills the last vector, and does no harm.
    """
    values, index = scratch.values, scratch.index
    count = (m + I16 - I1) // I16 * I16
    for a in range(count):
        values[scratch.extra + a] = values[row + index[a]]
    _gather_rows(scratch.rows, d, index, count, scratch.block, gathered)
    return count


@block_function
def _gather_rows(rows, d, index, count, block, o):
    """Write listed samples, a multiple of 4, into the rows of a block."""
    for a in range(I0, count, I4):
        i0, i1 = index[a] * d, index[a + I1] * d
        i2, i3 = index[a + I2] * d, index[a + I3] * d
        transpose_tile(rows, i0, i1, i2, i3, d, block, o + a)


@spliced
def _put_back(scratch, row, m):
    """Store the values of listed samples, and raise their maximum."""
    values, maximum, index = scratch.values, scratch.maximum, scratch.index
    for a in range(m):
        b = index[a]
        value = values[scratch.extra + a]
        values[row + b] = value
        maximum[b] = max(maximum[b], value)


@spliced
def _select_all(scratch, n_components, seen):
    """Select what reaches its threshold, in all components; return how many samples."""
    values, words = scratch.values, scratch.words
    BLOCK, STRIDE = sizes(values)[:2]
    lowest = cast(LOG_PROB_FLOOR, values)
    selected = I0
    for k in range(n_components):
        w = k * (BLOCK // WORD)
        select(values, k * STRIDE, lowest, scratch.threshold, words, w, seen)
        selected += count_selected(words, w, values)
    return selected


@block_function
def _lower(maximum, cut, threshold):
    """Lower the thresholds to what is needed; return how many were too high."""
    vector_loop()
    BLOCK = sizes(maximum)[0]
    count = I0
    for b in range(BLOCK):
        needed = maximum[b] - cut
        count += U(needed < threshold[b])
        threshold[b] = min(threshold[b], needed)
    return count


def _plane_log_prob(packed, scratch, cut):
    for k in range(U(packed.n_components)):
        start(packed, k, scratch.block, scratch.values)
    find_maximum(scratch.values, U(packed.n_components), scratch.maximum)


def _space_log_prob(packed, scratch, cut):
    """One component after another: some rows for all samples, then the others where they matter.

    In one loop, so that what all rounds do is compiled once.
    """
    block, out, maximum = scratch.block, scratch.values, scratch.maximum
    words, threshold, pause = scratch.words, scratch.threshold, scratch.pause
    BLOCK, STRIDE = sizes(block)[:2]
    K, d = U(packed.n_components), U(packed.n_features)
    gathered = (d + I3) // I4 * I4 * STRIDE
    width = first_rows(d)
    first, stop = width, U(packed.leading)
    if cut == np.inf or pause[I0] > I0:
        stop = d
        pause[I0] -= min(pause[I0], I1)
    stage = seen = cost = gain = I0
    while True:
        for k in range(K):
            row = k * STRIDE
            w = k * (BLOCK // WORD)
            xo = m = I0
            count, to = BLOCK, row
            if stage == _COMPLETE:
                m = list_selected(words, w, out, scratch.index)
                if m == I0:
                    continue
                if seen != I0 or m * cost <= gain:
                    xo, to = gathered, scratch.extra
                    count = _gather(scratch, row, m, d, gathered)
            elif first == width:
                start(packed, k, block, out)
            subtract_rows(packed, k, first, stop, block, xo, count, scratch.whitened, out, to)
            if to == scratch.extra:
                _put_back(scratch, row, m)
            elif stage == _COMPLETE:
                raise_maximum(out, row, maximum)
                for i in range(w, w + BLOCK // WORD):
                    words[i] = ~I0
        if stage == _COMPLETE:
            if seen != I0 or _lower(maximum, cast(cut, out), threshold) == I0:
                return
            seen = ~I0
        else:
            find_maximum(out, K, maximum)
            if stop == d:
                return
            growth = 0.5 * np.float64(d - stop)
            subtract(maximum, cast(cut + growth + np.sqrt(growth), out), threshold)
        selected = _select_all(scratch, K, seen)
        if stage == _COMPLETE:
            continue
        # measured: completing 3/4 of a block as it is takes as long as all of it gathered, which
        # takes another 6 d + 60 multiply-adds a sample
        rest = (d - stop) * (d + stop + I3) // I2
        cost, gain = I4 * (rest + U(6) * d + U(60)), I3 * rest * BLOCK
        first = stop
        if I2 * selected * cost <= gain * K:
            stage, stop = _COMPLETE, d
            fill(maximum, I0, LOG_PROB_FLOOR)
        elif I4 * first < I3 * d:
            stop += (d - stop + I16 - I1) // I16 * I4
        else:
            stop = d
            pause[I0] = _PAUSE


#: Write the log-probabilities of full covariances, and the largest.
full_log_prob = by_dimension(plane=_plane_log_prob, space=_space_log_prob)
