"""The best components of samples, searched near those that were the best before.

The samples of a group, whose best candidate was the same component, are a few blocks. All of a
block are compared with the same components, whose parameters are read once.
"""

cdef extern from *:
    # Neighbouring blocks, which one thread takes: they share components and samples in its caches.
    const Py_ssize_t RUN "((Py_ssize_t)8)"
    const double SMALLEST "(-708.0)"


cdef struct CandidateSearch:
    const int64_t* rows
    const int64_t* components
    const int64_t* bounds
    const int64_t* blocks
    const int64_t* first_groups
    const int64_t* extra
    const int32_t* neighbors
    size_t n_neighbors
    size_t most_groups
    bint is_wide
    # the sizes of components and extra
    size_t n_groups
    size_t n_blocks


cdef struct Search:
    # what one thread works on: rows of a block, STRIDE numbers each, and lists
    size_t width
    # (height rows) samples, and samples about a mean
    work* x
    work* z
    # (4 rows)
    work* y
    work* log_prob
    # (width rows) log-probabilities of the best, best first, and which these are
    work* values
    int64_t* best
    work* total
    # (K,) the block that a component was last listed for, plus 1
    int64_t* stamps
    int64_t* listed
    # (groups, G) of the neighbours of the groups that begin in the block
    double* scores


cdef inline size_t _list(
    size_t k, int64_t block, int64_t* stamps, int64_t* listed, size_t n
) noexcept nogil:
    """List a component, unless it is listed for this block; return how many are.

    stamps  IN OUT
    listed  OUT
    """
    if stamps[k] == block:
        return n
    stamps[k] = block
    listed[n] = k
    return n + 1


cdef inline void _insert(
    work value, size_t k, size_t b, size_t width, work* values, int64_t* best
) noexcept nogil:
    """Insert a component among the best of a sample, behind those that are as good.

    values, best  IN OUT
    """
    cdef size_t p = width - 1
    while p > 0 and value > values[(p - 1) * STRIDE + b]:
        values[p * STRIDE + b] = values[(p - 1) * STRIDE + b]
        best[p * STRIDE + b] = best[(p - 1) * STRIDE + b]
        p -= 1
    values[p * STRIDE + b] = value
    best[p * STRIDE + b] = k


cdef size_t _count_above(
    const work* restrict values, const work* restrict threshold, size_t count
) noexcept nogil:
    """Return how many values are above their thresholds.

    values, threshold  IN
    """
    cdef size_t b, n = 0
    for b in range(count):
        n += values[b] > threshold[b]
    return n


cdef double _sum(const work* values, size_t start, size_t stop) noexcept nogil:
    """Return the sum of some values, by way of those of every eighth.

    values  IN
    """
    cdef double[8] parts
    cdef double total = 0.0
    cdef size_t b, i, eights = start + (stop - start) // 8 * 8
    for i in range(8):
        parts[i] = 0.0
    for b in range(start, eights, 8):
        for i in range(8):
            parts[i] += values[b + i]
    for i in range(8):
        total += parts[i]
    for b in range(eights, stop):
        total += values[b]
    return total


cdef void _load_listed(
    const double* X, size_t d, const int64_t* rows, size_t count, const Search* scratch
) noexcept nogil:
    """Write listed samples as the rows of a block.

    X, rows  IN
    x        OUT  of the scratch
    """
    cdef size_t b, j
    cdef const double* x
    for b in range(count):
        x = X + rows[b] * d
        for j in range(d):
            scratch.x[j * STRIDE + b] = <work> x[j]


