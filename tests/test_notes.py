"""Formulas of the model and the bound in the course notes that no other test checks."""

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, draw, mixture
from scipy.special import logsumexp, softmax
from scipy.stats import norm
from test_gradients import differences, model_of
from test_references import FAITHFUL
from variants import log_joint

import fastgmm
from fastgmm import GaussianMixture, em

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def problem(covariance_type="full", K=3, d=2, n=200):
    """Return samples, and a mixture that is not their maximum."""
    parameters = mixture(covariance_type, K, d, scenario="overlapping")
    return draw(mixture("full", K, d, seed=1), n), parameters


def other_resp(resp, seed=0):
    """Return rows that sum to 1 and are not those of the posterior."""
    return np.random.default_rng(seed).dirichlet(np.full(resp.shape[1], 2.0), len(resp))


# the model


@each_type
def test_density_and_posterior_are_those_of_bayes_theorem(covariance_type):
    X, parameters = problem(covariance_type)
    log_prob = log_joint(X, parameters)
    model = model_of(parameters)
    np.testing.assert_allclose(model.score_samples(X), logsumexp(log_prob, axis=1), rtol=1e-11)
    np.testing.assert_allclose(model.predict_proba(X), softmax(log_prob, axis=1), rtol=1e-10)


def test_features_are_independent_within_a_component_alone():
    X, parameters = problem("diag")
    model = model_of(parameters)
    deviations = np.sqrt(parameters.covariances)
    one = [norm(m, s).pdf(X) for m, s in zip(parameters.means, deviations, strict=True)]
    given_component = np.stack([densities.prod(axis=1) for densities in one], axis=1)
    np.testing.assert_allclose(
        model.score_samples(X), np.log(given_component @ parameters.weights), rtol=1e-11
    )
    product_of_marginals = np.tensordot(parameters.weights, one, 1).prod(axis=1)
    assert np.abs(model.score_samples(X) - np.log(product_of_marginals)).max() > 0.1


def test_the_complete_log_likelihood_of_one_hot_labels():
    X, parameters = problem()
    labels = np.random.default_rng(0).integers(0, 3, len(X))
    expected = log_joint(X, parameters)[np.arange(len(X)), labels].sum()
    model, one_hot = model_of(parameters), np.eye(3)[labels]
    actual = fastgmm.expected_complete_log_likelihood(model, X, one_hot)
    assert actual == pytest.approx(expected, rel=1e-11)
    assert fastgmm.elbo(model, X, one_hot) == actual  # the entropy is 0


# the bound


@each_type
def test_terms_of_the_elbo(covariance_type):
    """With log p(y) twice, and not log p(x | y), the sum is no bound: it does not look at x."""
    X, parameters = problem(covariance_type)
    model = model_of(parameters)
    q = other_resp(model.predict_proba(X))
    log_prior = np.log(parameters.weights)
    log_conditional = log_joint(X, parameters) - log_prior
    entropy = -np.sum(q * np.log(q))
    bound = np.sum(q * log_prior) + np.sum(q * log_conditional) + entropy
    assert fastgmm.elbo(model, X, q) == pytest.approx(bound, rel=1e-11)
    assert bound < model.score_samples(X).sum()
    printed = 2 * np.sum(q * log_prior) + entropy
    assert printed > model.score_samples(X).sum()


def test_the_elbo_without_its_sum_over_components():
    """The terms of one component are no bound either; all of them are the ELBO."""
    X, parameters = problem()
    model = model_of(parameters)
    q = other_resp(model.predict_proba(X))
    terms = np.sum(q * (log_joint(X, parameters) - np.log(q)), axis=0)
    assert fastgmm.elbo(model, X, q) == pytest.approx(terms.sum(), rel=1e-11)
    assert terms.max() > model.score_samples(X).sum()


def test_equality_where_the_ratio_is_the_same_for_all_components():
    X, parameters = problem()
    model, log_prob = model_of(parameters), log_joint(X, parameters)
    posterior = model.predict_proba(X)
    ratio = log_prob - np.log(posterior)  # log p(x, j) / q(j) = log p(x), for every j
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-10)
    log_likelihood = model.score_samples(X).sum()
    assert fastgmm.elbo(model, X, posterior) == pytest.approx(log_likelihood, rel=1e-12)
    posterior[0] = np.roll(posterior[0], 1)  # the ratio of one sample depends on j
    assert fastgmm.elbo(model, X, posterior) < log_likelihood - 1e-3


