"""Blocks of float32 samples in float32 arithmetic: how close, and when not."""

from typing import Any

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using
from generators import KERNEL_KINDS, draw, mixture
from kernel_cases import call, values
from marks import slow

from fastgmm import GaussianMixture
from fastgmm import _kernels as kernels
from fastgmm._kernels import packing, reference
from fastgmm._kernels.layout import Components, Moments, empty_moments
from fastgmm.data.samples import Samples
from fastgmm.em.float32 import LARGEST_ERROR, SMALLEST_PASS, allows_float32
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.model.parameters import MixtureParameters

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_type = pytest.mark.parametrize("covariance_type", KERNEL_KINDS)

#: On the scale of the sum of absolute values: distances of order 10 in a type with eps 1.2e-7.
RTOL = 2e-5
NAMES = ("nk", "first", "second", "log_likelihood")


def accumulate(module: Any, covariance_type: str, given: dict[str, Any]) -> list[Any]:
    """Return nk, first and second moments and log-likelihood, with float32 blocks."""
    K, d = given["means"].shape
    names = ("log_coefficients", "means", "precisions_cholesky")
    components = Components(covariance_type, *(given[name] for name in names))
    sums = empty_moments(covariance_type, K, d)
    log_likelihood = np.zeros(1)
    module.accumulate(given["X"], given["sample_weight"], components, sums, log_likelihood, 2, True)
    return [*sums, log_likelihood]


def assert_close(covariance_type: str, given: dict[str, Any], rtol: float) -> None:
    actual = accumulate(kernels, covariance_type, given)
    expected = accumulate(reference, covariance_type, given)
    z = given["X"].astype(np.float64)[:, None] - given["means"]
    largest = np.nanmax(np.where(np.isfinite(z), np.abs(z), 0.0))
    total = given["sample_weight"].sum()
    spread = min(largest, 30.0)
    scales = dict(zip(NAMES, (total, total * spread, total * spread**2, total * 30.0), strict=True))
    for name, got, want in zip(NAMES, actual, expected, strict=True):
        assert np.isfinite(got).all()
        scale = max(np.abs(want).max(), scales[name])
        assert np.abs(got - want).max() <= rtol * scale, name


@each_variant
@each_type
@pytest.mark.parametrize("n", [1, 255, 256, 257, 5000, *slow(511, 512, 513, 767, 1025)])
def test_agrees_at_every_edge_of_blocks(variant, covariance_type, n):
    skip_without(variant)
    for d, K in ((1, 1), (2, 3), (3, 5), (8, 4), (9, 33), (33, 2)):
        given = values("accumulate", covariance_type, n, d, K, dtype="float32")
        with using(variant):
            assert_close(covariance_type, given, RTOL)


@each_variant
@each_type
@pytest.mark.parametrize("what", ["samples", "huge weights", "tiny weights"])
def test_what_float32_cannot_represent_is_added_in_float64(variant, covariance_type, what):
    """One sample or weight in 700 leaves its block, and no other, to float64."""
    skip_without(variant)
    given = values("accumulate", covariance_type, 1800, 4, 5, dtype="float32")
    row = 700
    given["sample_weight"] = np.ones(1800)
    if what == "samples":
        given["X"][row] = 1e4
    else:
        given["sample_weight"][row] = 1e9 if what == "huge weights" else 1e-9
    with using(variant):
        assert_close(covariance_type, given, RTOL)
    alone = {**given, "X": given["X"][row:][:1], "sample_weight": given["sample_weight"][row:][:1]}
    with using(variant):
        actual = accumulate(kernels, covariance_type, alone)
    for got, want in zip(actual, accumulate(reference, covariance_type, alone), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10 * np.abs(want).max())


@each_variant
@each_type
def test_samples_at_the_end_of_float32(variant, covariance_type):
    skip_without(variant)
    given = values("accumulate", covariance_type, 600, 3, 2, dtype="float32")
    given["X"][5] = np.finfo(np.float32).max
    given["X"][300] = -np.finfo(np.float32).max
    with using(variant):
        for sums in accumulate(kernels, covariance_type, given):
            assert np.isfinite(sums).all()


