"""EM from several starts in one run leads where a run from each of them leads."""

import sys

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, draw, mixture, sample_weights

from fastgmm import em
from fastgmm.data.samples import Samples
from fastgmm.em import joint_run
from fastgmm.em.joint_run import advance
from fastgmm.em.updates.closed_form import ClosedForm
from fastgmm.init import splits
from fastgmm.model.parameters import MixtureParameters

N_ITER = 3
PARAMETERS = ("weights", "means", "covariances", "precisions_cholesky")
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def starts_of(covariance_type, n_starts=3, K=4, d=3):
    """Return samples, and mixtures of one shape that differ in all parameters."""
    X = draw(mixture(covariance_type, K, d, scenario="touching"), 700)
    starts = []
    for seed in range(n_starts):
        rng = np.random.default_rng(seed)
        near = mixture(covariance_type, K, d, scenario="touching")
        starts.append(
            MixtureParameters.from_covariances(
                covariance_type,
                rng.dirichlet(np.full(K, 5.0)),
                near.means + rng.normal(size=(K, d)),
                near.covariances * (1.0 + seed),
            )
        )
    return X, starts


def one_by_one(X, starts, weight=None, reg_covar=0.0, **options):
    found = []
    for start in starts:
        options |= {"convergence": em.Never(), "max_iter": N_ITER}
        update = em.ClosedForm(reg_covar)
        found.append(em.fit(X, start, sample_weight=weight, update=update, **options))
    return found


def assert_same(found, expected):
    for (lower_bound, parameters), result in zip(found, expected, strict=True):
        assert lower_bound == pytest.approx(result.lower_bound, rel=1e-12)
        assert parameters.covariance_type == result.parameters.covariance_type
        for name in PARAMETERS:
            actual, wanted = getattr(parameters, name), getattr(result.parameters, name)
            assert actual.shape == wanted.shape
            np.testing.assert_allclose(actual, wanted, rtol=1e-9, atol=1e-11)


@pytest.fixture
def in_one_run(monkeypatch):
    """Fail where starts do not share a run."""

    def fail(*arguments):
        raise AssertionError("a start had a run of its own")

    monkeypatch.setattr(joint_run, "_advance_one", fail)


@pytest.mark.usefixtures("in_one_run")
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_starts, K, d", [(3, 4, 3), (2, 1, 2), (5, 9, 1), (2, 5, 8)])
def test_one_run_leads_where_each_run_leads(covariance_type, weighted, n_starts, K, d):
    X, starts = starts_of(covariance_type, n_starts, K, d)
    weight = sample_weights(len(X)) if weighted else None
    found = advance(Samples(X, weight), starts, N_ITER, ClosedForm(1e-3, 2))
    assert_same(found, one_by_one(X, starts, weight, reg_covar=1e-3))


@pytest.mark.usefixtures("in_one_run")
def test_float32_samples():
    X, starts = starts_of("full")
    X = X.astype(np.float32)
    found = advance(Samples(X), starts, N_ITER, ClosedForm(0.0, 2))
    assert_same(found, one_by_one(X.astype(np.float64), starts))


@each_type
def test_threads_change_no_bit(covariance_type):
    X, starts = starts_of(covariance_type)
    one, three = (
        advance(Samples(X), starts, N_ITER, ClosedForm(0.0, n_threads)) for n_threads in (1, 3)
    )
    for (bound, parameters), (other_bound, other) in zip(one, three, strict=True):
        assert bound == other_bound
        for name in PARAMETERS:
            np.testing.assert_array_equal(getattr(parameters, name), getattr(other, name))


