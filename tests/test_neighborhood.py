"""Truncated EM over neighbourhoods: EM itself where all components are candidates, and its laws."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    assert_same_bits,
    assert_same_mixture,
    draw,
    mixture,
    sample_weights,
)
from variants import (
    assert_same_statistics,
    check_absent_rows,
    check_awkward_shape,
    check_dying_component,
    check_far_from_zero,
    check_runs_start_anew,
    check_threads,
    log_likelihood,
    summarize,
)

import fastgmm
from fastgmm import em
from fastgmm.data.samples import Samples
from fastgmm.em.candidates import Candidates
from fastgmm.em.reseeding import find_spent, reseed

pytestmark = pytest.mark.one_backend

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def whole(K, **kw):
    """Return the policy with every component a candidate and a neighbour."""
    return em.NeighborhoodPosterior(K, K, **kw)


def many(K=300, n=6000, d=4, covariance_type="diag", seed=0, spread=3.0):
    """Return overlapping clusters, and a start for as many components."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=spread, size=(K, d))
    X = centers[rng.integers(K, size=n)] + rng.normal(size=(n, d))
    start = em.starting_parameters(
        X, K, covariance_type=covariance_type, init_params="tree", reg_covar=1e-3, random_state=seed
    )
    return X, start


def fit(X, start, posterior, max_iter=10, **kw):
    return em.fit(
        X,
        start,
        posterior=posterior,
        update=em.ClosedForm(kw.pop("reg_covar", 1e-3)),
        convergence=em.Never(),
        max_iter=max_iter,
        **kw,
    )


@each_type
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_with_all_components_it_is_em(covariance_type, weighted, dtype):
    start = mixture(covariance_type, 5, 3, scenario="overlapping")
    X = draw(start, 2000).astype(dtype)
    weight = sample_weights(2000) if weighted else None
    # float64: exact EM of float32 samples rounds within blocks
    exact = fit(X.astype(float), start, em.ExactPosterior(), sample_weight=weight)
    result = fit(X, start, whole(5), sample_weight=weight)
    np.testing.assert_allclose(result.lower_bounds, exact.lower_bounds, rtol=0, atol=1e-10)
    assert_same_mixture(result.parameters, exact.parameters, rtol=1e-9)


@each_type
def test_statistics_are_exact_with_all_components(covariance_type):
    start = mixture(covariance_type, 7, 5)
    X, weight = draw(start, 900), sample_weights(900)
    expected = summarize(em.ExactPosterior(), X, start, weight)
    found = summarize(whole(7), X, start, weight)
    assert_same_statistics(found, expected, 1e-11)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, rel=1e-12)
    assert found.weight == pytest.approx(expected.weight, rel=1e-15)
    parts = [
        summarize(whole(7), X[rows], start, weight[rows]) for rows in (slice(300), slice(300, None))
    ]
    assert_same_statistics(parts[0] + parts[1], expected, 1e-11)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_the_bound_rises_and_is_a_bound(covariance_type):
    X, start = many(covariance_type=covariance_type)
    scores = []

    def check(iteration):
        scores.append(iteration.partial().score(X))

    result = fit(X, start, em.NeighborhoodPosterior(), 12, reg_covar=0.0, callback=check)
    assert (np.diff(result.lower_bounds) > -1e-10).all()
    # the score of an iteration is that of its update, whose bound the next one has
    assert (np.array(result.lower_bounds[1:]) <= np.array(scores[:-1]) + 1e-10).all()


@pytest.mark.parametrize(("covariance_type", "lost"), [("diag", 0.1), ("full", 0.1)])
def test_little_is_lost(covariance_type, lost):
    """Truncated EM ends within a tenth of a nat of EM, also on samples held out."""
    X, start = many(covariance_type=covariance_type, n=16_000)
    X, others = X[:12_000], X[12_000:]
    exact = fit(X, start, em.ExactPosterior(), 15)
    result = fit(X, start, em.NeighborhoodPosterior(), 15)
    assert result.score(X) > exact.score(X) - lost
    assert result.score(others) > exact.score(others) - lost


