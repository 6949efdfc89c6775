"""EM for models of one's own: one class each, and the maxima that other programs find."""

from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from example_models import factors, load
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit, log_softmax, logit, logsumexp
from scipy.stats import multivariate_normal, norm
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from fastgmm import em

BernoulliMixture = load("bernoulli_mixture").BernoulliMixture
LinearRegressions = load("linear_regressions").LinearRegressions


def digits():
    """Return which of the 12 pixels that vary most are lit, in 1797 digits."""
    X = (load_digits().data > 7).astype(float)
    return X[:, np.sort(X.var(axis=0).argsort()[-12:])]


def bernoullis():
    p = np.random.default_rng(1).uniform(0.25, 0.75, (3, 12))
    return digits(), BernoulliMixture(np.full(3, 1 / 3), p)


def regressions():
    file = Path(__file__).parent / "data" / "faithful.csv"
    eruptions, waiting = np.loadtxt(file, delimiter=",", skiprows=1).T
    X = np.column_stack([np.ones_like(eruptions), eruptions, waiting])
    coefficients = np.array([[40.0, 5.0], [40.0, 10.0]])
    return X, LinearRegressions(np.full(2, 0.5), coefficients, np.full(2, 50.0))


def pca():
    W = np.random.default_rng(1).normal(size=(5, 2))
    model = load("probabilistic_pca").ProbabilisticPCA(W, np.zeros(5), 1.0)
    return factors(200, 5, 2), model


PROBLEMS = {"Bernoulli": bernoullis, "regressions": regressions, "PCA": pca}
each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def maximum(X, start, **options):
    """Return what EM reaches if it may run until rounding stops it."""
    rule = em.LowerBoundChange(1e-14)
    result = em.fit(X, start, convergence=rule, max_iter=20_000, **options)
    assert result.converged
    return result


def numbers(model):
    """Return all parameters of a model in one array."""
    return np.concatenate([np.ravel(v) for v in vars(model).values() if not isinstance(v, int)])


@each_problem
def test_the_likelihood_does_not_fall(problem):
    result = em.fit(*problem(), max_iter=200, convergence=em.Never())
    assert result.n_iter == 200
    changes = np.diff(result.lower_bounds)
    assert changes[:5].min() > 0.0
    assert changes.min() >= -1e-12


@each_problem
def test_a_weight_counts_copies_of_a_row(problem):
    X, start = problem()
    X = X[:150]
    weight = np.arange(len(X)) % 4
    options = {"max_iter": 10, "convergence": em.Never()}
    weighted = em.fit(X, start, sample_weight=weight, **options)
    repeated = em.fit(np.repeat(X, weight, axis=0), start, **options)
    np.testing.assert_allclose(weighted.lower_bounds, repeated.lower_bounds, rtol=1e-10)
    np.testing.assert_allclose(
        numbers(weighted.parameters), numbers(repeated.parameters), rtol=1e-8, atol=1e-12
    )


@each_problem
def test_blocks_add_up(problem, monkeypatch):
    X, start = problem()
    whole = em.fit(X, start, max_iter=3)
    monkeypatch.setattr("fastgmm.em.latent_variable_model._ROWS", 256)
    blocks = em.fit(X, start, max_iter=3)
    np.testing.assert_allclose(blocks.lower_bounds, whole.lower_bounds, rtol=1e-11)


