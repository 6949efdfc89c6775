r"""Maximum likelihood by gradient ascent: L-BFGS instead of EM steps."""

import math
from time import perf_counter
from typing import Any

import numpy as np

from .._kernels.blas import one_blas_thread
from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.checks import check_samples
from ..data.samples import Samples
from ..model.covariance_model import CollapseError
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from .coordinates import EMCoordinates
from .loop import is_finite
from .mixture_result import MixtureResult
from .posteriors.exact import ExactPosterior
from .result import Callback, Iteration, stops
from .schedules import check_not_negative

# How many pairs of differences L-BFGS keeps.
_MEMORY = 20
# Largest change of a log-weight, a mean in standard deviations or a log standard deviation, before
# a search is restarted.
_LARGEST_CHANGE = 1.0
# Smallest weight of a component in the scale of its coordinates.
_SMALLEST_WEIGHT = 1e-6


@numpys_rules()
def gradient_ascent(
    X: Any,
    parameters: MixtureParameters,
    *,
    sample_weight: Any = None,
    tol: float = 1e-3,
    max_iter: int = 100,
    n_jobs: int | None = None,
    callback: Callback | None = None,
) -> MixtureResult:
    r"""Maximise the likelihood by L-BFGS, from given parameters.

    .. math:: \max_\theta \frac{1}{\sum_i s_i} \sum_i s_i \log p(x_i \mid \theta)

    Value and gradient come from one pass over X, the same as in an E step. In the coordinates of a
    search, the Fisher information of the complete data is the identity at the start of the search.
    This scales the search as EM scales its steps. A search is restarted about the point that it
    reached when it has converged or left the neighbourhood of its start: a change of 1 in a
    log-weight, in a mean in standard deviations or in a log standard deviation. Nothing is added to
    the covariances.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        float64 and float32 arrays are read in place, in any memory order.
    parameters : MixtureParameters
        Where to start.
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative; each counts as that many copies of its sample.
    tol : float, default=1e-3
        In nats per unit of weight. A search has converged when an iteration gains less than
        ``tol``, and half the squared gradient (the gain of a step of EM) is less than ``tol`` too.
    max_iter : int, default=100
        Largest number of iterations of L-BFGS, each of one pass or a few; 0 returns the start.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.
    callback : callable, optional
        Called with an Iteration after each iteration, whose `Iteration.partial` is the result so
        far. If it returns True, the ascent ends there.

    Returns
    -------
    MixtureResult
        ``lower_bound``, and those of ``history``, are the mean log-likelihood of the parameters
        that were reached. ``converged`` is False if no step raises the likelihood although the
        gradient is not 0, as on the way to a singular covariance.

    Raises
    ------
    ValueError
        If X, a weight or ``max_iter`` is not valid, or if the log-likelihood of the start
        overflows.

    References
    ----------
    Liu and Nocedal (1989), On the limited memory BFGS method for large scale optimization,
    Mathematical Programming 45. Xu and Jordan (1996), On convergence properties of the EM algorithm
    for Gaussian mixtures, Neural Computation 8.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> X = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> start = em.MixtureParameters.from_covariances(
    ...     "spherical", np.array([0.5, 0.5]), np.array([[0.0], [1.0]]), np.ones(2)
    ... )
    >>> em.gradient_ascent(X, start).parameters.means.round(3).tolist()
    [[0.05], [5.05]]
    """
    max_iter = check_not_negative(max_iter, "max_iter")
    samples = check_samples(X, sample_weight, n_features=parameters.n_features)
    # a weight of 0 stays 0: its logarithm is the only one that is not finite
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _Ascent(samples, n_jobs, tol, max_iter, callback).run(parameters)


