"""The search for the best components of each sample, against NumPy and by its laws."""

import numpy as np
import pytest
from generators import KERNEL_KINDS, draw, mixture

from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.contract import OTHER_KERNELS
from fastgmm._kernels.layout import CandidateSearch, Components

THREADS = [1, 2, 5]
RTOL = OTHER_KERNELS["search_candidates"].rtol
#: n, d, K, candidates, neighbours, rows of a block.
SHAPES = [
    (1, 1, 1, 1, 1, 1),
    (40, 3, 7, 3, 4, 1),
    (600, 4, 9, 2, 1, 256),
    (300, 5, 20, 3, 5, 7),
    (512, 16, 9, 9, 9, 256),
    (400, 17, 40, 5, 7, 100),
    (300, 33, 6, 6, 2, 13),
    (257, 2, 50, 1, 15, 256),
    (70, 1, 5, 2, 5, 64),
    (4200, 3, 12, 3, 4, 5),  # more runs of blocks than slots
]
each_kind = pytest.mark.parametrize("kind", KERNEL_KINDS)
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def problem(kind, n, d, K, P, G, scenario="overlapping"):
    """Return samples, components, and candidates and neighbours at random.

    One component is the best candidate of half the samples.
    """
    rng = np.random.default_rng([n, d, K])
    parameters = mixture(kind, K, d, scenario=scenario)
    first = np.where(np.arange(n) < n // 2, K // 2, rng.integers(K, size=n))
    candidates = np.array([at_random(k, K, rng)[:P] for k in first], np.int32)
    neighbors = np.array([at_random(k, K, rng)[:G] for k in range(K)], np.int32)
    return draw(parameters, n), parameters.components(), candidates, neighbors


def at_random(first, K, rng):
    """Return all components, one of them first."""
    return [first, *rng.permutation(np.delete(np.arange(K), first))]


def groups_of(candidates, neighbors, block, is_wide=False):
    """Return samples by their best candidate, in blocks of so many whatever the groups are."""
    (n, _), (K, G) = candidates.shape, neighbors.shape
    rng = np.random.default_rng(n)
    rank = rng.permutation(K)
    best = rank[candidates[:, 0]]
    rows = np.argsort(best, kind="stable")
    found, sizes = np.unique(best, return_counts=True)
    bounds = np.r_[0, np.cumsum(sizes)]
    blocks = np.r_[0:n:block, n]
    first = np.searchsorted(bounds, blocks[:-1], side="right") - 1
    most = (np.searchsorted(bounds, blocks[1:]) - first).max()
    extra = rng.integers(K, size=len(first))
    components = np.argsort(rank)[found]
    near = neighbors.ravel().copy()
    return CandidateSearch(
        rows, components, bounds, blocks, first, extra, near, G, int(most), is_wide
    )


def search(module, X, components, groups, candidates, neighbors, n_threads=2):
    """Return new candidates and neighbours, responsibilities and log p of each sample."""
    candidates, neighbors = candidates.copy(), neighbors.copy()
    resp, norm = np.full(candidates.shape, np.nan), np.full(len(X), np.nan)
    module.search_candidates(X, components, groups, candidates, resp, norm, neighbors, n_threads)
    return candidates, neighbors, resp, norm


def assert_valid(candidates, neighbors, resp, norm):
    """Candidates and neighbours are distinct, and responsibilities are a distribution."""
    for table in (candidates, neighbors):
        ordered = np.sort(table, axis=1)
        assert (np.diff(ordered, axis=1) > 0).all()
        assert ordered.min() >= 0
        assert ordered.max() < len(neighbors)
    np.testing.assert_array_equal(neighbors[:, 0], np.arange(len(neighbors)))
    assert np.isfinite(norm).all()
    assert (resp >= 0.0).all()
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)
    assert (np.diff(resp, axis=1) <= 0.0).all()


def log_prob_of(X, components):
    """Return log (w_k N(x | k)) of all components."""
    distances = np.empty((len(X), len(components.means)))
    reference.mahalanobis(X, components, distances)
    return components.log_coefficients - distances / 2


