"""The definition of the kernels that grow a tree, in NumPy."""

import numpy as np
from numpy.typing import NDArray

from .layout import Array

# Rows of a node that its direction and its costs are estimated from, and steps of power iteration.
_SOME, _STEPS = 2048, 4


def principal_cuts(
    X: Array,
    sample_weight: Array,
    rows: NDArray[np.int64],
    nodes: NDArray[np.int64],
    directions: Array,
    shifts: Array,
    cuts: Array,
    costs: Array,
    n_threads: int = 1,
) -> None:
    """Take four steps of power iteration for each node; its cut; the squares left on each side."""
    for m, (first, stop) in enumerate(nodes):
        some = rows[first : stop : max((stop - first) // _SOME, 1)]
        weight, mean = sample_weight[some], np.average(X[some], axis=0, weights=sample_weight[some])
        Z = X[some] - mean
        norm = 0.0
        for _ in range(_STEPS):
            image = (weight * (Z @ directions[m])) @ Z
            norm = float(np.linalg.norm(image))
            if norm > 0.0:
                directions[m] = image / norm
        cuts[m] = mean @ directions[m] + shifts[m] * np.sqrt(norm / weight.sum())
        above = X[some] @ directions[m] > cuts[m]
        for side, chosen in enumerate((~above, above)):
            own, Y = weight[chosen], Z[chosen]
            total = (own @ Y**2).sum()
            costs[m, side] = total - ((own @ Y) ** 2).sum() / own.sum() if chosen.any() else 0.0


def sides(
    X: Array,
    rows: NDArray[np.int64],
    nodes: NDArray[np.int64],
    directions: Array,
    cuts: Array,
    above: NDArray[np.uint8],
    n_threads: int = 1,
) -> None:
    """Write whether each row lies beyond the cut of its node; rows of no node are left alone."""
    for (first, stop), direction, cut in zip(nodes, directions, cuts, strict=True):
        above[first:stop] = X[rows[first:stop]] @ direction > cut


def descend(
    X: Array,
    directions: Array,
    cuts: Array,
    children: NDArray[np.int64],
    found: NDArray[np.int64],
    n_threads: int = 1,
) -> None:
    """Go down from node 0, beyond the cut or not, until the child is -1 - leaf."""
    for i, x in enumerate(X):
        node = 0
        while node >= 0:
            node = int(children[node, int(x @ directions[node] > cuts[node])])
        found[i] = -1 - node
