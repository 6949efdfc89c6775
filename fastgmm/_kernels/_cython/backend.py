"""The Cython backend: ahead-of-time kernels for the instruction set of this processor."""

import os
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import build
from ..callbacks import c_function
from ..kept_distances import KeptDistances
from ..lapack import ROUTINES
from ..layout import (
    LINE_BYTES,
    SMALLEST_BLOCK,
    TILE,
    Array,
    CandidateSearch,
    Packed,
    PaddedComponents,
    PlainComponents,
    block_stride,
)
from ..threads import guard
from .levels import INSTRUCTION_SET, KERNELS

NAME = "cython"

_PARTS_PER_THREAD = 4
# Each slot takes runs of so many neighbouring blocks in turn.
_SEARCH_SLOTS, _RUN = 64, 8


_passes = KERNELS[8]
_OPENMP: int = _passes.constants()["openmp"]


def _team(n_threads: int, n_slots: int) -> int:
    """Return how many threads have work and may run."""
    is_serial = not _OPENMP or guard.must_be_serial()
    return 1 if is_serial else min(n_threads, n_slots)


def _scratch(size: int, n_threads: int, n_slots: int) -> Array:
    """Return a row of workspace for each thread."""
    return np.empty((_team(n_threads, n_slots), size))


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
    passes = KERNELS[packed.centers.itemsize]
    size = passes.scratch_size(packed.n_components, packed.n_features, True)
    memory = _scratch(size, n_threads, len(slots))
    with guard.launch(concurrent=True):
        passes.accumulate(X, sample_weight, resp, packed, kept, bounds, todo, slots, out, memory)


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
    size = _passes.scratch_size(packed.n_components, packed.n_features, False)
    memory = _scratch(size, n_threads, len(bounds) - 1)
    with guard.launch(concurrent=True):
        _passes.posterior(X, packed, bounds, log_prob, log_prob_norm, resp, labels, memory)


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
    memory = _incomplete_scratch(plain, n_threads, len(slots))
    with guard.launch(concurrent=True):
        _passes.accumulate_incomplete(X, sample_weight, plain, bounds, slots, out, memory)


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
    memory = _incomplete_scratch(plain, n_threads, len(bounds) - 1)
    with guard.launch(concurrent=True):
        _passes.posterior_incomplete(X, plain, bounds, log_prob_norm, resp, labels, memory)


def _incomplete_scratch(plain: PlainComponents, n_threads: int, n_slots: int) -> Array:
    K, d = plain.n_components, plain.n_features
    return _scratch(_passes.scratch_size(K, d, True) + 3 * d * d + d, n_threads, n_slots)


def normalize(
    log_prob: Array, log_prob_norm: Array, bounds: NDArray[np.int64], n_threads: int
) -> None:
    """Normalise (n, K) log-probabilities in place."""
    memory = _scratch(_passes.scratch_size(log_prob.shape[1], 1, False), n_threads, len(bounds) - 1)
    with guard.launch(concurrent=True):
        _passes.normalize(log_prob, log_prob_norm, bounds, memory)


def add_symmetric(tiles: Array, out: Array, n_threads: int) -> None:
    """Add (m, d, d) symmetric matrices, given by the lower triangle of their 4 x 4 tiles."""
    with guard.launch(concurrent=True):
        _passes.add_symmetric(tiles, out, _team(n_threads, len(out) * out.shape[1]))


def pack_triangles(upper: Array, out: Array, n_threads: int) -> None:
    """Write the transposes of (K, d, d) triangles / sqrt(2), in bands of four rows."""
    with guard.launch(concurrent=True):
        _passes.pack_triangles(upper, out, _team(n_threads, len(upper) * upper.shape[1]))


def inverse_factors(
    covariances: Array, factors: Array, failed: NDArray[np.uint8], n_threads: int
) -> None:
    """Write U = R^-1 for (m, d, d) covariances R^T R into zeros, and which have no such R."""
    team = _team(n_threads, len(covariances))
    with guard.launch(concurrent=True):
        _passes.inverse_factors(covariances, factors, failed, ROUTINES, team)


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
    memory = _scratch(3 * X.shape[1], n_threads, len(nodes))
    with guard.launch(concurrent=True):
        _passes.principal_cuts(
            X, sample_weight, rows, nodes, directions, shifts, cuts, costs, memory
        )


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
    team = _team(n_threads, len(rows))
    with guard.launch(concurrent=True):
        _passes.sides(X, rows, nodes, directions, cuts, above, team)


