"""What must hold for every mixture, covariance type and dtype."""

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    SHARED,
    assert_same_bits,
    assert_same_mixture,
    dense,
    draw,
    em,
    hard_labels,
    mixture,
    sample_weights,
)

from fastgmm import GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

pytestmark = [
    pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES),
    pytest.mark.parametrize("dtype", DTYPES),
]

# Rounding of sums over a few thousand samples, carried through ten iterations.
ROUNDING = 1e-10


def moved(parameters: MixtureParameters, seed: int = 1) -> MixtureParameters:
    """Return a start that is not where EM will end."""
    kind = get_covariance_model(parameters.covariance_type)
    deviation = np.sqrt(np.diagonal(dense(parameters), axis1=1, axis2=2))
    noise = np.random.default_rng(seed).normal(size=deviation.shape)
    return MixtureParameters.from_precisions_cholesky(
        kind.name,
        np.full(parameters.n_components, 1 / parameters.n_components),
        parameters.means + noise * deviation,
        parameters.precisions_cholesky * 0.6,
    )


def problem(covariance_type, dtype, n=3000, d=3, K=4, scenario="touching"):
    """Return samples and a start."""
    truth = mixture(covariance_type, K, d, scenario=scenario, seed=3)
    return draw(truth, n, dtype), moved(truth)


def affine(parameters: MixtureParameters, scale: float, shift: float) -> MixtureParameters:
    """Return the mixture of scale * x + shift."""
    return MixtureParameters.from_precisions_cholesky(
        parameters.covariance_type,
        parameters.weights,
        parameters.means * scale + shift,
        parameters.precisions_cholesky / scale,
    )


@pytest.mark.parametrize("scenario", ["touching", "overlapping", "separated", "far from zero"])
def test_likelihood_never_falls(covariance_type, dtype, scenario):
    for K in (2, 5):
        X, start = problem(covariance_type, dtype, n=400, K=K, scenario=scenario)
        bounds = np.array(em(X, start, 60).lower_bounds)
        assert (np.diff(bounds) >= -1e-12 * np.abs(bounds[:-1])).all()
        assert bounds[-1] > bounds[0]


def test_likelihood_never_falls_where_components_collapse(covariance_type, dtype):
    """Three groups of equal samples, on which components shrink to nothing.

    A component of deviation s at a distance L from the origin of the samples rounds by L eps / s.
    """
    rng = np.random.default_rng(0)
    X = np.concatenate([np.repeat(rng.normal(size=(3, 2)), 5, axis=0), rng.normal(size=(40, 2))])
    start = mixture(covariance_type, 6, 2, seed=5)
    result = em(X.astype(dtype), start, 300)
    bounds = np.array(result.lower_bounds)
    assert np.isfinite(bounds).all()
    assert np.diff(bounds).min() >= -1e-6


def test_integer_weights_are_repeated_rows(covariance_type, dtype):
    X, start = problem(covariance_type, dtype)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = em(X, start, 10, sample_weight=counts.astype(float))
    repeated = em(np.repeat(X, counts, axis=0), start, 10)
    assert_same_mixture(weighted.parameters, repeated.parameters, ROUNDING)
    np.testing.assert_allclose(weighted.lower_bounds, repeated.lower_bounds, rtol=1e-12)


def test_weights_count_relative_to_one_another(covariance_type, dtype):
    X, start = problem(covariance_type, dtype)
    weight = sample_weights(len(X))
    one = em(X, start, 10, sample_weight=weight)
    for factor in (1e-200, 1e200):
        other = em(X, start, 10, sample_weight=weight * factor)
        assert_same_mixture(other.parameters, one.parameters, ROUNDING)


def test_row_of_zero_weight_is_absent(covariance_type, dtype):
    X, start = problem(covariance_type, dtype)
    weight = sample_weights(len(X))
    X[weight == 0] = 1e30
    present = em(X[weight > 0], start, 10, sample_weight=weight[weight > 0])
    weighted = em(X, start, 10, sample_weight=weight)
    assert_same_mixture(weighted.parameters, present.parameters, ROUNDING)


