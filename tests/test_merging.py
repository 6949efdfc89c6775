"""Components merged by entropy, against the definition step by step."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, draw, mixture, sample_weights
from scipy.special import xlogy
from sklearn.metrics import adjusted_rand_score
from test_references import FAITHFUL

from fastgmm import GaussianMixture
from fastgmm.model.merging import elbow, labels_after, merge_by_entropy


def entropy(resp, weight):
    return -(weight @ xlogy(resp, resp)).sum()


def by_definition(resp, weight):
    """Return partitions and entropies of K, ..., 1 clusters: of all pairs the best, each time."""
    clusters = [(k,) for k in range(resp.shape[1])]
    steps = []
    while True:
        columns = np.stack([resp[:, c].sum(axis=1) for c in clusters], axis=1)
        steps.append((clusters, entropy(columns, weight)))
        if len(clusters) == 1:
            return steps
        trials = {}
        for i in range(len(clusters)):
            for j in range(i + 1, len(clusters)):
                rest = [c for n, c in enumerate(clusters) if n not in (i, j)]
                merged = sorted([*rest, tuple(sorted(clusters[i] + clusters[j]))])
                columns = np.stack([resp[:, c].sum(axis=1) for c in merged], axis=1)
                trials[entropy(columns, weight)] = merged
        clusters = trials[min(trials)]


def model_of(parameters):
    return GaussianMixture.from_parameters(
        parameters.weights,
        parameters.means,
        parameters.covariances,
        covariance_type=parameters.covariance_type,
    )


def ring(n=4000, seed=0):
    """Return samples of a ring and of a blob beside it, and which are which."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 5 + rng.normal(0, 0.4, (n, 2))
    blob = rng.normal([12.0, 0.0], 1.0, (n // 2, 2))
    return np.concatenate([circle, blob]), np.repeat([0, 1], [n, n // 2])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 6])
def test_every_step_is_the_best(K, covariance_type, weighted):
    parameters = mixture(covariance_type, K, 2)
    X = draw(parameters, 500)
    weight = sample_weights(500) if weighted else np.ones(500)
    model = model_of(parameters)
    merged = model.merge_components(X, weight if weighted else None)
    resp = model.predict_proba(X)
    assert merged.merges.shape == (K - 1, 2)
    for clusters, expected in by_definition(resp, weight):
        n_clusters = len(clusters)
        assert merged.entropies[n_clusters - 1] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        labels = merged.labels(n_clusters)
        assert [tuple(np.flatnonzero(labels == c)) for c in range(n_clusters)] == clusters
        columns = np.stack([resp[:, c].sum(axis=1) for c in clusters], axis=1)
        np.testing.assert_allclose(merged.predict_proba(X, n_clusters), columns, rtol=1e-13)
        np.testing.assert_array_equal(merged.predict(X, n_clusters), columns.argmax(axis=1))


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit(n_threads):
    parameters = mixture("full", 5, 3, scenario="overlapping")
    resp = model_of(parameters).predict_proba(draw(parameters, 100_000))
    weight = np.ones(len(resp))
    merges, entropies = merge_by_entropy(resp.copy(), weight)
    other_merges, other = merge_by_entropy(resp.copy(), weight, n_threads)
    np.testing.assert_array_equal(other_merges, merges)
    assert other.tobytes() == entropies.tobytes()


def test_weights_count_as_copies():
    parameters = mixture("full", 4, 2)
    X, model = draw(parameters, 300), model_of(parameters)
    weight = np.random.default_rng(0).integers(0, 4, 300)
    weighted = model.merge_components(X, weight)
    repeated = model.merge_components(np.repeat(X, weight, axis=0))
    np.testing.assert_array_equal(weighted.merges, repeated.merges)
    np.testing.assert_allclose(weighted.entropies, repeated.entropies, rtol=1e-12)
    assert weighted.n_clusters == repeated.n_clusters


def test_a_ring_of_components_becomes_one_cluster():
    X, truth = ring()
    model = GaussianMixture(9, random_state=0, init_params="kmeans").fit(X)
    merged = model.merge_components(X)
    assert adjusted_rand_score(truth, merged.predict(X, 2)) > 0.99
    assert adjusted_rand_score(truth, model.predict(X)) < 0.5
    resp = merged.predict_proba(X, 2)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-13)


def test_three_components_of_old_faithful_are_two_eruptions():
    model = GaussianMixture(3, covariance_type="tied", random_state=0, tol=1e-6, max_iter=1000)
    model.fit(FAITHFUL)
    merged = model.merge_components(FAITHFUL)
    assert merged.n_clusters == 2
    short = FAITHFUL[:, 0] < 3
    assert adjusted_rand_score(short, merged.predict(FAITHFUL)) > 0.98
    # the two that stay apart hardly overlap
    assert merged.entropies[1] < 0.02 * merged.entropies[2]


def test_components_apart_stay_apart():
    parameters = mixture("full", 5, 3, scenario="separated")
    X, model = draw(parameters, 1000), model_of(parameters)
    merged = model.merge_components(X)
    assert merged.n_clusters == 5
    np.testing.assert_array_equal(merged.predict(X), model.predict(X))


def test_equal_components_are_merged_first():
    model = GaussianMixture.from_parameters(
        [0.2, 0.3, 0.3, 0.2], [[0.0], [9.0], [0.0], [-9.0]], np.ones(4), covariance_type="spherical"
    )
    X, _ = model.sample(2000, 0)
    merged = model.merge_components(X)
    assert merged.merges[0].tolist() == [0, 2]
    assert merged.labels(3).tolist() == [0, 1, 0, 2]
    # 0.4 and 0.6 of the samples at 0
    near = model.predict_proba(X)[:, [0, 2]].sum()
    expected = -near * (0.4 * np.log(0.4) + 0.6 * np.log(0.6))
    assert merged.entropies[3] - merged.entropies[2] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_elbow_is_where_two_lines_fit_best(seed):
    rng = np.random.default_rng(seed)
    entropies = np.concatenate([[0.0], rng.exponential(size=7).cumsum()])
    x, errors = np.arange(1, 9), {}
    for c in range(2, 8):
        parts = (x[:c], entropies[:c]), (x[c - 1 :], entropies[c - 1 :])
        errors[c] = sum(((np.polyval(np.polyfit(*part, 1), part[0]) - part[1]) ** 2).sum()
                        for part in parts)  # fmt: skip
    assert elbow(entropies, 1.0) == min(errors, key=errors.get)


def test_elbow_of_an_exact_bend():
    assert elbow(np.array([0.0, 1.0, 2.0, 3.0, 9.0, 15.0]), 1.0) == 4
    assert elbow(np.array([0.0, 7.0]), 1.0) == 2
    assert elbow(np.array([0.0]), 1.0) == 1
    assert elbow(np.array([0.0, 0.1, 9.9]), 1000.0) == 3  # under 0.01 nats per sample


def test_labels_after_all_merges():
    merges = np.array([[1, 3], [0, 1], [0, 2]])
    assert [labels_after(merges, n).tolist() for n in (4, 3, 2, 1)] == [
        [0, 1, 2, 3],
        [0, 1, 2, 1],
        [0, 0, 1, 0],
        [0, 0, 0, 0],
    ]


def test_numbers_of_clusters_that_are_refused():
    parameters = mixture("full", 3, 2)
    merged = model_of(parameters).merge_components(draw(parameters, 100))
    for number in (0, 4, 2.0, "2"):
        with pytest.raises(
            ValueError, match=f"n_clusters should be from 1 to 3, but got {number!r}"
        ):
            merged.labels(number)


def test_float32_samples():
    parameters = mixture("full", 4, 2)
    X = draw(parameters, 2000, "float32")
    model = GaussianMixture(4, random_state=0).fit(X)
    merged = model.merge_components(X)
    assert merged.predict_proba(X).dtype == np.float32
    expected = model.merge_components(X.astype(np.float64))
    np.testing.assert_array_equal(merged.merges, expected.merges)
    np.testing.assert_allclose(merged.entropies, expected.entropies, rtol=1e-9)
