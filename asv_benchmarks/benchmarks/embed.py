"""Mixtures in the user's own compiled loops, beside calls from Python. Needs Numba."""

import warnings
from functools import cache

import numpy as np
from sklearn.mixture import GaussianMixture as ScikitLearn

from fastgmm import GaussianMixture
from fastgmm import _kernels as kernels

from .mixtures import make_parameters, samples_and_means
from .sizes import COMPILED_TYPES, parse, shapes

BLOCK = 256
BATCH = 4 * BLOCK  # with 1,000 rows, the last of four blocks would compute lanes for nothing
ROWS_OF_A_CALL = 1000
THRESHOLD = -40.0


@cache
def _programs():
    """Return loops over points and blocks on one thread, and a pipeline on all."""
    try:
        from numba import njit, prange
    except ImportError as error:
        raise NotImplementedError from error
    from fastgmm.embed import numba as embed

    @njit(nogil=True)
    def points(model, X, out):
        workspace = embed.new_workspace(model, 1)
        for i in range(len(X)):
            out[i] = embed.log_density(model, X[i], workspace)

    @njit(nogil=True)
    def blocks(model, X, out):
        workspace = embed.new_workspace(model)
        for i in range(0, len(X), BLOCK):
            rows = slice(i, i + BLOCK)
            embed.log_density_block(model, X[rows], out[rows], workspace)

    @njit(parallel=True)
    def pipeline(model, X, center, scale, n_parts):
        count = 0
        for part in prange(n_parts):
            workspace = embed.new_workspace(model)
            rows, scores = np.empty((BATCH, X.shape[1])), np.empty(BATCH)
            for start in range(part * BATCH, len(X), n_parts * BATCH):
                m = min(BATCH, len(X) - start)
                for i in range(m):
                    for j in range(X.shape[1]):
                        rows[i, j] = (X[start + i, j] - center[j]) / scale[j]
                embed.log_density_block(model, rows[:m], scores[:m], workspace)
                for i in range(m):
                    count += scores[i] < THRESHOLD
        return count

    return points, blocks, pipeline


def _mixtures(means, covariance_type):
    """Return the same mixture as parameters, an estimator, and scikit-learn's estimator."""
    parameters = make_parameters(means, covariance_type)
    parts = parameters.weights, parameters.means, parameters.covariances
    estimator = GaussianMixture.from_parameters(*parts, covariance_type=covariance_type)
    peer = ScikitLearn(len(means), covariance_type=covariance_type)
    peer.weights_, peer.means_, peer.covariances_ = parts
    peer.precisions_cholesky_ = parameters.precisions_cholesky
    return parameters, estimator, peer


class LogDensity:
    """Of all samples, on one thread; scikit-learn on all."""

    params = [COMPILED_TYPES, shapes((100_000, 16, 32), (100_000, 2, 8))]
    param_names = ["covariance_type", "n,d,K"]

    def setup(self, covariance_type, shape):
        warnings.simplefilter("ignore")
        self.points, self.blocks, _ = _programs()
        self.X, means = samples_and_means(*parse(shape))
        self.out = np.empty(len(self.X))
        parameters, self.estimator, self.peer = _mixtures(means, covariance_type)
        self.estimator.n_jobs = 1
        self.components, self.model = parameters.components(), self.estimator.to_numba()
        for run in (self.points, self.blocks):
            run(self.model, self.X[:1], self.out[:1])

    def time_one_point_a_call(self, *parameters):
        self.points(self.model, self.X, self.out)

    def time_256_points_a_call(self, *parameters):
        self.blocks(self.model, self.X, self.out)

    def time_kernel(self, *parameters):
        kernels.posterior(self.X, self.components, 1, log_prob_norm=self.out)

    def time_estimator(self, *parameters):
        self.estimator.score_samples(self.X)

    def time_scikit_learn(self, *parameters):
        self.peer.score_samples(self.X)


class Pipeline:
    """Normalise, score, compare and count, on all cores."""

    params = [shapes((1_000_000, 16, 8), (1_000_000, 16, 32), (1_000_000, 8, 16))]
    param_names = ["n,d,K"]

    def setup(self, shape):
        warnings.simplefilter("ignore")
        self.run = _programs()[2]
        self.X, means = samples_and_means(*parse(shape))
        self.center, self.scale = np.zeros(means.shape[1]), np.ones(means.shape[1])
        _, self.estimator, self.peer = _mixtures(means, "full")
        self.model = self.estimator.to_numba()
        self.n_parts = kernels.backend_info()["threads"]
        self.run(self.model, self.X[:1], self.center, self.scale, self.n_parts)

    def time_one_compiled_loop(self, *parameters):
        self.run(self.model, self.X, self.center, self.scale, self.n_parts)

    def time_calls_of_the_estimator(self, *parameters):
        self.count_by_calls(self.estimator)

    def time_calls_of_scikit_learn(self, *parameters):
        self.count_by_calls(self.peer)

    def time_one_call_of_scikit_learn(self, *parameters):
        self.count((self.X - self.center) / self.scale, self.peer)

    def count_by_calls(self, mixture):
        count = 0
        for start in range(0, len(self.X), ROWS_OF_A_CALL):
            rows = (self.X[start : start + ROWS_OF_A_CALL] - self.center) / self.scale
            count += self.count(rows, mixture)
        return count

    def count(self, rows, mixture):
        return np.sum(mixture.score_samples(rows) < THRESHOLD)