@each_problem
def test_batches_are_unbiased(problem):
    """Equal batches: the mean of the sums of an epoch is the sum over all samples."""
    X, start = problem()
    X = X[: len(X) // 4 * 4]
    weight = 1.0 + np.arange(len(X)) % 3
    seen = []

    class Still(type(start)):
        def update(self, sums):
            seen.append(sums)
            return self

    still = copy(start)
    still.__class__ = Still
    options = {"sample_weight": weight, "convergence": em.Never()}
    em.fit(X, still, posterior=em.MiniBatchPosterior(len(X) // 4), max_iter=4, **options)
    em.fit(X, still, max_iter=1, **options)
    *batches, whole = seen
    assert len({float(sums.weight) for sums in batches}) > 1
    for name, value in whole.values.items():
        mean = np.mean([sums[name] for sums in batches], axis=0)
        np.testing.assert_allclose(mean, value, rtol=1e-11)
    assert np.mean([sums.weight for sums in batches]) == pytest.approx(weight.sum())


def test_an_update_from_a_weighted_batch_is_that_of_the_batch_alone():
    """Its weights sum to 1: they are divided by the weight of the batch, not of all samples."""
    X, start = bernoullis()
    weight = 1.0 + np.arange(len(X)) % 3
    posterior = em.MiniBatchPosterior(100)
    result = em.fit(X, start, sample_weight=weight, posterior=posterior, max_iter=5)
    assert result.parameters.weights.sum() == pytest.approx(1.0, rel=1e-12)


@each_problem
def test_growing_batches_end_at_the_maximum(problem):
    X, start = problem()
    posterior = em.MiniBatchPosterior(em.Growing(len(X) // 4, 1.3))
    reached = maximum(X, start, posterior=posterior).parameters
    assert em.fit(X, reached, max_iter=1).lower_bound == pytest.approx(
        maximum(X, reached).lower_bound, abs=1e-9
    )


def bernoulli_log_likelihood(theta, X):
    """Return the mean log-likelihood of logits of weights and of probabilities."""
    log_weights = log_softmax(np.append(theta[:2], 0.0))
    p = expit(theta[2:].reshape(3, -1))
    log_joint = log_weights + X @ np.log(p).T + (1 - X) @ np.log1p(-p).T
    return logsumexp(log_joint, axis=1).mean()


def regression_log_likelihood(theta, X):
    """Return the mean log-likelihood of a logit, coefficients and log-variances."""
    weights = expit([theta[0], -theta[0]])
    deviations = np.exp(0.5 * theta[5:])
    fitted = X[:, :-1] @ theta[1:5].reshape(2, 2).T
    return np.log(norm.pdf(X[:, -1:], fitted, deviations) @ weights).mean()


def check_maximum(function, theta, X, bound):
    """No optimiser goes higher, and it comes back from nearby."""
    assert function(theta, X) == pytest.approx(bound, abs=1e-12)
    assert np.abs(approx_fprime(theta, function, 1e-6, X)).max() < 1e-5
    for away in (0.0, 0.02):
        start = theta * (1.0 + away * np.cos(np.arange(len(theta))))
        found = minimize(lambda t: -function(t, X), start, options={"gtol": 1e-7, "maxiter": 2000})
        assert -found.fun <= bound + 1e-10
        assert -found.fun >= bound - 1e-7


@pytest.mark.slow
def test_a_mixture_of_bernoullis_against_scipy():
    X, start = bernoullis()
    result = maximum(X, start)
    model = result.parameters
    assert result.lower_bound > em.fit(X, start, max_iter=1).lower_bound + 0.5
    odds = np.log(model.weights[:2] / model.weights[2])
    theta = np.concatenate([odds, logit(model.probabilities).ravel()])
    check_maximum(bernoulli_log_likelihood, theta, X, result.lower_bound)


def test_a_mixture_of_regressions_against_scipy():
    X, start = regressions()
    result = maximum(X, start)
    model = result.parameters
    theta = np.concatenate(
        [[logit(model.weights[0])], model.coefficients.ravel(), np.log(model.variances)]
    )
    check_maximum(regression_log_likelihood, theta, X, result.lower_bound)


def test_probabilistic_pca_against_its_closed_form():
    """Tipping and Bishop (1999): the noise is the mean of the other eigenvalues."""
    X, start = pca()
    result = maximum(X, start)
    model = result.parameters
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
    noise = values[:3].mean()
    signal = (vectors[:, 3:] * (values[3:] - noise)) @ vectors[:, 3:].T
    np.testing.assert_allclose(model.mean, X.mean(axis=0), rtol=1e-5)
    assert model.variance == pytest.approx(noise, rel=1e-6)
    W = model.loadings
    np.testing.assert_allclose(W @ W.T, signal, rtol=1e-5, atol=1e-5)
    covariance = signal + noise * np.eye(5)
    density = multivariate_normal(X.mean(axis=0), covariance).logpdf(X)
    assert result.lower_bound == pytest.approx(density.mean(), abs=1e-10)


def test_probabilistic_pca_against_scikit_learn():
    """Its variances are over n - 1; those of the maximum over n."""
    X, start = pca()
    model, n = maximum(X, start).parameters, len(X)
    peer = PCA(2).fit(X)
    assert model.variance == pytest.approx(peer.noise_variance_ * (n - 1) / n, rel=1e-6)
    covariance = model.loadings @ model.loadings.T + model.variance * np.eye(5)
    np.testing.assert_allclose(covariance, peer.get_covariance() * (n - 1) / n, atol=1e-5)


# a model that nothing else knows of


class ZeroInflatedPoisson(em.LatentVariableModel):
    """A count is 0 for sure with some probability, else a Poisson variable."""

    latent = "discrete"
    n_features = 1

    def __init__(self, share, rate):
        self.share, self.rate = share, rate

    def summarize(self, X, weight):
        x = X[:, 0]
        empty = np.where(x == 0, self.share, 0.0)
        full = (1 - self.share) * np.exp(x * np.log(self.rate) - self.rate)  # times x!
        r = weight * empty / (empty + full)
        return em.Sums(
            weight @ np.log(empty + full), weight.sum(), {"empty": r.sum(), "total": weight @ x}
        )

    def update(self, sums):
        full = sums.weight - sums["empty"]
        return ZeroInflatedPoisson(sums["empty"] / sums.weight, sums["total"] / full)


def test_a_new_model_is_one_class():
    """At the maximum the shares of zeros agree, and so do the means."""
    X = np.repeat(np.arange(6), [60, 12, 9, 8, 2, 1])[:, np.newaxis]
    model = maximum(X, ZeroInflatedPoisson(0.5, 1.0)).parameters
    zeros = model.share + (1 - model.share) * np.exp(-model.rate)
    assert zeros == pytest.approx(60 / 92, rel=1e-7)
    assert (1 - model.share) * model.rate == pytest.approx(X.mean(), rel=1e-7)


@dataclass(frozen=True)
class Counts:
    """Statistics of a type of one's own."""

    log_likelihood: float
    weight: float
    total: float

    @property
    def lower_bound(self):
        return self.log_likelihood / self.weight

    def __add__(self, other):
        return Counts(*(getattr(self, name) + getattr(other, name) for name in vars(self)))


class Exponential(em.LatentVariableModel):
    """Lifetimes, of which those above 2 are seen as 2: z is the lifetime."""

    latent = "continuous"

    def __init__(self, mean):
        self.mean = mean

    def summarize(self, X, weight):
        x = X[:, 0]
        log_likelihood = weight @ (-x / self.mean - np.where(x < 2.0, np.log(self.mean), 0.0))
        expected = x + np.where(x < 2.0, 0.0, self.mean)
        return Counts(log_likelihood, weight.sum(), weight @ expected)

    def update(self, counts):
        return Exponential(counts.total / counts.weight)


@pytest.mark.parametrize("posterior", [em.ExactPosterior(), em.MiniBatchPosterior([3, 6])])
def test_statistics_may_be_of_any_type(posterior):
    """The maximum: time at risk over events."""
    X = np.array([[0.5], [1.0], [2.0], [0.3], [2.0], [1.7]])
    model = maximum(X, Exponential(1.0), posterior=posterior).parameters
    assert model.mean == pytest.approx(X.sum() / 4, rel=1e-6)


def test_sums_are_read_only_and_add():
    sums = em.Sums(-3.0, 2.0, {"a": np.array([1.0, 2.0])})
    total = sums + sums.scaled(2.0)
    assert (total.log_likelihood, total.weight, total.lower_bound) == (-9.0, 6.0, -1.5)
    assert total["a"].tolist() == [3.0, 6.0]
    assert sums.with_log_likelihood(-1.0).lower_bound == -0.5
    with pytest.raises(TypeError, match="does not support item assignment"):
        sums.values["a"] = 0.0
    with pytest.raises(ValueError, match=r"of the same names can be added, got \['a'\] and \[\]"):
        sums + em.Sums(0.0, 1.0, {})