@each_variant
@each_type
def test_threads_change_no_bit(variant, covariance_type):
    skip_without(variant)
    given = values("accumulate", covariance_type, 9000, 5, 6, dtype="float32")
    given["X"][4000] = 1e5
    K, d = given["means"].shape
    names = ("log_coefficients", "means", "precisions_cholesky")
    components = Components(covariance_type, *(given[name] for name in names))

    def bits(n_threads: int) -> list[bytes]:
        sums, log_likelihood = empty_moments(covariance_type, K, d), np.zeros(1)
        X, weight = given["X"], given["sample_weight"]
        kernels.accumulate(X, weight, components, sums, log_likelihood, n_threads, True)
        return [array.tobytes() for array in (*sums, log_likelihood)]

    with using(variant):
        one = bits(1)
        assert all(bits(n_threads) == one for n_threads in (2, 3, 64))


@each_variant
def test_exp_is_accurate_in_float32(variant):
    """Components on one another: r = 1 / (1 + exp(-c)), here summed over 512 samples in float32."""
    skip_without(variant)
    gaps = np.linspace(0.0, 60.0, 121)
    for gap in gaps:
        components = Components(
            "spherical", np.array([0.0, -gap]), np.zeros((2, 3)), np.full(2, 1e-6)
        )
        sums = Moments(np.zeros(2), np.zeros((2, 3)), np.zeros(2))
        X = np.zeros((512, 3), np.float32)
        with using(variant):
            kernels.accumulate(X, np.ones(512), components, sums, np.zeros(1), 1, True)
        small = 512.0 / (1.0 + np.exp(gap))
        assert sums.nk[1] == pytest.approx(small if small > 512e-16 else 0.0, rel=5e-6)


def problem(covariance_type: str, n: int = SMALLEST_PASS) -> tuple[Samples, MixtureParameters]:
    parameters = mixture(covariance_type, 4, 5)
    return Samples(draw(parameters, n, "float32")), parameters


@each_type
def test_a_pass_in_float32_is_as_good_as_one_in_float64(covariance_type):
    samples, parameters = problem(covariance_type)
    assert allows_float32(samples, parameters)
    single = ExactPosterior(2).summarize(samples, parameters)
    double = ExactPosterior(2).summarize(
        Samples(samples.rows(slice(None)).astype(np.float64)), parameters
    )
    assert single.lower_bound == pytest.approx(double.lower_bound, rel=1e-6)
    moved = single.recenter(double.centers)
    for got, want in zip(moved.moments, double.moments, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max())


@each_type
def test_when_float32_is_allowed(covariance_type):
    samples, parameters = problem(covariance_type)
    assert not allows_float32(Samples(samples.rows(slice(None)).astype(np.float64)), parameters)
    assert not allows_float32(Samples(samples.rows(slice(SMALLEST_PASS - 1))), parameters)
    X = samples.rows(slice(None))
    for shift, scale in ((1e5, 1.0), (0.0, 1e15), (0.0, 1e-15)):
        means = parameters.means * scale
        means[0] += shift
        far = MixtureParameters.from_covariances(
            covariance_type, parameters.weights, means, parameters.covariances * scale**2
        )
        assert not allows_float32(Samples(X), far), (shift, scale)


def test_few_samples_of_many_features_are_added_in_float32():
    n, d = 3000, 256
    X = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    parameters = MixtureParameters.from_covariances(
        "full", np.full(2, 0.5), np.zeros((2, d)), np.tile(np.eye(d), (2, 1, 1))
    )
    assert allows_float32(Samples(X), parameters)
    assert not allows_float32(Samples(X[:2000]), parameters)  # no time worth saving
    single = ExactPosterior(2).summarize(Samples(X), parameters)
    double = ExactPosterior(2).summarize(Samples(X.astype(np.float64)), parameters)
    assert single.lower_bound != double.lower_bound
    assert single.lower_bound == pytest.approx(double.lower_bound, rel=1e-7)
    for got, want in zip(single.moments, double.moments, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max())
    # log-probabilities wrong by 7e-5: too much for 3000 samples, not for 2**14
    means = np.zeros((2, d))
    means[0, 0] = 140.0
    far = MixtureParameters.from_covariances("full", np.full(2, 0.5), means, parameters.covariances)
    assert not allows_float32(Samples(X), far)
    assert allows_float32(Samples(np.tile(X, (6, 1))), far)


