"""Groups of samples among many components, in NumPy: the definition of their kernels."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from .layout import SMALLEST_BLOCK, Array, CandidateSearch, Components

_FLOOR = -1e300


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
    n_threads: int = 1,
) -> None:
    """Add the moments of each group: second is (K, d, d) or, of each feature alone, (K, d)."""
    width = weight.size // len(X)
    for k, (start, stop) in enumerate(pairwise(bounds)):
        own = entries[start:stop]
        w, Z = weight.ravel()[own], X[own // width] - centers[k]
        nk[k] += w.sum()
        first[k] += w @ Z
        second[k] += (w * Z.T) @ Z if is_full else w @ Z**2


def search_candidates(
    X: Array,
    components: Components,
    search: CandidateSearch,
    candidates: NDArray[np.int32],
    resp: Array,
    log_prob_norm: Array,
    neighbors: NDArray[np.int32],
    n_threads: int = 1,
) -> None:
    """Compare each block with its candidates, the neighbours of its groups and one more."""
    P, G = candidates.shape[1], search.n_neighbors
    near = search.neighbors.reshape(-1, G)
    for block, (start, stop) in enumerate(pairwise(search.blocks)):
        rows = search.rows[start:stop]
        groups = [
            g
            for g, (begins, ends) in enumerate(pairwise(search.bounds))
            if begins < stop and ends > start
        ]
        own = candidates[rows].ravel()
        listed = [
            *own,
            *(near[own].ravel() if search.is_wide else ()),
            *near[search.components[groups]].ravel(),
            search.extra[block],
        ]
        tried = np.array(list(dict.fromkeys(map(int, listed))))
        # of distances that overflow, too
        log_prob = np.fmax(_log_prob(X[rows], components, tried), _FLOOR)
        best = np.argsort(-log_prob, axis=1, kind="stable")[:, :P]
        candidates[rows] = tried[best]
        values = np.take_along_axis(log_prob, best, axis=1)
        shares = np.exp(values - values[:, :1])
        log_prob_norm[rows] = values[:, 0] + np.log(shares.sum(axis=1))
        resp[rows] = shares / shares.sum(axis=1, keepdims=True)
        for g in groups:
            begins, ends = search.bounds[g], min(search.bounds[g + 1], stop)
            if begins >= start:
                component = search.components[g]
                score = log_prob[begins - start : ends - start].mean(axis=0)
                order = np.argsort(-score, kind="stable")
                others = tried[order][tried[order] != component][: G - 1]
                neighbors[component, 1 : 1 + len(others)] = others


def posterior_listed(
    X: Array,
    components: Components,
    edges: NDArray[np.int64],
    listed: NDArray[np.int64],
    log_prob_norm: Array,
    labels: NDArray[np.int64],
    n_threads: int = 1,
) -> None:
    """Write log p(x) and the best component, of those that are listed for the block of a sample."""
    for block, (start, stop) in enumerate(pairwise(edges)):
        rows = slice(block * SMALLEST_BLOCK, (block + 1) * SMALLEST_BLOCK)
        log_prob = _log_prob(X[rows], components, listed[start:stop])
        log_prob_norm[rows] = logsumexp(log_prob, axis=1)
        labels[rows] = listed[start:stop][log_prob.argmax(axis=1)]


def box_bounds(
    centers: Array, halves: Array, components: Components, bounds: Array, n_threads: int = 1
) -> None:
    """Write log w - |max(|P (c - mean)| - |P| h, 0)|^2 / 2, less constants, for P = U^T."""
    kind, U = components.kind, components.precisions_cholesky
    for k, (coefficient, mean) in enumerate(
        zip(components.log_coefficients, components.means, strict=True)
    ):
        factor = U if kind == "tied" else U[k]
        factor = factor if kind in ("full", "tied") else factor * np.eye(len(mean))
        with np.errstate(over="ignore", invalid="ignore"):
            least = np.abs((centers - mean) @ factor) - halves @ np.abs(factor)
            bounds[k] = coefficient - 0.5 * (np.fmax(least, 0.0) ** 2).sum(axis=1)
    np.maximum(bounds, _FLOOR, out=bounds)


def _log_prob(X: Array, components: Components, tried: NDArray[np.int64]) -> Array:
    """Return log (w_k N(x | k)) of some components."""
    kind, columns = components.kind, []
    with np.errstate(over="ignore", invalid="ignore"):
        for k in tried:
            Z, U = X - components.means[k], components.precisions_cholesky
            Y = Z @ (U if kind == "tied" else U[k]) if kind in ("full", "tied") else Z * U[k]
            columns.append(components.log_coefficients[k] - 0.5 * (Y**2).sum(axis=1))
    return np.stack(columns, axis=1)
