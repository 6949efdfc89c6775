"""A level of a tree that cuts samples across principal directions, and the way down.

The rows of a node follow one another in a list of rows.
"""

from libc.math cimport sqrt

cdef extern from *:
    # Rows of a node that its direction and its costs are estimated from: about so many.
    const size_t SOME "((size_t)2048)"
    # Steps of power iteration.
    const int STEPS "4"
    # Rows whose sides, or leaves, are one slot.
    const int64_t TREE_SLOT "((int64_t)4096)"


cdef inline double _offset(
    const double* x, const double* direction, size_t d, double cut
) noexcept nogil:
    """Return how far a sample lies beyond a cut.

    x, direction  IN
    """
    cdef double total = -cut
    cdef size_t j
    for j in range(d):
        total += x[j] * direction[j]
    return total


cdef double _turn(
    const double* X, size_t d, const double* weight, const int64_t* rows, size_t first,
    size_t stop, size_t step, const double* mean, double* direction, double* image
) noexcept nogil:
    """Take a step of power iteration; return the norm of the scatter matrix times the direction.

    X, weight, rows, mean  IN
    direction              IN OUT  of length 1 afterwards, unless the norm is 0
    image                  OUT     workspace
    """
    cdef double at = _offset(mean, direction, d, 0.0)
    cdef double value, norm, square = 0.0
    cdef size_t o = first
    cdef size_t j, row
    cdef const double* x
    for j in range(d):
        image[j] = 0.0
    while o < stop:
        row = rows[o]
        x = X + row * d
        value = weight[row] * _offset(x, direction, d, at)
        for j in range(d):
            image[j] += value * (x[j] - mean[j])
        o += step
    for j in range(d):
        square += image[j] * image[j]
    norm = sqrt(square)
    if norm > 0.0:
        for j in range(d):
            direction[j] = image[j] / norm
    return norm


