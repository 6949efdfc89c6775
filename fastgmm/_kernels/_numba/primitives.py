"""What NumPy cannot say to a compiler: the only functions that write LLVM code by hand.

Each has a body in Python, which runs where Numba's compiler is disabled.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from .. import layout
from ..layout import block_size, block_stride

_Typing = Callable[..., Any]


def primitive(body: Callable[..., Any]) -> Callable[[_Typing], Any]:
    """Make a function of one that writes its LLVM code, and of its body in Python."""
    return lambda typing: body if config.DISABLE_JIT else intrinsic(typing)


# llvmlite's own add() refuses attributes of the form key=value. LLVM's default on processors with
# AVX-512 is 256 bits, a choice for code that mixes short vector loops with scalar work
# (59 -> 84 GFLOP/s).
_WIDE_VECTORS = '"prefer-vector-width"="512"'


@primitive(lambda: None)
def vector_loop(typingctx: Any) -> Any:
    """Tell LLVM what it needs to know to vectorise the calling function.

    What its floating-point arrays lead to does not overlap (C's ``restrict``), so no loop has to
    test for it; and vectors of 512 bits are welcome.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers = (ir.PointerType(ir.DoubleType()), ir.PointerType(ir.FloatType()))
        set.add(builder.function.attributes, _WIDE_VECTORS)
        for argument in builder.function.args:
            if argument.type in pointers:
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), codegen