def test_separated_clusters_are_found_from_any_order_of_components():
    """The search finds the right component of each sample, although none begins near its own."""
    rng = np.random.default_rng(1)
    K, d = 400, 3
    centers = rng.normal(scale=60.0, size=(K, d))
    X = np.repeat(centers, 20, axis=0) + rng.normal(size=(20 * K, d))
    order = rng.permutation(K)
    start = em.MixtureParameters.from_covariances(
        "spherical", np.full(K, 1.0 / K), centers[order], np.ones(K)
    )
    posterior = em.NeighborhoodPosterior()
    result = fit(X, start, posterior, 3, reg_covar=0.0)
    np.testing.assert_allclose(result.parameters.weights, 1.0 / K, rtol=0.1)
    np.testing.assert_allclose(result.parameters.means, start.means, atol=2.0)
    assert result.lower_bound == pytest.approx(
        log_likelihood(X, result.parameters) / len(X), rel=1e-3
    )


@pytest.mark.slow
def test_more_candidates_and_neighbors_raise_the_bound():
    X, start = many(spread=1.0)
    bounds = [
        summarize(em.NeighborhoodPosterior(P, G), X, start).log_likelihood / len(X)
        for P, G in ((1, 2), (3, 15), (10, 40), (300, 300))
    ]
    assert (np.diff(bounds) > 0.0).all()
    assert bounds[-1] == pytest.approx(log_likelihood(X, start) / len(X), rel=1e-12)


def test_a_weight_counts_copies():
    """Also where few are candidates: the copies of a sample share its fate."""
    X, start = many(K=60, n=1500)
    weight = np.arange(1500) % 3 + 1
    counted = fit(X, start, whole(60), 5, sample_weight=weight)
    copied = fit(np.repeat(X, weight, axis=0), start, whole(60), 5)
    np.testing.assert_allclose(counted.lower_bounds, copied.lower_bounds, rtol=1e-12)
    twice = fit(X, start, em.NeighborhoodPosterior(), 5, sample_weight=np.full(1500, 2.0))
    once = fit(X, start, em.NeighborhoodPosterior(), 5)
    np.testing.assert_allclose(twice.lower_bounds, once.lower_bounds, rtol=1e-12)
    assert_same_mixture(twice.parameters, once.parameters, rtol=1e-9)


