"""How Numba compiles the kernels: the only place with compile flags."""

import gc
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic, overload

from fastgmm._kernels import layout

from .pipeline import KernelCompiler, PartCompiler

# Indices are unsigned: a signed index must be tested for wraparound, which stops LLVM
# from vectorising (84 -> 11 GFLOP/s in the distance tile).
U = np.uint64
I0, I1, I2, I3, I4, I8, I12, I16 = U(0), U(1), U(2), U(3), U(4), U(8), U(12), U(16)


def _fingerprint() -> tuple[float, int]:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return 0.0, int.from_bytes(digest.digest()[:8], "little")


_SOURCES = _fingerprint()


def _cached(dispatcher: Any) -> Any:
    """Make the disk cache depend on all kernel sources, not on this file's time alone.

    Numba compares the time and size of the one file that a function stands in, and so runs
    stale code after a change in a callee elsewhere, or after an upgrade that keeps times.
    """
    cache_file = getattr(dispatcher._cache, "_cache_file", None)
    if cache_file is not None:
        cache_file._source_stamp = _SOURCES
    return dispatcher


# Called by other kernels only: leaving out the wrappers takes a third off the compile time. All are
# inlined: a call would go to whichever copy of the function the process loaded first, one compiled
# alone or one from another kernel's cache, and these may add in different orders.
_INTERNAL: dict[str, Any] = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "forceinline": True,
    "pipeline_class": PartCompiler,
}
# Never called from Python either.
_BY_ADDRESS: dict[str, Any] = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": KernelCompiler,
}
BLOCK_OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, **_INTERNAL}


def block_function(function: Callable[..., Any]) -> Any:
    """Compile a function on one block.

    ``contract`` lets a product and a sum become one multiply-add; nothing else is relaxed, so
    NaN and infinity keep their meaning and the result does not depend on the vector width.
    """
    return njit(**BLOCK_OPTIONS)(function)


def spliced(function: Callable[..., Any]) -> Any:
    """Write a function's code into its caller, before types are inferred.

    For steps that one function calls, and that have no ``vector_loop`` of their own: a function is
    optimised by itself and then once more in every caller (6.1 -> 5.6 s for a first fit).
    """
    return njit(inline="always", **BLOCK_OPTIONS)(function)


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

    return _by_type(choose)


def by_dimension(*, plane: Callable[..., Any], space: Callable[..., Any]) -> Any:
    """Return a function that is one of two: for one or two features, or for more."""
    return _by_type(lambda cls: plane if cls in layout.PLANES else space)


def _by_type(implementation: Callable[[type], Callable[..., Any]]) -> Any:
    def function(packed: Any, *arguments: Any) -> Any:
        raise NotImplementedError  # Numba compiles the one that is wanted

    def choose(packed: Any, *arguments: Any) -> Any:
        return implementation(packed.instance_class)

    overload(function, strict=False, jit_options=BLOCK_OPTIONS)(choose)
    return function


def reduction(function: Callable[..., Any]) -> Any:
    """Compile a sum over a block; ``reassoc`` lets lanes keep partial sums."""
    return njit(fastmath={"contract", "reassoc"}, **_INTERNAL)(function)


def slot_function(function: Callable[..., Any]) -> Any:
    """Compile the work of one slot, which is called by its address."""
    return _cached(njit(fastmath={"contract"}, cache=True, **_BY_ADDRESS)(function))


def serial(function: Callable[..., Any]) -> Any:
    """Compile what runs on the calling thread, and lets other threads run Python meanwhile."""
    options = {"error_model": "numpy", "no_cfunc_wrapper": True}
    return _cached(njit(nogil=True, cache=True, **options)(function))


def loop_function(*, parallel: bool) -> Callable[[Callable[..., Any]], Any]:
    """Compile a loop over slots, which is called by its address."""
    return lambda function: _cached(njit(parallel=parallel, cache=True, **_BY_ADDRESS)(function))


@intrinsic
def vector_loop(typingctx: Any) -> Any:
    """Tell LLVM what it needs to know to vectorise the calling function.

    What its floating-point arrays and pointers lead to does not overlap, so no loop has to test
    for it (Numba has no ``restrict``); and 512-bit vectors are welcome: LLVM's default on
    processors with AVX-512 is 256 bits, a choice for code that mixes short vector loops with
    scalar work (59 -> 84 GFLOP/s).
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers = (ir.PointerType(ir.DoubleType()), ir.PointerType(ir.FloatType()))
        # llvmlite's own add() refuses attributes of the form key=value
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        for argument in builder.function.args:
            if argument.type in pointers:
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), codegen


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Let a compilation make its millions of objects without looking for cycles (8.1 -> 7.4 s)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def address(function: Any, *kinds: Any) -> int:
    """Compile a function for arguments of given types and return where its code begins."""
    with global_compiler_lock, no_garbage_collection():
        function.compile(kinds)
        compiled = function.overloads[kinds]
        name = compiled.fndesc.llvm_func_name
        return int(compiled.library.get_pointer_to_function(name))


if hasattr(os, "register_at_fork"):
    # a fork waits for a compilation: in the child nobody would be left to release the lock
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


@intrinsic
def call(typingctx: Any, address: Any, *arguments: Any) -> Any:
    """Call the function that begins at an address; it returns nothing."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        convention = context.call_conv
        kinds = signature.args[1]
        values = cgutils.unpack_tuple(builder, args[1])
        kind = convention.get_function_type(types.void, kinds)
        function = builder.inttoptr(args[0], kind.as_pointer())
        status, _ = convention.call_function(builder, function, types.void, kinds, values)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(address, types.StarArgTuple.from_types(arguments)), codegen


@intrinsic
def sizes(typingctx: Any, array: Any) -> Any:
    """Return BLOCK, STRIDE, 2 STRIDE and 3 STRIDE of blocks of an array's type, as constants."""
    itemsize = array.dtype.bitwidth // 8
    stride = layout.block_stride(itemsize)
    values = (layout.block_size(itemsize), stride, 2 * stride, 3 * stride)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        constants = [ir.Constant(ir.IntType(64), value) for value in values]
        return context.make_tuple(builder, signature.return_type, constants)

    return types.UniTuple(types.uint64, len(values))(array), codegen


@intrinsic
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Return the number of zero bits below the lowest one of a word that is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@intrinsic
def count_ones(typingctx: Any, word: Any) -> Any:
    """Return the number of one bits of a word."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen
