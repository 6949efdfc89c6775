"""How Numba compiles the kernels: the only place with compile flags.

Every function of the backend is an ordinary ``@njit`` function, for Python, for other ``@njit``
functions, and, where Numba's compiler is disabled, a plain Python function. ``fast_compile.py``
adds what makes the first fit quicker, and changes no result.
"""

import warnings
from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from numba import config, njit, types
from numba.extending import overload

from .. import layout
from .switch import switch

# Indices are unsigned: a signed index must be tested for wraparound, which stops LLVM
# from vectorising (84 -> 11 GFLOP/s in the distance tile).
U = np.uint64
I0, I1, I2, I3, I4, I8, I16 = U(0), U(1), U(2), U(3), U(4), U(8), U(16)

# "contract" lets a product and a sum become one multiply-add; nothing else is relaxed, so NaN and
# infinity keep their meaning and a result does not depend on the vector width.
_OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}}
# A part is inlined, or, if several call it, apart from all of them (``not_inlined``): whether it is
# must not depend on the caller, or sums may be added in different orders.
_INLINED: dict[str, Any] = {**_OPTIONS, "forceinline": True}


def _layer(kind: str) -> dict[str, Any]:
    """Return the options that compile by way of the fast layer, or without it."""
    layer = switch.layer()
    if layer is None:
        return {}
    return getattr(layer, kind) if switch.is_on else layer.OFF


def _compile_part(function: Callable[..., Any], options: dict[str, Any], kind: str = "PART") -> Any:
    dispatcher = njit(**options, **_layer(kind))(function)
    layer = switch.layer()
    if layer and switch.is_on:
        layer.let_python_call(dispatcher, cache(lambda: njit(**options)(function)))
    return dispatcher


def part(function: Callable[..., Any]) -> Any:
    """Compile a part of a pass."""
    return _compile_part(function, _INLINED)


def step(function: Callable[..., Any]) -> Any:
    """Compile a part whose code is written into its caller, before types are inferred.

    For steps that have no ``vector_loop`` of their own: 6.1 -> 5.6 s for a first fit.
    """
    return _compile_part(function, {**_INLINED, "inline": "always"})


def reduction(function: Callable[..., Any]) -> Any:
    """Compile a sum over a block; ``reassoc`` lets lanes keep partial sums."""
    return _compile_part(function, {**_INLINED, "fastmath": {"contract", "reassoc"}})


def shared_part(function: Callable[..., Any]) -> Any:
    """Compile a part that several others call; it says ``not_inlined()``."""
    return _compile_part(function, {**_OPTIONS, "forceinline": False})


def slot_function(function: Callable[..., Any]) -> Any:
    """Compile a part that may allocate memory, or hand it out."""
    return _compile_part(function, {**_OPTIONS, "forceinline": False}, "SLOT")


def parallel_pass(function: Callable[..., Any]) -> Any:
    """Compile a pass: parallel loops over slots."""
    return _cached(function, {**_OPTIONS, "parallel": True, **_layer("PASS")})


@cache
def in_order(parallel: Any) -> Any:
    """Return a pass whose loops run on the calling thread: in a forked child no other may start."""
    function = getattr(parallel, "py_func", parallel)
    # of another name, since the disk cache goes by names
    copy = FunctionType(function.__code__, function.__globals__, function.__name__)
    copy.__qualname__ = f"{function.__name__}_in_order"
    copy.__module__ = function.__module__
    return _cached(copy, {**_OPTIONS, **_layer("PASS")})


def serial(function: Callable[..., Any]) -> Any:
    """Compile what runs on the calling thread, and lets other threads run Python meanwhile."""
    return _cached(function, {"error_model": "numpy", "nogil": True})


def open_function(function: Callable[..., Any]) -> Any:
    """Compile a function for the compiled code of others; where Python calls it, without the GIL.

    Inlined, and in the fast layer without reference counts: both take longer than one point does.
    """
    return _compile_part(function, {**_INLINED, "nogil": True})


def open_allocation(function: Callable[..., Any]) -> Any:
    """Compile such a function that allocates memory."""
    return _compile_part(function, {**_OPTIONS, "forceinline": False, "nogil": True}, "SLOT")


def _cached(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compile with a cache on disk, or without where there can be none."""
    layer = switch.layer()
    if config.DISABLE_JIT or layer is None:
        return njit(**options)(function)
    try:
        dispatcher = njit(cache=True, **options)(function)
        layer.guard_cache(dispatcher, switch.is_on, _warn_of_cache)
    except (AttributeError, OSError, RuntimeError) as error:
        _warn_of_cache(error)
        return njit(**options)(function)
    return dispatcher


#: Why the disk cache could not be used; the first one was told.
cache_problems: list[object] = []


def _warn_of_cache(error: object) -> None:
    """Say once that a process goes without the disk cache."""
    cache_problems.append(error)
    if len(cache_problems) == 1:
        warnings.warn(
            f"Numba cannot use its cache on disk: {error}. fastgmm compiles its kernels anew in "
            "this process; set NUMBA_CACHE_DIR to a folder that can be written to keep them.",
            RuntimeWarning,
            stacklevel=2,
        )


def by_covariance_type(
    *,
    full: Callable[..., Any],
    tied: Callable[..., Any],
    diag: Callable[..., Any],
    spherical: Callable[..., Any],
    plane: Callable[..., Any] | None = None,
) -> Any:
    """Return a function that is one of these, by the type of its first argument, ``packed``.

    Numba compiles that one alone. ``plane``, if given, is for one or two features of any type.
    """
    kinds = (layout.PackedFull, layout.PackedTied, layout.PackedDiag, layout.PackedSpherical)
    functions = dict(zip(kinds, (full, tied, diag, spherical), strict=True))

    def choose(cls: type) -> Callable[..., Any]:
        if plane is not None and cls in layout.PLANES:
            return plane
        return next(function for kind, function in functions.items() if issubclass(cls, kind))

    return by_type(choose)


def by_dimension(*, plane: Callable[..., Any], space: Callable[..., Any]) -> Any:
    """Return a function that is one of two: for one or two features, or for more."""
    return by_type(lambda cls: plane if cls in layout.PLANES else space)


def by_precision(*, double: Callable[..., Any], single: Callable[..., Any]) -> Any:
    """Return a function that is one of two, by the type of its first argument, a number."""
    kinds = {types.float64: double, types.float32: single, np.float32: single}
    return by_type(lambda kind: kinds.get(kind, double))


def by_type(implementation: Callable[[type], Callable[..., Any]]) -> Any:
    """Return a function that is one of several, by the type of its first argument."""

    def find(kind: type) -> Callable[..., Any]:
        chosen = implementation(kind)
        return getattr(chosen, "find", lambda _: chosen)(kind)  # a choice may lead to another

    def function(packed: Any, *arguments: Any) -> Any:
        return find(type(packed))(packed, *arguments)

    def choose(packed: Any, *arguments: Any) -> Any:
        chosen = find(getattr(packed, "instance_class", packed))
        return getattr(chosen, "py_func", chosen)

    function.find = find  # type: ignore[attr-defined]
    if not config.DISABLE_JIT:
        overload(function, strict=False, jit_options={**_INLINED, **_layer("PART")})(choose)
    return function
