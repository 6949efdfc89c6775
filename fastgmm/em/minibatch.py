"""Mini-batches: an E step over a few random samples in place of all."""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from .._kernels.threads import count_threads
from ..moments import SufficientStatistics
from ..parameters import MixtureParameters
from ..samples import Samples
from .posterior import ExactPosterior, Posterior


class Batches:
    """Random batches without replacement; all samples once in each epoch, but for a remainder.

    Weights are those of the samples times n / batch size, so that sums over a batch are unbiased
    estimates of sums over all n samples of positive weight.

    Parameters
    ----------
    samples : Samples
    batch_size : int
    seed : int
    """

    def __init__(self, samples: Samples, batch_size: int, seed: int) -> None:
        self.samples = samples
        self._generator = np.random.default_rng(seed)
        weighted = samples.is_weighted
        rows = np.flatnonzero(samples.sample_weight) if weighted else np.arange(samples.n_samples)
        self._order = rows  # shuffled anew in each epoch
        self._size = min(batch_size, len(rows))
        self._scale = len(rows) / self._size
        self._next = len(rows)

    def draw(self) -> Samples:
        """Return the next batch, with its scaled weights."""
        if self._next + self._size > len(self._order):
            self._generator.shuffle(self._order)
            self._next = 0
        rows = np.sort(self._order[self._next : self._next + self._size])
        self._next += self._size
        weight = self._scale * self.samples.sample_weight[rows]
        return Samples(self.samples.rows(rows), weight)


def check_batch_size(batch_size: int) -> int:
    """Return the size of a batch; ValueError unless it is positive."""
    if batch_size < 1:
        raise ValueError(f"batch_size should be at least 1, got {batch_size}.")
    return batch_size


class MiniBatchPosterior(Posterior):
    r"""Exact responsibilities of the next batch of random samples.

    Batches are drawn without replacement within an epoch; what is left of it when fewer samples
    remain than make a batch is skipped. Statistics are scaled by n / batch size, and are unbiased
    estimates of those of all samples. The lower bound is an estimate of the mean log-likelihood.

    Parameters
    ----------
    batch_size : int
        Samples in a batch; all, where there are not more.
    seed : int, default=0
        Of the random order, in each run anew.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If ``batch_size`` is less than 1.

    References
    ----------
    Robbins and Monro (1951), A stochastic approximation method, Ann. Math. Statist. 22.
    """

    bound: ClassVar[str] = "estimate"

    def __init__(self, batch_size: int, seed: int = 0, n_jobs: int | None = None) -> None:
        self.batch_size = check_batch_size(batch_size)
        self.seed = seed
        self._exact = ExactPosterior(count_threads(n_jobs))

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Begin with the first batch of the first epoch."""
        self._batches = Batches(samples, self.batch_size, self.seed)
        self._total_weight = samples.total_weight

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of the next batch, scaled to those of all samples."""
        batch = self._exact.summarize(self._batches.draw(), parameters)
        return replace(batch, weight=self._total_weight)
