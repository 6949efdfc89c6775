"""Repeated products of four rows with one another: the multiply-adds that a processor can do.

No fit needs this kernel. With rows in first-level cache it measures the multiply-add peak, with
rows in memory the bandwidth.
"""

from numba import prange

from .jit import U, parallel_pass, part
from .primitives import tail
from .sums import add_gram


@part
def _gram_slot(values, stride, start, stop, n_repeats, products):
    """Add ``n_repeats`` times the products of the columns start to stop.

    values    IN
    products  ADDS TO
    """
    for _ in range(n_repeats):
        add_gram(tail(values, start), stride, stop - start, products)


@parallel_pass
def gram(values, stride, bounds, n_repeats, slots):
    """Run ``_gram_slot`` for every slot.

    values, bounds  IN
    slots           ADDS TO
    """
    for t in prange(len(slots)):
        start, stop = U(bounds[t]), U(bounds[t + 1])
        _gram_slot(values, U(stride), start, stop, U(n_repeats), slots[t])
