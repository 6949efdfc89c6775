"""E steps that look at a part of the samples: incremental and stepwise EM."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..._kernels.layout import Moments
from ...data.samples import Samples
from ...model.gradients import q_function
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..schedules import Counts, check_count
from .base import Posterior
from .exact import ExactPosterior
from .minibatch import BatchPosterior


class IncrementalPosterior(Posterior[MixtureParameters, SufficientStatistics]):
    r"""Incremental EM: one block's responsibilities are renewed in each iteration.

    Blocks are consecutive rows, and are visited in turn. Each block keeps its statistics, about the
    means of its last visit, and the entropy H of its responsibilities. The M step uses the sum over
    blocks. The first iteration visits all blocks, and is an iteration of EM. The free energy

    .. math:: F(q, \theta) = \sum_b \left[ Q_b(q_b, \theta) + H(q_b) \right]

    rises with every block and every update. Its maxima are those of the likelihood. The free energy
    is the lower bound. It is computed after each epoch of ``n_blocks`` iterations, when all blocks
    have been visited again. During an epoch the last value is repeated, and no stop rule is asked.
    So ``tol`` bounds the gain of an epoch, which costs as much as an iteration of EM.

    Parameters
    ----------
    n_blocks : int
        Number of blocks, and of iterations in an epoch. The statistics of all blocks are kept,
        n_blocks K d^2 numbers for full covariances, and each iteration adds them up.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If ``n_blocks`` is not a positive integer; if there are fewer samples.

    References
    ----------
    Neal and Hinton (1998), A view of the EM algorithm that justifies incremental, sparse, and
    other variants.
    """

    parameters_type = MixtureParameters
    objective: str = "elbo"

    def __init__(self, n_blocks: int, n_jobs: int | None = None) -> None:
        self.n_blocks = check_count(n_blocks, "n_blocks")
        self._exact = ExactPosterior(n_jobs)
        self._forget()

    def _forget(self) -> None:
        self._blocks: list[SufficientStatistics] = []
        self._entropies: list[float] = []
        self._next = 0
        self._bound = 0.0

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Forget all blocks.

        Raises
        ------
        ValueError
            If there are fewer samples than blocks.
        """
        if self.n_blocks > samples.n_samples:
            raise ValueError(
                f"n_blocks should be at most n_samples={samples.n_samples}, got {self.n_blocks}."
            )
        self._forget()

    @property
    def settled(self) -> bool:
        """Whether an epoch has just ended."""
        return self._next == 0

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the sum of all blocks' statistics, about the means, one block renewed."""
        if not self._blocks:
            for block in range(self.n_blocks):
                statistics = self._visit(samples, parameters, block)
                self._blocks.append(statistics)
                self._entropies.append(_entropy(statistics, parameters))
        else:
            statistics = self._visit(samples, parameters, self._next)
            self._blocks[self._next] = statistics
            self._entropies[self._next] = _entropy(statistics, parameters)
            self._next = (self._next + 1) % self.n_blocks
        zero = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
        total = sum(self._blocks, zero)
        if self.settled:
            self._bound = q_function(total, parameters) + sum(self._entropies)
        return replace(total, log_likelihood=self._bound)

    def _visit(
        self, samples: Samples, parameters: MixtureParameters, block: int
    ) -> SufficientStatistics:
        """Return the statistics of one block under its posterior."""
        n = samples.n_samples
        rows = slice(block * n // self.n_blocks, (block + 1) * n // self.n_blocks)
        return self._exact.summarize(_select(samples, rows), parameters)


class StepwisePosterior(BatchPosterior):
    r"""Stepwise (online) EM: statistics follow those of small random batches.

    .. math:: s \leftarrow (1 - \gamma_t)\, s + \gamma_t \frac nm s_{batch}, \qquad
              \gamma_t = (t + t_0)^{-\alpha}, \quad t = 0, 1, \ldots

    The first statistics are those of the starting parameters, n w_k (1, mean_k, covariance_k). So a
    batch need not hold enough samples of every component. An epoch is a random order of the
    samples, cut into batches of equal size; samples of weight 0 are left out. With steps that
    shrink like this the parameters converge, at a rate of t^(-alpha/2). On large data one or two
    epochs come near to a maximum.

    A batch of all samples has no noise, and its step is 1: from there on this is EM. Batches that
    grow, as with `Growing`, end there, and a stop rule ends the run.

    The lower bound is the mean log-likelihood of the batch.

    Parameters
    ----------
    batch_size : int, sequence of int, or callable
        Largest number of samples in a batch; or one for each iteration, the last one repeating; or
        a function of the number of the iteration, counted from 1, such as `Growing`.
    exponent : float, default=0.6
        alpha, above 0.5 and at most 1. The larger it is, the sooner the noise fades, and the longer
        the start has influence.
    offset : float, default=2.0
        t_0, at least 1.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If a batch size is not a positive integer, the exponent, offset or seed out of range.

    References
    ----------
    Cappé and Moulines (2009), On-line expectation-maximization algorithm for latent data models,
    J. R. Statist. Soc. B 71. Liang and Klein (2009), Online EM for unsupervised models, NAACL.
    """

    parameters_type = MixtureParameters

    def __init__(
        self,
        batch_size: Counts,
        exponent: float = 0.6,
        offset: float = 2.0,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, n_jobs)
        if not 0.5 < exponent <= 1.0:
            raise ValueError(f"exponent should be above 0.5 and at most 1, got {exponent}.")
        if not 1.0 <= offset < np.inf:
            raise ValueError(f"offset should be at least 1 and finite, got {offset}.")
        self.exponent = exponent
        self.offset = offset
        self._exact = ExactPosterior(self.n_threads)
        self._step = 0
        self._statistics: SufficientStatistics | None = None

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Begin with statistics from which the M step gives the parameters."""
        super().start(samples, parameters)
        self._step = 0
        self._statistics = implied_statistics(parameters, samples.total_weight)

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Move the statistics towards those of the next batch; return them, about the means."""
        assert self._statistics is not None
        batch = self._exact.summarize(self._batches.draw(), parameters)
        whole = self._batches.n_whole > 0
        step = 1.0 if whole else (self._step + self.offset) ** -self.exponent
        self._step += 1
        # in this order: the sum is about the centres of its first term
        self._statistics = batch.scaled(step) + self._statistics.scaled(1.0 - step)
        bound = batch.lower_bound * self._statistics.weight
        return replace(self._statistics, log_likelihood=bound)


def implied_statistics(parameters: MixtureParameters, weight: float) -> SufficientStatistics:
    """Return statistics of that weight from which `ClosedForm` would estimate the parameters."""
    nk = weight * parameters.weights
    safe = np.where(nk > 0, nk, np.finfo(float).tiny)
    model = parameters.covariance_model
    second = model.second_moments(parameters.covariances, safe, parameters.n_features)
    moments = Moments(nk, np.zeros_like(parameters.means), second)
    return SufficientStatistics(model, parameters.means, moments, weight=weight)


def _select(samples: Samples, rows: Any) -> Samples:
    weight = samples.weight(rows) if samples.is_weighted else None
    return Samples(samples.unconverted_rows(rows), weight)


def _entropy(statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
    """Return H(q) = log p(x) - E_q log p(x, k) of the posterior under these parameters."""
    return statistics.log_likelihood - q_function(statistics, parameters)