def test_the_shapes_are_awkward():
    """Many groups in one block, one group over many, blocks of 1 and of 256."""
    seen = set()
    for n, d, K, P, G, block in SHAPES:
        _, _, candidates, neighbors = problem("diag", n, d, K, P, G)
        groups = groups_of(candidates, neighbors, block)
        seen |= set(np.diff(groups.blocks).tolist())
        begins = np.searchsorted(groups.bounds[:-1], groups.blocks)
        seen |= {"none begins"} if (np.diff(begins) == 0).any() else set()
        seen |= {"many begin"} if (np.diff(begins) > 1).any() else set()
    assert {1, 256, "none begins", "many begin"} <= seen


@each_kind
@each_shape
@pytest.mark.parametrize("is_wide", [False, True])
def test_candidates_are_those_of_the_definition(shape, kind, is_wide):
    """The bits do not depend on the number of threads."""
    *sizes, block = shape
    X, components, candidates, neighbors = problem(kind, *sizes)
    groups = groups_of(candidates, neighbors, block, is_wide)
    given = X, components, groups, candidates, neighbors
    expected = search(reference, *given)
    found = [search(kernels, *given, n_threads) for n_threads in THREADS]
    assert_valid(*found[0])
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert one.tobytes() == same.tobytes()
    for new, wanted in zip(found[0][:2], expected[:2], strict=True):
        np.testing.assert_array_equal(new, wanted)
    np.testing.assert_allclose(found[0][2], expected[2], rtol=0, atol=RTOL)
    np.testing.assert_allclose(found[0][3], expected[3], rtol=RTOL, atol=RTOL)


@each_kind
@pytest.mark.parametrize("scenario", ["overlapping", "touching", "far from zero"])
def test_with_every_component_as_candidate_it_is_the_posterior(kind, scenario):
    n, d, K = 300, 6, 11
    X, components, candidates, neighbors = problem(kind, n, d, K, K, K, scenario)
    groups = groups_of(candidates, neighbors, 256)
    candidates, _, resp, norm = search(kernels, X, components, groups, candidates, neighbors)
    expected_norm, expected_resp = np.empty(n), np.empty((n, K))
    kernels.posterior(X, components, 1, log_prob_norm=expected_norm, resp=expected_resp)
    in_order = np.take_along_axis(resp, np.argsort(candidates, axis=1), axis=1)
    rtol = 1e-8 if scenario == "far from zero" else 1e-11  # of 1e6 standard deviations
    np.testing.assert_allclose(in_order, expected_resp, rtol=0, atol=rtol)
    np.testing.assert_allclose(norm, expected_norm, rtol=rtol)


@each_kind
@each_shape
def test_log_p_never_falls_from_one_search_to_the_next(shape, kind):
    """The candidates of a sample are the best of more than those it had."""
    *sizes, block = shape
    X, components, candidates, neighbors = problem(kind, *sizes, scenario="touching")
    of_each = log_prob_of(X, components)
    chosen = np.take_along_axis(of_each, candidates, axis=1)
    norm = np.logaddexp.reduce(chosen, axis=1)
    for _ in range(5):
        groups = groups_of(candidates, neighbors, block)
        before = norm
        candidates, neighbors, resp, norm = search(
            kernels, X, components, groups, candidates, neighbors
        )
        assert_valid(candidates, neighbors, resp, norm)
        assert (norm >= before - 1e-13 * (1.0 + np.abs(before))).all()
    of_all = np.logaddexp.reduce(of_each, axis=1)
    assert (norm <= of_all + 1e-13 * (1.0 + np.abs(of_all))).all()


