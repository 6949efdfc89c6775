"""Monte Carlo E steps: latent components are drawn instead of averaged over."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from scipy.special import entr

from ... import _kernels as kernels
from ..._kernels.layout import Array, Components
from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..schedules import Counts, check_count, check_seed, counts
from .base import BlockwisePosterior, Posterior, row_blocks

# How many numbers Philox returns for each value of its counter.
_PER_COUNTER = 4
# How many draws and components are compared at once: 128 kB.
_COMPARISONS = 2**17
# Log-probability of a sample whose distances overflow; the kernels write the same.
_LOWEST = -1e300


def uniforms(seed: int, iteration: int, rows: slice, per_row: int) -> Array:
    """Return (m, per_row) numbers from [0, 1) that depend on seed, iteration, row and column alone.

    Number j of row i is at position i per_row + j of the stream with the key (seed, iteration). So
    it does not depend on which rows are asked for together.
    """
    counter, skipped = divmod(rows.start * per_row, _PER_COUNTER)
    bits = Philox(key=np.array([seed, iteration], np.uint64), counter=counter)
    numbers: Array = Generator(bits).random(skipped + (rows.stop - rows.start) * per_row)
    return numbers[skipped:].reshape(-1, per_row)


class SampledPosterior(BlockwisePosterior):
    r"""Monte Carlo EM: ``n_draws`` components drawn for each sample from its posterior.

    .. math:: q_i(k) = \frac 1m \sum_{j=1}^m [z_{ij} = k], \qquad z_{ij} \sim p(k \mid x_i)

    Responsibilities are unbiased with variance p (1 - p) / m. One draw gives stochastic EM: its
    parameters fluctuate about a maximum, and may leave a poor one. They converge if m grows. Draws
    are made by inversion from uniforms that depend on seed, iteration and row alone. So they are
    the same for any number of threads and in every backend.

    The only latent variable is k, and its conditional distribution given x is the posterior. So
    this is also the Gibbs sampler of a mixture whose parameters are estimated.

    The lower bound is the exact log-likelihood of parameters that fluctuate.

    Parameters
    ----------
    n_draws : int, sequence of int, or callable
        m; or one for each iteration, the last one repeating; or a function of the number of the
        iteration, counted from 1, such as `Growing`.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If the seed is out of range, or a number of draws is not a positive integer.

    Notes
    -----
    A sample of weight 3 gets one set of draws; three copies of it get three sets. The expectation
    is the same, but the variance is larger with one set.

    References
    ----------
    Wei and Tanner (1990), A Monte Carlo implementation of the EM algorithm, J. Amer. Statist.
    Assoc. 85. Celeux and Diebolt (1985), The SEM algorithm, Comput. Statist. Quart. 2.
    """

    objective: str = "estimate"

    def __init__(
        self,
        n_draws: Counts,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(n_jobs)
        self.n_draws = counts(n_draws, "n_draws")
        self.seed = check_seed(seed)
        self._iteration = 0
        self._n_draws = 1

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Begin with the first draws."""
        self._iteration = 0

    def width(self, n_components: int) -> int:
        """Return how many numbers are formed for each row."""
        return max(n_components, self._n_draws)

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples under new draws, about the means."""
        self._iteration += 1
        self._n_draws = self.n_draws(self._iteration)
        return super().summarize(samples, parameters)

    def restrict(self, resp: Array, rows: slice) -> tuple[Array, Array]:
        """Return the fractions of the draws; the bound stays the log-likelihood.

        Parameters
        ----------
        resp : (m, K) array
            p(k | x_i), which is overwritten.
        rows : slice
            Which samples these are.

        Returns
        -------
        tuple of two arrays
            q (m, K), and zeros (m,).
        """
        cumulative = np.ascontiguousarray(resp.T)
        # np.cumsum(axis=0) takes 15 times as long at K = 8
        for before, here in pairwise(cumulative):
            here += before
        below = np.zeros(cumulative.shape, np.int64)
        draws = uniforms(self.seed, self._iteration, rows, self._n_draws).T
        # times the sum, which may not be exactly 1: no draw is beyond the last component
        draws = draws * cumulative[-1]
        step = max(_COMPARISONS // cumulative.size, 1)
        for first in range(0, self._n_draws, step):
            below += (draws[first : first + step, np.newaxis] < cumulative).sum(axis=0)
        resp[...] = np.diff(below, axis=0, prepend=0).T / self._n_draws
        return resp, np.zeros(len(resp))


class MetropolisPosterior(Posterior[MixtureParameters, SufficientStatistics]):
    r"""Monte Carlo EM by a Markov chain for each sample, which needs no normalised posterior.

    A step proposes a component, each with probability 1 / K, and moves there with probability

    .. math:: \min(1, p(x_i, k') / p(x_i, k))

    The chain of a sample begins at its best component and goes on from iteration to iteration,
    while the parameters move. Responsibilities are the fractions of the ``n_steps`` states of this
    iteration. They have the same expectation as the last state alone, and less variance.

    The lower bound is that of these responsibilities. It needs no normalisation either:

    .. math:: \sum_i w_i \left[ \sum_k q_i(k) \log p(x_i, k) + H(q_i) \right]

    It fluctuates below the log-likelihood.

    Parameters
    ----------
    n_steps : int
        Steps of each chain in each iteration.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If ``n_steps`` is not a positive integer or the seed out of range.

    References
    ----------
    Metropolis, Rosenbluth, Rosenbluth, Teller and Teller (1953), Equation of state calculations by
    fast computing machines, J. Chem. Phys. 21. McCulloch (1997), Maximum likelihood algorithms for
    generalized linear mixed models, J. Amer. Statist. Assoc. 92, on Metropolis steps within EM.
    """

    parameters_type = MixtureParameters
    objective: str = "estimate"

    def __init__(self, n_steps: int, seed: int = 0, n_jobs: int | None = None) -> None:
        self.n_steps = check_count(n_steps, "n_steps")
        self.seed = check_seed(seed)
        self.n_threads = count_threads(n_jobs)
        self._iteration = 0
        self._state: NDArray[np.int64] = np.zeros(0, np.int64)

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Forget all chains."""
        self._iteration = 0
        self._state = np.zeros(samples.n_samples, np.int64)

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples under the states of the chains, about the means."""
        self._iteration += 1
        total = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
        components = parameters.components()
        bound = 0.0
        for rows in row_blocks(samples, max(parameters.n_components, 2 * self.n_steps)):
            X, weight = samples.rows(rows), samples.weight(rows)
            log_prob = self._log_joint(X, components)
            q = self._walk(log_prob, rows)
            total.add_moments(X, weight, q, self.n_threads)
            # a sample without weight takes no part, however far it lies
            elbo = (q * log_prob + entr(q)).sum(axis=1)
            bound += float(weight @ np.where(weight > 0, elbo, 0.0))
        return replace(total, log_likelihood=bound, weight=samples.total_weight)

    def _log_joint(self, X: NDArray[Any], components: Components) -> Array:
        """Return (m, K): log p(x, k)."""
        distances = np.empty((len(X), len(components.means)))
        kernels.mahalanobis(X, components, distances, self.n_threads)
        return np.maximum(np.maximum(components.log_coefficients, _LOWEST) - distances / 2, _LOWEST)

    def _walk(self, log_prob: Array, rows: slice) -> Array:
        """Take the steps of this iteration; return the fractions of the states."""
        m, K = log_prob.shape
        state, sample = self._state[rows], np.arange(m)
        if self._iteration == 1:
            state[...] = log_prob.argmax(axis=1)
        q = np.zeros((m, K))
        numbers = uniforms(self.seed, self._iteration, rows, 2 * self.n_steps).T
        for choice, chance in zip(numbers[::2], numbers[1::2], strict=True):
            proposed = (choice * K).astype(np.int64)
            ratio = log_prob[sample, proposed] - log_prob[sample, state]
            state[...] = np.where(np.log1p(-chance) <= ratio, proposed, state)
            q[sample, state] += 1.0
        q /= self.n_steps
        return q
