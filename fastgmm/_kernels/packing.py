"""From arrays to the layout that the kernels read, and back from the sums that they write."""

import numpy as np

from .backend import backend
from .layout import (
    DIAG,
    FULL,
    KIND,
    SPHERICAL,
    TIED,
    TILE,
    Array,
    Components,
    Moments,
    Packed,
    PaddedComponents,
    PlainComponents,
    leading_rows,
    packed_type,
)

# Largest half squared distance of a mean from the origin at which distances are expanded.
_LARGEST_EXPANDED = 1000.0
_FLOAT32_LARGEST_EXPANDED = 100.0

# Half squared distances up to 1000 keep an error of 1e-4 in float32.
_FLOAT32_LOWEST = -1000.0
# The logarithm of a weight of 0 is replaced by a number below this.
_NO_WEIGHT = -1e300
# With weights from the first to the second, weights times squares of up to 1e27 stay in the range
# of float32.
_FLOAT32_WEIGHTS = (1e-6, 1e6)

# y = P (x - mu) / sqrt(2) with P = U^T, lower triangular.
_SQRT_HALF = float(np.sqrt(0.5))


def float32_centers(means: Array) -> Array:
    """Return centres near the means that are float32 numbers about the kernels' origin."""
    origin = _float32(means.mean(axis=0))
    return origin + _float32(means - origin)


def _float32(values: Array) -> Array:
    return values.astype(np.float32).astype(np.float64)


def pack_float32(components: Components, centers: Array, n_threads: int = 1) -> Packed:
    """Lay out parameters in float32, with centres from ``float32_centers``."""
    largest = float(components.log_coefficients.max())
    has_weight = components.log_coefficients > _NO_WEIGHT
    differences = np.maximum(components.log_coefficients - largest, np.finfo(np.float32).min)
    packed = pack(
        components._replace(log_coefficients=differences),
        centers,
        _float32(components.means.mean(axis=0)),
        _FLOAT32_LARGEST_EXPANDED,
        n_threads,
    ).in_float32()
    smallest_weight, largest_weight = _FLOAT32_WEIGHTS
    return packed._replace(
        offset=largest,
        lowest=_FLOAT32_LOWEST + float(differences.min(where=has_weight, initial=0.0)),
        smallest_weight=smallest_weight,
        largest_weight=largest_weight,
    )


