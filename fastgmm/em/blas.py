"""BLAS on one thread while EM runs.

Its threads spin while the kernels' threads work, and factors of K small matrices gain nothing from
them: four of 784 x 784 took 600 to 2400 ms with two threads, 49 ms with one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_limits: list[Any] = []
_users = 0


@cache
def _controller() -> Any:
    # finding the libraries takes milliseconds, limiting them 20 microseconds
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS; of several fits at once the first sets the limit and the last takes it away."""
    global _users
    with _lock:
        if _users == 0:
            _limits.append(_controller().limit(limits=1, user_api="blas"))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _limits.pop().restore_original_limits()
