"""Blocks of points: the kernels of the passes, 256 points at a time."""

import numpy as np

from ..._kernels._numba.jit import I0, I2, U, open_function, part, reduction, shared_part, step
from ..._kernels._numba.load import load_block, load_weight
from ..._kernels._numba.mahalanobis import block_log_prob
from ..._kernels._numba.moments import add_block_moments
from ..._kernels._numba.posterior import find_best, normalize_block
from ..._kernels._numba.primitives import not_inlined, repeated, sizes, tail, vector_loop
from ..._kernels._numba.scratch import lay_out_scratch
from ..._kernels._numba.selection import CUT
from ..._kernels._numba.sums import share_out
from ..._kernels._numba.waiting import flush_all
from .checks import check_block, check_statistics, check_table
from .model import packed_of


@part
def _find_gaps(block, d, gaps):
    """Write for each point of a block 0, or NaN if it is not finite.

    block  IN
    gaps   OUT
    """
    vector_loop()
    BLOCK, STRIDE = sizes(block)[:2]
    for b in range(BLOCK):
        gaps[b] = 0.0 * block[b]
    for j in range(1, d):
        row = tail(block, j * STRIDE)
        for b in range(BLOCK):
            gaps[b] += 0.0 * row[b]


@reduction
def _count(gaps):
    vector_loop()
    total = I0
    for b in range(sizes(gaps)[0]):
        total += U(gaps[b] != 0.0)
    return total


@part
def _load(packed, X, first, count, scratch, gaps):
    """Copy points about the origin; those that are not finite become zeros. Return how many.

    packed, X          IN
    rows, block, gaps  OUT  of the scratch and the workspace
    """
    d, STRIDE = U(packed.n_features), sizes(scratch.block)[1]
    load_block(packed, X, first, count, scratch)
    _find_gaps(scratch.block, d, gaps)
    n_gaps = _count(gaps)
    if n_gaps > I0:
        for b in range(count):
            if gaps[b] != 0.0:
                for j in range(d):
                    scratch.rows[b * d + j] = 0.0
                    scratch.block[j * STRIDE + b] = 0.0
    return n_gaps


@step
def _scratch(packed, workspace):
    K, d = U(packed.n_components), U(packed.n_features)
    return lay_out_scratch(workspace.block, K, d, True, packed.centers)


@shared_part
def _log_densities(model, X, out, workspace):
    not_inlined()
    packed = packed_of(model, model.coefficients, model.shifts)
    scratch, gaps, n = _scratch(packed, workspace), workspace.gaps, U(X.shape[0])
    BLOCK = sizes(packed.centers)[0]
    for first in range(I0, n, BLOCK):
        count = min(BLOCK, n - first)
        _load(packed, X, first, count, scratch, gaps)
        block_log_prob(packed, scratch, CUT)
        normalize_block(scratch, U(packed.n_components), packed.offset, CUT)
        for b in range(count):
            out[first + b] = scratch.norm[b] + gaps[b]


@shared_part
def _components(model, X, out, workspace):
    not_inlined()
    packed = packed_of(model, model.coefficients, model.shifts)
    scratch, gaps, n = _scratch(packed, workspace), workspace.gaps, U(X.shape[0])
    BLOCK = sizes(packed.centers)[0]
    for first in range(I0, n, BLOCK):
        count = min(BLOCK, n - first)
        _load(packed, X, first, count, scratch, gaps)
        block_log_prob(packed, scratch, CUT)
        find_best(scratch.values, U(packed.n_components), scratch.share, scratch.extra)
        for b in range(count):
            out[first + b] = np.int64(scratch.extra[b]) if gaps[b] == 0.0 else np.int64(-1)


@shared_part
def _scaled_log_probs(model, coefficients, shifts, X, factor, lowest, out, workspace):
    not_inlined()
    packed = packed_of(model, coefficients, shifts)
    scratch, gaps, n = _scratch(packed, workspace), workspace.gaps, U(X.shape[0])
    BLOCK, STRIDE = sizes(packed.centers)[:2]
    for first in range(I0, n, BLOCK):
        count = min(BLOCK, n - first)
        _load(packed, X, first, count, scratch, gaps)
        block_log_prob(packed, scratch, np.inf)
        for b in range(count):
            for k in range(U(packed.n_components)):
                value = factor * scratch.values[k * STRIDE + b]
                out[first + b, k] = max(value, lowest) + gaps[b]


@shared_part
def _responsibilities(model, X, out, workspace):
    not_inlined()
    packed = packed_of(model, model.coefficients, model.shifts)
    scratch, gaps, n = _scratch(packed, workspace), workspace.gaps, U(X.shape[0])
    BLOCK, STRIDE = sizes(packed.centers)[:2]
    for first in range(I0, n, BLOCK):
        count = min(BLOCK, n - first)
        _load(packed, X, first, count, scratch, gaps)
        block_log_prob(packed, scratch, np.inf)
        normalize_block(scratch, U(packed.n_components), packed.offset, np.inf)
        for b in range(count):
            scale = scratch.scale[b] + gaps[b]
            for k in range(U(packed.n_components)):
                out[first + b, k] = scratch.values[k * STRIDE + b] * scale


@part
def _take_gaps_out(n_components, count, scratch, gaps, statistics):
    """Add NaN for the points that are not finite and of some weight, and let them weigh 0."""
    weight = scratch.weight
    for b in range(count):
        if gaps[b] != 0.0 and weight[b] != 0.0:
            statistics.log_likelihood[0] += gaps[b]
            for k in range(n_components):
                statistics.nk[k] += gaps[b]
            weight[b] = 0.0


