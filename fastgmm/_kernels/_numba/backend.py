"""The Numba backend: runs compiled passes on the threads that are safe to use."""

from typing import Any

import numba
import numpy as np
from llvmlite.binding import get_host_cpu_name
from numpy.typing import NDArray

from ..callbacks import numba_function
from ..kept_distances import KeptDistances
from ..lapack import LETTERS, ROUTINES, SIGNS, Routines
from ..layout import (
    Array,
    CandidateSearch,
    Packed,
    PaddedComponents,
    PlainComponents,
    repeated,
)
from .launch import launch, launch_on_matrices, run_on_threads, threading_layer

NAME = "numba"

# Chains take unequal time only where threads do.
_PARTS_PER_THREAD = 4

_ROUTINES = Routines(*map(np.uint64, (*ROUTINES, LETTERS.ctypes.data, SIGNS.ctypes.data)))


def accumulate(
    X: NDArray[Any],
    sample_weight: Array,
    resp: Array,
    packed: Packed,
    kept: KeptDistances,
    bounds: NDArray[np.int64],
    todo: NDArray[np.uint8],
    slots: Array,
    out: Array,
    n_threads: int,
) -> None:
    """Add packed statistics to ``out``: under the posterior or, with bare centres, ``resp``.

    ``todo`` has an element for each block, which is set to 0 when the block has been added.
    """
    rows = (repeated(X), repeated(sample_weight), repeated(resp), packed)
    launch("passes.accumulate", (*rows, kept, bounds, todo, slots, out), len(slots), n_threads)


