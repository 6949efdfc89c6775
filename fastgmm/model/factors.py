"""Triangular factors of covariance and precision matrices."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from .. import _kernels as kernels
from .._kernels.layout import Array
from .covariance_model import SMALLEST_VARIANCE, Features

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


def regress(covariances: Array, given: Features, others: Features) -> tuple[Array, Array]:
    """Return coefficients and conditional covariances of Gaussians, given some of their features.

    With the Cholesky factor L of a covariance in which the given features a precede the others b::

        B = (L_ba L_aa^-1)^T,    E[b | a] = mean_b + (a - mean_a) B,    cov[b | a] = L_bb L_bb^T

    Parameters
    ----------
    covariances : (K, d, d) array
    given, others : (g,) and (m,) arrays of int
        The features a and b.

    Returns
    -------
    coefficients : (K, g, m) array
    covariances : (K, m, m) array
    """
    g, order = len(given), np.concatenate([given, others])
    lower = np.linalg.cholesky(covariances[:, order[:, np.newaxis], order])
    L_aa, L_ba, L_bb = lower[:, :g, :g], lower[:, g:, :g], lower[:, g:, g:]
    coefficients = np.linalg.solve(L_aa.swapaxes(1, 2), L_ba.swapaxes(1, 2))
    return coefficients, L_bb @ L_bb.swapaxes(1, 2)
