"""The interface of models of covariances, and the error for an invalid covariance."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array

Mask = NDArray[np.bool_]

# So many numbers stay in a cache: sums over four matrices of order 784 take 0.8 instead of 1.4 ms.
_CACHED = 2**17


class CollapseError(ValueError):
    """A covariance that is not positive definite.

    Parameters
    ----------
    component : int, optional
        The component at fault; None where one covariance serves all.
    """

    def __init__(self, component: int | None = None) -> None:
        self.component = component
        where = "The tied covariance" if component is None else f"Component {component}"
        super().__init__(
            "Fitting the mixture model failed because some components have ill-defined empirical "
            "covariance (for instance caused by singleton or collapsed samples). Try to decrease "
            "the number of components, increase reg_covar, or scale the input data. "
            f"{where} is not positive definite."
        )


class CovarianceModel(ABC):
    """What an algorithm needs to know about the covariances.

    Precision factors U are upper triangular with U U^T = precision (for diag and spherical, the
    inverse standard deviations).

    Attributes
    ----------
    name : str
        What users call it: ``covariance_type``.
    kernel_kind : {'full', 'tied', 'diag', 'spherical'}
        The kernel of a pass. It decides the shapes of factors and of second moments.
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

    @abstractmethod
    def outer(self, nk: Array, a: Array, b: Array) -> Array:
        """Return sum over samples of nk a b^T, symmetrised, in the shape of second moments."""

    @abstractmethod
    def estimate(self, second: Array, nk: Array, n_features: int, reg_covar: float) -> Array:
        """Return covariances: central second moments / nk, plus reg_covar on the diagonal."""

    @abstractmethod
    def factor(
        self, covariances: Array, smallest: Array | float = 0.0, n_threads: int = 1
    ) -> tuple[Array, Mask]:
        """Return the factors U of the inverse covariances, and a mask of the invalid covariances.

        Variances must be larger than ``smallest``, which is one number or one for each component.
        The mask has one element for each component; for tied it has one element.
        """

    def precisions_cholesky(self, covariances: Array, smallest: Array | float = 0.0) -> Array:
        """Return the factors U of the inverse covariances, or raise CollapseError."""
        factors, collapsed = self.factor(covariances, smallest)
        if collapsed.any():
            raise CollapseError(int(collapsed.argmax()) if self.per_component else None)
        return factors

    @abstractmethod
    def factor_precisions(self, precisions: Array) -> Array:
        """Return the factors U of given precisions."""

    @abstractmethod
    def log_det(self, precisions_cholesky: Array, n_features: int) -> Array:
        """Return log det U for each component: a (K,) array, or one number for tied."""

    @abstractmethod
    def precisions(self, precisions_cholesky: Array) -> Array:
        """Return U U^T."""

    def covariances(self, precisions_cholesky: Array) -> Array:
        """Return the inverse of U U^T."""
        return 1.0 / precisions_cholesky**2

    @abstractmethod
    def dense(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Return the covariances as (K, d, d) matrices (a view where possible)."""

    def variances(self, covariances: Array, n_components: int, n_features: int) -> Array:
        """Return the variance of each feature in each component, (K, d)."""
        diagonals = np.diagonal(covariances, axis1=-2, axis2=-1)
        return np.broadcast_to(diagonals, (n_components, n_features))

    def largest_whitened(self, precisions_cholesky: Array, lengths: Array) -> Array:
        """Return sum_j |U_ji| length_kj: no term of U^T z is larger where |z| <= length."""
        sums = np.zeros(lengths.shape)
        step = max(_CACHED // precisions_cholesky[..., 0].size, 1)
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

    @abstractmethod
    def check_precisions(self, precisions: Array) -> None:
        """Raise ValueError where precisions are not symmetric and positive."""

    def replace(self, values: Array, mask: Mask, previous: Array) -> Array:
        """Return covariances or factors, with the previous values where the mask is set."""
        if not mask.any():
            return values
        shape = (-1, *[1] * (values.ndim - 1))
        return np.asarray(np.where(mask.reshape(shape), previous, values))
