"""Triangular factors of covariance and precision matrices."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from .. import _kernels as kernels
from .._kernels.layout import Array
from .covariance_model import SMALLEST_VARIANCE

# A pivot of less than this many units in the last place of its diagonal element is rounding error.
_NOISE = 16.0 * float(np.finfo(np.float64).eps)


def inverse_factors(covariances: Array, n_threads: int) -> tuple[Array, NDArray[np.bool_]]:
    """Return U = R^-1 for covariances R^T R, and a mask of those without a valid R.

    The squared pivots of R must be larger than the rounding error of their diagonal elements.
    """
    covariances = np.ascontiguousarray(covariances)
    factors = np.zeros(covariances.shape)
    failed = np.zeros(len(covariances), np.uint8)
    kernels.inverse_factors(covariances, factors, failed, n_threads)
    lowest = np.maximum(_NOISE * covariances.diagonal(axis1=1, axis2=2), SMALLEST_VARIANCE)
    with np.errstate(all="ignore"):
        squares = 1.0 / factors.diagonal(axis1=1, axis2=2) ** 2
    is_variance = (squares > lowest) & np.isfinite(squares)
    return factors, failed.astype(np.bool_) | ~is_variance.all(axis=1)


def invert_triangle(upper: Array) -> Array:
    """Return the inverse of an upper triangle."""
    inverse, _ = lapack.dtrtri(upper, lower=0)
    return np.ascontiguousarray(np.triu(inverse))


def reversed_factor(precision: Array) -> Array:
    """Return upper triangular U with U U^T = precision: Cholesky from the last row up."""
    lower = np.linalg.cholesky(precision[::-1, ::-1])
    return np.ascontiguousarray(lower[::-1, ::-1])
