"""Maps of samples to coordinates that do not depend on the units of the features.

K-means finds clusters in the coordinates that vary most. To divide by deviations makes all alike.
To divide by the deviations that are left within clusters puts those first in which samples lie in
clusters: there, little is left.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
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
    values : (n,) array
    square : float
        sum w value^2.
    weights, firsts : (n + 1,) arrays
        Sums of the weights, and of weight times value, of the first values; 0 of none.
    """

    values: Array
    square: float
    weights: Array
    firsts: Array

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
        return cls(values, float(weight @ values**2), weights, firsts)

    def variance_within(self, n_clusters: int) -> float:
        """Return the variance that k-means leaves; it begins with quantiles.

        Clusters are ranges of the values. scikit-learn's k-means takes five times as long, most of
        it for checks.

        Parameters
        ----------
        n_clusters : int
        """
        values, square, weights, firsts = self
        total = weights[-1]
        middles = (np.arange(n_clusters) + 0.5) / n_clusters * total
        # values that occur, so that no cluster is empty
        centers = np.unique(values[weights[1:].searchsorted(middles).clip(max=len(values) - 1)])
        bounds = np.full(len(centers) + 1, len(values))
        bounds[0] = 0
        for _ in range(_ITERATIONS):
            before = bounds[1:-1].copy()
            bounds[1:-1] = values.searchsorted((centers[1:] + centers[:-1]) / 2.0, side="right")
            ends, sums = weights[bounds], firsts[bounds]
            counts = ends[1:] - ends[:-1]
            np.divide(sums[1:] - sums[:-1], counts, out=centers, where=counts > 0.0)
            if (bounds[1:-1] == before).all():
                break
        return (square - float(counts @ centers**2)) / float(total)


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
        features = _deviations_within(self._features, n_components)
        yield lambda rows: to_unit(rows) / features, unit / features
        axes = _deviations_within(self._axes, n_components)
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
    def _features(self) -> list[Sorted]:
        return self._sorted(self._unit)

    @cached_property
    def _axes(self) -> list[Sorted]:
        return self._sorted(self._unit @ self._whitening)

    def _sorted(self, rows: Array) -> list[Sorted]:
        """Return some values of each coordinate."""
        step = -(-len(rows) // _ROWS)
        some = rows[::step]
        weight = np.ones(len(some)) if self._weight is None else self._weight[::step]
        return [Sorted.of(column, weight) for column in some.T]


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


def _deviations_within(coordinates: list[Sorted], n_components: int) -> Array:
    """Return the deviation within the clusters of each coordinate, whose variance is 1."""
    K = min(n_components, _CLUSTERS)
    left = [coordinate.variance_within(K) for coordinate in coordinates]
    return np.sqrt(np.maximum(left, _LEAST))
