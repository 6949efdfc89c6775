"""Products of four rows with one another, again and again: what a processor can multiply and add.

No fit needs it. Over rows in first-level cache it shows the multiply-add peak, over rows in memory
the bandwidth.
"""

from numba import prange

from ._jit import I0, U, parallel, slot_function
from .sums import add_gram


@slot_function
def gram_slot(values, stride, start, stop, n_repeats, products):
    """Add ``n_repeats`` times the products of the columns start to stop."""
    for _ in range(n_repeats):
        add_gram(values, stride, start, stop - start, products, I0)


@parallel
def gram(values, stride, bounds, n_repeats, slots):
    """Run ``gram_slot`` for every slot."""
    for t in prange(slots.shape[0]):
        gram_slot(values, U(stride), U(bounds[t]), U(bounds[t + 1]), U(n_repeats), slots[t])