cdef size_t _list_all(
    const CandidateSearch* search, size_t w, size_t count, size_t width,
    const int32_t* candidates, const Search* scratch
) noexcept nogil:
    """List the components that a block is compared with; return their number.

    These are its candidates, if the search is wide their neighbours, the neighbours of its groups,
    and one at random.

    search, candidates  IN
    stamps, listed      OUT  of the scratch
    """
    cdef size_t first = search.blocks[w], group = search.first_groups[w], G = search.n_neighbors
    cdef int64_t block = w + 1
    cdef size_t a, b, g, p, n_own, n = 0
    cdef const int32_t* near
    for b in range(count):
        near = candidates + search.rows[first + b] * width
        for p in range(width):
            n = _list(near[p], block, scratch.stamps, scratch.listed, n)
    n_own = n if search.is_wide else 0
    for a in range(n_own):
        near = search.neighbors + scratch.listed[a] * G
        for g in range(G):
            n = _list(near[g], block, scratch.stamps, scratch.listed, n)
    while group < search.n_groups and search.bounds[group] < search.blocks[w + 1]:
        near = search.neighbors + search.components[group] * G
        for g in range(G):
            n = _list(near[g], block, scratch.stamps, scratch.listed, n)
        group += 1
    return _list(search.extra[w], block, scratch.stamps, scratch.listed, n)


cdef void _insert_neighbor(
    double score, int32_t k, size_t last, double* scores, int32_t* near
) noexcept nogil:
    """Insert a component among the neighbours of another, which is the first of them.

    scores, near  IN OUT
    """
    cdef size_t g = last
    if g == 0 or k == near[0] or not score > scores[g]:
        return
    while g > 1 and score > scores[g - 1]:
        scores[g] = scores[g - 1]
        near[g] = near[g - 1]
        g -= 1
    scores[g] = score
    near[g] = k


cdef void _score(
    const CandidateSearch* search, size_t w, size_t k, const Search* scratch, int32_t* neighbors
) noexcept nogil:
    """Let a component become a neighbour of the groups that begin in a block.

    Its score is its mean log-probability over the samples of the group in the block.

    search     IN
    log_prob   IN      of the scratch
    scores     IN OUT  of the scratch
    neighbors  IN OUT
    """
    cdef int64_t begins, ends, first = search.blocks[w], stop = search.blocks[w + 1]
    cdef size_t first_group = search.first_groups[w], G = search.n_neighbors
    cdef size_t group = first_group
    cdef double mean
    while group < search.n_groups and search.bounds[group] < stop:
        begins, ends = search.bounds[group], min(search.bounds[group + 1], stop)
        if begins >= first and ends > begins:
            mean = _sum(scratch.log_prob, begins - first, ends - first) / (ends - begins)
            _insert_neighbor(
                mean, k, G - 1, scratch.scores + (group - first_group) * G,
                neighbors + search.components[group] * G
            )
        group += 1


cdef void _exponentiate_best(
    work* restrict values, const work* restrict maximum, size_t count, work* restrict total
) noexcept nogil:
    """Write e^(value - maximum), and add it up.

    maximum  IN
    values   IN OUT
    total    ADDS TO
    """
    cdef size_t b
    for b in range(count):
        values[b] = exp(values[b] - maximum[b], <work> SMALLEST)
        total[b] += values[b]


cdef void _normalize(size_t count, size_t width, const Search* scratch) noexcept nogil:
    """Turn the best log-probabilities into responsibilities; leave the logarithm of their sum.

    values    IN OUT  of the scratch
    log_prob  OUT     of the scratch: log sum exp
    total     OUT     of the scratch
    """
    cdef work* values = scratch.values
    cdef work* total = scratch.total
    cdef work* maximum = scratch.log_prob
    cdef size_t b, p
    for b in range(count):
        maximum[b] = values[b]
        total[b] = 0.0
    for p in range(width):
        _exponentiate_best(values + p * STRIDE, maximum, count, total)
    for b in range(count):
        maximum[b] = maximum[b] + <work> log(total[b])
        total[b] = <work> 1.0 / total[b]


