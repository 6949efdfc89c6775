"""Starting points: what is given, what is estimated, and from which samples."""

import itertools

import numpy as np
import pandas as pd
import pytest
import sklearn.mixture
from generators import KERNEL_KINDS
from sklearn.datasets import load_iris
from threadpoolctl import threadpool_info, threadpool_limits

from fastgmm import GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.init import INIT_PARAMS, seeding
from fastgmm.init.seeding import seeding_size, subsample
from fastgmm.model.covariance import get_covariance_model

N_COMPONENTS, N_FEATURES = 3, 4
CHOSEN_SAMPLES = ("k-means++", "random_from_data")


def make_data(n_samples=600, seed=0, separation=10.0):
    """Return clusters of unit variance, and their labels."""
    random_state = np.random.RandomState(seed)
    centers = separation * np.eye(N_COMPONENTS, N_FEATURES)
    labels = random_state.randint(N_COMPONENTS, size=n_samples)
    return centers[labels] + random_state.standard_normal((n_samples, N_FEATURES)), labels


def start(X, init_params="kmeans", covariance_type="full", *, sample_weight=None, **options):
    """Return the starting point as a fitted model."""
    options = {"n_components": N_COMPONENTS, "random_state": 0, "n_jobs": 1, **options}
    model = GaussianMixture(
        init_params=init_params, covariance_type=covariance_type, max_iter=0, **options
    )
    return model.fit(X, sample_weight=sample_weight)


def dense(model):
    kind = get_covariance_model(model.covariance_type)
    return kind.dense(model.covariances_, *model.means_.shape)


def rows_of(means, X):
    """Return the index of the row of X that each mean is."""
    matches = (means[:, np.newaxis] == X).all(axis=2)
    assert (matches.sum(axis=1) == 1).all()
    return matches.argmax(axis=1)


def assert_same_start(model, expected, **tolerance):
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        value = getattr(expected, name)
        np.testing.assert_allclose(getattr(model, name), value, **tolerance, err_msg=name)


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_start_is_a_mixture(init_params, covariance_type):
    X, _ = make_data()
    model = start(X, init_params, covariance_type)
    assert model.weights_.sum() == pytest.approx(1.0, rel=1e-14)
    assert (model.weights_ > 0).all()
    assert ((X.min(axis=0) <= model.means_) & (model.means_ <= X.max(axis=0))).all()
    assert (np.linalg.eigvalsh(dense(model)) > 0.1).all()
    assert len(np.unique(model.means_, axis=0)) == N_COMPONENTS


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("init_params", ["kmeans", "random"])
@pytest.mark.parametrize("seed", [0, 1])
def test_start_is_that_of_scikit_learn(init_params, covariance_type, seed):
    X, _ = make_data(separation=3.0)
    options = {"n_components": 5, "reg_covar": 1e-3, "random_state": seed}
    model = start(X, init_params, covariance_type, **options)
    expected = sklearn.mixture.GaussianMixture(
        covariance_type=covariance_type, init_params=init_params, max_iter=0, **options
    ).fit(X)
    assert_same_start(model, expected, rtol=1e-9, atol=1e-9)


def chosen_rows(X, init_params, **options):
    """Return the rows that a start chooses as centres: its means where precisions are given."""
    options = {"n_components": N_COMPONENTS, **options}
    precisions = np.ones(options["n_components"])
    model = start(X, init_params, "spherical", precisions_init=precisions, **options)
    np.testing.assert_array_equal(model.weights_, 1 / len(precisions))
    return rows_of(model.means_, X)


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("init_params", CHOSEN_SAMPLES)
def test_start_from_chosen_samples_is_that_of_their_clusters(init_params, covariance_type):
    """As after the first iteration of scikit-learn, which begins with covariances of almost 0."""
    X, _ = make_data(separation=3.0)
    model = start(X, init_params, covariance_type, reg_covar=0.0)
    centers = X[chosen_rows(X, init_params)]
    labels = ((X[:, np.newaxis] - centers) ** 2).sum(axis=2).argmin(axis=1)
    clusters = [X[labels == k] for k in range(N_COMPONENTS)]
    means = np.stack([cluster.mean(axis=0) for cluster in clusters])
    np.testing.assert_allclose(model.means_, means, rtol=1e-12)
    sizes = np.array([len(cluster) for cluster in clusters])
    np.testing.assert_allclose(model.weights_, sizes / len(X), rtol=1e-12)
    scatters = np.stack([np.cov(cluster.T, bias=True) for cluster in clusters])
    tied = np.tile(np.average(scatters, axis=0, weights=sizes), (N_COMPONENTS, 1, 1))
    traces = np.trace(scatters, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] / N_FEATURES
    expected = {
        "full": scatters,
        "tied": tied,
        "diag": scatters * np.eye(N_FEATURES),
        "spherical": traces * np.eye(N_FEATURES),
    }[covariance_type]
    np.testing.assert_allclose(dense(model), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("init_params", CHOSEN_SAMPLES)
@pytest.mark.parametrize("seed", range(3))
def test_chosen_samples_lead_where_they_lead_in_scikit_learn(init_params, seed):
    """On iris, whose grid of values puts many samples at equal distances from two centres."""
    X = load_iris().data
    options = {"n_components": 5, "covariance_type": "diag", "init_params": init_params}
    model = GaussianMixture(**options, random_state=seed).fit(X)
    expected = sklearn.mixture.GaussianMixture(**options, random_state=seed).fit(X)
    assert model.n_iter_ == expected.n_iter_ - 1
    # its first responsibilities are not quite 0 and 1
    assert model.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-4)


