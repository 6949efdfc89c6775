"""Matrices to and from the layout of the kernels, in pairs of bands of equal work.

A band is four rows of a lower triangle. Band i has i + 1 tiles, so the first and the last band
together have as many tiles as the second and the last but one.
"""

cdef extern from *:
    const double SQRT_HALF "0.70710678118654752440"


cdef void _add_band(
    const double* tiles, size_t d, size_t band, double* out
) noexcept nogil:
    """Add four rows of a symmetric matrix, and their mirror image.

    tiles  IN
    out    ADDS TO
    """
    cdef size_t first = 4 * band
    cdef size_t stop = min(first + 4, d)
    cdef size_t i, j
    cdef double value
    tiles += 16 * (band * (band + 1) // 2)
    for j in range(stop):
        for i in range(max(first, j), stop):
            value = tiles[j // 4 * 16 + (i - first) * 4 + j % 4]
            out[i * d + j] += value
            if j < i:
                out[j * d + i] += value


cdef void _add_bands(const double* tiles, size_t d, size_t t, double* out) noexcept nogil:
    """Do the work of slot t: two bands, or one in the middle.

    tiles  IN
    out    ADDS TO
    """
    cdef size_t bands = (d + 3) // 4
    cdef size_t pairs = (bands + 1) // 2
    cdef size_t matrix = t // pairs
    cdef size_t low = t % pairs
    cdef size_t high = bands - 1 - low
    tiles += matrix * 16 * (bands * (bands + 1) // 2)
    out += matrix * d * d
    _add_band(tiles, d, low, out)
    if high != low:
        _add_band(tiles, d, high, out)


def add_symmetric(tiles, out, int n_threads):
    """Add (m, d, d) symmetric matrices, given by the lower triangle of their 4 x 4 tiles."""
    cdef const double* given = <const double*> _address(tiles)
    cdef double* sums = <double*> _address(out)
    cdef size_t d = out.shape[1]
    cdef Py_ssize_t n_slots = len(out) * ((d + 7) // 8)
    cdef Py_ssize_t t
    with nogil:
        if n_threads == 1:
            for t in range(n_slots):
                _add_bands(given, d, t, sums)
        else:
            for t in prange(n_slots, schedule="static", num_threads=n_threads):
                _add_bands(given, d, t, sums)


cdef void _pack_band(
    const double* upper, size_t d, size_t first, size_t stop, double* out
) noexcept nogil:
    """Write some rows of the transpose of a triangle.

    upper  IN
    out    OUT
    """
    cdef size_t i, j
    out += first * (first + 1) // 2
    for j in range(first):
        for i in range(first, stop):
            out[0] = upper[j * d + i] * SQRT_HALF
            out += 1
    for i in range(first, stop):
        for j in range(first, i + 1):
            out[0] = upper[j * d + i] * SQRT_HALF
            out += 1


cdef void _pack_bands(const double* upper, size_t d, size_t t, double* out) noexcept nogil:
    """Do the work of slot t: two bands, or one in the middle; the first has 1 to 4 rows.

    upper  IN
    out    OUT
    """
    cdef size_t bands = (d + 3) // 4
    cdef size_t pairs = (bands + 1) // 2
    cdef size_t matrix = t // pairs
    cdef size_t low = t % pairs
    cdef size_t high = bands - 1 - low
    cdef size_t width = first_rows(d)
    upper += matrix * d * d
    out += matrix * (d * (d + 1) // 2)
    _pack_band(upper, d, max(low * 4 + width, <size_t> 4) - 4, low * 4 + width, out)
    if high != low:
        _pack_band(upper, d, high * 4 + width - 4, high * 4 + width, out)


def pack_triangles(upper, out, int n_threads):
    """Write the transposes of (K, d, d) triangles / sqrt(2), in bands of four rows."""
    cdef const double* factors = <const double*> _address(upper)
    cdef double* packed = <double*> _address(out)
    cdef size_t d = upper.shape[1]
    cdef Py_ssize_t n_slots = len(upper) * ((d + 7) // 8)
    cdef Py_ssize_t t
    with nogil:
        if n_threads == 1:
            for t in range(n_slots):
                _pack_bands(factors, d, t, packed)
        else:
            for t in prange(n_slots, schedule="static", num_threads=n_threads):
                _pack_bands(factors, d, t, packed)
