"""Corners of statistics, covariances, E and M steps: each test fails for a line changed there."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, SHARED, covariances, draw, mixture

from fastgmm import em
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.base import row_blocks
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.statistics import SufficientStatistics

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


@each_type
def test_numbers_of_parameters_are_integers(covariance_type):
    assert type(get_covariance_model(covariance_type).n_parameters(3, 4)) is int


@each_type
def test_variances_of_any_size_are_factored_by_default(covariance_type):
    model = get_covariance_model(covariance_type)
    values = covariances(np.random.default_rng(0), covariance_type, 3, 4)
    for scale in (1e-100, 1e-12, 1.0, 1e100):
        factors, failed = model.factor(values * scale)
        assert not failed.any()
        np.testing.assert_allclose(model.covariances(factors), values * scale, rtol=1e-12, atol=0)


@each_type
@pytest.mark.parametrize("K, d", [(1, 1), (3, 5), (30, 120)])  # the last in several steps
def test_largest_whitened(covariance_type, K, d):
    r"""The bound of \|U^T z\| by its formula, sum_j \|U_ji\| length_kj."""
    rng = np.random.default_rng(0)
    model = get_covariance_model(covariance_type)
    factors, _ = model.factor(covariances(rng, covariance_type, K, d))
    lengths = rng.uniform(1.0, 2.0, (K, d))
    expected = np.empty((K, d))
    for k in range(K):
        if covariance_type in ("full", "tied"):
            U = factors[k] if covariance_type == "full" else factors
        else:
            U = np.diag(np.broadcast_to(model.to_kernel(factors, K)[k], d))
        expected[k] = np.abs(U).T @ lengths[k]
    actual = model.largest_whitened(factors, lengths)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["X", "sample_weight", "resp"])
def test_moments_of_arrays_of_another_kind(name):
    arrays = {"X": np.ones((5, 2)), "sample_weight": np.ones(5), "resp": np.full((5, 3), 1 / 3)}
    statistics = SufficientStatistics.zeros("full", np.zeros((3, 2)))
    with pytest.raises(ValueError, match=rf"^{name} should have shape .* but got .* float16"):
        statistics.add_moments(**arrays | {name: arrays[name].astype(np.float16)})


@each_type
def test_a_component_without_samples_keeps_what_it_has(covariance_type):
    start = mixture(covariance_type, 3, 2)
    X = draw(start, 100)
    moments = SufficientStatistics.zeros(covariance_type, start.means)
    resp = np.zeros((len(X), 3))
    resp[:, 0] = 0.25
    resp[:, 2] = 0.75
    moments.add_moments(X, np.ones(len(X)), resp)
    result = em.ClosedForm(0.5)(moments, start)
    updated = result.parameters
    assert result.collapsed == frozenset()
    assert updated.weights[1] == 0.0
    np.testing.assert_array_equal(updated.means[1], start.means[1])
    if covariance_type not in SHARED:
        np.testing.assert_array_equal(updated.covariances[1], start.covariances[1])
        np.testing.assert_array_equal(updated.precisions_cholesky[1], start.precisions_cholesky[1])
        assert (updated.covariances[0] != start.covariances[0]).any()


class Half(em.BlockwisePosterior):
    """Half of each responsibility, and half of all for the first component."""

    def restrict(self, resp, rows):
        q = 0.5 * resp
        q[:, 0] += 0.5
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = np.where(q > 0, q * np.log(q / resp), 0.0).sum(axis=1)
        return q, divergence


@each_type
def test_statistics_and_bound_of_several_blocks(covariance_type):
    parameters = mixture(covariance_type, 40, 2)
    X = draw(parameters, 20_000)
    weight = np.random.default_rng(0).uniform(0.0, 2.0, len(X))
    weight[:50] = 0.0
    samples = Samples(X, weight)
    posterior = Half(n_jobs=1)
    assert len(list(row_blocks(samples, posterior.width(40)))) > 2
    actual = posterior.summarize(samples, parameters)
    result = em.MixtureResult(parameters, converged=True, lower_bound=0.0)
    resp = result.predict_proba(X)
    q, divergence = posterior.restrict(resp, slice(None))
    bound = weight @ (result.score_samples(X) - divergence)
    np.testing.assert_allclose(actual.log_likelihood, bound, rtol=1e-10)
    np.testing.assert_allclose(actual.moments.nk, weight @ q, rtol=1e-10)
    np.testing.assert_allclose(actual.weight, weight.sum(), rtol=1e-12)


def test_blocks_cover_each_row_once():
    samples = Samples(np.zeros((100_000, 1)))
    for width in (1, 100, 10**9):
        rows = np.concatenate([np.r_[block] for block in row_blocks(samples, width)])
        np.testing.assert_array_equal(rows, np.arange(100_000))
