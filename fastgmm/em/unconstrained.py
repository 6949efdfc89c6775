"""Unconstrained parameters: every vector of real numbers stands for a mixture.

Logits a, means, and the lower triangular factors L_k, L_k L_k^T = covariance_k, by rows::

    w_k = exp a_k / sum_j exp a_j,    L_k below its diagonal,    log L_k on it

For variances (diag, spherical, tied-spherical), the last are the logarithms of standard deviations.
"""

import numpy as np

from .._kernels.layout import Array
from ..model.covariance import get_covariance_model
from ..model.covariance_model import CollapseError, CovarianceModel
from ..model.gradients import unconstrained_gradient
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics


class Unconstrained:
    """Softmax logits, means and log-Cholesky factors, in one vector.

    Parameters
    ----------
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'tied-spherical'} or CovarianceModel
    n_components : int
    n_features : int

    References
    ----------
    Pinheiro and Bates (1996), Unconstrained parametrizations for variance-covariance matrices,
    Statistics and Computing 6.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> parameters = em.MixtureParameters.from_covariances(
    ...     "full", np.array([1.0]), np.zeros((1, 2)), np.array([[[4.0, 2.0], [2.0, 5.0]]])
    ... )
    >>> coordinates = em.Unconstrained("full", 1, 2).coordinates(parameters)
    >>> coordinates.round(3).tolist()
    [0.0, 0.0, 0.0, 0.693, 1.0, 0.693]
    """

    def __init__(
        self, covariance_type: str | CovarianceModel, n_components: int, n_features: int
    ) -> None:
        self.covariance_model = get_covariance_model(covariance_type)
        self.n_components = n_components
        self.n_features = n_features
        self._lower = np.tril_indices(n_features)
        self._on_diagonal = self._lower[0] == self._lower[1]

    @property
    def size(self) -> int:
        """Number of coordinates: one more than free parameters, since logits may be shifted."""
        K, d = self.n_components, self.n_features
        return K + K * d + self.covariance_model.n_parameters(K, d)

    def coordinates(self, parameters: MixtureParameters) -> Array:
        """Return the coordinates of a mixture.

        Parameters
        ----------
        parameters : MixtureParameters

        Returns
        -------
        (size,) array
            The logit of a weight of 0 is -inf.
        """
        with np.errstate(divide="ignore"):
            logits = np.log(parameters.weights)
        if not self.covariance_model.is_matrix:
            spread = 0.5 * np.log(parameters.covariances)
        else:
            factors = np.asarray(np.linalg.cholesky(parameters.covariances), np.float64)
            spread = factors[(..., *self._lower)]
            spread[..., self._on_diagonal] = np.log(spread[..., self._on_diagonal])
        return np.concatenate([logits, parameters.means.ravel(), spread.ravel()])

    def parameters(self, coordinates: Array) -> MixtureParameters:
        """Return the mixture at given coordinates.

        Parameters
        ----------
        coordinates : (size,) array

        Returns
        -------
        MixtureParameters

        Raises
        ------
        ValueError
            If there are fewer or more coordinates.
        CollapseError
            If a covariance is not positive definite in float64.
        """
        if coordinates.shape != (self.size,):
            raise ValueError(
                f"coordinates should have the shape of ({self.size},), but got {coordinates.shape}."
            )
        K, d = self.n_components, self.n_features
        shape = self.covariance_model.shape(K, d)
        logits, means, spread = np.split(coordinates, [K, K + K * d])
        weights = np.exp(logits - logits.max())
        with np.errstate(over="ignore", invalid="ignore"):
            if self.covariance_model.is_matrix:
                values = spread.reshape(*shape[:-2], -1).copy()
                values[..., self._on_diagonal] = np.exp(values[..., self._on_diagonal])
                factors = np.zeros(shape)
                factors[(..., *self._lower)] = values
                covariances = factors @ factors.swapaxes(-1, -2)
            else:
                covariances = np.exp(2.0 * spread).reshape(shape)
        if not np.isfinite(covariances).all():
            raise CollapseError(None)
        return MixtureParameters.from_covariances(
            self.covariance_model, weights / weights.sum(), means.reshape(K, d), covariances
        )

    def gradient(self, statistics: SufficientStatistics, parameters: MixtureParameters) -> Array:
        """Return the gradient of the log-likelihood, from the statistics of an E step.

        Parameters
        ----------
        statistics : SufficientStatistics
            Under the responsibilities of ``parameters``; under others, the gradient is that of Q.
        parameters : MixtureParameters

        Returns
        -------
        (size,) array
            In nats, summed over samples.
        """
        weights, means, spread = unconstrained_gradient(statistics, parameters)
        if self.covariance_model.is_matrix:
            spread = spread[(..., *self._lower)]
        return np.concatenate([weights, means.ravel(), spread.ravel()])
