"""Mini-batches: an E step over a few random samples in place of all."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator, Philox

from .._kernels.threads import count_threads
from ..moments import SufficientStatistics
from ..parameters import MixtureParameters
from ..samples import Samples
from .posterior import ExactPosterior, Posterior
from .settings import check_count, check_seed


class Batches:
    """Random batches without replacement; an epoch is all samples once, in batches of equal size.

    Weights are those of the samples times n / batch size, so that sums over a batch are unbiased
    estimates of sums over all n samples of positive weight.

    Parameters
    ----------
    samples : Samples
    batch_size : int
        Largest number of samples in a batch.
    seed : int
    """

    def __init__(self, samples: Samples, batch_size: int, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        weighted = samples.is_weighted
        rows = np.flatnonzero(samples.sample_weight) if weighted else np.arange(samples.n_samples)
        self._order = rows  # shuffled anew in each epoch
        self._n_batches = -(-len(rows) // batch_size)
        self._drawn = 0

    def draw(self) -> Samples:
        """Return the next batch, with its scaled weights."""
        epoch, batch = divmod(self._drawn, self._n_batches)
        if batch == 0:
            bits = Philox(key=np.array([self.seed, epoch], np.uint64))
            self._order = Generator(bits).permutation(self._order)
        self._drawn += 1
        n = len(self._order)
        first, last = (i * n // self._n_batches for i in (batch, batch + 1))
        rows = np.sort(self._order[first:last])
        weight = n / len(rows) * self.samples.sample_weight[rows]
        return Samples(self.samples.unconverted_rows(rows), weight)


class MiniBatchPosterior(Posterior):
    r"""Exact responsibilities of the next batch of random samples.

    An epoch is a random order of the samples, cut into batches of equal size; those without weight
    take no part. Statistics are scaled by n / batch size, and are unbiased estimates of those of
    all samples. The lower bound is an estimate of the mean log-likelihood.

    Parameters
    ----------
    batch_size : int
        Largest number of samples in a batch.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If ``batch_size`` is not a positive integer, or the seed out of range.

    References
    ----------
    Robbins and Monro (1951), A stochastic approximation method, Ann. Math. Statist. 22.
    """

    bound: ClassVar[str] = "estimate"

    def __init__(self, batch_size: int, seed: int = 0, n_jobs: int | None = None) -> None:
        self.batch_size = check_count(batch_size, "batch_size")
        self.seed = check_seed(seed)
        self._exact = ExactPosterior(count_threads(n_jobs))

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Begin with the first batch of the first epoch."""
        self._batches = Batches(samples, self.batch_size, self.seed)
        self._total_weight = samples.total_weight

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of the next batch, scaled to those of all samples."""
        batch = self._exact.summarize(self._batches.draw(), parameters)
        return replace(batch, weight=self._total_weight)
