"""Ancestral sampling: the distribution of the draws, and that threads and chunks change nothing."""

import tracemalloc

import numpy as np
import pytest
import scipy.stats
from backends import VARIANTS, skip_without, using
from generators import COVARIANCE_TYPES, KERNEL_KINDS, mixture
from sklearn.mixture import GaussianMixture as Theirs

from fastgmm import GaussianMixture
from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm.model import sampling
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.parameters import MixtureParameters

#: No test here may fail by chance more often than this.
CHANCE = 1e-4


def model_of(parameters, **options):
    K = parameters.n_components
    model = GaussianMixture(K, covariance_type=parameters.covariance_type, **options)
    model.weights_, model.means_ = parameters.weights, parameters.means
    model.covariances_ = parameters.covariances
    model.precisions_cholesky_ = parameters.precisions_cholesky
    return model


def draw(parameters, counts, seed=0, n_threads=1):
    return parameters.sample(np.asarray(counts), np.random.RandomState(seed), n_threads)


def whiten(parameters, k, X):
    """Return U_k^T (x - mean_k), which is standard normal for draws of component k."""
    K, d = parameters.means.shape
    kind = get_covariance_model(parameters.covariance_type)
    covariance = kind.dense(parameters.covariances, K, d)[k]
    return np.linalg.solve(np.linalg.cholesky(covariance), (X - parameters.means[k]).T).T


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 32 rows of 4 features, so that a few thousand rows take many streams."""
    monkeypatch.setattr(sampling, "_CHUNK", 128)


@pytest.mark.parametrize("chunk", [128, sampling._CHUNK])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_moments_and_distribution(covariance_type, chunk, monkeypatch):
    monkeypatch.setattr(sampling, "_CHUNK", chunk)
    d, counts = 4, [3000, 1, 5000, 2000]
    parameters = mixture(covariance_type, len(counts), d)
    X, labels = draw(parameters, counts, n_threads=2)
    for k in (0, 2, 3):
        m = counts[k]
        z = whiten(parameters, k, X[labels == k])
        # m |mean of z|^2 is chi-square with d degrees of freedom
        distance = m * (z.mean(axis=0) ** 2).sum()
        assert CHANCE < scipy.stats.chi2(d).cdf(distance) < 1 - CHANCE
        scatter = z.T @ z
        variances = scipy.stats.chi2(m).cdf(np.diagonal(scatter))
        assert variances.min() > CHANCE
        assert variances.max() < 1 - CHANCE
        # an element off the diagonal of a Wishart matrix has variance m
        off = (scatter[np.triu_indices(d, 1)] ** 2).sum() / m
        assert scipy.stats.chi2(d * (d - 1) // 2).sf(off) > CHANCE
        for column in z.T:
            assert scipy.stats.kstest(column, "norm").pvalue > CHANCE


@pytest.mark.parametrize("d", [1, 2, 3, 16, 300])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_threads_change_no_bit(covariance_type, d):
    rows = max(sampling._CHUNK // d, 1)
    n = 2 * rows + 17 if d < 300 else 4 * rows
    parameters = mixture(covariance_type, 5, d)
    counts = np.random.RandomState(1).multinomial(n, parameters.weights)
    X, labels = draw(parameters, counts)
    for n_threads in (2, 3, 7):
        other, other_labels = draw(parameters, counts, n_threads=n_threads)
        assert other.tobytes() == X.tobytes()
        assert other_labels.tobytes() == labels.tobytes()


def test_n_jobs_changes_no_bit():
    models = [model_of(mixture("full", 3, 2), n_jobs=n, random_state=5) for n in (1, 2, None)]
    X, expected = models[0].sample(200_000)
    for model in models[1:]:
        other, labels = model.sample(200_000)
        assert other.tobytes() == X.tobytes()
        np.testing.assert_array_equal(labels, expected)


def test_a_random_state_of_the_call_goes_before_that_of_the_estimator():
    model = model_of(mixture("full", 3, 2), random_state=5)
    other = model_of(mixture("full", 3, 2), random_state=7)
    X, labels = model.sample(50)
    for seed in (5, np.random.RandomState(5)):
        same, same_labels = other.sample(50, random_state=seed)
        assert same.tobytes() == X.tobytes()
        np.testing.assert_array_equal(same_labels, labels)
    assert other.sample(50)[0].tobytes() != X.tobytes()
    generator = np.random.RandomState(5)
    first, second = (model.sample(50, random_state=generator)[0] for _ in range(2))
    assert first.tobytes() != second.tobytes()
    with pytest.raises(ValueError, match="'no seed' cannot be used to seed"):
        model.sample(5, random_state="no seed")


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 63, 64, 65, 320, 321])
def test_every_row_about_the_edges_of_chunks(covariance_type, n):
    parameters = mixture(covariance_type, 3, 4, scenario="separated")
    counts = np.random.RandomState(n).multinomial(n, parameters.weights)
    X, labels = draw(parameters, counts, n_threads=2)
    np.testing.assert_array_equal(labels, np.repeat(np.arange(3), counts))
    entropy = np.random.RandomState(0).randint(2**32, size=4, dtype=np.uint32).tolist()
    sizes = [4 * min(32, n - first) for first in range(0, n, 32)]
    streams = [sampling._stream(entropy, chunk) for chunk in range(len(sizes))]
    Z = np.concatenate(list(map(sampling._normals, streams, sizes))).reshape(n, 4)
    for k in range(3):
        rows = labels == k
        np.testing.assert_allclose(whiten(parameters, k, X[rows]), Z[rows], atol=1e-11)


@pytest.mark.usefixtures("small_chunks")
def test_streams_of_chunks_are_independent():
    n = 32 * 1000
    parameters = mixture("spherical", 1, 4)
    X, _ = draw(parameters, [n])
    chunks = whiten(parameters, 0, X).reshape(1000, -1)
    assert len(np.unique(chunks)) == chunks.size
    # the correlation of neighbours has mean 0 and variance 1 / size
    correlations = (chunks[:-1] * chunks[1:]).mean(axis=1)
    assert abs(correlations.mean()) < 4 / np.sqrt(chunks[1:].size)
    assert scipy.stats.kstest(correlations * np.sqrt(128), "norm").pvalue > CHANCE


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize(
    "K, d, n", [(1, 1, 1), (1, 1, 5000), (1, 6, 5000), (6, 1, 5000), (9, 3, 2)]
)
def test_small_shapes(covariance_type, K, d, n):
    parameters = mixture(covariance_type, K, d)
    X, labels = model_of(parameters, random_state=0).sample(n)
    assert X.shape == (n, d)
    assert X.dtype == np.float64
    assert labels.shape == (n,)
    assert (np.diff(labels) >= 0).all()
    if n > 100:
        z = np.concatenate([whiten(parameters, k, X[labels == k]) for k in range(K)])
        assert scipy.stats.kstest(z.ravel(), "norm").pvalue > CHANCE


@pytest.mark.usefixtures("small_chunks")
def test_more_features_than_a_chunk_has_normals():
    parameters = mixture("full", 2, 150)
    X, _ = draw(parameters, [40, 30], n_threads=3)
    z = np.concatenate([whiten(parameters, 0, X[:40]), whiten(parameters, 1, X[40:])])
    assert scipy.stats.kstest(z.ravel(), "norm").pvalue > CHANCE


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)  # which scikit-learn has
def test_component_counts_are_those_of_scikit_learn(covariance_type):
    parameters = mixture(covariance_type, 6, 3)
    theirs = Theirs(6, covariance_type=covariance_type, random_state=3)
    theirs.weights_, theirs.means_ = parameters.weights, parameters.means
    theirs.covariances_ = parameters.covariances
    theirs.precisions_cholesky_ = parameters.precisions_cholesky
    _, labels = model_of(parameters, random_state=3).sample(20_000)
    np.testing.assert_array_equal(labels, theirs.sample(20_000)[1])
    counts = np.bincount(labels, minlength=6)
    assert scipy.stats.chisquare(counts, 20_000 * parameters.weights).pvalue > CHANCE


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("counts", [[0, 0, 70, 0], [40, 0, 0, 30], [0, 1, 0, 0], [0, 32, 32, 0]])
def test_components_without_draws(counts):
    parameters = mixture("full", 4, 4, scenario="separated")
    X, labels = draw(parameters, counts, n_threads=2)
    np.testing.assert_array_equal(np.bincount(labels, minlength=4), counts)
    for k in range(4):
        assert (np.abs(whiten(parameters, k, X[labels == k])) < 6).all()


def test_no_draws_at_all():
    X, labels = draw(mixture("full", 2, 3), [0, 0])
    assert X.shape == (0, 3)
    assert labels.shape == (0,)


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e12])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_far_means_are_added_once(covariance_type, offset):
    near = mixture(covariance_type, 3, 4)
    far = MixtureParameters(
        covariance_type,
        near.weights,
        near.means + offset,
        near.covariances,
        near.precisions_cholesky,
    )
    X, labels = draw(near, [100, 200, 300])
    deviations = X - near.means[labels]
    shifted = draw(far, [100, 200, 300])[0] - far.means[labels]
    np.testing.assert_allclose(shifted, deviations, rtol=0, atol=1e-15 * offset)


def test_another_seed_gives_other_normals():
    parameters = mixture("full", 2, 3)
    X, other = draw(parameters, [50, 50])[0], draw(parameters, [50, 50], seed=1)[0]
    assert not np.isin(X, other).any()


def test_nothing_else_of_the_size_of_the_draws():
    parameters = mixture("full", 3, 8)
    counts = np.full(3, 400_000)
    tracemalloc.start()
    try:
        X, labels = draw(parameters, counts, n_threads=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # two threads' normals, 1 MB each
    assert peak < X.nbytes + labels.nbytes + 4 * 2**20


def test_covariance_that_is_not_positive_definite():
    parameters = mixture("full", 2, 3)
    parameters.covariances[1] = -np.eye(3)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        draw(parameters, [5, 5])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [0, 2, 4, 6, 14, 16, 18, 1026, 50_000])
def test_normals_of_given_uniforms(size, variant):
    skip_without(variant)
    with using(variant):
        uniforms = np.random.default_rng(size).random(size)
        expected, actual = uniforms.copy(), uniforms.copy()
        reference.normals(expected)
        kernels.normals(actual)
    # the reference rounds the angle, of up to 2 pi, and multiplies by radii of up to 8.6
    np.testing.assert_allclose(actual, expected, rtol=0, atol=8e-15)


@pytest.mark.parametrize("variant", VARIANTS)
def test_normals_of_extreme_uniforms(variant):
    skip_without(variant)
    smallest, largest = 2.0**-53, 1.0 - 2.0**-53
    turns = np.concatenate([np.arange(8) / 8, [smallest, largest]])
    radii = np.array([0.0, smallest, 0.5, largest])
    u, v = (values.ravel() for values in np.meshgrid(radii, turns))
    values = np.concatenate([u, v])
    with using(variant):
        kernels.normals(values)
    first, second = np.split(values, 2)
    assert np.isfinite(values).all()
    radius = np.sqrt(-2.0 * np.log1p(-u))
    np.testing.assert_allclose(np.hypot(first, second), radius, rtol=1e-15)
    on_axis = (v * 4) % 1 == 0  # a quarter turn is exact, whatever pi is rounded to
    assert (np.minimum(np.abs(first), np.abs(second))[on_axis] == 0).all()
    np.testing.assert_allclose(first, radius * np.cos(2 * np.pi * v), rtol=0, atol=1e-14)
