"""Amortized variational EM: one function of x in place of a posterior for each sample."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from .. import _kernels as kernels
from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..moments import SufficientStatistics
from ..parameters import MixtureParameters
from ..samples import Samples
from ..validation import check_table
from .blas import one_blas_thread
from .minibatch import Batches, check_batch_size
from .posterior import Posterior, row_blocks
from .schedules import Adam, StepSize, step_size_of

# samples whose features set the scale of all
_SCALED_BY = 10_000
# of the largest: smaller eigenvalues of the features' covariance are rounding
_SMALLEST_EIGENVALUE = 1e-10
# the logit of a component without weight
_NEVER = -1e300


def linear_features(Z: Array) -> Array:
    """Return the samples themselves, with which the posterior of tied covariances is exact."""
    return Z


def quadratic_features(Z: Array) -> Array:
    """Return z and the products of its elements, with which every posterior is exact."""
    rows, columns = np.tril_indices(Z.shape[1])
    return np.hstack([Z, Z[:, rows] * Z[:, columns]])


class _Scaling:
    """Features of standardised samples, centred, uncorrelated and of variance 1; and a constant."""

    def __init__(self, X: Array, weight: Array, features: Callable[[Array], Array]) -> None:
        self._features = features
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


class AmortizedPosterior(Posterior):
    r"""A softmax of features of x in place of the exact posterior, learnt as the model is.

    .. math:: q(k \\mid x; \\phi) = \\mathrm{softmax}_k(h(x)^T \\phi_k)

    Each iteration takes a batch, forms q, returns the statistics and the evidence lower bound
    under q, and moves :math:`\\phi` along the gradient of that bound,

    .. math:: \\nabla_{\\phi_k} L = \\sum_i s_i h(x_i) q_k (f_k - \\textstyle\\sum_j q_j f_j),
        \\qquad f_k = \\log p(x_i, k) - \\log q_k

    with sums over all components in place of samples of k. With `GradientStep` or `GradientAscent`
    as the update, model and posterior move at once; with `ClosedForm` they alternate. Before the
    first iteration q is fitted to the posterior of the start.

    Parameters
    ----------
    batch_size : int
        Samples in a batch, drawn as by `MiniBatchPosterior`.
    step_size : float or callable, default=0.3
        Of Adam, or a function of the iteration, counted from 0 (see `Decaying`). The same for the
        warm-up.
    warm_up : int, default=200
        Batches to which q is fitted before the first iteration.
    features : callable, default=quadratic_features
        From standardised samples (m, d) to their features (m, F), which are then made
        uncorrelated. With products of two elements every posterior of a Gaussian mixture is a q;
        with `linear_features` only those of tied covariances.
    seed : int, default=0
        Of the random order, in each run anew.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If ``batch_size`` or ``step_size`` is not positive or ``warm_up`` negative.

    References
    ----------
    Hinton, Dayan, Frey and Neal (1995), The wake-sleep algorithm for unsupervised neural networks,
    Science 268. Kingma and Welling (2014), Auto-encoding variational Bayes, ICLR. Kingma and Ba
    (2015), Adam: a method for stochastic optimization, ICLR.
    """

    bound: ClassVar[str] = "estimate"

    def __init__(
        self,
        batch_size: int,
        step_size: StepSize = 0.3,
        *,
        warm_up: int = 200,
        features: Callable[[Array], Array] = quadratic_features,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.batch_size = check_batch_size(batch_size)
        self.step_size = step_size_of(step_size)
        if warm_up < 0:
            raise ValueError(f"warm_up should be at least 0, got {warm_up}.")
        self.warm_up = warm_up
        self.features = features
        self.seed = seed
        self.n_threads = count_threads(n_jobs)
        self._scaling: _Scaling | None = None

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Scale the features, and fit q to the posterior of the start."""
        self._total_weight = samples.total_weight
        self._batches = Batches(samples, self.batch_size, self.seed)
        scaled_by = Batches(samples, _SCALED_BY, self.seed).draw()
        X = scaled_by.rows(slice(None)).astype(np.float64)
        with one_blas_thread():
            self._scaling = _Scaling(X, scaled_by.sample_weight, self.features)
            self._coefficients = np.zeros((self._scaling.size, parameters.n_components))
            warm_up = Adam(self.step_size)
            for _ in range(self.warm_up):
                self._climb(self._batches.draw(), parameters, warm_up)
        self._adam = Adam(self.step_size)

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of the next batch under q, then move q."""
        return self._climb(self._batches.draw(), parameters, self._adam)

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
        samples = Samples(check_table(X, self._scaling.n_features))
        q = np.empty((samples.n_samples, self._coefficients.shape[1]))
        for rows in self._row_blocks(samples):
            H = self._scaling(samples.rows(rows))
            q[rows], _ = self._normalized(H @ self._coefficients)
        return q

    def _climb(
        self, batch: Samples, parameters: MixtureParameters, adam: Adam
    ) -> SufficientStatistics:
        """Return the statistics of a batch and the ELBO, and move q along its gradient."""
        assert self._scaling is not None
        total = SufficientStatistics.zeros(parameters.covariance_type, parameters.means)
        about = parameters.covariance_type, total.centers, total.moments
        components = parameters.components()
        gradient = np.zeros_like(self._coefficients)
        elbo = 0.0
        for rows in self._row_blocks(batch):
            X, weight = batch.rows(rows), batch.sample_weight[rows]
            H = self._scaling(X)
            logits = H @ self._coefficients
            logits[:, parameters.weights == 0] = _NEVER
            q, log_q = self._normalized(logits)
            excess = np.empty_like(q)
            kernels.mahalanobis(X, components, excess, self.n_threads)
            excess *= -0.5
            excess += components.log_coefficients - log_q
            bounds = np.einsum("ik,ik->i", q, excess)
            elbo += float(weight @ bounds)
            gradient += H.T @ (weight[:, np.newaxis] * q * (excess - bounds[:, np.newaxis]))
            kernels.moments(X, weight, q, *about, self.n_threads)
        self._coefficients += adam.step(gradient / self._total_weight)
        return SufficientStatistics(*about, elbo, self._total_weight)

    def _normalized(self, logits: Array) -> tuple[Array, Array]:
        """Return q and log q."""
        q, norm = logits.copy(), np.empty(len(logits))
        kernels.normalize(q, norm, self.n_threads)
        return q, logits - norm[:, np.newaxis]

    def _row_blocks(self, samples: Samples) -> Iterator[slice]:
        return row_blocks(samples, max(self._coefficients.shape))
