"""Addresses of SciPy's LAPACK and BLAS routines, which kernels call on their own threads."""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cython_blas, cython_lapack


def _address(module: Any, name: str) -> int:
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = module.__pyx_capi__[name]
    return int(pointer_of(capsule, name_of(capsule)))


#: dpotrf(uplo, n, a, lda, info), dtrtri(uplo, diag, n, a, lda, info) and
#: dtrmm(side, uplo, trans, diag, m, n, alpha, a, lda, b, ldb). All arguments are pointers.
ROUTINES = np.array(
    [
        _address(cython_lapack, "dpotrf"),
        _address(cython_lapack, "dtrtri"),
        _address(cython_blas, "dtrmm"),
    ],
    np.int64,
)


class Routines(NamedTuple):
    """Addresses of the routines, and of the constants that they read."""

    potrf: Any
    trtri: Any
    trmm: Any
    letters: Any  # of "LNR": lower, plain (no transposition, no unit diagonal), right
    signs: Any  # of 1.0 and -1.0


LETTERS = np.frombuffer(b"LNR", np.uint8)
SIGNS = np.array([1.0, -1.0])
