"""GaussianMixture: maximum likelihood by EM, with scikit-learn's interface."""

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from ..data.samples import Samples
from ..em.acceleration import QuasiNewton
from ..em.convergence import STOP_RULES
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.result import EMResult, Iteration
from ..em.step_sizes import StepSizes
from ..em.updates.closed_form import ClosedForm
from ..init import SplitMerge, draw_parameters
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.penalties import NormalInverseWishartPrior
from ._constraints import check_all_given, constraints_of_stream, count_free, prepare
from ._fitting import POSITIVE, IteratedMixture, Setting
from ._known_parameters import KnownMixture
from ._posteriors import POSTERIORS, check_posterior, is_truncated, run_truncated
from ._restarts import Compute


class GaussianMixture(KnownMixture):
    r"""Fit a mixture of Gaussians by expectation-maximization.

    .. math:: p(x) = \sum_{k=1}^{K} w_k \, N(x \mid \mu_k, \Sigma_k)

    The parameters, attributes and stop rule are scikit-learn's. In addition, samples may have
    weights. An iteration reads X once and forms nothing of size n_samples x n_components.
    Statistics and parameters are float64 also for float32 data. The number of threads changes no
    bit of the result.

    Parameters
    ----------
    n_components : int, default=1
        Number of components, K.
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'tied-spherical'}, default='full'
        A matrix for each component; one matrix for all; a variance for each component and
        feature; a variance for each component; one variance for all.
    tol : float, default=1e-3
        Converged when the mean log-likelihood changes by less, in nats per sample.
    reg_covar : float or 'auto', default=1e-6
        Added to the variances, in squared units of X. ``auto`` is 1e-6 times the variance of each
        feature over all samples, so that the result does not depend on the units of the features.
    max_iter : int, default=100
        Largest number of iterations; 0 keeps the starting point.
    max_time : float, optional
        Seconds from the call of ``fit``, after which no further iteration or start begins. The
        estimator then holds the best start so far. Default: no limit.
    n_init : int, default=1
        Number of starts; the best by its lower bound is kept.
    init_params : str, array-like or callable, default='auto'
        How to choose starting points. ``auto``: the start of scikit-learn's default, or clusters of
        k-means on scaled features, which do not depend on units. EM runs from each, as far as it
        would by default in scikit-learn, and goes on from the higher likelihood; components are in
        the order of their means in the feature that separates them most. From 256 components on it
        is ``tree``: the leaves of a tree that cuts the samples in two, again and again, which takes
        a time that hardly grows with K. ``kmeans``: clusters of k-means, as scikit-learn's default.
        ``k-means++``: clusters about samples that are far apart. ``random_from_data``: clusters
        about random samples. ``random``: random responsibilities. With more than 65,536 rows, or 32
        for each component if that is more (fewer beyond 64 features), a random subsample of so many
        is used. Or labels of shape (n_samples,), responsibilities of shape (n_samples,
        n_components), or a function of (X, n_components, random_state) that returns labels,
        responsibilities or `em.MixtureParameters`. From an array there is one start.
    weights_init : array-like of shape (n_components,), optional
        Starting weights.
    means_init : array-like of shape (n_components, n_features), optional
        Starting means.
    precisions_init : array-like, optional
        Starting inverse covariances, in the shape of ``covariances_``.
    covariances_init : array-like, optional
        Starting covariances, in the shape of ``covariances_``, instead of ``precisions_init``.
    random_state : int, RandomState instance or None, default=None
        For the starting points, and for ``sample``.
    warm_start : bool, default=False
        Start from the solution of the last call of ``fit``.
    verbose : int or bool, default=0
        True shows a progress bar, on a terminal or in a notebook, where tqdm is installed. 1 prints
        starts and every ``verbose_interval``-th iteration, 2 also time and change.
    verbose_interval : int, default=10
        Number of iterations between two lines.
    acceleration : {'quasi-newton', 'subsample', 'split-merge'} or None, default=None
        ``quasi-newton``: L-BFGS steps as soon as EM gains less than 1e-3 nats a step. A step that
        lowers the likelihood is rejected. For a small ``tol`` it takes about a third of the
        iterations; it may end at another maximum. ``subsample``: the same, first on an eighth of
        the samples, then on all. ``split-merge``: moves that merge two components and split
        another, tried on a subsample, before and after quasi-Newton on all samples. It reaches
        higher maxima, sooner; for 3 components and more. Where ``posterior`` is truncated, many
        moves at once, between runs of truncated EM.
    stop_rule : {'last-change', 'remaining-gain'}, default='last-change'
        What ``tol`` bounds: the last change of the mean log-likelihood, as in scikit-learn, or an
        estimate of the gain of all further iterations. The latter does not stop EM while it
        converges slowly, and takes about twice the iterations.
    fixed : tuple of {'weights', 'means', 'covariances'}, default=()
        What the fit does not change. Weights stay equal, or those of ``weights_init``; means are
        those of ``means_init``, covariances those of ``covariances_init`` or ``precisions_init``,
        which must be given. It does not go with ``acceleration='split-merge'``.
    fixed_components : list of int, or mask of shape (n_components,), default=()
        Components that keep weight, mean and covariance as given by ``weights_init``,
        ``means_init`` and ``covariances_init``. The others share the rest of the weight.
    prior : 'mclust', NormalInverseWishartPrior or None, default=None
        Maximum a posteriori. ``mclust``: the default prior of the R package; see
        `em.NormalInverseWishartPrior`.
    covariance_floor : float, array-like of shape (n_features,) or 'auto', default=0
        Least variance in any direction, in squared units of X. ``auto`` is 1e-6 times the variance
        of each feature.
    missing : {'error', 'marginalize'}, default='error'
        What NaN and nulls in X mean: a mistake, or values that are missing at random. All methods
        then use the density of what is there. It does not go with ``acceleration='split-merge'``.
    posterior : {'exact', 'truncated', 'auto'}, default='exact'
        ``truncated``: each sample keeps its three best components, sought near the best; see
        `em.NeighborhoodPosterior`. For thousands of components, whose number then hardly changes
        the time of an iteration. Lower bounds are then bounds below the mean log-likelihood, which
        ``score`` computes. ``auto``: truncated from 256 components on, without quasi-Newton
        steps and missing values. Streams are exact. Predictions follow where that
        takes less time: see `predict` and `predict_proba`.
    exact_iter : int, default=0
        Number of iterations of exact EM after those of truncated EM. The last lower bounds are then
        log-likelihoods.
    step_sizes : em.StepSizes, optional
        Of ``partial_fit``. Default: ``em.StepSizes()``, for a stream that does not change.
    n_jobs : int or None, default=None
        Number of threads. None, -1: all cores that affinity and cgroup quota allow. Starts run at
        once, unless there is a callback or ``verbose``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        With ``means_`` and ``covariances_`` it is the mixture: where these are set or edited by
        hand, all methods follow them.
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical, a number for tied-spherical.
    precisions_ : ndarray
        Inverse covariances of the last fit, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with U U^T = precision, in the same shape.
    converged_ : bool
        Whether the best start met the stop rule within ``max_iter`` iterations. It does not promise
        a maximum: where components overlap, gains below ``tol`` can go on for many iterations, and
        add up to more than ``tol``. Nor does it promise the highest maximum: EM ends at one near
        its start.
    n_iter_ : int
        Iterations of the best start, without those by which ``init_params='auto'`` chose it.
    lower_bound_ : float
        Mean log-likelihood of the parameters before the last update, in nats per sample; with a
        prior, also its log-density without constants.
    lower_bounds_ : list of float
        The lower bound of every iteration of the best start.
    history_ : list of Iteration
        Number, lower bound, change and seconds of every iteration of the best start.
    collapsed_ : dict of int to int
        Components whose covariance could not be updated in some iteration, because it was not
        positive definite, and the number of the first such iteration. They kept the covariance that
        they had.
    n_reseeded_ : int
        How many times truncated EM used a component of one sample, or none, elsewhere.
    n_samples_seen_ : float
        Sum of the weights of the samples of the last fit, or of the stream.
    restarts_ : list of em.Restart
        Lower bound, n_iter, converged, history and chosen of each start, in order.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X has string column names.
    n_parameters_ : int
        Number of free parameters, without fixed ones.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    Bishop (2006), Pattern Recognition and Machine Learning, section 9.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> X = np.array([[0, 2], [1, 4], [2, 0], [9, 3], [10, 4], [11, 0]])
    >>> model = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    >>> np.sort(model.means_[:, 0]).round(6).tolist()
    [1.0, 10.0]
    >>> print(model.score(X).round(4))
    -3.6041
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **IteratedMixture._parameter_constraints,
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", np.ndarray, POSITIVE, None],
        "covariances_init": ["array-like", np.ndarray, POSITIVE, None],
        "acceleration": [StrOptions({"quasi-newton", "subsample", "split-merge"}), None],
        "stop_rule": [StrOptions(set(STOP_RULES))],
        "fixed": [tuple, list],
        "fixed_components": ["array-like"],
        "prior": [StrOptions({"mclust"}), NormalInverseWishartPrior, None],
        "covariance_floor": [
            Interval(Real, 0.0, None, closed="left"),
            "array-like",
            StrOptions({"auto"}),
        ],
        "missing": [StrOptions({"error", "marginalize"})],
        "posterior": [StrOptions(set(POSTERIORS))],
        "exact_iter": [Interval(Integral, 0, None, closed="left")],
    }

    _counterpart = "GaussianMixture"

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float | Literal["auto"] = 1e-6,
        max_iter: int = 100,
        max_time: float | None = None,
        n_init: int = 1,
        init_params: Any = "auto",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        covariances_init: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        acceleration: str | None = None,
        stop_rule: str = "last-change",
        fixed: Sequence[str] = (),
        fixed_components: Any = (),
        prior: NormalInverseWishartPrior | Literal["mclust"] | None = None,
        covariance_floor: Any = 0.0,
        missing: str = "error",
        posterior: str = "exact",
        exact_iter: int = 0,
        step_sizes: StepSizes | None = None,
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.max_time = max_time
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.covariances_init = covariances_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.acceleration = acceleration
        self.stop_rule = stop_rule
        self.fixed = fixed
        self.fixed_components = fixed_components
        self.prior = prior
        self.covariance_floor = covariance_floor
        self.missing = missing
        self.posterior = posterior
        self.exact_iter = exact_iter
        self.step_sizes = step_sizes
        self.n_jobs = n_jobs

    def _prepare(self, samples: Samples) -> tuple[dict[str, Any], dict[str, Any]]:
        check_posterior(self)
        return prepare(self, samples)

    def _update(self, setting: Setting) -> ClosedForm:
        return ClosedForm(setting.reg_covar, setting.n_threads, **setting.given[1])

    def _draw_start(self, samples: Samples, setting: Setting) -> Compute:
        check_all_given(self, setting.given[0])
        return draw_parameters(
            samples,
            n_components=self.n_components,
            covariance_model=get_covariance_model(self.covariance_type),
            init_params=self.init_params,
            reg_covar=setting.reg_covar,
            random_state=setting.random_state,
            n_threads=setting.n_threads,
            new_update=lambda: self._update(setting),
            **setting.given[0],
        )

    def _run(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        setting: Setting,
        callback: Callable[[Iteration], object],
    ) -> EMResult[MixtureParameters]:
        n_threads, stop = setting.n_threads, STOP_RULES[self.stop_rule](self.tol)
        if is_truncated(self) and self.max_iter > 0:
            update = partial(self._update, setting)
            return run_truncated(self, samples, parameters, update, stop, setting, callback)
        if self.acceleration in ("subsample", "split-merge") and self.max_iter > 0:
            moves = self.acceleration == "split-merge"
            search = SplitMerge(
                setting.reg_covar, n_threads, setting.random_state, moves, self.fixed
            )
            return search.run(samples, parameters, stop, self.max_iter, callback)
        return run(
            samples,
            parameters,
            posterior=ExactPosterior(n_threads),
            update=self._update(setting),
            convergence=stop,
            max_iter=self.max_iter,
            acceleration=None if self.acceleration is None else QuasiNewton(),
            lower_bound=setting.lower_bound,
            callback=callback,
        )

    def _set_result(self, result: EMResult[MixtureParameters]) -> None:
        super()._set_result(result)
        self.n_reseeded_ = result.n_reseeded

    def _batch_update(self, parameters: MixtureParameters) -> ClosedForm:
        self._check_shape(parameters)
        constraints = constraints_of_stream(self, parameters)
        return ClosedForm(self.reg_covar, self.n_jobs, **constraints)

    def _check_streamed(self, is_fitted: bool) -> None:
        super()._check_streamed(is_fitted)
        if self.prior == "mclust":
            raise ValueError(
                "prior='mclust' is computed from all samples: partial_fit needs prior=None or an "
                "em.NormalInverseWishartPrior."
            )

    def _n_free(self, n_features: int) -> int:
        return count_free(self, (self.n_components, n_features))

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters, which `bic`, `icl` and `aic` count: without fixed ones."""
        return count_free(self, self._parameters().means.shape)
