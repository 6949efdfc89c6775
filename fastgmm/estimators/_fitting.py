"""The common part of estimators that run EM: starts, warm starts, reports and warnings."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from .._kernels.threads import count_threads
from ..data.samples import Samples
from ..em.result import Callback, EMResult, Iteration, Restart
from ..em.time_limit import time_limit
from ..init import INIT_PARAMS, is_given
from ..model.covariance import COVARIANCE_MODELS, get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.regularization import added_to_samples
from ..model.validation import check_enough, check_magnitude, check_observed, check_warm_start
from ._array_api import like, put_attributes_like
from ._exchange import ScikitLearnExchange
from ._inputs import check_samples, unchanged_on_error
from ._keeping import CheckpointLike, fit_kept, stream
from ._memory import check_memory
from ._posteriors import is_truncated, predictions
from ._progress import Verbose
from ._restarts import Compute, Run, best_of, count_workers, draw, run_starts
from ._streams import StreamedMixture
from ._warnings import collapses, faults, warn_about

POSITIVE = Interval(Real, 0.0, None, closed="neither")
_Self = TypeVar("_Self", bound="IteratedMixture")


@dataclass(frozen=True)
class Setting:
    """Values that all starts of one call of ``fit`` share.

    Attributes
    ----------
    given : Any
        The estimator's own checked parameters: starting values, or a prior.
    random_state : RandomState
    reg_covar : float or (d,) array
        What is added to the variance of each feature.
    n_threads : int
        For each start.
    lower_bound : float
        Lower bound of the fit that this one continues; -inf if there is none.
    """

    given: Any
    random_state: np.random.RandomState
    reg_covar: float | Array
    n_threads: int
    lower_bound: float = -math.inf


class IteratedMixture(ScikitLearnExchange, StreamedMixture):
    """A mixture that is fitted by EM or a variant of it, from one start or several.

    Subclasses define the starting point (``_draw_start``) and the run from it (``_run``).
    """

    n_components: int
    tol: float
    reg_covar: float | Literal["auto"]
    max_iter: int
    n_init: int
    init_params: Any
    warm_start: bool
    verbose: int
    verbose_interval: int
    restarts_: list[Restart]

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCE_MODELS))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "max_time": [POSITIVE, None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions(set(INIT_PARAMS)), "array-like", callable],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        **StreamedMixture._parameter_constraints,
    }

    def fit(
        self: _Self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        callback: Callback | None = None,
        checkpoint: CheckpointLike | None = None,
    ) -> _Self:
        """Estimate the parameters.

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
        object
            The estimator itself.

        Raises
        ------
        ValueError
            If X, a weight or a parameter is not valid, if the starting covariances collapse, or if
            ``checkpoint`` is damaged, belongs to another fit or cannot be written.

        Warns
        -----
        ConvergenceWarning
            If the best start did not converge or was stopped by the callback, if ``max_time`` ended
            the fit, if a component's covariance collapsed or has too few samples, or if
            ``reg_covar`` makes up more than 1 % of a variance.
        """
        self._fit(X, sample_weight, callback, checkpoint)
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
            -1 for a row of weight 0 that holds NaN, infinity or a number above 1e100.

        Raises
        ------
        ValueError
            As ``fit``.

        Warns
        -----
        ConvergenceWarning
            As ``fit``.
        """
        samples = self._fit(X, sample_weight)
        parameters = self._parameters()
        find = predictions(self, samples, parameters).best_components
        labels = find(samples, parameters, count_threads(self.n_jobs))
        labels = samples.in_all_rows(labels)
        return like(X, labels)

    def _fit(
        self,
        X: Any,
        sample_weight: Any,
        callback: Callback | None = None,
        checkpoint: CheckpointLike | None = None,
    ) -> Samples:
        self._validate_params()
        with unchanged_on_error(self), numpys_rules(), time_limit(self.max_time):
            samples = self._samples_to_fit(X, sample_weight)
            check_magnitude(samples)
            result, reg_covar = self._fit_samples(X, samples, callback, checkpoint)
        warn_about(self, result, samples, reg_covar)
        return samples

    def _fit_samples(
        self,
        X: Any,
        samples: Samples,
        callback: Callback | None = None,
        checkpoint: CheckpointLike | None = None,
    ) -> tuple[EMResult[MixtureParameters], float | Array]:
        """Fit checked samples, in arrays like X; return the result, and what was added."""
        check_enough(samples, self.n_components)
        check_observed(samples)
        reg_covar = added_to_samples(self.reg_covar, samples, count_threads(self.n_jobs))
        arguments = self, X, samples, callback, checkpoint
        result = fit_kept(*arguments, partial(self._best_run, samples, reg_covar))
        return result, reg_covar

    def _samples_to_fit(self, X: Any, sample_weight: Any) -> Samples:
        check_memory(
            X,
            self.n_components,
            self.covariance_type,
            acceleration=getattr(self, "acceleration", None),
            is_truncated=is_truncated(self),
        )
        return check_samples(self, X, sample_weight, reset=True, min_samples=2)

    def _fit_first(self, X: Any, samples: Samples) -> Iterable[str]:
        return faults(self, *self._fit_samples(X, samples), samples)

    def _best_run(
        self,
        samples: Samples,
        reg_covar: float | Array,
        callback: Callback | None,
    ) -> tuple[EMResult[MixtureParameters], list[Restart]]:
        """Run EM from each start; return the run with the largest lower bound, and a record."""
        given = self._prepare(samples)
        random_state = stream(self.random_state)
        warm = self.warm_start and hasattr(self, "converged_")
        if warm:
            model = get_covariance_model(self.covariance_type)
            shape = self.n_components, samples.n_features
            check_warm_start(model, self.means_, self.covariances_, *shape)
        is_one = warm or (is_given(self.init_params) and not callable(self.init_params))
        n_starts = 1 if is_one else self.n_init
        n_threads = count_threads(self.n_jobs)
        is_watched = callback is not None or bool(self.verbose)
        n_workers = count_workers(n_starts, n_threads, samples, is_watched)
        lower_bound = self.lower_bound_ if warm else -math.inf
        setting = Setting(given, random_state, reg_covar, n_threads // n_workers, lower_bound)

        def next_start() -> tuple[Compute, Run]:
            if warm:
                compute: Compute = self._parameters
            else:
                compute = draw(lambda: self._draw_start(samples, setting))
            # what a run draws is no part of what the next start draws
            own = (
                setting if n_starts == 1 else replace(setting, random_state=deepcopy(random_state))
            )
            return compute, lambda parameters, stop: self._run(samples, parameters, own, stop)

        verbose = Verbose(self, samples.n_samples, callback)
        try:
            return best_of(run_starts(next_start, n_starts, n_workers, verbose))
        finally:
            verbose.close()

    @abstractmethod
    def _prepare(self, samples: Samples) -> Any:
        """Check the estimator's own parameters and return those that its starts need."""

    @abstractmethod
    def _draw_start(self, samples: Samples, setting: Setting) -> Compute:
        """Draw a start, and return what computes it; raise CollapseError if it collapses."""

    @abstractmethod
    def _run(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        setting: Setting,
        callback: Callable[[Iteration], object],
    ) -> EMResult[MixtureParameters]:
        """Run EM from given parameters."""

    def _fitted(
        self: _Self,
        result: EMResult[MixtureParameters],
        X: Any,
        samples: Samples,
        restarts: list[Restart],
    ) -> _Self:
        """Return the estimator with a result, in arrays like X."""
        self._forget_stream()
        self.restarts_ = restarts
        self.n_samples_seen_ = samples.total_weight
        self._set_result_like(X, result)
        return self

    def _check_streamed(self, is_fitted: bool) -> None:
        if not is_fitted and is_given(self.init_params) and not callable(self.init_params):
            raise ValueError(
                "init_params should be a name or a function for partial_fit, which does not start "
                "from given samples, but got an array."
            )

    def _n_free(self, n_features: int) -> int:
        K = self.n_components
        model = get_covariance_model(self.covariance_type)
        return K - 1 + K * n_features + model.n_parameters(K, n_features)

    def _check_shape(self, parameters: MixtureParameters) -> None:
        """Raise ValueError where the fitted parameters are those of another model."""
        model, shape = get_covariance_model(self.covariance_type), parameters.means.shape
        wanted = self.n_components, shape[1]
        check_warm_start(model, self.means_, self.covariances_, *wanted, "partial_fit")

    def _set_batch(self, X: Any, samples: Samples, result: EMResult[MixtureParameters]) -> None:
        self._set_result_like(X, result)

    def _collapses(self, components: set[int]) -> Iterable[str]:
        return collapses(self, components)

    def _set_result_like(self, X: Any, result: EMResult[MixtureParameters]) -> None:
        """Set the attributes of a result, as arrays of the library and on the device of X."""
        self._set_result(result)
        put_attributes_like(self, X)
        self._remember()

    def _set_result(self, result: EMResult[MixtureParameters]) -> None:
        parameters = result.parameters
        self.weights_ = parameters.weights
        self.means_ = parameters.means
        # [()]: a number where one variance serves all
        self.covariances_ = parameters.covariances[()]
        self.precisions_cholesky_ = parameters.precisions_cholesky[()]
        self.precisions_ = parameters.precisions[()]
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds
        self.history_ = result.history
        self.collapsed_ = result.collapsed
        self._samples_dtype = result.dtype
        self._remember()