def test_samples_between_two_centers_are_shared():
    X = np.array([[0.0], [1.0], [2.0]])
    model = start(X, "random_from_data", "tied", n_components=2, means_init=X[[0, 2]])
    np.testing.assert_array_equal(model.weights_, [0.5, 0.5])
    assert model.covariances_[0, 0] == pytest.approx(2 / 9 + 1e-6)


@pytest.mark.parametrize("init_params", CHOSEN_SAMPLES)
def test_given_means_are_the_centers_of_the_clusters(init_params):
    X, labels = make_data()
    means = 10.0 * np.eye(N_COMPONENTS, N_FEATURES)
    model = start(X, init_params, "spherical", means_init=means)
    np.testing.assert_allclose(model.weights_, np.bincount(labels) / len(X), rtol=1e-12)
    assert (model.covariances_ < 2.0).all()


def test_k_means_plusplus_finds_separated_clusters():
    X, labels = make_data(separation=1000.0)
    for seed in range(20):
        rows = chosen_rows(X, "k-means++", random_state=seed)
        assert set(labels[rows]) == set(range(N_COMPONENTS))


def test_random_from_data_draws_all_samples_alike():
    X = np.arange(8.0)[:, np.newaxis]
    random_state = np.random.RandomState(0)
    counts = np.zeros(8)
    for _ in range(400):
        rows = chosen_rows(X, "random_from_data", n_components=2, random_state=random_state)
        counts[rows] += 1
    assert counts.sum() == 800
    assert np.abs(counts - 100).max() < 5 * np.sqrt(100 * 3 / 4)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_same_random_state_same_result(init_params):
    X, _ = make_data(separation=2.0)
    first, second = (GaussianMixture(3, init_params=init_params, random_state=7) for _ in range(2))
    assert first.fit(X).lower_bounds_ == second.fit(X).lower_bounds_
    assert first.fit(X).means_.tobytes() == second.means_.tobytes()
    other = start(X, init_params, random_state=8)
    assert not np.array_equal(other.means_, start(X, init_params, random_state=7).means_)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_random_state_instance_advances(init_params):
    X, _ = make_data(separation=2.0)
    random_state = np.random.RandomState(0)
    first = start(X, init_params, random_state=random_state).means_
    second = start(X, init_params, random_state=random_state).means_
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, start(X, init_params, random_state=0).means_)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("n_samples", [1500, 240_000])
def test_samples_of_zero_weight_take_no_part(init_params, n_samples):
    X, _ = make_data(n_samples, separation=2.0)
    absent = np.arange(n_samples) % 3 > 0
    X[absent] += 1e6
    weight = np.where(absent, 0.0, 1.0 + np.arange(n_samples) % 2)
    model = start(X, init_params, sample_weight=weight)
    assert (np.abs(model.means_) < 100).all()
    assert (dense(model) < 100).all()
    alone = start(X[~absent], init_params, sample_weight=weight[~absent])
    assert_same_start(model, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("init_params", CHOSEN_SAMPLES)
def test_heavy_samples_seed_more_often(init_params):
    X = np.arange(20.0)[:, np.newaxis]
    weight = np.where(X[:, 0] < 4, 1e9, 1.0)
    for seed in range(20):
        model = start(X, init_params, n_components=2, random_state=seed, sample_weight=weight)
        assert (model.means_ < 4).all()


def test_weighted_start_is_that_of_repeated_samples():
    X, _ = make_data(120, separation=1e4)  # so that k-means has one solution
    counts = 1 + np.arange(len(X)) % 3
    weighted = start(X, sample_weight=counts.astype(float))
    repeated = start(np.repeat(X, counts, axis=0))
    order, expected = (np.argsort(model.means_[:, 0]) for model in (weighted, repeated))
    np.testing.assert_allclose(
        weighted.covariances_[order], repeated.covariances_[expected], rtol=1e-6
    )
    np.testing.assert_allclose(weighted.weights_[order], repeated.weights_[expected], rtol=1e-12)


@pytest.mark.parametrize(
    "n_features, n_components, expected",
    [(2, 3, 65536), (64, 3, 65536), (784, 3, 8192), (784, 1000, 32_000), (2, 5000, 160_000)],
)
def test_seeding_size(n_features, n_components, expected):
    samples = Samples(np.zeros((3, n_features)))
    assert seeding_size(samples, n_components) == expected


@pytest.mark.parametrize("as_frame", [False, True])
def test_subsample_is_of_distinct_rows_with_their_weights(as_frame):
    values = np.c_[np.arange(50_000), np.arange(50_000) ** 2]
    X = pd.DataFrame({"a": values[:, 0], "b": values[:, 1].astype(float)}) if as_frame else values
    weight = np.arange(50_000.0) % 2
    drawn = subsample(Samples(X, weight), 8192, np.random.RandomState(0))
    ((rows, weights),) = drawn.blocks()
    assert rows.shape == (8192, 2)
    assert len(np.unique(rows[:, 0])) == 8192
    np.testing.assert_array_equal(rows[:, 1], rows[:, 0] ** 2)
    np.testing.assert_array_equal(weights, 1.0)
    assert (rows[:, 0] % 2 == 1).all()
    assert abs(rows[:, 0].mean() - 25_000) < 5 * 50_000 / np.sqrt(12 * 8192)


def test_small_data_is_not_subsampled():
    X = np.random.RandomState(0).standard_normal((100, 2))
    random_state = np.random.RandomState(0)
    drawn = subsample(Samples(X), 100, random_state)
    assert np.shares_memory(next(drawn.blocks())[0], X)
    assert random_state.randint(10**9) == np.random.RandomState(0).randint(10**9)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_start_on_large_data_is_close_to_that_of_all_samples(init_params):
    X, labels = make_data(200_000, separation=30.0)
    model = start(X, init_params)
    if init_params == "random_from_data":
        assert ((X.min(axis=0) <= model.means_) & (model.means_ <= X.max(axis=0))).all()
        return
    if init_params == "random":
        np.testing.assert_allclose(model.means_, np.tile(X.mean(axis=0), (3, 1)), atol=1.0)
        return
    centers = np.stack([X[labels == k].mean(axis=0) for k in range(N_COMPONENTS)])
    distances = np.linalg.norm(model.means_[:, np.newaxis] - centers, axis=2)
    assert sorted(distances.argmin(axis=1)) == [0, 1, 2]
    assert distances.min(axis=1).max() < 5 * np.sqrt(N_FEATURES * N_COMPONENTS / 8192)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_large_data_is_sampled_anew_for_every_start(init_params):
    X, _ = make_data(70_000, separation=1.0)
    random_state = np.random.RandomState(0)
    first, second = (start(X, init_params, random_state=random_state) for _ in range(2))
    assert not np.array_equal(first.means_, second.means_)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_n_init_keeps_the_best(init_params):
    X = np.random.RandomState(0).standard_normal((200, 3))
    options = {"init_params": init_params, "tol": 1e-2, "n_jobs": 1}
    random_state = np.random.RandomState(3)
    runs = [GaussianMixture(4, random_state=random_state, **options).fit(X) for _ in range(5)]
    best = GaussianMixture(4, random_state=np.random.RandomState(3), n_init=5, **options).fit(X)
    expected = max(runs, key=lambda run: run.lower_bound_)
    assert len({run.lower_bound_ for run in runs}) > 1
    assert best.lower_bounds_ == expected.lower_bounds_
    assert best.means_.tobytes() == expected.means_.tobytes()
    assert best.n_iter_ == expected.n_iter_


GIVEN = ("weights", "means", "precisions")
SUBSETS = [names for size in range(4) for names in itertools.combinations(GIVEN, size)]


def given_values(covariance_type):
    precision = 0.3 * np.eye(N_FEATURES) + 0.1
    diagonal = np.array([[0.5], [1.0], [2.0]])
    return {
        "weights": np.array([0.2, 0.3, 0.5]),
        "means": 3.0 * np.eye(N_COMPONENTS, N_FEATURES) + 0.5,
        "precisions": {
            "full": diagonal[:, :, np.newaxis] * precision,
            "tied": precision,
            "diag": diagonal * np.arange(1.0, 5.0),
            "spherical": diagonal[:, 0],
        }[covariance_type],
    }


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_given_parameters_are_taken_and_the_rest_estimated(names, covariance_type, init_params):
    X, _ = make_data(separation=3.0)
    values = given_values(covariance_type)
    options = {f"{name}_init": values[name] for name in names}
    model = start(X, init_params, covariance_type, **options)
    estimated = start(X, init_params, covariance_type)
    for name in GIVEN:
        if name not in names and names and init_params not in ("kmeans", "random"):
            continue  # the others depend on what is given
        expected = values[name] if name in names else getattr(estimated, f"{name}_")
        tolerance = 1e-12 if name == "precisions" else 0.0
        actual = getattr(model, f"{name}_")
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance, err_msg=name)
    product = dense(model) @ np.linalg.inv(dense(model))
    np.testing.assert_allclose(product, np.tile(np.eye(N_FEATURES), (3, 1, 1)), atol=1e-10)


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_partly_given_start_is_that_of_scikit_learn(names, covariance_type):
    X, _ = make_data(separation=3.0)
    values = given_values(covariance_type)
    options = {f"{name}_init": values[name] for name in names}
    expected = sklearn.mixture.GaussianMixture(
        N_COMPONENTS, covariance_type=covariance_type, max_iter=1, random_state=0, **options
    )
    model = GaussianMixture(**expected.get_params())
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        expected.fit(X)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        model.fit(X)
    assert model.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-9)
    assert_same_start(model, expected, rtol=1e-9, atol=1e-9)


