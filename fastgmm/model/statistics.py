"""Sufficient statistics as a value: moments of a mixture that add up over batches and machines."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.layout import Array, Moments, empty_moments
from ..data.samples import Samples
from .covariance import Spherical, get_covariance_model
from .covariance_model import CovarianceModel

# How many rows are added at a time: their responsibilities, all 1, stay in the cache.
_ROWS = 2**14
# Groups whose second moments are added up at a time, where they are not kept for each.
_GROUPS = 1024


@dataclass(frozen=True)
class SufficientStatistics:
    """Weighted moments of the samples about fixed centres, and their log-likelihood.

    With responsibilities r and z = x - centre_k::

        nk = sum w r,    first_k = sum w r z,    second_k = sum w r z z^T

    Statistics of two parts add to those of the whole with ``+``; where their centres differ
    the second operand is re-centred first, which is exact algebra (Chan, Golub and LeVeque 1979).

    Parameters
    ----------
    covariance_model : CovarianceModel
        Or its name: 'full', 'tied', 'diag', 'spherical' or 'tied-spherical'.
    centers : (K, d) array
    moments : Moments
        ``nk`` (K,), ``first`` (K, d), ``second`` in the shape of the kernel: (K, d, d), (d, d),
        (K, d) or (K,).
    log_likelihood : float
        sum w log p(x), in nats.
    weight : float
        sum w; without weights, the number of samples.
    """

    covariance_model: CovarianceModel
    centers: Array
    moments: Moments
    log_likelihood: float = 0.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariance_model", get_covariance_model(self.covariance_model))

    @classmethod
    def zeros(
        cls, covariance_type: str | CovarianceModel, centers: Array
    ) -> "SufficientStatistics":
        """Return the statistics of no samples: zeros to which `add_moments` adds.

        Parameters
        ----------
        covariance_type : str or CovarianceModel
        centers : (K, d) array

        Returns
        -------
        SufficientStatistics
        """
        model = get_covariance_model(covariance_type)
        return cls(model, centers, empty_moments(model.kernel_kind, *centers.shape))

    def add_moments(
        self, X: NDArray[Any], sample_weight: Array, resp: Array, n_threads: int = 1
    ) -> None:
        """Add the moments of some samples under given responsibilities, in place.

        Parameters
        ----------
        X : (m, d) array
            float64 or float32, in any memory order.
        sample_weight : (m,) array
        resp : (m, K) array
            Responsibilities q(k | x_i).
        n_threads : int, default=1
            Does not change the result.

        Raises
        ------
        ValueError
            If an array has another shape or type.
        """
        K, d = self.centers.shape
        n = len(X)
        for name, array, shape, dtypes in (
            ("X", X, (n, d), ("float64", "float32")),
            ("sample_weight", sample_weight, (n,), ("float64",)),
            ("resp", resp, (n, K), ("float64",)),
        ):
            if array.shape != shape or array.dtype not in dtypes:
                raise ValueError(
                    f"{name} should have shape {shape} and type {' or '.join(dtypes)}, "
                    f"but got {array.shape} and {array.dtype}."
                )
        kind = self.covariance_model.kernel_kind
        resp = np.ascontiguousarray(resp)
        kernels.moments(X, sample_weight, resp, kind, self.centers, self.moments, n_threads)

    def add_groups(
        self,
        X: Array,
        weight: Array,
        entries: NDArray[np.int64],
        bounds: NDArray[np.int64],
        n_threads: int = 1,
    ) -> None:
        """Add the moments of groups of samples, one group for each component, in place.

        Parameters
        ----------
        X : (n, d) array
        weight : (n,) or (n, P) array
        entries : (m,) array of int
            Places in the table of weights, row by row: the entries of group k are
            ``entries[bounds[k]:bounds[k + 1]]``.
        bounds : (K + 1,) array of int
        n_threads : int, default=1
            Does not change the result.
        """
        kind, (K, d) = self.covariance_model.kernel_kind, self.centers.shape
        nk, first, second = self.moments
        is_matrix = kind in ("full", "tied")
        if kind in ("full", "diag"):
            groups = entries, bounds, self.centers, is_matrix
            kernels.group_moments(X, weight, *groups, nk, first, second, n_threads)
            return
        for start in range(0, K, _GROUPS):
            some = slice(start, min(start + _GROUPS, K))
            centers, ends = self.centers[some], bounds[some.start : some.stop + 1]
            added = np.zeros((len(centers), d, d) if is_matrix else (len(centers), d))
            sums = nk[some], first[some], added
            kernels.group_moments(X, weight, entries, ends, centers, is_matrix, *sums, n_threads)
            if kind == "tied":
                second += added.sum(axis=0)
            else:
                second[some] += added.sum(axis=1)

    @property
    def covariance_type(self) -> str:
        """Name of the model of covariances."""
        return self.covariance_model.name

    @property
    def lower_bound(self) -> float:
        """Mean log-likelihood per unit of weight, in nats."""
        return self.log_likelihood / self.weight

    def recenter(self, centers: Array) -> "SufficientStatistics":
        """Return the same statistics about other centres.

        Parameters
        ----------
        centers : (K, d) array

        Returns
        -------
        SufficientStatistics
        """
        shift = self.centers - centers
        nk, first, second = self.moments
        outer = self.covariance_model.outer
        one = np.ones_like(nk)
        moved = Moments(
            nk,
            first + nk[:, np.newaxis] * shift,
            second + 2.0 * outer(one, first, shift) + outer(nk, shift, shift),
        )
        return replace(self, centers=centers, moments=moved)

    def reduced(self, covariance_type: str | CovarianceModel) -> "SufficientStatistics":
        """Return a copy, with what a model of covariances needs of the second moments of `Full`.

        Parameters
        ----------
        covariance_type : str or CovarianceModel

        Returns
        -------
        SufficientStatistics

        Raises
        ------
        ValueError
            If these are not the statistics of full covariances.
        """
        if self.covariance_type != "full":
            raise ValueError(
                "Statistics of covariance_type 'full' can be reduced, "
                f"got {self.covariance_type!r}."
            )
        model, (nk, first, second) = get_covariance_model(covariance_type), self.moments
        if model.kernel_kind == "full":
            reduced = second.copy()
        elif model.kernel_kind == "tied":
            reduced = second.sum(axis=0)
        else:
            squares = second.diagonal(axis1=1, axis2=2)
            reduced = squares.copy() if model.kernel_kind == "diag" else squares.sum(axis=1)
        moments = Moments(nk.copy(), first.copy(), reduced)
        return replace(self, covariance_model=model, moments=moments)

    def scaled(self, factor: float) -> "SufficientStatistics":
        """Return the statistics of samples whose weights are ``factor`` times as large.

        Parameters
        ----------
        factor : float

        Returns
        -------
        SufficientStatistics
        """
        return replace(
            self,
            moments=Moments(*(factor * sums for sums in self.moments)),
            log_likelihood=factor * self.log_likelihood,
            weight=factor * self.weight,
        )

    def __add__(self, other: "SufficientStatistics") -> "SufficientStatistics":
        if self.covariance_type != other.covariance_type:
            raise ValueError(
                "Statistics of one covariance_type can be added, "
                f"got {self.covariance_type!r} and {other.covariance_type!r}."
            )
        if self.centers.shape != other.centers.shape:
            raise ValueError(
                "Statistics of one shape (n_components, n_features) can be added, "
                f"got {self.centers.shape} and {other.centers.shape}."
            )
        if not np.array_equal(self.centers, other.centers):
            other = other.recenter(self.centers)
        sums = (a + b for a, b in zip(self.moments, other.moments, strict=True))
        return SufficientStatistics(
            self.covariance_model,
            self.centers,
            Moments(*sums),
            self.log_likelihood + other.log_likelihood,
            self.weight + other.weight,
        )

    def central(self) -> tuple[Array, Array, Array]:
        """Return nk, the means, and the second moments about those means.

        A component without samples keeps its centre.

        Returns
        -------
        nk : (K,) array
        means : (K, d) array
        second : array
            In the shape of ``moments.second``.
        """
        nk, first, second = self.moments
        safe = np.where(nk > 0, nk, 1.0)
        delta = first / safe[:, np.newaxis]
        shift = self.covariance_model.outer(nk, delta, delta)
        return nk, self.centers + delta, np.subtract(second, shift, out=shift)


def sample_moments(
    samples: Samples, covariance_model: CovarianceModel, n_threads: int
) -> tuple[Array, Array]:
    """Return the mean of the samples and their unbiased covariance, on which priors are centred.

    A weight counts as that many copies: sums of squares are divided by sum w - 1. The divisor is at
    least sum w / 2, because sum w can be less than one sample. Where values are missing, each
    feature counts the samples that have it, and the covariance must be of variances.

    Parameters
    ----------
    samples : Samples
    covariance_model : CovarianceModel
    n_threads : int

    Returns
    -------
    mean : (d,) array
    covariance : array
        (d, d), (d, d), (d,), () or (), by covariance model.
    """
    if samples.gaps is not None:
        return _observed_moments(samples)
    present = samples.first_present
    first = np.asarray(samples.rows(slice(present, present + 1)), np.float64)
    # in two steps: the first sample may be far from the others
    near = samples.sum(moments_about, Spherical(), first, n_threads=n_threads)
    center = near.central()[1]
    total = samples.sum(moments_about, covariance_model, center, n_threads=n_threads)
    nk, mean, second = total.central()
    counts = np.maximum(nk - 1.0, 0.5 * nk)
    covariance = covariance_model.estimate(second, counts, samples.n_features)
    return mean[0], covariance[0] if covariance_model.per_component else covariance


def _observed_moments(samples: Samples) -> tuple[Array, Array]:
    """Return the mean and the unbiased variance of the values of each feature that are there."""
    center = np.full(samples.n_features, np.nan)
    mean, variance = center, center
    for _ in range(3):  # a first value, the mean, and squares about it
        nk, first, second = (np.zeros(samples.n_features) for _ in range(3))
        for rows in samples.block_slices(_ROWS):
            X = samples.rows(rows).astype(np.float64)
            is_there = ~np.isnan(X) & (samples.sample_weight[rows] > 0)[:, np.newaxis]
            place = is_there.argmax(axis=0), np.arange(samples.n_features)
            center = np.where(np.isnan(center) & is_there[place], X[place], center)
            weight = samples.sample_weight[rows, np.newaxis] * is_there
            z = np.where(is_there, X - center, 0.0)
            nk += weight.sum(axis=0)
            first += (weight * z).sum(axis=0)
            second += (weight * z**2).sum(axis=0)
        shift = first / nk
        mean, variance = center + shift, second - nk * shift**2
        center = mean
    return mean, np.maximum(variance, 0.0) / np.maximum(nk - 1.0, 0.5 * nk)


def moments_about(
    samples: Samples, covariance_model: CovarianceModel, center: Array, n_threads: int
) -> SufficientStatistics:
    """Return the moments of all samples about one centre."""
    total = SufficientStatistics.zeros(covariance_model, center)
    for start in range(0, samples.n_samples, _ROWS):
        rows = slice(start, min(start + _ROWS, samples.n_samples))
        X, resp = samples.rows(rows), np.ones((rows.stop - start, 1))
        total.add_moments(X, samples.weight(rows), resp, n_threads)
    return total
