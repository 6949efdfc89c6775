"""Densities of the observed features of rows with missing values, which are NaN.

Rows with the same gaps should be neighbours. Each run of them in a block is one regression.
"""

from ..layout import FULL, TIED
from .block import advance, fill
from .jit import I0, I1, I4, I16, U, part, shared_part, step
from .layout import up_to_four
from .posterior import find_maximum, log
from .primitives import not_inlined, sizes, tail, vector_loop
from .regression import list_missing, orthogonalize, project

_HALF_LOG_2PI = 0.9189385332046727


@part
def is_matrix(plain):
    """Return whether covariances are matrices.

    plain  IN
    """
    return plain.kind == FULL or plain.kind == TIED


@step
def factor_of(plain, k):
    """Return the factor of a component: tiles of U^T, or a number for each feature.

    plain  IN
    """
    shared = I0 if plain.kind == TIED else U(k)
    return tail(plain.factors, shared * U(plain.factor_size))


@part
def _load(X, d, first, count, block):
    """Write rows of X as the rows of a block, transposed.

    X      IN
    block  OUT
    """
    STRIDE = sizes(block)[1]
    for b in range(count):
        for j in range(d):
            block[j * STRIDE + b] = X[(first + b) * d + j]


@part
def run_end(block, d, start, count):
    """Return the first sample behind ``start`` that has other gaps.

    block  IN
    """
    STRIDE = sizes(block)[1]
    b = start + I1
    while b < count:
        for j in range(d):
            x, y = block[j * STRIDE + start], block[j * STRIDE + b]
            if (x == x) != (y == y):
                return b
        b += I1
    return b


@part
def _deviate(x, mean, count, z):
    """Write x - mean, or 0 where x is missing, of one feature.

    x  IN
    z  OUT
    """
    vector_loop()
    for b in range(count):
        value = x[b] - mean
        z[b] = value if value == value else 0.0


@shared_part
def whiten_observed(plain, k, block, count, z, y):
    """Write z = x - mean, with 0 for what is missing, and y = U^T z.

    plain, block  IN
    z, y          OUT  (d rows)
    """
    not_inlined()
    STRIDE = sizes(block)[1]
    d = U(plain.n_features)
    for j in range(d):
        row = tail(z, j * STRIDE)
        _deviate(tail(block, j * STRIDE), plain.means[k * d + j], count, row)
    tile = factor_of(plain, k)
    if not is_matrix(plain):
        for j in range(d):
            for b in range(count):
                y[j * STRIDE + b] = tile[j] * z[j * STRIDE + b]
        return
    o = I0
    for i in range(up_to_four(d) // I4):
        rows = tail(y, i * I4 * STRIDE)
        for j in range(I4):
            for b in range(count):
                rows[j * STRIDE + b] = 0.0
        for j in range(i + I1):
            advance(tail(tile, o), tail(z, j * I4 * STRIDE), count, rows)
            o += I16


@part
def _add_squares(y, count, values):
    """Take y^2 / 2 from the log-probabilities.

    y       IN
    values  ADDS TO
    """
    vector_loop()
    for b in range(count):
        values[b] -= 0.5 * (y[b] * y[b])


@part
def _add_constant(values, value, start, stop):
    """Add a number to the log-probabilities of a run.

    values  ADDS TO
    """
    for b in range(start, stop):
        values[b] += value


@part
def regress_run(plain, k, block, start, stop, scratch, matrices, missing):
    """Take what the missing features of a run explain from y; return their number and log det R.

    plain, block       IN
    whitened           IN OUT  of the scratch
    wz                 OUT     of the scratch: t
    matrices, missing  OUT     Q, R
    """
    d = U(plain.n_features)
    m = list_missing(block, d, start, missing)
    log_det = 0.0
    if not is_matrix(plain):
        factor = factor_of(plain, k)
        for a in range(m):
            log_det += log(factor[missing[a]])
    elif m > I0:
        r = tail(matrices, d * d)
        log_det = orthogonalize(factor_of(plain, k), d, missing, m, matrices, r)
        y, t = tail(scratch.whitened, start), tail(scratch.wz, start)
        project(matrices, d, missing, m, stop - start, y, t)
    return m, log_det


@part
def _component_log_prob(plain, k, count, scratch, matrices, missing):
    """Write log (w_k N(x_O | k)) of a block.

    plain              IN
    block              IN   of the scratch
    whitened, z, wz    OUT  of the scratch
    values             OUT  of the scratch
    matrices, missing  OUT  workspace
    """
    STRIDE = sizes(scratch.block)[1]
    d = U(plain.n_features)
    values = tail(scratch.values, k * STRIDE)
    fill(values, plain.coefficients[k])
    whiten_observed(plain, k, scratch.block, count, scratch.z, scratch.whitened)
    start = I0
    while start < count:
        stop = run_end(scratch.block, d, start, count)
        m, log_det = regress_run(plain, k, scratch.block, start, stop, scratch, matrices, missing)
        _add_constant(values, m * _HALF_LOG_2PI - log_det, start, stop)
        start = stop
    for j in range(d):
        _add_squares(tail(scratch.whitened, j * STRIDE), count, values)


@shared_part
def observed_log_prob(X, plain, first, count, scratch, matrices, missing):
    """Load a block, and write log (w_k N(x_O | k)) and the largest of each sample.

    X, plain           IN
    scratch            OUT
    matrices, missing  OUT  workspace
    """
    not_inlined()
    _load(X, U(plain.n_features), first, count, scratch.block)
    for k in range(U(plain.n_components)):
        _component_log_prob(plain, k, count, scratch, matrices, missing)
    find_maximum(scratch.values, U(plain.n_components), scratch.maximum)
