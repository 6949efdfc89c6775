"""Amortized variational EM: one function of x in place of a posterior for each sample."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from .. import _kernels as kernels
from .._kernels.layout import Array, Components
from .._kernels.threads import count_threads
from ..moments import SufficientStatistics
from ..parameters import MixtureParameters
from ..samples import Samples
from ..validation import check_table
from .minibatch import Batches
from .posterior import Posterior, row_blocks
from .settings import check_count, check_seed
from .step_sizes import Adam, StepSize, step_size_of

# samples whose features set the scale of all
_SCALED_BY = 10_000
# of the largest: smaller eigenvalues of the features' covariance are rounding
_SMALLEST_EIGENVALUE = 1e-10
# the logit of a component without weight
_NEVER = -1e300


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


class AmortizedPosterior(Posterior):
    r"""A softmax of features of x in place of the exact posterior, learnt as the model is.

    .. math:: q(k \\mid x; \\phi) = \\mathrm{softmax}_k(h(x)^T \\phi_k)

    Each iteration takes a batch, forms q, returns the statistics and the evidence lower bound
    under q, and moves :math:`\\phi` along the gradient of that bound,

    .. math:: \\nabla_{\\phi_k} L = \\sum_i s_i h(x_i) q_k (f_k - \\textstyle\\sum_j q_j f_j),
        \\qquad f_k = \\log p(x_i, k) - \\log q_k

    with sums over all components in place of samples of k. With `GradientStep` or `GradientAscent`
    as the update, model and posterior move at once; with `ClosedForm` they alternate. The first
    q is the least-squares fit of its logits to :math:`\\log p(x, k)` at the start: the natural
    gradient step of length 1 from a uniform q, and exact where the posterior is a q.

    Parameters
    ----------
    batch_size : int
        Samples in a batch, drawn as by `MiniBatchPosterior`.
    step_size : float or callable, default=0.1
        Of Adam, or a function of the iteration, counted from 0 (see `Decaying`).
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
        If ``batch_size`` or ``step_size`` is not positive.

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
        step_size: StepSize = 0.1,
        *,
        features: Callable[[Array], Array] = quadratic_features,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.batch_size = check_count(batch_size, "batch_size")
        self.step_size = step_size_of(step_size)
        self.features = features
        self.seed = check_seed(seed)
        self.n_threads = count_threads(n_jobs)
        self._scaling: _Scaling | None = None

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Scale the features, and fit q to the posterior of the start."""
        self._total_weight = samples.total_weight
        self._batches = Batches(samples, self.batch_size, self.seed)
        self._adam = Adam(self.step_size)
        batch = Batches(samples, _SCALED_BY, self.seed).draw()
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
            excess = self._log_joint(X, components) - log_q
            bounds = np.einsum("ik,ik->i", q, excess)
            elbo += float(weight @ bounds)
            gradient += H.T @ (weight[:, np.newaxis] * q * (excess - bounds[:, np.newaxis]))
            kernels.moments(X, weight, q, *about, self.n_threads)
        self._coefficients += adam.step(gradient / self._total_weight)
        return SufficientStatistics(*about, elbo, self._total_weight)

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