class _Ascent:
    """A sequence of searches, and their results."""

    def __init__(
        self,
        samples: Samples,
        n_jobs: int | None,
        tol: float,
        max_iter: int,
        callback: Callback | None,
    ) -> None:
        self.samples = samples
        self.posterior = ExactPosterior(n_jobs)
        self.tol = tol
        self.max_iter = max_iter
        self.callback = callback
        self.history: list[Iteration] = []
        self.stopped = False

    def run(self, parameters: MixtureParameters) -> MixtureResult:
        """Search about the start, then about each point reached, until a search gains nothing."""
        search = self._begin(parameters, self.posterior.summarize(self.samples, parameters))
        converged, confirmed, gain = False, False, math.inf
        while gain > 0.0 and not (confirmed or self.stopped) and len(self.history) < self.max_iter:
            if self.history:
                search = self._begin(search.best, search.statistics)
            before, again = search.lower_bound, converged
            converged = self._climb(search)
            gain = search.lower_bound - before
            confirmed = converged and again and gain < self.tol
        return self._result(search, converged)

    def _result(self, search: "_Search", converged: bool) -> MixtureResult:
        return MixtureResult(
            search.best,
            converged,
            search.lower_bound,
            list(self.history),
            stopped=self.stopped,
            dtype=self.samples.dtype,
        )

    def _begin(self, parameters: MixtureParameters, statistics: SufficientStatistics) -> "_Search":
        return _Search(self.posterior, self.samples, parameters, statistics)

    def _climb(self, search: "_Search") -> bool:
        """Run L-BFGS; return whether it converged."""
        from scipy.optimize import minimize

        converged, clock, last = False, perf_counter(), search.lower_bound

        def report(_: Array) -> None:
            nonlocal converged, clock, last
            change = search.lower_bound - last
            now, last = perf_counter(), search.lower_bound
            self.history.append(Iteration(len(self.history) + 1, last, change, now - clock))
            clock = now
            converged = change < self.tol and search.expected_gain < self.tol
            self.stopped = stops(
                self.callback, self.history[-1], lambda: self._result(search, converged)
            )
            if converged or self.stopped or search.distance > _LARGEST_CHANGE:
                raise StopIteration

        options = {
            "maxiter": self.max_iter - len(self.history),
            "maxfun": 100 * self.max_iter,
            "maxcor": _MEMORY,
            "ftol": 0.0,
            "gtol": 0.0,
        }
        start = np.zeros(search.n_coordinates)
        minimize(search, start, jac=True, method="L-BFGS-B", callback=report, options=options)
        return converged or search.expected_gain < self.tol


class _Search:
    """The negative mean log-likelihood and its gradient in coordinates, with the best point seen.

    Some points are no mixture, or their log-likelihood overflows. There the value is replaced by a
    quadratic about the best point, made of the information of the complete data. It is finite,
    larger than the value at the best point, and its gradient leads back.
    """

    def __init__(
        self,
        posterior: ExactPosterior,
        samples: Samples,
        parameters: MixtureParameters,
        statistics: SufficientStatistics,
    ) -> None:
        self._posterior = posterior
        self._samples = samples
        if not is_finite(statistics.lower_bound):
            raise ValueError(
                f"The mean log-likelihood of the start is {statistics.lower_bound}: the input or "
                "the parameters are too large for float64. Scale the input data."
            )
        nk = statistics.moments.nk
        self._coordinates = EMCoordinates(parameters, np.maximum(nk, _SMALLEST_WEIGHT * nk.sum()))
        gradient = self._coordinates.gradient(statistics, parameters) / statistics.weight
        self.n_coordinates = gradient.size
        self._keep(np.zeros(gradient.size), parameters, statistics, gradient)

    def _keep(
        self,
        point: Array,
        parameters: MixtureParameters,
        statistics: SufficientStatistics,
        gradient: Array,
    ) -> None:
        self._point, self._gradient = point, gradient
        self.best, self.statistics = parameters, statistics

    @property
    def lower_bound(self) -> float:
        """Mean log-likelihood of the best point."""
        return self.statistics.lower_bound

    @property
    def distance(self) -> float:
        """Largest change from the reference of the coordinates to the best point."""
        return self._coordinates.largest_change(self._point)

    @property
    def expected_gain(self) -> float:
        """Gain of a step of EM from the best point, to second order."""
        return 0.5 * float(self._gradient @ self._gradient)

    def __call__(self, point: Array) -> tuple[float, Array]:
        """Return what is to be minimised, and its gradient."""
        if np.array_equal(point, self._point):
            return -self.lower_bound, -self._gradient
        value, gradient = self._evaluate(point.copy())
        if is_finite(value) and np.isfinite(gradient).all():
            return -value, -gradient
        away = point - self._point
        return 0.5 * float(away @ away) - self.lower_bound, away

    def _evaluate(self, point: Array) -> tuple[float, Array]:
        try:
            parameters = self._coordinates.parameters(point)
        except CollapseError:
            return -math.inf, point
        statistics = self._posterior.summarize(self._samples, parameters)
        value = statistics.lower_bound
        gradient = self._coordinates.gradient(statistics, parameters) / statistics.weight
        if is_finite(value) and value > self.lower_bound:
            self._keep(point, parameters, statistics, gradient)
        return value, gradient