def test_divergence_is_zero_for_equal_distributions_alone():
    """Pinsker's inequality: KL >= |q - p|^2 / 2 in the 1-norm. It is not symmetric."""
    rng = np.random.default_rng(0)
    for q, p in rng.dirichlet(np.ones(4), (50, 2)):
        forward, backward = fastgmm.kl_divergence([q], [p]), fastgmm.kl_divergence([p], [q])
        assert forward >= 0.5 * np.abs(q - p).sum() ** 2 > 0
        assert abs(forward - backward) > 1e-6
        assert fastgmm.kl_divergence([q], [q]) == 0.0


def test_bound_and_q_differ_by_the_entropy_alone():
    X, parameters = problem()
    q = other_resp(model_of(parameters).predict_proba(X))
    for seed in range(3):
        model = model_of(mixture("full", 3, 2, seed=seed))
        difference = fastgmm.elbo(model, X, q) - fastgmm.expected_complete_log_likelihood(
            model, X, q
        )
        assert difference == pytest.approx(-np.sum(q * np.log(q)), rel=1e-9)


def test_each_step_raises_the_bound():
    """EM is coordinate ascent: the E step moves q alone, the M step the parameters alone."""
    X, parameters = problem()
    q, last = np.full((len(X), 3), 1 / 3), -np.inf
    for _ in range(5):
        model = model_of(parameters)
        bounds = [last, fastgmm.elbo(model, X, q)]
        q = model.predict_proba(X)
        bounds.append(fastgmm.elbo(model, X, q))
        parameters = em.fit(X, parameters, update=em.ClosedForm(0.0), max_iter=1).parameters
        bounds.append(fastgmm.elbo(model_of(parameters), X, q))
        bounds.append(model_of(parameters).score_samples(X).sum())
        assert (np.diff(bounds) >= -1e-9).all()
        last = bounds[-2]


@each_type
def test_held_responsibilities_have_the_slope_of_the_likelihood(covariance_type):
    """The bound touches the log-likelihood at the parameters of q; it is below it elsewhere."""
    X, parameters = problem(covariance_type)
    held = model_of(parameters).predict_proba(X)

    def moved(flat):
        return model_of(
            em.MixtureParameters.from_covariances(
                covariance_type,
                parameters.weights,
                flat.reshape(parameters.means.shape),
                parameters.covariances,
            )
        )

    def bound(flat):
        return fastgmm.elbo(moved(flat), X, held)

    def plugged_in(flat):
        """The ELBO where q follows the parameters: the log-likelihood itself."""
        return fastgmm.elbo(moved(flat), X, moved(flat).predict_proba(X))

    here = parameters.means.ravel()
    there = here + np.random.default_rng(0).normal(size=here.size)
    assert plugged_in(there) == pytest.approx(moved(there).score_samples(X).sum(), rel=1e-12)
    slope = differences(plugged_in, here)
    np.testing.assert_allclose(differences(bound, here), slope, rtol=1e-6, atol=1e-6)
    gradient = fastgmm.log_likelihood_gradient(moved(here), X).means
    np.testing.assert_allclose(gradient, slope.reshape(gradient.shape), rtol=1e-6, atol=1e-6)
    assert bound(here) == pytest.approx(plugged_in(here), rel=1e-12)
    assert bound(there) < plugged_in(there) - 1.0
    assert np.abs(differences(bound, there) - differences(plugged_in, there)).max() > 1.0


def test_equal_components_stay_equal():
    """The likelihood does not fall, but need not rise: here EM stays at a saddle point."""
    start = em.MixtureParameters.from_covariances(
        "full", np.full(2, 0.5), np.zeros((2, 2)), np.stack([np.eye(2)] * 2)
    )
    result = em.fit(FAITHFUL, start, convergence=em.Never(), max_iter=10)
    assert np.ptp(result.lower_bounds[1:]) < 1e-10
    best = GaussianMixture(2, random_state=0).fit(FAITHFUL)
    assert best.score(FAITHFUL) > result.lower_bound + 0.1