def descend(
    X: Array,
    directions: Array,
    cuts: Array,
    children: NDArray[np.int64],
    found: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Write the leaf of a tree in which each row lies."""
    team = _team(n_threads, len(found))
    with guard.launch(concurrent=True):
        _passes.descend(X, directions, cuts, children, found, team)


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
    height = -(-X.shape[1] // TILE) * TILE
    rows = (1 + height + TILE) * block_stride(8) + height * (height + TILE) // 2
    memory = _scratch(8 + (rows if is_full else 0), n_threads, len(nk))
    groups = (entries, bounds, centers, is_full)
    with guard.launch(concurrent=True):
        _passes.group_moments(X, weight, *groups, nk, first, second, memory)


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
    # so that each slot has as many runs as the others, or one less
    n_runs = -(-(len(search.blocks) - 1) // _RUN)
    n_slots = -(-n_runs // -(-n_runs // _SEARCH_SLOTS))
    memory = _scratch(_search_size(padded, search, candidates.shape[1]), n_threads, n_slots)
    found = (candidates, resp, log_prob_norm, neighbors)
    with guard.launch(concurrent=True):
        _passes.search(X, padded, search, *found, memory, n_slots)


def _search_size(padded: PaddedComponents, search: CandidateSearch, width: int) -> int:
    K, G = padded.n_components, search.n_neighbors
    rows = 2 * padded.height + 4 + 2 * width + 2
    most = min(K, SMALLEST_BLOCK * (width + 1) * (G + 1))
    # one for where memory begins, two for pointers, one behind each list
    lines = 6 * LINE_BYTES // 8
    return rows * block_stride(8) + K + most + search.most_groups * G + lines


def box_bounds(
    centers: Array,
    halves: Array,
    padded: PaddedComponents,
    bounds: Array,
    n_threads: int,
) -> None:
    """Write bounds above the log-probabilities of all components in boxes."""
    memory = _scratch((padded.height + 2) * centers.shape[1], n_threads, padded.n_components)
    with guard.launch(concurrent=True):
        _passes.box_bounds(centers, halves, padded, bounds, memory)


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
    K, d, most = packed.n_components, packed.n_features, int(np.diff(edges).max(initial=0))
    each = -(-d // TILE) * TILE if packed.squares.size else packed.factors.size // K
    size = _passes.scratch_size(most, d, False) + (most + TILE) * (2 + d + each)
    lists = (edges, listed, slots)
    with guard.launch(concurrent=True):
        memory = _scratch(size, n_threads, len(slots) - 1)
        _passes.posterior_listed(X, packed, *lists, log_prob_norm, labels, memory)


def gram(
    values: Array,
    stride: int,
    bounds: NDArray[np.int64],
    n_repeats: int,
    slots: Array,
    n_threads: int,
) -> None:
    """Add to each slot the products of four rows over its columns."""
    with guard.launch(concurrent=True):
        _passes.gram(values, stride, bounds, n_repeats, slots, _team(n_threads, len(slots)))


def normals(values: Array) -> None:
    """Turn uniforms into normals, in place."""
    _passes.normals(values)


def float64_kernels() -> ModuleType:
    """Return the compiled module whose blocks are float64; it also holds the C functions."""
    return _passes


def metropolis(log_joint: Any, arguments: tuple[Any, ...], n_threads: int) -> None:
    """Take the steps of chains, by a C function for the log-density."""
    X, draws = arguments[0], arguments[9]
    n_skipped, (_, n_kept, n_latent) = arguments[6], draws.shape
    size = (n_skipped + n_kept) * (n_latent + 1) + n_latent + 4
    _run_for(_passes.metropolis, c_function(log_joint, 3), arguments, len(X), size, n_threads)


def mean_field(log_joint_gradient: Any, arguments: tuple[Any, ...], n_threads: int) -> None:
    """Take the steps of each sample's q, by a C function for the gradient."""
    X, draws = arguments[0], arguments[9]
    _, n_draws, n_latent = draws.shape
    size = (n_draws + 3) * n_latent + 2
    _run_for(
        _passes.mean_field, c_function(log_joint_gradient, 4), arguments, len(X), size, n_threads
    )


def _run_for(
    kernel: Any, address: int, arguments: tuple[Any, ...], n: int, size: int, n_threads: int
) -> None:
    n_parts = min(n, _PARTS_PER_THREAD * n_threads)
    team = _team(n_threads, n_parts)
    with guard.launch(concurrent=True):
        kernel(address, *arguments, np.empty((n_parts, size)), team)


def describe() -> dict[str, Any]:
    """Return what this backend runs on."""
    return {
        "backend": NAME,
        "instruction_set": INSTRUCTION_SET,
        "compiler": build.COMPILER,
        "flags": build.LEVELS[INSTRUCTION_SET],
        "threading_layer": f"OpenMP {_OPENMP}" if _OPENMP else "serial",
        "max_threads": (os.cpu_count() or 1) if _OPENMP else 1,
    }
