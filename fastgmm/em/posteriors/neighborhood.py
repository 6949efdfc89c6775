"""Truncated EM: a few candidates for each sample, sought in neighbourhoods of components."""

from dataclasses import replace

import numpy as np

from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..candidates import Candidates
from ..neighborhoods import by_label
from ..reseeding import Reseeding, find_spent, reseed
from ..schedules import check_count, check_not_negative, check_seed
from .base import Posterior

# Iterations in which components are re-seeded.
_RESEEDINGS = (5, 10, 15)
#: So many others should follow.
ITERATIONS_AFTER = 5


class NeighborhoodPosterior(Posterior[MixtureParameters, SufficientStatistics]):
    r"""A few candidates of each sample, sought near the best: for thousands of components.

    .. math:: q_i(k) = \frac{w_k N(x_i \mid k)}{\sum_{j \in B_i} w_j N(x_i \mid j)}
              \text{ for } k \in B_i, \text{ else } 0

    Each sample keeps ``n_candidates`` components, B_i. An E step compares it with its candidates
    and those of the samples that have the same best candidate, with the neighbours of that
    component, and with a random one. The best become its candidates. Of each component the
    neighbours become those that its samples find best on average. So the time of an iteration
    hardly grows with K, and nothing of size n x K is formed.

    The lower bound is :math:`\sum_i w_i \log \sum_{k \in B_i} w_k N(x_i \mid k)`. Candidates are
    only replaced by better ones, so it does not fall, but after components are re-seeded. How
    far it lies below the log-likelihood depends on how much components overlap: ``score`` of the
    result tells. With ``n_candidates`` >= K all is exact.

    Candidates are first sought for the parameters at hand, before the first iteration: in four
    trees of the means, then near those that are found.

    Parameters
    ----------
    n_candidates : int, default=3
        At most K are kept.
    n_neighbors : int, default=15
        Of each component, itself included; at least ``n_candidates``.
    seed : int, default=0
        From 0 to 2**64 - 1, of the trees with which the search begins, and of random components.
    n_jobs : int or None, default=None
        Number of threads; None: all cores. It changes no bit of the result.
    reseed_until : int, default=0
        In the iterations 5, 10 and 15, up to this one, components are used elsewhere if their
        responsibilities sum up to less than 1.5: each takes over the samples on one side of a
        component of 8 or more. Their number is ``n_reseeded`` of the result. Some iterations should
        follow. The lower bound may be lower than before: a component on one sample has a high
        density there, which says nothing about others. 0: none are.

    Raises
    ------
    ValueError
        If a number is not a positive integer, or the seed out of range.

    Notes
    -----
    Samples in memory are copied, in float64, in the order of the tree: those that are near in
    space are near in memory. In addition it takes about 100 bytes for each sample. From a source,
    samples are read part by part, and sorted there.

    Samples in partitions of a cluster keep their candidates on the workers, from the first
    iteration on. Each partition has neighbourhoods of its own. Where a worker dies, its partitions
    seek their candidates anew, for the parameters at hand.

    References
    ----------
    Salwig, Kahlke, Hirschberger, Forster and Lücke (2025), Large-scale training of Gaussian
    mixtures, arXiv 2501.12299. Hirschberger, Forster and Lücke (2022), A variational EM
    acceleration for efficient clustering at very large scales, IEEE Trans. Pattern Anal. Mach.
    Intell. 44.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import em
    >>> X = np.random.default_rng(0).normal(size=(4000, 2))
    >>> start = em.starting_parameters(X, 300, init_params="tree", random_state=0)
    >>> result = em.fit(X, start, posterior=em.NeighborhoodPosterior())
    >>> bool(result.score(X) >= result.lower_bound)
    True
    """

    parameters_type = MixtureParameters
    objective: str = "elbo"

    def __init__(
        self,
        n_candidates: int = 3,
        n_neighbors: int = 15,
        seed: int = 0,
        n_jobs: int | None = None,
        reseed_until: int = 0,
    ) -> None:
        self.reseed_until = check_not_negative(reseed_until, "reseed_until")
        self.n_candidates = check_count(n_candidates, "n_candidates")
        self.n_neighbors = check_count(n_neighbors, "n_neighbors")
        self.seed = check_seed(seed)
        self.n_threads = count_threads(n_jobs)

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Seek candidates for the parameters; partitions of a cluster do so when first summed."""
        self._candidates = samples.states(
            Candidates, parameters, *self._numbers, n_threads=self.n_threads
        )
        self._n_searches = self._reseeded_at = self.n_reseeded = 0
        self._nk = np.empty(0)

    @property
    def _numbers(self) -> tuple[int, int, int]:
        return self.n_candidates, self.n_neighbors, self.seed

    @property
    def settled(self) -> bool:
        """Whether the last iteration, and the one before, re-seeded no component."""
        return self._reseeded_at == 0 or self._n_searches > self._reseeded_at + 1

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples under q, about the means."""
        arguments = parameters, self._numbers, self._next_reseeding(parameters)
        statistics, self._candidates = samples.sum_with_states(
            _summarize, self._candidates, *arguments, n_threads=self.n_threads
        )
        self._nk = statistics.moments.nk.copy()
        return statistics

    def _next_reseeding(self, parameters: MixtureParameters) -> Reseeding | None:
        """Return what is to be re-seeded in this iteration, if anything is."""
        self._n_searches += 1
        if self._n_searches not in _RESEEDINGS or self._n_searches > self.reseed_until:
            return None
        reseeding = find_spent(self._nk, parameters)
        if reseeding is not None:
            self._reseeded_at = self._n_searches
            self.n_reseeded += len(reseeding.spent)
        return reseeding


def _summarize(
    samples: Samples,
    candidates: Candidates | None,
    parameters: MixtureParameters,
    numbers: tuple[int, int, int],
    reseeding: Reseeding | None,
    n_threads: int,
) -> tuple[SufficientStatistics, Candidates]:
    """Return the statistics of some samples, and their next candidates."""
    if candidates is None:
        candidates = Candidates(samples, parameters, *numbers, n_threads)
    else:
        candidates = candidates.copy()
    total = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
    bound = 0.0
    for found in candidates.search(parameters, n_threads):
        bound += found.bound
        if reseeding is not None:
            reseed(found, parameters, reseeding)
        weighted = found.resp
        weighted *= found.weight[:, np.newaxis]
        entries, bounds = by_label(found.candidates.ravel(), parameters.n_components)
        total.add_groups(found.X, weighted, entries, bounds, n_threads)
    if reseeding is not None:
        candidates.adopt(reseeding.spent, reseeding.parents)
    return replace(total, log_likelihood=bound, weight=samples.total_weight), candidates
