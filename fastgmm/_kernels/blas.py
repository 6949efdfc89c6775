"""BLAS on one thread, while this library's own threads work.

BLAS threads spin while the kernels' threads work. Factors of K small matrices gain nothing from
them: four of 784 x 784 took 600 to 2400 ms with two threads, 49 ms with one.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.RLock()  # held while the limit changes
_limits: list[tuple[int, Any]] = []  # the thread that set the limit, and the limit


@cache
def _controller() -> Any:
    # finding the libraries takes milliseconds, limiting them 20 microseconds
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread; of concurrent uses, the first sets and removes the limit."""
    with _lock:
        first = not _limits
        if first:
            _limits.append((threading.get_ident(), _controller().limit(limits=1).__enter__()))
    try:
        yield
    finally:
        if first:
            with _lock:
                _restore()


def _restore() -> None:
    _, limit = _limits.pop()
    # not restore_original_limits(): this thread would keep the control of OpenBLAS
    limit.__exit__(None, None, None)


def _after_fork_in_child() -> None:
    """Remove a limit that another thread set: the child has only the thread that forked."""
    if _limits and _limits[0][0] != threading.get_ident():
        _restore()
    _lock.release()


if hasattr(os, "register_at_fork"):
    # A fork waits for the lock: no thread of the child could release it.
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_after_fork_in_child,
    )
