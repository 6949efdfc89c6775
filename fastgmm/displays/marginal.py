"""Marginal mixtures of one or two features: their densities and ellipses."""

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.samples import Samples
from ..model.parameters import MixtureParameters
from ..model.prediction import log_density

_DRAWS = 20_000
_VERTICES = 120


def dense_marginal(
    parameters: MixtureParameters, features: NDArray[np.intp]
) -> tuple[Array, Array]:
    """Return means (K, m) and covariances (K, m, m) of some features.

    Parameters
    ----------
    parameters : MixtureParameters
    features : (m,) array of int
    """
    model, shape = parameters.covariance_model, parameters.means.shape
    if model.is_matrix:
        block = parameters.covariances[..., features[:, np.newaxis], features]
        covariances = np.broadcast_to(block, (shape[0], len(features), len(features)))
    else:
        variances = model.variances(parameters.covariances, *shape)[:, features]
        covariances = variances[:, :, np.newaxis] * np.eye(len(features))
    return parameters.means[:, features], covariances


class Marginal:
    r"""The marginal mixture of some features.

    .. math:: p(x_F) = \sum_k w_k N(x_F \mid \mu_{k,F}, \Sigma_{k,FF})

    Parameters
    ----------
    weights : (K,) array
    means : (K, d) array
    covariances : (K, d, d) array
    features : sequence of int
    """

    def __init__(
        self, weights: Array, means: Array, covariances: Array, features: list[int]
    ) -> None:
        chosen = np.array(features)
        self._mixture = MixtureParameters.from_covariances(
            "full",
            weights,
            np.ascontiguousarray(means[:, chosen]),
            np.ascontiguousarray(covariances[:, chosen[:, np.newaxis], chosen]),
        )

    def log_density(self, points: Array) -> Array:
        """Return log p(x) of points, in nats.

        Parameters
        ----------
        points : (n, m) array
        """
        samples = Samples(np.ascontiguousarray(points))
        return np.asarray(log_density(samples, self._mixture, count_threads(None)))

    def log_levels(self, probabilities: Array) -> Array:
        """Return the log-densities that bound regions of highest density of given probabilities.

        A region's bound is a quantile of the density of draws from the mixture: Hyndman (1996),
        Computing and graphing highest density regions, section 3.2.

        Parameters
        ----------
        probabilities : (n,) array

        Returns
        -------
        (n,) array
        """
        random_state = np.random.RandomState(0)
        weights = self._mixture.weights
        counts = random_state.multinomial(_DRAWS, weights / max(weights.sum(), 1.0))
        X, _ = self._mixture.sample(counts, random_state)
        return np.asarray(np.quantile(self.log_density(X), 1.0 - probabilities))


def ellipse(mean: Array, covariance: Array, coverage: float) -> Array:
    r"""Return points of the ellipse that holds a part of a Gaussian.

    .. math:: (x - \mu)^T \Sigma^{-1} (x - \mu) = -2 \log(1 - \mathrm{coverage})

    They follow from the Cholesky factor, so that the units of the features may be unlike.

    Parameters
    ----------
    mean : (2,) array
    covariance : (2, 2) array
    coverage : float
        Probability in the ellipse.

    Returns
    -------
    (n, 2) array
    """
    angles = np.linspace(0.0, 2.0 * np.pi, _VERTICES, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    radius = np.sqrt(-2.0 * np.log1p(-coverage))
    return np.asarray(mean + radius * (np.linalg.cholesky(covariance) @ circle).T)
