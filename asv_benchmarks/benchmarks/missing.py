"""EM with missing values, beside EM without: one iteration, and what finding the gaps costs."""

import numpy as np

from fastgmm._kernels.threads import count_threads
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.em.updates.closed_form import ClosedForm

from .mixtures import make_parameters, samples_and_means
from .sizes import COVARIANCE_TYPES, parse, shapes

SHAPES = shapes((200_000, 8, 8), (20_000, 32, 8))
#: The share of values that are missing, each independently of the others.
SHARES = [0.0, 0.1, 0.5]


def make_gaps(shape, share):
    """Return samples of which a share of the values is missing, and the means of their clusters."""
    X, means = samples_and_means(*parse(shape), "float64")
    gone = np.random.default_rng(0).random(X.shape) < share
    return np.where(gone, np.nan, X), means


class Iteration:
    """One E step and one M step; with 32 features nearly each row is a pattern of its own."""

    params = [COVARIANCE_TYPES, SHARES, SHAPES]
    param_names = ["covariance_type", "share missing", "n,d,K"]

    def setup(self, covariance_type, share, shape):
        X, means = make_gaps(shape, share)
        self.samples = Samples(X, with_missing=True)
        self.parameters = make_parameters(means, covariance_type)
        self.posterior = ExactPosterior(count_threads())
        self.update = ClosedForm(reg_covar=1e-6)
        self.time_iteration()  # loads the kernels, finds the gaps

    def time_iteration(self, *parameters):
        statistics = self.posterior.summarize(self.samples, self.parameters)
        self.update(statistics, self.parameters)


class Patterns:
    """The search for missing values, once for each fit."""

    params = [SHARES, SHAPES]
    param_names = ["share missing", "n,d,K"]

    def setup(self, share, shape):
        self.X, _ = make_gaps(shape, share)

    def time_find(self, *parameters):
        assert (Samples(self.X, with_missing=True).gaps is None) == (parameters[0] == 0.0)
