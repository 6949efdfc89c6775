"""Full covariances: components that the distances of an earlier pass rule out.

EM changes the parameters little from one pass to the next. So one pass writes down a code for each
distance, and the passes after it bound their own distances by the codes: by the triangle
inequality, as Elkan (ICML 2003) does for k-means. Components that cannot come within ``cut`` of
the best one of a sample are left out. The others are computed as in any other pass, to the same
bits.

``KeptDistances`` says what the codes and the bounds are.
"""

cdef extern from *:
    # of _kernels/kept_distances.py
    const int32_t LARGEST "((int32_t)127)"
    const int32_t EXACT "((int32_t)128)"
    const double MARGIN "24.0"


cdef size_t _encode(
    const work* restrict values, work coefficient, work scale, const work* restrict threshold,
    uint8_t* restrict codes
) noexcept nogil:
    """Write the codes of one component; return how many of its samples are exact.

    values, threshold  IN
    codes              OUT
    """
    cdef size_t count = 0
    cdef work y
    cdef int32_t code
    cdef size_t b
    for b in range(SMALLEST_BLOCK):
        y = coefficient - values[b]
        y = sqrt(y if y > 0 else 0) * scale
        y = y if y < LARGEST else <work> LARGEST
        code = <int32_t> y
        codes[b] = code + EXACT if values[b] >= threshold[b] and code < LARGEST else code
    for b in range(SMALLEST_BLOCK):
        count += codes[b] > LARGEST
    return count


