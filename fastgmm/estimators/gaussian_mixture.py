"""GaussianMixture: maximum likelihood by EM, with scikit-learn's interface."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..covariance import COVARIANCE_TYPES, CollapseError
from ..em.acceleration import QuasiNewton
from ..em.convergence import STOP_RULES
from ..em.loop import run
from ..em.posterior import ExactPosterior
from ..em.result import EMResult, Iteration
from ..em.update import ClosedForm
from ..init import INIT_PARAMS, SplitMerge, initial_parameters
from ..parameters import MixtureParameters
from ..samples import Samples
from ..validation import check_warm_start
from ._inputs import (
    check_enough,
    check_given,
    check_magnitude,
    check_samples,
    unchanged_on_error,
)
from ._mixture import BaseMixture
from ._progress import Verbose, warn_about


class GaussianMixture(BaseMixture):
    r"""Fit a mixture of Gaussians by expectation-maximization.

    .. math:: p(x) = \\sum_{k=1}^{K} w_k \\, N(x \\mid \\mu_k, \\Sigma_k)

    The parameters, attributes and stop rule are scikit-learn's; in addition samples may have
    weights. An iteration reads X once and forms nothing of size n_samples x n_components.
    Statistics are float64 whatever X is, and the number of threads changes no bit of the result.

    Parameters
    ----------
    n_components : int, default=1
        Number of components, K.
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        A matrix for each component; one matrix for all; a variance for each component and
        feature; a variance for each component.
    tol : float, default=1e-3
        Converged when the mean log-likelihood changes by less, in nats per sample.
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariances, in squared units of X.
    max_iter : int, default=100
        Largest number of iterations; 0 keeps the starting point.
    n_init : int, default=1
        Number of starts; the best by its lower bound is kept.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data'}, default='kmeans'
        How to choose starting points. ``kmeans``: clusters of k-means. ``k-means++`` and
        ``random_from_data``: means on samples far apart, or drawn at random, with the pooled
        covariance about the nearest of them. ``random``: random responsibilities. On large data
        only a random subsample is looked at.
    weights_init : array-like of shape (n_components,), optional
        Starting weights.
    means_init : array-like of shape (n_components, n_features), optional
        Starting means.
    precisions_init : array-like, optional
        Starting inverse covariances, in the shape of ``covariances_``.
    random_state : int, RandomState instance or None, default=None
        For the starting points, and for ``sample``.
    warm_start : bool, default=False
        Start from the solution of the last call of ``fit``.
    verbose : int, default=0
        1 prints starts and every ``verbose_interval``-th iteration, 2 also time and change.
    verbose_interval : int, default=10
        Number of iterations between two lines.
    acceleration : {'quasi-newton', 'subsample', 'split-merge'} or None, default=None
        ``quasi-newton``: L-BFGS steps once EM gains less than 1e-3 nats a step, guarded by the
        likelihood: about a third of the iterations for a small ``tol``, perhaps another maximum.
        ``subsample``: the same, first on an eighth of the samples, then on all.
        ``split-merge``: moves that merge two components and split another, tried on a subsample,
        before and after quasi-Newton on all samples: higher maxima, sooner; for 3 components
        and more.
    stop_rule : {'last-change', 'remaining-gain'}, default='last-change'
        What ``tol`` bounds: the last change of the mean log-likelihood, or an estimate of all
        that further iterations would gain, which does not stop EM where it only creeps.
    n_jobs : int or None, default=None
        Number of threads. None, -1: all cores that affinity and cgroup quota allow.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical.
    precisions_ : ndarray
        Inverse covariances, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with U U^T = precision, in the same shape.
    converged_ : bool
    n_iter_ : int
        Iterations of the best start.
    lower_bound_ : float
        Mean log-likelihood of the parameters before the last update, in nats per sample.
    lower_bounds_ : list of float
        The lower bound of every iteration of the best start.
    history_ : list of Iteration
        Number, lower bound, change and seconds of every iteration of the best start.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X has string column names.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    Bishop (2006), Pattern Recognition and Machine Learning, section 9.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(model.means_[:, 0]).round(6).tolist()
    [1.0, 10.0]
    >>> round(model.score(X), 6)
    3.386316
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(INIT_PARAMS))],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "acceleration": [StrOptions({"quasi-newton", "subsample", "split-merge"}), None],
        "stop_rule": [StrOptions(set(STOP_RULES))],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "kmeans",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        acceleration: str | None = None,
        stop_rule: str = "last-change",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.acceleration = acceleration
        self.stop_rule = stop_rule
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        callback: Callable[[Iteration], object] | None = None,
    ) -> "GaussianMixture":
        """Estimate the parameters by EM.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float64 and float32 arrays are read in place, in any memory order.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative; each counts as that many copies of its sample.
        callback : callable, optional
            Called with an Iteration (number, lower_bound, change, seconds) after each iteration.

        Returns
        -------
        GaussianMixture
            self.

        Raises
        ------
        ValueError
            If X, a weight or a parameter is not valid, or if the starting covariances collapse.

        Warns
        -----
        ConvergenceWarning
            If the best start did not converge, or a component's covariance collapsed.
        """
        self._fit(X, sample_weight, callback)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> NDArray[np.int64]:
        """Estimate the parameters, then return the best component of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            As ``fit``.

        Warns
        -----
        ConvergenceWarning
            As ``fit``.
        """
        return self._predict(self._fit(X, sample_weight, None))

    def _fit(self, X: Any, sample_weight: Any, callback: Any) -> Samples:
        self._validate_params()
        with unchanged_on_error(self):
            samples = check_samples(self, X, sample_weight, reset=True, min_samples=2)
            check_enough(samples, self.n_components)
            check_magnitude(samples)
            result = self._best_run(samples, callback)
            self._set_result(result)
        warn_about(self, result)
        return samples

    def _best_run(
        self, samples: Samples, callback: Callable[[Iteration], object] | None
    ) -> EMResult:
        """Run EM from each start; return the run with the largest lower bound."""
        given = check_given(self, samples.n_features)
        random_state = check_random_state(self.random_state)
        warm = self.warm_start and hasattr(self, "converged_")
        if warm:
            check_warm_start(self._parameters(), self.n_components, samples.n_features)
        best: EMResult | None = None
        failure: CollapseError | None = None
        for start in range(1 if warm else self.n_init):
            verbose = Verbose(self.verbose, self.verbose_interval, callback)
            verbose.begin(start)
            try:
                parameters = (
                    self._parameters() if warm else self._start(samples, random_state, given)
                )
            except CollapseError as error:
                failure = error
                continue
            result = self._run(samples, parameters, random_state, verbose, warm)
            verbose.end(result)
            if best is None or result.lower_bound > best.lower_bound:
                best = result
        if best is None:
            assert failure is not None
            raise failure
        return best

    def _run(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        random_state: np.random.RandomState,
        verbose: Verbose,
        warm: bool,
    ) -> EMResult:
        n_threads, stop = count_threads(self.n_jobs), STOP_RULES[self.stop_rule](self.tol)
        if self.acceleration in ("subsample", "split-merge") and self.max_iter > 0:
            moves = self.acceleration == "split-merge"
            search = SplitMerge(self.reg_covar, n_threads, random_state, with_moves=moves)
            return search.run(samples, parameters, stop, self.max_iter, verbose.iteration)
        return run(
            samples,
            parameters,
            posterior=ExactPosterior(n_threads),
            update=ClosedForm(self.reg_covar, n_threads),
            convergence=stop,
            max_iter=self.max_iter,
            acceleration=None if self.acceleration is None else QuasiNewton(),
            lower_bound=self.lower_bound_ if warm else -math.inf,
            callback=verbose.iteration,
        )

    def _start(
        self,
        samples: Samples,
        random_state: np.random.RandomState,
        given: dict[str, Array | None],
    ) -> MixtureParameters:
        return initial_parameters(
            samples,
            n_components=self.n_components,
            covariance_type=self.covariance_type,
            init_params=self.init_params,
            reg_covar=self.reg_covar,
            random_state=random_state,
            n_threads=count_threads(self.n_jobs),
            **given,
        )

    def _set_result(self, result: EMResult) -> None:
        parameters = result.parameters
        self.weights_ = parameters.weights
        self.means_ = parameters.means
        self.covariances_ = parameters.covariances
        self.precisions_cholesky_ = parameters.precisions_cholesky
        self.precisions_ = parameters.precisions
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds
        self.history_ = result.history
