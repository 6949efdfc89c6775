"""Split and merge moves for thousands of components: many at once, between runs of truncated EM."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.convergence import Convergence
from ..em.loop import run
from ..em.posteriors.neighborhood import NeighborhoodPosterior
from ..em.result import Callback, EMResult
from ..em.updates.closed_form import ClosedForm
from ..model.axes import deviations
from ..model.covariance_model import CollapseError
from ..model.parameters import MixtureParameters, distances_from_origin
from .many_splits import splits_of_many
from .split_merge import WORTHWHILE, Record
from .splits import Split

# At first up to one component in so many is split; after a round that gains nothing, fewer.
_COMPONENTS_PER_MOVE = 8
_FEWER = 4
# Merges are sought among so many nearest means of each mean.
_NEAREST = 4

Pair = tuple[int, int]


class ManySplitMerge:
    """Truncated EM, and rounds of moves, each followed by truncated EM, while these gain.

    A move merges two components and splits a third. In a round those are made whose split is
    estimated to gain more than their merge loses, one after the other by falling gain and rising
    loss. No component takes part in two. A round is kept if EM then ends at a higher bound.

    Parameters
    ----------
    new_update : callable
        Returns the M step.
    n_threads : int
    random_state : RandomState
    """

    def __init__(
        self,
        new_update: Callable[[], ClosedForm],
        n_threads: int,
        random_state: np.random.RandomState,
    ) -> None:
        self.new_update = new_update
        self.n_threads = n_threads
        self.random_state = random_state

    def run(
        self,
        samples: Samples,
        start: MixtureParameters,
        convergence: Convergence,
        max_iter: int,
        callback: Callback | None = None,
    ) -> EMResult[MixtureParameters]:
        """Run EM and rounds of moves; an iteration below the best bound so far keeps that bound.

        Parameters
        ----------
        samples : Samples
        start : MixtureParameters
        convergence : Convergence
        max_iter : int
            Of all runs together.
        callback : callable, optional

        Returns
        -------
        EMResult
        """
        record = Record(callback)
        best = self._em(samples, start, convergence, max_iter, record)
        K = start.n_components
        n_moves = max(K // _COMPONENTS_PER_MOVE, 1) if K > 2 else 0
        while n_moves and record.wants_more(max_iter):
            moved = self._moved(samples, best.parameters, n_moves)
            if moved is None:
                break
            record.begin(best)
            result = self._em(samples, moved, convergence, max_iter - record.before, record)
            result = record.renumbered(result)
            if result.lower_bound <= best.lower_bound + WORTHWHILE:
                n_moves //= _FEWER
            if result.lower_bound > best.lower_bound:
                best = result
        return record.complete(best)

    def _moved(
        self, samples: Samples, parameters: MixtureParameters, n_moves: int
    ) -> MixtureParameters | None:
        """Return the mixture after a round of moves; None if no move is worthwhile."""
        update, n_threads = self.new_update(), self.n_threads
        try:
            splits = splits_of_many(samples, parameters, update, self.random_state, n_threads)
            pairs, losses = cheapest_merges(parameters)
            chosen = _choose(splits, pairs, losses, n_moves)
            return apply(parameters, chosen) if chosen else None
        except CollapseError:
            return None

    def _em(
        self,
        samples: Samples,
        parameters: MixtureParameters,
        convergence: Convergence,
        max_iter: int,
        callback: Callback,
    ) -> EMResult[MixtureParameters]:
        seed = int(self.random_state.randint(2**31))
        return run(
            samples,
            parameters,
            posterior=NeighborhoodPosterior(seed=seed, n_jobs=self.n_threads),
            update=self.new_update(),
            convergence=convergence,
            max_iter=max_iter,
            callback=callback,
        )


def cheapest_merges(parameters: MixtureParameters) -> tuple[list[Pair], Array]:
    r"""Return pairs of neighbouring components, and what their merges lose, by rising loss.

    With the weights w and the covariances of a pair, and those of one component of the same mean
    and covariance as both together, the loss in nats a sample is at most (Runnalls 2007):

    .. math:: \tfrac 1 2 \left[(w_1 + w_2) \log |\Sigma_{12}| - w_1 \log |\Sigma_1|
              - w_2 \log |\Sigma_2|\right]

    Parameters
    ----------
    parameters : MixtureParameters

    Returns
    -------
    pairs : list of tuple of two int
        No component is in two.
    losses : array

    References
    ----------
    Runnalls (2007), Kullback-Leibler approach to Gaussian mixture reduction, IEEE Trans. Aerosp.
    Electron. Syst. 43.
    """
    points = parameters.means / deviations(parameters)
    K, d = points.shape
    nearest = NearestNeighbors(n_neighbors=min(_NEAREST, K - 1)).fit(points)
    others = nearest.kneighbors(return_distance=False)
    both = np.stack([np.repeat(np.arange(K), others.shape[1]), others.ravel()])
    i, j = np.unique(np.sort(both, axis=0), axis=1)
    weights, means, covariances = merged(parameters, i, j)
    model, w = parameters.covariance_model, parameters.weights
    if model.per_component:
        factors, failed = model.factor(covariances, distances_from_origin(means))
        own = model.log_det(parameters.precisions_cholesky, d)
        with np.errstate(all="ignore"):
            losses = w[i] * own[i] + w[j] * own[j] - weights * model.log_det(factors, d)
        losses[failed] = np.inf
    else:
        one = model.to_kernel(parameters.precisions_cholesky, K)
        apart = parameters.means[i] - parameters.means[j]
        whitened = apart @ one if model.is_matrix else apart * one[i, np.newaxis]
        a = _share_of_first(w[i], weights)
        squares = a * (1.0 - a) * (whitened**2).sum(axis=1)
        losses = 0.5 * weights * np.log1p(squares)
    pairs: list[Pair] = []
    kept, used = [], np.zeros(K, np.bool_)
    for p in np.argsort(losses, kind="stable"):
        if np.isfinite(losses[p]) and not used[i[p]] and not used[j[p]]:
            used[[i[p], j[p]]] = True
            pairs.append((int(i[p]), int(j[p])))
            kept.append(losses[p])
    return pairs, np.array(kept)


def merged(
    parameters: MixtureParameters, i: NDArray[np.int64], j: NDArray[np.int64]
) -> tuple[Array, Array, Array]:
    """Return weights, means and covariances of components with the moments of pairs.

    Parameters
    ----------
    parameters : MixtureParameters
    i, j : (m,) arrays of int

    Returns
    -------
    weights : (m,) array
    means : (m, d) array
    covariances : array
        Of m components; the shared one where they share one.
    """
    model, w = parameters.covariance_model, parameters.weights
    weights = w[i] + w[j]
    a = _share_of_first(w[i], weights)
    b = 1.0 - a
    means = a[:, np.newaxis] * parameters.means[i] + b[:, np.newaxis] * parameters.means[j]
    covariances = parameters.covariances
    if model.per_component:
        shape = (-1,) + (1,) * (covariances.ndim - 1)
        within = a.reshape(shape) * covariances[i] + b.reshape(shape) * covariances[j]
        apart = parameters.means[i] - parameters.means[j]
        ones = np.ones(len(i))
        between = model.estimate(model.outer(a * b, apart, apart), ones, parameters.n_features)
        covariances = within + between
    return weights, means, covariances


def _share_of_first(first: Array, both: Array) -> Array:
    """Return first / both, and a half where both are 0."""
    share = np.full(len(both), 0.5)
    np.divide(first, both, out=share, where=both > 0.0)
    return share


def _choose(
    splits: list[Split], pairs: list[Pair], losses: Array, n_moves: int
) -> list[tuple[Pair, Split]]:
    """Return moves whose split gains more than their merge loses; no component is in two."""
    chosen: list[tuple[Pair, Split]] = []
    used: set[int] = set()
    waiting = iter(splits)
    for pair, loss in zip(pairs, losses, strict=True):
        if used.intersection(pair):
            continue
        split = next((s for s in waiting if s.component not in used.union(pair)), None)
        if split is None or split.gain <= loss or len(chosen) == n_moves:
            break
        chosen.append((pair, split))
        used.update((*pair, split.component))
    return chosen


def apply(parameters: MixtureParameters, chosen: list[tuple[Pair, Split]]) -> MixtureParameters:
    """Return the mixture after moves: merged components, and halves in place of others.

    A tied covariance stays as it is.

    Parameters
    ----------
    parameters : MixtureParameters
    chosen : list of pairs of components to merge, each with a split

    Returns
    -------
    MixtureParameters
    """
    model = parameters.covariance_model
    i, j = np.array([pair for pair, _ in chosen]).T
    k = np.array([split.component for _, split in chosen])
    weights, means, covariances = (
        values.copy() for values in (parameters.weights, parameters.means, parameters.covariances)
    )
    of_merged = merged(parameters, i, j)
    halves = [split.halves for _, split in chosen]
    weights[i], means[i] = of_merged[:2]
    for side, places in enumerate((k, j)):
        weights[places] = parameters.weights[k] * [half.weights[side] for half in halves]
        means[places] = [half.means[side] for half in halves]
        if model.per_component:
            covariances[places] = [half.covariances[side] for half in halves]
    if model.per_component:
        covariances[i] = of_merged[2]
    return MixtureParameters.from_covariances(model, weights / weights.sum(), means, covariances)