@primitive(lambda: None)
def not_inlined(typingctx: Any) -> Any:
    """Let LLVM compile the calling function once, and not again in each of its callers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        set.add(builder.function.attributes, _WIDE_VECTORS)
        return context.get_dummy_value()

    return types.void(), codegen


def _sizes(itemsize: int) -> tuple[int, int, int, int]:
    stride = block_stride(itemsize)
    return block_size(itemsize), stride, 2 * stride, 3 * stride


@primitive(lambda array: tuple(map(np.uint64, _sizes(array.itemsize))))
def sizes(typingctx: Any, array: Any) -> Any:
    """Return BLOCK, STRIDE, 2 STRIDE and 3 STRIDE of blocks of an array's type, as constants."""
    values = _sizes(array.dtype.bitwidth // 8)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        constants = [ir.Constant(ir.IntType(64), value) for value in values]
        return context.make_tuple(builder, signature.return_type, constants)

    return types.UniTuple(types.uint64, len(values))(array), codegen


@primitive(lambda value, like: like.dtype.type(value))
def cast(typingctx: Any, value: Any, like: Any) -> Any:
    """Return a number in the type of the elements of an array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], value, like.dtype)

    return like.dtype(value, like), codegen


@primitive(lambda array, start: array[start:])
def tail(typingctx: Any, array: Any, start: Any) -> Any:
    """Return the elements of a flat array from ``start`` on: C's ``array + start``.

    A slice that is not tested for its ends, and whose size is still that of the whole.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        part = context.make_array(signature.args[0])(context, builder, args[0])
        part.data = builder.gep(part.data, [args[1]])
        return impl_ret_borrowed(context, builder, signature.return_type, part._getvalue())

    return array(array, types.uint64), codegen


def _rows_from(X: Any, i: Any) -> Any:
    n, d = X.shape[:2]
    size = (n - int(i) - 1) * (X.strides[0] // X.itemsize) + d
    return np.lib.stride_tricks.as_strided(X[int(i)], (size,), (X.itemsize,))


@primitive(_rows_from)
def rows_from(typingctx: Any, X: Any, i: Any) -> Any:
    """Return the memory of X from row i on as a flat array; the array must live longer."""
    kind = types.Array(X.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = context.make_array(signature.args[0])(context, builder, args[0])
        part = context.make_array(kind)(context, builder)
        offset = builder.mul(builder.extract_value(whole.strides, 0), args[1])
        part.data = cgutils.pointer_add(builder, whole.data, offset, part.data.type)
        part.nitems = whole.nitems
        part.itemsize = whole.itemsize
        part.shape = cgutils.pack_array(builder, [whole.nitems])
        part.strides = cgutils.pack_array(builder, [whole.itemsize])
        part.meminfo = part.meminfo.type(None)
        part.parent = part.parent.type(None)
        return part._getvalue()

    return kind(X, types.uint64), codegen


@primitive(layout.repeated)
def repeated(typingctx: Any, array: Any) -> Any:
    """Return a view with every element twice, as kernels take X; the array must live longer."""
    kind = types.Array(array.dtype, array.ndim + 1, "A", readonly=True)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = context.make_array(array)(context, builder, args[0])
        view = context.make_array(kind)(context, builder)
        two, zero = ir.Constant(ir.IntType(64), 2), ir.Constant(ir.IntType(64), 0)
        view.data, view.itemsize = whole.data, whole.itemsize
        view.nitems = builder.mul(whole.nitems, two)
        shape = [*cgutils.unpack_tuple(builder, whole.shape), two]
        strides = [*cgutils.unpack_tuple(builder, whole.strides), zero]
        view.shape = cgutils.pack_array(builder, shape)
        view.strides = cgutils.pack_array(builder, strides)
        view.meminfo = view.meminfo.type(None)
        view.parent = view.parent.type(None)
        return view._getvalue()

    return kind(array), codegen


def _dtype(kind: Any) -> np.dtype[Any]:
    return np.dtype(kind) if isinstance(kind, type) else kind.dtype


def _itemsize_of(kind: Any) -> Any:
    return np.uint64(_dtype(kind).itemsize)


@primitive(_itemsize_of)
def itemsize_of(typingctx: Any, kind: Any) -> Any:
    """Return how many bytes a number takes, of a type or of the type of an array, as a constant."""
    size = kind.dtype.bitwidth // 8

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.IntType(64), size)

    return types.uint64(kind), codegen


@primitive(lambda memory, start, kind: memory[start:].view(_dtype(kind)))
def carve(typingctx: Any, memory: Any, start: Any, kind: Any) -> Any:
    """Return memory from number ``start`` on as numbers of a type, or of the type of an array.

    It borrows the memory, which must live longer.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        whole = context.make_array(signature.args[0])(context, builder, args[0])
        part = context.make_array(signature.return_type)(context, builder)
        itemsize = ir.Constant(ir.IntType(64), kind.dtype.bitwidth // 8)
        size = builder.mul(builder.sub(whole.nitems, args[1]), whole.itemsize)
        part.data = builder.bitcast(builder.gep(whole.data, [args[1]]), part.data.type)
        part.nitems = builder.udiv(size, itemsize)
        part.itemsize = itemsize
        part.shape = cgutils.pack_array(builder, [part.nitems])
        part.strides = cgutils.pack_array(builder, [itemsize])
        part.meminfo = part.meminfo.type(None)
        part.parent = part.parent.type(None)
        return part._getvalue()

    return types.Array(kind.dtype, 1, "C")(memory, types.uint64, kind), codegen


def _views(arrays: Any, memory: Any) -> Any:
    return arrays  # views hold their memory


@primitive(_views)
def keep_alive(typingctx: Any, arrays: Any, memory: Any) -> Any:
    """Return a named tuple of borrowed arrays, each of which owns the memory with the others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        owner = context.make_array(signature.args[1])(context, builder, args[1]).meminfo
        result = args[0]
        for i, kind in enumerate(arrays.types):
            if isinstance(kind, types.Array):
                part = builder.extract_value(result, i)
                array = context.make_array(kind)(context, builder, part)
                array.meminfo = owner
                result = builder.insert_value(result, array._getvalue(), i)
        return impl_ret_borrowed(context, builder, signature.return_type, result)

    return arrays(arrays, memory), codegen


@primitive(lambda word: np.uint64((int(word) & -int(word)).bit_length() - 1))
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Return the number of zero bits below the lowest one of a word that is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), codegen


@primitive(lambda word: np.uint64(int(word).bit_count()))
def count_ones(typingctx: Any, word: Any) -> Any:
    """Return the number of one bits of a word."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


def _transpose_four(r0: Any, r1: Any, r2: Any, r3: Any, center: Any, out: Any) -> None:
    stride = block_stride(out.itemsize)
    for j in range(4):
        out[j * stride : j * stride + 4] = [row[j] - center[j] for row in (r0, r1, r2, r3)]


@primitive(_transpose_four)
def transpose_four(
    typingctx: Any, r0: Any, r1: Any, r2: Any, r3: Any, center: Any, out: Any
) -> Any:
    """Write four numbers from each of four places, less the centre, as the first of four rows."""
    size = out.dtype.bitwidth // 8
    stride = block_stride(size)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.VectorType(context.get_value_type(out.dtype), 4)

        def place(data: Any, index: int) -> Any:
            at = builder.gep(data, [ir.Constant(ir.IntType(64), index)])
            return builder.bitcast(at, lanes.as_pointer())

        def mix(a: Any, b: Any, *order: int) -> Any:
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 4), order)
            return builder.shuffle_vector(a, b, mask)

        data = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args, args, strict=True)
        ]
        *rows, about = (builder.load(place(row, 0), align=size) for row in data[:5])
        a, b, c, d = (builder.fsub(row, about) for row in rows)
        even = mix(a, b, 0, 4, 2, 6), mix(c, d, 0, 4, 2, 6)
        odd = mix(a, b, 1, 5, 3, 7), mix(c, d, 1, 5, 3, 7)
        low, high = (0, 1, 4, 5), (2, 3, 6, 7)
        columns = mix(*even, *low), mix(*odd, *low), mix(*even, *high), mix(*odd, *high)
        for j, column in enumerate(columns):
            builder.store(column, place(data[5], j * stride), align=size)
        return context.get_dummy_value()

    return types.void(r0, r1, r2, r3, center, out), codegen


def _call_routine(routine: Any, *arguments: Any) -> None:
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments))
    kind(int(routine))(*map(int, arguments))


@primitive(_call_routine)
def call_routine(typingctx: Any, routine: Any, *arguments: Any) -> Any:
    """Call a Fortran subroutine by its address, with the addresses of its arguments."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        values = [builder.extract_value(args[1], i) for i in range(len(arguments))]
        kind = ir.FunctionType(ir.VoidType(), [byte] * len(arguments))
        function = builder.inttoptr(args[0], kind.as_pointer())
        builder.call(function, [builder.inttoptr(value, byte) for value in values])
        return context.get_dummy_value()

    return types.void(routine, types.StarArgTuple.from_types(arguments)), codegen