def test_an_order_of_components_changes_nothing():
    start = mixture("full", 6, 3, scenario="overlapping")
    X, order = draw(start, 1200), np.array([3, 0, 5, 1, 4, 2])
    moved = replace(
        start,
        **{
            name: getattr(start, name)[order]
            for name in ("weights", "means", "covariances", "precisions_cholesky")
        },
    )
    result, other = fit(X, start, whole(6)), fit(X, moved, whole(6))
    np.testing.assert_allclose(other.lower_bounds, result.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(other.parameters.means, result.parameters.means[order], rtol=1e-8)


def test_units_change_nothing():
    X, start = many(K=100)
    unit = 2.0 ** np.array([-30, 0, 4, 31])
    moved = em.MixtureParameters.from_covariances(
        "diag", start.weights, start.means * unit, start.covariances * unit**2
    )
    result = fit(X, start, em.NeighborhoodPosterior(), reg_covar="auto")
    other = fit(X * unit, moved, em.NeighborhoodPosterior(), reg_covar="auto")
    shift = np.log(unit).sum()
    np.testing.assert_allclose(np.array(other.lower_bounds) + shift, result.lower_bounds, atol=1e-9)
    np.testing.assert_allclose(other.parameters.means / unit, result.parameters.means, atol=1e-7)


def test_threads_change_no_bit():
    check_threads(lambda n: em.NeighborhoodPosterior(2, 3, n_jobs=n))
    X, start = many(covariance_type="full")
    results = [fit(X, start, em.NeighborhoodPosterior(n_jobs=n), 4) for n in (1, 2, 5)]
    for result in results[1:]:
        assert result.lower_bounds == results[0].lower_bounds
        assert_same_bits(result.parameters, results[0].parameters)


def test_the_type_of_samples_changes_no_bit():
    """Samples are computed in float64: of float32 these are the same numbers."""
    X, start = many(K=100)
    X = X.astype(np.float32)
    single, double = (fit(Y, start, em.NeighborhoodPosterior(), 4) for Y in (X, X.astype(float)))
    assert single.lower_bounds == double.lower_bounds


def test_runs_start_anew():
    check_runs_start_anew(em.NeighborhoodPosterior(2, 2))
    X, start = many(K=100)
    seeds = [fit(X, start, em.NeighborhoodPosterior(seed=s), 3).lower_bounds for s in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


@each_type
def test_a_component_without_samples_stays(covariance_type):
    check_dying_component(em.NeighborhoodPosterior(2, 2), covariance_type)


def test_absent_rows_take_no_part():
    check_absent_rows(lambda: whole(3))


@each_type
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_far_from_zero(covariance_type, offset):
    check_far_from_zero(lambda: whole(4), covariance_type, offset)


@pytest.mark.parametrize(
    ("K", "d", "n"), [(1, 1, 2), (1, 5, 30), (2, 1, 7), (40, 3, 60), (9, 17, 9)]
)
def test_awkward_shapes(K, d, n):
    check_awkward_shape(em.NeighborhoodPosterior(), K, d, n)
    check_awkward_shape(em.NeighborhoodPosterior(1, 1), K, d, n)


def test_equal_means_share_their_samples():
    """A tree cannot tell equal means apart; the search looks at all of them."""
    start = mixture("diag", 1, 2)
    X = draw(start, 500)
    copies = em.MixtureParameters.from_covariances(
        "diag",
        np.full(8, 1 / 8),
        np.repeat(start.means, 8, axis=0),
        np.repeat(start.covariances, 8, axis=0),
    )
    assert summarize(whole(8), X, copies).log_likelihood == pytest.approx(log_likelihood(X, start))


@each_type
def test_components_of_one_sample_are_used_elsewhere(covariance_type):
    """Beside large ones: all others than before reach more. The total of weights stays."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(4000, 3)) * [1, 5, 1], [[30.0, 0, 0], [0, 90.0, 0]]])
    start = em.starting_parameters(
        X[:4000], 40, covariance_type=covariance_type, init_params="tree", random_state=0
    )
    means = start.means.copy()
    means[:2] = X[4000:]  # one sample each; a third and fourth are far from all
    means[2:4] = [[1e3, 0, 0], [-1e3, 0, 0]]
    covariances = start.covariances.copy()
    if start.covariance_model.per_component:
        covariances[:4] = covariances[4]
    start = em.MixtureParameters.from_covariances(
        covariance_type, start.weights, means, covariances
    )
    before, kept, moved = (
        fit(X, start, em.NeighborhoodPosterior(reseed_until=reseed), max_iter)
        for reseed, max_iter in ((0, 4), (0, 5), (5, 5))
    )
    assert moved.lower_bounds == kept.lower_bounds
    sizes, without, with_it = (len(X) * r.parameters.weights for r in (before, kept, moved))
    spent = np.flatnonzero(sizes < 1.5)
    parents = np.argsort(-sizes)[: len(spent)]
    assert set(range(4)) <= set(spent)
    assert moved.n_reseeded == len(spent)
    assert kept.n_reseeded == 0
    assert with_it.sum() == pytest.approx(len(X))
    both = [*spent, *parents]
    assert with_it[both].sum() == pytest.approx(without[both].sum(), rel=0.1)
    assert (np.minimum(with_it[spent], with_it[parents]) > 0.1 * without[parents]).all()
    assert (np.abs(moved.parameters.means) < 100).all()


def test_re_seeding_is_the_same_on_any_number_of_threads_and_in_parts(monkeypatch):
    X, start = many(K=800, n=3000)
    results = [
        fit(X, start, em.NeighborhoodPosterior(reseed_until=100, n_jobs=jobs)) for jobs in (1, 2)
    ]
    assert results[0].n_reseeded > 20
    assert_same_bits(results[0].parameters, results[1].parameters)
    monkeypatch.setattr("fastgmm.data.samples._LEAST_PART_ROWS", 1024)
    monkeypatch.setattr("fastgmm.data.samples._PART_ROWS", 1024)
    monkeypatch.setattr("fastgmm.data.samples._PART_ELEMENTS", 1024)
    batches = fastgmm.sources.Batches(lambda: (X[i : i + 500] for i in range(0, 3000, 500)))
    from_parts = fit(batches, start, em.NeighborhoodPosterior(reseed_until=100))
    assert abs(from_parts.n_reseeded - results[0].n_reseeded) <= 0.1 * results[0].n_reseeded
    assert from_parts.lower_bound == pytest.approx(results[0].lower_bound, abs=0.05)


@pytest.mark.parametrize("n_candidates", [1, 2, 5])
def test_re_seeding_with_any_number_of_candidates(n_candidates):
    X, start = many(K=400, n=1500)
    result = fit(X, start, em.NeighborhoodPosterior(n_candidates, reseed_until=15), max_iter=20)
    assert result.n_reseeded > 10
    assert result.parameters.weights.sum() == pytest.approx(1.0)
    assert np.isfinite(result.score(X))


@pytest.mark.parametrize("n_candidates", [1, 2, 12])
def test_responsibilities_still_sum_to_one(n_candidates):
    """Also of two outliers beside one another, whose components are both spent."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(300, 2)), [[40.0, 40.0], [40.5, 40.0]]])
    start = em.starting_parameters(X[:300], 10, init_params="tree", reg_covar=1e-3, random_state=0)
    parameters = em.MixtureParameters.from_covariances(
        "full",
        np.append(start.weights * 300, [1, 1]) / 302,
        np.concatenate([start.means, X[300:]]),
        np.concatenate([start.covariances, 2 * [np.eye(2)]]),
    )
    candidates = Candidates(Samples(X), parameters, n_candidates, 12, 0, 1)
    nk = np.append(start.weights * 300, [1.0, 1.0])
    reseeding = find_spent(nk, parameters)
    assert reseeding.spent.tolist() == [10, 11]
    for found in candidates.search(parameters, 1):
        reseed(found, parameters, reseeding)
        np.testing.assert_allclose(found.resp.sum(axis=1), 1.0, rtol=1e-12)
        assert all(len(set(row)) == n_candidates for row in found.candidates.tolist())
        of_outliers = np.argsort(found.rows)[-2:]
        best = found.candidates[of_outliers, 0]
        assert n_candidates < 3 or not set(best) & {10, 11}  # else it has no other candidate
        assert np.isin(found.candidates[:, 0], [10, 11]).sum() > 20
    candidates.adopt(reseeding.spent, reseeding.parents)


def test_with_all_candidates_re_seeding_keeps_statistics_exact():
    X, start = many(K=60, n=300)
    policy = em.NeighborhoodPosterior(60, 60, reseed_until=5)
    result = fit(X, start, policy, max_iter=9)
    assert result.n_reseeded > 0
    for last in (6, 7, 8):
        part = fit(X, start, em.NeighborhoodPosterior(60, 60, reseed_until=5), max_iter=last)
        exact = summarize(em.ExactPosterior(), X, part.parameters).lower_bound
        assert result.lower_bounds[last] == pytest.approx(exact, rel=1e-10)


def test_a_weight_counts_copies_when_components_are_re_seeded():
    X, start = many(K=100, n=400)
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    policy = em.NeighborhoodPosterior(100, 100, reseed_until=10)
    weighted = fit(X, start, policy, sample_weight=weight)
    copies = fit(np.repeat(X, weight, axis=0), start, policy)
    assert weighted.n_reseeded == copies.n_reseeded > 0
    assert weighted.lower_bounds == pytest.approx(copies.lower_bounds, rel=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_component_is_re_seeded_at_the_end():
    """A few iterations follow, so that the bound is one of the final parameters."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(300, 2)), [[30.0, 0], [0, 30.0]]])
    for max_iter in (4, 5, 6, 9, 10, 11, 15, 16, 20):
        options = {"max_iter": max_iter, "init_params": "tree", "reg_covar": 1e-3}
        model = fastgmm.GaussianMixture(12, tol=0, posterior="truncated", random_state=0, **options)
        assert model.fit(X).lower_bound_ <= model.score(X) + 1e-9
        assert (model.n_reseeded_ > 0) == (max_iter >= 10)


def test_the_fit_does_not_end_while_components_are_re_seeded():
    X, start = many(K=800, n=3000)
    changes = np.diff(fit(X, start, em.NeighborhoodPosterior(), 7).lower_bounds)
    for tol in (1.01 * changes[3], 1.01 * changes[4]):  # those of iterations 5 and 6
        policies = {"update": em.ClosedForm(1e-3), "convergence": em.LowerBoundChange(tol)}
        result = em.fit(X, start, posterior=em.NeighborhoodPosterior(reseed_until=100), **policies)
        assert result.converged
        assert result.n_iter not in (5, 6, 10, 11, 15, 16)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_counts_what_was_re_seeded(tmp_path):
    X, _ = many(K=800, n=3000)
    options = {"covariance_type": "diag", "posterior": "truncated", "reg_covar": 1e-3}
    options |= {"max_iter": 12, "random_state": 0}
    model = fastgmm.GaussianMixture(800, **options).fit(X)
    assert model.n_reseeded_ > 20
    fastgmm.save(model, tmp_path / "model.npz")
    assert fastgmm.load(tmp_path / "model.npz").n_reseeded_ == model.n_reseeded_
    checkpoint = em.Checkpoint(tmp_path / "fit", every_iterations=1)
    resumed = fastgmm.GaussianMixture(800, **options)
    resumed.fit(X, checkpoint=checkpoint, callback=lambda iteration: iteration.number == 6)
    resumed.fit(X, checkpoint=checkpoint)
    assert resumed.n_reseeded_ == model.n_reseeded_
    np.testing.assert_array_equal(resumed.means_, model.means_)
    held = fastgmm.GaussianMixture(800, fixed=("weights",), **options).fit(X)
    assert held.n_reseeded_ == 0
    assert fastgmm.GaussianMixture(2).fit(X).n_reseeded_ == 0


@each_type
def test_a_source_gives_the_same_but_for_rounding(covariance_type, monkeypatch):
    """It is sorted part by part, and memory as a whole; with all components both are EM."""
    for name, value in (("ELEMENTS", 1536 * 3), ("ROWS", 512)):
        monkeypatch.setattr(f"fastgmm.data.samples._PART_{name}", value)
    monkeypatch.setattr("fastgmm.data.samples._LEAST_PART_ROWS", 512)
    start = mixture(covariance_type, 5, 3, scenario="overlapping")
    X, weight = draw(start, 1700), sample_weights(1700)
    source = fastgmm.sources.Batches(lambda: [(X[:1000], weight[:1000]), (X[1000:], weight[1000:])])
    result, expected = fit(source, start, whole(5)), fit(X, start, whole(5), sample_weight=weight)
    np.testing.assert_allclose(result.lower_bounds, expected.lower_bounds, rtol=1e-12)
    few = fit(source, start, em.NeighborhoodPosterior(2, 3))
    assert (np.diff(few.lower_bounds) > -1e-10).all()
    assert few.score(X, sample_weight=weight) == pytest.approx(
        expected.score(X, sample_weight=weight), abs=0.1
    )


def test_memory_does_not_grow_with_samples_times_components():
    X, start = many(K=2000, n=20_000, d=2)
    fit(X[:3000], start, em.NeighborhoodPosterior(n_jobs=1), 1)
    tracemalloc.start()
    fit(X, start, em.NeighborhoodPosterior(n_jobs=1), 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6  # a table would take 320 MB


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "n_candidates should be a positive integer"),
        ((3, 0), "n_neighbors should be a positive integer"),
        ((3, 15, -1), "seed should be an integer from 0"),
    ],
)
def test_what_is_not_valid(arguments, message):
    with pytest.raises(ValueError, match=message):
        em.NeighborhoodPosterior(*arguments)


# the estimator

may_not_converge = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def estimator(**kw):
    given = {"covariance_type": "diag", "posterior": "truncated", "random_state": 0} | kw
    return fastgmm.GaussianMixture(given.pop("n_components", 300), **given)


@may_not_converge
def test_an_estimator_is_truncated_on_request():
    X, _ = many()
    model = estimator(max_iter=30, tol=1e-2).fit(X)
    assert model.converged_
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    assert model.lower_bound_ <= model.score(X) + 1e-9
    again = estimator(max_iter=30, tol=1e-2).fit(X)
    assert again.lower_bounds_ == model.lower_bounds_
    warm = estimator(max_iter=3, warm_start=True, tol=0.0)
    before = warm.fit(X).lower_bound_
    assert warm.fit(X).lower_bound_ > before


@may_not_converge
def test_exact_iterations_follow():
    """Their lower bounds are log-likelihoods, and their numbers go on."""
    X, _ = many()
    seen = []
    model = estimator(exact_iter=2, tol=1e-2).fit(
        X, callback=lambda iteration: seen.append((iteration.number, iteration.partial().n_iter_))
    )
    assert [number for number, _ in seen] == list(range(1, model.n_iter_ + 1))
    assert all(number == n for number, n in seen)
    assert [iteration.number for iteration in model.history_] == [number for number, _ in seen]
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    assert model.converged_
    plain = estimator(tol=1e-2).fit(X)
    assert model.lower_bounds_[: plain.n_iter_] == plain.lower_bounds_
    assert model.lower_bounds_[plain.n_iter_] == pytest.approx(plain.score(X), rel=1e-12)


@may_not_converge
def test_auto_is_truncated_where_there_are_many_components():
    X, _ = many(n=3000)
    few, by_name = (
        estimator(n_components=200, posterior=p, tol=0.1).fit(X) for p in ("auto", "exact")
    )
    assert few.lower_bounds_ == by_name.lower_bounds_
    large, by_name = (
        estimator(n_components=600, posterior=p, tol=0.1).fit(X) for p in ("auto", "truncated")
    )
    assert large.lower_bounds_ == by_name.lower_bounds_


@pytest.mark.parametrize(
    "other",
    [{"acceleration": "quasi-newton"}, {"acceleration": "subsample"}, {"missing": "marginalize"}],
)
def test_what_truncated_em_does_not_go_with(other):
    X, _ = many(K=5, n=100)
    (name,) = other
    with pytest.raises(ValueError, match=f"posterior='truncated' needs {name}="):
        estimator(n_components=3, **other).fit(X)


def test_a_stop_rule_needs_a_bound_that_it_takes():
    X, start = many(K=20, n=200)
    with pytest.raises(
        ValueError, match="QuasiNewton needs a posterior whose lower bound is the log-"
    ):
        em.fit(X, start, posterior=em.NeighborhoodPosterior(), acceleration=em.QuasiNewton())
