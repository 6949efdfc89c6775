"""Soft k-means: a fit of twenty iterations."""

import warnings

from fastgmm import SoftKMeans

from .mixtures import samples_and_means
from .sizes import DTYPES, parse, shapes


class Fit:
    """Twenty iterations from the centres of the clusters, soft and stiff, and the labels."""

    params = [[0.5, 1e3], DTYPES, shapes((500_000, 16, 32), (1_000_000, 2, 8))]
    param_names = ["beta", "dtype", "n,d,K"]
    repeat = (2, 5, 10.0)
    rounds = 1
    warmup_time = 0.0

    def setup(self, beta, dtype, shape):
        warnings.simplefilter("ignore")
        self.X, means = samples_and_means(*parse(shape), dtype)
        self.model = SoftKMeans(len(means), beta, init=means, max_iter=20, tol=0.0)
        self.model.fit(self.X[: 2 * len(means)])  # loads the kernels

    def time_twenty_iterations(self, *parameters):
        self.model.fit(self.X)
