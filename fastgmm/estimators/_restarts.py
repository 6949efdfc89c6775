"""Several starts of one fit, at once where threads allow, with a record of each."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from itertools import count
from time import perf_counter, sleep

from sklearn import config_context, get_config

from ..data.samples import Samples
from ..em.checkpoints.current import is_kept
from ..em.result import EMResult, Iteration, Restart
from ..em.time_limit import time_is_up
from ..init.seeding import one_thread
from ..model.covariance_model import CollapseError
from ..model.parameters import MixtureParameters
from ._progress import Report

_pools = count()
_SECONDS_TO_START = 10.0

_Result = EMResult[MixtureParameters]
Outcome = _Result | CollapseError | None
_Stop = Callable[[Iteration], bool]
#: Returns starting parameters, or raises CollapseError.
Compute = Callable[[], MixtureParameters]
Run = Callable[[MixtureParameters, _Stop], _Result]


def draw(attempt: Callable[[], Compute]) -> Compute:
    """Draw a start; where that fails, return a function that raises the error."""
    try:
        return attempt()
    except CollapseError as error:
        failure = error

    def fail() -> MixtureParameters:
        raise failure

    return fail


def count_workers(n_starts: int, n_threads: int, samples: Samples, is_watched: bool) -> int:
    """Return how many starts run at a time.

    Who looks on sees one start after the other, a checkpoint keeps one run at a time, and a source
    is read by one.

    Parameters
    ----------
    n_starts, n_threads : int
    samples : Samples
    is_watched : bool
        By a callback, or as text.
    """
    in_turn = is_watched or is_kept() or not samples.in_memory
    return 1 if in_turn else min(n_starts, n_threads)


def run_starts(
    next_start: Callable[[], tuple[Compute, Run]], n_starts: int, n_workers: int, report: Report
) -> list[Outcome]:
    """Run all starts; they are drawn in order, so that the number of workers changes no bit.

    Parameters
    ----------
    next_start : callable
        Draws a start, and returns what computes its parameters and what runs EM from these.
    n_starts, n_workers : int
        With one worker, no start follows one that the user's callback stops.
    report : Report
        On the starts, where there is one worker.

    Returns
    -------
    list
        None for a start that the limit of time left no time for.
    """
    if n_workers > 1:
        return _run_at_once(next_start, n_starts, n_workers)
    outcomes: list[Outcome] = []
    for number in range(n_starts):
        if any(isinstance(outcome, EMResult) for outcome in outcomes) and time_is_up():
            outcomes.append(None)
            break
        report.begin(number)
        compute, run = next_start()
        try:
            parameters = compute()
        except CollapseError as error:
            outcomes.append(error)
            continue
        del compute  # with the rows that it reads
        result = run(parameters, report.iteration)
        report.end(result)
        outcomes.append(result)
        if result.stopped:
            break
    return outcomes


def _run_at_once(
    next_start: Callable[[], tuple[Compute, Run]], n_starts: int, n_workers: int
) -> list[Outcome]:
    interrupted = threading.Event()
    # a start that is drawn holds the rows that it reads: no more are drawn than can run
    free = threading.Semaphore(n_workers)
    config = get_config()  # threads have one of their own

    def work(number: int, start: tuple[Compute, Run]) -> Outcome:
        try:
            return follow(number, *start)
        finally:
            free.release()

    def follow(number: int, compute: Compute, run: Run) -> Outcome:
        if number and time_is_up():
            return None
        with config_context(**config):
            try:
                parameters = compute()
            except CollapseError as error:
                return error
            return run(parameters, lambda _: interrupted.is_set())

    def next_free_start() -> tuple[Compute, Run]:
        free.acquire()
        return next_start()

    # a limit of BLAS that a worker sets and removes would else be removed while others compute;
    # the limit ends when all workers have
    name = f"fastgmm-starts-{next(_pools)}"
    with one_thread(), ThreadPoolExecutor(n_workers, thread_name_prefix=name) as pool:
        try:
            futures = [
                # threads do not inherit the limit of time
                pool.submit(copy_context().run, work, number, next_free_start())
                for number in range(n_starts)
            ]
            return [future.result() for future in futures]
        except BaseException:
            interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            _join(name)
            raise


def _join(prefix: str) -> None:
    """Wait for the threads of a pool; it does not know one whose start an interrupt cut short."""
    deadline = perf_counter() + _SECONDS_TO_START
    for thread in threading.enumerate():
        while thread.name.startswith(prefix) and perf_counter() < deadline:
            try:
                thread.join()
                break
            except RuntimeError:  # it has not started yet
                sleep(0.001)


def best_of(outcomes: Sequence[Outcome]) -> tuple[_Result, list[Restart]]:
    """Return the first result of the largest lower bound, and a record of all.

    Raises
    ------
    CollapseError
        If every start failed.
    """
    best: _Result | None = None
    failure: CollapseError | None = None
    out_of_time = False
    for outcome in outcomes:
        if isinstance(outcome, CollapseError):
            failure = outcome
            continue
        out_of_time |= outcome is None or outcome.out_of_time
        if outcome is not None and (best is None or outcome.lower_bound > best.lower_bound):
            best = outcome
    if best is None:
        assert failure is not None
        raise failure
    restarts = [_record(outcome, outcome is best) for outcome in outcomes if outcome is not None]
    return replace(best, out_of_time=out_of_time), restarts


def _record(outcome: _Result | CollapseError, chosen: bool) -> Restart:
    if isinstance(outcome, CollapseError):
        return Restart(float("-inf"), 0, False, [], False, str(outcome))
    bound, converged = outcome.lower_bound, outcome.converged
    return Restart(bound, outcome.n_iter, converged, outcome.history, chosen)