def test_given_parameters_are_not_changed_by_the_fit():
    X, _ = make_data(separation=3.0)
    values = given_values("full")
    before = {name: value.copy() for name, value in values.items()}
    options = {f"{name}_init": value for name, value in values.items()}
    model = GaussianMixture(N_COMPONENTS, **options, tol=1e-2).fit(X)
    assert model.n_iter_ > 1
    for name, value in values.items():
        np.testing.assert_array_equal(value, before[name])
        assert getattr(model, f"{name}_init") is value
        assert not np.shares_memory(getattr(model, f"{name}_"), value)


def test_all_given_draws_no_random_number():
    X, _ = make_data()
    random_state = np.random.RandomState(0)
    options = {f"{name}_init": value for name, value in given_values("full").items()}
    start(X, random_state=random_state, **options)
    assert random_state.randint(10**9) == np.random.RandomState(0).randint(10**9)


@pytest.mark.parametrize("offset", [1e8, -1e8, 1e10])
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("init_params", INIT_PARAMS)
def test_start_far_from_zero_is_the_same_but_shifted(init_params, covariance_type, offset):
    X, _ = make_data(separation=20.0)
    X = np.round(X * 64) / 64  # so that the shift is exact up to 1e10
    model = start(X + offset, init_params, covariance_type)
    expected = start(X, init_params, covariance_type)
    spacing = np.spacing(abs(offset))
    np.testing.assert_allclose(model.weights_, expected.weights_, rtol=1e-12)
    np.testing.assert_allclose(model.means_ - offset, expected.means_, rtol=0, atol=8 * spacing)
    tolerance = 1e-9 + 64 * spacing**2
    np.testing.assert_allclose(
        model.covariances_, expected.covariances_, rtol=tolerance, atol=tolerance
    )


