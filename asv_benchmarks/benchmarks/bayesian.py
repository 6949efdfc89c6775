"""Variational Bayes: an iteration by covariance type and shape, and beside scikit-learn's."""

import warnings
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.mixture import BayesianGaussianMixture as Peer

from fastgmm import em
from fastgmm._kernels.threads import count_threads
from fastgmm.data.samples import Samples
from fastgmm.em.loop import run
from fastgmm.model.covariance import get_covariance_model
from fastgmm.model.statistics import sample_moments

from .mixtures import make_parameters, samples_and_means
from .sizes import COVARIANCE_TYPES, REPEATS, parse, shapes

SHAPES = shapes((500_000, 16, 32), (200_000, 16, 32), (100_000, 64, 64), (1_000_000, 2, 8))
PEER_SHAPES = shapes((200_000, 16, 32), (1_000_000, 2, 8))
N_ITER_PEER = 3
REG_COVAR = 1e-6  # of scikit-learn


def make_problem(shape, covariance_type, dtype="float64"):
    """Return samples, a start near the truth, and the policies that iterate from there."""
    X, means = samples_and_means(*parse(shape), dtype)
    samples, n_threads = Samples(X), count_threads()
    K, d = means.shape
    mean, covariance = sample_moments(samples, get_covariance_model(covariance_type), n_threads)
    prior = em.NormalWishartPrior("dirichlet_process", 1.0 / K, mean, 1.0, d, covariance)
    posterior = em.ExactPosterior(n_threads)
    statistics = posterior.summarize(samples, make_parameters(means, covariance_type))
    start, _ = prior.posterior(statistics)
    update = em.ConjugatePrior(prior, reg_covar=REG_COVAR)
    return samples, start, {"posterior": posterior, "update": update}


class Iteration:
    """One pass under expected logarithms, and one update of the posterior."""

    params = [COVARIANCE_TYPES, SHAPES]
    param_names = ["covariance_type", "n,d,K"]

    def setup(self, covariance_type, shape):
        self.samples, self.start, self.policies = make_problem(shape, covariance_type)

    def time_iteration(self, *parameters):
        statistics = self.policies["posterior"].summarize(self.samples, self.start)
        self.policies["update"](statistics, self.start)


class _ClockedPeer(Peer):
    """scikit-learn's mixture, which records when each E step begins."""

    def iteration_seconds(self, X, start):
        """Return the seconds between E steps from a given start, but for the first."""
        weights = start.weight_distribution
        self._check_parameters(X)
        self.weight_concentration_ = weights.taken, weights.left
        self.mean_precision_, self.means_ = start.mean_precision, start.means
        self.degrees_of_freedom_ = start.degrees_of_freedom
        self.covariances_ = start.covariances
        self.precisions_cholesky_ = start.precisions_cholesky
        self.converged_, self.lower_bound_ = False, -np.inf
        self.starts_ = []
        self.fit(X)
        return [end - begin for begin, end in pairwise(self.starts_)][1:]

    def _e_step(self, *args, **kwargs):
        self.starts_.append(perf_counter())
        return super()._e_step(*args, **kwargs)


class ScikitLearn:
    """The median of rounds in which the two take turns, from the same start."""

    params = [COVARIANCE_TYPES, PEER_SHAPES]
    param_names = ["covariance_type", "n,d,K"]
    unit = "x"
    timeout = 600

    def setup(self, covariance_type, shape):
        warnings.simplefilter("ignore")
        self.samples, self.start, self.policies = make_problem(shape, covariance_type)
        self.X, _ = samples_and_means(*parse(shape))

    def track_speedup_over_sklearn(self, covariance_type, shape):
        return median(self.round(covariance_type) for _ in range(REPEATS))

    def round(self, covariance_type):
        result = run(self.samples, self.start, **self.policies, convergence=em.Never(), max_iter=11)
        own = median(iteration.seconds for iteration in result.history[1:])
        peer = _ClockedPeer(
            n_components=self.start.n_components,
            covariance_type=covariance_type,
            max_iter=N_ITER_PEER,
            reg_covar=REG_COVAR,
            tol=0.0,
            warm_start=True,
        )
        seconds = median(peer.iteration_seconds(self.X, self.start))
        expected = float(np.ravel(peer.lower_bounds_)[-1])
        assert np.isclose(result.lower_bounds[N_ITER_PEER - 1], expected, rtol=1e-8)
        return seconds / own
