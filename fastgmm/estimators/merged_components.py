"""Clusters that consist of several components."""

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.containers import to_array
from ..model.merging import Merges, labels_after
from ._array_api import like

if TYPE_CHECKING:
    from ._base_mixture import BaseMixture


@dataclass(frozen=True)
class MergedComponents:
    """A hierarchy of clusters of components: what ``GaussianMixture.merge_components`` returns.

    Parameters
    ----------
    mixture : GaussianMixture
        Whose components are merged. It is not copied.
    merges : ndarray of shape (n_components - 1, 2)
        Which two clusters each step merges, by their first components.
    entropies : ndarray of shape (n_components,)
        Of 1, 2, ..., n_components clusters, in nats, summed over samples.
    n_clusters : int
        Where two straight lines fit the entropies best, as in ``clustCombiOptim`` of mclust; the
        number of components where these hardly overlap (0.01 nats per sample), or are two.
    """

    mixture: "BaseMixture"
    merges: Merges
    entropies: Array
    n_clusters: int

    def labels(self, n_clusters: int | None = None) -> Merges:
        """Return the cluster of each component.

        Parameters
        ----------
        n_clusters : int, optional
            From 1 to the number of components. None: ``self.n_clusters``.

        Returns
        -------
        ndarray of shape (n_components,)
            Numbers from 0, in the order of the first component of each cluster.

        Raises
        ------
        ValueError
            If there are not so many components, or none.
        """
        K = len(self.entropies)
        number = self.n_clusters if n_clusters is None else n_clusters
        if not isinstance(number, Integral) or not 1 <= number <= K:
            raise ValueError(f"n_clusters should be from 1 to {K}, but got {number!r}.")
        return labels_after(self.merges, int(number))

    def predict_proba(self, X: Any, n_clusters: int | None = None) -> NDArray[np.floating[Any]]:
        r"""Compute the responsibilities of the clusters.

        .. math:: r_{ic} = \sum_{k \in c} p(k \mid x_i)

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        n_clusters : int, optional
            None: ``self.n_clusters``.

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            In the type of those of the mixture. Rows sum to 1.

        Raises
        ------
        ValueError
            If X is not finite or has another number of features, or there are not so many
            components.
        """
        return like(X, self._resp(X, n_clusters))

    def predict(self, X: Any, n_clusters: int | None = None) -> NDArray[np.int64]:
        """Return the cluster of the largest responsibility for each sample.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        n_clusters : int, optional
            None: ``self.n_clusters``.

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            As ``predict_proba``.
        """
        labels: NDArray[np.int64] = self._resp(X, n_clusters).argmax(axis=1)
        return like(X, labels)

    @numpys_rules()
    def _resp(self, X: Any, n_clusters: int | None) -> NDArray[np.floating[Any]]:
        labels = self.labels(n_clusters)
        resp = to_array(self.mixture.predict_proba(X), "resp")
        clusters = range(labels.max() + 1)
        return np.stack([resp[:, labels == c].sum(axis=1) for c in clusters], axis=1)
