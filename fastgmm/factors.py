"""Triangular factors of covariance and precision matrices, by LAPACK."""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cython_lapack, lapack

from ._kernels.layout import Array


def _lapack(name: str, n_arguments: int) -> Any:
    """Return a routine of SciPy's LAPACK that, unlike ``scipy.linalg.lapack``'s, frees the GIL."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = cython_lapack.__pyx_capi__[name]
    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)
    return prototype(pointer(capsule, get_name(capsule)))


_DPOTRF = _lapack("dpotrf", 5)  # uplo, n, a, lda, info
_DTRTRI = _lapack("dtrtri", 6)  # uplo, diag, n, a, lda, info


def inverse_factor(covariance: Array, smallest: float, out: Array) -> bool:
    """Write U = R^-1 for covariance = R^T R; return False where there is no such factor."""
    d = len(covariance)
    out[...] = 0.0
    np.copyto(out, covariance, where=_upper(d))
    order, info = ctypes.c_int(d), ctypes.c_int(0)
    n, status = ctypes.byref(order), ctypes.byref(info)
    # a lower triangle to LAPACK, which counts by columns
    _DPOTRF(b"L", n, out.ctypes.data, n, status)
    diagonal = np.diagonal(out)
    # a squared pivot within rounding of its own diagonal element is not a variance
    noise = np.maximum(np.finfo(float).eps * np.abs(np.diagonal(covariance)), smallest)
    if info.value or not (diagonal**2 > noise).all() or not np.isfinite(diagonal).all():
        return False
    _DTRTRI(b"L", b"N", n, out.ctypes.data, n, status)
    return True


@cache
def _upper(d: int) -> NDArray[np.bool_]:
    return np.tri(d, dtype=np.bool_).T


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