def test_component_that_collapses_in_seeding_gets_the_pooled_covariance():
    X = np.vstack([make_data(300)[0], np.full((1, N_FEATURES), 1e3)])
    model = start(X, "kmeans", "full", n_components=4, reg_covar=0.0)
    lone = model.weights_.argmin()
    assert model.weights_[lone] == pytest.approx(1 / len(X))
    labels = model.predict(X)
    cells = np.stack([X[labels == k].mean(axis=0) for k in range(4)])
    pooled = (X - cells[labels]).T @ (X - cells[labels]) / len(X)
    np.testing.assert_allclose(model.covariances_[lone], pooled, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("init_params", INIT_PARAMS)
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_as_many_components_as_samples(init_params, covariance_type):
    X, _ = make_data(12)
    model = start(X, init_params, covariance_type, n_components=12)
    assert np.isfinite(model.score(X))
    assert (model.weights_ > 0).all()


def test_seeding_uses_one_thread(monkeypatch):
    seen = []

    def kmeans(*args):
        seen.extend(pool["num_threads"] for pool in threadpool_info())
        return original(*args)

    original = seeding.SEEDING["kmeans"]
    monkeypatch.setitem(seeding.SEEDING, "kmeans", kmeans)
    seeding.openmp_controller.cache_clear()  # other tests may have loaded other libraries
    X = np.random.RandomState(0).standard_normal((50, 2))
    with threadpool_limits(2):
        GaussianMixture(2, init_params="kmeans", max_iter=0).fit(X)
        assert max(pool["num_threads"] for pool in threadpool_info()) == 2
    assert max(seen) == 1
