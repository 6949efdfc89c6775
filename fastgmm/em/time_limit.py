"""A limit on the time of a fit, which all runs of EM inside the fit keep."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from numbers import Real
from time import perf_counter
from typing import Any

_deadline = ContextVar("deadline", default=math.inf)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Limit the runs of EM in this block, which includes those that choose starting points.

    A block inside another has its own limit.

    Parameters
    ----------
    seconds : float or None
        From now on; None: no limit.
    """
    token = _deadline.set(math.inf if seconds is None else perf_counter() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def time_is_up() -> bool:
    """Return whether the limit is passed."""
    deadline = _deadline.get()
    return deadline < math.inf and perf_counter() >= deadline


def check_max_time(value: Any) -> float | None:
    """Return a limit in seconds, or None.

    Raises
    ------
    TypeError
        If the value is no number.
    ValueError
        If it is not positive.
    """
    if value is None:
        return None
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"max_time should be a number of seconds or None, got {value!r}.")
    if not float(value) > 0:
        raise ValueError(f"max_time should be positive, got {value}.")
    return float(value)
