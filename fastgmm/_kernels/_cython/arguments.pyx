"""What Python hands over, as structures of C."""

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer


cdef void* _address(array) except? NULL:
    """Return the address of an array's elements, or NULL; the caller keeps the array alive."""
    cdef Py_buffer view
    cdef void* address
    if array.size == 0:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
    address = view.buf
    PyBuffer_Release(&view)
    return address


cdef Packed _packed(packed) except *:
    cdef Packed result
    if packed.centers.itemsize != sizeof(work):
        raise TypeError(f"components of another type: {packed.centers.dtype}")
    result.kind = packed.kind
    result.n_components = packed.n_components
    result.n_features = packed.n_features
    result.origin = <const work*> _address(packed.origin)
    result.coefficients = <const work*> _address(packed.coefficients)
    result.factors = <const work*> _address(packed.factors)
    result.shifts = <const work*> _address(packed.shifts)
    result.squares = <const work*> _address(packed.squares)
    result.whitener = <const work*> _address(packed.whitener)
    result.centers = <const work*> _address(packed.centers)
    result.leading = packed.leading
    result.offset = packed.offset
    result.lowest = packed.lowest
    result.smallest_weight = packed.smallest_weight
    result.largest_weight = packed.largest_weight
    return result


cdef Kept _kept(kept) except *:
    cdef Kept result
    result.codes = <uint8_t*> _address(kept.codes)
    result.steps = <const double*> _address(kept.steps)
    result.upper = <const float*> _address(kept.upper)
    result.lower = <const float*> _address(kept.lower)
    result.counts = <int64_t*> _address(kept.counts)
    return result


cdef Samples _samples(X) except *:
    cdef Samples result
    result.data = <const char*> _address(X)
    result.row, result.column = X.strides
    result.is_float32 = X.itemsize == 4
    return result


cdef Plain _plain(plain) except *:
    cdef Plain result
    if plain.means.itemsize != sizeof(work):
        raise TypeError(f"components of another type: {plain.means.dtype}")
    result.kind = plain.kind
    result.n_components = plain.n_components
    result.n_features = plain.n_features
    result.factor_size = plain.factor_size
    result.coefficients = <const work*> _address(plain.coefficients)
    result.means = <const work*> _address(plain.means)
    result.factors = <const work*> _address(plain.factors)
    return result


cdef PaddedComponents _padded(padded) except *:
    cdef PaddedComponents result
    if padded.means.itemsize != sizeof(work):
        raise TypeError(f"components of another type: {padded.means.dtype}")
    result.kind = padded.kind
    result.n_components = padded.n_components
    result.height = padded.height
    result.coefficients = <const work*> _address(padded.coefficients)
    result.means = <const work*> _address(padded.means)
    result.factors = <const work*> _address(padded.factors)
    return result


cdef CandidateSearch _candidate_search(search) except *:
    cdef CandidateSearch result
    result.rows = <const int64_t*> _address(search.rows)
    result.components = <const int64_t*> _address(search.components)
    result.bounds = <const int64_t*> _address(search.bounds)
    result.blocks = <const int64_t*> _address(search.blocks)
    result.first_groups = <const int64_t*> _address(search.first_groups)
    result.extra = <const int64_t*> _address(search.extra)
    result.neighbors = <const int32_t*> _address(search.neighbors)
    result.n_neighbors = search.n_neighbors
    result.most_groups = search.most_groups
    result.is_wide = search.is_wide
    result.n_groups = search.components.size
    result.n_blocks = search.extra.size
    return result
