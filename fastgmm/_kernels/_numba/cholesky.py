"""Inverse Cholesky factors by LAPACK and BLAS routines, which are called by address."""

import numpy as np
from numba import prange

from .jit import I0, I1, I2, I8, U, parallel_pass, slot_function
from .primitives import call_routine, tail

# triangles up to this order are left to dtrtri
_SMALL = U(64)


@slot_function
def _invert_lower(routines, d, out):
    """Invert a lower triangle of columns, in place.

    By blocks, of which two at a time become one: the inverse of [[A, 0], [B, C]] is
    [[1/A, 0], [-1/C B 1/A, 1/C]]. OpenBLAS's dtrtri alone takes three times as long for d = 256,
    and twice for 784.

    routines  IN
    out       IN OUT
    """
    lower, plain, right = routines.letters, routines.letters + I1, routines.letters + I2
    one, minus_one = routines.signs, routines.signs + I8
    integers = np.empty(4, np.int32)
    n = U(integers.ctypes.data)
    m, lda, info = n + U(4), n + U(8), n + U(12)
    integers[2] = d
    first = U(out.ctypes.data)
    for i in range(I0, d, _SMALL):
        integers[0] = min(_SMALL, d - i)
        a = first + I8 * i * (d + I1)
        call_routine(routines.trtri, lower, plain, n, a, lda, info)
    width = _SMALL
    while width < d:
        integers[0] = width
        for i in range(I0, d - width, I2 * width):
            integers[1] = min(width, d - width - i)
            a = first + I8 * i * (d + I1)
            b = a + I8 * width
            c = b + I8 * width * d
            call_routine(routines.trmm, right, lower, plain, plain, m, n, minus_one, a, lda, b, lda)
            call_routine(routines.trmm, lower, lower, plain, plain, m, n, one, c, lda, b, lda)
        width *= I2
    integers[3] = 0


@slot_function
def _inverse_factor(routines, matrix, d, out):
    """Write U = R^-1 for one matrix R^T R into zeros; return whether there is no such R.

    routines, matrix  IN
    out               OUT
    """
    integers = np.empty(2, np.int32)
    n = U(integers.ctypes.data)
    info = n + U(4)
    integers[0] = d
    # an upper triangle, which LAPACK, counting by columns, takes for a lower one
    for i in range(d):
        for j in range(i, d):
            out[i * d + j] = matrix[i * d + j]
    call_routine(routines.potrf, routines.letters, n, U(out.ctypes.data), n, info)
    if integers[1] != 0:
        return True
    _invert_lower(routines, d, out)
    return False


@parallel_pass
def inverse_factors(matrices, order, out, failed, routines):
    """Write U = R^-1 for each matrix R^T R into zeros, and which have no such R.

    matrices, routines  IN   matrices flat
    out, failed         OUT  out flat
    """
    d = U(order)
    for k in prange(len(failed)):
        o = U(k) * d * d
        failed[k] = _inverse_factor(routines, tail(matrices, o), d, tail(out, o))
