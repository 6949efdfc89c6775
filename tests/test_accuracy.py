"""Errors against 50-digit arithmetic stay below bounds that follow from an error analysis.

u is half the distance from 1 to the next number. Sums of m products are wrong by at most m u times
the sum of their absolute values (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), so
every bound below is a count of operations times u times absolute values. None is fitted.
"""

from typing import Any

import numpy as np
import pytest
from accuracy import (
    CONDITIONS,
    OFFSETS,
    QUANTITIES,
    Answer,
    K,
    N,
    Regime,
    dense,
    errors,
    fastgmm_answer,
    fastgmm_step,
    log_joint,
    problem,
    regimes,
    truth,
)
from generators import KERNEL_KINDS, Array
from numpy.typing import NDArray
from scipy.special import logsumexp

from fastgmm.data.samples import Samples
from fastgmm.em.float32 import SMALLEST_PASS, allows_float32
from fastgmm.model.parameters import MixtureParameters

U64, U32 = 2.0**-53, 2.0**-24
#: A responsibility below this is left out of the moments.
NEGLIGIBLE = 1e-16
#: Samples of a block, whose sums are float32 where blocks are.
FLOAT32_BLOCK = 512


def is_quick(regime: Regime) -> bool:
    extremes = regime.condition in (1.0, CONDITIONS[-1]) and regime.offset in (0.0, OFFSETS[-1])
    return extremes and regime.d == 5


def name_of(regime: Regime) -> str:
    return (
        f"{regime.covariance_type}-{regime.d}-{regime.condition:g}-{regime.offset:g}-{regime[-1]}"
    )


SLOW = [pytest.mark.slow, pytest.mark.one_backend]
REGIMES = [
    pytest.param(regime, id=name_of(regime), marks=() if is_quick(regime) else SLOW)
    for regime in regimes()
]


def factor_error(matrix: Array, z: Array) -> Array:
    """Bound the errors of log det P - |y|^2 / 2 that come from computing the factor P.

    Cholesky's R is exact for a covariance that differs by at most (d + 1) u |R^T| |R|. The inverse
    of R differs from P by at most (d + 1) u |P| |R| |P|.
    """
    d = len(matrix)
    R = np.linalg.cholesky(matrix, upper=True)
    precision = np.linalg.inv(matrix)
    w, y = np.abs(z @ precision), np.abs(z @ np.linalg.inv(R))
    size = np.abs(R) @ np.abs(np.linalg.inv(R))
    of_distance = ((w @ np.abs(R).T) ** 2).sum(axis=1) / 2 + (y * (y @ size)).sum(axis=1)
    of_determinant = (np.abs(precision) * (np.abs(R).T @ np.abs(R))).sum() / 2
    return np.asarray((d + 1) * U64 * (of_distance + of_determinant + np.trace(size)))


def whitening_error(matrix: Array, x: Array, mean: Array, expands: bool, unit: float) -> Array:
    """Bound the error of |y|^2 / 2, y = P x - P mu, from arithmetic; x and mu about the origin."""
    d = len(matrix)
    P = np.linalg.inv(np.linalg.cholesky(matrix, upper=True))
    y = np.abs((x - mean) @ P)
    dy = (d + 4) * unit * (np.abs(x) + np.abs(mean)) @ np.abs(P)
    error = ((y + dy / 2) * dy).sum(axis=1)
    if expands:  # |x|^2 - 2 mu x + |mu|^2, of whitened x and mu
        lengths = np.linalg.norm(x @ P, axis=1) + np.linalg.norm(mean @ P)
        error += (d + 4) * unit * lengths**2 / 2
    return np.asarray(error)


def log_joint_error(
    X: Array, start: MixtureParameters, joint: Array, distances: Array, unit: float
) -> Array:
    """Bound the errors of log w_k N(x | k)."""
    kind, d = start.covariance_type, start.n_features
    origin = start.means.mean(axis=0)
    bound = np.empty(joint.shape)
    for k, matrix in enumerate(dense(start.covariances, kind, d)):
        x, mean = X - origin, start.means[k] - origin
        bound[:, k] = factor_error(matrix, X - start.means[k])
        bound[:, k] += whitening_error(matrix, x, mean, kind in ("tied", "spherical"), unit)
    coefficients = np.abs(joint + distances / 2)
    # the terms of log w + log det P - d/2 log 2 pi, their sum, and the subtraction of |y|^2 / 2
    terms = np.abs(np.log(start.weights)) + np.log(2 * np.pi) * d + coefficients
    return bound + unit * ((d + 4) * terms + distances)


