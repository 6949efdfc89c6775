"""SoftKMeans: a plain twin, Lloyd's k-means as its limit, and EM with fixed variances."""

import numpy as np
import pytest
from generators import sample_weights
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgmm import SoftKMeans, em

ignore_unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CHECKS = parametrize_with_checks([SoftKMeans(n_clusters=3, max_iter=5, n_init=2)])


@ignore_unconverged
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_checks(estimator, check):
    check(estimator)


def make_data(n=1200, d=3, seed=0, scale=4.0):
    rng = np.random.default_rng(seed)
    centers = scale * rng.normal(size=(4, d))
    return centers[rng.integers(4, size=n)] + rng.normal(size=(n, d))


def plain_soft_kmeans(X, centers, beta, n_iter, weight=None):
    """Return centres and the mean log-likelihoods, from n x K tables."""
    weight = np.ones(len(X)) if weight is None else weight
    K, d = centers.shape
    bounds = []
    for _ in range(n_iter):
        squares = ((X[:, np.newaxis] - centers) ** 2).sum(axis=2)
        norm = logsumexp(-beta * squares, axis=1)
        resp = weight[:, np.newaxis] * np.exp(-beta * squares - norm[:, np.newaxis])
        constant = 0.5 * d * np.log(beta / np.pi) - np.log(K)
        bounds.append(weight @ (norm + constant) / weight.sum())
        centers = resp.T @ X / resp.sum(axis=0)[:, np.newaxis]
    return centers, bounds


@ignore_unconverged
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("K, d", [(4, 3), (1, 1), (3, 1), (9, 8)])
@pytest.mark.parametrize("beta", [0.02, 0.5, 20.0])
def test_is_the_plain_one(beta, K, d, weighted):
    X = make_data(d=d)
    weight = sample_weights(len(X)) if weighted else None
    start = X[-K:] + 0.1
    _, bounds = plain_soft_kmeans(X, start, beta, 12, weight)
    model = SoftKMeans(K, beta, init=start, max_iter=12, tol=0.0).fit(X, sample_weight=weight)
    n = model.n_iter_  # fewer where the bound stands still
    np.testing.assert_allclose(model.lower_bounds_, bounds[:n], rtol=1e-10)
    expected, _ = plain_soft_kmeans(X, start, beta, n, weight)
    np.testing.assert_allclose(model.cluster_centers_, expected, rtol=1e-8, atol=1e-8)
    assert np.diff(model.lower_bounds_).min(initial=0.0) > -1e-12


def test_repeated_weighted_and_reordered_samples_give_the_same_centers():
    X = make_data(300).round(1)
    times = np.arange(300) % 4  # a fourth of the samples does not count
    order = np.random.default_rng(0).permutation(300)
    options = {"n_clusters": 4, "beta": 0.2, "random_state": 0, "n_init": 3}
    expected = SoftKMeans(**options).fit(np.repeat(X, times, axis=0))
    for data, weight in ((X, times), (X[order], times[order])):
        model = SoftKMeans(**options).fit(data, sample_weight=weight)
        np.testing.assert_allclose(model.cluster_centers_, expected.cluster_centers_, rtol=1e-9)
        assert model.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-12)


