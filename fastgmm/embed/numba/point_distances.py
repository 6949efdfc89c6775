"""Log-probabilities of one point under all components, eight at a time; see ``point_layout.py``.

What is not inlined takes few arguments: one array of parameters, one of workspace.
"""

import numpy as np

from ..._kernels._numba.jit import I0, I1, I2, I3, I4, I8, I16, U, part, shared_part, step
from ..._kernels._numba.layout import up_to_four
from ..._kernels._numba.posterior import LOG_PROB_FLOOR
from ..._kernels._numba.primitives import not_inlined, tail, vector_loop
from .model import by_model_type
from .vectors import subtract_four_rows, subtract_scaled


@step
def up_to_eight(count):
    """Return the next multiple of eight."""
    return (count + I8 - I1) // I8 * I8


@step
def row_of(memory, count, d, i):
    """Return one of four parts of a workspace, with a number for each feature.

    0 holds the point, 1 the whitened point, 2 and 3 are for moments. Before them lie ``count``
    numbers, one for each component.
    """
    return tail(memory, count + i * up_to_eight(d))


@part
def largest(values, count):
    """Return the largest of so many values, a multiple of 4, and of the floor."""
    m0 = m1 = m2 = m3 = LOG_PROB_FLOOR
    for k in range(I0, count, I4):
        m0 = max(m0, values[k])
        m1 = max(m1, values[k + I1])
        m2 = max(m2, values[k + I2])
        m3 = max(m3, values[k + I3])
    return max(max(m0, m1), max(m2, m3))


@part
def _subtract_rows(count, d, k, first, stop, start, parameters, memory):
    """Subtract the squares of rows first to stop - 1, for components k to k + 7.

    start, parameters  IN
    memory             IN OUT
    """
    rows = up_to_four(d)
    x, values = row_of(memory, count, d, I0), tail(memory, k)
    factors = tail(parameters, count * rows + k // I2 * rows * (rows + I4))
    shifts = tail(parameters, k * rows)
    for i in range(first, stop, I4):
        p, s = tail(factors, I4 * i * (i + I4)), tail(shifts, I8 * i)
        subtract_four_rows(p, s, x, min(i + I4, d), start, values)
        start = values


@shared_part
def _complete(count, d, first, cut, parameters, memory):
    """Subtract the other rows, of the eight components that look best first.

    Rows only subtract: the others are left when all eight are ``cut`` below the best component.

    parameters  IN
    memory      IN OUT
    """
    not_inlined()
    best, likely = LOG_PROB_FLOOR, I0
    for k in range(I0, count, I8):
        peak = largest(tail(memory, k), I8)
        if peak > best:
            best, likely = peak, k
    best = LOG_PROB_FLOOR
    for a in range(likely, likely + count, I8):
        k, i = a - count if a >= count else a, first
        values = tail(memory, k)
        peak = largest(values, I8)
        while i < d and peak >= best - cut:
            _subtract_rows(count, d, k, i, i + I4, values, parameters, memory)
            peak = largest(values, I8)
            i += I4
        if i >= d:
            best = max(best, peak)


@shared_part
def _full(count, d, cut, coefficients, parameters, memory):
    not_inlined()
    first = min(d, I16) if count > I8 and cut < np.inf else d
    for k in range(I0, count, I8):
        _subtract_rows(count, d, k, I0, first, tail(coefficients, k), parameters, memory)
    if first < d:
        _complete(count, d, first, cut, parameters, memory)


@part
def _subtract_diagonals(x, count, d, coefficients, parameters, memory):
    factors = tail(parameters, count * up_to_four(d))
    for k in range(I0, count, I8):
        o = k * up_to_four(d)
        start, values = tail(coefficients, k), tail(memory, k)
        subtract_scaled(tail(factors, o), tail(parameters, o), x, d, start, values)


@part
def _add_scaled(p, x, count, out):
    """Out += p x.

    p, x  IN
    out   ADDS TO
    """
    vector_loop()
    for i in range(count):
        out[i] += p[i] * x


@shared_part
def _tied(count, d, cut, coefficients, parameters, memory):
    not_inlined()
    fours = up_to_four(d)
    x, whitened = row_of(memory, count, d, I0), row_of(memory, count, d, I1)
    whitener = tail(parameters, I2 * count * fours)
    for i in range(fours):
        whitened[i] = 0.0
    for j in range(d):
        _add_scaled(tail(whitener, j * fours), x[j], fours, whitened)
    _subtract_diagonals(whitened, count, d, coefficients, parameters, memory)


@shared_part
def _scaled(count, d, cut, coefficients, parameters, memory):
    not_inlined()
    _subtract_diagonals(row_of(memory, count, d, I0), count, d, coefficients, parameters, memory)


def _caller(function):
    """Return a function that is inlined, and hands only what is needed to one that is not."""

    @step
    def call(model, coefficients, cut, memory):
        K, d = U(model.n_components), U(model.n_features)
        function(up_to_eight(K), d, cut, coefficients, model.point_parameters, memory)

    return call


#: Write coefficient - |factor x + shift|^2 for every component.
#:
#: model, coefficients  IN
#: cut                  IN      so far below the largest a value need only be some bound from above
#: memory               IN OUT  the workspace: the point about the origin; the values
point_log_prob = by_model_type(
    full=_caller(_full), tied=_caller(_tied), diag=_caller(_scaled), spherical=_caller(_scaled)
)
