"""How far components reach: deviations of features within them, and their longest axes."""

import numpy as np

from .._kernels.layout import Array
from .parameters import MixtureParameters


def deviations(parameters: MixtureParameters) -> Array:
    """Return the deviation of each feature within components: the unit of distances.

    Parameters
    ----------
    parameters : MixtureParameters

    Returns
    -------
    (d,) array
        1 for a feature that does not vary.
    """
    shape = parameters.n_components, parameters.n_features
    variances = parameters.covariance_model.variances(parameters.covariances, *shape)
    found = np.sqrt(parameters.weights @ variances)
    return np.where(found > 0.0, found, 1.0)


def longest_axes(parameters: MixtureParameters) -> Array:
    """Return the longest half axis of each component, where features are measured in deviations.

    Parameters
    ----------
    parameters : MixtureParameters

    Returns
    -------
    (K, d) array
        Points at Mahalanobis distance 1 from the means, less these.
    """
    model, scale = parameters.covariance_model, deviations(parameters)
    K, d = parameters.means.shape
    if model.is_matrix:
        _, vectors = np.linalg.eigh(parameters.covariances / np.outer(scale, scale))
        # of a matrix A: A v / sqrt(v A v), the point of the ellipsoid that lies along v
        along = np.broadcast_to(vectors[..., -1] / scale, (K, d))
        covariances = np.broadcast_to(parameters.covariances, (K, d, d))
        axes = np.einsum("kij,kj->ki", covariances, along)
        return np.asarray(axes / np.sqrt(np.einsum("ki,ki->k", axes, along))[:, np.newaxis])
    variances = model.variances(parameters.covariances, K, d)
    longest = np.argmax(variances / scale**2, axis=1)
    rows, axes = np.arange(K), np.zeros((K, d))
    axes[rows, longest] = np.sqrt(variances[rows, longest])
    return axes
