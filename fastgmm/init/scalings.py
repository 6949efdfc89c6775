"""Maps of samples to coordinates that do not depend on the units of the features.

K-means finds clusters in the coordinates that vary most. To divide by deviations makes all alike.
To divide by the deviations that are left within clusters puts those first in which samples lie in
clusters: there, little is left.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._kernels.layout import Array

#: An affine map of rows. Multiplying a feature by a positive number changes nothing behind it.
Scaling = Callable[[Array], Array]

# Clusters of one coordinate are estimated from so many rows, and are at most so many.
_ROWS = 2048
_CLUSTERS = 8
_ITERATIONS = 100
# A lesser variance, relative to the largest or to the squared width, is one of rounding errors, or
# of weights that differ by more than 1e12. What is divided by its root may overflow.
_LEAST = 1e-12


class Sorted(NamedTuple):
    """The values of one coordinate in ascending order, and sums of those before each.

    Parameters
    ----------
    values : list of n floats
    square : float
        sum w value^2.
    weights, firsts : lists of n + 1 floats
        Sums of the weights, and of weight times value, of the first values; 0 of none.
    """

    values: list[float]
    square: float
    weights: list[float]
    firsts: list[float]

    @classmethod
    def of(cls, values: Array, weight: Array) -> "Sorted":
        """Sort values.

        Parameters
        ----------
        values, weight : (n,) arrays
        """
        order = np.argsort(values)
        values, weight = values[order], weight[order]
        weights, firsts = np.zeros((2, len(values) + 1))
        np.cumsum(weight, out=weights[1:])
        np.cumsum(weight * values, out=firsts[1:])
        sums = weights.tolist(), firsts.tolist()
        return cls(values.tolist(), float(weight @ values**2), *sums)

    def variance_within(self, n_clusters: int) -> float:
        """Return the variance that k-means leaves; it begins with quantiles.

        Clusters are ranges of the values. scikit-learn's k-means takes five times as long, most of
        it for checks. On so few clusters lists are faster than arrays.

        Parameters
        ----------
        n_clusters : int
        """
        values, square, weights, firsts = self
        n, total = len(values), weights[-1]
        middles = ((np.arange(n_clusters) + 0.5) / n_clusters * total).tolist()
        ranks = (bisect_left(weights, middle, 1) - 1 for middle in middles)
        # values that occur, so that no cluster is empty
        centers = sorted({values[min(rank, n - 1)] for rank in ranks})
        bounds: list[int] = []
        for _ in range(_ITERATIONS):
            before = bounds
            cuts = (bisect_right(values, (low + high) / 2.0) for low, high in pairwise(centers))
            bounds = [0, *cuts, n]
            if bounds == before:
                break
            ranges = zip(centers, pairwise(bounds), strict=True)
            centers = [
                (firsts[stop] - firsts[start]) / (weights[stop] - weights[start])
                if weights[stop] > weights[start]
                else center
                for center, (start, stop) in ranges
            ]
        counts = [weights[stop] - weights[start] for start, stop in pairwise(bounds)]
        return (square - float(counts @ np.square(centers))) / total


class Coordinates:
    """Coordinates of rows, one by one; the deviations that were asked for are kept.

    Parameters
    ----------
    rows : (n, d) array
        Of variance 1 in each coordinate.
    weight : (n,) array or None
    """

    def __init__(self, rows: Array, weight: Array | None) -> None:
        step = -(-len(rows) // _ROWS)
        some = rows[::step]
        weight = np.ones(len(some)) if weight is None else weight[::step]
        self._sorted = [Sorted.of(column, weight) for column in some.T]
        self._known: dict[int, Array] = {}

    def deviations_within(self, n_components: int) -> Array:
        """Return the deviation within the clusters of each coordinate.

        Parameters
        ----------
        n_components : int
        """
        K = min(n_components, _CLUSTERS)
        if K not in self._known:
            left = [coordinate.variance_within(K) for coordinate in self._sorted]
            self._known[K] = np.sqrt(np.maximum(left, _LEAST))
        return self._known[K]


class Scalings:
    """The three maps for some rows; what does not depend on the number of clusters is kept.

    Parameters
    ----------
    X : (n, d) array
    weight : (n,) array or None
    """

    def __init__(self, X: Array, weight: Array | None) -> None:
        self._weight = weight
        self._to_unit = unit_variance(X, weight)
        self._unit = self._to_unit(X)

    def of(self, n_components: int) -> Iterator[tuple[Scaling, Array]]:
        """Yield each map, and the rows so scaled.

        They have variance 1 in each feature, within the clusters of each feature, and within the
        clusters of each principal axis.

        Parameters
        ----------
        n_components : int

        Yields
        ------
        tuple
        """
        to_unit, unit, whitening = self._to_unit, self._unit, self._whitening
        yield to_unit, unit
        features = self._features.deviations_within(n_components)
        yield lambda rows: to_unit(rows) / features, unit / features
        axes = self._axes.deviations_within(n_components)
        yield lambda rows: to_unit(rows) @ whitening / axes, unit @ whitening / axes

    @cached_property
    def _whitening(self) -> Array:
        """The map of unit rows to principal axes, each of variance 1."""
        covariance = np.atleast_2d(
            np.cov(self._unit, rowvar=False, bias=True, aweights=self._weight)
        )
        variances, axes = np.linalg.eigh(covariance)
        kept = variances >= _LEAST * variances[-1]
        return np.asarray(axes[:, kept] / np.sqrt(np.maximum(variances[kept], _LEAST)))

    @cached_property
    def _features(self) -> Coordinates:
        return Coordinates(self._unit, self._weight)

    @cached_property
    def _axes(self) -> Coordinates:
        return Coordinates(self._unit @ self._whitening, self._weight)


def unit_variance(X: Array, weight: Array | None) -> Scaling:
    """Return the map to features of mean 0 and variance 1.

    Parameters
    ----------
    X : (n, d) array
    weight : (n,) array or None

    Returns
    -------
    Scaling
    """
    low, widths = X.min(axis=0), np.ptp(X, axis=0)
    widths[widths == 0.0] = 1.0
    unit = (X - low) / widths  # whose squares neither overflow nor underflow
    mean = np.average(unit, axis=0, weights=weight)
    variances = np.average((unit - mean) ** 2, axis=0, weights=weight)
    deviations = np.sqrt(np.maximum(variances, _LEAST))
    return lambda rows: ((rows - low) / widths - mean) / deviations
