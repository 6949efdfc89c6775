"""Groups of points that Ward's criterion merges, neighbours with neighbours."""

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from .._kernels.layout import Array

# Neighbours that a point may be merged with, until so large a part of all is left; then they are
# searched anew.
_NEIGHBORS = 8
_PART_LEFT = 0.6


def merge_nearest(points: Array, counts: Array, n_groups: int) -> NDArray[np.intp]:
    """Return the group of each point after merges of least cost, until so many groups are left.

    A merge of two groups raises the sum of squares about their means by n_a n_b / (n_a + n_b) times
    the squared distance of the means (Ward 1963). In each round those pairs are merged that are the
    cheapest for both, the cheaper half of them.

    Parameters
    ----------
    points : (m, d) array
    counts : (m,) array
        Weight of each point; positive.
    n_groups : int
        At most m.

    Returns
    -------
    (m,) array
        Groups are numbered in the order of their first points.
    """
    labels, means, counts = np.arange(len(points)), points.copy(), counts.copy()
    while len(means) > n_groups:
        merged = _merge_neighbors(means, counts, max(n_groups, int(_PART_LEFT * len(means))))
        is_first = merged == np.arange(len(merged))
        labels = (np.cumsum(is_first) - 1)[merged][labels]
        means, counts = means[is_first], counts[is_first]
    return labels


def _merge_neighbors(means: Array, counts: Array, n_left: int) -> NDArray[np.intp]:
    """Merge neighbours until at least so many are left; return where each one went.

    ``means`` and ``counts`` of those that take others in are updated in place.
    """
    m = n = len(means)
    neighbors = NearestNeighbors(n_neighbors=min(_NEIGHBORS, m - 1), algorithm="brute").fit(means)
    nearest = neighbors.kneighbors(return_distance=False)
    a, b = np.repeat(np.arange(m), nearest.shape[1]), nearest.ravel()
    a, b = np.concatenate([a, b]), np.concatenate([b, a])
    merged = np.arange(m)
    while n > n_left:
        a, b = merged[a], merged[b]
        a, b = a[a != b], b[a != b]
        first, second = _cheapest_pairs(means, counts, a, b)
        if len(first) == 0:
            break
        number = min(n - n_left, -(-len(first) // 2))
        first, second = first[:number], second[:number]
        total = counts[first] + counts[second]
        share = (counts[second] / total)[:, np.newaxis]
        means[first] += share * (means[second] - means[first])
        counts[first] = total
        goes = np.arange(m)
        goes[second] = first
        merged = goes[merged]
        n -= number
    return merged


def _cheapest_pairs(
    means: Array, counts: Array, a: NDArray[np.intp], b: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of which each is the other's cheapest, the cheapest first."""
    m = len(means)
    costs = ((means[a] - means[b]) ** 2).sum(axis=1)
    costs *= counts[a] * counts[b] / (counts[a] + counts[b])
    least, best = np.full(m, np.inf), np.full(m, m)
    np.minimum.at(least, a, costs)
    is_least = costs == least[a]
    np.minimum.at(best, a[is_least], b[is_least])  # of equally cheap ones the first
    own = np.flatnonzero(best < m)
    first = own[(own < best[own]) & (best[best[own]] == own)]
    first = first[np.argsort(least[first], kind="stable")]
    return first, best[first]
