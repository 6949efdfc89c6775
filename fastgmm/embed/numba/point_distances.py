"""Log-probabilities of one point under all components, eight at a time; see ``point_layout.py``.

What is not inlined takes few arguments: one array of parameters, one of workspace.
"""

from ..._kernels._numba.jit import I0, I1, I2, I4, I8, U, part, shared_part, step
from ..._kernels._numba.layout import up_to_four
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


@shared_part
def _full(count, d, coefficients, parameters, memory):
    not_inlined()
    x = row_of(memory, count, d, I0)
    factors = tail(parameters, count * up_to_four(d))
    o = s = I0
    for k in range(I0, count, I8):
        start, values = tail(coefficients, k), tail(memory, k)
        for i in range(I0, d, I4):
            columns = min(i + I4, d)
            subtract_four_rows(tail(factors, o), tail(parameters, s), x, columns, start, values)
            start = values
            o += I4 * I8 * (i + I4)
            s += I4 * I8


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
def _tied(count, d, coefficients, parameters, memory):
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
def _scaled(count, d, coefficients, parameters, memory):
    not_inlined()
    _subtract_diagonals(row_of(memory, count, d, I0), count, d, coefficients, parameters, memory)


def _caller(function):
    """Return a function that is inlined, and hands only what is needed to one that is not."""

    @step
    def call(model, coefficients, memory):
        K, d = U(model.n_components), U(model.n_features)
        function(up_to_eight(K), d, coefficients, model.point_parameters, memory)

    return call


#: Write coefficient - |factor x + shift|^2 for every component.
#:
#: model, coefficients  IN
#: memory               IN OUT  the workspace: the point about the origin; the values
point_log_prob = by_model_type(
    full=_caller(_full), tied=_caller(_tied), diag=_caller(_scaled), spherical=_caller(_scaled)
)
