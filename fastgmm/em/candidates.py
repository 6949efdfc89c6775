"""The few components that each sample keeps, for a pass that does not look at the others."""

from collections.abc import Iterator
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..data.samples import Samples
from ..model.parameters import MixtureParameters
from .neighborhoods import Indices, Neighborhoods

# The search goes on until the bound gains less, in nats a sample.
_SETTLED = 0.01
_MOST_SEARCHES = 10


class Found(NamedTuple):
    """What a search finds for some samples.

    Attributes
    ----------
    rows : slice or (n,) array of int64
        Their places among all samples.
    X : (n, d) array
    weight : (n,) array
    candidates : (n, C) array of int32
        The best components, best first.
    resp : (n, C) array
        Their responsibilities, which sum to 1.
    log_prob_norm : (n,) array
        The logarithm of the sum of their joint densities, a bound below log p(x).
    """

    rows: slice | Indices
    X: NDArray[Any]
    weight: Array
    candidates: NDArray[np.int32]
    resp: Array
    log_prob_norm: Array

    @property
    def bound(self) -> float:
        """The weighted sum of the bounds: a sample of weight 0 is left out, however far it lies."""
        return float(self.weight @ np.where(self.weight > 0, self.log_prob_norm, 0.0))


class Candidates:
    """The candidates of all samples: first those of trees, then the better ones of each search.

    Samples in memory are copied, in float64, in an order in which those that are near in space are
    near in memory.

    Parameters
    ----------
    samples : Samples
    parameters : MixtureParameters
        Those for which candidates are first sought, until the bound hardly gains.
    n_candidates, n_neighbors : int
        At most K are taken.
    seed : int
    n_threads : int
        Does not change the result.
    n_trees : int, default=4
        In which candidates are first sought: a cut of one parts few samples from their components
        that the others part as well.
    """

    def __init__(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        n_candidates: int,
        n_neighbors: int,
        seed: int,
        n_threads: int,
        n_trees: int = 4,
    ) -> None:
        self._samples, self._n_trees = samples, n_trees
        self._order: Indices | None = None
        numbers = n_candidates, n_neighbors, seed, n_threads
        self._neighborhoods = near = Neighborhoods(parameters, *numbers)
        self._candidates = np.empty((samples.n_samples, near.n_candidates), np.int32)
        for own, _, X, _ in self._parts():
            self._candidates[own] = near.find(X, n_threads)
        if samples.in_memory:
            self._order = order = near.by_group(self._candidates[:, 0])
            weight = samples.weight(order) if samples.is_weighted else None
            self._samples = Samples(np.ascontiguousarray(samples.rows(order), np.float64), weight)
            self._candidates = self._candidates[order]
        self._settle(parameters, n_threads)

    def copy(self) -> "Candidates":
        """Return the same candidates of the same samples; a search leaves the others as they are.

        Returns
        -------
        Candidates
        """
        other = copy(self)
        other._candidates = self._candidates.copy()
        other._neighborhoods = self._neighborhoods.copy()
        return other

    def __sizeof__(self) -> int:
        """Return the number of bytes of candidates and of samples that are copied."""
        size = object.__sizeof__(self) + self._candidates.nbytes
        if self._order is not None:
            n, d = self._samples.n_samples, self._samples.n_features
            size += self._order.nbytes + 8 * n * (d + self._samples.is_weighted)
        return size

    def search(
        self, parameters: MixtureParameters, n_threads: int, *, is_wide: bool = False
    ) -> Iterator[Found]:
        """Replace candidates by better ones, part by part.

        Parameters
        ----------
        parameters : MixtureParameters
        n_threads : int
            Does not change the result.
        is_wide : bool
            Whether to look at the neighbours of all candidates, and not of the best alone.

        Yields
        ------
        Found
            Of the samples of a part.
        """
        for own, rows, X, weight in self._parts():
            candidates = self._candidates[own]
            found = self._neighborhoods.search(X, parameters, candidates, is_wide, n_threads)
            yield Found(rows, X, weight, candidates, *found)

    def adopt(self, children: Indices, parents: Indices) -> None:
        """Let some components lie beside others; see `Neighborhoods.adopt`.

        Parameters
        ----------
        children, parents : (m,) arrays of int
        """
        self._neighborhoods.adopt(children, parents)

    def _settle(self, parameters: MixtureParameters, n_threads: int) -> None:
        """Search in all trees, and then until the bound hardly gains."""
        near, bound = self._neighborhoods, -np.inf
        for number in range(1, _MOST_SEARCHES + 1):
            if 1 < number <= self._n_trees:
                near.plant(n_threads)
                for own, _, X, _ in self._parts():
                    self._candidates[own, 1:] = near.find(X, n_threads)[:, :-1]
            before = bound
            bound = sum(found.bound for found in self.search(parameters, n_threads, is_wide=True))
            gain = (bound - before) / self._samples.total_weight
            if number >= self._n_trees and not gain >= _SETTLED:
                return

    def _parts(self) -> Iterator[tuple[slice, slice | Indices, NDArray[Any], Array]]:
        """Yield where the candidates of a part are, the places of its samples, these, weights."""
        if self._order is not None:
            every = slice(None)
            yield every, self._order, self._samples.rows(every), self._samples.weight(every)
            return
        first = 0
        for X, weight in self._samples.blocks():
            own = slice(first, first + len(X))
            yield own, own, X, weight
            first = own.stop
