"""Compile kernels before anybody needs them, so that later processes find them on disk."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import (
    accumulate,
    accumulate_incomplete,
    box_bounds,
    moments,
    normalize,
    posterior,
    posterior_incomplete,
    posterior_listed,
)
from .backend import backend
from .layout import CandidateSearch, Components, empty_moments, second_shape
from .packing import pack, pad

# An order at which passes over matrices are worth threads, and how many matrices.
_LARGE = (8, 300)


def compile_ahead(kinds: Sequence[str], dtypes: Sequence[str]) -> Iterator[str]:
    """Compile what fits and predictions need; yield what each step is about before it is done.

    Parameters
    ----------
    kinds : sequence of str
        Of "full", "tied", "diag" and "spherical".
    dtypes : sequence of str
        Types of the samples, of "float64" and "float32".

    Yields
    ------
    str
        Such as "full, float64, 3 features or more".
    """
    yield "all covariance types"
    normalize(np.zeros((1, 1)), np.zeros(1), 1)
    m, d = _LARGE
    eye = np.broadcast_to(np.eye(d), (m, d, d)).copy()
    backend().inverse_factors(eye, np.zeros_like(eye), np.zeros(m, np.uint8), 1)
    backend().pack_triangles(eye, np.empty((m, d * (d + 1) // 2)), 1)
    rows = -(-d // 4)
    backend().add_symmetric(np.zeros(m * 16 * (rows * (rows + 1) // 2)), eye, 1)
    backend().normals(np.zeros(2))
    for kind in kinds:
        for dtype in dtypes:
            for n_features, words in ((2, "1 or 2 features"), (3, "3 features or more")):
                yield f"{kind}, {dtype}, {words}"
                _run_all(kind, np.zeros((1, n_features), dtype))
    yield "many components"
    X, weight, listed = np.zeros((1, 1)), np.ones(1), np.zeros(1, np.int64)
    edges, one, costs = np.array([[0, 1]]), np.zeros(1), np.zeros((1, 2))
    backend().principal_cuts(X, weight, listed, edges, X.copy(), one, one.copy(), costs, 1)
    backend().sides(X, listed, edges, X, one, np.zeros(1, np.uint8), 1)
    backend().descend(X, X, one, np.array([[-1, -2]]), listed.copy(), 1)
    sums = np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1))
    backend().group_moments(X, weight, listed, edges[0], X, False, *sums, 1)
    components = Components("diag", np.zeros(1), np.zeros((1, 1)), np.ones((1, 1)))
    first = np.zeros((1, 1), np.int32)
    near = first.copy(), np.ones((1, 1)), np.zeros(1), first.copy()
    groups = listed, listed, edges[0], edges[0], listed, listed, first.ravel(), 1, 1
    backend().search_candidates(X, pad(components), CandidateSearch(*groups), *near, 1)
    box_bounds(X, X, pad(components), sums[1], 1)
    yield "missing values"
    gap = np.full((1, 1), np.nan)
    sums = empty_moments("diag", 1, 1)
    accumulate_incomplete(gap, np.ones(1), components, sums, np.zeros(1), 1)
    posterior_incomplete(gap, components, 1, log_prob_norm=np.zeros(1))


def _run_all(kind: str, X: Any) -> None:
    """Run every pass over one sample."""
    d = X.shape[1]
    precisions = {"full": np.eye(d)[np.newaxis], "tied": np.eye(d)}.get(kind)
    if precisions is None:
        precisions = np.ones(second_shape(kind, 1, d))
    components = Components(kind, np.zeros(1), np.zeros((1, d)), precisions)
    weight, norm = np.ones(1), np.zeros(1)
    sums = empty_moments(kind, 1, d)
    moments(X, weight, np.ones((1, 1)), kind, np.zeros((1, d)), sums, 1)
    accumulate(X, weight, components, sums, norm, 1)
    if X.dtype == np.float32:
        accumulate(X, weight, components, sums, norm, 1, float32_blocks=True)
    posterior(X, components, 1, log_prob_norm=norm)
    one, ends, labels = np.zeros(1, np.int64), np.array([0, 1]), np.zeros(1, np.int64)
    posterior_listed(X, pack(components), ends, one, norm, labels, 1)
    if kind == "full":
        failed = np.zeros(1, np.uint8)
        backend().inverse_factors(precisions, np.zeros_like(precisions), failed, 1)
