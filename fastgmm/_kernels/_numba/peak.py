"""Products of four rows with one another, again and again: what a processor can multiply and add.

No fit needs it. Over rows in first-level cache it shows the multiply-add peak, over rows in memory
the bandwidth.
"""

from numba import prange

from ._jit import I0, U, block_function, parallel, serial
from .sums import add_gram


@block_function
def _repeat(values, stride, start, stop, n_repeats, products):
    for _ in range(n_repeats):
        add_gram(values, stride, start, stop - start, products, I0)


@parallel
def gram(values, stride, bounds, n_repeats, slots):
    """Add ``n_repeats`` times the products of the columns of every slot."""
    for t in prange(slots.shape[0]):
        _repeat(values, U(stride), U(bounds[t]), U(bounds[t + 1]), U(n_repeats), slots[t])


@serial
def gram_serially(values, stride, bounds, n_repeats, slots):
    """Do as ``gram``, on this thread."""
    for t in range(slots.shape[0]):
        _repeat(values, U(stride), U(bounds[t]), U(bounds[t + 1]), U(n_repeats), slots[t])