@shared_part
def _accumulate(model, X, weight, statistics, workspace):
    not_inlined()
    packed = packed_of(model, model.coefficients, model.shifts)
    scratch, gaps, n = _scratch(packed, workspace), workspace.gaps, U(X.shape[0])
    BLOCK = sizes(packed.centers)[0]
    K, d = U(packed.n_components), U(packed.n_features)
    # moments of one or two features are sums over all samples
    cut = CUT if d > I2 else np.inf
    for first in range(I0, n, BLOCK):
        count = min(BLOCK, n - first)
        n_gaps = _load(packed, X, first, count, scratch, gaps)
        load_weight(weight, first, count, scratch)
        for b in range(count):
            statistics.weight[0] += scratch.weight[b]
        if n_gaps > I0:
            _take_gaps_out(K, count, scratch, gaps, statistics)
        block_log_prob(packed, scratch, cut)
        normalize_block(scratch, K, packed.offset, cut)
        statistics.log_likelihood[0] += share_out(
            scratch.weight, scratch.norm, scratch.scale, count, scratch.share
        )
        add_block_moments(packed, count, scratch, statistics.sums)
    flush_all(packed, scratch, statistics.sums)


@open_function
def log_density_block(model, X, out, workspace):
    r"""Write the log-density of each point of a block.

    .. math:: \log p(x) = \log \sum_k w_k \, N(x \mid \mu_k, \Sigma_k)

    Parameters
    ----------
    model : Model
    X : (m, d) array
        float64 or float32, in any memory order.
    out : (m,) array
        Written: in nats; NaN where a point is not finite.
    workspace : Workspace

    Raises
    ------
    ValueError
        If an array is of another shape, or the workspace for another model or for one point.
    """
    check_block(model, X, out.shape[0], workspace)
    _log_densities(model, repeated(X), out, workspace)


@open_function
def component_block(model, X, out, workspace):
    """Write the component of the largest responsibility, of equal ones the first.

    Parameters
    ----------
    model : Model
    X : (m, d) array
        float64 or float32, in any memory order.
    out : (m,) array of int64
        Written: -1 where a point is not finite.
    workspace : Workspace

    Raises
    ------
    ValueError
        If an array is of another shape, or the workspace for another model or for one point.
    """
    check_block(model, X, out.shape[0], workspace)
    _components(model, repeated(X), out, workspace)


@open_function
def log_joint_block(model, X, out, workspace):
    """Write log w_k + log N(x | mean_k, covariance_k) for each point and component.

    Parameters
    ----------
    model : Model
    X : (m, d) array
        float64 or float32, in any memory order.
    out : (m, K) array
        Written: in nats; NaN where a point is not finite.
    workspace : Workspace

    Raises
    ------
    ValueError
        If an array is of another shape, or the workspace for another model or for one point.
    """
    check_block(model, X, out.shape[0], workspace)
    check_table(model, out)
    coefficients, shifts = model.coefficients, model.shifts
    _scaled_log_probs(model, coefficients, shifts, repeated(X), 1.0, -np.inf, out, workspace)


@open_function
def mahalanobis_block(model, X, out, workspace):
    """Write the squared Mahalanobis distance of each point from each mean.

    Parameters
    ----------
    model : Model
    X : (m, d) array
        float64 or float32, in any memory order.
    out : (m, K) array
        Written: (x - mean_k)^T precision_k (x - mean_k); NaN where a point is not finite.
    workspace : Workspace

    Raises
    ------
    ValueError
        If an array is of another shape, or the workspace for another model or for one point.
    """
    check_block(model, X, out.shape[0], workspace)
    check_table(model, out)
    coefficients, shifts = model.zeros, model.distance_shifts
    # the expanded square of a point on a mean may be rounded below zero
    _scaled_log_probs(model, coefficients, shifts, repeated(X), -2.0, 0.0, out, workspace)


@open_function
def responsibilities_block(model, X, out, workspace):
    """Write the responsibilities p(k | x) of each point.

    Parameters
    ----------
    model : Model
    X : (m, d) array
        float64 or float32, in any memory order.
    out : (m, K) array
        Written: w_k N(x | mean_k, covariance_k) / p(x); NaN where a point is not finite.
    workspace : Workspace

    Raises
    ------
    ValueError
        If an array is of another shape, or the workspace for another model or for one point.
    """
    check_block(model, X, out.shape[0], workspace)
    check_table(model, out)
    _responsibilities(model, repeated(X), out, workspace)


@open_function
def accumulate_block(model, X, weight, statistics, workspace):
    """Add points to statistics under their responsibilities (the E step).

    With r = p(k | x) and z = x - mean_k: nk += w r, first += w r z, second += w r z z^T,
    log_likelihood += w log p(x). A point that is not finite adds NaN to nk and log_likelihood, and
    nothing to the other moments. A point of weight 0 adds nothing, whatever it holds.
    Each call adds up what it holds before it returns; so one call with many points takes less time
    than many calls.

    Parameters
    ----------
    model : Model
    X : (m, d) array
        float64 or float32, in any memory order.
    weight : (m,) array
        1 counts a point once.
    statistics : Statistics
        Of this model; added to.
    workspace : Workspace

    Raises
    ------
    ValueError
        If an array is of another shape, or the statistics or the workspace are for another model.
    """
    check_block(model, X, weight.shape[0], workspace)
    check_statistics(model, statistics)
    _accumulate(model, repeated(X), repeated(weight), statistics, workspace)
