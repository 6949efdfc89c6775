"""Triangular factors of covariance and precision matrices, by LAPACK and BLAS."""

import ctypes
from typing import Any

import numpy as np
from scipy.linalg import cython_blas, cython_lapack, lapack

from ._kernels.layout import Array


def _routine(module: Any, name: str, n_arguments: int) -> Any:
    """Return a routine of SciPy's BLAS or LAPACK that, unlike its wrapper, frees the GIL."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = module.__pyx_capi__[name]
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)
    return prototype(pointer(capsule, get_name(capsule)))


_DLACPY = _routine(cython_lapack, "dlacpy", 7)  # uplo, m, n, a, lda, b, ldb
_DPOTRF = _routine(cython_lapack, "dpotrf", 5)  # uplo, n, a, lda, info
_DTRTRI = _routine(cython_lapack, "dtrtri", 6)  # uplo, diag, n, a, lda, info
_DTRMM = _routine(cython_blas, "dtrmm", 11)  # side, uplo, trans, diag, m, n, alpha, a, lda, b, ldb

# Triangles up to this order are left to dtrtri.
_SMALL = 64
_ONE, _MINUS_ONE = ctypes.byref(ctypes.c_double(1.0)), ctypes.byref(ctypes.c_double(-1.0))


def inverse_factor(covariance: Array, smallest: float, out: Array) -> bool:
    """Write U = R^-1 for covariance = R^T R into zeros; return False where there is no such R."""
    covariance = np.ascontiguousarray(covariance)
    d = len(covariance)
    n, address, info = _pointer_to(d), out.ctypes.data, ctypes.c_int(0)
    # a lower triangle to LAPACK, which counts by columns
    _DLACPY(b"L", n, n, covariance.ctypes.data, n, address, n)
    _DPOTRF(b"L", n, address, n, ctypes.byref(info))
    diagonal = np.diagonal(out)
    # a squared pivot within rounding of its own diagonal element is not a variance
    noise = np.maximum(np.finfo(float).eps * np.abs(np.diagonal(covariance)), smallest)
    if info.value or not (diagonal**2 > noise).all() or not np.isfinite(diagonal).all():
        return False
    _invert_lower(address, d, d)
    return True


def _invert_lower(start: int, d: int, stride: int) -> None:
    """Invert a lower triangle of columns, in place, by halves.

    The inverse of [[A, 0], [B, C]] is [[1/A, 0], [-1/C B 1/A, 1/C]]. OpenBLAS's dtrtri alone takes
    three times as long for d = 256, and twice for 784.
    """
    lda = _pointer_to(stride)
    if d <= _SMALL:
        _DTRTRI(b"L", b"N", _pointer_to(d), start, lda, _pointer_to(0))
        return
    upper = d // 2
    lower = d - upper
    below = start + 8 * upper
    corner = below + 8 * upper * stride
    _invert_lower(start, upper, stride)
    _invert_lower(corner, lower, stride)
    shape = b"L", b"N", b"N", _pointer_to(lower), _pointer_to(upper)
    _DTRMM(b"R", *shape, _MINUS_ONE, start, lda, below, lda)
    _DTRMM(b"L", *shape, _ONE, corner, lda, below, lda)


def _pointer_to(value: int) -> Any:
    return ctypes.byref(ctypes.c_int(value))


def invert_triangle(upper: Array) -> Array:
    """Return the inverse of an upper triangle."""
    inverse, _ = lapack.dtrtri(upper, lower=0)
    return np.ascontiguousarray(np.triu(inverse))


def reversed_factor(precision: Array) -> Array:
    """Return upper triangular U with U U^T = precision: Cholesky from the last row up."""
    lower = np.linalg.cholesky(precision[::-1, ::-1])
    return np.ascontiguousarray(lower[::-1, ::-1])


def check_precision_matrix(precision: Array, name: str, component: int | None) -> None:
    """Raise ValueError where a precision is not symmetric and positive definite."""
    symmetric = np.allclose(precision, precision.T)
    smallest = np.linalg.eigvalsh(precision).min() if symmetric else -np.inf
    if not symmetric or not smallest > 0:
        got = f"a smallest eigenvalue of {smallest}" if symmetric else "an asymmetric matrix"
        where = "" if component is None else f" in component {component}"
        raise ValueError(
            f"'{name} precision' should be symmetric, positive-definite, got {got}{where}."
        )
