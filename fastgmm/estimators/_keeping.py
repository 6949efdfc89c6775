"""The checkpoint of an estimator's fit: what tells one fit from another."""

from contextlib import AbstractContextManager
from typing import Any

from numpy.random import RandomState
from sklearn.utils import check_random_state

from ..data.samples import Samples
from ..em.checkpoints.current import CheckpointLike, begin_stream, checkpointing, is_kept

__all__ = ["CheckpointLike", "is_kept", "keeping", "stream"]

# These change no result, or only when a fit ends that can go on.
_LEFT_OUT = ("max_time", "verbose", "verbose_interval", "n_jobs")


def keeping(
    estimator: Any, checkpoint: CheckpointLike | None, samples: Samples
) -> AbstractContextManager[None]:
    """Keep the fit in this block in a checkpoint, where there is one."""
    return checkpointing(checkpoint, samples, lambda: _settings(estimator))


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