def truth_and_bounds(
    X: NDArray[Any], start: MixtureParameters, unit: float, terms: int
) -> tuple[Answer, Answer]:
    """Return the truth, and bounds of errors: sums of so many terms, in arithmetic of this unit."""
    joint, distances = log_joint(X, start)
    exact = truth(X, joint, start.covariance_type)
    X, joint, distances = (array.astype(np.float64) for array in (X, joint, distances))
    resp, log_density = (np.abs(array.astype(np.float64)) for array in (exact.resp, exact[0]))
    joint_error = log_joint_error(X, start, joint, distances, unit)
    with np.errstate(divide="ignore"):
        density = logsumexp(np.log(resp) + joint_error, axis=1) + (K + 4) * unit
    change = np.expm1(np.minimum(joint_error + density[:, np.newaxis] + 6 * unit, 700.0))
    resp_error = np.minimum(resp * change + NEGLIGIBLE, 1.0)
    step = step_bounds(X, start, exact, resp_error, unit, terms)
    return exact, Answer(density + 2 * unit * log_density, resp_error, *step)


def step_bounds(
    X: Array, start: MixtureParameters, exact: Answer, resp_error: Array, unit: float, terms: int
) -> tuple[Array, Array, Array]:
    """Bound the errors of weights, means and covariances, on the scale of deviations.

    Errors e of the responsibilities move a mean by at most sum e |x - mean| / (nk - sum e), and a
    covariance by as much of (x - mean) (x - mean)^T. To this come the roundings of z = x - centre
    and of sums of r z and r z z^T. A mean is rounded where it is written.
    """
    kind, (_, d) = start.covariance_type, start.means.shape
    resp, means = exact.resp.astype(np.float64), exact.means.astype(np.float64)
    matrices = dense(exact.covariances.astype(np.float64), kind, d)
    own = np.empty((K, d, d))
    mean_bounds = np.empty((K, d))
    origin, nk = start.means.mean(axis=0), resp.sum(axis=0)
    summing = (terms + 4) * unit
    for k in range(K):
        r, share = resp[:, k], resp_error[:, k] / max(nk[k] - resp_error[:, k].sum(), 1e-300)
        z, about = np.abs(X - start.means[k]), np.abs(X - means[k])
        rounding = 2 * unit * (np.abs(X - origin) + np.abs(start.means[k] - origin) + z)
        first = share @ about + r @ (summing * z + rounding) / nk[k]
        mean_bounds[k] = first + 2 * U64 * np.abs(means[k])
        own[k] = (about.T * share) @ about + share.sum() * np.abs(matrices[k])
        own[k] += 4 * summing * (z.T * r) @ z / nk[k]
        crossed = (rounding.T * r) @ (z + rounding) / nk[k]
        own[k] += crossed + crossed.T
    if kind == "tied":
        own[...] = np.einsum("k,kij->ij", nk + resp_error.sum(axis=0), own) / len(X)
    if kind == "spherical":
        own = np.trace(own, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] / d * np.eye(d)
    deviations = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    weights = resp_error.sum(axis=0) / len(X) + summing * nk / len(X)
    return weights, mean_bounds / deviations, own / (deviations[:, :, None] * deviations[:, None])


def assert_within(found: Answer, allowed: Answer) -> None:
    for quantity, error, bound in zip(QUANTITIES, found, allowed, strict=True):
        assert np.isfinite(error).all(), quantity
        worst = np.max(error - bound)
        assert worst <= 0, f"{quantity} is wrong by {error.max():.1e}, at most {bound.max():.1e}"


@pytest.mark.parametrize("regime", REGIMES)
def test_errors_by_regime(regime):
    X, start = problem(regime)
    exact, allowed = truth_and_bounds(X, start, U64, N)
    answer = fastgmm_answer(X, start)
    written = [float(np.finfo(values.dtype).eps) for values in answer[:2]]
    allowed = allowed._replace(
        log_density=allowed.log_density + written[0] * np.abs(answer.log_density),
        resp=allowed.resp + written[1] * answer.resp,
    )
    assert_within(errors(answer, exact, regime.covariance_type), allowed)


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("d", [*(pytest.param(d, marks=pytest.mark.slow) for d in (1, 2)), 5])
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_errors_of_a_step_in_float32_blocks(covariance_type, d, offset):
    """So many samples are added up in float32 within blocks of 512, and in float64 between them."""
    X, start = problem(Regime(covariance_type, d, 1.0, offset, "float32"))
    table = np.tile(X, (SMALLEST_PASS // N, 1))  # copies change no parameter
    assert allows_float32(Samples(table), start)
    exact, allowed = truth_and_bounds(X, start, U32, FLOAT32_BLOCK)
    step = fastgmm_step(table, start)
    parameters = step.parameters
    mean_log_density = exact.log_density.mean()
    answer = Answer(
        np.full(N, step.lower_bound),
        exact.resp,
        parameters.weights,
        parameters.means,
        parameters.covariances,
    )
    of_sum = FLOAT32_BLOCK * U32 * np.abs(exact.log_density.astype(np.float64)).mean()
    assert_within(
        errors(answer, exact._replace(log_density=mean_log_density), covariance_type),
        allowed._replace(log_density=allowed.log_density.mean() + of_sum),
    )
