"""The memory in which one slot works on a block."""

from typing import Any, NamedTuple

import numpy as np

from ..layout import LARGEST_BLOCK, SMALLEST_BLOCK
from ._jit import I0, I1, I2, I3, I4, I16, U, sizes, spliced
from .block import fill
from .pointers import pointer_to
from .selection import WORD

_BLOCK_BYTES = U(LARGEST_BLOCK * 4)
_SMALLEST = U(SMALLEST_BLOCK)
# Numbers that may wait to be added, for each sample of a block: 4 MiB in all, about a core's
# second-level cache.
_WAITING = U(1 << 11)


class Scratch(NamedTuple):
    """Pointers to rows of a block, STRIDE numbers each, and to lists.

    Numbers are of the type of the packed components, or of the one that is named.
    """

    rows: Any  # samples as they come, d numbers each
    block: Any  # (d rows) the same, transposed; (d rows) those that are gathered
    whitened: Any  # (d rows)
    values: Any  # (K rows, up to a multiple of 4) log-probabilities, then responsibilities
    extra: Any  # where in values there is one row more
    maximum: Any
    threshold: Any
    share: Any
    norm: Any  # float64
    scale: Any  # float64
    weight: Any  # float64
    words: Any  # (K * BLOCK / 64,) uint64: see selection.py
    index: Any  # (BLOCK + 16,) uint64
    pause: Any  # (1,) uint64: see partial_distance.py
    capacity: Any  # how many samples may wait to be added, for each component
    waiting: Any  # (K,) uint64
    waiting_weight: Any  # (K, capacity)
    waiting_rows: Any  # (K, capacity, d)
    w: Any
    z: Any  # (d rows)
    wz: Any  # (d rows)


@spliced
def new_scratch(K, d, like, with_moments):
    """Return scratch, and the arrays to ``keep`` while it is used."""
    BLOCK, STRIDE = sizes(like)[:2]
    height = (d + I3) // I4 * I4 * STRIDE
    capacity = I0
    if with_moments:
        # whole vectors of 16 samples are added
        capacity = min(max(_WAITING * BLOCK // (K * d) // I16 * I16, I16), BLOCK)
    block = I0
    whitened = block + I2 * height
    values = whitened + height
    extra = (K + I3) // I4 * I4 * STRIDE
    maximum = values + extra + STRIDE
    z = maximum + I4 * STRIDE
    wz = z + height
    rows = wz + height
    waiting_rows = rows + (BLOCK * d + I16 - I1) // I16 * I16
    waiting_weight = waiting_rows + K * capacity * d
    size = waiting_weight + K * capacity
    numbers = np.empty(size * _SMALLEST // BLOCK + I16, np.float64)
    doubles = np.empty(I3 * STRIDE, np.float64)
    lists = np.zeros(K * (BLOCK // WORD) + BLOCK + I16 + I1 + K, np.uint64)
    # from a cache line of 64 bytes on
    o = (WORD - U(numbers.ctypes.data) % WORD) % WORD * BLOCK // _BLOCK_BYTES
    scratch = Scratch(
        pointer_to(numbers, o + rows, like),
        pointer_to(numbers, o + block, like),
        pointer_to(numbers, o + whitened, like),
        pointer_to(numbers, o + values, like),
        extra,
        pointer_to(numbers, o + maximum, like),
        pointer_to(numbers, o + maximum + STRIDE, like),
        pointer_to(numbers, o + maximum + I2 * STRIDE, like),
        pointer_to(doubles, I0, doubles),
        pointer_to(doubles, STRIDE, doubles),
        pointer_to(doubles, I2 * STRIDE, doubles),
        pointer_to(lists, BLOCK + I16 + I1 + K, lists),
        pointer_to(lists, I0, lists),
        pointer_to(lists, BLOCK + I16, lists),
        capacity,
        pointer_to(lists, BLOCK + I16 + I1, lists),
        pointer_to(numbers, o + waiting_weight, like),
        pointer_to(numbers, o + waiting_rows, like),
        pointer_to(numbers, o + maximum + I3 * STRIDE, like),
        pointer_to(numbers, o + z, like),
        pointer_to(numbers, o + wz, like),
    )
    # the surplus rows, up to a multiple of four, hold zeros
    for row in range(d * STRIDE, height, STRIDE):
        fill(scratch.block, row, 0.0)
        fill(scratch.whitened, row, 0.0)
        fill(scratch.z, row, 0.0)
        fill(scratch.wz, row, 0.0)
    return scratch, (numbers, doubles, lists)