def posterior(
    X: NDArray[Any],
    packed: Packed,
    bounds: NDArray[np.int64],
    log_prob: Array,
    log_prob_norm: Array,
    resp: Array,
    labels: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Evaluate every sample; outputs of length 0 are left alone."""
    outputs = (log_prob, log_prob_norm, resp, labels)
    arguments = (repeated(X), packed, bounds, *outputs)
    launch("passes.posterior", arguments, len(bounds) - 1, n_threads)


def accumulate_incomplete(
    X: Array,
    sample_weight: Array,
    plain: PlainComponents,
    bounds: NDArray[np.int64],
    slots: Array,
    out: Array,
    n_threads: int,
) -> None:
    """Add packed statistics of rows with missing values to ``out``."""
    arguments = (X.reshape(-1), sample_weight, plain, bounds, slots, out)
    launch("incomplete.accumulate_incomplete", arguments, len(slots), n_threads)


def posterior_incomplete(
    X: Array,
    plain: PlainComponents,
    bounds: NDArray[np.int64],
    log_prob_norm: Array,
    resp: Array,
    labels: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Evaluate rows with missing values; outputs of length 0 are left alone."""
    arguments = (X.reshape(-1), plain, bounds, log_prob_norm, resp.reshape(-1), labels)
    launch("incomplete.posterior_incomplete", arguments, len(bounds) - 1, n_threads)


def normalize(
    log_prob: Array, log_prob_norm: Array, bounds: NDArray[np.int64], n_threads: int
) -> None:
    """Normalise (n, K) log-probabilities in place."""
    launch("passes.normalize", (log_prob, log_prob_norm, bounds), len(bounds) - 1, n_threads)


def add_symmetric(tiles: Array, out: Array, n_threads: int) -> None:
    """Add (m, d, d) symmetric matrices, given by the lower triangle of their 4 x 4 tiles."""
    m, d = out.shape[:2]
    n_slots = m * (-(-d // 8))
    arguments = (tiles, d, out.reshape(-1))
    launch_on_matrices("matrices.add_symmetric", arguments, n_slots, n_threads, out.size)


def pack_triangles(upper: Array, out: Array, n_threads: int) -> None:
    """Write the transposes of (K, d, d) triangles / sqrt(2), in bands of four rows."""
    m, d = upper.shape[:2]
    n_slots = m * (-(-d // 8))
    arguments = (upper.reshape(-1), d, out.reshape(-1))
    launch_on_matrices("matrices.pack_triangles", arguments, n_slots, n_threads, out.size)


def inverse_factors(
    covariances: Array, factors: Array, failed: NDArray[np.uint8], n_threads: int
) -> None:
    """Write U = R^-1 for (m, d, d) covariances R^T R into zeros, and which have no such R."""
    m, d = covariances.shape[:2]
    arguments = (covariances.reshape(-1), d, factors.reshape(-1), failed, _ROUTINES)
    launch_on_matrices("cholesky.inverse_factors", arguments, m, n_threads, m * d**3)


def principal_cuts(
    X: Array,
    sample_weight: Array,
    rows: NDArray[np.int64],
    nodes: NDArray[np.int64],
    directions: Array,
    shifts: Array,
    cuts: Array,
    costs: Array,
    n_threads: int,
) -> None:
    """Write a direction for each node, where it is cut, and the costs of the two sides."""
    samples = (X.reshape(-1), X.shape[1], sample_weight, rows, nodes.reshape(-1))
    outputs = (directions.reshape(-1), shifts, cuts, costs.reshape(-1))
    launch("tree.principal_cuts", (*samples, *outputs), len(nodes), n_threads)


def sides(
    X: Array,
    rows: NDArray[np.int64],
    nodes: NDArray[np.int64],
    directions: Array,
    cuts: Array,
    above: NDArray[np.uint8],
    n_threads: int,
) -> None:
    """Write on which side of the cut of its node each row lies."""
    arguments = (X.reshape(-1), X.shape[1], rows, nodes.reshape(-1), directions.reshape(-1))
    launch("tree.sides", (*arguments, cuts, above), len(rows), n_threads)


def descend(
    X: Array,
    directions: Array,
    cuts: Array,
    children: NDArray[np.int64],
    found: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Write the leaf of a tree in which each row lies."""
    nodes = (directions.reshape(-1), cuts, children.reshape(-1))
    launch("tree.descend", (X.reshape(-1), X.shape[1], *nodes, found), len(found), n_threads)


def group_moments(
    X: Array,
    weight: Array,
    entries: NDArray[np.int64],
    bounds: NDArray[np.int64],
    centers: Array,
    is_full: bool,
    nk: Array,
    first: Array,
    second: Array,
    n_threads: int,
) -> None:
    """Add the moments of groups of entries about their centres."""
    samples = (X.reshape(-1), len(X), weight.reshape(-1), entries, bounds, centers.reshape(-1))
    sums = (nk, first.reshape(-1), second.reshape(-1))
    launch("groups.group_moments", (*samples, is_full, *sums), len(nk), n_threads)


def search_candidates(
    X: Array,
    padded: PaddedComponents,
    search: CandidateSearch,
    candidates: NDArray[np.int32],
    resp: Array,
    log_prob_norm: Array,
    neighbors: NDArray[np.int32],
    n_threads: int,
) -> None:
    """Find the best components of all samples, and the neighbours of components."""
    found = (candidates.reshape(-1), resp.reshape(-1), log_prob_norm, neighbors.reshape(-1))
    arguments = (X.reshape(-1), X.shape[1], padded, search, *found)
    launch("candidates.search", arguments, len(search.blocks) - 1, n_threads)


def box_bounds(
    centers: Array,
    halves: Array,
    padded: PaddedComponents,
    bounds: Array,
    n_threads: int,
) -> None:
    """Write bounds above the log-probabilities of all components in boxes."""
    boxes = (centers.reshape(-1), halves.reshape(-1), centers.shape[1])
    arguments = (*boxes, padded, bounds.reshape(-1))
    launch("boxes.box_bounds", arguments, padded.n_components, n_threads)


def posterior_listed(
    X: Array,
    packed: Packed,
    edges: NDArray[np.int64],
    listed: NDArray[np.int64],
    slots: NDArray[np.int64],
    log_prob_norm: Array,
    labels: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Evaluate blocks of samples, each under its list of components."""
    arguments = (repeated(X), packed, edges, listed, slots, log_prob_norm, labels)
    launch("listed.posterior_listed", arguments, len(slots) - 1, n_threads)


def gram(
    values: Array,
    stride: int,
    bounds: NDArray[np.int64],
    n_repeats: int,
    slots: Array,
    n_threads: int,
) -> None:
    """Add to each slot the products of four rows over its columns."""
    launch("peak.gram", (values, stride, bounds, n_repeats, slots), len(slots), n_threads)


def normals(values: Array) -> None:
    """Turn uniforms into normals, in place."""
    from .box_muller import normals

    normals(values)


def metropolis(log_joint: Any, arguments: tuple[Any, ...], n_threads: int) -> None:
    """Take the steps of chains, with a kernel that is compiled for this log-density."""
    from .chains import metropolis

    _run_for(metropolis, numba_function(log_joint, 3), arguments, n_threads)


def mean_field(log_joint_gradient: Any, arguments: tuple[Any, ...], n_threads: int) -> None:
    """Take the steps of each sample's q, with a kernel that is compiled for this gradient."""
    from .mean_field import mean_field

    _run_for(mean_field, numba_function(log_joint_gradient, 4), arguments, n_threads)


def _run_for(kernel: Any, function: Any, arguments: tuple[Any, ...], n_threads: int) -> None:
    n_parts = min(len(arguments[0]), _PARTS_PER_THREAD * n_threads)
    run_on_threads(
        lambda in_order: kernel(function, in_order)(*arguments, n_parts), n_parts, n_threads
    )


def cache_path() -> str:
    """Return the folder in which compiled kernels are kept on disk."""
    from .passes import accumulate as kernel

    return str(kernel.stats.cache_path)


def cache_problem() -> object:
    """Return why compiled kernels are not kept on disk, or None."""
    from .jit import cache_problems

    return cache_problems[0] if cache_problems else None


def describe() -> dict[str, Any]:
    """Return what this backend runs on."""
    return {
        "backend": NAME,
        "numba": numba.__version__,
        "instruction_set": get_host_cpu_name(),
        "threading_layer": threading_layer(),
        "max_threads": numba.config.NUMBA_NUM_THREADS,
    }
