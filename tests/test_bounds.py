"""The ELBO's decomposition, for any responsibilities, and its parts against plain sums."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, DTYPES, dense, draw, mixture, sample_weights
from scipy.stats import multivariate_normal

import fastgmm
from fastgmm import GaussianMixture


def fitted(covariance_type, dtype="float64", n=700):
    X = draw(mixture(covariance_type, 3, 4), n, dtype)
    return GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X), X


def random_resp(n, K, seed=0):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(K, 0.5), size=n)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_log_likelihood_is_elbo_plus_divergence(covariance_type, dtype, weighted):
    model, X = fitted(covariance_type, dtype)
    weight = sample_weights(len(X)) if weighted else np.ones(len(X))
    given = weight if weighted else None
    double = X.astype(np.float64)  # of float32 samples results would be rounded to float32
    log_likelihood = weight @ model.score_samples(double)
    posterior = model.predict_proba(double)
    hard = np.eye(3)[model.predict(X)]
    for resp in (random_resp(len(X), 3), hard, posterior, np.full((len(X), 3), 1 / 3)):
        bound = fastgmm.elbo(model, X, resp, given)
        divergence = fastgmm.kl_divergence(resp, posterior, given)
        assert divergence >= -1e-10
        assert bound + divergence == pytest.approx(log_likelihood, rel=1e-10)
    assert fastgmm.elbo(model, X, posterior, given) == pytest.approx(log_likelihood, rel=1e-12)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_q_function_is_the_plain_sum(covariance_type):
    model, X = fitted(covariance_type)
    resp, weight = random_resp(len(X), 3), sample_weights(len(X))
    log_joint = np.stack(
        [
            np.log(w) + multivariate_normal(mean, covariance).logpdf(X)
            for w, mean, covariance in zip(
                model.weights_, model.means_, dense(model._parameters()), strict=True
            )
        ],
        axis=1,
    )
    expected = np.sum(weight[:, None] * resp * log_joint)
    actual = fastgmm.expected_complete_log_likelihood(model, X, resp, weight)
    assert actual == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_history_rises_to_the_elbo_under_the_posterior(covariance_type):
    X = draw(mixture(covariance_type, 3, 4), 700)
    model = GaussianMixture(3, covariance_type=covariance_type, reg_covar=0.0, tol=1e-12)
    model.set_params(max_iter=2000, random_state=0).fit(X)
    assert (np.diff(model.lower_bounds_) >= -1e-12).all()
    bound = fastgmm.elbo(model, X, model.predict_proba(X)) / len(X)
    assert bound == pytest.approx(model.lower_bound_, abs=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_m_step_maximises_the_q_function():
    model, X = fitted("full")
    resp = model.predict_proba(X)
    before = fastgmm.expected_complete_log_likelihood(model, X, resp)
    step = GaussianMixture(
        3,
        weights_init=model.weights_,
        means_init=model.means_,
        precisions_init=model.precisions_,
        reg_covar=0.0,
        max_iter=1,
        tol=1e300,
    ).fit(X)
    assert fastgmm.expected_complete_log_likelihood(step, X, resp) >= before


def test_absent_samples_take_no_part():
    model, X = fitted("full")
    resp, posterior = random_resp(len(X), 3), model.predict_proba(X)
    keep = np.arange(len(X)) % 3 > 0
    posterior[~keep] = [1.0, 0.0, 0.0]  # infinitely far from resp
    weight = keep.astype(float)
    kept = fastgmm.elbo(model, X[keep], resp[keep])
    assert fastgmm.elbo(model, X, resp, weight) == pytest.approx(kept, rel=1e-13)
    kept = fastgmm.kl_divergence(resp[keep], posterior[keep])
    assert fastgmm.kl_divergence(resp, posterior, weight) == pytest.approx(kept, rel=1e-13)


def test_divergence_is_infinite_where_the_posterior_excludes():
    assert fastgmm.kl_divergence([[0.5, 0.5]], [[1.0, 0.0]]) == np.inf
    assert fastgmm.kl_divergence([[1.0, 0.0]], [[1.0, 0.0]]) == 0.0


@pytest.mark.parametrize(
    "resp, message",
    [
        (np.full((4, 3), 0.5), r"resp should .*rows that sum to 1, but row 0 .* sum 1\.5"),
        (np.array([[1.5, -0.5, 0.0]] * 4), "non-negative"),
        (np.full((4, 3), np.nan), "row 0 is"),
        (np.full((3, 3), 1 / 3), r"resp should have the shape of \(4, 3\), but got \(3, 3\)"),
        (np.full((4, 2), 1 / 2), r"resp should have the shape of \(4, 3\), but got \(4, 2\)"),
        (np.ones(4), r"resp should have the shape of \(4, 3\), but got \(4,\)"),
        (np.full((4, 3), 1j), "Complex data not supported"),
    ],
)
def test_bad_responsibilities(resp, message):
    model, X = fitted("full")
    with pytest.raises(ValueError, match=message):
        fastgmm.elbo(model, X[:4], resp)


def test_bad_posterior_and_unfitted_model():
    resp = np.full((4, 2), 0.5)
    with pytest.raises(ValueError, match=r"posterior should have the shape of \(4, 2\)"):
        fastgmm.kl_divergence(resp, resp[:3])
    with pytest.raises(ValueError, match="not fitted yet"):
        fastgmm.elbo(GaussianMixture(2), np.ones((4, 1)), resp)
