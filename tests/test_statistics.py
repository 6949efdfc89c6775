"""Sufficient statistics as values that add up, and the parameters that follow from them."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    SHARED,
    assert_same_mixture,
    dense,
    draw,
    hard_labels,
    mixture,
    sample_weights,
)

from fastgmm._kernels import reference
from fastgmm._kernels.layout import Moments
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.em.updates.closed_form import ClosedForm, estimate
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.covariance_model import CollapseError
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

K, D = 4, 3
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def summarize(X, weight, resp, covariance_type, centers):
    """Return statistics by the plain definition."""
    statistics = SufficientStatistics.zeros(covariance_type, centers)
    kind = statistics.covariance_model.kernel_kind
    reference.moments(X, weight, resp, kind, centers, statistics.moments)
    return statistics


def inputs(n=300, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, D)), sample_weights(n), rng.dirichlet(np.ones(K), n)


def integer_statistics(covariance_type, centers, seed=0):
    """Return statistics of integers, in which sums and products are exact."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-50, 50, (40, D)).astype(float)
    resp = np.eye(K)[rng.integers(0, K, 40)]
    return X, resp, summarize(X, np.ones(40), resp, covariance_type, centers)


@each_type
def test_full_statistics_hold_those_of_every_type(covariance_type):
    X, weight, resp = inputs()
    centers = np.random.default_rng(1).normal(size=(K, D))
    full = replace(summarize(X, weight, resp, "full", centers), log_likelihood=-3.0, weight=5.0)
    reduced = full.reduced(covariance_type)
    expected = summarize(X, weight, resp, covariance_type, centers)
    assert reduced.covariance_type == covariance_type
    assert (reduced.log_likelihood, reduced.weight) == (-3.0, 5.0)
    for actual, wanted in zip(reduced.moments, expected.moments, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-10)
    before = [sums.copy() for sums in full.moments]
    for sums in reduced.moments:
        sums += 1.0
    for actual, wanted in zip(full.moments, before, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_statistics_of_other_types_are_not_reduced():
    statistics = SufficientStatistics.zeros("diag", np.ones((K, D)))
    message = "Statistics of covariance_type 'full' can be reduced, got 'diag'."
    with pytest.raises(ValueError, match=message):
        statistics.reduced("full")


@each_type
def test_zeros(covariance_type):
    statistics = SufficientStatistics.zeros(covariance_type, np.ones((K, D)))
    assert (statistics.weight, statistics.log_likelihood) == (0.0, 0.0)
    for sums in statistics.moments:
        np.testing.assert_array_equal(sums, 0.0)


@each_type
def test_zeros_are_neutral(covariance_type):
    centers = np.random.default_rng(1).normal(size=(K, D))
    statistics = summarize(*inputs(), covariance_type, centers)
    total = SufficientStatistics.zeros(covariance_type, centers) + statistics
    for actual, expected in zip(total.moments, statistics.moments, strict=True):
        np.testing.assert_array_equal(actual, expected)


@each_type
def test_recenter_is_exact(covariance_type):
    """On integers, where every operation is, to the last bit."""
    rng = np.random.default_rng(2)
    one, other = (rng.integers(-9, 9, (K, D)).astype(float) for _ in range(2))
    X, resp, statistics = integer_statistics(covariance_type, one)
    moved = statistics.recenter(other)
    expected = summarize(X, np.ones(len(X)), resp, covariance_type, other)
    assert moved.centers is other
    for actual, direct in zip(moved.moments, expected.moments, strict=True):
        np.testing.assert_array_equal(actual, direct)


@each_type
def test_recenter_and_back(covariance_type):
    centers = np.random.default_rng(1).normal(size=(K, D))
    statistics = summarize(*inputs(), covariance_type, centers)
    back = statistics.recenter(centers + 100.0).recenter(centers)
    for actual, expected in zip(back.moments, statistics.moments, strict=True):
        # n shift^2 eps, for 300 samples moved by 100
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-8)


