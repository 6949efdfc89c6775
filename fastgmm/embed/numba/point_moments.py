"""Weighted moments of one point about each component's centre; layout as for blocks."""

from ..._kernels._numba.jit import I0, I1, I2, I3, I4, I16, U, part, shared_part, step
from ..._kernels._numba.primitives import not_inlined, tail, vector_loop
from .model import by_model_type
from .point_distances import row_of, up_to_eight


@part
def _add_tile(wz, z, out):
    """Out += wz z^T for four numbers of each.

    wz, z  IN
    out    ADDS TO
    """
    vector_loop()
    for a in range(I4):
        for b in range(I4):
            out[I4 * a + b] += wz[a] * z[b]


@shared_part
def _add_matrices(K, d, share, centers, stride, memory, sums):
    """Add z z^T as the lower triangle of 4 x 4 tiles, ``stride`` apart for two components.

    centers  IN
    memory   IN OUT   the point about the origin, and its responsibilities
    sums     ADDS TO
    """
    not_inlined()
    count = up_to_eight(K)
    x, z = row_of(memory, count, d, I0), row_of(memory, count, d, I2)
    wz = row_of(memory, count, d, I3)
    for k in range(K):
        w = memory[k] * share
        if w == 0.0:
            continue
        sums[k] += w
        for j in range(d):
            z[j] = x[j] - centers[k * d + j]
            wz[j] = w * z[j]
            sums[K + k * d + j] += wz[j]
        o = K * (I1 + d) + k * stride
        for i in range(I0, d, I4):
            for j in range(I0, i + I1, I4):
                _add_tile(tail(wz, i), tail(z, j), tail(sums, o))
                o += I16


@shared_part
def _add_squares(K, d, share, centers, memory, sums):
    """Add z^2.

    centers  IN
    memory   IN       the point about the origin, and its responsibilities
    sums     ADDS TO
    """
    not_inlined()
    vector_loop()
    x = row_of(memory, up_to_eight(K), d, I0)
    for k in range(K):
        w = memory[k] * share
        if w == 0.0:
            continue
        sums[k] += w
        for j in range(d):
            o = k * d + j
            z = x[j] - centers[o]
            sums[K + o] += w * z
            sums[K * (I1 + d) + o] += w * z * z


@step
def _full(model, share, memory, sums):
    d = U(model.n_features)
    rows = (d + I3) // I4
    stride = I16 * (rows * (rows + I1) // I2)
    _add_matrices(U(model.n_components), d, share, model.centers, stride, memory, sums)


@step
def _tied(model, share, memory, sums):
    K, d = U(model.n_components), U(model.n_features)
    _add_matrices(K, d, share, model.centers, I0, memory, sums)


@step
def _scaled(model, share, memory, sums):
    K, d = U(model.n_components), U(model.n_features)
    _add_squares(K, d, share, model.centers, memory, sums)


#: Add the moments of a point.
#:
#: model   IN
#: share   IN       times the responsibilities in memory: w r
#: memory  IN OUT   the workspace
#: sums    ADDS TO
add_point = by_model_type(full=_full, tied=_tied, diag=_scaled, spherical=_scaled)
