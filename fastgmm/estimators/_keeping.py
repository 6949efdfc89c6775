"""The checkpoint of an estimator's fit: what tells one fit from another."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import copy
from typing import Any

from numpy.random import RandomState
from sklearn.utils import check_random_state

from ..data.samples import Samples
from ..em.checkpoints.current import CheckpointLike, begin_stream, checkpointing
from ..em.result import Callback, EMResult, Restart, passing_on
from ..model.parameters import MixtureParameters
from ._restarts import best_of

__all__ = ["CheckpointLike", "fit_kept", "stream"]

Result = EMResult[MixtureParameters]

# These change no result, or only when a fit ends that can go on.
_LEFT_OUT = ("max_time", "verbose", "verbose_interval", "n_jobs")


def keeping(
    estimator: Any, checkpoint: CheckpointLike | None, samples: Samples
) -> AbstractContextManager[None]:
    """Keep the fit in this block in a checkpoint, where there is one."""
    return checkpointing(checkpoint, samples, lambda: _settings(estimator))


def fit_kept(
    estimator: Any,
    X: Any,
    samples: Samples,
    callback: Callback | None,
    checkpoint: CheckpointLike | None,
    best_run: Callable[[Callback | None], tuple[Result, list[Restart]]],
) -> Result:
    """Set the result of the best run on an estimator, and return it.

    Parameters
    ----------
    estimator : estimator
    X : array-like
        As the user handed it in.
    samples : Samples
    callback : callable or None
        Of the user: the ``partial`` result that it sees is an estimator.
    checkpoint : str, path, Checkpoint or None
    best_run : callable
        Takes a callback; returns the best run, and a record of all.
    """

    def fitted(result: Result) -> Any:
        return copy(estimator)._fitted(result, X, samples, best_of([result])[1])

    with keeping(estimator, checkpoint, samples):
        result, restarts = best_run(passing_on(callback, fitted))
    estimator._fitted(result, X, samples, restarts)
    return result


def stream(random_state: Any) -> RandomState:
    """Return the random numbers of a fit, from where they begin or began before."""
    checked: RandomState = check_random_state(random_state)
    begin_stream(checked)
    return checked


def _settings(estimator: Any) -> dict[str, Any]:
    settings = {"estimator": type(estimator).__name__, **estimator.get_params(deep=False)}
    for name in _LEFT_OUT:
        settings.pop(name, None)
    if isinstance(settings["random_state"], RandomState):
        settings["random_state"] = RandomState  # whose state the checkpoint keeps
    if settings.get("warm_start") and hasattr(estimator, "converged_"):
        settings["the mixture of warm_start"] = estimator._parameters()
    return settings
