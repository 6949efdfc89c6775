"""Amortized variational EM: one function of x instead of a posterior for each sample."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ... import _kernels as kernels
from ..._kernels.layout import Array, Components
from ...data.checks import check_samples
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..schedules import Counts
from ..step_sizes import StepSize, step_size_of
from .base import row_blocks
from .minibatch import Batches, BatchPosterior

# How many samples determine the scaling of the features.
_SCALED_BY = 10_000
# Relative to the largest eigenvalue of the features' covariance; smaller ones are rounding errors.
_SMALLEST_EIGENVALUE = 1e-10
# The logit of a component of weight 0.
_NEVER = -1e300
# Added to the metric of the coefficients, where features have variance 1.
_DAMPING = 1e-9


def linear_features(Z: Array) -> Array:
    """Return the samples themselves, with which the posterior of tied covariances is exact.

    Parameters
    ----------
    Z : (m, d) array
        Standardised samples.

    Returns
    -------
    (m, d) array
    """
    return Z


def quadratic_features(Z: Array) -> Array:
    """Return z and the products of its elements, with which every posterior is exact.

    Parameters
    ----------
    Z : (m, d) array
        Standardised samples.

    Returns
    -------
    (m, d (d + 3) / 2) array
    """
    rows, columns = np.tril_indices(Z.shape[1])
    return np.hstack([Z, Z[:, rows] * Z[:, columns]])


class _Scaling:
    """Features of standardised samples, centred, uncorrelated and of variance 1; and a constant."""

    def __init__(self, X: NDArray[Any], weight: Array, features: Callable[[Array], Array]) -> None:
        self._features = features
        X = X.astype(np.float64)
        self.n_features = int(X.shape[1])
        self._center = np.average(X, axis=0, weights=weight)
        variance = np.average((X - self._center) ** 2, axis=0, weights=weight)
        self._scale = np.sqrt(np.where(variance > 0, variance, 1.0))
        F = features((X - self._center) / self._scale)
        self._mean = np.average(F, axis=0, weights=weight)
        F = F - self._mean
        values, vectors = eigh((weight[:, np.newaxis] * F).T @ F / weight.sum())
        kept = values > _SMALLEST_EIGENVALUE * max(values[-1], 1e-300)
        self._whitener = vectors[:, kept] / np.sqrt(values[kept])

    @property
    def size(self) -> int:
        """Number of features with the constant."""
        return int(self._whitener.shape[1]) + 1

    def __call__(self, X: NDArray[Any]) -> Array:
        F = self._features((X - self._center) / self._scale) - self._mean
        return np.hstack([np.ones((len(X), 1)), F @ self._whitener])


class AmortizedPosterior(BatchPosterior):
    r"""A softmax of features of x instead of the exact posterior, learnt with the model.

    .. math:: q(k \mid x; \phi) = \mathrm{softmax}_k(h(x)^T \phi_k)

    Each iteration takes a batch, forms q, returns the statistics and the evidence lower bound
    under q, and moves :math:`\phi` along the gradient of that bound,

    .. math:: \nabla_{\phi_k} L = \sum_i s_i h(x_i) q_k (f_k - \textstyle\sum_j q_j f_j),
        \qquad f_k = \log p(x_i, k) - \log q_k

    The sums run over all components; k is not sampled. The gradient step uses the metric

    .. math:: M_k = 2 \textstyle\sum_i s_i q_k (1 - q_k) h(x_i) h(x_i)^T,
        \qquad \phi_k \leftarrow \phi_k + \eta_t M_k^{-1} \nabla_{\phi_k} L

    The blocks M are an upper bound of the Fisher information of q. For two components they are
    equivalent to it. So this is a natural gradient, and a step of :math:`\eta = 1` is never too
    long. If q can represent the posterior, two components are exact after one step, and more
    components after a few.

    With `GradientStep` or `GradientAscent` as the update, model and posterior move at once; with
    `ClosedForm` they alternate. The first q is the least-squares fit of its logits to :math:`\log
    p(x, k)` at the start. This is a step of the same kind from a uniform q, and is exact if q can
    represent the posterior.

    Batches that grow, as with `Growing`, end at all samples. Then nothing fluctuates, and a stop
    rule ends the run. If q can represent every posterior, the run ends at a maximum of the
    likelihood.

    Parameters
    ----------
    batch_size : int, sequence of int, or callable
        Samples in a batch, drawn as in `MiniBatchPosterior`.
    step_size : float or callable, default=1.0
        :math:`\eta`, or a function of the iteration, counted from 0. It should fall, as with
        `Decaying`, if q cannot represent the posterior and batches stay small.
    features : callable, default=quadratic_features
        From standardised samples (m, d) to their features (m, F), which are then made
        uncorrelated. With products of two elements, q can represent every posterior of a Gaussian
        mixture; with `linear_features` only those of tied covariances.
    seed : int, default=0
        Seed of the random order; each run begins with it.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If a batch size or ``step_size`` is not positive.

    References
    ----------
    Hinton, Dayan, Frey and Neal (1995), The wake-sleep algorithm for unsupervised neural networks,
    Science 268. Kingma and Welling (2014), Auto-encoding variational Bayes, ICLR. Amari (1998),
    Natural gradient works efficiently in learning, Neural Computation 10. Boehning (1992),
    Multinomial logistic regression algorithm, Ann. Inst. Statist. Math. 44, on bounds of the
    information that replace it.
    """

    parameters_type = MixtureParameters

    def __init__(
        self,
        batch_size: Counts,
        step_size: StepSize = 1.0,
        *,
        features: Callable[[Array], Array] = quadratic_features,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, n_jobs)
        self.step_size = step_size_of(step_size)
        self.features = features
        self._scaling: _Scaling | None = None

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Scale the features, and fit q to the posterior of the start."""
        super().start(samples, parameters)
        self._number = 0
        batch = Batches(samples, lambda _: _SCALED_BY, self.seed).draw()
        X, weight = batch.rows(slice(None)), batch.sample_weight
        self._scaling = _Scaling(X, weight, self.features)
        self._coefficients = np.zeros((self._scaling.size, parameters.n_components))
        present = parameters.weights > 0
        for rows in self._row_blocks(batch):
            log_joint = self._log_joint(X[rows], parameters.components())[:, present]
            log_joint -= log_joint.mean(axis=1, keepdims=True)
            H = self._scaling(X[rows]) * weight[rows, np.newaxis]
            self._coefficients[:, present] += H.T @ log_joint / weight.sum()

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of the next batch under q, then move q."""
        statistics, gradient, metric = self._gradient(self._batches.draw(), parameters)
        metric += _DAMPING * np.eye(len(self._coefficients))
        step = np.linalg.solve(metric, gradient.T[..., np.newaxis])[..., 0].T
        self._coefficients += self.step_size(self._number) * step
        self._number += 1
        return statistics

    def predict_proba(self, X: Any) -> Array:
        """Return q(k | x) as it was after the last iteration.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Rows sum to 1.

        Raises
        ------
        ValueError
            If there was no iteration yet, or X is not finite or has another number of features.
        """
        if self._scaling is None:
            raise ValueError("predict_proba needs a run of em.fit before, in which q is learnt.")
        samples = check_samples(X, n_features=self._scaling.n_features)
        q = np.empty((samples.n_samples, self._coefficients.shape[1]))
        for rows in self._row_blocks(samples):
            H = self._scaling(samples.rows(rows))
            q[rows], _ = self._normalized(H @ self._coefficients)
        return q

    def _gradient(
        self, batch: Samples, parameters: MixtureParameters
    ) -> tuple[SufficientStatistics, Array, Array]:
        """Return the statistics of a batch and the ELBO, its mean gradient, and the metric."""
        assert self._scaling is not None
        total = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
        components = parameters.components()
        F, K = self._coefficients.shape
        gradient, metric = np.zeros((F, K)), np.zeros((K, F, F))
        elbo = 0.0
        for rows in self._row_blocks(batch):
            X, weight = batch.rows(rows), batch.sample_weight[rows]
            H = self._scaling(X)
            logits = H @ self._coefficients
            logits[:, parameters.weights == 0] = _NEVER
            q, log_q = self._normalized(logits)
            excess = self._log_joint(X, components) - log_q
            bounds = np.einsum("ik,ik->i", q, excess)
            elbo += float(weight @ bounds)
            gradient += H.T @ (weight[:, np.newaxis] * q * (excess - bounds[:, np.newaxis]))
            information = 2.0 * weight[:, np.newaxis] * q * (1.0 - q)
            for k in range(K):
                scaled = H * np.sqrt(information[:, k : k + 1])
                metric[k] += scaled.T @ scaled
            total.add_moments(X, weight, q, self.n_threads)
        statistics = replace(total, log_likelihood=elbo, weight=self._total_weight)
        return statistics, gradient / self._total_weight, metric / self._total_weight

    def _log_joint(self, X: NDArray[Any], components: Components) -> Array:
        """Return log p(x, k)."""
        distances = np.empty((len(X), len(components.means)))
        kernels.mahalanobis(X, components, distances, self.n_threads)
        return np.asarray(components.log_coefficients - 0.5 * distances)

    def _normalized(self, logits: Array) -> tuple[Array, Array]:
        """Return q and log q."""
        q, norm = logits.copy(), np.empty(len(logits))
        kernels.normalize(q, norm, self.n_threads)
        return q, logits - norm[:, np.newaxis]

    def _row_blocks(self, samples: Samples) -> Iterator[slice]:
        return row_blocks(samples, max(self._coefficients.shape))
