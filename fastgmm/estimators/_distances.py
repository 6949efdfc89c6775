"""Distances from the centres of clusters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from .. import _kernels as kernels
from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..model.covariance import Spherical
from ..model.parameters import MixtureParameters
from ..model.prediction import result_dtype
from ._array_api import like
from ._mixture import FittedMixture

# Distances that are computed at a time: 8 MB.
_DISTANCES = 2**20


def mixture_about(centers: Array, beta: float) -> MixtureParameters:
    """Return the mixture of equal weights and variances 1 / (2 beta) about centres."""
    K = len(centers)
    factors = np.full(K, np.sqrt(2.0 * beta))
    weights = np.full(K, 1.0 / K)
    return MixtureParameters.from_precisions_cholesky(Spherical(), weights, centers, factors)


class CenterDistances(ClassNamePrefixFeaturesOutMixin, TransformerMixin, FittedMixture):
    """A clustering whose features are the distances from its centres."""

    cluster_centers_: Array

    @numpys_rules()
    def transform(self, X: Any) -> NDArray[np.floating[Any]]:
        """Return the Euclidean distance of each sample from each centre.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            float32 where X and the samples of the fit are float32, computed in float64.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If X is not finite or has another number of features.
        """
        samples, parameters, n_threads = self._checked("transform", X)
        # with this beta the variance is 1: the kernels' distances are those of the samples
        components = mixture_about(parameters.means, 0.5).components()
        shape = samples.n_samples, parameters.n_components
        dtype = result_dtype(samples, parameters, self._samples_dtype)
        distances = np.empty(shape, dtype)
        for rows in samples.block_slices(_DISTANCES // shape[1]):
            squares = np.empty((rows.stop - rows.start, shape[1]))
            kernels.mahalanobis(samples.rows(rows), components, squares, n_threads)
            distances[rows] = np.sqrt(squares, out=squares)
        return like(X, distances)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)