@each_type
def test_recenter_leaves_the_operand_alone(covariance_type):
    centers = np.zeros((K, D))
    statistics = summarize(*inputs(), covariance_type, centers)
    before = [sums.copy() for sums in statistics.moments]
    statistics.recenter(centers + 1.0)
    _ = statistics + statistics
    statistics.central()
    for sums, copy in zip(statistics.moments, before, strict=True):
        np.testing.assert_array_equal(sums, copy)


@each_type
@pytest.mark.parametrize("distance", [0.0, 1.0])
def test_parts_add_to_the_whole(covariance_type, distance):
    X, weight, resp = inputs()
    centers = np.random.default_rng(1).normal(size=(K, D))
    whole = summarize(X, weight, resp, covariance_type, centers)
    rows = [slice(0, 10), slice(10, 200), slice(200, None)]
    parts = [
        summarize(X[r], weight[r], resp[r], covariance_type, centers + distance * i)
        for i, r in enumerate(rows)
    ]
    total = parts[0] + parts[1] + parts[2]
    np.testing.assert_array_equal(total.centers, centers)
    for actual, expected in zip(total.moments, whole.moments, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-11)


def test_addition_keeps_weight_and_log_likelihood():
    moments = SufficientStatistics.zeros("diag", np.zeros((K, D))).moments
    one = SufficientStatistics("diag", np.zeros((K, D)), moments, -3.0, 2.0)
    other = SufficientStatistics("diag", np.ones((K, D)), moments, -5.5, 4.0)
    total = one + other
    assert (total.log_likelihood, total.weight) == (-8.5, 6.0)
    assert total.lower_bound == -8.5 / 6.0


def test_addition_of_different_types():
    one, other = (SufficientStatistics.zeros(name, np.zeros((2, 3))) for name in ("full", "diag"))
    message = r"^Statistics of one covariance_type can be added, got 'full' and 'diag'\.$"
    with pytest.raises(ValueError, match=message):
        one + other


@each_type
def test_addition_of_different_shapes(covariance_type):
    one, other = (
        SufficientStatistics.zeros(covariance_type, np.zeros(shape)) for shape in ((2, 3), (3, 2))
    )
    message = (
        r"^Statistics of one shape \(n_components, n_features\) can be added, "
        r"got \(2, 3\) and \(3, 2\)\.$"
    )
    with pytest.raises(ValueError, match=message):
        one + other


@each_type
def test_central(covariance_type):
    X, weight, resp = inputs()
    statistics = summarize(X, weight, resp, covariance_type, np.full((K, D), 0.5))
    nk, means, second = statistics.central()
    r = resp * weight[:, None]
    np.testing.assert_allclose(nk, r.sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose(means, r.T @ X / nk[:, None], rtol=1e-12)
    about_means = summarize(X, weight, resp, covariance_type, means).moments.second
    np.testing.assert_allclose(second, about_means, rtol=1e-11, atol=1e-11)


@each_type
def test_component_without_samples_keeps_its_center(covariance_type):
    X, weight, resp = inputs()
    resp[:, 2] = 0.0
    centers = np.random.default_rng(1).normal(size=(K, D))
    nk, means, _ = summarize(X, weight, resp, covariance_type, centers).central()
    assert nk[2] == 0.0
    np.testing.assert_array_equal(means[2], centers[2])


@each_type
@pytest.mark.parametrize("reg_covar", [0.0, 0.5])
def test_update_from_hard_labels(covariance_type, reg_covar):
    previous = mixture(covariance_type, K, D)
    X, weight, _ = inputs()
    labels = np.arange(len(X)) % K
    statistics = summarize(X, weight, np.eye(K)[labels], covariance_type, previous.means)
    updated = ClosedForm(reg_covar)(statistics, previous)
    expected = hard_labels(X, labels, covariance_type, weight, reg_covar)
    assert updated.collapsed == frozenset()
    assert_same_mixture(updated.parameters, expected, 1e-12)


@each_type
def test_update_is_the_maximum(covariance_type):
    """No other weights, means or covariances give a greater expected log-likelihood."""
    previous = mixture(covariance_type, K, D)
    X = draw(previous, 500)
    resp = np.random.default_rng(0).dirichlet(np.ones(K), len(X))
    statistics = summarize(X, np.ones(len(X)), resp, covariance_type, previous.means)
    best = ClosedForm(0.0)(statistics, previous).parameters

    def expected_log_likelihood(parameters):
        components = parameters.components()
        distances = np.empty(resp.shape)
        reference.mahalanobis(X, components, distances)
        return (resp * (components.log_coefficients - distances / 2)).sum()

    maximum = expected_log_likelihood(best)
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-1):
        weights = best.weights * rng.uniform(1 - size, 1 + size, K)
        noise = rng.normal(size=best.means.shape) * size
        for other in (
            (weights / weights.sum(), best.means, best.covariances),
            (best.weights, best.means + noise, best.covariances),
            (best.weights, best.means, best.covariances * (1 + size)),
            (best.weights, best.means, best.covariances * (1 - size)),
        ):
            assert expected_log_likelihood(
                MixtureParameters.from_covariances(covariance_type, *other)
            ) < maximum  # fmt: skip


