"""How many rows: small sums that several kernels share."""

from .jit import I1, I3, I4, step


@step
def first_rows(d):
    """Return how many rows of a full factor come first, 1 to 4; the others come in fours."""
    return (d - I1) % I4 + I1


@step
def up_to_four(count):
    """Return the next multiple of four."""
    return (count + I3) // I4 * I4
