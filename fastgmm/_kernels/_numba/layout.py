"""How many rows, and where statistics begin: small sums that several kernels share."""

from .jit import I0, I1, I2, I3, I4, I16, U, by_covariance_type, step


@step
def first_rows(d):
    """Return how many rows of a full factor come first, 1 to 4; the others come in fours."""
    return (d - I1) % I4 + I1


@step
def up_to_four(count):
    """Return the next multiple of four."""
    return (count + I3) // I4 * I4


def _triangle(packed):
    rows = up_to_four(U(packed.n_features)) // I4
    return I16 * (rows * (rows + I1) // I2)


def _none(packed):
    return I0


def _row(packed):
    return U(packed.n_features)


# how far apart the second moments of two components are in the statistics
_second_stride = by_covariance_type(full=_triangle, tied=_none, diag=_row, spherical=_row)


@step
def second_start(packed, k):
    """Return where the second moments of component k begin in the statistics.

    packed  IN
    """
    d = U(packed.n_features)
    return U(packed.n_components) * (I1 + d) + k * _second_stride(packed)
