"""Exact predictions for many components, without those that cannot matter.

A component that is 37 nats below the best one of a sample does not count in the posterior kernel.
Here each block of samples is first compared with all components by a bound, for all samples in the
box that it fills. What the bound leaves out would not count: results are the same, to the bit. Near
samples share blocks. In the order as given, the box of a block may hold nearly all samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.layout import CUT, SMALLEST_BLOCK, Array, as_float64
from .._kernels.packing import pack, pad
from .nearby import NearMeans
from .parameters import MixtureParameters

# With fewer components or samples the pass over all pairs takes no longer.
_LEAST_COMPONENTS = 2048
_LEAST_SAMPLES = 2**14
# What rounding may add to a log-probability, in nats, and relative to large numbers.
_MARGIN = 1.0
_ROUNDING = 1e-10
# A block is compared with all components if more than this share of them may count, or if their
# parameters are more than so many numbers (256 MB): each thread copies those that are listed.
_TOO_MANY = 0.8
_COPIED = 2**25
# Pairs of boxes and components at a time: 8 MB.
_PAIRS = 2**20

# log p(x) and the best component of some samples
Found = tuple[Array, NDArray[np.int64]]


def is_worthwhile(n_samples: int, n_components: int) -> bool:
    """Return whether it takes less time than the pass over all pairs.

    Parameters
    ----------
    n_samples, n_components : int
    """
    return n_components >= _LEAST_COMPONENTS and n_samples >= _LEAST_SAMPLES


class PrunedPrediction:
    """What the posterior kernel writes, from the components that matter to each block.

    Parameters
    ----------
    parameters : MixtureParameters
    n_threads : int
        Does not change the result.
    """

    def __init__(self, parameters: MixtureParameters, n_threads: int) -> None:
        self._components = parameters.components()
        self._packed = packed = pack(self._components, n_threads=n_threads)
        self._padded = pad(self._components)
        K, size = packed.n_components, packed.factors.size + packed.shifts.size
        self._longest = min(int(_TOO_MANY * K), _COPIED // (size // K + 1))
        self._means = NearMeans(parameters, n_threads)

    def posterior(
        self,
        X: NDArray[Any],
        n_threads: int,
        *,
        log_prob_norm: Array | None = None,
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        """Write the outputs that are given: log p(x), the best component.

        Parameters
        ----------
        X : (n, d) array
        n_threads : int
            Does not change the result.
        log_prob_norm : (n,) array, optional
        labels : (n,) array of int64, optional
        """
        order, near = self._means.sort(X, n_threads)
        n_rows = max(_PAIRS // len(self._components.means), 1) * SMALLEST_BLOCK
        for start in range(0, len(X), n_rows):
            some = slice(start, start + n_rows)
            rows = order[some]
            found = self._evaluate(as_float64(X[rows]), near[some], n_threads)
            for output, values in zip((log_prob_norm, labels), found, strict=True):
                if output is not None:
                    output[rows] = values

    def _evaluate(self, X: NDArray[Any], near: NDArray[np.int64], n_threads: int) -> Found:
        """Return log p(x) and the best component of samples of which near ones are neighbours."""
        log_prob_norm, labels = found = np.empty(len(X)), np.empty(len(X), np.int64)
        starts = np.arange(0, len(X), SMALLEST_BLOCK)
        K, m = len(self._components.means), len(starts)
        # one of the components whose means are near bounds the best one from below
        pairs = np.unique(np.arange(len(X)) // SMALLEST_BLOCK * K + near)
        edges = np.searchsorted(pairs, K * np.arange(m + 1))
        kernels.posterior_listed(X, self._packed, edges, pairs % K, *found, n_threads)
        lowest = np.minimum.reduceat(log_prob_norm, starts) - np.log(np.diff(edges))
        lowest -= CUT + _MARGIN + _ROUNDING * np.abs(lowest)
        may_count = ~(self._bounds(X, starts, n_threads) < lowest)
        is_short = may_count.sum(axis=0) <= self._longest
        short = np.repeat(is_short, SMALLEST_BLOCK)[: len(X)]
        for rows, listed in ((short, may_count[:, is_short]), (~short, None)):
            if rows.any():
                log_prob_norm[rows], labels[rows] = self._compare(X[rows], listed, n_threads)
        return found

    def _compare(self, X: Array, may_count: NDArray[np.bool_] | None, n_threads: int) -> Found:
        """Compare blocks with the components that may count for each, (K, m), or with all."""
        log_prob_norm, labels = found = np.empty(len(X)), np.empty(len(X), np.int64)
        if may_count is None:
            given = X, self._components, n_threads
            kernels.posterior(*given, log_prob_norm=log_prob_norm, labels=labels)
        else:
            blocks, listed = np.nonzero(may_count.T)
            edges = np.searchsorted(blocks, np.arange(may_count.shape[1] + 1))
            kernels.posterior_listed(X, self._packed, edges, listed, *found, n_threads)
        return found

    def _bounds(self, X: NDArray[Any], starts: NDArray[np.int64], n_threads: int) -> Array:
        """Return bounds above the log-probabilities of all components in each block, (K, m)."""
        low, high = np.minimum.reduceat(X, starts, axis=0), np.maximum.reduceat(X, starts, axis=0)
        farthest = 0.5 * np.maximum(np.abs(low), np.abs(high)) + 0.5 * np.abs(self._packed.origin)
        centers = 0.5 * low + 0.5 * high
        halves = 0.5 * high - 0.5 * low + 2.0 * _ROUNDING * farthest
        bounds = np.empty((len(self._components.means), len(starts)))
        kernels.box_bounds(centers, halves, self._padded, bounds, n_threads)
        return bounds
