"""Mini-batches: an E step over a few random samples instead of all."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ..latent_variable_model import LatentVariableModel
from ..schedules import Counts, Schedule, check_seed, counts
from .base import Posterior
from .exact import ExactPosterior


class Batches:
    """Random batches without replacement; an epoch is all samples once, in batches of equal size.

    Weights are those of the samples times n / batch size, so that sums over a batch are unbiased
    estimates of sums over all n samples of positive weight. When the size changes, the rest of the
    epoch is divided again.

    Parameters
    ----------
    samples : Samples
    batch_size : callable
        Largest number of samples in a batch, given the number of the batch, counted from 1.
    seed : int

    Attributes
    ----------
    n_whole : int
        How many of the last batches, in a row, contained all samples.
    """

    def __init__(self, samples: Samples, batch_size: Callable[[int], int], seed: int) -> None:
        if not samples.in_memory:
            raise ValueError(
                "Random batches need samples in memory, got a source: it would be read once for "
                "each batch. partial_fit takes the batches of a stream."
            )
        self.samples = samples
        self.batch_size = batch_size
        self.seed = seed
        self.n_whole = 0
        weighted = samples.is_weighted
        rows = np.flatnonzero(samples.sample_weight) if weighted else np.arange(samples.n_samples)
        self._order: NDArray[np.intp] = rows  # shuffled in each epoch
        self._taken = len(rows)  # of this epoch
        self._epoch = 0
        self._drawn = 0

    def draw(self) -> Samples:
        """Return the next batch, with its scaled weights; all samples are read in place."""
        self._drawn += 1
        size, n = self.batch_size(self._drawn), len(self._order)
        self.n_whole = self.n_whole + 1 if size >= n else 0
        if self.n_whole and n == self.samples.n_samples:
            return self.samples
        rows = np.sort(self._order if self.n_whole else self._next(size))
        weight = n / len(rows) * self.samples.sample_weight[rows]
        return Samples(self.samples.unconverted_rows(rows), weight)

    def _next(self, size: int) -> NDArray[np.intp]:
        """Return the next rows of this epoch, or the first of another."""
        n = len(self._order)
        if self._taken == n:
            bits = Philox(key=np.array([self.seed, self._epoch], np.uint64))
            self._order = Generator(bits).permutation(self._order)
            self._order.flags.writeable = False  # a checkpoint need not copy it each time
            self._epoch += 1
            self._taken = 0
        first, rest = self._taken, n - self._taken
        self._taken += rest // -(-rest // size)
        return self._order[first : self._taken]


class BatchPosterior(Posterior[Any, Any]):
    """An E step over one random batch in each iteration.

    If ``batch_size`` changes with the iteration, a stop rule may end the run. It is asked as soon
    as two batches in a row contained all samples.

    Parameters
    ----------
    batch_size : int, sequence of int, or callable
    seed : int
    n_jobs : int or None
    """

    def __init__(self, batch_size: Counts, seed: int, n_jobs: int | None) -> None:
        self.batch_size = counts(batch_size, "batch_size")
        constant = isinstance(self.batch_size, Schedule) and len(self.batch_size) == 1
        self.objective = "estimate" if constant else "elbo"
        self.seed = check_seed(seed)
        self.n_threads = count_threads(n_jobs)

    def start(self, samples: Samples, parameters: Any) -> None:
        """Begin with the first batch of the first epoch."""
        self._batches = Batches(samples, self.batch_size, self.seed)
        self._total_weight = samples.total_weight

    @property
    def settled(self) -> bool:
        """Whether the last two batches contained all samples."""
        return self._batches.n_whole > 1


class MiniBatchPosterior(BatchPosterior):
    r"""Exact responsibilities of the next batch of random samples.

    An epoch is a random order of the samples, cut into batches of equal size; samples of weight 0
    are left out. Statistics are scaled by n / batch size, which makes them unbiased estimates of
    those of all samples. The lower bound is an estimate of the mean log-likelihood.

    An update that climbs Q of a batch need not climb the likelihood of all samples. With every
    update, that of all samples may fall from one iteration to the next, until batches contain all.

    Batches that grow, as with `Growing`, end at all samples. Then nothing fluctuates:
    `GradientAscent` with a constant step size converges to a maximum of the likelihood, and a stop
    rule ends the run.

    Parameters
    ----------
    batch_size : int, sequence of int, or callable
        Largest number of samples in a batch; or one for each iteration, the last one repeating; or
        a function of the number of the iteration, counted from 1, such as `Growing`.
    seed : int, default=0
        From 0 to 2**64 - 1.
    n_jobs : int or None, default=None
        Number of threads; None: all cores.

    Raises
    ------
    ValueError
        If a batch size is not a positive integer, or the seed out of range.

    References
    ----------
    Robbins and Monro (1951), A stochastic approximation method, Ann. Math. Statist. 22. Friedlander
    and Schmidt (2012), Hybrid deterministic-stochastic methods for data fitting, SIAM J. Sci.
    Comput. 34.
    """

    parameters_type = ExactPosterior.parameters_type

    def __init__(self, batch_size: Counts, seed: int = 0, n_jobs: int | None = None) -> None:
        super().__init__(batch_size, seed, n_jobs)
        self._exact = ExactPosterior(self.n_threads)

    def check_model(self, model: LatentVariableModel) -> None:
        """Check that a model has the method ``summarize``."""
        self._exact.check_model(model)

    def summarize(self, samples: Samples, parameters: Any) -> Any:
        """Return the statistics of the next batch, scaled to those of all samples."""
        batch = self._exact.summarize(self._batches.draw(), parameters)
        if isinstance(parameters, LatentVariableModel):
            return batch  # its update divides by the weight that its sums were formed with
        return replace(batch, weight=self._total_weight)
