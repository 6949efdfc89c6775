r"""Components merged into clusters by the entropy of their responsibilities.

.. math:: E = -\sum_i s_i \sum_c r_{ic} \log r_{ic}

References
----------
Baudry, Raftery, Celeux, Lo and Gottardo (2010), Combining mixture components for clustering,
Journal of Computational and Graphical Statistics 19, 332-353.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from .._kernels.threads import for_each

Merges = NDArray[np.intp]

# Numbers that one thread works on at a time: 1 MB.
_ELEMENTS = 2**17
# Clusters with a lower entropy, in nats per sample, hardly overlap, and their entropies are noise.
_OVERLAP = 0.01


@numpys_rules()
def merge_by_entropy(resp: Array, sample_weight: Array, n_threads: int = 1) -> tuple[Merges, Array]:
    """Merge the two clusters that lower the entropy most, until there is one.

    Parameters
    ----------
    resp : (n, K) array
        Responsibilities. It is changed: the columns of clusters take the sums of their components.
    sample_weight : (n,) array
    n_threads : int, default=1
        Does not change the result.

    Returns
    -------
    merges : (K - 1, 2) array of int
        Which two clusters each step merges. The name of a cluster is its first component.
    entropies : (K,) array
        Of 1, 2, ..., K clusters, in nats, summed over samples.
    """
    K = resp.shape[1]
    gains = np.full((K, K), -np.inf)
    for k in range(K - 1):
        gains[k, k + 1 :] = _gains(resp, sample_weight, k, np.arange(k + 1, K), n_threads)
    merges, falls = np.empty((K - 1, 2), np.intp), np.empty(K - 1)
    left = np.arange(K)
    for step in range(K - 1):
        first, second = divmod(int(gains.argmax()), K)
        merges[step], falls[step] = (first, second), gains[first, second]
        resp[:, first] += resp[:, second]
        gains[second] = gains[:, second] = -np.inf
        left = left[left != second]
        others = left[left != first]
        rows, columns = np.minimum(others, first), np.maximum(others, first)
        gains[rows, columns] = _gains(resp, sample_weight, first, others, n_threads)
    # one cluster has no entropy, and each step adds its fall: sums of positive terms
    return merges, np.concatenate([[0.0], falls[::-1].cumsum()])


def labels_after(merges: Merges, n_clusters: int) -> Merges:
    """Return the cluster of each component where so many are left, by their first components.

    Parameters
    ----------
    merges : (K - 1, 2) array of int
    n_clusters : int

    Returns
    -------
    (K,) array of int
    """
    K = len(merges) + 1
    names = np.arange(K)
    for first, second in merges[: K - n_clusters]:
        names[names == second] = first
    return np.unique(names, return_inverse=True)[1]


@numpys_rules()
def elbow(entropies: Array, total_weight: float) -> int:
    """Return the number of clusters at which the entropies bend.

    Two straight lines that share this number fit the entropies of 1, ..., K clusters with the least
    squares. It is K for two components or fewer, and where components hardly overlap.

    Parameters
    ----------
    entropies : (K,) array
    total_weight : float
        Of the samples.

    Returns
    -------
    int
    """
    K = len(entropies)
    if K <= 2 or entropies[-1] <= _OVERLAP * total_weight:
        return K
    errors = [_line_error(entropies[:c]) + _line_error(entropies[c - 1 :]) for c in range(2, K)]
    return 2 + int(np.argmin(errors))


def _line_error(values: Array) -> float:
    """Return the sum of squared distances from the best straight line."""
    x = np.arange(len(values)) - 0.5 * (len(values) - 1)
    centered = values - values.mean()
    residuals = centered - (x @ centered) / (x @ x) * x
    return float(residuals @ residuals)


def _gains(
    resp: Array, sample_weight: Array, cluster: int, others: Merges, n_threads: int
) -> Array:
    """Return how far the entropy falls where a cluster is merged with each of the others.

    sum_i s_i [a log((a + b) / a) + b log((a + b) / b)], of which no term is negative.
    """
    if not len(others):
        return np.empty(0)
    n_rows = max(_ELEMENTS // len(others), 1)
    starts = range(0, len(resp), n_rows)
    parts = np.empty((len(starts), len(others)))

    def add(start: int) -> None:
        rows = slice(start, start + n_rows)
        a, b = resp[rows, cluster, np.newaxis], resp[rows][:, others]
        both = a + b
        parts[start // n_rows] = -sample_weight[rows] @ (rel_entr(a, both) + rel_entr(b, both))

    for_each(add, starts, n_threads)
    return np.asarray(parts.sum(axis=0))
