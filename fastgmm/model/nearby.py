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


# Blocks of samples that are compared with lists of means at a time, and how many times the square
# root of K such a list may be long: any of its means will do, if none is near.
_BLOCKS = 256
_LONGEST = 16


class NearMeans:
    """Finds a mean that is near each sample, without comparing the sample with all.

    Means are grouped by the nearest of about sqrt(K) centres. A sample is compared with the
    centres, and then with the means of the group of the nearest one. A cluster that lies about one
    mean is seldom parted so. Features are measured in deviations within components.

    Parameters
    ----------
    parameters : MixtureParameters
    n_threads : int
        Does not change the result.
    """

    def __init__(self, parameters: MixtureParameters, n_threads: int) -> None:
        self._scale = deviations(parameters)
        K = parameters.n_components
        means = self._scaled(parameters.means)
        random = np.random.RandomState(0)  # of an order alone
        leaves = grow(means, np.ones(K), K, random, n_threads).leaves.rows
        means, n_centers = means[leaves], int(np.sqrt(K))
        edges = K * np.arange(n_centers + 1) // n_centers
        centers = np.add.reduceat(means, edges[:-1]) / np.diff(edges)[:, np.newaxis]
        group = _nearest(means, _unit_spheres(centers), n_threads)
        # a centre between clusters may be the nearest one of no mean
        kept, group = np.unique(group, return_inverse=True)
        self._centers = _unit_spheres(centers[kept])
        by_group = np.argsort(group, kind="stable")
        self._components, self._means = leaves[by_group], means[by_group]
        self._edges = np.searchsorted(group[by_group], np.arange(len(kept) + 1))
        self._packed = pack(_unit_spheres(self._means))

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
        X = self._scaled(X)
        group = _nearest(X, self._centers, n_threads)
        order = np.argsort(group, kind="stable")
        X, group = X[order], group[order]
        near = np.empty(len(X), np.int64)
        n_rows = _BLOCKS * SMALLEST_BLOCK
        for start in range(0, len(X), n_rows):
            rows = slice(start, start + n_rows)
            self._find(X[rows], group[rows], near[rows], n_threads)
        with np.errstate(over="ignore", invalid="ignore"):
            offsets = X - self._means[near]
            distances = np.einsum("ij,ij->i", offsets, offsets)
            is_far = np.searchsorted(_FAR * np.median(distances), distances)
        places = np.lexsort((near, is_far))
        return order[places], self._components[near[places]]

    def _find(
        self, X: Array, group: NDArray[np.int64], near: NDArray[np.int64], n_threads: int
    ) -> None:
        """Write the place of a mean that is near each sample; groups ascend.

        A block is compared with the groups of its first sample, of its last one, and between.
        """
        first = group[::SMALLEST_BLOCK]
        last = np.append(group[SMALLEST_BLOCK - 1 :: SMALLEST_BLOCK], group[-1])[: len(first)]
        longest = _LONGEST * len(self._edges)
        starts = self._edges[first]
        sizes = np.minimum(self._edges[last + 1] - starts, longest)
        edges = np.append(0, np.cumsum(sizes))
        listed = np.arange(edges[-1]) + np.repeat(starts - edges[:-1], sizes)
        unused = np.empty(len(X))
        kernels.posterior_listed(X, self._packed, edges, listed, unused, near, n_threads)

    def _scaled(self, X: NDArray[Any]) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(X / self._scale)


def _nearest(X: Array, centers: Components, n_threads: int) -> NDArray[np.int64]:
    nearest = np.empty(len(X), np.int64)
    kernels.posterior(X, centers, n_threads, labels=nearest)
    return nearest


def _unit_spheres(means: Array) -> Components:
    """Return components of which the best one of a sample is that of the nearest mean."""
    K = len(means)
    return Components("spherical", np.zeros(K), means, np.ones(K))