cdef void _write_codes(
    const Packed* packed, const Scratch* scratch, const Kept* kept, size_t first, double cut
) noexcept nogil:
    """Write the codes of a block.

    packed, values, maximum  IN
    threshold                OUT  of the scratch
    kept                     OUT  codes, counts
    """
    cdef size_t K = packed.n_components
    cdef size_t count = 0
    cdef size_t u, o, k
    cdef uint8_t* codes
    subtract(scratch.maximum, <work> cut, scratch.threshold)
    for u in range(BLOCK // SMALLEST_BLOCK):
        o = u * SMALLEST_BLOCK
        codes = kept.codes + (first + o) * K
        for k in range(K):
            count += _encode(
                scratch.values + k * STRIDE + o, packed.coefficients[k],
                <work> (1.0 / kept.steps[k]), scratch.threshold + o, codes + k * SMALLEST_BLOCK
            )
    kept.counts[first // SMALLEST_BLOCK] = count


cdef void _raise_bound(
    const uint8_t* restrict codes, float scale, float shift, float coefficient,
    float* restrict bound
) noexcept nogil:
    """Raise the bounds below the best log-probability by those of one component.

    codes  IN
    bound  IN OUT
    """
    cdef float y, value
    cdef size_t b
    for b in range(SMALLEST_BLOCK):
        y = scale * <float> (codes[b] & LARGEST) + shift
        value = coefficient - y * y if codes[b] > LARGEST else <float> -INFINITE
        bound[b] = value if value > bound[b] else bound[b]


cdef uint64_t _mark_candidates(
    const uint8_t* restrict codes, float scale, float shift, float coefficient,
    const float* restrict bound
) noexcept nogil:
    """Return a word whose bits say at which of 64 samples a component may matter.

    codes, bound  IN
    """
    cdef uint64_t word = 0
    cdef uint64_t b
    cdef float y
    for b in range(64):
        y = scale * <float> (codes[b] & LARGEST) + shift
        y = y if y > 0 else 0
        word |= <uint64_t> (coefficient - y * y >= bound[b]) << b
    return word


cdef void _select_candidates(
    const Scratch* scratch, size_t n_components, const Kept* kept, size_t first, size_t count,
    double cut
) noexcept nogil:
    """Select the samples at which each component may matter.

    kept          IN
    words, bound  OUT  of the scratch
    """
    cdef size_t u, o, k, i
    cdef const float* at
    cdef const uint8_t* codes
    cdef uint64_t* words
    for o in range(BLOCK):
        scratch.bound[o] = <float> -INFINITE
    for u in range(BLOCK // SMALLEST_BLOCK):
        o = u * SMALLEST_BLOCK
        codes = kept.codes + (first + o) * n_components
        for k in range(n_components):
            at = kept.lower + 3 * k
            _raise_bound(
                codes + k * SMALLEST_BLOCK, at[0], at[1], at[2] - <float> cut, scratch.bound + o
            )
    # what fills a block up changes with the origin
    for o in range(count, BLOCK):
        scratch.bound[o] = <float> -INFINITE
    for u in range(BLOCK // SMALLEST_BLOCK):
        o = u * SMALLEST_BLOCK
        codes = kept.codes + (first + o) * n_components
        for k in range(n_components):
            at = kept.upper + 3 * k
            words = scratch.words + (k * BLOCK + o) // 64
            for i in range(SMALLEST_BLOCK // 64):
                words[i] = _mark_candidates(
                    codes + k * SMALLEST_BLOCK + i * 64, at[0], at[1], at[2],
                    scratch.bound + o + i * 64
                )


cdef void _transpose_if_needed(
    const Scratch* scratch, size_t n_components, size_t d, size_t count, size_t most
) noexcept nogil:
    """Transpose the samples if a component takes the whole block, for distances or moments.

    rows, words  IN   of the scratch
    block        OUT
    """
    cdef size_t largest = 0
    cdef size_t k
    for k in range(n_components):
        largest = max(largest, count_selected(scratch.words + k * WORDS))
    if largest > most or takes_whole_block(largest, count, d):
        transpose(scratch.rows, scratch.zeros, d, BLOCK, scratch.block)


cdef void _keep_list(
    const uint64_t* index, const work* values, size_t count, uint16_t* samples, work* maximum
) noexcept nogil:
    """Keep which samples a component has candidates at, and raise their maximum.

    index, values  IN
    samples        OUT
    maximum        IN OUT
    """
    cdef size_t a, b
    for a in range(count):
        b = index[a]
        samples[a] = <uint16_t> b
        if values[a] > maximum[b]:
            maximum[b] = values[a]


cdef void _compute_candidates(
    const Packed* packed, const Scratch* scratch, const Kept* kept, size_t first, size_t count,
    double cut
) noexcept nogil:
    """List the log-probabilities of the components that may matter, and write the largest.

    packed, kept                      IN
    rows                              IN   of the scratch
    values, samples, n_listed         OUT  of the scratch: lists
    maximum                           OUT  of the scratch
    block, gathered, whitened, extra  OUT  of the scratch
    counts                            OUT  of kept
    """
    cdef size_t K = packed.n_components
    cdef size_t d = packed.n_features
    # as in partial_distance.pyx: from so many samples on, the whole block takes less time
    cdef size_t rest = d * (d + 3) // 2
    cdef size_t most = 3 * rest * BLOCK // (4 * (rest + 6 * d + 60))
    cdef size_t n_candidates = 0
    cdef size_t k, m, some, a
    cdef const work* x
    cdef work* values
    cdef work* out
    _select_candidates(scratch, K, kept, first, count, cut)
    fill(scratch.maximum, <work> LOG_PROB_FLOOR)
    _transpose_if_needed(scratch, K, d, count, most)
    for k in range(K):
        values = scratch.values + k * STRIDE
        m = list_selected(scratch.words + k * WORDS, scratch.index)
        scratch.n_listed[k] = m
        n_candidates += m
        if m == 0:
            continue
        x, some, out = scratch.block, BLOCK, scratch.extra
        if m <= most:
            # up to whole vectors: padding lanes hold old indices, and their results are discarded
            x, some, out = scratch.gathered, (m + 15) // 16 * 16, values
            gather(scratch.rows, scratch.zeros, d, scratch.index, some, scratch.gathered)
        start(packed, k, x, some, out)
        subtract_rows(packed, k, first_rows(d), d, x, some, scratch.whitened, out)
        if m > most:
            for a in range(m):
                values[a] = scratch.extra[scratch.index[a]]
        _keep_list(scratch.index, values, m, scratch.samples + k * BLOCK, scratch.maximum)
    kept.counts[first // SMALLEST_BLOCK] = n_candidates


cdef bint keeps_distances(const Packed* packed) noexcept nogil:
    """Return whether passes over such components keep distances.

    packed  IN
    """
    return packed.kind == FULL and packed.n_features > 2


cdef void written_log_prob(
    const Packed* packed, const Scratch* scratch, const Kept* kept, size_t first, double cut
) noexcept nogil:
    """Do as ``block_log_prob`` does, and write the distances down if they are to be kept.

    packed       IN
    rows, block  IN   of the scratch
    kept         OUT  codes, counts
    first        IN   the first row of the block
    cut          IN
    values       OUT  of the scratch
    maximum      OUT  of the scratch
    """
    cdef bint is_written = keeps_distances(packed) and kept.codes != NULL
    block_log_prob(packed, scratch, cut + MARGIN if is_written else cut)
    if is_written:
        _write_codes(packed, scratch, kept, first, cut)


cdef void listed_posterior(
    const Packed* packed, const Samples* X, const Scratch* scratch, const Kept* kept,
    size_t first, size_t count, double cut
) noexcept nogil:
    """Write the posterior of a block as lists, from distances that are kept.

    packed, X                         IN
    kept                              IN   codes, upper, lower
    counts                            OUT  of kept
    first                             IN   the first row of the block
    count                             IN   how many samples it has
    cut                               IN
    rows                              OUT  of the scratch
    block                             OUT  of the scratch, if a component matters to many samples
    values, samples, n_listed, scale  OUT  of the scratch: see ``normalize_lists``
    norm, maximum                     OUT  of the scratch
    words, index, bound, threshold    OUT  of the scratch: workspace
    gathered, whitened, extra, share  OUT  of the scratch: workspace
    """
    load_rows(X, first, count, packed, scratch)
    _compute_candidates(packed, scratch, kept, first, count, cut)
    normalize_lists(scratch, packed.n_components, packed.offset, cut)
