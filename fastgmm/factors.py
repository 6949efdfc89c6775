"""Triangular factors of covariance and precision matrices, by LAPACK."""

import numpy as np
from scipy.linalg import lapack

from ._kernels.layout import Array


def inverse_factor(covariance: Array, smallest: float, out: Array) -> bool:
    """Write U = R^-1 for covariance = R^T R; return False where there is no such factor."""
    upper, info = lapack.dpotrf(covariance.T, lower=0, clean=1)  # its transpose needs no copy
    diagonal = np.diagonal(upper)
    # a squared pivot within rounding of its own diagonal element is not a variance
    noise = np.maximum(np.finfo(float).eps * np.abs(np.diagonal(covariance)), smallest)
    if info != 0 or not (diagonal**2 > noise).all() or not np.isfinite(diagonal).all():
        return False
    out[...] = lapack.dtrtri(upper, lower=0, overwrite_c=1)[0]
    return True


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
