"""Which components are near which: where the few candidates of a sample are sought."""

from copy import copy, deepcopy
from typing import Any

import numpy as np
from numpy.random import Philox, RandomState
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .. import _kernels as kernels
from .._kernels.layout import SMALLEST_BLOCK, Array, CandidateSearch
from ..data.tree import Tree, grow
from ..model.axes import deviations
from ..model.parameters import MixtureParameters

# Groups of fewer samples share a block with their neighbours.
_LEAST_BLOCK = 16

Indices = NDArray[np.int64]


class Neighborhoods:
    """The components, in an order in which neighbours are near in space, and their neighbours.

    The order is that of the leaves of a tree of means. At first, neighbours are those beside a
    component in that order. Each search replaces them by the components that its samples find best.

    Parameters
    ----------
    parameters : MixtureParameters
    n_candidates, n_neighbors : int
        At most K are taken. A component is one of its own neighbours; there are at least as many
        neighbours as candidates.
    seed : int
    n_threads : int
        Does not change the result.

    Attributes
    ----------
    n_candidates : int
    """

    def __init__(
        self,
        parameters: MixtureParameters,
        n_candidates: int,
        n_neighbors: int,
        seed: int,
        n_threads: int,
    ) -> None:
        K = parameters.n_components
        self.n_candidates = min(n_candidates, K)
        self._random = RandomState(Philox(key=np.array([seed, 0], np.uint64)))
        self._scale = deviations(parameters)
        self._means = parameters.means / self._scale
        self.plant(n_threads)
        self._order = self._tree.leaves.rows
        self._rank = np.argsort(self._order)
        n_neighbors = min(max(n_neighbors, n_candidates), K)
        self._neighbors = _nearest(self._rank, self._order, n_neighbors)

    def copy(self) -> "Neighborhoods":
        """Return what searches as this one would, and leaves this one as it is.

        Returns
        -------
        Neighborhoods
        """
        other = copy(self)
        other._random = deepcopy(self._random)
        return other

    def plant(self, n_threads: int) -> None:
        """Grow another tree of means, whose cuts are elsewhere; what follows goes by that one.

        Parameters
        ----------
        n_threads : int
            Does not change the result.
        """
        K = len(self._means)
        self._tree: Tree = grow(self._means, np.ones(K), K, self._random, n_threads)

    def find(self, X: NDArray[Any], n_threads: int) -> NDArray[np.int32]:
        """Return the components whose means are near some samples, according to the tree.

        Parameters
        ----------
        X : (n, d) array
        n_threads : int

        Returns
        -------
        (n, P) array of int32
            That of the leaf of the sample first, then those of leaves beside it.
        """
        leaves = self._tree.find(X / self._scale, n_threads)
        return _nearest(leaves, self._tree.leaves.rows, self.n_candidates)

    def by_group(self, best: NDArray[np.int32]) -> Indices:
        """Return an order of samples in which those of near components are near.

        Parameters
        ----------
        best : (n,) array of int
            The component of each sample.

        Returns
        -------
        (n,) array of int64
        """
        return by_label(self._rank[best], len(self._rank))[0]

    def search(
        self,
        X: Array,
        parameters: MixtureParameters,
        candidates: NDArray[np.int32],
        is_wide: bool,
        n_threads: int,
    ) -> tuple[Array, Array]:
        """Replace the candidates of some samples by better ones, and the neighbourhoods.

        Parameters
        ----------
        X : (n, d) array
        parameters : MixtureParameters
        candidates : (n, P) array of int32
            Overwritten: the best are first.
        is_wide : bool
            Whether to look at the neighbours of all candidates, and not of the best alone.
        n_threads : int
            Does not change the result.

        Returns
        -------
        resp : (n, P) array
            Responsibilities of the candidates.
        log_prob_norm : (n,) array
            The logarithm of the sum of their joint densities, a bound below log p(x).
        """
        resp, log_prob_norm = np.empty(candidates.shape), np.empty(len(X))
        if not len(X):
            return resp, log_prob_norm
        neighbors = self._neighbors.copy()
        found = candidates, resp, log_prob_norm, neighbors
        search = self._groups(candidates[:, 0], is_wide)
        kernels.search_candidates(X, parameters.components(), search, *found, n_threads)
        self._neighbors = neighbors
        return resp, log_prob_norm

    def adopt(self, children: Indices, parents: Indices) -> None:
        """Let some components lie beside others: as neighbours of these, with their neighbours.

        Parameters
        ----------
        children, parents : (m,) arrays of int
            Components, all different.
        """
        near = self._neighbors.copy()
        of_parents = near[parents]
        near[children] = of_parents
        if near.shape[1] > 1:
            slot = places_for(of_parents, children)
            near[parents, slot] = children
            near[children, slot] = parents
        near[children, 0] = children
        self._neighbors = near

    def _groups(self, best: NDArray[np.int32], is_wide: bool) -> CandidateSearch:
        """Return blocks of samples whose best candidate is the same, or a neighbour."""
        K = len(self._order)
        rows, bounds = by_label(self._rank[best], K)
        groups = np.flatnonzero(np.diff(bounds))
        bounds = bounds[np.append(groups, K)]
        blocks = _cut(bounds)
        first_groups = np.searchsorted(bounds, blocks[:-1], side="right") - 1
        most = np.searchsorted(bounds, blocks[1:]) - first_groups
        extra = self._random.randint(K, size=len(first_groups))
        components = self._order[groups]
        near = self._neighbors
        return CandidateSearch(
            rows, components, bounds, blocks, first_groups, extra, near.ravel(), near.shape[1],
            int(most.max()), is_wide,
        )  # fmt: skip


