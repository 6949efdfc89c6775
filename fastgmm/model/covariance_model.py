"""The interface of models of covariances, and the error for an invalid covariance."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array, second_shape

Mask = NDArray[np.bool_]
Features = NDArray[np.intp]

#: The inverse of a smaller variance may overflow.
SMALLEST_VARIANCE = 1e-300

# So many numbers stay in a cache: sums over four matrices of order 784 take 0.8 instead of 1.4 ms.
_CACHED = 2**17
# A sample may be misplaced by rounding by this many standard deviations of a component.
_LARGEST_ROUNDING = 0.125
_EPS = float(np.finfo(np.float64).eps)

_CAUSES = {
    "singular": "some components have ill-defined empirical covariance (for instance caused by "
    "singleton or collapsed samples). Try to decrease the number of components, increase "
    "reg_covar, or scale the input data. {where} is not positive definite.",
    "unresolved": "float64 cannot resolve the distances between some components. {where} lies more "
    "than 5e14 of its standard deviations from the center of all. Remove samples that lie far from "
    "all others, or increase reg_covar.",
    "underflow": "float64 cannot invert variances below 1e-300. {where} has one. Scale the input "
    "data, or increase reg_covar.",
}


class CollapseError(ValueError):
    """A covariance with which densities cannot be computed.

    Parameters
    ----------
    component : int, optional
        The component at fault; None where one covariance serves all.
    cause : {'singular', 'unresolved', 'underflow'}
        Not positive definite; too narrow for float64 where it lies; too small to be inverted.
    """

    def __init__(self, component: int | None = None, cause: str = "singular") -> None:
        self.component = component
        self.cause = cause
        where = "The tied covariance" if component is None else f"Component {component}"
        reason = _CAUSES[cause].format(where=where)
        super().__init__(f"Fitting the mixture model failed because {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.component, self.cause)


class CovarianceModel(ABC):
    """What an algorithm needs to know about the covariances.

    Precision factors U are upper triangular with U U^T = precision (for variances, the inverse
    standard deviations). Covariances, precisions and factors have the shape of the model; second
    moments have that of the kernel. The two differ where components share what the kernel takes
    for each.

    Attributes
    ----------
    name : str
        What users call it: ``covariance_type``.
    kernel_kind : {'full', 'tied', 'diag', 'spherical'}
        The kernel of a pass. It decides the shape of second moments, and of the factors that
        the pass takes.
    per_component : bool
        Whether components have covariances of their own.
    is_matrix : bool
        Whether covariances are matrices; else they are variances.
    """

    name: str
    kernel_kind: str
    per_component = is_matrix = True

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abstractmethod
    def shape(self, n_components: int, n_features: int) -> tuple[int, ...]:
        """Return the shape of the covariances."""

    @abstractmethod
    def n_parameters(self, n_components: int, n_features: int) -> int:
        """Return the number of free covariance parameters."""

    def to_kernel(self, values: Array, n_components: int) -> Array:
        """Return covariances or factors in the shape that the kernel takes."""
        return values

    def pool(self, values: Array) -> Array:
        """Return values in the shape of second moments, added up over who shares a covariance."""
        return values

    @abstractmethod
    def outer(self, nk: Array, a: Array, b: Array) -> Array:
        """Return sum over samples of nk a b^T, symmetrised, in the shape of second moments."""

    @abstractmethod
    def estimate(self, second: Array, nk: Array, n_features: int) -> Array:
        """Return covariances: central second moments / nk."""

    def second_moments(self, covariances: Array, nk: Array, n_features: int) -> Array:
        """Return second moments from which `estimate` gives these covariances."""
        ones = np.ones(second_shape(self.kernel_kind, len(nk), n_features))
        return np.asarray(covariances / self.estimate(ones, nk, n_features) * ones)

    def regularize(self, covariances: Array, reg_covar: Array | float) -> Array:
        """Add one number, or one for each feature, to the variances in place; return all."""
        diagonals = np.einsum("...ii->...i", covariances)  # a view
        diagonals += reg_covar
        return covariances

    def lift(self, covariances: Array, floor: Array | float) -> Array:
        """Return the best covariances S with S - diag(floor) positive semidefinite.

        In units of the roots of the floors, eigenvalues below 1 become 1. Of all covariances with
        this constraint these have the largest -log det S - tr(S^-1 C), for C as given.

        Parameters
        ----------
        covariances : array
        floor : float or (d,) array
            Positive.

        References
        ----------
        Ingrassia and Rocci (2007), Constrained monotone EM algorithms for finite mixture of
        multivariate Gaussians, Comput. Statist. Data Anal. 51.
        """
        d = covariances.shape[-1]
        unit = np.broadcast_to(np.sqrt(floor), d)
        relative = (covariances / unit / unit[:, np.newaxis]).reshape(-1, d, d)
        if not np.isfinite(relative).all():
            return covariances
        values, vectors = np.linalg.eigh(relative)
        low = values[:, 0] < 1.0
        if not low.any():
            return covariances
        vectors = vectors[low] * unit[:, np.newaxis]
        lifted = covariances.reshape(-1, d, d).copy()
        scaled = vectors * np.maximum(values[low], 1.0)[:, np.newaxis]
        products = scaled @ vectors.swapaxes(1, 2)
        lifted[low] = 0.5 * (products + products.swapaxes(1, 2))
        return np.asarray(lifted.reshape(covariances.shape))

    @abstractmethod
    def invert(self, covariances: Array, n_threads: int = 1) -> tuple[Array, Mask]:
        """Return the factors U of the inverse covariances, and a mask of the singular covariances.

        The mask has one element for each component, or one where one covariance serves all.
        """

    def factor(
        self, covariances: Array, distances: Array | None = None, n_threads: int = 1
    ) -> tuple[Array, Mask]:
        """Return the factors U of the inverse covariances, and a mask of the invalid covariances.

        Parameters
        ----------
        covariances : array
        distances : (K, d) array, optional
            Of the means from the origin of the kernels.
        n_threads : int, default=1

        Returns
        -------
        factors : array
        invalid : (K,) mask, or (1,) where one covariance serves all
            Covariances that are singular, or too narrow for float64 at these distances.
        """
        factors, failed = self.invert(covariances, n_threads)
        if distances is not None:
            failed = failed | self.unresolved(factors, distances)
        return factors, failed

    def unresolved(self, factors: Array, distances: Array) -> Mask:
        """Return a mask of the components in which rounding misplaces samples.

        Kernels compute y = U^T x - U^T mu about the mean of the means. The rounding error of y_i,
        in standard deviations, is about eps sum_j |U_ji| distance_j. It may be 1/8.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            error = _EPS * self.largest_whitened(factors, distances)
        too_large = ~(error <= _LARGEST_ROUNDING)  # also where it is not a number
        return self.for_all(np.asarray(too_large.any(axis=1)))

    def for_all(self, mask: Mask) -> Mask:
        """Return the mask; where one covariance serves all, whether any of its elements is set."""
        return mask if self.per_component else np.atleast_1d(mask.any())

    def precisions_cholesky(self, covariances: Array, distances: Array | None = None) -> Array:
        """Return the factors U of the inverse covariances, or raise CollapseError."""
        factors, failed = self.factor(covariances, distances)
        if failed.any():
            raise self._collapse(covariances, int(failed.argmax()))
        return factors

    def _collapse(self, covariances: Array, component: int) -> CollapseError:
        """Return the error for an invalid covariance, which tells its cause."""
        values = covariances[component] if self.per_component else covariances
        variances = np.diagonal(values) if self.is_matrix else values
        _, singular = self.invert(covariances)
        cause = "singular" if singular[component] else "unresolved"
        if np.any((variances > 0.0) & (variances < SMALLEST_VARIANCE)):
            cause = "underflow"
        return CollapseError(component if self.per_component else None, cause)

    @abstractmethod
    def factor_precisions(self, precisions: Array) -> Array:
        """Return the factors U of given precisions."""

    @abstractmethod
    def log_det(self, precisions_cholesky: Array, n_features: int) -> Array:
        """Return log det U for each component: a (K,) array, or one number for all."""

    @abstractmethod
    def precisions(self, precisions_cholesky: Array) -> Array:
        """Return U U^T."""

    def covariances(self, precisions_cholesky: Array) -> Array:
        """Return the inverse of U U^T."""
        return 1.0 / precisions_cholesky**2

    @abstractmethod
    def dense(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Return the covariances as (K, d, d) matrices (a view where possible)."""

    @abstractmethod
    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Return the variance of each feature in each component, (K, d)."""

    @abstractmethod
    def select(self, covariances: Array, features: Features) -> Array:
        """Return the covariances of some features, in their order."""

    @abstractmethod
    def regress(
        self, covariances: Array, given: Features, others: Features, n_components: int
    ) -> tuple[Array, Array]:
        """Return coefficients (K, g, m) of the means, and covariances, of features given others."""

    def largest_whitened(self, precisions_cholesky: Array, lengths: Array) -> Array:
        """Return sum_j |U_ji| length_kj: no term of U^T z is larger where |z| <= length."""
        step = max(_CACHED // precisions_cholesky[..., 0].size, 1)
        if step >= lengths.shape[1]:
            return (lengths[:, np.newaxis] @ np.abs(precisions_cholesky))[:, 0]
        sums = np.zeros(lengths.shape)
        for start in range(0, lengths.shape[1], step):
            rows = slice(start, start + step)
            magnitudes = np.abs(precisions_cholesky[..., rows, start:])
            sums[:, start:] += (lengths[:, np.newaxis, rows] @ magnitudes)[:, 0]
        return sums

    @abstractmethod
    def roots(self, covariances: Array) -> Array:
        """Return A with A^T A = covariance: upper triangles, or deviations."""

    @abstractmethod
    def color(self, roots: Array, component: int, normals: Array, out: Array) -> None:
        """Write (m, d) draws with one component's covariance, made of standard normals."""

    def replace(self, values: Array, mask: Mask, previous: Array) -> Array:
        """Return covariances or factors, with the previous values where the mask is set."""
        if not mask.any():
            return values
        shape = (-1, *[1] * (values.ndim - 1))
        return np.where(mask.reshape(shape), previous, values).reshape(values.shape)
