"""The memory layout that every backend shares: blocks, packed components, packed moments.

A block is some consecutive samples, as many as fill 2 KiB a feature, stored transposed so that SIMD
lanes run over samples: feature ``j`` of sample ``b`` stands at ``block[j * stride + b]``.
Parameters and statistics are handed to the compiled kernels as flat arrays. Each covariance type,
with one or two features or with more, is a type to Numba, which then compiles what the fit at hand
needs: all of it at once takes 2 s longer.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BLOCK_BYTES = 2048
# 64 more than a block: rows 4 KiB apart make loads wait for unrelated stores (84 instead
# of 74 GFLOP/s in the distance tile).
_STRIDE_BYTES = _BLOCK_BYTES + 64
#: Samples in the smallest block, of float64, and in the largest, of float32.
SMALLEST_BLOCK = _BLOCK_BYTES // 8
LARGEST_BLOCK = _BLOCK_BYTES // 4
#: Components (or features) per register tile.
TILE = 4

# Largest half squared distance of a mean from the origin at which distances are expanded.
_LARGEST_EXPANDED = 1000.0
_FLOAT32_LARGEST_EXPANDED = 100.0

# Half squared distances up to 1000 keep an error of 1e-4 in float32.
_FLOAT32_LOWEST = -1000.0
# Weights times squares of up to 1e27 stay in its range.
_FLOAT32_WEIGHTS = (1e-6, 1e6)

# Numbers that stay in a second-level cache while they are laid out.
_CACHED = 2**17

FULL, TIED, DIAG, SPHERICAL = range(4)
KIND = {"full": FULL, "tied": TIED, "diag": DIAG, "spherical": SPHERICAL}


def block_size(itemsize: int) -> int:
    """Return the number of samples in a block: 256 of float64, 512 of float32."""
    return _BLOCK_BYTES // itemsize


def block_stride(itemsize: int) -> int:
    """Return the number of elements between two rows of a block."""
    return _STRIDE_BYTES // itemsize


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
    """Components and centres as the compiled kernels read them: flat arrays of one float type.

    ``factors`` holds the whitening factors divided by sqrt(2), so that
    ``log_prob = coefficient - |factor x + shift|^2`` takes one multiply-add per term.
    Samples and centres are taken relative to ``origin``, which keeps data far from zero exact.
    Where ``squares`` is not empty the distances are expanded instead:
    ``log_prob = shift + squares |x|^2 + factors x``. ``offset`` is left out of all of them.

    A block cannot be added in the type of the arrays where the largest log-probability of a sample
    is not above ``lowest``: farther out its rounding would show in responsibilities, or
    it has overflowed; nor where a weight other than 0 is not within the last two.
    """

    n_components: int
    n_features: int
    origin: Array
    coefficients: Array
    factors: Array
    shifts: Array
    squares: Array
    whitener: Array
    centers: Array
    offset: float = 0.0
    lowest: float = -np.inf
    smallest_weight: float = 0.0
    largest_weight: float = np.inf

    def in_float32(self) -> "Packed":
        """Return the same in float32; the origin and the centres must be float32 numbers."""
        arrays: dict[str, Any] = {
            name: value.astype(np.float32)
            for name, value in self._asdict().items()
            if isinstance(value, np.ndarray)
        }
        return self._replace(**arrays)

    @property
    def kind(self) -> int:
        """The covariance type, as a number."""
        return next(kind for kind, of in _PACKED.items() if isinstance(self, of))


class PackedFull(Packed):
    """Packed components of full covariances."""

    __slots__ = ()


class PackedTied(Packed):
    """Packed components of tied covariances."""

    __slots__ = ()


class PackedDiag(Packed):
    """Packed components of diagonal covariances."""

    __slots__ = ()


class PackedSpherical(Packed):
    """Packed components of spherical covariances."""

    __slots__ = ()


class PackedFullPlane(PackedFull):
    """The same with one or two features."""

    __slots__ = ()


class PackedTiedPlane(PackedTied):
    """The same with one or two features."""

    __slots__ = ()


class PackedDiagPlane(PackedDiag):
    """The same with one or two features."""

    __slots__ = ()


class PackedSphericalPlane(PackedSpherical):
    """The same with one or two features."""

    __slots__ = ()


#: The largest number of features that count as few.
PLANE = 2
_PACKED: dict[int, type[Packed]] = {
    FULL: PackedFull,
    TIED: PackedTied,
    DIAG: PackedDiag,
    SPHERICAL: PackedSpherical,
}
_PACKED_PLANE: dict[int, type[Packed]] = {
    FULL: PackedFullPlane,
    TIED: PackedTiedPlane,
    DIAG: PackedDiagPlane,
    SPHERICAL: PackedSphericalPlane,
}
#: The types with one or two features.
PLANES = frozenset(_PACKED_PLANE.values())


def _packed_type(kind: int, n_features: int) -> type[Packed]:
    return (_PACKED_PLANE if n_features <= PLANE else _PACKED)[kind]


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


def float32_centers(means: Array) -> Array:
    """Return centres near the means that are float32 numbers about the kernels' origin."""
    origin = _float32(means.mean(axis=0))
    return origin + _float32(means - origin)


