"""Passes over the samples, the same in every backend.

Each function makes one pass, writes only into the arrays that it is given, draws no random
numbers and checks nothing: callers hand in finite float32 or float64 samples in any memory
order. ``contract.py`` lists the arguments, ``reference.py`` defines the results.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import build
from .backend import backend
from .kept_distances import NOTHING_KEPT, KeptDistances
from .layout import SMALLEST_BLOCK, Array, Components, Moments, Packed, as_float64, statistics_size
from .listed import (
    box_bounds,
    descend,
    group_moments,
    posterior_listed,
    principal_cuts,
    search_candidates,
    sides,
)
from .packing import (
    add_packed_statistics,
    float32_centers,
    pack,
    pack_centers,
    pack_float32,
    pack_plain,
)
from .threads import Workspace, count_threads, slot_bounds

__all__ = [
    "accumulate",
    "accumulate_incomplete",
    "backend_info",
    "box_bounds",
    "descend",
    "float32_centers",
    "gram",
    "group_moments",
    "inverse_factors",
    "mahalanobis",
    "mean_field",
    "metropolis",
    "moments",
    "normalize",
    "normals",
    "posterior",
    "posterior_incomplete",
    "posterior_listed",
    "principal_cuts",
    "search_candidates",
    "sides",
]

_NO_ROWS: Array = np.empty(0)
_NO_TABLE: Array = np.empty((0, 0))
# Not empty: NumPy calls every empty array contiguous, which is another type to Numba.
_NO_RESP: Array = np.empty((1, 1))
_NO_LABELS: NDArray[np.int64] = np.empty(0, np.int64)
# Fewer multiply-adds than this run on one thread: waking threads takes longer.
_WORTH_THREADS = 2**18
# Doubles between the sums of two threads, so that they never share a cache line.
_GRAM_SIZE, _GRAM_STRIDE = 10, 32


def backend_info() -> dict[str, Any]:
    """Return the kernel backend in use and what it runs on.

    Returns
    -------
    dict
        Keys ``backend`` ("numba" or "cython"), ``instruction_set``, ``threading_layer``,
        ``openmp_runtime`` (the OpenMP libraries in this process), ``max_threads``, ``threads``
        (what ``n_jobs=None`` means in this process) and ``cython_kernels`` (which were built, or
        why none); with Numba its version as ``numba``; with Cython ``compiler`` and ``flags``.
    """
    from threadpoolctl import threadpool_info

    info: dict[str, Any] = backend().describe()
    runtimes = [lib["filepath"] for lib in threadpool_info() if lib["user_api"] == "openmp"]
    return {
        **info,
        "openmp_runtime": runtimes,
        "threads": count_threads(),
        "cython_kernels": build.MISSING or ", ".join(build.LEVELS),
    }


def accumulate(
    X: NDArray[Any],
    sample_weight: Array,
    components: Components,
    sums: Moments,
    log_likelihood: Array,
    n_threads: int,
    float32_blocks: bool = False,
    workspace: Workspace | None = None,
    kept: KeptDistances = NOTHING_KEPT,
) -> None:
    """Add moments about the means, and sum w log p(x), in one read of X (the E step).

    A ``workspace`` keeps memory from one pass to the next. With ``float32_blocks`` the arithmetic
    of a block is in float32 where that is safe, and moments are about ``float32_centers`` of the
    means. Distances ``kept`` from an earlier pass save time with full covariances of more than two
    features, and change no bit.
    """
    attempts: list[Callable[[], Packed]] = [lambda: pack(components, n_threads=n_threads)]
    if float32_blocks:
        centers = float32_centers(components.means)
        attempts = [
            lambda: pack_float32(components, centers, n_threads),
            lambda: pack(components, centers, n_threads=n_threads),
        ]
    outputs = sums, log_likelihood
    _add(X, sample_weight, _NO_RESP, attempts, *outputs, n_threads, workspace or Workspace(), kept)


def moments(
    X: NDArray[Any],
    sample_weight: Array,
    resp: Array,
    kind: str,
    centers: Array,
    sums: Moments,
    n_threads: int,
) -> None:
    """Add moments about the centres under given responsibilities."""
    attempts = [lambda: pack_centers(kind, centers)]
    _add(X, sample_weight, resp, attempts, sums, np.zeros(1), n_threads, Workspace())


def _add(
    X: NDArray[Any],
    sample_weight: Array,
    resp: Array,
    attempts: Sequence[Callable[[], Packed]],
    sums: Moments,
    log_likelihood: Array,
    n_threads: int,
    workspace: Workspace,
    kept: KeptDistances = NOTHING_KEPT,
) -> None:
    """Add all blocks. Each attempt takes the blocks that the earlier attempts could not add."""
    todo = np.ones(-(-len(X) // SMALLEST_BLOCK), np.uint8)
    for lay_out in attempts:
        packed = lay_out()
        size = statistics_size(packed.kind, packed.n_components, packed.n_features)
        bounds = slot_bounds(len(X), size)
        slots = workspace.slots(len(bounds) - 1, size)
        out = np.zeros(size)
        backend().accumulate(
            X, sample_weight, resp, packed, kept, bounds, todo, slots, out, n_threads
        )
        add_packed_statistics(out, packed.kind, sums, log_likelihood, n_threads)
        if not todo.any():
            return


def posterior(
    X: NDArray[Any],
    components: Components,
    n_threads: int,
    *,
    log_prob: Array = _NO_TABLE,
    log_prob_norm: Array = _NO_ROWS,
    resp: Array = _NO_TABLE,
    labels: NDArray[np.int64] = _NO_LABELS,
) -> None:
    """Write the outputs that are given: log p(x, k), log p(x), responsibilities, the best k."""
    packed = pack(components, n_threads=n_threads)
    outputs = (log_prob, log_prob_norm, resp, labels)
    backend().posterior(X, packed, slot_bounds(len(X)), *outputs, n_threads)


def accumulate_incomplete(
    X: NDArray[Any],
    sample_weight: Array,
    components: Components,
    sums: Moments,
    log_likelihood: Array,
    n_threads: int,
) -> None:
    """Add expected moments about the means, and sum w log p(x), of rows in which NaN is missing.

    Rows that miss the same features should be neighbours. The arithmetic is in float64.
    """
    plain = pack_plain(components)
    size = statistics_size(plain.kind, plain.n_components, plain.n_features)
    bounds = slot_bounds(len(X), size)
    slots, out = np.empty((len(bounds) - 1, size)), np.zeros(size)
    rows = as_float64(X), as_float64(sample_weight)
    backend().accumulate_incomplete(*rows, plain, bounds, slots, out, n_threads)
    add_packed_statistics(out, plain.kind, sums, log_likelihood, n_threads)


def posterior_incomplete(
    X: NDArray[Any],
    components: Components,
    n_threads: int,
    *,
    log_prob_norm: Array = _NO_ROWS,
    resp: Array = _NO_TABLE,
    labels: NDArray[np.int64] = _NO_LABELS,
) -> None:
    """Write the outputs that are given, as `posterior`, where NaN is missing."""
    outputs = (log_prob_norm, resp, labels)
    arguments = (as_float64(X), pack_plain(components), slot_bounds(len(X)), *outputs)
    backend().posterior_incomplete(*arguments, n_threads)


def mahalanobis(X: NDArray[Any], components: Components, distances: Array, n_threads: int) -> None:
    """Write (n, K) squared Mahalanobis distances, 0 or more; ``log_coefficients`` are not used."""
    none = np.zeros(len(components.means))
    packed = pack(components._replace(log_coefficients=none), n_threads=n_threads)
    outputs = (distances, _NO_ROWS, _NO_TABLE, _NO_LABELS)
    backend().posterior(X, packed, slot_bounds(len(X)), *outputs, n_threads)
    distances *= -2.0
    # the expanded square of a sample on a mean may be rounded below zero
    np.maximum(distances, 0.0, out=distances)


def normalize(log_prob: Array, log_prob_norm: Array, n_threads: int) -> None:
    """Turn (n, K) log-probabilities into responsibilities in place; write log p(x)."""
    backend().normalize(log_prob, log_prob_norm, slot_bounds(len(log_prob)), n_threads)


def inverse_factors(
    covariances: Array, factors: Array, failed: NDArray[np.uint8], n_threads: int
) -> None:
    """Write U = R^-1 for (m, d, d) covariances R^T R into zeros.

    Only upper triangles are read. ``failed`` is set to 1 where there is no such R. The factor
    written there has no meaning.
    """
    is_little = covariances.size * covariances.shape[1] < _WORTH_THREADS
    n_threads = 1 if is_little else n_threads
    backend().inverse_factors(covariances, factors, failed, n_threads)


def normals(values: Array) -> None:
    """Turn an even number of uniforms in [0, 1) into standard normals, in place.

    Elements i and half + i make a pair. The calling thread does the work, without the interpreter's
    lock.
    """
    backend().normals(values)


def metropolis(
    log_joint: Any,
    theta: Array,
    X: Array,
    first_row: int,
    draw: tuple[int, int],
    n_states: int,
    n_skipped: int,
    state: Array,
    scale: Array,
    draws: Array,
    log_joints: Array,
    accepted: Array,
    n_threads: int,
) -> None:
    """Take the steps of a Metropolis chain for each sample, under ``log_joint(x, z, theta)``.

    ``draw`` is (iteration, seed): with the number of the sample, ``first_row`` + i, they determine
    all random numbers. ``state`` is where the chains are. The states after ``n_skipped`` steps are
    the ``draws``.
    """
    iteration, seed = (np.uint64(number) for number in draw)
    chains = (X, theta, first_row, iteration, seed, n_states, n_skipped, state, scale)
    backend().metropolis(log_joint, (*chains, draws, log_joints, accepted), n_threads)


def mean_field(
    log_joint_gradient: Any,
    theta: Array,
    X: Array,
    first_row: int,
    draw: tuple[int, int],
    n_steps: int,
    step_size: float,
    mean: Array,
    log_scale: Array,
    draws: Array,
    log_joints: Array,
    n_threads: int,
) -> None:
    """Take gradient steps of each sample's q(z) = N(mean, scale^2), and draw from the last q.

    ``log_joint_gradient(x, z, theta, gradient)`` returns log p(x, z) and writes its gradient by z.
    ``draw`` is as for `metropolis`.
    """
    iteration, seed = (np.uint64(number) for number in draw)
    steps = (X, theta, first_row, iteration, seed, n_steps, step_size, mean, log_scale)
    backend().mean_field(log_joint_gradient, (*steps, draws, log_joints), n_threads)


def gram(
    values: Array,
    stride: int,
    bounds: NDArray[np.int64],
    n_repeats: int,
    products: Array,
    n_threads: int,
) -> None:
    """Add ``n_repeats`` times the 10 products of 4 rows that begin ``stride`` values apart.

    No fit needs this kernel. It measures the machine: ten multiply-adds on four loads. ``bounds``
    are columns.
    """
    slots = np.zeros((len(bounds) - 1, _GRAM_STRIDE))
    backend().gram(values, stride, bounds, n_repeats, slots, n_threads)
    products += slots[:, :_GRAM_SIZE].sum(axis=0)
