"""The EM loop: the only one, for every posterior, update and stop rule."""

import math
from time import perf_counter
from typing import Any

from .._kernels.blas import one_blas_thread
from ..data.samples import Samples
from .acceleration import Acceleration, NoAcceleration
from .convergence import Convergence
from .latent_variable_model import P
from .policies import Policies
from .posteriors.base import Posterior
from .result import Callback, EMResult, Iteration, stops
from .time_limit import time_is_up
from .updates.base import Update


def run(
    samples: Samples,
    parameters: P,
    *,
    posterior: Posterior[P, Any],
    update: Update[P, Any],
    convergence: Convergence,
    max_iter: int,
    acceleration: Acceleration[P, Any] | None = None,
    lower_bound: float = -math.inf,
    callback: Callback | None = None,
) -> EMResult[P]:
    """Alternate E and M steps until convergence or ``max_iter``.

    Parameters
    ----------
    samples : Samples
    parameters : object
        Where to start.
    posterior, update, convergence
        The policies: E step, M step, stop rule.
    max_iter : int
        0 returns the start.
    acceleration : Acceleration, optional
        Where to look next. An iteration that it rejects keeps the previous lower bound. Its
        change is 0.
    lower_bound : float
        Of an earlier run that this one continues.
    callback : callable, optional
        Called with each Iteration. The run ends after the iteration in which it returns True.

    Returns
    -------
    EMResult

    Raises
    ------
    ValueError
        If policies do not go together (checked before the data is touched), or if the samples or
        parameters are so large that the log-likelihood overflows.
    """
    policies = Policies(posterior, update, convergence, acceleration or NoAcceleration())
    policies.check(parameters)
    policies.start(samples, parameters)
    with one_blas_thread():
        return _run(
            samples,
            parameters,
            policies,
            max_iter,
            lower_bound,
            callback,
        )


def _run(
    samples: Samples,
    parameters: P,
    policies: Policies,
    max_iter: int,
    lower_bound: float,
    callback: Callback | None,
) -> EMResult[P]:
    posterior, update, convergence, acceleration = policies
    history: list[Iteration] = []
    collapsed: dict[int, int] = {}
    converged = stopped = out_of_time = False
    point = parameters

    def result() -> EMResult[P]:
        outcome = parameters, converged, lower_bound, list(history), collapsed
        return EMResult(*outcome, stopped, samples.dtype, out_of_time)

    while not (converged or stopped or out_of_time) and len(history) < max_iter:
        start = perf_counter()
        statistics = posterior.summarize(samples, point)
        _check_finite(statistics.lower_bound, len(history) + 1)
        change = 0.0
        if acceleration.accepts(statistics.lower_bound):
            updated = update(statistics, point)
            parameters = updated.parameters
            if updated.collapsed:
                failed = sorted(updated.collapsed)
                collapsed = dict.fromkeys(failed, len(history) + 1) | collapsed
            own_bound = updated.lower_bound
            bound = statistics.lower_bound if own_bound is None else own_bound
            _check_own_bound(bound, len(history) + 1)
            change, lower_bound = bound - lower_bound, bound
            point = acceleration.advance(statistics, point, parameters)
            converged = posterior.settled and convergence(change, acceleration.remaining())
        else:
            point = acceleration.retreat()
        history.append(Iteration(len(history) + 1, lower_bound, change, perf_counter() - start))
        stopped = stops(callback, history[-1], result)
        out_of_time = not (converged or stopped) and time_is_up()
    return result()


def _check_own_bound(bound: float, number: int) -> None:
    if not math.isfinite(bound):
        raise ValueError(
            f"The lower bound in iteration {number} is {bound}: sample_weight, or a parameter of "
            "the prior, is too large or too small for float64. Scale the weights."
        )


def is_finite(lower_bound: float) -> bool:
    """Return whether a mean log-likelihood is a number and did not overflow."""
    # kernels write -1e300 as the log-density of a sample whose distances overflow
    return -1e280 < lower_bound < math.inf


def _check_finite(lower_bound: float, number: int) -> None:
    if not is_finite(lower_bound):
        raise ValueError(
            f"The mean log-likelihood in iteration {number} is {lower_bound}: the input or the "
            "parameters are too large for float64. Scale the input data."
        )
