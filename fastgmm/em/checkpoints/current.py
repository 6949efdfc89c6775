"""The checkpoint of the fit that is under way, which all its runs of EM find."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from numpy.random import RandomState

from ...data.samples import Samples
from ..policies import Policies
from ..run_state import RunState
from ..time_limit import time_is_up
from .fingerprint import describe_fit
from .journal import Journal, RunRecord
from .settings import Checkpoint, check_checkpoint

#: What ``checkpoint=`` takes.
CheckpointLike = str | os.PathLike[str] | Checkpoint

_journal: ContextVar[Journal | None] = ContextVar("journal", default=None)


@contextmanager
def checkpointing(
    checkpoint: CheckpointLike | None, samples: Samples, settings: Callable[[], dict[str, Any]]
) -> Iterator[None]:
    """Keep the runs of EM on these samples in this block; write what is new where it ends.

    A block inside another has its own checkpoint, or none.

    Parameters
    ----------
    checkpoint : str, path, Checkpoint or None
    samples : Samples
    settings : callable
        Returns what the user handed in beside the samples, by name.

    Raises
    ------
    TypeError
        If ``checkpoint`` is none of these.
    ValueError, OSError
        As `Journal`.
    """
    journal = None
    if checkpoint is not None:
        journal = Journal(check_checkpoint(checkpoint), samples, describe_fit(samples, settings()))
    token = _journal.set(journal)
    try:
        yield
    finally:
        _journal.reset(token)
        if journal is not None:
            journal.write()


def is_kept() -> bool:
    """Return whether the fit under way has a checkpoint."""
    return _journal.get() is not None


def begin_stream(random_state: RandomState) -> None:
    """Let the random numbers of a fit that goes on begin where they began before."""
    journal = _journal.get()
    if journal is not None:
        journal.begin_stream(random_state)


def begin_run(samples: Samples, policies: Policies, state: RunState[Any]) -> RunRecord | None:
    """Return the record of a run, which goes on where it stood; None if it is not kept.

    Raises
    ------
    TypeError, ValueError
        As `Journal.begin_run`.
    """
    journal = _journal.get()
    if journal is None or journal.samples is not samples:
        return None
    # after the limit of time, starting points may be others than in a whole fit
    return journal.begin_run(policies, state, may_keep=not time_is_up())