def test_row_of_zero_weight_is_absent_in_seeding(covariance_type, dtype):
    X, _ = problem(covariance_type, dtype)
    weight = np.where(np.arange(len(X)) % 3, 1.0, 0.0)
    options = {
        "n_components": 4,
        "covariance_type": covariance_type,
        "random_state": 0,
        "tol": 1e-2,
        "reg_covar": 0.0,
    }
    nasty = np.where(weight[:, None] > 0, X, X.dtype.type(1e6))
    one = GaussianMixture(**options).fit(nasty, sample_weight=weight)
    other = GaussianMixture(**options).fit(X[weight > 0], sample_weight=weight[weight > 0])
    np.testing.assert_allclose(one.means_, other.means_, atol=1e-8)


def test_halves_add_to_the_whole(covariance_type, dtype):
    X, start = problem(covariance_type, dtype)
    weight = sample_weights(len(X))
    policy = ExactPosterior(2)
    whole = policy.summarize(Samples(X, weight), start)
    parts = [
        policy.summarize(Samples(X[rows], weight[rows]), start)
        for rows in (slice(1000), slice(1000, None))
    ]
    total = parts[0] + parts[1]
    assert total.weight == pytest.approx(whole.weight, rel=1e-14)
    assert total.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-13)
    for actual, expected in zip(total.moments, whole.moments, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_halves_about_different_centers_add_to_the_whole(covariance_type, dtype, shift):
    X, start = problem(covariance_type, dtype)
    X = X + X.dtype.type(shift)
    weight = sample_weights(len(X))
    centers = start.means + shift
    resp = np.random.default_rng(0).dirichlet(np.ones(4), size=len(X))

    def summarize(rows: slice, about: np.ndarray) -> SufficientStatistics:
        statistics = SufficientStatistics.zeros(covariance_type, about)
        statistics.add_moments(X[rows], weight[rows], resp[rows], 2)
        return statistics

    other_centers = centers[::-1] + 0.5
    total = summarize(slice(1000), centers) + summarize(slice(1000, None), other_centers)
    for actual, expected in zip(
        total.central(), summarize(slice(None), centers).central(), strict=True
    ):
        # x - centre is exact to 1e-10 at 1e6, as is the mean itself
        np.testing.assert_allclose(actual, expected, rtol=1e-12 if not shift else 1e-9, atol=1e-9)


def test_order_of_rows_does_not_matter(covariance_type, dtype):
    X, start = problem(covariance_type, dtype)
    order = np.random.default_rng(0).permutation(len(X))
    one, other = em(X, start, 10), em(X[order], start, 10)
    assert_same_mixture(other.parameters, one.parameters, ROUNDING)
    np.testing.assert_allclose(other.lower_bounds, one.lower_bounds, rtol=1e-12)


def test_order_of_components_does_not_matter(covariance_type, dtype):
    X, start = problem(covariance_type, dtype, K=7)
    order = np.random.default_rng(0).permutation(7)

    def permuted(parameters: MixtureParameters) -> MixtureParameters:
        covariances = parameters.covariances
        if covariance_type not in SHARED:
            covariances = covariances[order]
        return MixtureParameters.from_covariances(
            covariance_type, parameters.weights[order], parameters.means[order], covariances
        )

    one, other = em(X, start, 10), em(X, permuted(start), 10)
    assert_same_mixture(other.parameters, permuted(one.parameters), ROUNDING)
    np.testing.assert_allclose(other.lower_bounds, one.lower_bounds, rtol=1e-12)


@pytest.mark.parametrize("shift", [1e2, -1e4, 1e6, 1e8])
def test_shift_of_data_shifts_means_alone(covariance_type, dtype, shift):
    X, start = problem(covariance_type, dtype)
    if dtype == "float32":
        X = np.round(X * 64) / 64
        shift = np.sign(shift) * min(abs(shift), 2.0**16)  # 24 bits hold the shifted samples
    # samples as they are after rounding at the shift
    shifted = (X + X.dtype.type(shift)).astype(dtype)
    X = (shifted.astype(np.float64) - shift).astype(np.float64)
    one = em(X, start, 10).parameters
    other = em(shifted, affine(start, 1.0, shift), 10).parameters
    np.testing.assert_allclose(other.weights, one.weights, rtol=1e-6)
    np.testing.assert_allclose(other.means - shift, one.means, atol=1e-6)
    variances = np.diagonal(dense(one), axis1=1, axis2=2)
    np.testing.assert_allclose(np.diagonal(dense(other), axis1=1, axis2=2), variances, rtol=1e-6)
    np.testing.assert_allclose(dense(other), dense(one), atol=1e-6 * variances.max())


def test_clusters_a_million_deviations_apart(covariance_type, dtype):
    d, K, n = 3, 3, 2000
    rng = np.random.default_rng(0)
    centers = 1e6 * np.array([[0, 0, 0], [1, 1, -1], [-1, 0.5, 1]])
    labels = rng.integers(0, K, n)
    X = (centers[labels] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))).astype(dtype)
    expected = hard_labels(X.astype(np.float64), labels, covariance_type)
    start = MixtureParameters.from_covariances(
        covariance_type, np.full(K, 1 / K), centers + 1.0, expected.covariances * 4
    )
    actual = em(X, start, 3).parameters
    np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-14)
    np.testing.assert_allclose(actual.means, expected.means, rtol=0, atol=1e-9)
    scale = np.abs(expected.covariances).max()
    np.testing.assert_allclose(
        actual.covariances, expected.covariances, rtol=1e-8, atol=1e-8 * scale * 1e-2
    )


