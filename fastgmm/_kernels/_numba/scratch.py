"""The memory in which one thread works on a block."""

from typing import Any, NamedTuple

import numpy as np

from ..layout import LARGEST_BLOCK
from .block import fill
from .jit import I0, I1, I8, I16, U, shared_part, slot_function, step
from .layout import up_to_four
from .primitives import carve, itemsize_of, keep_alive, not_inlined, sizes, tail
from .selection import WORD
from .waiting import count_blocks, waiting_capacity

_LINE = U(64)


class Scratch(NamedTuple):
    """Rows of a block, STRIDE numbers each, and lists.

    Numbers are of the type of the packed components, or of the one that is named. An array's size
    is no bound: it is that of all the memory from its first number on.
    """

    memory: Any  # float64: where all of these lie
    rows: Any  # samples as they come, d numbers each
    block: Any  # (d rows) the same, transposed
    zeros: Any  # (d,)
    gathered: Any  # (d rows) samples that are gathered, as block
    whitened: Any  # (d rows)
    values: Any  # (K rows, up to a multiple of 4) log-probabilities, then responsibilities
    extra: Any  # one row more
    maximum: Any
    threshold: Any
    bound: Any  # float32: see kept_distances.py
    share: Any
    norm: Any  # float64
    scale: Any  # float64
    weight: Any  # float64
    words: Any  # (K * BLOCK / 64,) uint64: see selection.py
    index: Any  # (BLOCK + 16,) uint64
    samples: Any  # (K, BLOCK) uint16: see kept_distances.py
    n_listed: Any  # (K,) uint64
    pause: Any  # (1,) uint64: see partial_distance.py
    capacity: Any  # how many samples may wait to be added, for each component
    waiting: Any  # (K,) uint64
    waiting_weight: Any  # (K, capacity)
    waiting_block: Any  # see waiting.py
    w: Any
    z: Any  # (d rows)
    wz: Any  # (d rows), of which moments use four


@shared_part
def _advance(memory, n_bytes):
    """Pass over so many bytes, in whole cache lines; return where they begin.

    memory  IN OUT  its first number is how much of it has been taken, in numbers of 8 bytes
    """
    not_inlined()
    taken = carve(memory, I0, np.uint64)
    start = taken[0]
    taken[0] = start + (n_bytes + _LINE - I1) // _LINE * I8
    return start


@step
def _take(memory, size, kind):
    """Take so many numbers of a type from the workspace.

    memory  IN OUT
    """
    return carve(memory, _advance(memory, size * itemsize_of(kind)), kind)


@step
def _take_rows(memory, used, count, like):
    """Take rows of a block; rows that are not used hold zeros.

    memory  IN OUT
    """
    STRIDE = sizes(like)[1]
    rows = _take(memory, count * STRIDE, like)
    if memory.size > 1:
        for i in range(used, count):
            fill(tail(rows, i * STRIDE), 0.0)
    return rows


@shared_part
def lay_out_scratch(memory, n_components, n_features, with_moments, like):
    """Divide the workspace of one thread, which the caller owns and which must live longer.

    memory  OUT  as many numbers as ``scratch_size`` returns; one number: measure alone
    like    IN   an array of the type of the packed components
    """
    not_inlined()
    K, d = n_components, n_features
    BLOCK, STRIDE = sizes(like)[:2]
    # the first whole cache line that is not that of the first number
    carve(memory, I0, np.uint64)[0] = I16 - U(memory.ctypes.data) % _LINE // I8
    height = up_to_four(d)
    block = _take_rows(memory, d, height, like)
    zeros = _take(memory, d, like)
    gathered = _take_rows(memory, d, height, like)
    whitened = _take_rows(memory, d, height, like)
    values = _take(memory, up_to_four(K) * STRIDE, like)
    extra = _take(memory, STRIDE, like)
    maximum = _take(memory, STRIDE, like)
    threshold = _take(memory, STRIDE, like)
    bound = _take(memory, U(LARGEST_BLOCK), np.float32)
    share = _take(memory, STRIDE, like)
    norm = _take(memory, STRIDE, np.float64)
    scale = _take(memory, STRIDE, np.float64)
    weight = _take(memory, STRIDE, np.float64)
    words = _take(memory, K * (BLOCK // WORD), np.uint64)
    index = _take(memory, BLOCK + I16, np.uint64)
    samples = _take(memory, K * BLOCK, np.uint16)
    n_listed = _take(memory, K, np.uint64)
    pause = _take(memory, I1, np.uint64)
    waiting = _take(memory, K, np.uint64)
    if memory.size > 1:
        pause[0] = I0
        for j in range(d):
            zeros[j] = 0.0
        for i in range(BLOCK + I16):
            index[i] = I0
        for k in range(K):
            waiting[k] = I0
    capacity = waiting_capacity(K, d, like) if with_moments else I0
    height = height if with_moments else I0
    w = _take(memory, STRIDE, like)
    z = _take_rows(memory, d, height, like)
    wz = _take_rows(memory, d, height, like)
    waiting_weight = _take(memory, K * capacity, like)
    blocks = count_blocks(K, capacity, like) if with_moments else I0
    waiting_block = _take(memory, blocks * height * STRIDE, like)
    if memory.size > 1:
        for i in range(blocks):
            for j in range(d, height):
                fill(tail(waiting_block, (i * height + j) * STRIDE), 0.0)
    rows = _take(memory, BLOCK * d, like)
    return Scratch(
        carve(memory, I0, np.float64), rows, block, zeros, gathered, whitened, values, extra,
        maximum, threshold, bound, share, norm, scale, weight, words, index, samples, n_listed,
        pause, capacity, waiting, waiting_weight, waiting_block, w, z, wz,
    )  # fmt: skip


@slot_function
def scratch_size(n_components, n_features, with_moments, like):
    """Return how many numbers of 8 bytes one thread needs for scratch.

    like  IN  an array of the type of the packed components
    """
    memory = np.empty(1)
    lay_out_scratch(memory, U(n_components), U(n_features), with_moments, like)
    return carve(memory, I0, np.uint64)[0] + I8


@slot_function
def new_scratch(n_components, n_features, with_moments, like):
    """Return scratch with a workspace of its own, which lives as long as any of its arrays.

    like  IN  an array of the type of the packed components
    """
    K, d = U(n_components), U(n_features)
    memory = np.empty(scratch_size(K, d, with_moments, like))
    return keep_alive(lay_out_scratch(memory, K, d, with_moments, like), memory)
