"""One point at a time."""

import numpy as np

from ..._kernels._numba.jit import (
    I0,
    I1,
    U,
    open_function,
    part,
    reduction,
    shared_part,
    step,
)
from ..._kernels._numba.posterior import LOG_PROB_FLOOR, exp64, log
from ..._kernels._numba.primitives import not_inlined, vector_loop
from ..._kernels._numba.selection import CUT
from .checks import check_out, check_statistics, check_workspace
from .point_distances import largest, point_log_prob, row_of, up_to_eight
from .point_moments import add_point


@part
def _load(x, d, origin, out):
    """Write the point about the origin; return 0, or NaN if it is not finite.

    x, origin  IN
    out        OUT
    """
    gap = 0.0
    for j in range(d):
        value = x[j] - origin[j]
        out[j] = value
        gap += 0.0 * value
    return gap


@step
def _log_prob(model, coefficients, x, cut, workspace):
    """Write coefficient - |factor x + shift|^2; return 0, or NaN if the point is not finite."""
    memory = workspace.point
    if x.size != model.n_features:
        raise ValueError("x should hold as many numbers as the model has features")
    check_workspace(model, workspace)
    K, d = U(model.n_components), U(model.n_features)
    gap = _load(x, d, model.origin, row_of(memory, up_to_eight(K), d, I0))
    point_log_prob(model, coefficients, cut, memory)
    return gap


@part
def _exponentiate(values, count, maximum, smallest):
    """Write e^(value - maximum)."""
    vector_loop()
    for k in range(count):
        values[k] = exp64(max(values[k], LOG_PROB_FLOOR) - maximum, smallest)


@reduction
def _sum(values, count):
    vector_loop()
    total = 0.0
    for k in range(count):
        total += values[k]
    return total


@shared_part
def _normalize(values, n_components, smallest):
    """Turn log-probabilities into unnormalised responsibilities; return log p(x), 1 / their sum.

    values  IN OUT
    """
    not_inlined()
    vector_loop()
    count = up_to_eight(n_components)
    maximum = largest(values, count)
    _exponentiate(values, count, maximum, smallest)
    for k in range(n_components, count):
        values[k] = 0.0  # they have no share where all components are at the floor
    total = _sum(values, count)
    return maximum + log(total), 1.0 / total


@step
def _posterior(model, x, cut, workspace):
    gap = _log_prob(model, model.coefficients, x, cut, workspace)
    norm, scale = _normalize(workspace.point, U(model.n_components), -cut)
    return norm + gap, scale + gap


@open_function
def log_density(model, x, workspace):
    r"""Return the log-density of a point.

    .. math:: \log p(x) = \log \sum_k w_k \, N(x \mid \mu_k, \Sigma_k)

    Parameters
    ----------
    model : Model
    x : (d,) array
        float64 or float32.
    workspace : Workspace

    Returns
    -------
    float
        In nats; NaN if the point is not finite.

    Raises
    ------
    ValueError
        If x is of another size, or the workspace for another model.
    """
    return _posterior(model, x, CUT, workspace)[0]


@open_function
def component(model, x, workspace):
    """Return the component of the largest responsibility, of equal ones the first.

    Parameters
    ----------
    model : Model
    x : (d,) array
        float64 or float32.
    workspace : Workspace

    Returns
    -------
    int
        -1 if the point is not finite.

    Raises
    ------
    ValueError
        If x is of another size, or the workspace for another model.
    """
    gap = _log_prob(model, model.coefficients, x, CUT, workspace)
    values, best = workspace.point, I0
    for k in range(I1, U(model.n_components)):
        if values[k] > values[best]:
            best = U(k)
    return np.int64(best) if gap == 0.0 else np.int64(-1)


@open_function
def log_joint(model, x, out, workspace):
    """Write log w_k + log N(x | mean_k, covariance_k) for each component.

    Parameters
    ----------
    model : Model
    x : (d,) array
        float64 or float32.
    out : (K,) array
        Written: in nats; NaN if the point is not finite.
    workspace : Workspace

    Raises
    ------
    ValueError
        If x or out is of another size, or the workspace for another model.
    """
    check_out(model, out)
    gap = _log_prob(model, model.coefficients, x, np.inf, workspace)
    for k in range(U(model.n_components)):
        out[k] = workspace.point[k] + gap


@open_function
def mahalanobis(model, x, out, workspace):
    """Write the squared Mahalanobis distance of a point from each mean.

    Parameters
    ----------
    model : Model
    x : (d,) array
        float64 or float32.
    out : (K,) array
        Written: (x - mean_k)^T precision_k (x - mean_k); NaN if the point is not finite.
    workspace : Workspace

    Raises
    ------
    ValueError
        If x or out is of another size, or the workspace for another model.
    """
    check_out(model, out)
    gap = _log_prob(model, model.zeros, x, np.inf, workspace)
    for k in range(U(model.n_components)):
        out[k] = gap - 2.0 * workspace.point[k]


@open_function
def responsibilities(model, x, out, workspace):
    """Write the responsibilities p(k | x) of a point.

    Parameters
    ----------
    model : Model
    x : (d,) array
        float64 or float32.
    out : (K,) array
        Written: w_k N(x | mean_k, covariance_k) / p(x); NaN if the point is not finite.
    workspace : Workspace

    Returns
    -------
    float
        log p(x), in nats.

    Raises
    ------
    ValueError
        If x or out is of another size, or the workspace for another model.
    """
    check_out(model, out)
    norm, scale = _posterior(model, x, np.inf, workspace)
    for k in range(U(model.n_components)):
        out[k] = workspace.point[k] * scale
    return norm


@open_function
def accumulate(model, x, weight, statistics, workspace):
    """Add a point to statistics under its responsibilities (the E step).

    With r = p(k | x) and z = x - mean_k: nk += w r, first += w r z, second += w r z z^T,
    log_likelihood += w log p(x). A point that is not finite adds NaN to nk and log_likelihood, and
    nothing to the other moments. A point of weight 0 adds nothing, whatever it holds.

    Parameters
    ----------
    model : Model
    x : (d,) array
        float64 or float32.
    weight : float
        1 counts the point once.
    statistics : Statistics
        Of this model; added to.
    workspace : Workspace

    Raises
    ------
    ValueError
        If x is of another size, or the statistics or the workspace are for another model.
    """
    check_statistics(model, statistics)
    norm, scale = _posterior(model, x, CUT, workspace)
    if weight == 0.0:
        return
    statistics.log_likelihood[0] += weight * norm
    statistics.weight[0] += weight
    share = weight * scale
    if np.isnan(share):
        for k in range(model.n_components):
            statistics.nk[k] += share
        return
    add_point(model, share, workspace.point, statistics.sums)