@each_type
def test_update_keeps_a_component_without_samples(covariance_type):
    previous = mixture(covariance_type, K, D)
    X, weight, resp = inputs()
    resp[:, 2] = 0.0
    statistics = summarize(X, weight, resp, covariance_type, previous.means)
    updated = ClosedForm(0.0)(statistics, previous)
    assert updated.collapsed == frozenset()
    parameters = updated.parameters
    assert parameters.weights[2] == 0.0
    np.testing.assert_array_equal(parameters.means[2], previous.means[2])
    if covariance_type not in SHARED:
        np.testing.assert_array_equal(parameters.covariances[2], previous.covariances[2])
    assert np.isfinite(parameters.components().log_coefficients).all()


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_update_keeps_the_covariance_of_a_collapsed_component(covariance_type):
    """Components 1 and 3 are left with copies of one sample each."""
    previous = mixture(covariance_type, K, D)
    X, weight, _ = inputs()
    labels = np.arange(len(X)) % K
    for k in (1, 3):
        X[labels == k] = previous.means[k]
    statistics = summarize(X, weight, np.eye(K)[labels], covariance_type, previous.means)
    updated = ClosedForm(0.0)(statistics, previous)
    parameters = updated.parameters
    assert updated.collapsed == {1, 3}
    for k in (1, 3):
        np.testing.assert_array_equal(parameters.covariances[k], previous.covariances[k])
        np.testing.assert_allclose(parameters.means[k], previous.means[k], rtol=1e-15)
    expected = [np.cov(X[labels == k].T, aweights=weight[labels == k], ddof=0) for k in (0, 2)]
    diagonals = np.diagonal(dense(parameters)[[0, 2]], axis1=1, axis2=2)
    if covariance_type != "spherical":
        np.testing.assert_allclose(diagonals, np.diagonal(expected, axis1=1, axis2=2), rtol=1e-12)
    np.testing.assert_allclose(
        parameters.weights, np.bincount(labels, weight) / weight.sum(), rtol=1e-13
    )


def test_update_keeps_a_collapsed_tied_covariance():
    previous = mixture("tied", K, D)
    X, weight, _ = inputs()
    labels = np.arange(len(X)) % K
    X = previous.means[labels]
    statistics = summarize(X, weight, np.eye(K)[labels], "tied", previous.means)
    updated = ClosedForm(0.0)(statistics, previous)
    parameters = updated.parameters
    assert updated.collapsed == set(range(K))
    np.testing.assert_array_equal(parameters.covariances, previous.covariances)
    np.testing.assert_array_equal(parameters.precisions_cholesky, previous.precisions_cholesky)


@each_type
def test_update_leaves_its_arguments_alone(covariance_type):
    previous = mixture(covariance_type, K, D)
    copy = mixture(covariance_type, K, D)
    X, weight, resp = inputs()
    resp[:, 1] = 0.0
    statistics = summarize(X, weight, resp, covariance_type, previous.means)
    before = [sums.copy() for sums in statistics.moments]
    ClosedForm(0.0)(statistics, previous)
    for sums, expected in zip(statistics.moments, before, strict=True):
        np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(previous.covariances, copy.covariances)
    np.testing.assert_array_equal(previous.means, copy.means)


