"""Several starts of one fit, at once where threads allow, with a record of each."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sklearn import config_context, get_config

from ..em.result import EMResult, Iteration, Restart
from ..init.seeding import one_thread
from ..model.covariance_model import CollapseError
from ..model.parameters import MixtureParameters
from ._progress import Verbose

_Result = EMResult[MixtureParameters]
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


def run_starts(
    next_start: Callable[[], tuple[Compute, Run]],
    n_starts: int,
    n_workers: int,
    new_report: Callable[[], Verbose],
) -> list[_Result | CollapseError]:
    """Run all starts; they are drawn in order, so that the number of workers changes no bit.

    Parameters
    ----------
    next_start : callable
        Draws a start, and returns what computes its parameters and what runs EM from these.
    n_starts, n_workers : int
        With one worker, no start follows one that the user's callback stops.
    new_report : callable
        Returns what reports on a start, where there is one worker.

    Returns
    -------
    list of EMResult or CollapseError
    """
    if n_workers > 1:
        return _run_at_once(next_start, n_starts, n_workers)
    outcomes: list[_Result | CollapseError] = []
    for number in range(n_starts):
        report = new_report()
        report.begin(number)
        compute, run = next_start()
        try:
            parameters = compute()
        except CollapseError as error:
            outcomes.append(error)
            continue
        result = run(parameters, report.iteration)
        report.end(result)
        outcomes.append(result)
        if result.stopped:
            break
    return outcomes


def _run_at_once(
    next_start: Callable[[], tuple[Compute, Run]], n_starts: int, n_workers: int
) -> list[_Result | CollapseError]:
    interrupted = threading.Event()
    config = get_config()  # threads have one of their own

    def work(compute: Compute, run: Run) -> _Result | CollapseError:
        with config_context(**config):
            try:
                parameters = compute()
            except CollapseError as error:
                return error
            return run(parameters, lambda _: interrupted.is_set())

    # a limit of BLAS that a worker sets and removes would else be removed while others compute;
    # the limit ends when all workers have
    with one_thread(), ThreadPoolExecutor(n_workers) as pool:
        try:
            futures = [pool.submit(work, *next_start()) for _ in range(n_starts)]
            return [future.result() for future in futures]
        except BaseException:
            interrupted.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def best_of(outcomes: list[_Result | CollapseError]) -> tuple[_Result, list[Restart]]:
    """Return the first result of the largest lower bound, and a record of all.

    Raises
    ------
    CollapseError
        If every start failed.
    """
    best: _Result | None = None
    for outcome in outcomes:
        if isinstance(outcome, EMResult) and (
            best is None or outcome.lower_bound > best.lower_bound
        ):
            best = outcome
    if best is None:
        failure = outcomes[-1]
        assert isinstance(failure, CollapseError)
        raise failure
    return best, [_record(outcome, outcome is best) for outcome in outcomes]


def _record(outcome: _Result | CollapseError, chosen: bool) -> Restart:
    if isinstance(outcome, CollapseError):
        return Restart(float("-inf"), 0, False, [], False, str(outcome))
    bound, converged = outcome.lower_bound, outcome.converged
    return Restart(bound, outcome.n_iter, converged, outcome.history, chosen)
