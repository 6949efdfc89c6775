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
_users: dict[object, int] = {}  # one for each use, and its thread
_before: list[int] = []  # the threads of each library, while there are users


@cache
def _controller() -> Any:
    # finding the libraries takes milliseconds, limiting them 20 microseconds
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread; of concurrent uses, the first sets the limit and the last ends it.

    It ends after an interrupt, too, wherever that comes: a limit that stayed would slow down all
    that the process computes later.
    """
    user = object()
    try:
        _begin(user)
        yield
    finally:
        try:
            _end(user)
        except BaseException:  # an interrupt
            _end(user)
            raise


def _begin(user: object) -> None:
    with _lock:
        is_first = not _users
        if is_first:
            _before[:] = threads_of(_controller())
        _users[user] = threading.get_ident()
        if is_first:
            set_threads(_controller(), [1] * len(_before))


def _end(user: object) -> None:
    """Remove a user; a second time, or where it never was one, nothing changes."""
    with _lock:
        _users.pop(user, None)
        if _before and not _users:
            set_threads(_controller(), _before)
            _before.clear()


def threads_of(controller: Any) -> list[int]:
    """Return how many threads each library of a ThreadpoolController may use."""
    return [library.num_threads for library in controller.lib_controllers]


def set_threads(controller: Any, threads: list[int]) -> None:
    """Set how many threads each library of a ThreadpoolController may use."""
    for library, number in zip(controller.lib_controllers, threads, strict=True):
        library.set_num_threads(number)
    with controller.limit(limits=None):  # its end gives up this thread's control of OpenBLAS
        pass


def _after_fork_in_child() -> None:
    """Remove other users: the child has only the thread that forked."""
    for user, thread in list(_users.items()):
        if thread != threading.get_ident():
            _end(user)
    _lock.release()


if hasattr(os, "register_at_fork"):
    # A fork waits for the lock: no thread of the child could release it.
    os.register_at_fork(
        before=_lock.acquire,
        after_in_parent=_lock.release,
        after_in_child=_after_fork_in_child,
    )
