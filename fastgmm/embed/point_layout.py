"""The second layout of a mixture, for one point at a time: eight components side by side.

The kernels for blocks let SIMD lanes run over samples. For one point they run over components:
``values[group][i][lane]`` belongs to component ``8 group + lane``. Components are filled up to
eights with some of log-probability minus infinity, and features to fours with zeros. With d'
features then, all but the coefficients is one flat array, since each argument of a call takes time:

    shifts (groups, d', 8), and then
    full: factors (groups, size, 8), four rows i to i + 3 after four; of these (i + 4, 4, 8),
    columns first; columns from d on are never read
    tied: factors of 1 (groups, d', 8), whitener (d, d')
    diag, spherical: factors (groups, d', 8)

``log_prob = coefficient - |factor x + shift|^2`` with x relative to the origin of the model. Tied
components take x W in place of x.
"""

from typing import NamedTuple

import numpy as np

from .._kernels.layout import TILE, Array, Components, empty_on_a_line

#: Components side by side: a cache line, and a register of AVX-512.
LANES = 8
_SQRT_HALF = float(np.sqrt(0.5))


class PointLayout(NamedTuple):
    """A mixture for one point at a time; each array begins with a cache line."""

    coefficients: Array  # (groups * 8,)
    parameters: Array  # flat


def lay_out_for_points(components: Components, origin: Array) -> PointLayout:
    """Lay out a mixture for one point at a time.

    Parameters
    ----------
    components : Components
    origin : (d,) array
        What points are relative to.

    Returns
    -------
    PointLayout
    """
    K, d = components.means.shape
    height, padded = -(-d // TILE) * TILE, -(-K // LANES) * LANES
    whitener = np.zeros(0)
    coefficients = np.full(padded, -np.inf)
    coefficients[:K] = components.log_coefficients
    locations = components.means - origin
    scale = components.precisions_cholesky * _SQRT_HALF
    if components.kind == "full":
        shifts = -(locations[:, np.newaxis, :] @ scale)[:, 0, :]
        factors = _triangles(scale, padded, height)
    elif components.kind == "tied":
        shifts = -locations @ scale
        factors = _interleave(_filled(np.ones((K, d)), padded, height))
        whitener = _filled(scale, d, height)
    else:
        scale = np.broadcast_to(scale.reshape(K, -1), (K, d))
        shifts = -locations * scale
        factors = _interleave(_filled(scale, padded, height))
    shifts = _interleave(_filled(shifts, padded, height))
    parameters = _aligned(shifts.ravel(), factors.ravel(), whitener.ravel())
    return PointLayout(_aligned(coefficients), parameters)


def _filled(values: Array, n_rows: int, n_columns: int) -> Array:
    filled = np.zeros((n_rows, n_columns))
    filled[: values.shape[0], : values.shape[1]] = values
    return filled


def _interleave(values: Array) -> Array:
    return values.reshape(-1, LANES, values.shape[1]).swapaxes(1, 2)


def _triangles(upper: Array, padded: int, height: int) -> Array:
    K, d = upper.shape[:2]
    filled = np.zeros((padded, height, height))
    filled[:K, :d, :d] = upper
    fours = [
        _interleave(filled[:, : i + TILE, i : i + TILE].reshape(padded, -1))
        for i in range(0, height, TILE)
    ]
    return np.concatenate(fours, axis=1)


def _aligned(*parts: Array) -> Array:
    """Return parts in one array that begins with a cache line, so that no 8 numbers meet two."""
    return np.concatenate(parts, out=empty_on_a_line(sum(part.size for part in parts)))
