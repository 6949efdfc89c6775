"""Repeated products of four rows with one another: the multiply-adds that a processor can do.

No fit needs this kernel. With rows in first-level cache it measures the multiply-add peak, with
rows in memory the bandwidth.
"""

cdef extern from *:
    "void fastgmm_add_gram(const double*, size_t, size_t, double*);"
    # from sums.pyx
    void add_gram "fastgmm_add_gram"(
        const double* values, size_t stride, size_t count, double* products) noexcept nogil


cdef void _gram_slot(
    const double* values, size_t stride, size_t start, size_t stop, size_t n_repeats,
    double* products
) noexcept nogil:
    """Add ``n_repeats`` times the products of the columns start to stop.

    values    IN
    products  ADDS TO
    """
    cdef size_t _repeat
    for _repeat in range(n_repeats):
        add_gram(values + start, stride, stop - start, products)


def gram(values, size_t stride, bounds, size_t n_repeats, slots, int n_threads):
    """Run ``_gram_slot`` for every slot."""
    cdef Py_ssize_t n_slots = slots.shape[0]
    cdef Py_ssize_t size = slots.shape[1]
    cdef const int64_t* edges = <const int64_t*> _address(bounds)
    cdef const double* first = <const double*> _address(values)
    cdef double* products = <double*> _address(slots)
    cdef Py_ssize_t t
    with nogil:
        if n_threads == 1:
            for t in range(n_slots):
                _gram_slot(first, stride, edges[t], edges[t + 1], n_repeats, products + t * size)
        else:
            for t in prange(n_slots, schedule="dynamic", chunksize=1, num_threads=n_threads):
                _gram_slot(first, stride, edges[t], edges[t + 1], n_repeats, products + t * size)