def _float32(values: Array) -> Array:
    return values.astype(np.float32).astype(np.float64)


def pack_float32(components: Components, centers: Array) -> Packed:
    """Lay out parameters in float32, with centres from ``float32_centers``."""
    largest = float(components.log_coefficients.max())
    differences = components.log_coefficients - largest
    packed = pack(
        components._replace(log_coefficients=differences),
        centers,
        _float32(components.means.mean(axis=0)),
        _FLOAT32_LARGEST_EXPANDED,
    ).in_float32()
    smallest_weight, largest_weight = _FLOAT32_WEIGHTS
    return packed._replace(
        offset=largest,
        lowest=_FLOAT32_LOWEST + float(differences.min()),
        smallest_weight=smallest_weight,
        largest_weight=largest_weight,
    )


def pack(
    components: Components,
    centers: Array | None = None,
    origin: Array | None = None,
    largest_expanded: float = _LARGEST_EXPANDED,
) -> Packed:
    """Lay out parameters for the compiled kernels.

    Moments are about ``centers``, by default the means; the origin is by default their mean.
    """
    kind = KIND[components.covariance_type]
    means = components.means
    K, d = means.shape
    if origin is None:
        origin = means.mean(axis=0)
    locations = means - origin
    centers = locations if centers is None else centers - origin
    # y = P (x - mu) / sqrt(2) with P = U^T, lower triangular
    precisions = components.precisions_cholesky * np.sqrt(0.5)
    padded = -(-K // TILE) * TILE
    coefficients = np.zeros(padded)
    coefficients[:K] = components.log_coefficients
    whitener = squares = np.zeros(0)
    if kind == FULL:
        factors, shifts = _pack_triangles(precisions, locations, padded)
    else:
        whitened = locations
        scale = precisions
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
    return _packed_type(kind, d)(
        K,
        d,
        origin,
        coefficients,
        factors,
        shifts,
        squares,
        whitener.ravel(),
        centers.ravel(),
    )


def pack_centers(covariance_type: str, centers: Array) -> Packed:
    """Lay out centres alone, for moments under given responsibilities."""
    K, d = centers.shape
    origin = centers.mean(axis=0)
    none = np.zeros(0)
    return _packed_type(KIND[covariance_type], d)(
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


def _may_expand(centers: Array, scale: Array, largest: float) -> bool:
    """Tell whether |x|^2 - 2 mu x + |mu|^2 loses nothing to cancellation.

    Its error is about eps p^2 (|x|^2 + |mu|^2). Where |x| > 2 |mu| that is of the order of the
    distance itself times eps; elsewhere it is at most 5 eps p^2 |mu|^2: up to 1e-12, or 6e-5 in
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


def _pack_triangles(precisions: Array, centers: Array, padded: int) -> tuple[Array, Array]:
    """Interleave four components: factors[group][i][j <= i][4], shifts[group][i][4]."""
    K, d = centers.shape
    if padded > K:
        precisions = np.concatenate([precisions, np.zeros((padded - K, d, d))])
    groups = precisions.reshape(-1, TILE, d, d).transpose(0, 3, 2, 1)
    factors = np.empty((len(groups), d * (d + 1) // 2, TILE))
    for i in range(d):
        start = i * (i + 1) // 2
        factors[:, start : start + i + 1] = groups[:, i, : i + 1]
    shifts = np.zeros((padded, d))
    shifts[:K] = -(centers[:, np.newaxis, :] @ precisions[:K])[:, 0]
    return factors.ravel(), _interleave(shifts)


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
        SPHERICAL: n_components * n_features,  # by feature, like diag
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
    elif kind == SPHERICAL:
        second = second.reshape(K, d).sum(axis=1)
    moments.second[...] += second.reshape(moments.second.shape)
    log_likelihood[0] += statistics[-1]


def _unpack_tiles(second: Array, d: int) -> Array:
    """Return symmetric matrices from the lower triangle of 4 x 4 tiles."""
    rows = -(-d // TILE)
    tile_row, tile_column = np.tril_indices(rows)
    tiles = second.reshape(-1, len(tile_row), TILE, TILE)
    matrices = np.empty((len(tiles), rows, TILE, rows, TILE))
    step = max(1, _CACHED // (rows * TILE) ** 2)
    for first in range(0, len(tiles), step):
        part, own = matrices[first : first + step], tiles[first : first + step].swapaxes(0, 1)
        part[:, tile_row, :, tile_column, :] = own
        part[:, tile_column, :, tile_row, :] = own.swapaxes(2, 3)
        diagonal = np.tril(own[tile_row == tile_column])
        part[:, range(rows), :, range(rows), :] = diagonal + np.tril(diagonal, -1).swapaxes(2, 3)
    return matrices.reshape(len(tiles), rows * TILE, rows * TILE)[:, :d, :d]
