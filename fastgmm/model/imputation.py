"""Missing values in place of which a mixture puts what it expects, or draws."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.incomplete import Conditional, condition, dense_factors, patterns
from .._kernels.layout import Array
from ..data.samples import Samples
from .parameters import MixtureParameters

# Conditional means that are formed at a time: 16 MB.
_ELEMENTS = 2**21


class _Draws(NamedTuple):
    """Random numbers of some rows: a uniform for the component, normals for the features."""

    uniforms: Array
    normals: Array


def impute(
    samples: Samples,
    parameters: MixtureParameters,
    random_state: np.random.RandomState | None = None,
) -> Array:
    """Return the samples with a number for each missing value.

    Parameters
    ----------
    samples : Samples
    parameters : MixtureParameters
    random_state : RandomState, optional
        For draws from p(x_M | x_O). None: the means of these distributions.

    Returns
    -------
    (n, d) array
    """
    (K, d), n = parameters.means.shape, samples.n_samples
    filled = np.empty((n, d))
    for block in samples.block_slices():
        filled[block] = samples.rows(block)
    if samples.gaps is None:
        return filled
    components = parameters.components()
    factors = dense_factors(components)
    for rows, is_complete in samples.gaps.parts(_ELEMENTS // (K * d)):
        if is_complete:
            continue
        X, draws = filled[rows], None
        if random_state is not None:
            draws = _Draws(random_state.uniform(size=len(X)), random_state.normal(size=X.shape))
        for missing, some in patterns(X):
            given = condition(X[some], missing, components, factors)
            M = np.flatnonzero(missing)
            values = _expected(given, parameters.means)
            if draws is not None:
                own = _Draws(*(numbers[some] for numbers in draws))
                values = _drawn(given, parameters.means, factors, M, own)
            filled[rows[some, np.newaxis], M] = values[:, M]
    return filled


def _responsibilities(given: Conditional) -> Array:
    resp = np.exp(given.log_prob - given.log_prob.max(axis=1, keepdims=True))
    return np.asarray(resp / resp.sum(axis=1, keepdims=True))


def _expected(given: Conditional, means: Array) -> Array:
    """Return sum_k r_k E[x | k, x_O]."""
    return np.asarray(np.einsum("nk,nkd->nd", _responsibilities(given), given.means + means))


def _drawn(
    given: Conditional, means: Array, factors: Array, M: NDArray[np.intp], draws: _Draws
) -> Array:
    """Return a draw of each row: k by r_k, then x_M by its conditional mean and C = R^-1 R^-T."""
    cumulative = np.cumsum(_responsibilities(given), axis=1)
    k = (cumulative[:, :-1] < draws.uniforms[:, np.newaxis] * cumulative[:, -1:]).sum(axis=1)
    values = np.asarray(given.means[np.arange(len(k)), k] + means[k])
    # R^T R is the precision of x_M given the others
    R = np.linalg.qr(factors[:, M].swapaxes(1, 2), mode="r")
    normals = draws.normals[:, M, np.newaxis]
    for j in np.unique(k):
        values[np.ix_(k == j, M)] += np.linalg.solve(R[j], normals[k == j])[:, :, 0]
    return values
