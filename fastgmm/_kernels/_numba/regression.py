"""Missing deviations from a mean, given the observed ones: least squares in whitened coordinates.

U U^T is a precision, z are deviations with 0 where they are missing, and y = U^T z. The conditional
means of the missing deviations make y as short as possible. With Q R = the columns of U^T that
belong to them, and t = Q^T y::

    y - Q t     whitened observed deviations: half its square is that of the marginal density
    -R^-1 t     conditional means
    R^-1 R^-T   conditional covariance

Missing features are listed from the last to the first. So each column of U^T begins above those
before it, and what is orthogonal to them is at least as long as a pivot of U.
"""

import numpy as np

from .jit import I0, I1, I2, I4, I16, U, part, shared_part
from .posterior import log
from .primitives import not_inlined, sizes, tail, vector_loop


@part
def _tile_offset(i, j):
    """Return where element (i, j) of a lower triangle of tiles is, if tiles are rows of rows.

    i, j  IN
    """
    row = i // I4
    return I16 * (row * (row + I1) // I2 + j // I4) + i % I4 * I4 + j % I4


@part
def list_missing(block, d, b, missing):
    """List the features that sample b lacks, from the last to the first; return their number.

    block    IN
    missing  OUT
    """
    STRIDE = sizes(block)[1]
    m = I0
    for i in range(d):
        j = d - I1 - i
        x = block[j * STRIDE + b]
        if x != x:
            missing[m] = j
            m += I1
    return m


@part
def _copy_column(factor, d, j, out):
    """Write column j of U^T, given as tiles that are columns of rows.

    factor  IN
    out     OUT
    j       IN
    """
    for i in range(j):
        out[i] = 0.0
    for i in range(j, d):
        o = _tile_offset(i, j)
        row, column = i % I4, j % I4
        out[i] = factor[o - row * I4 - column + column * I4 + row]


@shared_part
def orthogonalize(factor, d, missing, m, q, r):
    """Write Q, m rows of d numbers, and R, with rows of d numbers; return log det R.

    Each column is made orthogonal to those before it, twice, so that Q is orthogonal to rounding.

    factor, missing  IN
    q, r             OUT
    """
    not_inlined()
    log_det = 0.0
    for c in range(m):
        own = tail(q, c * d)
        j = missing[c]
        _copy_column(factor, d, j, own)
        for a in range(c):
            r[a * d + c] = 0.0
        for _ in range(2):
            for a in range(c):
                before = tail(q, a * d)
                product = 0.0
                for i in range(missing[a], d):
                    product += before[i] * own[i]
                for i in range(missing[a], d):
                    own[i] -= product * before[i]
                r[a * d + c] += product
        square = 0.0
        for i in range(j, d):
            square += own[i] * own[i]
        length = np.sqrt(square)
        for i in range(j, d):
            own[i] /= length
        r[c * d + c] = length
        log_det += log(length)
    return log_det


@part
def _add_scaled(x, factor, count, y):
    """Y += factor x, one number for each sample.

    x, factor  IN
    y          ADDS TO
    """
    vector_loop()
    for b in range(count):
        y[b] += factor * x[b]


@shared_part
def project(q, d, missing, m, count, y, t):
    """Write t = Q^T y, and take Q t from y.

    q, missing  IN
    y           IN OUT  (d rows)
    t           OUT     (m rows)
    """
    not_inlined()
    STRIDE = sizes(y)[1]
    for a in range(m):
        own, first = tail(t, a * STRIDE), missing[a]
        for b in range(count):
            own[b] = 0.0
        for i in range(first, d):
            _add_scaled(tail(y, i * STRIDE), q[a * d + i], count, own)
        for i in range(first, d):
            _add_scaled(own, -q[a * d + i], count, tail(y, i * STRIDE))


@part
def predict(r, d, missing, m, count, t, z):
    """Write -R^-1 t in place of the missing deviations.

    r, missing  IN
    t           IN OUT  (m rows)
    z           OUT     (d rows)
    """
    STRIDE = sizes(z)[1]
    for i in range(m):
        a = m - I1 - i
        own, out = tail(t, a * STRIDE), tail(z, missing[a] * STRIDE)
        for c in range(a + I1, m):
            _add_scaled(tail(z, missing[c] * STRIDE), r[a * d + c], count, own)
        for b in range(count):
            out[b] = -own[b] / r[a * d + a]


@part
def add_covariance(r, d, missing, m, weight, inverse, second):
    """Add weight R^-1 R^-T to the tiles of a matrix of second moments.

    r, missing, weight  IN
    inverse             OUT      workspace
    second              ADDS TO
    """
    for c in range(m):
        inverse[c * d + c] = 1.0 / r[c * d + c]
        for i in range(c):
            a = c - I1 - i
            total = 0.0
            for e in range(a + I1, c + I1):
                total += r[a * d + e] * inverse[e * d + c]
            inverse[a * d + c] = -total / r[a * d + a]
    for c in range(m):
        for a in range(c + I1):
            total = 0.0
            for e in range(c, m):
                total += inverse[a * d + e] * inverse[c * d + e]
            second[_tile_offset(U(missing[a]), U(missing[c]))] += weight * total