def test_fewer_distinct_samples_than_clusters():
    X = np.repeat([[0.0], [9.0]], 20, axis=0)
    model = SoftKMeans(3, random_state=0).fit(X)
    assert set(model.cluster_centers_.ravel().round(6)) == {0.0, 9.0}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_is_em_with_fixed_weights_and_variances(dtype):
    X = make_data(20_000).astype(dtype)
    start = em.MixtureParameters.from_covariances(
        "spherical", np.full(4, 0.25), X[:4].astype(float), np.full(4, 1.0)
    )
    result = em.fit(X, start, update=em.MeansOnly(), convergence=em.LowerBoundChange(1e-6))
    model = SoftKMeans(4, 0.5, init=X[:4], tol=1e-6).fit(X)
    assert model.converged_
    np.testing.assert_allclose(model.lower_bounds_, result.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(model.cluster_centers_, result.parameters.means, rtol=1e-10)
    np.testing.assert_array_equal(result.parameters.weights, start.weights)
    np.testing.assert_array_equal(result.parameters.covariances, start.covariances)
    if dtype == "float32":  # the same centres as in float64, to the rounding of blocks
        double = SoftKMeans(4, 0.5, init=X[:4], tol=1e-6).fit(X.astype(float))
        np.testing.assert_allclose(model.cluster_centers_, double.cluster_centers_, atol=1e-4)


def test_the_full_update_moves_weights_and_variances():
    X = make_data()
    start = em.MixtureParameters.from_covariances("spherical", np.full(4, 0.25), X[:4], np.ones(4))
    full, means = (em.fit(X, start, update=update, max_iter=1).parameters
                   for update in (em.ClosedForm(), em.MeansOnly()))  # fmt: skip
    np.testing.assert_array_equal(full.means, means.means)
    assert not np.allclose(full.weights, means.weights)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_stiff_limit_is_lloyds_k_means(d, weighted, offset):
    X = make_data(n=2000, d=d, scale=1.0) + offset
    weight = np.random.default_rng(3).gamma(2.0, size=len(X)) if weighted else None
    start = X[[3, 99, 500, 1200, 1999]]
    lloyd = KMeans(5, init=start, n_init=1, algorithm="lloyd", tol=0.0, max_iter=1000)
    lloyd.fit(X, sample_weight=weight)
    model = SoftKMeans(5, beta=1e6, init=start, tol=1e-9, max_iter=1000)
    model.fit(X, sample_weight=weight)
    assert model.converged_
    # scikit-learn's sums round to 1e-10 at an offset of 1e6
    atol = 1e-9 if offset == 0 else 1e-7
    np.testing.assert_allclose(model.cluster_centers_, lloyd.cluster_centers_, rtol=0, atol=atol)
    np.testing.assert_array_equal(model.labels_, lloyd.labels_)
    # -lower_bound / beta tends to the mean squared distance
    weight = np.ones(len(X)) if weight is None else weight
    constant = 0.5 * d * np.log(1e6 / np.pi) - np.log(5)
    distortion = (constant - model.lower_bound_) / 1e6
    assert distortion == pytest.approx(lloyd.inertia_ / weight.sum(), rel=1e-5)


def test_centres_meet_below_the_critical_stiffness():
    X = make_data(seed=1)
    largest = np.linalg.eigvalsh(np.cov(X.T, bias=True)).max()
    for factor, meet in ((0.8, True), (1.5, False)):
        model = SoftKMeans(3, factor / (2 * largest), tol=1e-12, max_iter=5000, random_state=0)
        spread = np.ptp(model.fit(X).cluster_centers_, axis=0).max()
        assert (spread < 1e-2) == meet


@pytest.mark.parametrize("beta", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_numerics(beta, offset):
    X = np.round(make_data() * 2**10) / 2**10
    start = X[:4]
    near = SoftKMeans(4, beta, init=start, max_iter=500).fit(X)
    far = SoftKMeans(4, beta, init=start + offset, max_iter=500).fit(X + offset)
    np.testing.assert_allclose(far.cluster_centers_ - offset, near.cluster_centers_, atol=1e-6)
    resp = far.predict_proba(X + offset)
    assert np.isfinite(far.lower_bounds_).all()
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(resp, near.predict_proba(X), atol=1e-5)


def test_integer_weight_is_a_repeated_row():
    X = make_data(300)
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    repeated = np.repeat(X, counts, axis=0)
    weighted = SoftKMeans(4, init=X[:4]).fit(X, sample_weight=counts)
    plain = SoftKMeans(4, init=X[:4]).fit(repeated)
    np.testing.assert_allclose(weighted.lower_bounds_, plain.lower_bounds_, rtol=1e-12)
    np.testing.assert_allclose(weighted.cluster_centers_, plain.cluster_centers_, rtol=1e-10)


def test_predictions():
    X = make_data()
    model = SoftKMeans(4, 0.3, random_state=0).fit(X)
    new = make_data(seed=7)
    distances = np.linalg.norm(new[:, np.newaxis] - model.cluster_centers_, axis=2)
    np.testing.assert_allclose(model.transform(new), distances, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(new), distances.argmin(axis=1))
    log_resp = -0.3 * distances**2
    log_resp -= logsumexp(log_resp, axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(new), np.exp(log_resp), rtol=1e-9)
    constant = 1.5 * np.log(0.3 / np.pi) - np.log(4)
    expected = logsumexp(-0.3 * distances**2, axis=1) + constant
    np.testing.assert_allclose(model.score_samples(new), expected, rtol=1e-10)
    weight = sample_weights(len(new))
    assert model.score(new, sample_weight=weight) == pytest.approx(
        np.average(expected, weights=weight)
    )
    np.testing.assert_array_equal(model.labels_, model.predict(X))
    np.testing.assert_array_equal(model.fit_predict(X), model.labels_)
    np.testing.assert_array_equal(model.fit_transform(X), model.transform(X))
    assert model.get_feature_names_out().tolist() == [f"softkmeans{k}" for k in range(4)]


def test_distance_of_a_sample_from_itself():
    X = np.random.default_rng(0).normal(size=(50, 16)) * 10
    model = SoftKMeans(50, 1.0, init=X, max_iter=0).fit(X)
    np.testing.assert_allclose(np.diagonal(model.transform(X)), 0.0, atol=1e-5)


def test_dead_centre_stays():
    X = make_data(200)
    start = np.concatenate([X[:2], np.full((1, 3), 1e5)])
    model = SoftKMeans(3, 1.0, init=start).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_[2], start[2])
    assert np.isfinite(model.cluster_centers_).all()


def test_best_of_several_starts():
    X = make_data(seed=3)
    seeds = np.random.RandomState(0)
    bounds = [SoftKMeans(4, 5.0, random_state=seeds).fit(X).lower_bound_ for _ in range(5)]
    assert SoftKMeans(4, 5.0, n_init=5, random_state=0).fit(X).lower_bound_ == max(bounds)


def test_threads_change_no_bit():
    X = make_data(20_000)
    one, two = (SoftKMeans(6, random_state=0, n_jobs=n).fit(X) for n in (1, 2))
    assert one.cluster_centers_.tobytes() == two.cluster_centers_.tobytes()


def test_max_iter_zero_keeps_the_start():
    X = make_data()
    model = SoftKMeans(4, init=X[:4], max_iter=0).fit(X)
    np.testing.assert_array_equal(model.cluster_centers_, X[:4])
    assert (model.n_iter_, model.converged_, model.lower_bound_) == (0, False, -np.inf)


def test_warning_points_at_the_caller():
    with pytest.warns(ConvergenceWarning, match=r"\(max_iter=1, tol=1e-06, last ") as caught:
        SoftKMeans(4, max_iter=1, random_state=0).fit(make_data())
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"beta": 0.0}, "The 'beta' parameter of SoftKMeans must be a float in the range"),
        ({"n_clusters": 0}, "The 'n_clusters' parameter of SoftKMeans"),
        ({"init": "random"}, "The 'init' parameter of SoftKMeans"),
        ({"init": np.zeros((2, 3))}, r"'init' should have the shape of \(4, 3\), but got \(2, 3"),
        ({"n_clusters": 13}, "n_samples >= n_clusters but got n_clusters = 13, n_samples = 12"),
    ],
)
def test_bad_parameters(parameters, message):
    model = SoftKMeans(**{"n_clusters": 4, **parameters})
    with pytest.raises(ValueError, match=message):
        model.fit(make_data(12))
    with pytest.raises(NotFittedError):
        model.transform(make_data(12))
