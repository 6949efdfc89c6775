"""The memory layout that every backend shares: blocks, packed components, packed moments.

A block holds consecutive samples, as many as fill 2 KiB for each feature. It is stored transposed,
so that SIMD lanes run over samples: feature ``j`` of sample ``b`` is ``block[j * stride + b]``.
Parameters and statistics are flat arrays.

Each covariance type, with one or two features (plane) or with more (space), is a type of its own to
Numba. So Numba compiles only what the fit at hand needs: all types at once take 2 s longer.
"""

from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[np.float64]

_BLOCK_BYTES = 2048
# A quarter more than a block, so that the four rows of a tile start at least 512 bytes apart within
# a page. This avoids 4K aliasing: a load stalls behind a store whose address has the same low bits;
# rows 64 bytes apart made distances take 1.5 times as long in 5 % of runs.
_STRIDE_BYTES = _BLOCK_BYTES + _BLOCK_BYTES // 4
#: Samples in the smallest block, of float64, and in the largest, of float32.
SMALLEST_BLOCK = _BLOCK_BYTES // 8
LARGEST_BLOCK = _BLOCK_BYTES // 4
#: Of a cache line.
LINE_BYTES = 64
#: Components (or features) per register tile.
TILE = 4
#: A component so many nats below the best one of a sample does not count: its share is 8e-17.
CUT = 37.0

#: Which kernel a pass takes: kernels differ in the shapes of factors and of second moments.
FULL, TIED, DIAG, SPHERICAL = range(4)
KIND = {"full": FULL, "tied": TIED, "diag": DIAG, "spherical": SPHERICAL}


def block_size(itemsize: int) -> int:
    """Return the number of samples in a block: 256 of float64, 512 of float32."""
    return _BLOCK_BYTES // itemsize


def block_stride(itemsize: int) -> int:
    """Return the number of elements between two rows of a block."""
    return _STRIDE_BYTES // itemsize