@each_type
def test_estimate_does_not_fail_on_collapse(covariance_type):
    statistics = SufficientStatistics(
        covariance_type,
        np.zeros((K, D)),
        Moments(
            np.ones(K),
            np.zeros((K, D)),
            SufficientStatistics.zeros(covariance_type, np.zeros((K, D))).moments.second,
        ),
    )
    weights, _, covariances = estimate(statistics, 0.0)
    np.testing.assert_array_equal(weights, 1 / K)
    np.testing.assert_array_equal(covariances, 0.0)


@each_type
def test_summarize_is_the_definition(covariance_type):
    parameters = mixture(covariance_type, K, D)
    X = draw(parameters, 600)
    weight = sample_weights(600)
    actual = ExactPosterior(2).summarize(Samples(X, weight), parameters)
    resp, norm = np.empty((600, K)), np.empty(600)
    reference.posterior(X, parameters.components(), log_prob_norm=norm, resp=resp)
    expected = summarize(X, weight, resp, covariance_type, parameters.means)
    assert actual.weight == weight.sum()
    assert actual.log_likelihood == pytest.approx(weight @ norm, rel=1e-12)
    for a, b in zip(actual.moments, expected.moments, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-9)


def by_label(labels):
    """Return the places of each label, and where those of each label begin."""
    counts = np.bincount(labels.ravel(), minlength=K)
    return np.argsort(labels.ravel(), kind="stable"), np.r_[0, np.cumsum(counts)]


@each_type
@pytest.mark.parametrize("groups_at_once", [3, 1024])
@pytest.mark.parametrize("n_candidates", [1, 2, 3])
def test_groups_add_what_responsibilities_add(
    covariance_type, n_candidates, groups_at_once, monkeypatch
):
    """Those that no candidate has are 0; component 1 has no samples."""
    monkeypatch.setattr("fastgmm.model.statistics._GROUPS", groups_at_once)
    X, weight, _ = inputs()
    rng = np.random.default_rng(3)
    centers = rng.normal(size=(K, D))
    others = np.delete(np.arange(K), 1)
    labels = rng.permuted(np.tile(others, (len(X), 1)), axis=1)[:, :n_candidates]
    shares = rng.dirichlet(np.ones(n_candidates), len(X))
    resp = np.zeros((len(X), K))
    np.put_along_axis(resp, labels, shares, axis=1)
    expected, found = (SufficientStatistics.zeros(covariance_type, centers) for _ in range(2))
    table = shares * weight[:, np.newaxis]
    for _ in range(2):
        expected.add_moments(X, weight, resp)
        found.add_groups(X, table[:, 0] if n_candidates == 1 else table, *by_label(labels), 2)
    for actual, wanted in zip(found.moments, expected.moments, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


@each_type
def test_scaled_statistics_are_those_of_weights_that_many_times_as_large(covariance_type):
    centers = np.random.default_rng(1).normal(size=(K, D))
    _, _, once = integer_statistics(covariance_type, centers)
    once = replace(once, log_likelihood=-7.0, weight=40.0)
    three = once.scaled(3.0)
    expected = once + once + once
    assert (three.weight, three.log_likelihood) == (120.0, -21.0)
    assert three.lower_bound == once.lower_bound
    assert three.covariance_model is once.covariance_model
    np.testing.assert_array_equal(three.centers, once.centers)
    for actual, wanted in zip(three.moments, expected.moments, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-14)


def test_models_and_errors_show_and_copy_what_they_are():
    assert repr(get_covariance_model("tied")) == "Tied()"
    for component in (None, 3):
        error = CollapseError(component, "underflow")
        copied = pickle.loads(pickle.dumps(error))
        assert (copied.component, copied.cause) == (component, "underflow")
        assert str(copied) == str(error)