def pack(
    components: Components,
    centers: Array | None = None,
    origin: Array | None = None,
    largest_expanded: float = _LARGEST_EXPANDED,
    n_threads: int = 1,
) -> Packed:
    """Lay out parameters for the compiled kernels.

    Moments are about ``centers``, by default the means. The default origin is the mean of the
    means.
    """
    kind = KIND[components.kind]
    means = components.means
    K, d = means.shape
    if origin is None:
        origin = means.sum(axis=0) / K
    locations = means - origin
    centers = locations if centers is None else centers - origin
    padded = -(-K // TILE) * TILE
    coefficients = np.zeros(padded)
    coefficients[:K] = components.log_coefficients
    whitener = squares = np.zeros(0)
    if kind == FULL:
        precisions = np.ascontiguousarray(components.precisions_cholesky)
        factors, shifts = _pack_triangles(precisions, locations, n_threads)
    else:
        whitened = locations
        scale = precisions = components.precisions_cholesky * _SQRT_HALF
        if kind == TIED:
            whitener = np.ascontiguousarray(precisions.T)
            whitened = locations @ precisions
            scale = np.ones(K)
        if kind != DIAG and d >= TILE and _may_expand(whitened, scale, largest_expanded):
            factors, shifts, squares = _pack_expanded(whitened, scale, coefficients)
        else:
            scale = np.broadcast_to(scale.reshape(K, -1), (K, d))
            factors = np.array(scale, order="C").ravel()
            shifts = (-whitened * scale).ravel()
    return packed_type(kind, d)(
        K,
        d,
        origin,
        coefficients,
        factors,
        shifts,
        squares,
        whitener.ravel(),
        centers.ravel(),
        leading_rows(d, K) if kind == FULL else d,
    )


def pack_centers(kind: str, centers: Array) -> Packed:
    """Lay out centres alone, for moments under given responsibilities."""
    K, d = centers.shape
    origin = centers.mean(axis=0)
    none = np.zeros(0)
    return packed_type(KIND[kind], d)(
        K,
        d,
        origin,
        none,
        none,
        none,
        none,
        none,
        (centers - origin).ravel(),
    )


def pack_plain(components: Components) -> PlainComponents:
    """Lay out parameters for rows with missing values, of which each component sees others."""
    (K, d), U = components.means.shape, components.precisions_cholesky
    kind = KIND[components.kind]
    if kind in (FULL, TIED):
        factors = _tiles(U.reshape(-1, d, d))
    else:
        factors = np.broadcast_to(U.reshape(K, -1), (K, d))
    coefficients = np.array(components.log_coefficients, order="C")
    means = np.ascontiguousarray(components.means)
    flat = np.array(factors, order="C").ravel()
    return PlainComponents(kind, K, d, factors.shape[1], coefficients, means.ravel(), flat)


def pad(components: Components) -> PaddedComponents:
    """Lay out parameters for the search for candidates."""
    (K, d), kind = components.means.shape, KIND[components.kind]
    height = -(-d // TILE) * TILE
    factors = components.precisions_cholesky
    if kind in (FULL, TIED):
        factors = _padded(factors.reshape(-1, d, d), (1, 2), height)
    else:
        factors = _padded(np.broadcast_to(factors.reshape(K, -1), (K, d)), (1,), height)
    coefficients = np.array(components.log_coefficients, order="C")
    means = _padded(components.means, (1,), height)
    return PaddedComponents(kind, K, height, coefficients, means.ravel(), factors.ravel())


def _padded(values: Array, axes: tuple[int, ...], size: int) -> Array:
    """Return a contiguous array with zeros behind the values along some axes."""
    if all(values.shape[axis] == size for axis in axes):
        return np.ascontiguousarray(values)
    widths = [(0, size - n if axis in axes else 0) for axis, n in enumerate(values.shape)]
    return np.ascontiguousarray(np.pad(values, widths))


def _tiles(upper: Array) -> Array:
    """Return the transposes of triangles as tiles, row by row, each of them column by column."""
    m, d = upper.shape[:2]
    rows = -(-d // TILE)
    whole = np.zeros((m, rows * TILE, rows * TILE))
    whole[:, :d, :d] = upper  # axes: matrix, column tile, column, row tile, row
    tiles = whole.reshape(m, rows, TILE, rows, TILE).transpose(0, 3, 1, 2, 4)
    row, column = np.tril_indices(rows)
    return tiles[:, row, column].reshape(m, -1)


def _may_expand(centers: Array, scale: Array, largest: float) -> bool:
    """Return whether |x|^2 - 2 mu x + |mu|^2 loses nothing to cancellation.

    The error is about eps p^2 (|x|^2 + |mu|^2). Where |x| > 2 |mu|, this is of the order of eps
    times the distance. Elsewhere the error is at most 5 eps p^2 |mu|^2: up to 1e-12, or 6e-5 in
    float32.
    """
    distances = scale**2 * np.einsum("kj,kj->k", centers, centers)
    return bool(np.all(distances <= largest))


def _pack_expanded(centers: Array, scale: Array, coefficients: Array) -> tuple[Array, Array, Array]:
    """Interleave four components: factors[group][j][4], shifts[group][4], squares[group][4]."""
    K, d = centers.shape
    factors = np.zeros((len(coefficients), -(-d // TILE) * TILE))
    factors[:K, :d] = 2.0 * scale[:, np.newaxis] ** 2 * centers
    squares = np.zeros(len(coefficients))
    squares[:K] = -(scale**2)
    shifts = coefficients.copy()
    shifts[:K] -= scale**2 * np.einsum("kj,kj->k", centers, centers)
    return _interleave(factors), shifts, squares


def _pack_triangles(precisions: Array, centers: Array, n_threads: int) -> tuple[Array, Array]:
    """Lay out factors in bands of rows, (K, d (d + 1) / 2), and shifts (K, d)."""
    K, d = centers.shape
    factors = np.empty((K, d * (d + 1) // 2))
    backend().pack_triangles(precisions, factors, n_threads)
    shifts = -_SQRT_HALF * (centers[:, np.newaxis, :] @ precisions)
    return factors.ravel(), shifts.ravel()


def _interleave(values: Array) -> Array:
    return np.ascontiguousarray(values.reshape(-1, TILE, values.shape[1]).swapaxes(1, 2)).ravel()


def add_packed_statistics(
    statistics: Array, kind: int, moments: Moments, log_likelihood: Array, n_threads: int
) -> None:
    """Add the packed sums of a pass to plain arrays."""
    K, d = moments.first.shape
    first_end = K * (1 + d)
    moments.nk[...] += statistics[:K]
    moments.first[...] += statistics[K:first_end].reshape(K, d)
    second = statistics[first_end:-1]
    if kind in (FULL, TIED):
        backend().add_symmetric(second, moments.second.reshape(-1, d, d), n_threads)
    elif kind == SPHERICAL:
        moments.second[...] += second.reshape(K, d).sum(axis=1)
    else:
        moments.second[...] += second.reshape(K, d)
    log_likelihood[0] += statistics[-1]
