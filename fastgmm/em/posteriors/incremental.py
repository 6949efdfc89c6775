"""Incremental EM: an E step that renews the responsibilities of a part of the samples."""

from dataclasses import replace
from typing import Any

from ...data.samples import Samples
from ...model.gradients import q_function
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..schedules import check_count
from .base import Posterior
from .exact import ExactPosterior


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


def _select(samples: Samples, rows: Any) -> Samples:
    weight = samples.weight(rows) if samples.is_weighted else None
    return Samples(samples.unconverted_rows(rows), weight)


def _entropy(statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
    """Return H(q) = log p(x) - E_q log p(x, k) of the posterior under these parameters."""
    return statistics.log_likelihood - q_function(statistics, parameters)