cdef double _principal_cut(
    const double* X, size_t d, const double* weight, const int64_t* rows, size_t first,
    size_t stop, double* direction, double shift, double* costs, double* sums
) noexcept nogil:
    """Write the direction of a node and the costs of its two sides; return the cut.

    X, weight, rows  IN
    direction        IN OUT  where power iteration begins, and what it leads to
    costs            OUT
    sums             OUT     workspace
    """
    cdef size_t step = max((stop - first) // SOME, <size_t> 1)
    cdef size_t o = first
    cdef size_t j, row, side
    cdef int _step
    cdef double cut, difference, norm = 0.0, total = 0.0
    cdef double[2] counts
    cdef const double* x
    cdef double* mean = sums
    for j in range(3 * d):
        sums[j] = 0.0
    while o < stop:
        row = rows[o]
        total += weight[row]
        for j in range(d):
            mean[j] += weight[row] * X[row * d + j]
        o += step
    for j in range(d):
        mean[j] /= total
    for _step in range(STEPS):
        norm = _turn(X, d, weight, rows, first, stop, step, mean, direction, sums + d)
    cut = _offset(mean, direction, d, 0.0) + shift * sqrt(norm / total)
    counts[0] = counts[1] = 0.0
    costs[0] = costs[1] = 0.0
    for j in range(d):
        sums[d + j] = 0.0
    o = first
    while o < stop:
        row = rows[o]
        x = X + row * d
        side = 1 if _offset(x, direction, d, cut) > 0.0 else 0
        counts[side] += weight[row]
        for j in range(d):
            difference = x[j] - mean[j]
            sums[(1 + side) * d + j] += weight[row] * difference
            costs[side] += weight[row] * difference * difference
        o += step
    for side in range(2):
        if counts[side] > 0.0:
            for j in range((1 + side) * d, (2 + side) * d):
                costs[side] -= sums[j] * sums[j] / counts[side]
    return cut


def principal_cuts(X, sample_weight, rows, nodes, directions, shifts, cuts, costs, memory):
    """Write a direction for each node, where it is cut, and the costs of the two sides."""
    cdef const double* data = <const double*> _address(X)
    cdef const double* weight = <const double*> _address(sample_weight)
    cdef const int64_t* listed = <const int64_t*> _address(rows)
    cdef const int64_t* edges = <const int64_t*> _address(nodes)
    cdef const double* shift = <const double*> _address(shifts)
    cdef double* direction = <double*> _address(directions)
    cdef double* cut = <double*> _address(cuts)
    cdef double* cost = <double*> _address(costs)
    cdef double* own = <double*> _address(memory)
    cdef size_t d = X.shape[1]
    cdef size_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef Py_ssize_t t, n_nodes = len(nodes)
    with nogil:
        if n_threads == 1:
            for t in range(n_nodes):
                cut[t] = _principal_cut(
                    data, d, weight, listed, edges[2 * t], edges[2 * t + 1], direction + t * d,
                    shift[t], cost + 2 * t, own
                )
        else:
            for t in prange(n_nodes, schedule="guided", num_threads=n_threads):
                cut[t] = _principal_cut(
                    data, d, weight, listed, edges[2 * t], edges[2 * t + 1], direction + t * d,
                    shift[t], cost + 2 * t, own + threadid() * scratch
                )


cdef void _sides_of_slot(
    const double* X, size_t d, const int64_t* rows, const int64_t* nodes, int64_t n_nodes,
    const double* directions, const double* cuts, int64_t start, int64_t stop, uint8_t* above
) noexcept nogil:
    """Write the sides of the rows of a slot; what lies between nodes is left alone.

    X, rows, nodes, directions, cuts  IN
    above                             OUT
    """
    cdef int64_t low = 0, high = n_nodes  # the first node that ends behind the start
    cdef int64_t middle, node, o
    while low < high:
        middle = (low + high) // 2
        if nodes[2 * middle + 1] <= start:
            low = middle + 1
        else:
            high = middle
    for node in range(low, n_nodes):
        if nodes[2 * node] >= stop:
            break
        for o in range(max(nodes[2 * node], start), min(nodes[2 * node + 1], stop)):
            above[o] = _offset(X + rows[o] * d, directions + node * d, d, cuts[node]) > 0.0


def sides(X, rows, nodes, directions, cuts, above, int n_threads):
    """Write on which side of the cut of its node each row lies."""
    cdef const double* data = <const double*> _address(X)
    cdef const int64_t* listed = <const int64_t*> _address(rows)
    cdef const int64_t* edges = <const int64_t*> _address(nodes)
    cdef const double* direction = <const double*> _address(directions)
    cdef const double* cut = <const double*> _address(cuts)
    cdef uint8_t* flags = <uint8_t*> _address(above)
    cdef size_t d = X.shape[1]
    cdef int64_t n = len(rows), n_nodes = len(nodes)
    cdef Py_ssize_t t, n_slots = (n + TREE_SLOT - 1) // TREE_SLOT
    with nogil:
        if n_threads == 1:
            _sides_of_slot(data, d, listed, edges, n_nodes, direction, cut, 0, n, flags)
        else:
            for t in prange(n_slots, schedule="static", num_threads=n_threads):
                _sides_of_slot(
                    data, d, listed, edges, n_nodes, direction, cut, t * TREE_SLOT,
                    min((t + 1) * TREE_SLOT, n), flags
                )


cdef void _descend_slot(
    const double* X, size_t d, const double* directions, const double* cuts,
    const int64_t* children, int64_t start, int64_t stop, int64_t* found
) noexcept nogil:
    """Write the leaves of the rows of a slot.

    X, directions, cuts, children  IN
    found                          OUT
    """
    cdef int64_t i, node
    cdef bint beyond
    for i in range(start, stop):
        node = 0
        while node >= 0:
            beyond = _offset(X + i * d, directions + node * d, d, cuts[node]) > 0.0
            node = children[2 * node + beyond]
        found[i] = -1 - node


def descend(X, directions, cuts, children, found, int n_threads):
    """Write the leaf in which each row lies."""
    cdef const double* data = <const double*> _address(X)
    cdef const double* direction = <const double*> _address(directions)
    cdef const double* cut = <const double*> _address(cuts)
    cdef const int64_t* child = <const int64_t*> _address(children)
    cdef int64_t* leaves = <int64_t*> _address(found)
    cdef size_t d = X.shape[1]
    cdef int64_t n = len(found)
    cdef Py_ssize_t t, n_slots = (n + TREE_SLOT - 1) // TREE_SLOT
    with nogil:
        if n_threads == 1:
            _descend_slot(data, d, direction, cut, child, 0, n, leaves)
        else:
            for t in prange(n_slots, schedule="static", num_threads=n_threads):
                _descend_slot(
                    data, d, direction, cut, child, t * TREE_SLOT,
                    min((t + 1) * TREE_SLOT, n), leaves
                )
