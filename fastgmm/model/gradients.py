r"""Q, the expected complete log-likelihood, and its gradient, from sufficient statistics alone.

At the parameters whose responsibilities the statistics hold, the gradient of Q is that of the
log-likelihood (Fisher's identity). With moments about the means, precisions P_k = U_k U_k^T
and W_k = U_k^T S_k U_k - nk I::

    Q         = sum_k nk (log w_k + log det U_k - d/2 log 2 pi) - tr(P_k S_k) / 2
    d weight  = nk / w_k
    d mean    = P_k s_k                           s_k = first, S_k = second moment
    d cov     = (P_k S_k P_k - nk P_k) / 2        = U_k W_k U_k^T / 2

and, in unconstrained parameters (weights = softmax of logits, covariance_k = L_k L_k^T)::

    d logit   = nk - w_k sum_j nj
    d factor  = lower triangle of U_k W_k         its diagonal times that of L_k, for log L_k
"""

from typing import NamedTuple

import numpy as np

from .._kernels.layout import Array
from .parameters import MixtureParameters
from .statistics import SufficientStatistics


class MixtureGradient(NamedTuple):
    """Derivatives with respect to the parameters of a mixture, in their shapes.

    Attributes
    ----------
    weights : (K,) array
    means : (K, d) array
    covariances : array
        (K, d, d), (d, d), (K, d), (K,) or (), by covariance model.
    """

    weights: Array
    means: Array
    covariances: Array


def q_function(statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
    """Return the expected complete log-likelihood, in nats, summed over samples."""
    return parameters.expected_log_joint(about_means(statistics, parameters).moments)


def q_gradient(statistics: SufficientStatistics, parameters: MixtureParameters) -> MixtureGradient:
    """Return the derivatives of Q; all weights must be positive.

    Weights count as free numbers, and the elements of a covariance matrix as d^2 free numbers: a
    symmetric change D of the matrix changes Q by the sum of gradient times D.
    """
    factors = parameters.precisions_cholesky
    excess = whitened_excess(statistics, parameters)
    if parameters.covariance_model.is_matrix:
        covariances = 0.5 * factors @ excess @ factors.swapaxes(-1, -2)
        covariances = 0.5 * (covariances + covariances.swapaxes(-1, -2))
    else:
        covariances = 0.5 * excess * factors**2
    weights = statistics.moments.nk / parameters.weights
    return MixtureGradient(weights, mean_gradient(statistics, parameters), covariances)


def unconstrained_gradient(
    statistics: SufficientStatistics, parameters: MixtureParameters
) -> MixtureGradient:
    """Return the derivatives of Q with respect to logits, means and log-Cholesky factors.

    Covariances are replaced by L, which is lower triangular with L L^T = covariance; the diagonal
    of L is replaced by its logarithm. For diag and spherical, covariances are replaced by log
    standard deviations.
    """
    spread = whitened_excess(statistics, parameters)
    if parameters.covariance_model.is_matrix:
        factors = parameters.precisions_cholesky
        spread = np.tril(factors @ spread)
        diagonal = np.arange(parameters.n_features)
        spread[..., diagonal, diagonal] /= factors[..., diagonal, diagonal]
    logits = logit_gradient(statistics, parameters)
    return MixtureGradient(logits, mean_gradient(statistics, parameters), spread)


def logit_gradient(statistics: SufficientStatistics, parameters: MixtureParameters) -> Array:
    """Return nk - w_k sum_j nj."""
    nk = statistics.moments.nk
    return np.asarray(nk - parameters.weights * nk.sum())


def mean_gradient(statistics: SufficientStatistics, parameters: MixtureParameters) -> Array:
    """Return P_k times the first moment about the mean."""
    first = about_means(statistics, parameters).moments.first
    model, factors = parameters.covariance_model, parameters.precisions_cholesky
    if not model.is_matrix:
        K = parameters.n_components
        return np.asarray(first * model.to_kernel(factors, K).reshape(K, -1) ** 2)
    whitened = first[:, np.newaxis, :] @ factors
    return np.asarray(whitened @ factors.swapaxes(-1, -2))[:, 0]


def whitened_excess(statistics: SufficientStatistics, parameters: MixtureParameters) -> Array:
    """Return W = U^T S U - nk I, which is 0 where the covariance is that of the samples.

    For diag S / variance - nk, for spherical S / variance - nk d, for tied-spherical the sum of
    these over components.
    """
    nk, _, second = about_means(statistics, parameters).moments
    model = parameters.covariance_model
    factors = parameters.precisions_cholesky
    if not model.is_matrix:
        ones = np.ones_like(parameters.means)
        return np.asarray(model.pool(second) * factors**2 - model.pool(model.outer(nk, ones, ones)))
    excess = factors.swapaxes(-1, -2) @ second @ factors
    diagonal = np.arange(parameters.n_features)
    excess[..., diagonal, diagonal] -= nk[:, np.newaxis] if model.per_component else nk.sum()
    return np.asarray(excess)


def about_means(
    statistics: SufficientStatistics, parameters: MixtureParameters
) -> SufficientStatistics:
    """Return the statistics about the means of the parameters."""
    if np.array_equal(statistics.centers, parameters.means):
        return statistics
    return statistics.recenter(parameters.means)
