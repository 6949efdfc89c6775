"""Parameters in the layout of ``point.pyx``: eight components side by side."""

from typing import NamedTuple

import numpy as np

from .._kernels.layout import Array, Components

_LANES = 8
_SQRT_HALF = float(np.sqrt(0.5))


class PointParameters(NamedTuple):
    """Flat arrays: lane l of group g belongs to component 8 g + l.

    ``coefficients[g][l]`` are minus infinity beyond the last component. For full covariances the
    factors are P / sqrt(2) = U^T / sqrt(2), ``factors[g][i][j <= i][l]``; for the others they are
    diagonal, ``factors[g][j][l]``. With them ``shifts`` = -factor mean, about the origin. The
    whitener of tied covariances is U / sqrt(2), row by row; for the others it is empty.
    """

    coefficients: Array
    factors: Array
    shifts: Array
    whitener: Array


def pack_points(components: Components, origin: Array) -> PointParameters:
    """Lay out parameters for single points.

    Parameters
    ----------
    components : Components
    origin : (d,) array
        What the kernels subtract from every point.

    Returns
    -------
    PointParameters
    """
    K, d = components.means.shape
    locations = components.means - origin
    scaled = components.precisions_cholesky * _SQRT_HALF
    whitener = np.zeros((0, 0))
    if components.kind == "full":
        row, column = np.tril_indices(d)
        factors = scaled[:, column, row]
        shifts = -(locations[:, np.newaxis, :] @ scaled)[:, 0]
    elif components.kind == "tied":
        whitener = np.ascontiguousarray(scaled)
        factors = np.ones((K, d))
        shifts = -(locations @ scaled)
    else:
        factors = np.broadcast_to(scaled.reshape(K, -1), (K, d))
        shifts = -factors * locations
    coefficients = _interleave(components.log_coefficients[:, np.newaxis], -np.inf)
    return PointParameters(coefficients, _interleave(factors), _interleave(shifts), whitener)


def _interleave(values: Array, fill: float = 0.0) -> Array:
    """Return (K, m) values as [group][m][lane], flat."""
    K, m = values.shape
    padded = np.full((-(-K // _LANES) * _LANES, m), fill)
    padded[:K] = values
    return np.ascontiguousarray(padded.reshape(-1, _LANES, m).swapaxes(1, 2)).ravel()
