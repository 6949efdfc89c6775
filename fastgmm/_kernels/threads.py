"""Threads: how many, the slots of rows that they take, and where threads must not be used."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, lru_cache
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layout import LARGEST_BLOCK, Array

# No more threads than slots can work. Each slot has its own statistics.
_MAX_SLOTS = 128
_SLOT_ROWS = 2 * LARGEST_BLOCK
# The statistics of all slots take at most this much memory. There may always be 8 slots.
_SLOT_MEMORY = 32 * 2**20
_SLOTS_AT_LEAST = 8


def count_threads(n_jobs: int | None = None) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    n_jobs : int or None
        None: all cores that this process may use, by affinity and cgroup quota. Negative: that
        many fewer than all, plus one, so that -1 is all cores.

    Raises
    ------
    ValueError
        If ``n_jobs`` is 0.
    TypeError
        If it is neither None nor an integer.
    """
    if n_jobs is not None and not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs must be None or an integer, got {n_jobs!r}.")
    if n_jobs is not None and n_jobs > 0:
        return int(n_jobs)
    if n_jobs == 0:
        raise ValueError("n_jobs must be None, a positive or a negative integer, got 0.")
    from joblib import cpu_count

    available: int = cpu_count()
    return available if n_jobs is None else max(1, available + 1 + int(n_jobs))


@lru_cache(maxsize=64)
def slot_bounds(n_samples: int, statistics_size: int = 0) -> NDArray[np.int64]:
    """Return the first row of each slot, and the end of the last.

    The bounds depend on the size of the problem and never on the number of threads. So every
    machine adds the same sums in the same order. Do not write to the array: it is kept for the next
    pass.
    """
    affordable = max(_SLOT_MEMORY // max(8 * statistics_size, 1), _SLOTS_AT_LEAST)
    most = max(1, min(_MAX_SLOTS, affordable, n_samples // _SLOT_ROWS))
    n_slots = 1 << (most.bit_length() - 1)  # a power of 2: of 15 slots one of two threads takes 8
    blocks = -(-n_samples // LARGEST_BLOCK)
    bounds = (blocks * np.arange(n_slots + 1, dtype=np.int64) // n_slots) * LARGEST_BLOCK
    return np.minimum(bounds, n_samples)


class Workspace(threading.local):
    """Memory for the statistics of slots, reused by all passes of a run.

    The system hands out new memory page by page: for 33 MB this took 6 % of a pass of 66 ms. Pickle
    takes none along: in another process it becomes one that all passes there share.
    """

    def __init__(self) -> None:
        self._memory: Array = np.empty(0)

    def slots(self, n_slots: int, size: int) -> Array:
        """Return an (n_slots, size) array, which is not initialised."""
        if self._memory.size < n_slots * size:
            self._memory = np.empty(n_slots * size)
        return self._memory[: n_slots * size].reshape(n_slots, size)

    def __reduce__(self) -> tuple[Any, ...]:
        return _shared_workspace, ()


@cache
def _shared_workspace() -> Workspace:
    return Workspace()


def for_each(function: Callable[[int], None], items: range, n_threads: int) -> None:
    """Call a function that releases the interpreter's lock for every item, on several threads."""
    if min(n_threads, len(items)) <= 1:
        for item in items:
            function(item)
    else:
        list(_pool(n_threads).map(function, items))


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    # The pool is kept: OpenBLAS sets up its buffers again in every new thread.
    return ThreadPoolExecutor(n_threads)


class ThreadGuard:
    """Run compiled kernels without threads where threads would kill or hang the process.

    GNU OpenMP ends a forked child that starts a parallel region after its parent did. Numba's
    ``workqueue`` layer aborts when two Python threads start a parallel region at once. A backend
    says whether its layer allows concurrent callers. A forked child works serially.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._launched_by: int | None = None

    def must_be_serial(self) -> bool:
        """Return whether a parent of this process has already used threads."""
        return self._launched_by not in (None, os.getpid())

    @contextmanager
    def launch(self, concurrent: bool) -> Iterator[None]:
        """Guard a parallel kernel while it runs; without ``concurrent`` only one runs at a time."""
        if not self.must_be_serial():
            self._launched_by = os.getpid()
        if concurrent:
            yield
        else:
            with self._lock:
                yield

    def reset_lock(self) -> None:
        """Replace the lock, which a fork may have copied while it was held."""
        self._lock = threading.Lock()


guard = ThreadGuard()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=guard.reset_lock)
    os.register_at_fork(after_in_child=_pool.cache_clear)  # the child does not have its threads
