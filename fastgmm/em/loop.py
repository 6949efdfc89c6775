"""The EM loop: the only one, for every posterior, update and stop rule."""

import math
from time import perf_counter
from typing import Any

from .._kernels.blas import one_blas_thread
from ..data.samples import Samples
from .acceleration import Acceleration, NoAcceleration
from .checkpoints.current import begin_run
from .checkpoints.journal import RunRecord
from .convergence import Convergence
from .latent_variable_model import P
from .policies import Policies
from .posteriors.base import Posterior
from .result import Callback, EMResult, Iteration, stops
from .run_state import RunState
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
    state = RunState(parameters, parameters, lower_bound)
    record = begin_run(samples, policies, state)
    with one_blas_thread():
        return _run(samples, state, policies, max_iter, callback, record)


def _run(
    samples: Samples,
    state: RunState[P],
    policies: Policies,
    max_iter: int,
    callback: Callback | None,
    record: RunRecord | None,
) -> EMResult[P]:
    stopped = out_of_time = False

    def result() -> EMResult[P]:
        outcome = state.parameters, state.converged, state.lower_bound, list(state.history)
        ended = state.collapsed, stopped, samples.dtype, out_of_time
        return EMResult(*outcome, *ended, policies.posterior.n_reseeded)

    if state.history:  # the run goes on: whether it stops there was not kept
        stopped = stops(callback, state.history[-1], result)
    while not (state.converged or stopped or out_of_time) and len(state.history) < max_iter:
        _iterate(samples, state, policies)
        if record is not None:
            record.keep()
        stopped = stops(callback, state.history[-1], result)
        out_of_time = not (state.converged or stopped) and time_is_up()
        if record is not None:
            record.write_if_due()
    return result()


def _iterate(samples: Samples, state: RunState[P], policies: Policies) -> None:
    """Take one iteration."""
    posterior, update, convergence, acceleration = policies
    start, number = perf_counter(), len(state.history) + 1
    statistics = posterior.summarize(samples, state.point)
    _check_finite(statistics.lower_bound, number)
    change = 0.0
    if acceleration.accepts(statistics.lower_bound):
        updated = update(statistics, state.point)
        state.parameters = updated.parameters
        if updated.collapsed:
            state.collapsed = dict.fromkeys(sorted(updated.collapsed), number) | state.collapsed
        own_bound = updated.lower_bound
        bound = statistics.lower_bound if own_bound is None else own_bound
        _check_own_bound(bound, number)
        change, state.lower_bound = bound - state.lower_bound, bound
        state.point = acceleration.advance(statistics, state.point, state.parameters)
        state.converged = posterior.settled and convergence(change, acceleration.remaining())
    else:
        state.point = acceleration.retreat()
    seconds = perf_counter() - start
    state.history.append(Iteration(number, state.lower_bound, change, seconds))


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