@pytest.mark.usefixtures("in_one_run")
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_a_far_sample_of_no_weight_changes_nothing(covariance_type):
    X, starts = starts_of(covariance_type)
    weight = np.ones(len(X))
    weight[0] = 0.0
    without, with_far = X.copy(), X.copy()
    without[0], with_far[0] = X[1], 1e150
    near, far = (
        advance(Samples(Z, weight), starts, N_ITER, ClosedForm(0.0, 2)) for Z in (without, with_far)
    )
    for one, other in zip(near, far, strict=True):
        assert one.lower_bound == other.lower_bound
        for name in PARAMETERS:
            actual, wanted = getattr(other.parameters, name), getattr(one.parameters, name)
            np.testing.assert_allclose(actual, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("in_one_run")
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_dead_and_collapsed_components(covariance_type):
    """They keep what a run of their own keeps."""
    X, starts = starts_of(covariance_type)
    first = starts[0]
    means = first.means.copy()
    means[0] = 1e4  # no sample belongs to it
    X[:5] = X[0]
    means[1] = X[0]
    covariances = first.covariances
    if first.covariance_model.per_component:
        covariances = covariances.copy()
        covariances[1] *= 1e-12  # the five that are equal
    starts[0] = MixtureParameters.from_covariances(
        covariance_type, first.weights, means, covariances
    )
    found = advance(Samples(X), starts, N_ITER, ClosedForm(0.0, 2))
    assert_same(found, one_by_one(X, starts))


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_a_start_that_fails_ends_no_other(covariance_type):
    X, starts = starts_of(covariance_type)
    huge = starts[1]
    starts[1] = MixtureParameters(
        huge.covariance_model,
        huge.weights,
        huge.means,
        huge.covariances,
        huge.precisions_cholesky * 1e160,
    )
    first, failed, last = advance(Samples(X), starts, N_ITER, ClosedForm(0.0, 2))
    assert isinstance(failed, ValueError)
    assert "lower bound" in str(failed) or "log-likelihood" in str(failed)
    assert_same([first, last], one_by_one(X, [starts[0], starts[2]]))


def test_what_shares_no_run(monkeypatch):
    """One start, gaps, one variance for all, and passes that take long."""
    X, starts = starts_of("full")
    assert_same(
        advance(Samples(X), starts[:1], N_ITER, ClosedForm(0.0, 2)), one_by_one(X, starts[:1])
    )
    X[3, 1] = np.nan
    found = advance(Samples(X, with_missing=True), starts, N_ITER, ClosedForm(0.0, 2))
    assert_same(found, one_by_one(X, starts, missing="marginalize"))
    X, starts = starts_of("tied-spherical")
    assert_same(advance(Samples(X), starts, N_ITER, ClosedForm(0.0, 2)), one_by_one(X, starts))
    monkeypatch.setattr(joint_run, "_advance_together", None)
    for limit in ("_LARGEST_SIZE", "_LARGEST_WORK"):
        with monkeypatch.context() as patch:
            patch.setattr(joint_run, limit, 1)
            X, starts = starts_of("diag")
            assert_same(
                advance(Samples(X), starts, N_ITER, ClosedForm(0.0, 2)), one_by_one(X, starts)
            )


@pytest.mark.parametrize(
    "at_a_time, expected", [(2, [2, 2, 2]), (3, [3, 3]), (4, [4, 3]), (7, [7])]
)
def test_many_starts_share_several_runs(monkeypatch, at_a_time, expected):
    X, starts = starts_of("tied", n_starts=7)
    sizes, together = [], joint_run._advance_together

    def spy(samples, some, *arguments):
        sizes.append(len(some))
        return together(samples, some, *arguments)

    monkeypatch.setattr(joint_run, "_advance_together", spy)
    monkeypatch.setattr(joint_run, "_LARGEST_SIZE", at_a_time * starts[0].n_components * len(X))
    assert_same(advance(Samples(X), starts, N_ITER, ClosedForm(0.0, 2)), one_by_one(X, starts))
    assert sizes == expected


@pytest.mark.parametrize("n_failures", [1, 2])
def test_a_way_of_splitting_that_fails_leaves_the_other(monkeypatch, n_failures):
    X, (start, *_) = starts_of("full", n_starts=1)

    def fail_first(samples, starts, *arguments):
        found = advance(samples, starts, *arguments)
        return [ValueError("failed")] * n_failures + found[n_failures:]

    monkeypatch.setattr(sys.modules[splits.__module__], "advance", fail_first)
    if n_failures == 2:
        with pytest.raises(ValueError, match="failed"):
            splits(Samples(X), start, 1e-3, 2)
        return
    found = splits(Samples(X), start, 1e-3, 2)
    assert {split.component for split in found} == set(range(4))
    assert all(np.isfinite(split.gain) for split in found)