def _nearest(leaves: Indices, order: Indices, count: int) -> NDArray[np.int32]:
    """Return the components of some leaves, and of those beside them."""
    first = np.clip(leaves - count // 2, 0, len(order) - count)
    near = first[:, np.newaxis] + np.arange(count)
    again = near == leaves[:, np.newaxis]
    again[:, 0] = False
    near[again] = first[again.any(axis=1)]
    near[:, 0] = leaves
    found: NDArray[np.int32] = order[near].astype(np.int32)
    return found


def places_for(table: NDArray[np.int32], values: NDArray[Any]) -> Indices:
    """Return in which place of each row its value is, or the last one where it is not there.

    Parameters
    ----------
    table : (n, C) array of int
    values : (n,) array of int

    Returns
    -------
    (n,) array of int64
    """
    is_there = table == values[:, np.newaxis]
    last = table.shape[1] - 1
    return np.asarray(np.where(is_there.any(axis=1), is_there.argmax(axis=1), last))


def by_label(labels: NDArray[Any], n_labels: int) -> tuple[Indices, Indices]:
    """Return the places of each label, in order, and where those of each label begin.

    Parameters
    ----------
    labels : (n,) array of int
    n_labels : int

    Returns
    -------
    places : (n,) array of int64
    bounds : (n_labels + 1,) array of int64
    """
    n = len(labels)
    rows = csr_array((np.zeros(n, np.int8), labels, np.arange(n + 1)), shape=(n, n_labels))
    columns = rows.tocsc()
    return columns.indices.astype(np.int64), columns.indptr.astype(np.int64)


def _cut(bounds: Indices) -> Indices:
    """Return where blocks begin: a few neighbouring groups, or a part of a large one."""
    starts = bounds[:-1]
    units = starts // _LEAST_BLOCK
    starts = starts[np.append(True, units[1:] != units[:-1])]
    sizes = np.diff(np.append(starts, bounds[-1]))
    parts = -(-sizes // SMALLEST_BLOCK)
    number = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    begins = np.repeat(starts, parts) + number * np.repeat(sizes, parts) // np.repeat(parts, parts)
    return np.append(begins, bounds[-1])
