"""The groups of samples that a start for many components begins with."""

import numpy as np

from .._kernels.layout import Array
from ..data.tree import Groups, grow
from ..model.statistics import SufficientStatistics
from .agglomeration import merge_nearest

# Up to so many groups may be merged leaves, so many for each group: beyond, neighbours among the
# leaves would take longer to find than the tree takes to grow.
_MOST_MERGED = 2048
_LEAVES_PER_GROUP = 4
# Merged leaves are taken if they leave less than this part of the squares that the leaves of a
# smaller tree leave. On 300 to 500 separated clusters it was 0.26 to 0.57, and after EM merged
# leaves were 0.2 to 1 nats a sample better; on patches and pixels, with 200 to 1,000 components, it
# was 0.78 to 0.95, and they were 0.05 to 0.5 worse.
_WORTH_MERGING = 0.7


def group(
    X: Array,
    sample_weight: Array,
    n_groups: int,
    random_state: np.random.RandomState,
    n_threads: int,
) -> Groups:
    """Return the leaves of a tree, or merged leaves of a larger one if the samples lie in clusters.

    A cut goes through the clusters in its way. The pieces are neighbours, which merge again. What
    it takes and returns is as for `grow`.
    """
    groups = grow(X, sample_weight, n_groups, random_state, n_threads).leaves
    if not 1 < n_groups <= _MOST_MERGED:
        return groups
    n_leaves = min(_LEAVES_PER_GROUP * n_groups, len(X))
    leaves = grow(X, sample_weight, n_leaves, random_state, n_threads).leaves
    counts, means, _ = _within(X, sample_weight, leaves, n_threads)
    labels = np.repeat(merge_nearest(means, counts, n_groups), np.diff(leaves.bounds))
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels, minlength=n_groups)
    merged = Groups(leaves.rows[order], np.append(0, np.cumsum(sizes)))
    left, left_merged = (_within(X, sample_weight, g, n_threads)[2] for g in (groups, merged))
    return merged if left_merged < _WORTH_MERGING * left else groups


def _within(
    X: Array, sample_weight: Array, groups: Groups, n_threads: int
) -> tuple[Array, Array, float]:
    """Return the weight and the mean of each group, and the squares about the means of all."""
    statistics = SufficientStatistics.zeros("diag", X[groups.rows[groups.bounds[:-1]]])
    statistics.add_groups(X, sample_weight, *groups, n_threads)
    counts, means, squares = statistics.central()
    return counts, means, float(squares.sum())
