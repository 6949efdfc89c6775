"""The memory layout that every backend shares: blocks, packed components, packed moments.

A block is ``BLOCK`` consecutive samples, stored transposed so that SIMD lanes run
over samples: feature ``j`` of sample ``b`` stands at ``block[j * STRIDE + b]``.
Parameters and statistics are handed to the compiled kernels as flat float64 arrays,
whatever the covariance type, so that one compiled signature serves all four.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Samples per block.
BLOCK = 256
#: Elements between two rows of a block. Eight more than BLOCK: rows 4 KiB apart make loads
#: wait for unrelated stores (84 instead of 74 GFLOP/s in the distance tile).
STRIDE = BLOCK + 8
#: Components (or features) per register tile.
TILE = 4

FULL, TIED, DIAG, SPHERICAL = range(4)
KIND = {"full": FULL, "tied": TIED, "diag": DIAG, "spherical": SPHERICAL}


class Components(NamedTuple):
    """Parameters of a mixture as every kernel takes them.

    ``log_coefficients[k]`` is all of ``log(weight_k N(x | k))`` that does not depend on x:
    ``log weight_k + log det P_k - d/2 log 2 pi``; zeros give bare distances. The arrays
    ``means`` (K, d) and ``precisions_cholesky`` follow scikit-learn's shapes: (K, d, d) full,
    (d, d) tied, (K, d) diag, (K,) spherical; the matrices are upper triangular, U U^T = precision.
    """

    covariance_type: str
    log_coefficients: Array
    means: Array
    precisions_cholesky: Array


class Moments(NamedTuple):
    """Weighted sums about fixed centres: what a pass over the samples adds up.

    With z = x - centre: ``nk`` (K,) = sum w r, ``first`` (K, d) = sum w r z,
    ``second`` = sum w r z z^T;
    ``second`` is (K, d, d) full, (d, d) tied (summed over k), (K, d) diag, (K,) spherical.
    """

    nk: Array
    first: Array
    second: Array


class Packed(NamedTuple):
    """Components and centres as the compiled kernels read them (all flat float64).

    ``factors`` holds the whitening factors divided by sqrt(2), so that
    ``log_prob = coefficient - |factor x + shift|^2`` takes one multiply-add per term.
    Samples and centres are taken relative to ``origin``, which keeps data far from zero exact.
    """

    kind: int
    n_components: int
    n_features: int
    origin: Array
    coefficients: Array
    factors: Array
    shifts: Array
    whitener: Array
    centers: Array


def second_shape(covariance_type: str, n_components: int, n_features: int) -> tuple[int, ...]:
    """Return the shape of ``Moments.second``."""
    K, d = n_components, n_features
    return {"full": (K, d, d), "tied": (d, d), "diag": (K, d), "spherical": (K,)}[covariance_type]


def empty_moments(covariance_type: str, n_components: int, n_features: int) -> Moments:
    """Return moments of no samples: zeros to which the kernels add."""
    return Moments(
        np.zeros(n_components),
        np.zeros((n_components, n_features)),
        np.zeros(second_shape(covariance_type, n_components, n_features)),
    )


def pack(components: Components) -> Packed:
    """Lay out parameters for the compiled kernels."""
    kind = KIND[components.covariance_type]
    means = components.means
    K, d = means.shape
    origin = means.mean(axis=0)
    centers = means - origin
    # y = P (x - mu) / sqrt(2) with P = U^T, lower triangular
    precisions = components.precisions_cholesky * np.sqrt(0.5)
    whitener = np.zeros(0)
    if kind == FULL:
        padded = -(-K // TILE) * TILE
        factors, shifts = _pack_triangles(precisions, centers, padded)
    else:
        padded = K
        whitened = centers
        scale: Array = np.ones((K, d))
        if kind == TIED:
            whitener = np.ascontiguousarray(precisions.T)
            whitened = centers @ precisions
        else:
            scale = np.broadcast_to(precisions.reshape(K, -1), (K, d))
        factors = np.array(scale, order="C").ravel()
        shifts = (-whitened * scale).ravel()
    coefficients = np.zeros(padded)
    coefficients[:K] = components.log_coefficients
    return Packed(
        kind, K, d, origin, coefficients, factors, shifts, whitener.ravel(), centers.ravel()
    )


def pack_centers(covariance_type: str, centers: Array) -> Packed:
    """Lay out centres alone, for moments under given responsibilities."""
    K, d = centers.shape
    origin = centers.mean(axis=0)
    none = np.zeros(0)
    return Packed(
        KIND[covariance_type], K, d, origin, none, none, none, none, (centers - origin).ravel()
    )


def _pack_triangles(precisions: Array, centers: Array, padded: int) -> tuple[Array, Array]:
    """Interleave four components: factors[group][i][j <= i][4], shifts[group][i][4]."""
    K, d = centers.shape
    rows, columns = np.tril_indices(d)
    factors = np.zeros((padded, len(rows)))
    factors[:K] = precisions[:, columns, rows]
    shifts = np.zeros((padded, d))
    shifts[:K] = -np.einsum("kji,kj->ki", precisions, centers)
    return _interleave(factors), _interleave(shifts)


def _interleave(values: Array) -> Array:
    return np.ascontiguousarray(values.reshape(-1, TILE, values.shape[1]).swapaxes(1, 2)).ravel()


def second_size(kind: int, n_components: int, n_features: int) -> int:
    """Return how many numbers the packed second moments take."""
    rows = -(-n_features // TILE)
    tiles = TILE * TILE * rows * (rows + 1) // 2
    return {
        FULL: n_components * tiles,
        TIED: tiles,
        DIAG: n_components * n_features,
        SPHERICAL: n_components,
    }[kind]


def statistics_size(kind: int, n_components: int, n_features: int) -> int:
    """Return how many numbers the packed statistics of one slot take.

    They are nk, first, second, log-likelihood, in this order.
    """
    return n_components * (1 + n_features) + second_size(kind, n_components, n_features) + 1


def add_packed_statistics(
    statistics: Array, kind: int, moments: Moments, log_likelihood: Array
) -> None:
    """Add the packed sums of a pass to plain arrays."""
    K, d = moments.first.shape
    first_end = K * (1 + d)
    moments.nk[...] += statistics[:K]
    moments.first[...] += statistics[K:first_end].reshape(K, d)
    second = statistics[first_end:-1]
    if kind in (FULL, TIED):
        second = _unpack_tiles(second, d)
    moments.second[...] += second.reshape(moments.second.shape)
    log_likelihood[0] += statistics[-1]


def _unpack_tiles(second: Array, d: int) -> Array:
    """Return symmetric matrices from the lower triangle of 4 x 4 tiles."""
    rows = -(-d // TILE)
    tile_row, tile_column = np.tril_indices(rows)
    tiles = second.reshape(-1, len(tile_row), TILE, TILE)
    padded = np.zeros((len(tiles), rows, TILE, rows, TILE))
    padded[:, tile_row, :, tile_column, :] = tiles.swapaxes(0, 1)
    lower = padded.reshape(len(tiles), rows * TILE, rows * TILE)[:, :d, :d]
    return np.tril(lower) + np.tril(lower, -1).swapaxes(1, 2)