def test_number_of_threads_changes_no_bit(covariance_type, dtype):
    X, start = problem(covariance_type, dtype, n=20_000)
    one = em(X, start, 5, n_threads=1)
    for n_threads in (2, 3, 8):
        other = em(X, start, 5, n_threads=n_threads)
        assert_same_bits(other.parameters, one.parameters)
        assert other.lower_bounds == one.lower_bounds


def test_n_jobs_changes_no_bit(covariance_type, dtype):
    X, _ = problem(covariance_type, dtype, n=20_000)

    def fit(n_jobs: int) -> GaussianMixture:
        model = GaussianMixture(
            4, covariance_type=covariance_type, random_state=0, tol=1e-2, n_jobs=n_jobs
        )
        return model.fit(X)

    one = fit(1)
    for n_jobs in (2, 3, 8, -1):
        other = fit(n_jobs)
        assert other.lower_bounds_ == one.lower_bounds_
        assert other.means_.tobytes() == one.means_.tobytes()
        assert other.covariances_.tobytes() == one.covariances_.tobytes()
        assert other.score_samples(X).tobytes() == one.score_samples(X).tobytes()
        assert other.predict_proba(X).tobytes() == one.predict_proba(X).tobytes()


def test_dtype_does_not_matter(covariance_type, dtype):
    """float32 samples give what their float64 copy gives, and so does any number type."""
    X, start = problem(covariance_type, "float32")
    if dtype == "float64":
        X = np.round(X).astype(np.int16)
        start = affine(start, 1.0, 0.1)
    one, other = em(X, start, 10), em(X.astype(np.float64), start, 10)
    assert_same_mixture(one.parameters, other.parameters, 1e-12)
    np.testing.assert_allclose(one.lower_bounds, other.lower_bounds, rtol=1e-12)


@pytest.mark.parametrize("power", [-50, -20, 20, 50])
def test_scale_of_data_scales_the_mixture(covariance_type, dtype, power):
    """A power of two scales float32 and float64 samples exactly."""
    X, start = problem(covariance_type, dtype)
    scale = 2.0**power
    one = em(X, start, 10)
    other = em(X * X.dtype.type(scale), affine(start, scale, 0.0), 10)
    assert_same_mixture(other.parameters, affine(one.parameters, scale, 0.0), ROUNDING)
    expected = np.array(one.lower_bounds) - X.shape[1] * np.log(scale)
    np.testing.assert_allclose(other.lower_bounds, expected, rtol=1e-12)


def test_score_is_the_mean_of_score_samples(covariance_type, dtype):
    X, _ = problem(covariance_type, dtype)
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-2).fit(X)
    weight = sample_weights(len(X))
    double = X.astype(np.float64)  # of float32 samples results would be rounded to float32
    log_prob_norm = model.score_samples(double)
    expected = np.average(log_prob_norm, weights=weight)
    assert model.score(X, sample_weight=weight) == pytest.approx(expected, rel=1e-12)
    resp = model.predict_proba(double)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_array_equal(model.predict(X), resp.argmax(axis=1))


def test_prediction_of_a_row_does_not_depend_on_the_others(covariance_type, dtype):
    X, _ = problem(covariance_type, dtype, d=5)
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-2).fit(X)
    rows = slice(301, 1023)
    assert model.score_samples(X[rows]).tobytes() == model.score_samples(X)[rows].tobytes()
    assert model.predict_proba(X[rows]).tobytes() == model.predict_proba(X)[rows].tobytes()
    assert model.predict(X[rows]).tobytes() == model.predict(X)[rows].tobytes()
