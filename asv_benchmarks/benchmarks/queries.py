"""What a mixture is asked: conditional mixtures, beside loops in NumPy; merged components."""

from statistics import median
from time import perf_counter

import numpy as np
from scipy.special import softmax

from fastgmm import GaussianMixture, MixtureRegressor

from .sizes import REPEATS, parse, shapes


def random_mixture(d, K):
    """Return a mixture with full covariances whose components overlap, and its features' halves."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(K, d, d)) / np.sqrt(d)
    covariances = A @ A.swapaxes(1, 2) + 0.5 * np.eye(d)
    means = 2.0 * rng.normal(size=(K, d))
    weights = np.full(K, 1.0 / K)
    return GaussianMixture.from_parameters(weights, means, covariances, covariance_type="full")


def constants(model, g):
    """Return what a loop computes once: precisions and log-coefficients of x, slopes of y."""
    S = model.covariances_
    precisions = np.linalg.inv(S[:, :g, :g])
    log_coefficients = np.log(model.weights_) + 0.5 * np.linalg.slogdet(precisions)[1]
    return precisions, log_coefficients, S[:, g:, :g] @ precisions


def over_rows(model, X):
    """Return weights and means for each row: NumPy, all components of one row at a time."""
    g = X.shape[1]
    precisions, log_coefficients, slopes = constants(model, g)
    centers, others = model.means_[:, :g], model.means_[:, g:]
    weights = np.empty((len(X), len(others)))
    means = np.empty((len(X), *others.shape))
    for i, x in enumerate(X):
        z = x - centers
        distances = np.einsum("kd,kde,ke->k", z, precisions, z)
        weights[i] = softmax(log_coefficients - 0.5 * distances)
        means[i] = others + (slopes @ z[:, :, np.newaxis])[:, :, 0]
    return weights, means


def over_components(model, X):
    """Return the same: NumPy, all rows of one component at a time."""
    g = X.shape[1]
    precisions, log_coefficients, slopes = constants(model, g)
    log_prob = np.empty((len(X), len(slopes)))
    means = np.empty((len(X), *model.means_[:, g:].shape))
    for k, center in enumerate(model.means_[:, :g]):
        z = X - center
        log_prob[:, k] = log_coefficients[k] - 0.5 * ((z @ precisions[k]) * z).sum(axis=1)
        means[:, k] = model.means_[k, g:] + z @ slopes[k].T
    return softmax(log_prob, axis=1), means


def seconds(function, *arguments):
    """Return the time of one call."""
    start = perf_counter()
    function(*arguments)
    return perf_counter() - start


class Condition:
    """Half of the features given the other half: 8 given 8 with 16 components first."""

    params = [shapes((100_000, 16, 16), (1_000_000, 4, 8), (20_000, 64, 8))]
    param_names = ["n,d,K"]
    unit = "x"

    def setup(self, shape):
        n, d, K = parse(shape)
        self.model = random_mixture(d, K)
        self.given = np.arange(d // 2)
        self.X = np.ascontiguousarray(self.model.sample(n, random_state=0)[0][:, self.given])
        weights, means = over_components(self.model, self.X)
        np.testing.assert_allclose(self.condition()[0], weights, atol=1e-9)
        np.testing.assert_allclose(self.condition()[1], means, atol=1e-9)

    def condition(self):
        conditional = self.model.condition(self.given, self.X)
        return conditional.weights, conditional.means

    def time_condition(self, shape):
        self.condition()

    def track_speedup_over_rows(self, shape):
        """The loop runs over a part of the rows, and its time is scaled."""
        few = self.X[: max(len(self.X) // 50, 1)]
        factor = len(self.X) / len(few)
        ratios = [
            factor * seconds(over_rows, self.model, few) / seconds(self.condition)
            for _ in range(REPEATS)
        ]
        return median(ratios)

    def track_speedup_over_components(self, shape):
        ratios = [
            seconds(over_components, self.model, self.X) / seconds(self.condition)
            for _ in range(REPEATS)
        ]
        return median(ratios)


class Regression:
    """The last feature given all others."""

    params = [shapes((100_000, 16, 16), (1_000_000, 4, 8))]
    param_names = ["n,d,K"]

    def setup(self, shape):
        n, d, K = parse(shape)
        mixture = random_mixture(d, K)
        table, _ = mixture.sample(n, random_state=0)
        self.X = np.ascontiguousarray(table[:, :-1])
        mixture.set_params(
            weights_init=mixture.weights_,
            means_init=mixture.means_,
            covariances_init=mixture.covariances_,
            max_iter=0,
        )
        self.model = MixtureRegressor(mixture).fit(self.X, table[:, -1])

    def time_predict(self, shape):
        self.model.predict(self.X)

    def time_predict_with_std(self, shape):
        self.model.predict(self.X, return_std=True)


class Merge:
    """All steps from K clusters to one."""

    params = [shapes((100_000, 4, 16), (20_000, 4, 64))]
    param_names = ["n,d,K"]

    def setup(self, shape):
        n, d, K = parse(shape)
        self.model = random_mixture(d, K)
        self.X, _ = self.model.sample(n, random_state=0)

    def time_merge_components(self, shape):
        self.model.merge_components(self.X)


class Outliers:
    """The share of the mass at higher densities, from 100,000 draws."""

    params = [shapes((100_000, 16, 16))]
    param_names = ["n,d,K"]

    def setup(self, shape):
        n, d, K = parse(shape)
        self.model = random_mixture(d, K)
        self.X, _ = self.model.sample(n, random_state=0)

    def time_outlier_score(self, shape):
        self.model.outlier_score(self.X, random_state=0)
