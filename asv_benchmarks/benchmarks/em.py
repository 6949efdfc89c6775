"""EM by covariance type, shape and dtype, on all threads: one iteration, and a fit of twenty."""

import warnings

from fastgmm import GaussianMixture
from fastgmm._kernels.threads import count_threads
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.em.updates.closed_form import ClosedForm

from .mixtures import make_parameters, make_start, samples_and_means
from .sizes import COVARIANCE_TYPES, DTYPES, SHAPES, parse


class Iteration:
    """One E step and one M step, of a run and first in one, at clusters that overlap little."""

    params = [COVARIANCE_TYPES, DTYPES, SHAPES]
    param_names = ["covariance_type", "dtype", "n,d,K"]

    def setup(self, covariance_type, dtype, shape):
        X, means = samples_and_means(*parse(shape), dtype)
        self.samples = Samples(X)
        self.parameters = make_parameters(means, covariance_type)
        self.posterior = ExactPosterior(count_threads())
        self.update = ClosedForm(reg_covar=1e-6)
        self.posterior.summarize(Samples(X[:1]), self.parameters)  # loads the kernels

    def time_first_iteration(self, *parameters):
        self.posterior.start(self.samples, self.parameters)  # nothing is kept of earlier passes
        self.time_iteration()

    def time_iteration(self, *parameters):
        statistics = self.posterior.summarize(self.samples, self.parameters)
        self.update(statistics, self.parameters)


class Fit:
    """Twenty iterations from given parameters, with all checks of the input."""

    params = [COVARIANCE_TYPES, DTYPES, SHAPES]
    param_names = ["covariance_type", "dtype", "n,d,K"]
    repeat = (2, 5, 10.0)
    rounds = 1
    warmup_time = 0.0

    def setup(self, covariance_type, dtype, shape):
        warnings.simplefilter("ignore")
        self.X, means = samples_and_means(*parse(shape), dtype)
        start = make_start(means, covariance_type)
        K = len(means)
        options = {"covariance_type": covariance_type, "tol": 0.0, **start}
        GaussianMixture(K, max_iter=1, **options).fit(self.X[: 2 * K])  # loads the kernels
        self.model = GaussianMixture(K, max_iter=20, **options)

    def time_twenty_iterations(self, *parameters):
        self.model.fit(self.X)
