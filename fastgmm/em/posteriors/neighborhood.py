"""Truncated EM: a few candidates for each sample, sought in neighbourhoods of components."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._kernels.layout import Array
from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..candidates import Neighborhoods, by_label
from ..schedules import check_count, check_seed
from .base import Posterior

# Trees in which candidates are first sought: a cut of one parts few samples from their components
# that the others part as well.
_TREES = 4
# Then the search goes on until the bound gains less, in nats a sample.
_SETTLED = 0.01
_MOST_SEARCHES = 10


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
    only replaced by better ones, so it does not fall. How far it lies below the log-likelihood
    depends on how much components overlap: ``score`` of the result tells. With ``n_candidates``
    >= K all is exact.

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

    Raises
    ------
    ValueError
        If a number is not a positive integer, or the seed out of range; if samples are in
        partitions of a cluster.

    Notes
    -----
    Samples in memory are copied, in float64, in the order of the tree: those that are near in
    space are near in memory. In addition it takes about 100 bytes for each sample. From a source,
    samples are read part by part, and sorted there.

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
    ) -> None:
        self.n_candidates = check_count(n_candidates, "n_candidates")
        self.n_neighbors = check_count(n_neighbors, "n_neighbors")
        self.seed = check_seed(seed)
        self.n_threads = count_threads(n_jobs)

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Seek candidates for the parameters.

        Raises
        ------
        ValueError
            If samples are in partitions of a cluster.
        """
        if not samples.is_local:
            raise ValueError(
                "NeighborhoodPosterior needs samples on one machine, but got partitions of a "
                "cluster."
            )
        counts = self.n_candidates, self.n_neighbors
        self._neighborhoods = Neighborhoods(parameters, *counts, self.seed, self.n_threads)
        self._sorted: Samples | None = None
        self._candidates = np.empty((samples.n_samples, self._neighborhoods.n_candidates), np.int32)
        for own, X, _ in self._parts(samples):
            self._candidates[own] = self._neighborhoods.find(X, self.n_threads)
        if samples.in_memory:
            order = self._neighborhoods.by_group(self._candidates[:, 0])
            weight = samples.weight(order) if samples.is_weighted else None
            self._sorted = Samples(np.ascontiguousarray(samples.rows(order), np.float64), weight)
            self._candidates = self._candidates[order]
        self._settle(samples, parameters)

    def _settle(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Search in all trees, and then until the bound hardly gains."""
        bound = -np.inf
        for number in range(1, _MOST_SEARCHES + 1):
            if 1 < number <= _TREES:
                self._neighborhoods.plant(self.n_threads)
                for own, X, _ in self._parts(samples):
                    found = self._neighborhoods.find(X, self.n_threads)
                    self._candidates[own, 1:] = found[:, :-1]
            before, bound = bound, 0.0
            for _, weight, *_, log_prob_norm in self._search(samples, parameters, is_wide=True):
                bound += _sum(weight, log_prob_norm)
            gain = (bound - before) / samples.total_weight
            if number >= _TREES and not gain >= _SETTLED:
                return

    def summarize(self, samples: Samples, parameters: MixtureParameters) -> SufficientStatistics:
        """Return the statistics of all samples under q, about the means."""
        total = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
        bound = 0.0
        for X, weight, candidates, resp, log_prob_norm in self._search(samples, parameters):
            resp *= weight[:, np.newaxis]
            entries, bounds = by_label(candidates.ravel(), parameters.n_components)
            total.add_groups(X, resp, entries, bounds, self.n_threads)
            bound += _sum(weight, log_prob_norm)
        return replace(total, log_likelihood=bound, weight=samples.total_weight)

    def _search(
        self, samples: Samples, parameters: MixtureParameters, is_wide: bool = False
    ) -> Iterator[tuple[NDArray[Any], Array, NDArray[np.int32], Array, Array]]:
        """Renew the candidates, part by part.

        Yields
        ------
        X, weight, candidates, resp, log_prob_norm
            Of the samples of a part.
        """
        for own, X, weight in self._parts(samples):
            candidates = self._candidates[own]
            found = self._neighborhoods.search(X, parameters, candidates, is_wide, self.n_threads)
            yield X, weight, candidates, *found

    def _parts(self, samples: Samples) -> Iterator[tuple[slice, NDArray[Any], Array]]:
        """Yield the places of the samples of a part, these samples, and their weights."""
        if self._sorted is not None:
            every = slice(None)
            yield every, self._sorted.rows(every), self._sorted.weight(every)
            return
        first = 0
        for X, weight in samples.blocks():
            own = slice(first, first + len(X))
            yield own, X, weight
            first = own.stop


def _sum(weight: Array, log_prob_norm: Array) -> float:
    # a sample of weight 0 is left out, however far it lies
    return float(weight @ np.where(weight > 0, log_prob_norm, 0.0))