@each_type
def test_fit_of_float32_ends_where_that_of_float64_does(covariance_type):
    samples, parameters = problem(covariance_type, 3 * SMALLEST_PASS)
    X = samples.rows(slice(None))
    options: dict[str, Any] = {"covariance_type": covariance_type, "tol": 1e-7, "max_iter": 500}
    start = {"weights_init": parameters.weights, "means_init": parameters.means}
    start["precisions_init"] = parameters.precisions
    single = GaussianMixture(4, **options, **start).fit(X)
    double = GaussianMixture(4, **options, **start).fit(X.astype(np.float64))
    assert single.converged_
    # four standard errors of a mean of n log-densities, each of the largest error that is allowed
    tolerance = 4 * LARGEST_ERROR / np.sqrt(samples.n_samples)
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, abs=tolerance)
    np.testing.assert_allclose(single.means_, double.means_, rtol=0, atol=2e-3)
    changes = np.diff([iteration.lower_bound for iteration in single.history_])
    assert (changes > -5e-6).all()  # eps of the log-densities, which are of order 10


def test_call_passes_no_float32_by_itself():
    """The contract's kernels compute in float64 for float32 samples, unless told otherwise."""
    given = values("accumulate", "full", 600, 3, 2, dtype="float32")
    expected = call(reference, "accumulate", "full", given)
    actual = call(kernels, "accumulate", "full", given)
    np.testing.assert_allclose(actual["second"], expected["second"], rtol=1e-10)


def test_samples_that_wait_fill_whole_vectors():
    """328 samples of 784 features waited, and 336 were read: beyond the end of the last ones."""
    d, K = 784, 4
    rng = np.random.default_rng(0)
    means = 0.3 * rng.standard_normal((K, d))
    X = (means[rng.integers(K, size=SMALLEST_PASS)]).astype(np.float32)
    X += rng.standard_normal(X.shape, np.float32)
    covariances = np.broadcast_to(np.eye(d), (K, d, d)).copy()
    parameters = MixtureParameters.from_covariances("full", np.full(K, 0.25), means, covariances)
    assert allows_float32(Samples(X), parameters)
    single = ExactPosterior(2).summarize(Samples(X), parameters)
    double = ExactPosterior(2).summarize(Samples(X.astype(np.float64)), parameters)
    np.testing.assert_allclose(single.central()[2], double.central()[2], rtol=0, atol=0.05)
    assert single.lower_bound == pytest.approx(double.lower_bound, abs=1e-3)


def test_a_component_without_weight_hides_no_outlier():
    """An outlier 100 deviations away is left to float64, with or without such a component."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((SMALLEST_PASS, 4)).astype(np.float32)
    X[0] = 100.0
    means = np.array([[0.0] * 4, [0.5] * 4, [1.0] * 4])
    covariances = np.stack([np.eye(4)] * 3)
    weights = np.array([0.6, 0.4, 0.0])
    parameters = MixtureParameters.from_covariances("full", weights, means, covariances)
    single = ExactPosterior(1).summarize(Samples(X), parameters)
    double = ExactPosterior(1).summarize(Samples(X.astype(np.float64)), parameters)
    assert single.lower_bound == pytest.approx(double.lower_bound, abs=1e-6)
    packed = packing.pack_float32(parameters.components(), means)
    assert packed.lowest > -1010


@each_type
def test_moments_are_about_the_centers_that_the_statistics_name(covariance_type):
    """Those are rounded to float32: by 2e-6 here, which the means would be wrong by."""
    rng = np.random.default_rng(0)
    n, means = SMALLEST_PASS, np.array([[-50.1234567, 3.7654321], [50.7654321, -3.1234567]])
    labels = rng.integers(0, 2, n)
    X = (means[labels] + rng.normal(size=(n, 2))).astype(np.float32)
    start = MixtureParameters.from_covariances(
        covariance_type, np.full(2, 0.5), means, mixture(covariance_type, 2, 2).covariances
    )
    samples = Samples(X)
    assert allows_float32(samples, start)
    _, actual, _ = ExactPosterior().summarize(samples, start).central()
    expected = [X[labels == k].astype(np.float64).mean(axis=0) for k in range(2)]
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=1e-7)
