"""BayesianGaussianMixture: variational Bayes, with scikit-learn's interface."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import StrOptions

from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.containers import to_array
from ..data.samples import Samples
from ..em.convergence import LowerBoundChange
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.result import EMResult, Iteration
from ..em.step_sizes import StepSizes
from ..em.updates.conjugate import ConjugatePrior
from ..init import draw_posterior, initial_posterior, initial_statistics, is_given
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.priors import (
    WEIGHT_PRIORS,
    Dirichlet,
    NormalWishartPrior,
    StickBreaking,
    VariationalParameters,
)
from ..model.statistics import sample_moments
from ..model.validation import check_covariance_prior, check_degrees_of_freedom, check_mean_prior
from ._exchange import fitted_prior
from ._fitting import POSITIVE, IteratedMixture, Setting
from ._pruning import Pruning
from ._restarts import Compute

_POSTERIOR = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")


class BayesianGaussianMixture(Pruning, IteratedMixture):
    r"""Fit a variational posterior over mixtures of Gaussians.

    .. math:: q(w) \prod_{k=1}^{K} N(\mu_k \mid m_k, (\kappa_k \Lambda_k)^{-1})
        \, W(\Lambda_k \mid W_k, \nu_k)

    Components that the data does not need keep the prior and get almost no weight. The parameters,
    attributes and stop rule are scikit-learn's. In addition, samples may have weights. An iteration
    reads X once and forms nothing of size n_samples x n_components.

    Parameters
    ----------
    n_components : int, default=1
        Largest number of components, K; some may stay unused.
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'tied-spherical'}, default='full'
        A matrix for each component; one matrix for all; a variance for each component and
        feature; a variance for each component; one variance for all.
    tol : float, default=1e-3
        Converged when the lower bound, a sum over samples, changes by less, in nats.
    reg_covar : float or 'auto', default=1e-6
        Added to the variances of each component's samples, in squared units of X. ``auto`` is 1e-6
        times the variance of each feature over all samples.
    max_iter : int, default=100
        Largest number of iterations; 0 keeps the starting point.
    max_time : float, optional
        Seconds from the call of ``fit``, after which no further iteration or start begins. The
        estimator then holds the best start so far. Default: no limit.
    n_init : int, default=1
        Number of starts; the best by its lower bound is kept.
    init_params : str, array-like or callable, default='auto'
        How to choose starting responsibilities. ``auto``: those of scikit-learn's default, or
        clusters of k-means on scaled features, which do not depend on units. The fit runs from
        each, as far as it would by default in scikit-learn, and goes on from the higher bound.
        From 256 components on it is ``tree``: the leaves of a tree that cuts the samples in two,
        again and again. ``kmeans``: clusters of k-means, as scikit-learn's default. ``random``: at
        random.
        ``k-means++`` and ``random_from_data``: each component has responsibility 1 for one sample
        and 0 for all others; these samples are far from one another, or drawn at random. With more
        than 65,536 rows (fewer beyond 64 features) a random subsample of so many is used. Or
        labels, responsibilities or a function, as for `GaussianMixture`.
    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}
        Prior of the weights. The process is stick-breaking, truncated to ``n_components``, and
        makes later components smaller. The distribution is symmetric. Default: 'dirichlet_process'.
    weight_concentration_prior : float, optional
        Concentration of that prior. With a smaller value fewer components are used. Default: 1 / K.
    mean_precision_prior : float, optional
        kappa_0: how many samples the prior mean stands for. Default: 1.
    mean_prior : array-like of shape (n_features,), optional
        m_0. Default: the mean of X.
    degrees_of_freedom_prior : float, optional
        nu_0, greater than n_features - 1. Default: n_features.
    covariance_prior : float or array-like, optional
        W_0^-1: (d, d) full and tied, (d,) diag, a number for spherical and tied-spherical. Default:
        the unbiased covariance of X, its diagonal, or the mean of the diagonal.
    random_state : int, RandomState instance or None, default=None
        For the starting points, and for ``sample``.
    warm_start : bool, default=False
        Start from the solution of the last call of ``fit``.
    verbose : int or bool, default=0
        True shows a progress bar, on a terminal or in a notebook, where tqdm is installed. 1 prints
        starts and every ``verbose_interval``-th iteration, 2 also time and change.
    verbose_interval : int, default=10
        Number of iterations between two lines.
    step_sizes : em.StepSizes, optional
        Of ``partial_fit``. Default: ``em.StepSizes()``, for a stream that does not change.
    n_jobs : int or None, default=None
        Number of threads. None, -1: all cores that affinity and cgroup quota allow.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Expected weights.
    means_ : ndarray of shape (n_components, n_features)
        m_k.
    covariances_ : ndarray
        Inverses of the expected precisions: (K, d, d) full, (d, d) tied, (K, d) diag,
        (K,) spherical, a number for tied-spherical.
    precisions_ : ndarray
        Expected precisions, nu_k W_k, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with U U^T = precision, in the same shape.
    converged_ : bool
        Whether the best start met the stop rule within ``max_iter`` iterations. It promises neither
        that further iterations would gain less than ``tol``, nor the highest maximum.
    n_iter_ : int
        Iterations of the best start, without those by which ``init_params='auto'`` chose it.
    lower_bound_ : float
        Lower bound of the log-evidence after the last update, in nats, without constants; a sum
        over samples.
    lower_bounds_ : list of float
        The lower bound of every iteration of the best start.
    history_ : list of Iteration
        Number, lower bound, change and seconds of every iteration of the best start.
    collapsed_ : dict of int to int
        Components whose covariance could not be updated in some iteration, and the number of the
        first such iteration. They kept the covariance that they had.
    restarts_ : list of em.Restart
        Lower bound, n_iter, converged, history and chosen of each start, in order.
    weight_concentration_ : ndarray of shape (n_components,), or a tuple of two
        Concentration of the Dirichlet posterior, or the two parameters of each Beta distribution of
        the stick-breaking posterior.
    mean_precision_ : ndarray of shape (n_components,)
        kappa_k.
    degrees_of_freedom_ : ndarray of shape (n_components,), or float for tied and tied-spherical
        nu_k.
    weight_concentration_prior_ : float
    mean_precision_prior_ : float
    mean_prior_ : ndarray of shape (n_features,)
    degrees_of_freedom_prior_ : float
    covariance_prior_ : float or ndarray
    n_samples_seen_ : float
        Sum of the weights of the samples of the last fit, or of the stream.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)
        Where X has string column names.
    n_parameters_ : int
        Number of free parameters of the mixture: weights, means and covariances.

    References
    ----------
    Attias (2000), A variational Bayesian framework for graphical models.
    Bishop (2006), Pattern Recognition and Machine Learning, section 10.2.
    Blei and Jordan (2006), Variational inference for Dirichlet process mixtures.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import BayesianGaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [4, 2], [12, 4], [10, 7]])
    >>> model = BayesianGaussianMixture(n_components=2, random_state=42).fit(X)
    >>> model.means_.round(2).tolist()
    [[2.52, 2.3], [8.44, 4.51]]
    >>> model.predict([[0, 0], [9, 3]]).tolist()
    [0, 1]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **IteratedMixture._parameter_constraints,
        "weight_concentration_prior_type": [StrOptions(set(WEIGHT_PRIORS))],
        "weight_concentration_prior": [None, POSITIVE],
        "mean_precision_prior": [None, POSITIVE],
        "mean_prior": [None, "array-like"],
        "degrees_of_freedom_prior": [None, POSITIVE],
        "covariance_prior": [None, "array-like", POSITIVE],
    }

    _counterpart = "BayesianGaussianMixture"

    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float | Literal["auto"] = 1e-6,
        max_iter: int = 100,
        max_time: float | None = None,
        n_init: int = 1,
        init_params: Any = "auto",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: Any = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
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
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.step_sizes = step_sizes
        self.n_jobs = n_jobs

    def _prepare(self, samples: Samples) -> NormalWishartPrior:
        """Return the prior, and keep it as attributes."""
        d = samples.n_features
        mean, covariance = self._locate_prior(samples)
        concentration = self.weight_concentration_prior
        kappa, nu = self.mean_precision_prior, self.degrees_of_freedom_prior
        prior = NormalWishartPrior(
            self.weight_concentration_prior_type,
            1.0 / self.n_components if concentration is None else concentration,
            mean,
            1.0 if kappa is None else kappa,
            d if nu is None else check_degrees_of_freedom(nu, d),
            covariance,
        )
        self._keep_prior(prior)
        return prior

    def _keep_prior(self, prior: NormalWishartPrior) -> None:
        self.weight_concentration_prior_ = prior.weight_concentration
        self.mean_precision_prior_ = prior.mean_precision
        self.mean_prior_ = prior.mean
        self.degrees_of_freedom_prior_ = prior.degrees_of_freedom
        self.covariance_prior_ = prior.covariance[()]

    def _locate_prior(self, samples: Samples) -> tuple[Array, Array]:
        """Return the prior mean and covariance: as given, or those of the samples."""
        d, model = samples.n_features, get_covariance_model(self.covariance_type)
        mean, covariance = self.mean_prior, self.covariance_prior
        if mean is not None:
            mean = check_mean_prior(mean, d)
        if covariance is not None:
            covariance = check_covariance_prior(covariance, model, d)
        if mean is None or covariance is None:
            own_mean, own_covariance = sample_moments(samples, model, count_threads(self.n_jobs))
            mean = own_mean if mean is None else mean
            covariance = own_covariance if covariance is None else covariance
        return mean, covariance

    def _draw_start(self, samples: Samples, setting: Setting) -> Compute:
        options: dict[str, Any] = {
            "n_components": self.n_components,
            "covariance_model": get_covariance_model(self.covariance_type),
            "random_state": setting.random_state,
            "n_threads": setting.n_threads,
        }
        prior: NormalWishartPrior = setting.given
        if not is_given(self.init_params) and self.init_params == "auto":
            return draw_posterior(samples, prior=prior, reg_covar=setting.reg_covar, **options)
        start = initial_statistics(samples, init_params=self.init_params, **options)
        posterior = (
            prior.around(start, samples.total_weight)
            if isinstance(start, MixtureParameters)
            else initial_posterior(start, prior, setting.reg_covar)
        )
        return lambda: posterior

    def _run(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        setting: Setting,
        callback: Callable[[Iteration], object],
    ) -> EMResult[MixtureParameters]:
        return run(
            samples,
            parameters,
            posterior=ExactPosterior(setting.n_threads),
            update=ConjugatePrior(setting.given, setting.reg_covar),
            convergence=LowerBoundChange(self.tol),
            max_iter=self.max_iter,
            lower_bound=setting.lower_bound,
            callback=callback,
        )

    def _batch_update(self, parameters: MixtureParameters) -> ConjugatePrior:
        self._check_shape(parameters)
        return ConjugatePrior(fitted_prior(self), self.reg_covar)

    def _set_result(self, result: EMResult[MixtureParameters]) -> None:
        super()._set_result(result)
        parameters = result.parameters
        assert isinstance(parameters, VariationalParameters)
        weights = parameters.weight_distribution
        self.weight_concentration_ = (
            (weights.taken, weights.left)
            if isinstance(weights, StickBreaking)
            else weights.concentration
        )
        self.mean_precision_ = parameters.mean_precision
        self.degrees_of_freedom_ = parameters.degrees_of_freedom[()]

    def _parameters(self) -> VariationalParameters:
        missing = [name for name in _POSTERIOR if not hasattr(self, name)]
        if missing:
            raise NotFittedError(
                f"This {type(self).__name__} instance is not fitted yet: it has no "
                f"{', '.join(missing)}. Call 'fit'; without it only 'sample' is possible."
            )
        weights, kappa, nu = (getattr(self, name) for name in _POSTERIOR)
        pair = isinstance(weights, tuple)
        concentrations = [
            to_array(part, _POSTERIOR[0]) for part in (weights if pair else [weights])
        ]
        mixture = self._mixture()
        return VariationalParameters(
            mixture.covariance_model,
            mixture.weights,
            mixture.means,
            mixture.covariances,
            mixture.precisions_cholesky,
            StickBreaking(*concentrations) if pair else Dirichlet(*concentrations),
            to_array(kappa, _POSTERIOR[1]),
            to_array(nu, _POSTERIOR[2]),
        )
