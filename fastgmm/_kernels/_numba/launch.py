"""Slots over threads: the one parallel loop, and how a kernel gets its arguments.

A kernel is a function of the address of its arguments and of a slot's number. It is compiled alone
and called by its address, so one loop serves all kernels: Numba makes four functions of a parallel
loop, and compiling one for each kernel, with the kernel in it, took as long as the kernel itself.
"""

from contextlib import nullcontext
from functools import cache
from typing import Any

import numba
import numpy as np
from numba import prange, typeof, types

from ..threads import guard
from ._jit import U, address, call, loop_function, no_garbage_collection, serial
from .pointers import spill


@loop_function(parallel=True)
def _in_parallel(kernel, frame, n_slots):
    for t in prange(n_slots):
        call(kernel, frame, U(t))


@loop_function(parallel=False)
def _in_order(kernel, frame, n_slots):
    for t in range(n_slots):
        call(kernel, frame, U(t))


@serial
def _enter(loop, kernel, arguments, n_slots):
    call(loop, kernel, spill(arguments), n_slots)


def launch(kernel: Any, arguments: tuple[Any, ...], n_slots: int, n_threads: int) -> None:
    """Run a kernel on every slot, on no more threads than there are slots."""
    code = _kernel_address(kernel, arguments)
    if guard.must_be_serial():
        _call(_in_order, code, arguments, n_slots)
        return
    with guard.launch(threading_layer() in ("omp", "tbb")):
        before = numba.get_num_threads()
        numba.set_num_threads(min(n_threads, n_slots, numba.config.NUMBA_NUM_THREADS))
        try:
            _call(_in_parallel, code, arguments, n_slots)
        finally:
            numba.set_num_threads(before)


# kept, so that a forked child asks LLVM for nothing
_addresses: dict[tuple[Any, ...], int] = {}


def _kernel_address(kernel: Any, arguments: tuple[Any, ...]) -> int:
    key = (kernel, *_signature(arguments))
    if key not in _addresses:
        _addresses[key] = address(kernel, types.CPointer(typeof(arguments)), types.uint64)
    return _addresses[key]


def _signature(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what Numba's types of values depend on; to find those themselves takes 80 us."""
    return tuple(
        (value.dtype, value.ndim, value.flags.num)
        if isinstance(value, np.ndarray)
        else (type(value), *_signature(value))
        if isinstance(value, tuple)
        else type(value)
        for value in values
    )


@cache
def _loop_address(loop: Any) -> int:
    return address(loop, types.int64, types.uint64, types.int64)


def _call(loop: Any, kernel: int, arguments: tuple[Any, ...], n_slots: int) -> None:
    with nullcontext() if _enter.overloads else no_garbage_collection():
        _enter(_loop_address(loop), kernel, arguments, n_slots)


def threading_layer() -> str:
    """Return which of Numba's threading layers is in use."""
    try:
        return str(numba.threading_layer())
    except ValueError:
        return "not started"