def empty_on_a_line(size: int, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Return a flat array, not initialised, that begins with a cache line.

    Copies into it from other memory that begins with a line, such as Arrow's, are fast: where the
    target began 16 bytes further within a page, an AMD EPYC copied 1.5 GB/s in place of 10.

    Parameters
    ----------
    size : int
    dtype : dtype

    Returns
    -------
    (size,) array
    """
    itemsize = np.dtype(dtype).itemsize
    memory = np.empty(size + LINE_BYTES // itemsize, dtype)
    start = -memory.ctypes.data % LINE_BYTES // itemsize
    return memory[start : start + size]


def as_float64(values: NDArray[Any]) -> Array:
    """Return an array as the kernels for listed and incomplete rows read it."""
    return np.ascontiguousarray(values, np.float64)


def repeated(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view with every element twice.

    C order, Fortran order, slices and read-only maps are different types to Numba, each
    worth a compilation; this view of any of them has one and the same type.
    """
    return np.broadcast_to(array[..., np.newaxis], (*array.shape, 2))


class Components(NamedTuple):
    """Parameters of a mixture as every kernel takes them.

    ``kind`` names the kernel: full, tied, diag or spherical. ``log_coefficients[k]`` is the part of
    ``log(weight_k N(x | k))`` that does not depend on x: ``log weight_k + log det P_k - d/2 log 2
    pi``; zeros give the distances alone. The arrays ``means`` (K, d) and ``precisions_cholesky``
    follow scikit-learn's shapes: (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical; the
    matrices are upper triangular, U U^T = precision.
    """

    kind: str
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
    Samples and centres are taken relative to ``origin``, so that data far from zero keep their
    digits. Where ``squares`` is not empty the distances are expanded instead: ``log_prob = shift +
    squares |x|^2 + factors x``. ``offset`` is left out of all log-probabilities.

    The first ``leading`` rows of a full factor are computed for all samples, the other rows only
    where their component can matter.

    The type of the arrays cannot represent a block in two cases. The largest log-probability of a
    sample is not above ``lowest``: its rounding error would show in responsibilities, or it has
    overflowed. Or a weight other than 0 is not from ``smallest_weight`` to ``largest_weight``.
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
    leading: int = 0
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
        """Which kernel, as a number."""
        return next(kind for kind, of in _PACKED.items() if isinstance(self, of))


class PlainComponents(NamedTuple):
    """Components as the kernels for rows with missing values read them: flat arrays of float64.

    ``factors`` holds, for each component, U^T as the lower triangle of its 4 x 4 tiles, whose
    columns are together; one triangle for tied covariances; for variances, a number for each
    feature. ``factor_size`` is how many numbers each component has there.
    """

    kind: int
    n_components: int
    n_features: int
    factor_size: int
    coefficients: Array
    means: Array
    factors: Array


class PaddedComponents(NamedTuple):
    """Components as the search for candidates reads them: flat arrays of float64.

    ``height`` is the number of features, up to a multiple of 4; the others are zeros. ``factors``
    holds U of each component, row by row; one for tied covariances; for variances, a number for
    each feature.
    """

    kind: int
    n_components: int
    height: int
    coefficients: Array
    means: Array
    factors: Array


class CandidateSearch(NamedTuple):
    """Which samples are compared with which components.

    Attributes
    ----------
    rows : (n,) array of int64
        Samples, group by group.
    components : (m,) array of int64
        The component of each group, which is the best candidate of its samples.
    bounds : (m + 1,) array of int64
        Where groups begin in ``rows``. No group is empty.
    blocks : (t + 1,) array of int64
        Where blocks begin in ``rows``. None has more than `SMALLEST_BLOCK` rows.
    first_groups : (t,) array of int64
        The group of the first row of each block.
    extra : (t,) array of int64
        A component that each block is compared with besides.
    neighbors : (K G,) array of int32
        The neighbours of each component, itself first.
    n_neighbors : int
        G.
    most_groups : int
        The largest number of groups in a block.
    is_wide : bool
        Whether blocks are compared with the neighbours of all their candidates, too.
    """

    rows: NDArray[np.int64]
    components: NDArray[np.int64]
    bounds: NDArray[np.int64]
    blocks: NDArray[np.int64]
    first_groups: NDArray[np.int64]
    extra: NDArray[np.int64]
    neighbors: NDArray[np.int32]
    n_neighbors: int
    most_groups: int
    is_wide: bool = False


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


#: The largest number of features in a plane.
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


def packed_type(kind: int, n_features: int) -> type[Packed]:
    """Return the type of packed components."""
    return (_PACKED_PLANE if n_features <= PLANE else _PACKED)[kind]


def first_rows(n_features: int) -> int:
    """Return how many rows of a full factor come first, 1 to 4; the others come in fours."""
    return (n_features - 1) % TILE + 1


def leading_rows(n_features: int, n_components: int) -> int:
    """Return how many rows of a full factor are computed for all samples; see ``partial_distance``.

    The measured optimum is about 2 sqrt(d) + 4. From d = 15 on these are fewer than d.
    """
    first = first_rows(n_features)
    fours = -(-(isqrt(4 * n_features) + 4 - first) // TILE)
    return min(first + TILE * fours, n_features) if n_components > 1 else n_features


def second_shape(kind: str, n_components: int, n_features: int) -> tuple[int, ...]:
    """Return the shape of ``Moments.second``."""
    K, d = n_components, n_features
    return {"full": (K, d, d), "tied": (d, d), "diag": (K, d), "spherical": (K,)}[kind]


def empty_moments(kind: str, n_components: int, n_features: int) -> Moments:
    """Return moments of no samples: zeros to which the kernels add."""
    return Moments(
        np.zeros(n_components),
        np.zeros((n_components, n_features)),
        np.zeros(second_shape(kind, n_components, n_features)),
    )


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
