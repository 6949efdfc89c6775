"""Coordinates for the parameters of a mixture in which EM's step is a gradient.

About a reference mixture with factors U_k, U_k U_k^T = inverse covariance, and weights
pi_k = nk / N, the coordinates of (w, mu, Sigma) are::

    sqrt(pi_k) log(w_k / w_ref_k)
    sqrt(pi_k) U_k^T (mu_k - mu_ref_k)
    sqrt(pi_k) T_k below the diagonal, sqrt(2 pi_k) log T_k on it,  T_k T_k^T = U_k^T Sigma_k U_k

There the Fisher information of the complete data (x, k) is the identity, so that to first order
one step of EM is the gradient of the mean log-likelihood. The coordinates have no constraints:
every vector stands for a mixture.
"""

import numpy as np

from .._kernels.layout import Array
from ..model.covariance_model import CollapseError
from ..model.gradients import logit_gradient, mean_gradient, whitened_excess
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics


class EMCoordinates:
    """Coordinates about a reference mixture.

    Parameters
    ----------
    reference : MixtureParameters
        All weights positive.
    nk : (K,) array
        Sums of responsibilities, all positive.
    """

    def __init__(self, reference: MixtureParameters, nk: Array) -> None:
        self.reference = reference
        self.root = np.sqrt(nk / nk.sum())
        factors = reference.precisions_cholesky
        model = reference.covariance_model
        self.is_matrix = model.is_matrix
        if self.is_matrix:
            d = reference.n_features
            self.factors = factors.reshape(-1, d, d)
            self.inverses = np.linalg.inv(self.factors)
            self.lower = np.tril_indices(d)
            on_diagonal = self.lower[0] == self.lower[1]
            self.diagonal = on_diagonal
            each = self.root if model.per_component else np.ones(1)
            self.scale = each[:, np.newaxis] * np.where(on_diagonal, np.sqrt(2.0), 1.0)
        else:
            ones = np.ones_like(reference.means)
            counts = model.pool(model.outer(self.root**2, ones, ones))  # that share a variance
            self.scale = np.sqrt(2.0 * np.atleast_1d(counts))

    def coordinates(self, parameters: MixtureParameters) -> Array:
        """Return the coordinates of a mixture, or raise CollapseError if it has none."""
        reference = self.reference
        log_weights = np.log(parameters.weights) - np.log(reference.weights)
        means = self._whiten(parameters.means - reference.means)
        if self.is_matrix:
            shape = self.factors.shape
            rows, columns = self.lower
            relative = self.factors.swapaxes(1, 2) @ parameters.covariances.reshape(shape)
            try:
                triangles = np.linalg.cholesky(relative @ self.factors)[:, rows, columns]
            except np.linalg.LinAlgError:
                raise CollapseError(None) from None
            triangles[:, self.diagonal] = np.log(triangles[:, self.diagonal])
            spread = self.scale * triangles
        else:
            deviations = np.sqrt(parameters.covariances) * reference.precisions_cholesky
            spread = self.scale * np.log(deviations)
        means = self.root[:, np.newaxis] * means
        return np.concatenate([self.root * log_weights, means.ravel(), spread.ravel()])

    def parameters(self, coordinates: Array) -> MixtureParameters:
        """Return the mixture at given coordinates; CollapseError if rounding makes it invalid."""
        reference = self.reference
        K, d = reference.means.shape
        log_weights = np.log(reference.weights) + coordinates[:K] / self.root
        weights = np.exp(log_weights - log_weights.max())
        shifts = coordinates[K : K + K * d].reshape(K, d) / self.root[:, np.newaxis]
        spread = coordinates[K + K * d :].reshape(self.scale.shape[0], -1)
        if self.is_matrix:
            values = spread / self.scale
            values[:, self.diagonal] = np.exp(values[:, self.diagonal])
            triangles = np.zeros_like(self.factors)
            rows, columns = self.lower
            triangles[:, rows, columns] = values
            roots = self.inverses.swapaxes(1, 2) @ triangles
            covariances = roots @ roots.swapaxes(1, 2)
        else:
            values = spread.reshape(reference.covariances.shape) / self.scale
            covariances = reference.covariances * np.exp(2.0 * values)
        return MixtureParameters.from_covariances(
            reference.covariance_model,
            weights / weights.sum(),
            reference.means + self._color(shifts),
            covariances.reshape(reference.covariances.shape),
        )

    def gradient(self, statistics: SufficientStatistics, parameters: MixtureParameters) -> Array:
        """Return the gradient of Q in these coordinates, summed over samples."""
        weights = logit_gradient(statistics, parameters) / self.root
        means = mean_gradient(statistics, parameters)
        spread = whitened_excess(statistics, parameters)
        if self.is_matrix:
            means = (means[:, np.newaxis, :] @ self.inverses.swapaxes(1, 2))[:, 0]
            relative = self.inverses @ parameters.precisions_cholesky.reshape(self.factors.shape)
            rows, columns = self.lower
            spread = (relative @ spread)[:, rows, columns]
            spread[:, self.diagonal] /= np.diagonal(relative, axis1=1, axis2=2)
        else:
            means = means / self._per_feature()
        means = means / self.root[:, np.newaxis]
        return np.concatenate([weights, means.ravel(), (spread / self.scale).ravel()])

    def without_spread(self, step: Array, component: int | None) -> tuple[Array, frozenset[int]]:
        """Return a step that keeps the covariance of one component (None: of all), and which."""
        K, d = self.reference.means.shape
        whose = slice(None) if component is None else component
        kept = step.copy()
        kept[K + K * d :].reshape(len(self.scale), -1)[whose] = 0.0
        return kept, frozenset(np.arange(K)[whose].ravel().tolist())

    def largest_change(self, coordinates: Array) -> float:
        """Return the largest change of a log-weight, a scaled mean or a log standard deviation."""
        K, d = self.reference.means.shape
        weights = np.abs(coordinates[:K]) / self.root
        means = np.abs(coordinates[K : K + K * d].reshape(K, d)) / self.root[:, np.newaxis]
        spread = np.abs(coordinates[K + K * d :].reshape(self.scale.shape[0], -1))
        changes = spread / self.scale.reshape(self.scale.shape[0], -1)
        return float(max(weights.max(), means.max(), changes.max()))

    def _whiten(self, shifts: Array) -> Array:
        """U^T shift."""
        if self.is_matrix:
            return np.asarray(shifts[:, np.newaxis, :] @ self.factors)[:, 0]
        return shifts * self._per_feature()

    def _color(self, whitened: Array) -> Array:
        if self.is_matrix:
            return np.asarray(whitened[:, np.newaxis, :] @ self.inverses)[:, 0]
        return np.asarray(whitened / self._per_feature())

    def _per_feature(self) -> Array:
        reference = self.reference
        factors = reference.covariance_model.to_kernel(
            reference.precisions_cholesky, reference.n_components
        )
        return factors.reshape(reference.n_components, -1)
