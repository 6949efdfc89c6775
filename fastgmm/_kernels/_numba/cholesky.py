"""Inverse Cholesky factors, by LAPACK and BLAS, whose routines are called by their addresses."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._jit import I0, I1, I2, I4, I8, U, slot_function, spliced
from .pointers import address_of, fetch

# Triangles up to this order are left to dtrtri.
_SMALL = U(64)
# what the routines read: letters, and the numbers 1 and -1
LETTERS = np.frombuffer(b"LNR", np.uint8)
SIGNS = np.array([1.0, -1.0])


@intrinsic
def _call_routine(typingctx, routine, *pointers):
    """Call a Fortran subroutine."""

    def codegen(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        values = [builder.extract_value(args[1], i) for i in range(len(pointers))]
        kind = ir.FunctionType(ir.VoidType(), [byte] * len(pointers))
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, [builder.inttoptr(value, byte) for value in values])
        return context.get_dummy_value()

    return types.void(routine, types.StarArgTuple.from_types(pointers)), codegen


@spliced
def _copy_upper(matrices, start, d, out):
    """Copy an upper triangle, which LAPACK, counting by columns, takes for a lower one."""
    for i in range(d):
        for j in range(i, d):
            out[start + i * d + j] = matrices[start + i * d + j]


@slot_function
def inverse_factors(frame, t):
    """Write U = R^-1 for one matrix R^T R into zeros, or that there is no such R.

    A triangle is inverted by blocks, then two at a time become one: the inverse of [[A, 0], [B, C]]
    is [[1/A, 0], [-1/C B 1/A, 1/C]]. OpenBLAS's dtrtri alone takes three times as long for
    d = 256, and twice for 784.
    """
    matrices, order, factors, failed, routines, letters, signs = fetch(frame)
    d = U(order)
    start = t * d * d
    potrf, trtri, trmm = routines[I0], routines[I1], routines[I2]
    lower = address_of(letters)
    plain, right = lower + I1, lower + I2
    one = address_of(signs)
    minus_one = one + I8
    sizes = np.empty(4, np.int32)
    n = U(sizes.ctypes.data)
    m, lda, info = n + I4, n + I8, n + I4 + I8
    first = address_of(factors) + I8 * start
    _copy_upper(matrices, start, d, factors)
    sizes[:] = d
    _call_routine(potrf, lower, n, first, lda, info)
    if sizes[3] != 0:
        failed[t] = 1
        return
    for i in range(I0, d, _SMALL):
        sizes[0] = min(_SMALL, d - i)
        _call_routine(trtri, lower, plain, n, first + I8 * i * (d + I1), lda, info)
    width = _SMALL
    while width < d:
        sizes[0] = width
        for i in range(I0, d - width, I2 * width):
            sizes[1] = min(width, d - width - i)
            a = first + I8 * i * (d + I1)
            b = a + I8 * width
            c = b + I8 * width * d
            _call_routine(trmm, right, lower, plain, plain, m, n, minus_one, a, lda, b, lda)
            _call_routine(trmm, lower, lower, plain, plain, m, n, one, c, lda, b, lda)
        width *= I2
