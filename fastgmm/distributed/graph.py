"""Tasks of Dask for all parts of some samples."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from ..em.parts import merge
from .partitions import Delayed

# So many parts, or sums of parts, are added by one task. A power of 2, for the tree of `merge`.
_FAN_IN = 8


def each(
    function: Callable[..., Any],
    parts: Sequence[Any],
    kind: str,
    shared: Any = None,
    own: Sequence[Any] | None = None,
) -> list[Delayed]:
    """Return a task for each part: of what all share, the part, and what is its own.

    Parameters
    ----------
    function : callable
    parts : list of futures or tasks
    kind : str
        The beginning of the keys.
    shared : task or future, optional
    own : list, optional
        One for each part.

    Returns
    -------
    list of Delayed
    """
    from dask import delayed

    task, name = delayed(function), new_name(kind)
    before = () if shared is None else (shared,)
    after = [()] * len(parts) if own is None else [(value,) for value in own]
    return [
        task(*before, part, *after[i], dask_key_name=f"{name}-{i}") for i, part in enumerate(parts)
    ]


def merged(sums: list[Delayed]) -> Delayed:
    """Return the task of their sum, by a tree: that of `em.merge`.

    Parameters
    ----------
    sums : list of Delayed

    Returns
    -------
    Delayed
    """
    while len(sums) > 1:
        starts = range(0, len(sums), _FAN_IN)
        groups = [sums[start : start + _FAN_IN] for start in starts]
        sums = each(merge, groups, "fastgmm-merge")
    return sums[0]


def new_name(kind: str) -> str:
    """Return the beginning of keys that no other task has; the dashboard shows the kind."""
    return f"{kind}-{uuid4().hex}"
