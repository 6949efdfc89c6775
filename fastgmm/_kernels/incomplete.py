"""Rows with missing values, in NumPy, one pattern at a time: the definition of their kernels.

Observed features O of a row have the density N(x_O | mu_O, Sigma_OO). Given them and the component,
the missing features M are normal, with

    mean        mu_M + Sigma_MO Sigma_OO^-1 (x_O - mu_O)
    covariance  C = Sigma_MM - Sigma_MO Sigma_OO^-1 Sigma_OM
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .layout import Array, Components, Moments

_LOG_2PI = float(np.log(2.0 * np.pi))


class Conditional(NamedTuple):
    """The missing features of some rows of one pattern, given component and observed features.

    Attributes
    ----------
    log_prob : (m, K) array
        log w_k + log N(x_O | k).
    means : (m, K, d) array
        x - mu_k, with its conditional mean where x is missing.
    covariances : (K, d, d) array
        C; 0 for observed features.
    """

    log_prob: Array
    means: Array
    covariances: Array


def patterns(X: NDArray[Any]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.intp]]]:
    """Yield each pattern, a mask of missing features, and the rows that have it."""
    unique, labels = np.unique(np.isnan(X), axis=0, return_inverse=True)
    order = np.argsort(labels.ravel(), kind="stable")
    bounds = np.searchsorted(labels.ravel()[order], np.arange(len(unique) + 1))
    for p, missing in enumerate(unique):
        yield missing, order[bounds[p] : bounds[p + 1]]


def dense_factors(components: Components) -> Array:
    """Return (K, d, d) factors U with U U^T = precision."""
    U = components.precisions_cholesky
    K, d = components.means.shape
    if components.kind in ("full", "tied"):
        return np.broadcast_to(U, (K, d, d))
    return np.asarray(np.broadcast_to(U.reshape(K, -1), (K, d))[:, :, np.newaxis] * np.eye(d))


def condition(
    X: NDArray[Any], missing: NDArray[np.bool_], components: Components, factors: Array
) -> Conditional:
    """Return what rows of one pattern say of each component and of the missing features.

    Parameters
    ----------
    X : (m, d) array
    missing : (d,) array of bool
    components : Components
    factors : (K, d, d) array
        From ``dense_factors``.
    """
    K, d = components.means.shape
    M, O = np.flatnonzero(missing), np.flatnonzero(~missing)  # noqa: E741
    inverse = np.linalg.inv(factors)
    covariances = inverse.swapaxes(1, 2) @ inverse
    log_det = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    z = np.zeros((len(X), K, d))
    z[:, :, O] = X.astype(np.float64)[:, np.newaxis, O] - components.means[:, O]
    root = np.linalg.cholesky(covariances[:, O[:, np.newaxis], O])
    # rows of y are L^-1 z_O, those of G are L^-1 Sigma_OM
    y = np.linalg.solve(root, z[:, :, O].transpose(1, 2, 0))
    G = np.linalg.solve(root, covariances[:, O[:, np.newaxis], M])
    log_det_observed = -np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    coefficients = components.log_coefficients + (
        log_det_observed - log_det + 0.5 * len(M) * _LOG_2PI
    )
    log_prob = coefficients - 0.5 * (y**2).sum(axis=1).T
    z[:, :, M] = np.einsum("kom,kon->nkm", G, y)
    conditional = np.zeros((K, d, d))
    own = covariances[:, M[:, np.newaxis], M] - G.swapaxes(1, 2) @ G
    conditional[:, M[:, np.newaxis], M] = own
    return Conditional(log_prob, z, conditional)


def posterior_incomplete(
    X: NDArray[Any],
    components: Components,
    n_threads: int = 1,
    *,
    log_prob_norm: Array | None = None,
    resp: Array | None = None,
    labels: NDArray[np.int64] | None = None,
) -> None:
    """Write log p(x_O), p(k | x_O) and argmax_k p(k | x_O)."""
    factors = dense_factors(components)
    for missing, rows in patterns(X):
        log_prob = condition(X[rows], missing, components, factors).log_prob
        norm = logsumexp(log_prob, axis=1)
        if labels is not None:
            labels[rows] = log_prob.argmax(axis=1)
        if log_prob_norm is not None:
            log_prob_norm[rows] = norm
        if resp is not None:
            resp[rows] = np.exp(log_prob - norm[:, np.newaxis])


def accumulate_incomplete(
    X: NDArray[Any],
    sample_weight: Array,
    components: Components,
    sums: Moments,
    log_likelihood: Array,
    n_threads: int = 1,
) -> None:
    """Add expected moments about the means given what is observed, and sum w log p(x_O).

    With z the conditional mean of x - mean, z z^T + C is the expected square.
    """
    factors = dense_factors(components)
    subscripts = {
        "full": "nk,nkd,nke->kde",
        "tied": "nk,nkd,nke->de",
        "diag": "nk,nkd,nkd->kd",
        "spherical": "nk,nkd,nkd->k",
    }[components.kind]
    of_covariances = {
        "full": "k,kde->kde",
        "tied": "k,kde->de",
        "diag": "k,kdd->kd",
        "spherical": "k,kdd->k",
    }[components.kind]
    for missing, rows in patterns(X):
        weight = sample_weight[rows]
        log_prob, z, covariances = condition(X[rows], missing, components, factors)
        norm = logsumexp(log_prob, axis=1)
        r = weight[:, np.newaxis] * np.exp(log_prob - norm[:, np.newaxis])
        nk = r.sum(axis=0)
        sums.nk[...] += nk
        sums.first[...] += np.einsum("nk,nkd->kd", r, z)
        sums.second[...] += np.einsum(subscripts, r, z, z)
        sums.second[...] += np.einsum(of_covariances, nk, covariances)
        log_likelihood += weight @ norm
