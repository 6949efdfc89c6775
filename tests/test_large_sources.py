"""Sources at the limits: more rows than 32 bits count, thousands of components and features."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Reference

from fastgmm import GaussianMixture, sources

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def one_step(estimator, covariance_type, weights, means, precisions):
    """Return an estimator whose fit is one iteration of EM from these parameters."""
    return estimator(
        len(weights),
        covariance_type=covariance_type,
        weights_init=weights,
        means_init=means,
        precisions_init=precisions,
        init_params="random",
        max_iter=1,
        tol=0,
        reg_covar=0,
        random_state=0,
    )


@pytest.mark.one_backend
def test_more_rows_than_32_bits_count():
    block = np.random.default_rng(0).normal([-3.0] * 2**20 + [5.0] * 2**20, 1.0, 2**21)
    block = block[:, np.newaxis]
    times = 2**10 + 1
    start = "diag", [0.4, 0.6], [[-2.0], [3.0]], np.ones((2, 1))

    def batches(last=0.0):
        for _ in range(times):
            yield block
        yield np.full((1, 1), last)

    fitted = one_step(GaussianMixture, *start).fit(sources.Batches(batches))
    assert times * len(block) > 2**31
    weight = np.append(np.full(len(block), float(times)), 1.0)
    rows = np.append(block, [[0.0]], axis=0)
    expected = one_step(GaussianMixture, *start).fit(rows, sample_weight=weight)
    np.testing.assert_allclose(fitted.weights_, expected.weights_, rtol=1e-12)
    np.testing.assert_allclose(fitted.means_, expected.means_, rtol=1e-12)
    np.testing.assert_allclose(fitted.covariances_, expected.covariances_, rtol=1e-11)
    assert fitted.lower_bound_ == pytest.approx(expected.lower_bound_, rel=1e-12)
    with pytest.raises(ValueError, match=f"row {times * len(block)}\\b"):
        GaussianMixture(2).fit(sources.Batches(lambda: batches(np.nan)))


@pytest.mark.parametrize(
    ("covariance_type", "n_components", "n_features"),
    [("full", 3000, 2), ("tied", 3000, 3), ("diag", 3000, 1000), ("full", 2, 1000)],
)
def test_thousands_of_components_and_of_features(covariance_type, n_components, n_features):
    rng = np.random.default_rng(0)
    center = 3 * rng.normal(size=n_features)
    X = center + rng.normal(size=(3301, n_features))
    # so close to one another that each component has a part of many samples
    means = center + rng.normal(size=(n_components, n_features)) / np.sqrt(n_features)
    each = np.full(n_features, 1.2)
    precisions = {
        "full": np.broadcast_to(np.diag(each), (n_components, n_features, n_features)),
        "tied": np.diag(each),
        "diag": np.broadcast_to(each, (n_components, n_features)),
    }[covariance_type]
    weights = np.full(n_components, 1 / n_components)
    start = covariance_type, weights, means, precisions
    source = sources.Batches(lambda: np.array_split(X, 7))
    fitted = one_step(GaussianMixture, *start).fit(source)
    in_memory = one_step(GaussianMixture, *start).fit(X)
    reference = one_step(Reference, *start).fit(X)
    for name in ("weights_", "means_", "covariances_"):
        value = getattr(fitted, name)
        np.testing.assert_array_equal(value, getattr(in_memory, name))
        expected = getattr(reference, name)
        np.testing.assert_allclose(value, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())
