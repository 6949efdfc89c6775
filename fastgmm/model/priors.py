r"""Conjugate priors of a mixture, and the variational posterior that follows from them.

Weights have a Dirichlet or a stick-breaking prior, means and precisions a normal-Wishart one::

    Lambda_k ~ Wishart(W_0, nu_0),    mu_k | Lambda_k ~ N(m_0, (kappa_0 Lambda_k)^-1)

where W_0^-1 is ``covariance``, which is not divided by nu_0. The posterior of a component has the
same form with parameters m_k, kappa_k, W_k, nu_k.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, digamma, gammaln

from .._kernels.layout import Array, Components, Moments
from .covariance_model import CollapseError
from .parameters import MixtureParameters, distances_from_origin
from .statistics import SufficientStatistics

_LOG_2 = math.log(2.0)
_LOG_2PI = math.log(2.0 * math.pi)


class WeightDistribution(ABC):
    """A distribution over the weights of a mixture."""

    @classmethod
    @abstractmethod
    def posterior(cls, concentration: float, nk: Array) -> "WeightDistribution":
        """Return the posterior under a prior concentration, given the samples per component."""

    @abstractmethod
    def expected_weights(self) -> Array:
        """Return the expected weights, normalized to a sum of 1."""

    @abstractmethod
    def expected_log_weights(self) -> Array:
        """Return E log weight_k."""

    @abstractmethod
    def log_partition(self) -> float:
        """Return the log of the integral of the density without its normalizing constant."""


@dataclass(frozen=True)
class Dirichlet(WeightDistribution):
    """Weights of a finite mixture.

    Attributes
    ----------
    concentration : (K,) array
    """

    concentration: Array

    @classmethod
    def posterior(cls, concentration: float, nk: Array) -> "Dirichlet":
        """Return Dirichlet(concentration + nk)."""
        return cls(concentration + nk)

    def expected_weights(self) -> Array:
        """Return concentration_k / sum_j concentration_j."""
        return np.asarray(self.concentration / self.concentration.sum())

    def expected_log_weights(self) -> Array:
        """Return digamma(concentration_k) - digamma(sum_j concentration_j)."""
        return np.asarray(digamma(self.concentration) - digamma(self.concentration.sum()))

    def log_partition(self) -> float:
        """Return sum_k log Gamma(concentration_k) - log Gamma(sum_k concentration_k)."""
        return float(gammaln(self.concentration).sum() - gammaln(self.concentration.sum()))


@dataclass(frozen=True)
class StickBreaking(WeightDistribution):
    """Weights of a truncated Dirichlet process: weight_k = v_k prod_{j < k} (1 - v_j).

    Attributes
    ----------
    taken, left : (K,) arrays
        v_k ~ Beta(taken_k, left_k) independently.

    References
    ----------
    Blei and Jordan (2006), Variational inference for Dirichlet process mixtures, eq. 18 to 22.
    """

    taken: Array
    left: Array

    @classmethod
    def posterior(cls, concentration: float, nk: Array) -> "StickBreaking":
        """Return v_k ~ Beta(1 + nk, concentration + sum_{j > k} nj)."""
        beyond = np.append(np.cumsum(nk[:0:-1])[::-1], 0.0)
        return cls(1.0 + nk, concentration + beyond)

    def expected_weights(self) -> Array:
        """Return the products of expected parts, divided by their sum, as the last v is not 1."""
        total = self.taken + self.left
        remaining = np.append(1.0, np.cumprod(self.left / total)[:-1])
        weights = self.taken / total * remaining
        return np.asarray(weights / weights.sum())

    def expected_log_weights(self) -> Array:
        """Return E log v_k + sum_{j < k} E log (1 - v_j)."""
        total = digamma(self.taken + self.left)
        remaining = np.append(0.0, np.cumsum(digamma(self.left) - total)[:-1])
        return np.asarray(digamma(self.taken) - total + remaining)

    def log_partition(self) -> float:
        """Return sum_k log B(taken_k, left_k)."""
        return float(betaln(self.taken, self.left).sum())


WEIGHT_PRIORS: dict[str, type[Dirichlet] | type[StickBreaking]] = {
    "dirichlet_process": StickBreaking,
    "dirichlet_distribution": Dirichlet,
}


@dataclass(frozen=True)
class VariationalParameters(MixtureParameters):
    """A variational posterior over mixtures: q(weights) prod_k q(mean_k, precision_k).

    ``weights`` and ``means`` are expectations, and so is the precision U U^T = nu_k W_k;
    ``covariances`` are inverses of expected precisions. Passes over the samples use
    expectations of logarithms.

    Parameters
    ----------
    covariance_model : CovarianceModel
        Or its name: 'full', 'tied', 'diag', 'spherical' or 'tied-spherical'.
    weights : (K,) array
    means : (K, d) array
    covariances : array
        (K, d, d), (d, d), (K, d), (K,) or (), by covariance model.
    precisions_cholesky : array
        Upper triangular U, in the same shape.
    weight_distribution : Dirichlet or StickBreaking
    mean_precision : (K,) array
        kappa_k.
    degrees_of_freedom : (K,) array, or of shape () where a precision is shared
        nu_k.
    """

    # The bound is a sum over samples, judged by its changes of about 1e-3 nats: rounding in
    # float32 moved it by 0.07 from one iteration to the next at 20,000 samples.
    allows_float32_blocks: ClassVar[bool] = False

    weight_distribution: Dirichlet | StickBreaking
    mean_precision: Array
    degrees_of_freedom: Array

    def log_det_scale(self) -> Array:
        """Return log det W_k: one number for each component, or one for a shared precision.

        Returns
        -------
        (K,) array, or of shape () where a precision is shared
        """
        d = self.n_features
        log_det = self.covariance_model.log_det(self.precisions_cholesky, d)
        return np.asarray(2.0 * log_det - d * np.log(self.degrees_of_freedom))

    def expected_log_det(self) -> Array:
        """Return E log det Lambda_k = sum_i digamma((nu_k + 1 - i) / 2) + d log 2 + log det W_k.

        Returns
        -------
        (K,) array, or of shape (1,) where a precision is shared
        """
        d = self.n_features
        halves = 0.5 * (self.degrees_of_freedom - np.arange(d)[:, np.newaxis])
        return np.asarray(digamma(halves).sum(axis=0) + d * _LOG_2 + self.log_det_scale())

    def components(self) -> Components:
        r"""Return what the kernels take for exp E log (weight_k N(x | mean_k, precision_k)).

        log rho_k(x) = E log weight_k + E log det Lambda_k / 2 - d/2 log 2 pi - d / (2 kappa_k)
        - nu_k (x - m_k)^T W_k (x - m_k) / 2: all but the last term are the coefficient.

        Returns
        -------
        Components
        """
        d = self.n_features
        spread = 0.5 * (self.expected_log_det() - d / self.mean_precision - d * _LOG_2PI)
        return Components(
            self.covariance_model.kernel_kind,
            self.weight_distribution.expected_log_weights() + spread,
            self.means,
            self.covariance_model.to_kernel(self.precisions_cholesky, self.n_components),
        )

    def log_partition(self) -> float:
        """Return the log normalizer of q(weights, means, precisions), without constants.

        The constants depend on K and d alone. A shared precision counts K times: each component has
        its own precision, and all are restricted to one distribution.

        Returns
        -------
        float
            In nats.
        """
        K, d = self.means.shape
        nu = np.broadcast_to(self.degrees_of_freedom, (K,))
        gammas = gammaln(0.5 * (nu - np.arange(d)[:, np.newaxis])).sum(axis=0)
        wishart = 0.5 * nu * (self.log_det_scale() + d * _LOG_2) + gammas
        normal = -0.5 * d * np.log(self.mean_precision)
        return float(self.weight_distribution.log_partition() + (wishart + normal).sum())


@dataclass(frozen=True)
class NormalWishartPrior:
    """The prior of a mixture, with the same parameters for each component.

    Parameters
    ----------
    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}
    weight_concentration : float
        Of the Dirichlet distribution for each component, or of the process.
    mean : (d,) array
        m_0.
    mean_precision : float
        kappa_0, in samples.
    degrees_of_freedom : float
        nu_0 > d - 1.
    covariance : array
        W_0^-1 in the shape of one component's covariance: (d, d), (d, d), (d,), () or ().
    """

    weight_concentration_prior_type: str
    weight_concentration: float
    mean: Array
    mean_precision: float
    degrees_of_freedom: float
    covariance: Array

    def posterior(
        self,
        statistics: SufficientStatistics,
        reg_covar: Array | float = 0.0,
        previous: MixtureParameters | None = None,
    ) -> tuple[VariationalParameters, NDArray[np.bool_]]:
        """Return the conjugate posterior given responsibilities; mark collapsed components.

        With means x_k and scatters S_k = sum w r (x - x_k)(x - x_k)^T + nk diag(reg_covar)::

            kappa_k = kappa_0 + nk,    m_k = (kappa_0 m_0 + nk x_k) / kappa_k,    nu_k = nu_0 + nk
            W_k^-1 = W_0^-1 + S_k + kappa_0 nk / kappa_k (x_k - m_0)(x_k - m_0)^T

        A shared W^-1 is the mean of these, and nu = nu_0 + N / K.

        Parameters
        ----------
        statistics : SufficientStatistics
        reg_covar : float or (d,) array
        previous : MixtureParameters, optional
            Components whose W_k^-1 is not positive definite keep their precision of ``previous``.
            Without it, the precision of a collapsed component is zero.

        Returns
        -------
        VariationalParameters
        collapsed : (K,) mask, or (1,) where a precision is shared

        References
        ----------
        Bishop (2006), Pattern Recognition and Machine Learning, eq. 10.58 and 10.60 to 10.63.
        """
        model = statistics.covariance_model
        nk, centroids, second = statistics.central()
        K, d = centroids.shape
        kappa = self.mean_precision + nk
        # relative to the mean of the samples, which is near; m_0 may be far away
        shift = (self.mean_precision / kappa)[:, np.newaxis] * (self.mean - centroids)
        means = centroids + shift
        deviation = centroids - self.mean
        second = second + model.outer(nk * self.mean_precision / kappa, deviation, deviation)
        counts = nk if model.per_component else np.asarray(nk.sum() / K)
        nu = np.asarray(self.degrees_of_freedom + counts)
        one = np.ones(K)
        scatter = model.estimate(second, one, d)
        ridge = model.regularize(np.zeros_like(scatter), reg_covar)
        shape = (*counts.shape, *[1] * (scatter.ndim - counts.ndim))
        scatter = scatter + counts.reshape(shape) * ridge
        covariances = (self.covariance + scatter) / nu.reshape(shape)
        factors, collapsed = model.factor(covariances, distances_from_origin(means))
        if previous is not None:
            covariances = model.replace(covariances, collapsed, previous.covariances)
            factors = model.replace(factors, collapsed, previous.precisions_cholesky)
        prior = WEIGHT_PRIORS[self.weight_concentration_prior_type]
        weights = prior.posterior(self.weight_concentration, nk)
        parameters = VariationalParameters(
            model,
            weights.expected_weights(),
            means,
            covariances,
            factors,
            weights,
            kappa,
            nu,
        )
        return parameters, collapsed

    def around(self, mixture: MixtureParameters, n_samples: float) -> VariationalParameters:
        """Return the posterior as if samples were distributed as a mixture: a start for ``em.fit``.

        Parameters
        ----------
        mixture : MixtureParameters
            All weights positive.
        n_samples : float
            How many samples, or their total weight.

        Returns
        -------
        VariationalParameters

        Raises
        ------
        CollapseError
            If a covariance is not positive definite.
        """
        model = mixture.covariance_model
        nk, d = n_samples * mixture.weights, mixture.n_features
        second = model.second_moments(mixture.covariances, nk, d)
        moments = Moments(nk, np.zeros_like(mixture.means), second)
        parameters, collapsed = self.posterior(SufficientStatistics(model, mixture.means, moments))
        if collapsed.any():
            raise CollapseError(int(collapsed.argmax()) if model.per_component else None)
        return parameters
