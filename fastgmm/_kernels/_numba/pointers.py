"""Memory as kernels see it: arguments at an address, and pointers in place of flat arrays.

An array is seven numbers to LLVM, which reads all of them again for each element: kernels on arrays
took 0.9 s longer to compile.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic


@intrinsic
def spill(typingctx: Any, values: Any) -> Any:
    """Copy a tuple to the calling function's stack and return where."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        memory = cgutils.alloca_once_value(builder, args[0])
        return builder.ptrtoint(memory, ir.IntType(64))

    return types.uint64(values), codegen


def _is_flat(kind: Any) -> bool:
    return isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C"


def _with_pointers(kind: Any) -> Any:
    """Return the type of a tuple whose flat arrays are pointers."""
    if _is_flat(kind):
        return types.CPointer(kind.dtype)
    if isinstance(kind, types.BaseNamedTuple):
        return types.NamedTuple([_with_pointers(part) for part in kind], kind.instance_class)
    if isinstance(kind, types.BaseTuple):
        return types.BaseTuple.from_types([_with_pointers(part) for part in kind])
    return kind


@intrinsic
def fetch(typingctx: Any, frame: Any) -> Any:
    """Return the arguments at an address: a flat array as a pointer, NULL where it is empty."""

    def convert(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if _is_flat(kind):
            array = context.make_array(kind)(context, builder, value)
            is_empty = builder.icmp_signed("==", array.nitems, array.nitems.type(0))
            return builder.select(is_empty, array.data.type(None), array.data)
        if isinstance(kind, types.BaseTuple):
            parts = [
                convert(context, builder, part, builder.extract_value(value, i))
                for i, part in enumerate(kind)
            ]
            return context.make_tuple(builder, _with_pointers(kind), parts)
        return value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.bitcast(args[0], context.get_value_type(frame.dtype).as_pointer())
        value = convert(context, builder, frame.dtype, builder.load(pointer))
        return impl_ret_borrowed(context, builder, signature.return_type, value)

    return _with_pointers(frame.dtype)(frame), codegen


@intrinsic
def is_null(typingctx: Any, pointer: Any) -> Any:
    """Return whether a pointer leads nowhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.icmp_unsigned("==", args[0], args[0].type(None))

    return types.boolean(pointer), codegen


@intrinsic
def address_of(typingctx: Any, pointer: Any) -> Any:
    """Return a pointer as a number."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.uint64(pointer), codegen


@intrinsic
def pointer_to(typingctx: Any, array: Any, i: Any, like: Any) -> Any:
    """Return where number i stands in the memory of an array, which has to be kept.

    Numbers are of the type of the elements of ``like``.
    """
    kind = types.CPointer(like.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.gep(builder.bitcast(data, context.get_value_type(kind)), [args[1]])

    return kind(array, types.uint64, like), codegen


@intrinsic
def keep(typingctx: Any, arrays: Any) -> Any:
    """Use arrays, so that their memory is not given back before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return types.void(arrays), codegen


@intrinsic
def cast(typingctx: Any, value: Any, like: Any) -> Any:
    """Return a number in the type of the elements of another pointer or array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], value, like.dtype)

    return like.dtype(value, like), codegen


@intrinsic
def row_pointer(typingctx: Any, X: Any, i: Any) -> Any:
    """Return where row i of an array begins."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        stride = builder.extract_value(array.strides, 0)
        offset = builder.mul(stride, args[1])
        return cgutils.pointer_add(builder, array.data, offset, array.data.type)

    return types.CPointer(X.dtype)(X, types.uint64), codegen
