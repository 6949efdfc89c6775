"""Bounds above the log-probabilities of components, for all points of boxes.

A point x of a box about c with half widths h has |P (x - mean)|_i >= |P (c - mean)|_i - |P|_i h in
each coordinate i. The loops run over boxes.
"""

cdef extern from *:
    # Components take turns in so many slots.
    const Py_ssize_t BOX_SLOTS "64"


cdef void _add_feature(
    double u, const double* restrict z, const double* restrict half, size_t count,
    double* restrict y, double* restrict width
) noexcept nogil:
    """Y += u z, and width += |u| half.

    u, z, half  IN
    y, width    ADDS TO
    """
    cdef double size = u if u > 0.0 else -u
    cdef size_t b
    for b in range(count):
        y[b] += u * z[b]
        width[b] += size * half[b]


cdef void _close_coordinate(
    double* restrict y, double* restrict width, size_t count, double* restrict bound
) noexcept nogil:
    """Subtract half the square of the least that a coordinate is in the box; begin the next.

    y, width  IN OUT
    bound     ADDS TO
    """
    cdef double least
    cdef size_t b
    for b in range(count):
        least = (y[b] if y[b] > 0.0 else -y[b]) - width[b]
        least = least if least > 0.0 else 0.0
        bound[b] -= 0.5 * least * least
        y[b] = 0.0
        width[b] = 0.0


cdef void _shift_centers(
    double mean, const double* restrict centers, size_t count, double* restrict z
) noexcept nogil:
    """Z = center - mean, of one feature.

    mean, centers  IN
    z              OUT
    """
    cdef size_t b
    for b in range(count):
        z[b] = centers[b] - mean


cdef void _begin_boxes(
    double coefficient, size_t count, double* restrict bound, double* restrict y,
    double* restrict width
) noexcept nogil:
    """Write constants.

    coefficient      IN
    bound, y, width  OUT
    """
    cdef size_t b
    for b in range(count):
        bound[b] = coefficient
        y[b] = 0.0
        width[b] = 0.0


cdef void _end_boxes(size_t count, double* restrict bound) noexcept nogil:
    """Raise what has overflowed to the smallest number that counts.

    bound  IN OUT
    """
    cdef size_t b
    for b in range(count):
        bound[b] = bound[b] if bound[b] > LOG_PROB_FLOOR else LOG_PROB_FLOOR


cdef void _bound_component(
    const double* centers, const double* halves, size_t count, const PaddedComponents* padded,
    size_t k, double* memory, double* bound
) noexcept nogil:
    """Write the bounds of one component.

    centers, halves, padded  IN   a row of boxes for each feature
    memory                   OUT  workspace
    bound                    OUT
    """
    cdef size_t h = padded.height
    cdef size_t first = 0 if padded.kind == TIED else k * h * h
    cdef double* y = memory
    cdef double* width = y + count
    cdef double* z = width + count
    cdef size_t i, j
    _begin_boxes(padded.coefficients[k], count, bound, y, width)
    for j in range(h):
        _shift_centers(padded.means[k * h + j], centers + j * count, count, z + j * count)
    for i in range(h):
        if padded.kind == DIAG or padded.kind == SPHERICAL:
            _add_feature(
                padded.factors[k * h + i], z + i * count, halves + i * count, count, y, width
            )
        else:
            for j in range(i + 1):
                _add_feature(
                    padded.factors[first + j * h + i], z + j * count, halves + j * count, count,
                    y, width
                )
        _close_coordinate(y, width, count, bound)
    _end_boxes(count, bound)


def box_bounds(centers, halves, padded, bounds, memory):
    """Write the bounds of all components, on as many threads as memory has rows."""
    cdef PaddedComponents components = _padded(padded)
    cdef const double* centre = <const double*> _address(centers)
    cdef const double* half = <const double*> _address(halves)
    cdef double* bound = <double*> _address(bounds)
    cdef double* own = <double*> _address(memory)
    cdef size_t count = centers.shape[1]
    cdef size_t scratch = memory.shape[1]
    cdef int n_threads = memory.shape[0]
    cdef Py_ssize_t K = components.n_components
    cdef Py_ssize_t n_slots = min(BOX_SLOTS, K)
    cdef Py_ssize_t t, k
    with nogil:
        if n_threads == 1:
            for k in range(K):
                _bound_component(
                    centre, half, count, &components, k, own, bound + k * count
                )
        else:
            for t in prange(n_slots, schedule="static", num_threads=n_threads):
                for k in range(K * t // n_slots, K * (t + 1) // n_slots):
                    _bound_component(
                        centre, half, count, &components, k, own + threadid() * scratch,
                        bound + k * count
                    )