def test_a_search_in_neighborhoods_finds_nearly_all_of_the_best():
    """Of 512 components on a line, from candidates at random."""
    K, n = 512, 4000
    means = 3.0 * np.arange(K, dtype=float)[:, np.newaxis]
    components = Components("spherical", np.zeros(K), means, np.ones(K))
    rng = np.random.default_rng(0)
    X = means[rng.integers(K, size=n)] + rng.normal(size=(n, 1))
    _, _, candidates, neighbors = problem("spherical", n, 1, K, 3, 5)
    for _ in range(8):
        groups = groups_of(candidates, neighbors, 20)
        candidates, neighbors, *_ = search(kernels, X, components, groups, candidates, neighbors)
    assert (candidates[:, 0] == log_prob_of(X, components).argmax(axis=1)).mean() > 0.98
    near = np.sort(neighbors, axis=1)
    assert (near[:, -1] - near[:, 0] <= 6).mean() > 0.9


@each_kind
@pytest.mark.parametrize("size", [1e100, 1e300])
@pytest.mark.parametrize("is_wide", [False, True])
def test_distances_that_overflow_leave_a_distribution(kind, size, is_wide):
    """Of half the samples, and of all of them under every second component, which weighs 0."""
    X, components, candidates, neighbors = problem(kind, 300, 6, 11, 4, 5)
    X[::2] *= size
    coefficients = components.log_coefficients.copy()
    coefficients[::2] = -np.finfo(np.float64).max
    factors = components.precisions_cholesky * 1e100
    components = Components(kind, coefficients, components.means, factors)
    groups = groups_of(candidates, neighbors, 100, is_wide)
    given = X, components, groups, candidates, neighbors
    found, expected = search(kernels, *given), search(reference, *given)
    assert_valid(*found)
    for new, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(new, wanted, rtol=RTOL)


@each_kind
def test_components_of_weight_0_come_last(kind):
    X, components, candidates, neighbors = problem(kind, 300, 6, 11, 11, 11)
    coefficients = components.log_coefficients.copy()
    coefficients[[2, 5]] = -np.finfo(np.float64).max
    components = components._replace(log_coefficients=coefficients)
    groups = groups_of(candidates, neighbors, 100)
    found = search(kernels, X, components, groups, candidates, neighbors)
    assert_valid(*found)
    assert set(found[0][:, -2:].ravel().tolist()) == {2, 5}
    np.testing.assert_array_equal(found[2][:, -2:], 0.0)


@each_kind
@pytest.mark.parametrize("is_wide", [False, True])
def test_of_equal_components_the_first_that_is_looked_at_is_best(kind, is_wide):
    """First the candidates of the samples of a block, row by row."""
    n, d, K, P, G = 300, 5, 12, 3, 4
    X, _, candidates, neighbors = problem(kind, n, d, K, P, G)
    parameters = mixture(kind, 1, d)
    one = parameters.components()
    U = one.precisions_cholesky
    U = U if kind == "tied" else np.repeat(U, K, axis=0)
    components = Components(kind, np.zeros(K), np.repeat(one.means, K, axis=0), U)
    groups = groups_of(candidates, neighbors, 50, is_wide)
    found = search(kernels, X, components, groups, candidates, neighbors)
    begins = groups.rows[groups.blocks[:-1]]
    wanted = np.repeat(candidates[begins], np.diff(groups.blocks), axis=0)
    np.testing.assert_array_equal(found[0][groups.rows], wanted)
    np.testing.assert_allclose(found[2], 1.0 / P, rtol=1e-15)
    first = groups.components[0]  # whose group begins with the first block
    looked_at = dict.fromkeys(candidates[groups.rows[:50]].ravel().tolist())
    others = [k for k in looked_at if k != first][: G - 1]
    assert found[1][first].tolist() == [first, *others]


@pytest.mark.parametrize("dtype, order", [("float64", "F"), ("float32", "C"), ("float32", "F")])
def test_samples_may_be_float32_and_in_any_memory_order(dtype, order):
    X, components, candidates, neighbors = problem("full", 300, 5, 20, 3, 5)
    X = X.astype(np.float32)
    groups = groups_of(candidates, neighbors, 50)
    outputs = [
        search(kernels, values, components, groups, candidates, neighbors)
        for values in (X.astype(np.float64), np.asarray(X, dtype, order=order))
    ]
    for one, same in zip(*outputs, strict=True):
        assert one.tobytes() == same.tobytes()
