"""Moments of groups of samples: each group lists its own, with a weight for each entry.

An entry is a place in the table of weights, whose rows are the samples.
"""


cdef void _add_sample(
    const double* restrict x, double w, const double* restrict center, size_t d,
    double* restrict sums, double* restrict second
) noexcept nogil:
    """Add the moments of one sample, of each feature alone.

    x, center     IN
    sums, second  ADDS TO
    """
    cdef double z
    cdef size_t j
    for j in range(d):
        z = x[j] - center[j]
        sums[j] += w * z
        second[j] += w * z * z


cdef double _load_entries(
    const double* X, size_t d, const double* weight, size_t width, const int64_t* entries,
    size_t count, const double* center, work* memory
) noexcept nogil:
    """Write entries about the centre as rows of a block; return the sum of their weights.

    X, weight, entries, center  IN
    memory                      OUT  workspace: weights, samples
    """
    cdef work* z = memory + STRIDE
    cdef double total = 0.0
    cdef size_t a, j, entry
    cdef const double* x
    for a in range(count):
        entry = entries[a]
        x = X + entry // width * d
        memory[a] = <work> weight[entry]
        total += weight[entry]
        for j in range(d):
            z[j * STRIDE + a] = <work> (x[j] - center[j])
    for a in range(count, (count + 15) // 16 * 16):
        memory[a] = 0.0
        for j in range(d):
            z[j * STRIDE + a] = 0.0
    return total


cdef void _add_tiles(const double* tiles, size_t d, double* second) noexcept nogil:
    """Add a symmetric matrix, given by the lower triangle of its 4 x 4 tiles.

    tiles   IN
    second  ADDS TO
    """
    cdef size_t i, j, r, c
    cdef double value
    for i in range(0, d, 4):
        for j in range(0, i + 1, 4):
            for r in range(i, min(i + 4, d)):
                for c in range(j, min(j + 4, r + 1)):
                    value = tiles[4 * (r - i) + c - j]
                    second[r * d + c] += value
                    if r != c:
                        second[c * d + r] += value
            tiles += 16


cdef double _add_matrix(
    const double* X, size_t d, const double* weight, size_t width, const int64_t* entries,
    size_t n, const double* center, work* memory, double* sums, double* second
) noexcept nogil:
    """Add the first and second moments of a group, a matrix; return the sum of its weights.

    X, weight, entries, center  IN
    memory                      OUT      workspace
    sums, second                ADDS TO
    """
    cdef size_t rows = up_to_four(d) // 4
    cdef work* z = memory + STRIDE
    cdef work* wz = z + 4 * rows * STRIDE
    cdef double* tiles = <double*> (wz + 4 * STRIDE)
    cdef size_t o, i, first, count, padded
    cdef double nk = 0.0
    for o in range(16 * (rows * (rows + 1) // 2)):
        tiles[o] = 0.0
    for i in range((n + BLOCK - 1) // BLOCK):
        first = i * BLOCK
        count = min(BLOCK, n - first)
        nk += _load_entries(X, d, weight, width, entries + first, count, center, memory)
        padded = (count + 15) // 16 * 16
        add_products(z, memory, d, padded, wz, sums, tiles)
    _add_tiles(tiles, d, second)
    return nk


cdef double _add_variances(
    const double* X, size_t d, const double* weight, size_t width, const int64_t* entries,
    size_t n, const double* center, double* sums, double* second
) noexcept nogil:
    """Add the moments of a group, of each feature alone; return the sum of its weights.

    X, weight, entries, center  IN
    sums, second                ADDS TO
    """
    cdef size_t o, entry
    cdef double nk = 0.0
    for o in range(n):
        entry = entries[o]
        nk += weight[entry]
        _add_sample(X + entry // width * d, weight[entry], center, d, sums, second)
    return nk


def group_moments(X, weight, entries, bounds, centers, bint is_full, nk, first, second, memory):
    """Add the moments of groups of entries about their centres."""
    cdef const double* data = <const double*> _address(X)
    cdef const double* table = <const double*> _address(weight)
    cdef const int64_t* listed = <const int64_t*> _address(entries)
    cdef const int64_t* edges = <const int64_t*> _address(bounds)
    cdef const double* center = <const double*> _address(centers)
    cdef double* counts = <double*> _address(nk)
    cdef double* sums = <double*> _address(first)
    cdef double* squares = <double*> _address(second)
    cdef double* own = <double*> _address(memory)
    cdef size_t d = X.shape[1]
    cdef size_t width = weight.size // X.shape[0]
    cdef size_t size = d * d if is_full else d
    cdef size_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef Py_ssize_t k, n_groups = len(nk)
    memory.fill(0.0)
    own += (64 - <size_t> own % 64) % 64 // sizeof(double)
    with nogil:
        if n_threads == 1:
            for k in range(n_groups):
                if is_full:
                    counts[k] += _add_matrix(
                        data, d, table, width, listed + edges[k], edges[k + 1] - edges[k],
                        center + k * d, <work*> own, sums + k * d, squares + k * size
                    )
                else:
                    counts[k] += _add_variances(
                        data, d, table, width, listed + edges[k], edges[k + 1] - edges[k],
                        center + k * d, sums + k * d, squares + k * size
                    )
        else:
            for k in prange(n_groups, schedule="guided", num_threads=n_threads):
                if is_full:
                    counts[k] += _add_matrix(
                        data, d, table, width, listed + edges[k], edges[k + 1] - edges[k],
                        center + k * d, <work*> (own + threadid() * scratch), sums + k * d,
                        squares + k * size
                    )
                else:
                    counts[k] += _add_variances(
                        data, d, table, width, listed + edges[k], edges[k + 1] - edges[k],
                        center + k * d, sums + k * d, squares + k * size
                    )
