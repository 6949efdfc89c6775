"""Passes over samples that are listed by group: the same in every backend.

They are as the passes of ``__init__.py``, which hands them on; samples are float64 and contiguous.
"""

import numpy as np
from numpy.typing import NDArray

from .backend import backend
from .layout import Array, CandidateSearch, Components, Packed, PaddedComponents, as_float64
from .packing import pad

# Slots have about as many pairs each. So few are enough where all threads are as fast.
_SLOTS_PER_THREAD = 4


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
    """Cut ranges of a list of rows across principal directions; write the costs of the sides."""
    cut = (rows, nodes, directions, shifts, cuts, costs)
    backend().principal_cuts(as_float64(X), as_float64(sample_weight), *cut, n_threads)


def sides(
    X: Array,
    rows: NDArray[np.int64],
    nodes: NDArray[np.int64],
    directions: Array,
    cuts: Array,
    above: NDArray[np.uint8],
    n_threads: int,
) -> None:
    """Write 1 where a listed row lies beyond the cut of its range, and 0 where it does not."""
    backend().sides(as_float64(X), rows, nodes, directions, cuts, above, n_threads)


def descend(
    X: Array,
    directions: Array,
    cuts: Array,
    children: NDArray[np.int64],
    found: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Write the leaf in which each row lies; child -1 - k of a node is leaf k."""
    backend().descend(as_float64(X), directions, cuts, children, found, n_threads)


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
    """Add the moments of groups of entries of a table of weights, whose rows are the samples.

    The second moments are matrices, (K, d, d), or squares, (K, d).
    """
    table = as_float64(weight).reshape(len(X), -1)
    groups = (entries, bounds, as_float64(centers), is_full, nk, first, second)
    backend().group_moments(as_float64(X), table, *groups, n_threads)


def search_candidates(
    X: Array,
    components: Components,
    search: CandidateSearch,
    candidates: NDArray[np.int32],
    resp: Array,
    log_prob_norm: Array,
    neighbors: NDArray[np.int32],
    n_threads: int,
) -> None:
    """Find the best components of each sample among its candidates and the neighbours of its group.

    ``candidates`` (n, P) are replaced, best first; of those that are as good, the first that was
    looked at. ``resp`` gets their responsibilities, ``log_prob_norm`` the logarithm of the sum of
    their joint densities. Each component that begins a group in a block gets its ``neighbors``
    (K, G) anew: itself, and those that the samples of the group in that block find best.
    """
    found = (candidates, resp, log_prob_norm, neighbors)
    backend().search_candidates(as_float64(X), pad(components), search, *found, n_threads)


def posterior_listed(
    X: Array,
    packed: Packed,
    edges: NDArray[np.int64],
    listed: NDArray[np.int64],
    log_prob_norm: Array,
    labels: NDArray[np.int64],
    n_threads: int,
) -> None:
    """Write log p(x) and the best component, of those that are listed for the block of a sample.

    Blocks have `SMALLEST_BLOCK` rows. The list of block t is ``listed[edges[t]:edges[t + 1]]``; it
    ascends, and is not empty. Where all that are left out are at least 37 nats below the best
    one of a sample, the results are those of `posterior`, to the bit.
    """
    parts = min(len(edges) - 1, _SLOTS_PER_THREAD * n_threads)
    slots = np.searchsorted(edges, edges[-1] * np.arange(parts + 1) // max(parts, 1))
    slots[-1] = len(edges) - 1
    lists = edges, np.ascontiguousarray(listed)
    backend().posterior_listed(
        as_float64(X), packed, *lists, slots, log_prob_norm, labels, n_threads
    )


def box_bounds(
    centers: Array,
    halves: Array,
    padded: PaddedComponents,
    bounds: Array,
    n_threads: int,
) -> None:
    """Write bounds (K, m) above the log-probabilities of all points in m boxes.

    Centres and half widths of boxes are (m, d) arrays. Rounding is not allowed for.
    """
    rows = [np.zeros((padded.height, len(centers))) for _ in range(2)]
    for row, given in zip(rows, (centers, halves), strict=True):
        row[: given.shape[1]] = given.T
    backend().box_bounds(*rows, padded, bounds, n_threads)
