# cython: boundscheck=False, wraparound=False, cdivision=True
"""Log-densities of the rows of a table on several threads, from Cython."""

import numpy as np

from cython.parallel cimport prange
from fastgmm.embed cimport (
    FASTGMM_OK, fastgmm_api, fastgmm_get_model, fastgmm_import, fastgmm_model, fastgmm_strerror,
)

cdef const fastgmm_api* api = fastgmm_import()


def mean_log_density(c_model, const double[:, ::1] X, int n_threads):
    """Return the mean log p(x); thread t takes the t-th part of the rows."""
    cdef const fastgmm_model* model = fastgmm_get_model(c_model)
    cdef Py_ssize_t n = X.shape[0]
    cdef Py_ssize_t d = X.shape[1]
    cdef Py_ssize_t t, start, stop
    if n == 0 or n_threads < 1 or d != <Py_ssize_t> model.n_features:
        raise ValueError(f"n_threads should be 1 or more, X have {model.n_features} columns.")
    # what the threads write into: a workspace and a code each, and a part of the result
    cdef size_t size = c_model.workspace_size(n)
    cdef unsigned char[:, ::1] workspace = np.empty((n_threads, size), np.uint8)
    cdef int[::1] codes = np.zeros(n_threads, np.intc)
    cdef double[::1] out = np.empty(n)
    for t in prange(n_threads, nogil=True, num_threads=n_threads):
        start = n * t // n_threads
        stop = n * (t + 1) // n_threads
        if start < stop:
            codes[t] = api.log_density_f64(
                model, &X[start, 0], stop - start, d, &out[start], &workspace[t, 0], size
            )
    for t in range(n_threads):
        if codes[t] != FASTGMM_OK:
            raise RuntimeError(fastgmm_strerror(codes[t]).decode())
    return np.mean(out)
