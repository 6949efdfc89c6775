"""Log-densities of the samples of a block under one component: neighbours of its groups differ."""

from ..layout import DIAG, SPHERICAL, TIED
from .jit import I0, I2, I3, I4, I8, U, part, shared_part
from .posterior import LOG_PROB_FLOOR
from .primitives import not_inlined, sizes, tail, vector_loop


@part
def _subtract_variances(mean, p, x, count, out):
    """Out -= sum over 4 features of (p (x - mean))^2 / 2.

    mean, p, x  IN
    out         ADDS TO
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(x)[1:]
    m0, m1, m2, m3 = mean[0], mean[1], mean[2], mean[3]
    p0, p1, p2, p3 = p[0], p[1], p[2], p[3]
    for b in range(count):
        y0 = p0 * (x[b] - m0)
        y1 = p1 * (x[STRIDE + b] - m1)
        y2 = p2 * (x[S2 + b] - m2)
        y3 = p3 * (x[S3 + b] - m3)
        out[b] -= 0.5 * (y0 * y0 + y1 * y1 + y2 * y2 + y3 * y3)


@part
def _subtract_mean(mean, x, count, z):
    """Z = x - mean, of one feature.

    x  IN
    z  OUT
    """
    vector_loop()
    for b in range(count):
        z[b] = x[b] - mean


@part
def _advance(u, height, z, count, y):
    """Y += U[:4, :4]^T z, for a tile of U whose rows are ``height`` numbers apart.

    u, z  IN
    y     ADDS TO
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(z)[1:]
    v, w, x = tail(u, height), tail(u, I2 * height), tail(u, I3 * height)
    a0, a1, a2, a3 = u[0], u[1], u[2], u[3]
    b0, b1, b2, b3 = v[0], v[1], v[2], v[3]
    c0, c1, c2, c3 = w[0], w[1], w[2], w[3]
    d0, d1, d2, d3 = x[0], x[1], x[2], x[3]
    for b in range(count):
        z0 = z[b]
        z1 = z[STRIDE + b]
        z2 = z[S2 + b]
        z3 = z[S3 + b]
        y[b] = y[b] + a0 * z0 + b0 * z1 + c0 * z2 + d0 * z3
        y[STRIDE + b] = y[STRIDE + b] + a1 * z0 + b1 * z1 + c1 * z2 + d1 * z3
        y[S2 + b] = y[S2 + b] + a2 * z0 + b2 * z1 + c2 * z2 + d2 * z3
        y[S3 + b] = y[S3 + b] + a3 * z0 + b3 * z1 + c3 * z2 + d3 * z3


@part
def _close_tile(u, height, z, count, y, out):
    """Out -= |y + U[:4, :4]^T z|^2 / 2, for a tile on the diagonal; y = 0.

    u, z  IN
    y     IN OUT
    out   ADDS TO
    """
    vector_loop()
    STRIDE, S2, S3 = sizes(z)[1:]
    v, w, x = tail(u, height), tail(u, I2 * height), tail(u, I3 * height)
    a0, a1, a2, a3 = u[0], u[1], u[2], u[3]
    b1, b2, b3 = v[1], v[2], v[3]
    c2, c3, d3 = w[2], w[3], x[3]
    for b in range(count):
        z0 = z[b]
        z1 = z[STRIDE + b]
        z2 = z[S2 + b]
        y0 = y[b] + a0 * z0
        y1 = y[STRIDE + b] + a1 * z0 + b1 * z1
        y2 = y[S2 + b] + a2 * z0 + b2 * z1 + c2 * z2
        y3 = y[S3 + b] + a3 * z0 + b3 * z1 + c3 * z2 + d3 * z[S3 + b]
        y[b] = y[STRIDE + b] = y[S2 + b] = y[S3 + b] = 0.0
        out[b] -= 0.5 * (y0 * y0 + y1 * y1 + y2 * y2 + y3 * y3)


@part
def _begin(value, count, out):
    """Write a constant.

    out  OUT
    """
    vector_loop()
    for b in range(count):
        out[b] = value


@part
def _end(count, out):
    """Raise what has overflowed to the smallest number that counts.

    out  IN OUT
    """
    vector_loop()
    for b in range(count):
        out[b] = out[b] if out[b] > LOG_PROB_FLOOR else LOG_PROB_FLOOR


@shared_part
def padded_log_prob(padded, k, count, x, z, y, log_prob):
    """Write log (w_k N(x | k)) of some samples; count is a multiple of 8.

    padded       IN
    x            IN   (height rows)
    z, log_prob  OUT  z (height rows)
    y            OUT  (4 rows) zeros, as before
    """
    not_inlined()
    STRIDE = sizes(x)[1]
    h = U(padded.height)
    count = count // I8 * I8
    mean = tail(padded.means, k * h)
    _begin(padded.coefficients[k], count, log_prob)
    if padded.kind == DIAG or padded.kind == SPHERICAL:
        p = tail(padded.factors, k * h)
        for j in range(I0, h, I4):
            _subtract_variances(tail(mean, j), tail(p, j), tail(x, j * STRIDE), count, log_prob)
    else:
        u = tail(padded.factors, I0 if padded.kind == TIED else k * h * h)
        for j in range(h):
            _subtract_mean(mean[j], tail(x, j * STRIDE), count, tail(z, j * STRIDE))
        for i in range(I0, h, I4):
            for j in range(I0, i, I4):
                _advance(tail(u, j * h + i), h, tail(z, j * STRIDE), count, y)
            _close_tile(tail(u, i * h + i), h, tail(z, i * STRIDE), count, y, log_prob)
    _end(count, log_prob)
