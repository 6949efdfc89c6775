"""A tree that cuts samples in two, again and again.

A level reads each row a few times, and the tree has about log2(K) levels: the time hardly grows
with K, where that of k-means is proportional to K.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.layout import Array

# Cuts lie within so many standard deviations of the mean of their node, at random: so starts with
# other seeds are other starts, in one dimension too.
_SHIFT = 0.25


class Groups(NamedTuple):
    """Rows by group: those of group k are ``rows[bounds[k]:bounds[k + 1]]``."""

    rows: NDArray[np.int64]
    bounds: NDArray[np.int64]


class Tree(NamedTuple):
    """A tree of cuts: x lies beyond the cut of a node if ``directions[node] @ x > cuts[node]``.

    Attributes
    ----------
    leaves : Groups
        Leaves that are near in space are near in order.
    directions : (m, d) array
    cuts : (m,) array
    children : (m, 2) array of int64
        The node below a cut and the one beyond it; -1 - k for leaf k.
    """

    leaves: Groups
    directions: Array
    cuts: Array
    children: NDArray[np.int64]

    def find(self, X: Array, n_threads: int) -> NDArray[np.int64]:
        """Return the leaf in which each row lies.

        Parameters
        ----------
        X : (n, d) array
        n_threads : int

        Returns
        -------
        (n,) array of int64
        """
        found = np.zeros(len(X), np.int64)
        if len(self.cuts):
            kernels.descend(X, self.directions, self.cuts, self.children, found, n_threads)
        return found


def grow(
    X: Array,
    sample_weight: Array,
    n_leaves: int,
    random_state: np.random.RandomState,
    n_threads: int,
) -> Tree:
    """Return a tree of cuts across principal directions.

    A node is cut near its mean, across the direction in which its samples vary most. Its leaves are
    shared out so that each costs about the same, by which the cost of all is least where they are
    many: the number on a side is proportional to cost^(d / (d + 2)) (Zador 1982). Leaves that are
    near in space are near in order.

    Parameters
    ----------
    X : (n, d) array
        float64 and contiguous, in units such that distances mean something; n >= n_leaves.
    sample_weight : (n,) array
        Positive.
    n_leaves : int
    random_state : RandomState
    n_threads : int
        Does not change the result.

    Returns
    -------
    Tree
        No leaf is empty.

    References
    ----------
    Boley (1998), Principal direction divisive partitioning, Data Min. Knowl. Discov. 2. Zador
    (1982), Asymptotic quantization error of continuous signals and the quantization dimension, IEEE
    Trans. Inf. Theory 28.
    """
    n, d = X.shape
    rows, above = np.arange(n), np.empty(n, np.uint8)
    starts, leaves = np.zeros(1, np.int64), np.array([n_leaves])
    levels: list[tuple[Array, Array, NDArray[np.int64]]] = []
    n_nodes = 0
    while (is_cut := leaves > 1).any():
        stops = np.append(starts[1:], n)
        nodes = np.stack([starts, stops], axis=1)[is_cut]
        directions = random_state.standard_normal((len(nodes), d))
        shifts = random_state.uniform(-_SHIFT, _SHIFT, len(nodes))
        cuts, costs = np.empty(len(nodes)), np.empty((len(nodes), 2))
        kernels.principal_cuts(
            X, sample_weight, rows, nodes, directions, shifts, cuts, costs, n_threads
        )
        above[...] = 0
        kernels.sides(X, rows, nodes, directions, cuts, above, n_threads)
        sizes = stops - starts
        sizes_above = np.add.reduceat(above, starts, dtype=np.int64)
        _halve(above, starts, sizes, sizes_above, is_cut)
        rows = _partitioned(rows, above.astype(bool), starts, sizes, sizes_above)
        leaves_above = np.zeros_like(leaves)
        leaves_above[is_cut] = _share(costs, leaves[is_cut], nodes, sizes_above[is_cut], d)
        children = np.stack([starts, stops - sizes_above], axis=1)
        counts = np.stack([leaves - leaves_above, leaves_above], axis=1).ravel()
        n_nodes += len(nodes)
        numbers = n_nodes + np.cumsum(counts > 1) - 1
        below = np.where(counts > 1, numbers, -1 - children.ravel()).reshape(-1, 2)[is_cut]
        levels.append((directions, cuts, below))
        starts, leaves = children.ravel()[counts > 0], counts[counts > 0]
    directions = np.concatenate([np.empty((0, d)), *(level[0] for level in levels)])
    cuts = np.concatenate([np.empty(0), *(level[1] for level in levels)])
    below = np.concatenate([np.empty((0, 2), np.int64), *(level[2] for level in levels)])
    is_leaf = below < 0  # so far where it begins
    below[is_leaf] = -1 - np.searchsorted(starts, -1 - below[is_leaf])
    return Tree(Groups(rows, np.append(starts, n)), directions, cuts, below)


def _halve(
    above: NDArray[np.uint8],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    sizes_above: NDArray[np.int64],
    is_cut: NDArray[np.bool_],
) -> None:
    """Cut nodes with nothing on one side, whose rows are equal, into halves."""
    for node in np.flatnonzero(is_cut & ((sizes_above == 0) | (sizes_above == sizes))):
        half = sizes[node] // 2
        rows = slice(starts[node], starts[node] + sizes[node])
        above[rows] = np.arange(sizes[node]) >= sizes[node] - half
        sizes_above[node] = half


def _partitioned(
    rows: NDArray[np.int64],
    above: NDArray[np.bool_],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    sizes_above: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the rows of each node that lie below its cut, in their order, and then the others."""
    sizes_below = sizes - sizes_above
    behind_below = starts + sizes_below
    partitioned = np.empty_like(rows)
    for chosen, firsts, counts in (
        (~above, starts, sizes_below),
        (above, behind_below, sizes_above),
    ):
        # a row moves by as much as all of its side in its node
        moves = firsts - (np.cumsum(counts) - counts)
        places = np.arange(counts.sum()) + np.repeat(moves, counts)
        partitioned[places] = rows[chosen]
    return partitioned


def _share(
    costs: Array,
    leaves: NDArray[np.int64],
    nodes: NDArray[np.int64],
    sizes_above: NDArray[np.int64],
    n_features: int,
) -> NDArray[np.int64]:
    """Return how many leaves the upper side of each node gets: 1 to as many as it has rows."""
    sizes_below = nodes[:, 1] - nodes[:, 0] - sizes_above
    parts = np.maximum(costs, 0.0) ** (n_features / (n_features + 2.0))
    total = parts.sum(axis=1)
    share = np.divide(parts[:, 1], total, out=np.full(len(parts), 0.5), where=total > 0.0)
    wanted = np.rint(leaves * share).astype(np.int64)
    least, most = np.maximum(leaves - sizes_below, 1), np.minimum(leaves - 1, sizes_above)
    return np.asarray(wanted.clip(least, most))
