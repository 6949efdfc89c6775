"""Run passes on the threads that are safe to use."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

import numba
import numpy as np

from ..threads import guard
from .switch import switch

# A pass over fewer numbers takes less time than it takes to wake a thread.
_WORTH_THREADS = 2**18
# Modules that are not read again when the fast layer is given up.
_KEPT = ("backend", "fast_compile", "launch", "switch")


def launch(name: str, arguments: tuple[Any, ...], n_slots: int, n_threads: int) -> None:
    """Run the pass of this name, such as "passes.accumulate", on at most one thread a slot."""
    run_on_threads(lambda in_order: _run(name, in_order, arguments), n_slots, n_threads)


def run_on_threads(run: Callable[[bool], None], n_slots: int, n_threads: int) -> None:
    """Call a function that runs parallel loops, or the same loops in order if it is given True."""
    if guard.must_be_serial():
        run(True)
        return
    with guard.launch(threading_layer() in ("omp", "tbb")):
        before = numba.get_num_threads()
        numba.set_num_threads(max(1, min(n_threads, n_slots, numba.config.NUMBA_NUM_THREADS)))
        try:
            run(False)
        finally:
            numba.set_num_threads(before)


def launch_on_matrices(
    name: str, arguments: tuple[Any, ...], n_slots: int, n_threads: int, work: int
) -> None:
    """Run a pass over parameters; run a short one in order, which takes half as long to compile."""
    if work < _WORTH_THREADS:
        _run(name, True, arguments)
    else:
        launch(name, arguments, n_slots, n_threads)


@cache
def _find(name: str, in_order: bool) -> Any:
    """Return a pass, or the pass whose loops run on the calling thread."""
    module, function = name.split(".")
    kernel = getattr(import_module(f".{module}", __package__), function)
    return import_module(".jit", __package__).in_order(kernel) if in_order else kernel


# passes, and the types of arguments that they have been called with
_called: set[tuple[Any, ...]] = set()


def _run(name: str, in_order: bool, arguments: tuple[Any, ...]) -> None:
    """Call a pass; if it cannot be compiled by way of the fast layer, compile all without."""
    kernel = _find(name, in_order)
    if numba.config.DISABLE_JIT:
        with np.errstate(all="ignore"):  # compiled code does not warn of overflow in padding either
            kernel(*arguments)
        return
    key = (name, in_order, *_kinds(arguments))
    if key in _called:
        kernel(*arguments)
        return
    with _no_garbage_collection():
        try:
            _call_with_room(kernel, arguments)
        except MemoryError:
            raise
        except Exception as error:
            if not switch.is_on:
                raise
            switch.turn_off(f"{type(error).__name__}: {error}".splitlines()[0])
            _forget_modules()
            _call_with_room(_find(name, in_order), arguments)
    _called.add(key)


def _kinds(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what Numba's types of values depend on."""
    return tuple(
        (value.dtype, value.ndim, value.flags.num)
        if isinstance(value, np.ndarray)
        else (type(value), *_kinds(value))
        if isinstance(value, tuple)
        else type(value)
        for value in values
    )


def _call_with_room(function: Any, arguments: tuple[Any, ...]) -> None:
    """Call a function that calls others a thousand deep.

    Python keeps frames in pieces of memory of 16 KiB, which it takes from the system when a call
    needs one and gives back when that call returns: where a loop makes such calls, each of them
    pays (a first fit: 7.5 -> 6.3 s). This function asks for a frame of 1 MiB, for which Python
    takes 2 MiB, so that all that it calls fits into the rest.
    """
    function(*arguments)


_call_with_room.__code__ = _call_with_room.__code__.replace(co_stacksize=2**17)


def _forget_modules() -> None:
    """Make Python read the kernels again."""
    _find.cache_clear()
    _called.clear()
    for name in list(sys.modules):
        package, _, module = name.rpartition(".")
        if package == __package__ and module not in _KEPT:
            del sys.modules[name]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Let a compilation make its millions of objects without looking for cycles (8.1 -> 7.4 s)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def threading_layer() -> str:
    """Return which of Numba's threading layers is in use."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return "not started"
