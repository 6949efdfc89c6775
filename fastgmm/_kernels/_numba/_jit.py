"""How Numba compiles the kernels: the only place with compile flags."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from fastgmm._kernels import layout

# Indices are unsigned: a signed index must be tested for wraparound, which stops LLVM
# from vectorising (84 -> 11 GFLOP/s in the distance tile).
U = np.uint64
BLOCK = U(layout.BLOCK)
STRIDE = U(layout.STRIDE)
S2, S3 = U(2 * layout.STRIDE), U(3 * layout.STRIDE)
I0, I1, I2, I3, I4, I8, I12, I16 = U(0), U(1), U(2), U(3), U(4), U(8), U(12), U(16)
FULL, TIED, DIAG, SPHERICAL = U(layout.FULL), U(layout.TIED), U(layout.DIAG), U(layout.SPHERICAL)


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


# Called by other kernels only: leaving out the wrappers takes a third off the compile time.
_INTERNAL: dict[str, Any] = {
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


def block_function(function: Callable[..., Any]) -> Any:
    """Compile a function on one block.

    ``contract`` lets a product and a sum become one multiply-add; nothing else is relaxed, so
    NaN and infinity keep their meaning and the result does not depend on the vector width.
    """
    return njit(fastmath={"contract"}, **_INTERNAL)(function)


def reduction(function: Callable[..., Any]) -> Any:
    """Compile a sum over a block; ``reassoc`` lets lanes keep partial sums."""
    return njit(fastmath={"contract", "reassoc"}, **_INTERNAL)(function)


def slot_function(function: Callable[..., Any]) -> Any:
    """Compile the work of one slot; also called from Python where threads are unsafe."""
    return _cached(njit(fastmath={"contract"}, error_model="numpy", cache=True)(function))


def parallel(function: Callable[..., Any]) -> Any:
    """Compile the loop over slots."""
    return _cached(njit(parallel=True, error_model="numpy", cache=True)(function))


@intrinsic
def vector_loop(typingctx: Any) -> Any:
    """Tell LLVM what it needs to know to vectorise the calling function.

    Its float64 arrays do not overlap, so no loop has to test for it (Numba has no ``restrict``);
    and 512-bit vectors are welcome: LLVM's default on processors with AVX-512 is 256 bits,
    a choice for code that mixes short vector loops with scalar work (59 -> 84 GFLOP/s).
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite's own add() refuses attributes of the form key=value
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        for argument in builder.function.args:
            if argument.type == ir.PointerType(ir.DoubleType()):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Return the number of zero bits below the lowest one of a word that is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@block_function
def aligned_empty(size: int) -> Any:
    """Return an uninitialised float64 array that starts on a cache line."""
    array = np.empty(size + I8, np.float64)
    start = U((I8 - (U(array.ctypes.data) >> I3) % I8) % I8)
    return array[start : start + size]
