"""One EM iteration and whole fits, by covariance type, dtype, shape and threads."""

import warnings

import numpy as np

import fastgmm
from fastgmm import _kernels as kernels
from fastgmm._kernels.layout import empty_moments
from fastgmm._kernels.threads import count_threads

from .mixtures import make_components, make_samples, make_start

SHAPES = ["1000000,2,8", "1000000,8,16", "500000,16,32", "200000,32,32", "100000,64,64"]


def _shape(text):
    return tuple(int(part) for part in text.split(","))


class EStep:
    """The fused pass: distances, responsibilities and moments."""

    params = [["full", "tied", "diag", "spherical"], SHAPES, ["float64", "float32"]]
    param_names = ["covariance_type", "n,d,K", "dtype"]
    timeout = 600

    def setup(self, covariance_type, shape, dtype):
        n, d, K = _shape(shape)
        self.X, means = make_samples(n, d, K, dtype)
        self.weight = np.broadcast_to(1.0, n)
        self.components = make_components(means, covariance_type)
        self.n_threads = count_threads()
        self.time_accumulate(covariance_type, shape, dtype)

    def time_accumulate(self, covariance_type, shape, dtype):
        K, d = self.components.means.shape
        sums = empty_moments(covariance_type, K, d)
        kernels.accumulate(self.X, self.weight, self.components, sums, np.zeros(1), self.n_threads)


class Threads:
    """The fused pass on 1 to all threads."""

    params = [sorted({1, 2, count_threads()})]
    param_names = ["threads"]

    def setup(self, n_threads):
        self.X, means = make_samples(500_000, 16, 32)
        self.weight = np.broadcast_to(1.0, len(self.X))
        self.components = make_components(means, "full")
        self.time_accumulate(n_threads)

    def time_accumulate(self, n_threads):
        sums = empty_moments("full", *self.components.means.shape)
        kernels.accumulate(self.X, self.weight, self.components, sums, np.zeros(1), n_threads)


class Fit:
    """Twenty iterations from a given start, and the memory that they take."""

    params = [["full", "tied", "diag", "spherical"]]
    param_names = ["covariance_type"]
    timeout = 600

    def setup(self, covariance_type):
        self.X, means = make_samples(200_000, 16, 32)
        start = make_start(means, covariance_type)
        self.model = fastgmm.GaussianMixture(
            len(means), covariance_type=covariance_type, tol=0.0, max_iter=20, **start
        )
        self.time_twenty_iterations(covariance_type)

    def time_twenty_iterations(self, covariance_type):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(self.X)

    def peakmem_twenty_iterations(self, covariance_type):
        self.time_twenty_iterations(covariance_type)


class Initialization:
    """Starting points alone (no iteration)."""

    params = [["kmeans", "k-means++", "random", "random_from_data"]]
    param_names = ["init_params"]

    def setup(self, init_params):
        self.X, _ = make_samples(500_000, 16, 32)
        self.time_start(init_params)

    def time_start(self, init_params):
        fastgmm.GaussianMixture(32, init_params=init_params, max_iter=0, random_state=0).fit(self.X)


class Predict:
    """Evaluation of a fitted mixture."""

    def setup(self):
        self.X, means = make_samples(500_000, 16, 32)
        start = make_start(means, "full")
        self.model = fastgmm.GaussianMixture(len(means), max_iter=0, **start).fit(self.X)
        self.time_predict_proba()

    def time_predict(self):
        self.model.predict(self.X)

    def time_predict_proba(self):
        self.model.predict_proba(self.X)

    def time_score_samples(self):
        self.model.score_samples(self.X)
