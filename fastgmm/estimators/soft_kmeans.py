"""SoftKMeans: k-means with soft assignments of a fixed stiffness."""

import zlib
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClusterMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._kernels.floating_point import numpys_rules
from .._kernels.threads import count_threads
from ..data.containers import to_array
from ..data.samples import Samples
from ..data.sources import Source
from ..em.convergence import LowerBoundChange
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.result import Callback, EMResult, Restart
from ..em.step_sizes import StepSizes
from ..em.time_limit import time_limit
from ..em.updates.means_only import MeansOnly
from ..init import initial_centers
from ..model.parameters import MixtureParameters
from ..model.prediction import best_components
from ..model.validation import check_enough, check_magnitude, check_means
from ._array_api import put_attributes_like
from ._distances import CenterDistances, mixture_about
from ._inputs import check_samples, unchanged_on_error
from ._keeping import CheckpointLike, fit_kept, stream
from ._memory import check_memory
from ._progress import Report
from ._restarts import Compute, Run, best_of, count_workers, run_starts
from ._streams import StreamedMixture
from ._warnings import warn_about_convergence


class SoftKMeans(ClusterMixin, CenterDistances, StreamedMixture):
    r"""Cluster by soft k-means: EM for means, with equal weights and one fixed variance.

    .. math:: r_{ik} = \frac{e^{-\beta |x_i - \mu_k|^2}}{\sum_j e^{-\beta |x_i - \mu_j|^2}},
        \qquad \mu_k = \frac{\sum_i s_i r_{ik} x_i}{\sum_i s_i r_{ik}}

    It maximises the likelihood of the mixture of equal weights and variances
    :math:`\sigma^2 = 1 / (2 \beta)` over the means. Its limit for large beta is Lloyd's k-means;
    if 2 beta times the largest variance of X is below 1, all centres move to the mean. An iteration
    reads X once and forms nothing of size n_samples x n_clusters.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters, K.
    beta : float, default=1.0
        Stiffness, in inverse squared units of X.
    init : 'k-means++' or array-like of shape (n_clusters, n_features), default='k-means++'
        Starting centres: samples that are far from one another (from a random subsample if X is
        large), or given centres.
    n_init : int, default=1
        Number of starts; the best by its lower bound is kept. One if centres are given.
    max_iter : int, default=300
        Largest number of iterations; 0 keeps the starting centres.
    max_time : float, optional
        Seconds from the call of ``fit``, after which no further iteration or start begins. The
        estimator then holds the best start so far. Default: no limit.
    tol : float, default=1e-6
        Converged when the mean log-likelihood changes by less, in nats per sample.
    random_state : int, RandomState instance or None, default=None
        For the starting centres, and for ``sample``.
    step_sizes : em.StepSizes, optional
        Of ``partial_fit``. Default: ``em.StepSizes()``, for a stream that does not change.
    n_jobs : int or None, default=None
        Number of threads. None, -1: all cores that affinity and cgroup quota allow.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
    labels_ : ndarray of shape (n_samples,)
        The nearest centre of each sample; of a stream, of the last batch. -1 for a row of weight 0
        that holds NaN, infinity or a number above 1e100. Not there after a fit to a source.
    converged_ : bool
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log-likelihood of the centres before the last update, in nats per sample:
        the weighted mean of log p(x_i), with
        p(x) = (beta / pi)^(d/2) / K sum_k exp(-beta \|x - mu_k\|^2).
    lower_bounds_ : list of float
        The lower bound of every iteration of the best start.
    history_ : list of Iteration
        Number, lower bound, change and seconds of every iteration of the best start.
    n_samples_seen_ : float
        Sum of the weights of the samples of the last fit, or of the stream.
    restarts_ : list of em.Restart
        Lower bound, n_iter, converged, history and chosen of each start, in order.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X has string column names.
    n_parameters_ : int
        Number of free parameters of the mixture: weights, means and covariances.

    References
    ----------
    MacKay (2003), Information Theory, Inference, and Learning Algorithms, section 20.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import SoftKMeans
    >>> X = np.array([[1.0], [2.0], [3.0], [11.0], [12.0], [13.0]])
    >>> model = SoftKMeans(n_clusters=2, beta=1.0, random_state=0).fit(X)
    >>> np.sort(model.cluster_centers_[:, 0]).round(6).tolist()
    [2.0, 12.0]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0.0, None, closed="neither")],
        "init": [StrOptions({"k-means++"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "max_time": [Interval(Real, 0.0, None, closed="neither"), None],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        **StreamedMixture._parameter_constraints,
    }

    _located_by = "cluster_centers_"

    def __init__(
        self,
        n_clusters: int = 8,
        beta: float = 1.0,
        *,
        init: Any = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        max_time: float | None = None,
        tol: float = 1e-6,
        random_state: Any = None,
        step_sizes: StepSizes | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.beta = beta
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.max_time = max_time
        self.tol = tol
        self.random_state = random_state
        self.step_sizes = step_sizes
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        callback: Callback | None = None,
        checkpoint: CheckpointLike | None = None,
    ) -> "SoftKMeans":
        """Find the centres.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            float64 and float32 arrays are read in place, in any memory order.
        y : Ignored
        sample_weight : array-like of shape (n_samples,) or number, optional
            Non-negative; each counts as that many copies of its sample.
        callback : callable, optional
            Called with an Iteration (number, lower_bound, change, seconds) after each iteration,
            whose ``partial()`` is a fitted estimator of that iteration. If it returns True, the fit
            ends there, also if other starts were to follow. The estimator then holds the best start
            so far; ``converged_`` is False unless that start had converged.
        checkpoint : str, path or em.Checkpoint, optional
            File that keeps the state of the fit, by default once a minute. The same call goes on
            from there to the same bits; see `em.Checkpoint`.

        Returns
        -------
        SoftKMeans
            self.

        Raises
        ------
        ValueError
            If X, a weight or a parameter is not valid, or if ``checkpoint`` is damaged, belongs to
            another fit or cannot be written.

        Warns
        -----
        ConvergenceWarning
            If the best start did not converge or was stopped by the callback, or if ``max_time``
            ended the fit.
        """
        self._validate_params()
        with unchanged_on_error(self), numpys_rules(), time_limit(self.max_time):
            check_memory(X, self.n_clusters, "tied-spherical")
            samples = check_samples(self, X, sample_weight, reset=True)
            check_magnitude(samples)
            result = self._fit_samples(X, samples, callback, checkpoint)
        warn_about_convergence(self, result, stacklevel=3)
        return self

    def _fit_samples(
        self,
        X: Any,
        samples: Samples,
        callback: Callback | None = None,
        checkpoint: CheckpointLike | None = None,
    ) -> EMResult[MixtureParameters]:
        check_enough(samples, self.n_clusters, "n_clusters")
        arguments = self, X, samples, callback, checkpoint
        return fit_kept(*arguments, partial(self._best_run, samples))

    def _fitted(
        self,
        result: EMResult[MixtureParameters],
        X: Any,
        samples: Samples,
        restarts: list[Restart],
    ) -> "SoftKMeans":
        """Return the estimator with a result, in arrays like X."""
        self._forget_stream()
        self.restarts_ = restarts
        self.n_samples_seen_ = samples.total_weight
        self._set_batch(X, samples, result)
        return self

    def _set_batch(self, X: Any, samples: Samples, result: EMResult[MixtureParameters]) -> None:
        self.cluster_centers_ = result.parameters.means
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds
        self.history_ = result.history
        self._samples_dtype = result.dtype
        self.__dict__.pop("labels_", None)  # of an earlier fit
        if samples.in_memory:
            labels = best_components(samples, result.parameters, count_threads(self.n_jobs))
            self.labels_ = samples.in_all_rows(labels)
        put_attributes_like(self, X)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int64]:
        """Find the centres and return the nearest one of each sample.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,) or number, optional

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            As ``fit``.
        """
        self.fit(X, sample_weight=sample_weight)
        return self.predict(X) if isinstance(X, Source) else self.labels_

    def _best_run(
        self, samples: Samples, callback: Callback | None
    ) -> tuple[EMResult[MixtureParameters], list[Restart]]:
        given = not isinstance(self.init, str)
        random_state = stream(self.random_state)
        n_starts, n_threads = 1 if given else self.n_init, count_threads(self.n_jobs)
        n_workers = count_workers(n_starts, n_threads, samples, callback is not None)

        def next_start() -> tuple[Compute, Run]:
            start = self._start(samples, random_state)
            return lambda: start, lambda parameters, stop: self._run(
                samples, parameters, n_threads // n_workers, stop
            )

        return best_of(run_starts(next_start, n_starts, n_workers, Report(callback)))

    def _start(self, samples: Samples, random_state: np.random.RandomState) -> MixtureParameters:
        K, d, n_threads = self.n_clusters, samples.n_features, count_threads(self.n_jobs)
        if not isinstance(self.init, str):
            return mixture_about(check_means(self.init, K, d, "init"), self.beta)
        centers = initial_centers(samples, K, self.init, self.beta, random_state, n_threads)
        return mixture_about(centers, self.beta)

    def _run(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        n_threads: int,
        callback: Callable[[Any], object],
    ) -> EMResult[MixtureParameters]:
        return run(
            samples,
            parameters,
            posterior=ExactPosterior(n_threads),
            update=MeansOnly(),
            convergence=LowerBoundChange(self.tol),
            max_iter=self.max_iter,
            callback=callback,
        )

    def _mixture(self) -> MixtureParameters:
        centers = to_array(self.cluster_centers_, "cluster_centers_")
        K, d = centers.shape
        return mixture_about(check_means(centers, K, d, "cluster_centers_"), self.beta)

    def _fit_first(self, X: Any, samples: Samples) -> list[str]:
        self._fit_samples(X, samples)
        return []

    def _batch_update(self, parameters: MixtureParameters) -> MeansOnly:
        check_means(self.cluster_centers_, self.n_clusters, parameters.n_features, "centers")
        return MeansOnly()

    def _n_parts(self) -> int:
        return self.n_clusters

    def _n_free(self, n_features: int) -> int:
        return self.n_clusters * n_features

    def _sum_up(self) -> int:
        centers = to_array(self.cluster_centers_, "cluster_centers_")
        return zlib.crc32(np.ascontiguousarray(centers), zlib.crc32(repr(self.beta).encode()))

    def _fitted_sizes(self) -> None:
        """Return None: the weights are equal, whatever the samples."""

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters: the coordinates of the centres."""
        check_is_fitted(self, msg=self._not_fitted())
        return int(self.cluster_centers_.size)
