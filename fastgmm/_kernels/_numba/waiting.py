"""Samples that wait until there are enough of them for long dot products.

The samples of a component wait about its centre, as columns of a block, with their w r. Blocks lie
as those of the scratch do; one holds as many components as have room beside one another.
"""

from .block import gather
from .jit import I0, I1, I3, I4, I16, U, by_covariance_type, part, shared_part, step
from .layout import second_start, up_to_four
from .primitives import not_inlined, sizes, tail, vector_loop
from .sums import add_products

# numbers that may wait to be added, for each sample of a block: 4 MiB in all. Blocks take up to 1.8
# times as much, as some of their columns stay empty.
_WAITING = U(1 << 11)


@step
def waiting_capacity(n_components, d, like):
    """Return how many samples may wait for each component: 4 MiB of numbers in all."""
    BLOCK = sizes(like)[0]
    capacity = _WAITING * BLOCK // (n_components * d) // I16 * I16
    return min(max(capacity, I16), BLOCK)


@step
def count_blocks(n_components, capacity, like):
    """Return how many blocks hold the samples that wait.

    like  IN  an array of the type of the packed components
    """
    beside = sizes(like)[1] // capacity
    return (n_components + beside - I1) // beside


@step
def _waiting_block(k, packed, scratch):
    """Return the block whose first columns are the samples that wait for component k.

    packed, scratch  IN
    """
    STRIDE, capacity = sizes(scratch.z)[1], U(scratch.capacity)
    beside = STRIDE // capacity
    start = k // beside * up_to_four(U(packed.n_features)) * STRIDE + k % beside * capacity
    return tail(scratch.waiting_block, start)


@shared_part
def _flush(k, packed, scratch, statistics):
    """Add the samples that wait to the sums of component k.

    packed                  IN
    waiting_weight          IN       of the scratch
    waiting, waiting_block  IN OUT   of the scratch
    w, wz                   OUT      of the scratch
    statistics              ADDS TO
    """
    not_inlined()
    w = scratch.w
    STRIDE = sizes(w)[1]
    d, K = U(packed.n_features), U(packed.n_components)
    m = scratch.waiting[k]
    o = k * U(scratch.capacity)
    padded = (m + I16 - I1) // I16 * I16
    total = 0.0
    scratch.waiting[k] = I0
    for a in range(m):
        w[a] = scratch.waiting_weight[o + a]
        total += w[a]
    statistics[k] += total
    for a in range(m, padded):
        w[a] = 0.0
    block = _waiting_block(k, packed, scratch)
    for j in range(d):
        for a in range(m, padded):
            block[j * STRIDE + a] = 0.0
    first, second = tail(statistics, K + k * d), tail(statistics, second_start(packed, k))
    add_products(block, w, d, padded, scratch.wz, first, second)


@step
def _flush_matrices(packed, scratch, statistics):
    """Add whatever still waits; see ``flush_all``."""
    for k in range(U(packed.n_components)):
        if scratch.waiting[k] > I0:
            _flush(k, packed, scratch, statistics)


@part
def _flush_nothing(packed, scratch, statistics):
    pass


#: Add whatever still waits.
#:
#: packed      IN
#: scratch     IN OUT
#: statistics  ADDS TO
flush_all = by_covariance_type(
    full=_flush_matrices,
    tied=_flush_matrices,
    diag=_flush_nothing,
    spherical=_flush_nothing,
    plane=_flush_nothing,
)


@part
def _append(rows, center, d, index, count, room, block):
    """Write listed samples about a centre as columns of a block.

    rows, center, index  IN
    block                OUT
    """
    STRIDE = sizes(rows)[1]
    # what is written beyond the last sample is written again, or set to zero
    fours = (count + I3) // I4 * I4
    if fours > room:
        fours = count // I4 * I4
    gather(rows, center, d, index, fours, block)
    for a in range(fours, count):
        row = tail(rows, index[a] * d)
        for j in range(d):
            block[j * STRIDE + a] = row[j] - center[j]


@part
def let_wait(selected, k, packed, scratch, statistics):
    """Let listed samples wait; add those of component k when there is no room for more.

    packed                                  IN
    rows, index, extra                      IN       of the scratch: ``extra`` holds their w r
    waiting, waiting_weight, waiting_block  IN OUT   of the scratch
    w, wz                                   OUT      of the scratch
    statistics                              ADDS TO
    """
    vector_loop()
    d = U(packed.n_features)
    capacity, waiting = U(scratch.capacity), scratch.waiting
    block, weight = _waiting_block(k, packed, scratch), tail(scratch.waiting_weight, k * capacity)
    s = I0
    while s < selected:
        first = waiting[k]
        room = capacity - first
        n = min(selected - s, room)
        for a in range(n):
            weight[first + a] = scratch.extra[s + a]
        _append(
            scratch.rows, tail(packed.centers, k * d), d, tail(scratch.index, s), n, room,
            tail(block, first),
        )  # fmt: skip
        s += n
        waiting[k] = first + n
        if first + n == capacity:
            _flush(k, packed, scratch, statistics)
