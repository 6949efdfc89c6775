"""Products of four rows with one another, again and again: what a processor can multiply and add.

No fit needs it. Over rows in first-level cache it shows the multiply-add peak, over rows in memory
the bandwidth.
"""

from ._jit import I0, I1, U, block_function, slot_function
from .pointers import fetch
from .sums import add_gram


@block_function
def _repeat(values, stride, start, stop, n_repeats, products):
    for _ in range(n_repeats):
        add_gram(values, stride, start, stop - start, products, I0)


@slot_function
def gram(frame, t):
    """Add ``n_repeats`` times the products of the columns of one slot."""
    values, stride, bounds, n_repeats, slots = fetch(frame)
    start, stop = U(bounds[t]), U(bounds[t + I1])
    _repeat(values, U(stride), start, stop, U(n_repeats), slots[t])
