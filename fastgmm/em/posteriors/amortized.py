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
# Added to the information of the coefficients, where features have variance 1: a multiple of the
# gradient's largest element, and a number that exceeds rounding errors.
_DAMPING = 1e-9
_SMALLEST_DAMPING = 1e-12
# The natural gradient is solved until this part of its residual is left, in at most so many passes.
_RESIDUAL = 0.1
_LARGEST_PASSES = 20
# A step must gain at least this fraction of the gain that the gradient predicts ...
_SUFFICIENT = 1e-4
# ... which must exceed rounding errors, relative to the bound.
_ROUNDING = 2e-16


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

    Each iteration takes a batch, moves :math:`\phi` so that the evidence lower bound of this batch
    does not fall, and returns the statistics and the bound under the new q. The direction is the
    natural gradient,

    .. math:: \phi' = \phi + \eta\, G^{-1} \nabla L(\phi), \qquad
        \nabla_{\phi_k} L = \sum_i s_i h(x_i) q_k (f_k - \textstyle\sum_j q_j f_j), \qquad
        f_k = \log p(x_i, k) - \log q_k

    .. math:: G_{kl} = \sum_i s_i q_k (\delta_{kl} - q_l) h(x_i) h(x_i)^T

    The sums run over all components; k is not sampled. G is the Fisher information of q. The step
    begins with :math:`\eta = 1`, which is exact if q can represent the posterior. Otherwise it may
    be far too long, since L is not concave in :math:`\phi`. It is halved until

    .. math:: L(\phi') \ge L(\phi) + 10^{-4} \eta \nabla L(\phi)^T G^{-1} \nabla L(\phi)

    If no step gains that, q stays as it is.

    The first q is the least-squares fit of its logits to :math:`\log p(x, k)` at the start. This is
    a natural gradient step from a uniform q, and is exact if q can represent the posterior.

    *What does not fall.* On all samples the bound never falls from one iteration to the next if
    the update does not lower Q: `GradientStep`, or `ClosedForm` without a ridge. First q climbs
    with the model held, then the model with q held. `GradientAscent` checks no step, and may lower
    it. On a batch that is not all samples only the bound of this batch is known not to fall with
    the step of q. That of all samples may fall: the line search sees the noise of its batch.

    Batches that grow, as with `Growing`, end at all samples. Then nothing fluctuates, and a stop
    rule ends the run. If q can represent every posterior, the run ends at a maximum of the
    likelihood.

    Parameters
    ----------
    batch_size : int, sequence of int, or callable
        Samples in a batch, drawn as in `MiniBatchPosterior`.
    step_size : float or callable, default=1.0
        The first :math:`\eta` that is tried, or a function of the iteration, counted from 0. It
        should fall, as with `Decaying`, if q cannot represent the posterior and batches stay small.
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
    Natural gradient works efficiently in learning, Neural Computation 10. Armijo (1966),
    Minimization of functions having Lipschitz continuous first partial derivatives, Pacific J.
    Math. 16. Dembo, Eisenstat and Steihaug (1982), Inexact Newton methods, SIAM J. Numer. Anal. 19.
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
        """Move q uphill on the next batch, and return the statistics of the batch under it."""
        batch = self._batches.draw()
        bound, gradient, blocks = self._gradient(batch, parameters)
        direction = self._natural_gradient(batch, parameters, gradient, blocks)
        slope = float(np.vdot(direction, gradient))
        size = self.step_size(self._number)
        self._number += 1
        start = self._coefficients
        while size * slope > _ROUNDING * abs(bound):
            self._coefficients = start + size * direction
            statistics = self._statistics(batch, parameters)
            if statistics.lower_bound >= bound + _SUFFICIENT * size * slope:
                return statistics
            size *= 0.5
        self._coefficients = start
        return self._statistics(batch, parameters)

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
    ) -> tuple[float, Array, Array]:
        """Return the mean ELBO, its gradient, and the diagonal blocks of the information."""
        F, K = self._coefficients.shape
        gradient, blocks = np.zeros((F, K)), np.zeros((K, F, F))
        elbo = 0.0
        components = parameters.components()
        for rows, H, q, log_q in self._blocks(batch, parameters):
            weight = batch.sample_weight[rows]
            excess, bounds = self._excess(batch.rows(rows), components, q, log_q)
            elbo += float(weight @ bounds)
            gradient += H.T @ (weight[:, np.newaxis] * q * (excess - bounds[:, np.newaxis]))
            information = weight[:, np.newaxis] * q * (1.0 - q)
            for k in range(K):
                scaled = H * np.sqrt(information[:, k : k + 1])
                blocks[k] += scaled.T @ scaled
        total = self._total_weight
        return elbo / total, gradient / total, blocks / total

    def _natural_gradient(
        self, batch: Samples, parameters: MixtureParameters, gradient: Array, blocks: Array
    ) -> Array:
        """Return nearly the solution of G d = gradient, by preconditioned conjugate gradients.

        Any iterate is a direction of ascent. The preconditioner consists of the blocks of G. They
        alone would give short steps where two components overlap and a third is apart.
        """
        damping = max(_DAMPING * float(np.abs(gradient).max()), _SMALLEST_DAMPING)
        inverses = np.linalg.inv(blocks + damping * np.eye(len(gradient)))
        solution, residual = np.zeros_like(gradient), gradient.copy()
        scaled = np.einsum("kfg,gk->fk", inverses, residual)
        conjugate, squared = scaled, float(np.vdot(residual, scaled))
        enough = _RESIDUAL**2 * squared
        for _ in range(_LARGEST_PASSES):
            if not squared > enough:
                break
            product = self._information_times(conjugate, batch, parameters) + damping * conjugate
            length = squared / float(np.vdot(conjugate, product))
            solution += length * conjugate
            residual -= length * product
            scaled = np.einsum("kfg,gk->fk", inverses, residual)
            last, squared = squared, float(np.vdot(residual, scaled))
            conjugate = scaled + squared / last * conjugate
        return solution

    def _information_times(
        self, direction: Array, batch: Samples, parameters: MixtureParameters
    ) -> Array:
        """Return G times a change of the coefficients."""
        product = np.zeros_like(direction)
        for rows, H, q, _ in self._blocks(batch, parameters):
            change = H @ direction
            change -= np.einsum("ik,ik->i", q, change)[:, np.newaxis]
            product += H.T @ (batch.sample_weight[rows, np.newaxis] * q * change)
        return product / self._total_weight

    def _statistics(self, batch: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of a batch and its ELBO under q."""
        total = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
        components = parameters.components()
        elbo = 0.0
        for rows, _, q, log_q in self._blocks(batch, parameters):
            X, weight = batch.rows(rows), batch.sample_weight[rows]
            elbo += float(weight @ self._excess(X, components, q, log_q)[1])
            total.add_moments(X, weight, q, self.n_threads)
        return replace(total, log_likelihood=elbo, weight=self._total_weight)

    def _blocks(
        self, batch: Samples, parameters: MixtureParameters
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Yield rows, their features, q and log q."""
        assert self._scaling is not None
        for rows in self._row_blocks(batch):
            H = self._scaling(batch.rows(rows))
            logits = H @ self._coefficients
            logits[:, parameters.weights == 0] = _NEVER
            yield rows, H, *self._normalized(logits)

    def _excess(
        self, X: NDArray[Any], components: Components, q: Array, log_q: Array
    ) -> tuple[Array, Array]:
        """Return f = log p(x, k) - log q, and its mean under q: the ELBO of each sample."""
        excess = self._log_joint(X, components) - log_q
        return excess, np.einsum("ik,ik->i", q, excess)

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