cdef void _search_block(
    const double* X, size_t d, const PaddedComponents* padded, const CandidateSearch* search,
    size_t w, const Search* scratch, int32_t* candidates, double* resp, double* log_prob_norm,
    int32_t* neighbors
) noexcept nogil:
    """Find the best components of the samples of a block, and the neighbours of its groups.

    X, padded, search    IN
    scratch              OUT     workspace
    candidates           IN OUT
    resp, log_prob_norm  OUT
    neighbors            IN OUT
    """
    cdef size_t width = scratch.width
    cdef size_t first = search.blocks[w]
    cdef size_t count = search.blocks[w + 1] - first
    cdef size_t padded_count = (count + 7) // 8 * 8
    cdef const int64_t* rows = search.rows + first
    cdef work* log_prob = scratch.log_prob
    cdef work* worst = scratch.values + (width - 1) * STRIDE
    cdef size_t a, b, g, k, n, p, row
    _load_listed(X, d, rows, count, scratch)
    n = _list_all(search, w, count, width, candidates, scratch)
    for p in range(width):
        fill(scratch.values + p * STRIDE, <work> -INFINITE)
    for g in range(search.most_groups * search.n_neighbors):
        scratch.scores[g] = -INFINITE
    for a in range(n):
        k = scratch.listed[a]
        padded_log_prob(padded, k, padded_count, scratch.x, scratch.z, scratch.y, log_prob)
        if _count_above(log_prob, worst, count) > 0:
            for b in range(count):
                if log_prob[b] > worst[b]:
                    _insert(log_prob[b], k, b, width, scratch.values, scratch.best)
        _score(search, w, k, scratch, neighbors)
    _normalize(padded_count, width, scratch)
    for b in range(count):
        row = rows[b]
        log_prob_norm[row] = log_prob[b]
        for p in range(width):
            resp[row * width + p] = scratch.values[p * STRIDE + b] * scratch.total[b]
            candidates[row * width + p] = scratch.best[p * STRIDE + b]


cdef void _workspace(
    const PaddedComponents* padded, const CandidateSearch* search, size_t width, size_t d,
    double* memory
) noexcept nogil:
    """Divide the memory of one thread.

    padded, search  IN
    memory          OUT  workspace
    """
    cdef Search* scratch = <Search*> memory
    cdef size_t h = padded.height, K = padded.n_components, G = search.n_neighbors
    cdef size_t i, most = min(K, SMALLEST_BLOCK * (width + 1) * (G + 1))
    cdef Memory own
    own.taken = 0
    own.start = <char*> memory + (64 - <size_t> memory % 64) % 64
    _take(&own, sizeof(Search))
    scratch.width = width
    scratch.x, scratch.z = _take_rows(&own, d, h), _take_rows(&own, h, h)
    scratch.y = _take_rows(&own, 0, 4)
    scratch.log_prob, scratch.total = _take_rows(&own, 1, 1), _take_rows(&own, 1, 1)
    scratch.values = _take_rows(&own, width, width)
    scratch.best = <int64_t*> _take(&own, width * STRIDE * sizeof(int64_t))
    scratch.stamps = <int64_t*> _take(&own, K * sizeof(int64_t))
    scratch.listed = <int64_t*> _take(&own, most * sizeof(int64_t))
    scratch.scores = <double*> _take(&own, search.most_groups * G * sizeof(double))
    for i in range(K):
        scratch.stamps[i] = 0
    for i in range(width * STRIDE):
        scratch.best[i] = 0


def search(
    X, padded, search, candidates, resp, log_prob_norm, neighbors, memory, Py_ssize_t n_slots
):
    """Find the best components of all samples, in slots that blocks take turns at."""
    cdef PaddedComponents components = _padded(padded)
    cdef CandidateSearch groups = _candidate_search(search)
    cdef const double* data = <const double*> _address(X)
    cdef int32_t* best = <int32_t*> _address(candidates)
    cdef double* shares = <double*> _address(resp)
    cdef double* norm = <double*> _address(log_prob_norm)
    cdef int32_t* near = <int32_t*> _address(neighbors)
    cdef double* own = <double*> _address(memory)
    cdef size_t d = X.shape[1]
    cdef size_t width = candidates.shape[1]
    cdef size_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef Py_ssize_t t, w, n_blocks = groups.n_blocks
    for t in range(n_threads):
        _workspace(&components, &groups, width, d, own + t * scratch)
    with nogil:
        if n_threads == 1:
            for w in range(n_blocks):
                _search_block(
                    data, d, &components, &groups, w, <const Search*> own, best, shares, norm, near
                )
        else:
            for t in prange(n_slots, schedule="static", num_threads=n_threads):
                for w in range(n_blocks):
                    if w // RUN % n_slots == t:
                        _search_block(
                            data, d, &components, &groups, w,
                            <const Search*> (own + threadid() * scratch), best, shares, norm, near
                        )
