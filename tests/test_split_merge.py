"""Split and merge moves: out of the maxima that EM cannot leave, and never to a lower one."""

from typing import Any

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, draw, mixture
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.init.moves import apply, moves
from fastgmm.model.parameters import MixtureParameters

pytestmark = pytest.mark.one_backend

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)

CENTERS = np.array([[-10.0, 0.0], [0.0, 0.0], [6.0, 0.0]])


def clusters(n: int = 3000) -> Any:
    """Return three clusters, each with a third of the samples."""
    rng = np.random.default_rng(0)
    X = np.repeat(CENTERS, n // 3, axis=0) + rng.normal(size=(n // 3 * 3, 2))
    return rng.permutation(X)


def trapped(covariance_type: str) -> dict[str, Any]:
    """Return a start with two components in the first cluster, one for the other two."""
    one = np.eye(2) / 4 if covariance_type in ("full", "tied") else np.full(2, 0.25)
    precisions = {"full": np.tile(one, (3, 1, 1)), "tied": one, "diag": np.tile(one, (3, 1))}
    precisions["tied-spherical"] = 0.25
    return {
        "n_components": 3,
        "covariance_type": covariance_type,
        "means_init": np.array([[-10.5, 0.0], [-9.5, 0.0], [3.0, 0.0]]),
        "weights_init": np.full(3, 1 / 3),
        "precisions_init": precisions.get(covariance_type, np.full(3, 0.25)),
        "tol": 1e-6,
        "max_iter": 1000,
        "random_state": 0,
    }


@each_type
def test_leaves_the_maximum_that_traps_em(covariance_type):
    X = clusters()
    options = trapped(covariance_type)
    plain = GaussianMixture(**options).fit(X)
    better = GaussianMixture(**options, acceleration="split-merge").fit(X)
    assert np.abs(np.sort(plain.means_[:, 0]) - CENTERS[:, 0]).max() > 1.0
    np.testing.assert_allclose(np.sort(better.means_[:, 0]), CENTERS[:, 0], atol=0.2)
    assert better.lower_bound_ > plain.lower_bound_ + 0.1
    assert better.score(X) == pytest.approx(better.lower_bound_, abs=1e-5)


@each_type
def test_lower_bound_never_falls(covariance_type):
    X = draw(mixture(covariance_type, 6, 3), 4000)
    numbers: list[int] = []
    model = GaussianMixture(
        5, covariance_type=covariance_type, acceleration="split-merge", tol=1e-5, max_iter=300,
        random_state=0,
    )  # fmt: skip
    model.fit(X, callback=lambda iteration: numbers.append(iteration.number))
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert numbers == list(range(1, model.n_iter_ + 1))
    changes = [iteration.change for iteration in model.history_[1:]]
    np.testing.assert_allclose(np.diff(model.lower_bounds_), changes)


def test_threads_and_seeds():
    X = draw(mixture("full", 6, 3), 4000)
    options: dict[str, Any] = {"acceleration": "split-merge", "tol": 1e-5, "max_iter": 300}

    def bits(n_jobs: int) -> bytes:
        model = GaussianMixture(5, random_state=1, n_jobs=n_jobs, **options).fit(X)
        return model.means_.tobytes()

    assert bits(1) == bits(2) == bits(3)


@each_type
@pytest.mark.parametrize("n_components", [1, 2])
def test_too_few_components_to_move(covariance_type, n_components):
    X = clusters(300)
    options = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-5}
    plain = GaussianMixture(n_components, max_iter=500, **options).fit(X)
    model = GaussianMixture(n_components, max_iter=500, acceleration="split-merge", **options)
    assert model.fit(X).lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-3)


@each_type
def test_subsample_alone_ends_at_a_maximum_of_all_samples(covariance_type):
    parameters = mixture(covariance_type, 4, 3)
    X = draw(parameters, 40_000)
    options = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-8, "max_iter": 2000}
    model = GaussianMixture(4, acceleration="subsample", **options).fit(X)
    given = {"weights_init": model.weights_, "means_init": model.means_}
    more = GaussianMixture(4, **given, precisions_init=model.precisions_, **options).fit(X)
    assert model.converged_
    assert more.lower_bound_ == pytest.approx(model.lower_bound_, abs=1e-6)


@pytest.mark.parametrize("acceleration", ["subsample", "split-merge"])
def test_no_iterations(acceleration):
    X = clusters(300)
    plain = GaussianMixture(3, max_iter=0, random_state=0).fit(X)
    model = GaussianMixture(3, max_iter=0, random_state=0, acceleration=acceleration).fit(X)
    assert model.means_.tobytes() == plain.means_.tobytes()
    assert model.n_iter_ == 0


@pytest.mark.parametrize("max_iter", [1, 2, 7])
def test_max_iter_counts_passes_over_all_samples(max_iter):
    X = draw(mixture("full", 6, 3), 4000)
    model = GaussianMixture(
        5, max_iter=max_iter, tol=1e-12, random_state=0, acceleration="split-merge"
    )
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(X)
    assert model.n_iter_ == max_iter


def test_rows_of_zero_weight_may_hold_anything():
    X = clusters()
    weight = np.ones(len(X))
    weight[::5] = 0.0
    loud = X.copy()
    loud[::5] = 1e6
    options = {**trapped("full"), "acceleration": "split-merge"}
    one = GaussianMixture(**options).fit(X, sample_weight=weight)
    other = GaussianMixture(**options).fit(loud, sample_weight=weight)
    np.testing.assert_allclose(other.means_, one.means_, atol=1e-9)


def test_float32_samples():
    X = np.tile(clusters(), (6, 1)).astype(np.float32)
    model = GaussianMixture(**trapped("full"), acceleration="split-merge").fit(X)
    np.testing.assert_allclose(np.sort(model.means_[:, 0]), CENTERS[:, 0], atol=0.2)


def test_few_distinct_samples_are_no_crash():
    X = np.repeat(np.random.default_rng(0).normal(size=(12, 2)), 20, axis=0)
    model = GaussianMixture(10, reg_covar=0.0, tol=1e-8, max_iter=200, random_state=0)
    with pytest.warns(ConvergenceWarning):
        model.set_params(acceleration="split-merge").fit(X)
    assert np.isfinite(model.lower_bound_)


@each_type
def test_a_move_keeps_weight_and_number_of_components(covariance_type):
    parameters = mixture(covariance_type, 5, 3)
    samples = Samples(draw(parameters, 3000))
    found = list(moves(samples, parameters, 1e-6, 2))
    assert found
    gains = [move.gain for move in found]
    assert gains == sorted(gains, reverse=True)
    for move in found:
        after = apply(parameters, move)
        assert after.n_components == 5
        assert after.weights.sum() == pytest.approx(1.0)
        i, j = move.pair
        kept = parameters.weights[[i, j]].sum() / parameters.weights.sum()
        assert after.weights[i] == pytest.approx(kept)
        assert move.split not in move.pair


def test_the_estimate_tells_a_good_move_from_a_bad_one():
    """Two components in one cluster and one over two: merging those and splitting that gains."""
    X = clusters()
    start = trapped("full")
    parameters = MixtureParameters.from_precisions_cholesky(
        "full", start["weights_init"], start["means_init"], np.tile(np.eye(2) / 2, (3, 1, 1))
    )
    samples = Samples(X)
    best = next(moves(samples, parameters, 1e-6, 1))
    assert (best.split, best.pair) == (2, (0, 1))
    before = ExactPosterior(1).summarize(samples, parameters).lower_bound
    after = ExactPosterior(1).summarize(samples, apply(parameters, best)).lower_bound
    assert after > before + 0.1
