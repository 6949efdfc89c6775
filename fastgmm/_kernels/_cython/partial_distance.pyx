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

cdef extern from "<math.h>":
    double sqrt(double x) noexcept nogil

cdef extern from *:
    # how many blocks are computed in full after a block that left nothing out
    const uint64_t PAUSE "((uint64_t)15)"


cdef size_t _lower(
    const work* restrict maximum, work cut, work* restrict threshold
) noexcept nogil:
    """Lower the thresholds that were too high; return how many.

    maximum, cut  IN
    threshold     IN OUT
    """
    cdef uint64_t count = 0
    cdef work needed
    cdef size_t b
    for b in range(BLOCK):
        needed = maximum[b] - cut
        count += <uint64_t> (needed < threshold[b])
        threshold[b] = needed if needed < threshold[b] else threshold[b]
    return count


cdef void _complete(
    const Packed* packed, const Scratch* scratch, size_t k, size_t first, size_t m
) noexcept nogil:
    """Complete the listed samples of component k, and raise their maximum.

    packed                      IN
    rows, index                 IN      of the scratch
    values, maximum             IN OUT  of the scratch
    gathered, whitened, extra   OUT     of the scratch
    """
    cdef work* values = scratch.values + k * STRIDE
    # up to whole vectors: padding lanes hold old indices, and their results are discarded
    cdef size_t count = (m + 15) // 16 * 16
    cdef size_t a, b
    for a in range(count):
        scratch.extra[a] = values[scratch.index[a]]
    gather(
        scratch.rows, scratch.zeros, packed.n_features, scratch.index, count, scratch.gathered
    )
    subtract_rows(
        packed, k, first, packed.n_features, scratch.gathered, count, scratch.whitened,
        scratch.extra
    )
    for a in range(m):
        b = scratch.index[a]
        values[b] = scratch.extra[a]
        if scratch.extra[a] > scratch.maximum[b]:
            scratch.maximum[b] = scratch.extra[a]


cdef size_t _select_all(
    const Scratch* scratch, size_t n_components, uint64_t seen
) noexcept nogil:
    """Select the values that reach their threshold, in all components; return how many.

    values, threshold  IN      of the scratch
    words              IN OUT  of the scratch
    """
    cdef size_t selected = 0
    cdef size_t k
    cdef uint64_t* words
    for k in range(n_components):
        words = scratch.words + k * WORDS
        select(
            scratch.values + k * STRIDE, <work> LOG_PROB_FLOOR, scratch.threshold, words, seen
        )
        selected += count_selected(words)
    return selected


cdef void _complete_all(
    const Packed* packed, const Scratch* scratch, size_t first, size_t most
) noexcept nogil:
    """Complete the selected samples: gathered or, if more than ``most``, the whole block.

    packed                      IN
    rows, block                 IN      of the scratch
    words, values, maximum      IN OUT  of the scratch
    """
    cdef size_t k, m, i
    cdef work* values
    cdef uint64_t* words
    for k in range(packed.n_components):
        values = scratch.values + k * STRIDE
        words = scratch.words + k * WORDS
        m = list_selected(words, scratch.index)
        if m == 0:
            continue
        if m <= most:
            _complete(packed, scratch, k, first, m)
            continue
        subtract_rows(
            packed, k, first, packed.n_features, scratch.block, BLOCK, scratch.whitened, values
        )
        raise_maximum(values, scratch.maximum)
        for i in range(WORDS):
            words[i] = ~<uint64_t> 0


cdef void full_log_prob(
    const Packed* packed, const Scratch* scratch, double cut
) noexcept nogil:
    """Compute some rows of every component for all samples, the others where they matter."""
    cdef size_t d = packed.n_features
    cdef size_t K = packed.n_components
    cdef size_t first = first_rows(d)
    cdef size_t stop = packed.leading
    cdef size_t k, rest, cost, gain
    cdef double growth
    if cut == INFINITE or scratch.pause[0] > 0:
        stop = d
        scratch.pause[0] -= min(scratch.pause[0], <uint64_t> 1)
    for k in range(K):
        start(packed, k, scratch.block, BLOCK, scratch.values + k * STRIDE)
    while True:
        for k in range(K):
            subtract_rows(
                packed, k, first, stop, scratch.block, BLOCK, scratch.whitened,
                scratch.values + k * STRIDE
            )
        find_maximum(scratch.values, K, scratch.maximum)
        if stop == d:
            return
        growth = 0.5 * <double> (d - stop)
        subtract(scratch.maximum, <work> (cut + growth + sqrt(growth)), scratch.threshold)
        # measured: a gathered sample costs rest + 6 d + 60 multiply-adds, a sample of a whole block
        # 3/4 of rest
        rest = (d - stop) * (d + stop + 3) // 2
        cost = 4 * (rest + 6 * d + 60)
        gain = 3 * rest * BLOCK
        first = stop
        if 2 * _select_all(scratch, K, 0) * cost <= gain * K:
            break
        if 4 * first < 3 * d:
            stop += (d - stop + 15) // 16 * 4
        else:
            stop = d
            scratch.pause[0] = PAUSE
    fill(scratch.maximum, <work> LOG_PROB_FLOOR)
    _complete_all(packed, scratch, first, gain // cost)
    if _lower(scratch.maximum, <work> cut, scratch.threshold) > 0:
        _select_all(scratch, K, ~<uint64_t> 0)
        _complete_all(packed, scratch, first, BLOCK)
