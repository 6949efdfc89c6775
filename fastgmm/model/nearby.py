"""An order of samples in which those that are near in space follow one another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.layout import SMALLEST_BLOCK, Array, Components
from .._kernels.packing import pack
from ..data.tree import grow
from .axes import deviations
from .parameters import MixtureParameters

# Samples whose squared distances from the means near them are so many times the median, or more,
# follow the others: one of them would widen the box that a block of others fills.
_FAR = np.array([2.0, 8.0, 32.0])


class NearMeans:
    """Finds a mean that is near each sample, without comparing the sample with all.

    A sample is compared with the centres of groups of means, about sqrt(K), and then with the means
    that are nearest to the same centre. So few clusters are parted. Features are measured in
    deviations within components.

    Parameters
    ----------
    parameters : MixtureParameters
    n_threads : int
        Does not change the result.
    """

    def __init__(self, parameters: MixtureParameters, n_threads: int) -> None:
        self._scale = deviations(parameters)
        means, K = parameters.means / self._scale, parameters.n_components
        random = np.random.RandomState(0)  # of an order alone
        tree = grow(means, np.ones(K), K, random, n_threads)
        n_groups = int(np.sqrt(K))
        edges = K * np.arange(n_groups + 1) // n_groups
        sums = np.add.reduceat(means[tree.leaves.rows], edges[:-1])
        self._centers = _equal(sums / np.diff(edges)[:, np.newaxis])
        group = self._nearest_center(means[tree.leaves.rows], n_threads)
        by_group = np.argsort(group, kind="stable")
        self._components = tree.leaves.rows[by_group]
        self._means = means[self._components]
        self._edges = np.searchsorted(group[by_group], np.arange(n_groups + 1))
        self._packed = pack(_equal(self._means))

    def sort(self, X: NDArray[Any], n_threads: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return an order of some samples, and for each of them a component whose mean is near.

        Parameters
        ----------
        X : (n, d) array
        n_threads : int
            Does not change the result.

        Returns
        -------
        order, components : (n,) arrays of int64
        """
        X = X / self._scale
        center = self._nearest_center(X, n_threads)
        order = np.argsort(center, kind="stable")
        X, center = X[order], center[order]
        # a block is compared with the means about the centre of its first sample, of its last one,
        # and of those between
        first = center[::SMALLEST_BLOCK]
        last = np.append(center[SMALLEST_BLOCK - 1 :: SMALLEST_BLOCK], center[-1])[: len(first)]
        starts, sizes = self._edges[first], self._edges[last + 1] - self._edges[first]
        edges = np.append(0, np.cumsum(sizes))
        listed = np.arange(edges[-1]) + np.repeat(starts - edges[:-1], sizes)
        near, unused = np.empty(len(X), np.int64), np.empty(len(X))
        kernels.posterior_listed(X, self._packed, edges, listed, unused, near, n_threads)
        offsets = X - self._means[near]
        distances = np.einsum("ij,ij->i", offsets, offsets)
        is_far = np.searchsorted(_FAR * np.median(distances), distances)
        places = np.lexsort((near, is_far))
        return order[places], self._components[near[places]]

    def _nearest_center(self, X: Array, n_threads: int) -> NDArray[np.int64]:
        nearest = np.empty(len(X), np.int64)
        kernels.posterior(X, self._centers, n_threads, labels=nearest)
        return nearest


def _equal(means: Array) -> Components:
    """Return components of which the best one of a sample is that of the nearest mean."""
    K = len(means)
    return Components("spherical", np.zeros(K), means, np.ones(K))
