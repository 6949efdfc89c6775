"""The parameters of a Gaussian mixture, as an immutable value."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array, Components, Moments
from .covariance import get_covariance_model
from .covariance_model import CovarianceModel
from .sampling import Labels, sample_components

_LOG_2PI = float(np.log(2.0 * np.pi))
_LOWEST = float(np.finfo(np.float64).min)


def distances_from_origin(means: Array) -> Array:
    """Return |mean - origin| of each component and feature; the kernels' origin is their mean."""
    return np.asarray(np.abs(means - means.sum(axis=0) / len(means)))


@dataclass(frozen=True)
class MixtureParameters:
    """Weights, means and covariances: p(x) = sum_k weight_k N(x | mean_k, covariance_k).

    Parameters
    ----------
    covariance_model : CovarianceModel
        Or its name: 'full', 'tied', 'diag', 'spherical' or 'tied-spherical'.
    weights : (K,) array
    means : (K, d) array
    covariances : array
        (K, d, d), (d, d), (K, d), (K,) or (), by covariance model.
    precisions_cholesky : array
        Upper triangular U with U U^T = inverse covariance, in the same shape.

    Attributes
    ----------
    allows_float32_blocks : bool
        Whether passes may compute in float32 where its rounding is negligible for one sample.
    """

    allows_float32_blocks: ClassVar[bool] = True

    covariance_model: CovarianceModel
    weights: Array
    means: Array
    covariances: Array
    precisions_cholesky: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "covariance_model", get_covariance_model(self.covariance_model))

    @classmethod
    def from_covariances(
        cls,
        covariance_type: str | CovarianceModel,
        weights: Array,
        means: Array,
        covariances: Array,
    ) -> "MixtureParameters":
        """Factor the covariances; raise CollapseError if one is not positive definite."""
        model = get_covariance_model(covariance_type)
        factors = model.precisions_cholesky(covariances, distances_from_origin(means))
        return cls(model, weights, means, covariances, factors)

    @classmethod
    def from_precisions_cholesky(
        cls,
        covariance_type: str | CovarianceModel,
        weights: Array,
        means: Array,
        precisions_cholesky: Array,
    ) -> "MixtureParameters":
        """Return the mixture with given factors."""
        model = get_covariance_model(covariance_type)
        covariances = model.covariances(precisions_cholesky)
        return cls(model, weights, means, covariances, precisions_cholesky)

    @property
    def covariance_type(self) -> str:
        """Name of the model of covariances."""
        return self.covariance_model.name

    @property
    def n_components(self) -> int:
        """Number of components, K."""
        return int(self.means.shape[0])

    @property
    def n_features(self) -> int:
        """Number of features, d."""
        return int(self.means.shape[1])

    @property
    def n_parameters(self) -> int:
        """Number of free parameters: covariances, means, and weights that sum to one."""
        K, d = self.means.shape
        return int(self.covariance_model.n_parameters(K, d) + K * d + K - 1)

    @property
    def precisions(self) -> Array:
        """Inverse covariances."""
        return self.covariance_model.precisions(self.precisions_cholesky)

    def components(self) -> Components:
        """Return what the kernels take: log w + log det U - d/2 log 2 pi, means, factors.

        Returns
        -------
        Components
        """
        model = self.covariance_model
        log_det = model.log_det(self.precisions_cholesky, self.n_features)
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        log_coefficients = log_weights + log_det - 0.5 * self.n_features * _LOG_2PI
        return Components(
            model.kernel_kind,
            np.maximum(log_coefficients, _LOWEST),
            self.means,
            model.to_kernel(self.precisions_cholesky, self.n_components),
        )

    def expected_log_joint(self, moments: Moments) -> float:
        """Return sum w r log (w_k N(x | k)), from moments about the means.

        Parameters
        ----------
        moments : Moments

        Returns
        -------
        float
            In nats.
        """
        coefficients = self.components().log_coefficients
        # a trace for matrices; the sums over features and components for variances
        distances = np.sum(self.precisions * moments.second)
        return float(moments.nk @ coefficients - 0.5 * distances)

    @numpys_rules()
    def draw(
        self, n: int, random_state: np.random.RandomState, n_threads: int = 1
    ) -> tuple[Array, Labels]:
        """Draw n samples: a component by its weight, then x from that component.

        Parameters
        ----------
        n : int
        random_state : np.random.RandomState
        n_threads : int, default=1
            Does not change the result.

        Returns
        -------
        X : (n, d) array
            In ascending order of components.
        labels : (n,) array of int
        """
        # after rounding the sum may be above 1 by an ulp, which multinomial refuses
        weights = self.weights / max(self.weights.sum(), 1.0)
        return self.sample(random_state.multinomial(n, weights), random_state, n_threads)

    def sample(
        self, counts: Labels, random_state: np.random.RandomState, n_threads: int = 1
    ) -> tuple[Array, Labels]:
        """Draw counts[k] samples from each component k; return them in order, and their k.

        Parameters
        ----------
        counts : (K,) array of int
        random_state : np.random.RandomState
        n_threads : int, default=1
            Does not change the result.

        Returns
        -------
        X : (n, d) array
        labels : (n,) array of int
        """
        return sample_components(
            self.covariance_model, self.means, self.covariances, counts, random_state, n_threads
        )
