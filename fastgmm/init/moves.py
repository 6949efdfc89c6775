"""Split and merge moves: which components to merge, and which to split in their place.

The gain of a move is estimated on the samples of its components alone: one component and two
components are fitted to these samples and compared. This is done in the same way for splits and for
merges.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.convergence import LowerBoundChange
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.updates.closed_form import ClosedForm, estimate
from ..model.covariance_model import CollapseError, CovarianceModel
from ..model.parameters import MixtureParameters
from ..model.prediction import best_components
from ..model.statistics import SufficientStatistics
from .splits import Split

Rows = NDArray[np.int64]

#: How many components to split and pairs to merge are tried, and on how many rows.
_SPLITS = 64
_MERGES = 32
_ROWS = 1500
_OVERLAP_ROWS = 8192
_SMALLEST = 20
# EM of two components on the samples of one component.
_ITERATIONS = 10
_TOL = 1e-3
# Share of the outer part, when a component is split into a wide and a narrow one.
_OUTER = 0.4


class Move(NamedTuple):
    """Merge the components of a pair, and split another into two; gain is in nats per sample."""

    gain: float
    split: int
    halves: MixtureParameters
    pair: tuple[int, int]
    merged: MixtureParameters


def moves(
    samples: Samples, parameters: MixtureParameters, reg_covar: float | Array, n_threads: int
) -> Iterator[Move]:
    """Yield moves by falling gain; no component is split twice, no pair merged twice.

    The estimated gains are too low: after a real move all other components adapt as well.

    Parameters
    ----------
    samples : Samples
        They must fit in memory as one array of floats.
    parameters : MixtureParameters
    reg_covar : float or (d,) array
    n_threads : int
    """
    groups = _groups(samples, parameters, n_threads)
    merges = [
        (pair, *_merge(samples, groups, pair, parameters, reg_covar))
        for pair in _overlapping(samples, parameters, n_threads)
    ]
    candidates = [
        Move(gain - loss, k, halves, pair, merged)
        for gain, k, halves in _splits(samples, groups, parameters, reg_covar)
        for pair, loss, merged in merges
        if merged is not None and k not in pair and gain > 0.0
    ]
    used: set[int | tuple[int, int]] = set()
    for move in sorted(candidates, key=lambda move: -move.gain):
        if not used & {move.split, move.pair}:
            used |= {move.split, move.pair}
            yield move


def apply(parameters: MixtureParameters, move: Move) -> MixtureParameters:
    """Return the mixture after a move; the number of components stays the same.

    A tied covariance stays as it is.
    """
    (i, j), k = move.pair, move.split
    weights, means = parameters.weights.copy(), parameters.means.copy()
    covariances = parameters.covariances.copy()
    weights[i] += weights[j]
    weights[[k, j]] = weights[k] * move.halves.weights
    means[i] = move.merged.means[0]
    means[[k, j]] = move.halves.means
    if parameters.covariance_model.per_component:
        covariances[i] = move.merged.covariances[0]
        covariances[[k, j]] = move.halves.covariances
    return MixtureParameters.from_covariances(
        parameters.covariance_model, weights / weights.sum(), means, covariances
    )


def _groups(samples: Samples, parameters: MixtureParameters, n_threads: int) -> list[Rows]:
    """Return the rows of each component: those for which it is the best."""
    labels = best_components(samples, parameters, n_threads)
    counts = np.bincount(labels, minlength=parameters.n_components)
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])


def _overlapping(
    samples: Samples, parameters: MixtureParameters, n_threads: int
) -> list[tuple[int, int]]:
    """Return the pairs whose responsibilities are most alike, by their cosine."""
    X = samples.rows(slice(_OVERLAP_ROWS))
    resp = np.empty((len(X), parameters.n_components))
    kernels.posterior(X, parameters.components(), n_threads, resp=resp)
    resp /= np.maximum(np.linalg.norm(resp, axis=0), np.finfo(float).tiny)
    i, j = np.triu_indices(parameters.n_components, 1)
    best = np.argsort(-(resp.T @ resp)[i, j], kind="stable")[:_MERGES]
    return [(int(i[pair]), int(j[pair])) for pair in best]


def _splits(
    samples: Samples,
    groups: list[Rows],
    parameters: MixtureParameters,
    reg_covar: float | Array,
) -> list[Split]:
    """Return splits of the heaviest components."""
    heaviest = sorted(range(len(groups)), key=lambda k: -len(groups[k]))[:_SPLITS]
    tried = [(k, *_split(samples, groups[k], parameters, reg_covar)) for k in heaviest]
    return [Split(gain, k, halves) for k, gain, halves in tried if halves is not None]


def _split(
    samples: Samples,
    rows: Rows,
    parameters: MixtureParameters,
    reg_covar: float | Array,
) -> tuple[float, MixtureParameters | None]:
    """Return the gain of two components on the samples of one, and these two components."""
    local = _some(samples, rows)
    best, halves = -np.inf, None
    with suppress(CollapseError):
        one = _fit(local, np.zeros(local.n_samples), 1, parameters.covariance_model, reg_covar)
        for side in _sides(local.rows(slice(None)), one):
            with suppress(CollapseError):
                start = _fit(local, side, 2, parameters.covariance_model, reg_covar)
                result = run(
                    local,
                    start,
                    posterior=ExactPosterior(1),
                    update=ClosedForm(reg_covar, 1),
                    convergence=LowerBoundChange(_TOL),
                    max_iter=_ITERATIONS,
                )
                if result.lower_bound > best:
                    best, halves = result.lower_bound, result.parameters
        best -= _lower_bound(local, one)
    return best * len(rows) / samples.n_samples, halves


def _merge(
    samples: Samples,
    groups: list[Rows],
    pair: tuple[int, int],
    parameters: MixtureParameters,
    reg_covar: float | Array,
) -> tuple[float, MixtureParameters | None]:
    """Return the loss of one component on the samples of two, and this component."""
    rows = np.concatenate([groups[k] for k in pair])
    local = _some(samples, rows)
    model = parameters.covariance_model
    chosen = list(pair)
    with suppress(CollapseError):
        one = _fit(local, np.zeros(local.n_samples), 1, model, reg_covar)
        weights = parameters.weights[chosen]
        covariances = parameters.covariances
        two = MixtureParameters.from_covariances(
            model,
            weights / weights.sum(),
            parameters.means[chosen],
            covariances[chosen] if model.per_component else covariances,
        )
        loss = _lower_bound(local, two) - _lower_bound(local, one)
        return loss * len(rows) / samples.n_samples, one
    return np.inf, None


def _some(samples: Samples, rows: Rows) -> Samples:
    """Return some of the rows, evenly spaced."""
    return samples.take(np.sort(rows)[:: max(1, -(-len(rows) // _ROWS))])


def _fit(
    samples: Samples,
    labels: NDArray[Any],
    n_components: int,
    covariance_model: CovarianceModel,
    reg_covar: float | Array,
) -> MixtureParameters:
    """Return the mixture of given groups."""
    X, weight = samples.rows(slice(None)), samples.sample_weight
    if len(X) < _SMALLEST:
        raise CollapseError(None)
    resp = (labels[:, np.newaxis] == np.arange(n_components)).astype(np.float64)
    centers = np.tile(np.average(X, axis=0, weights=weight), (n_components, 1))
    statistics = SufficientStatistics.zeros(covariance_model, centers.astype(np.float64))
    statistics.add_moments(X, weight, resp)
    return MixtureParameters.from_covariances(covariance_model, *estimate(statistics, reg_covar))


def _sides(X: NDArray[np.floating], one: MixtureParameters) -> Iterator[NDArray[np.bool_]]:
    """Yield masks to start from: half of the longest axis, and the outer part."""
    z = X - one.means[0]
    _, axes = np.linalg.eigh(z.T @ z)
    yield z @ axes[:, -1] > 0.0
    yield _outer(X, one)


def _outer(X: NDArray[np.floating], one: MixtureParameters) -> NDArray[np.bool_]:
    """Return a mask of the outer part."""
    log_prob_norm = np.empty(len(X))
    kernels.posterior(X, one.components(), 1, log_prob_norm=log_prob_norm)
    return np.asarray(log_prob_norm < np.quantile(log_prob_norm, _OUTER))


def _lower_bound(samples: Samples, parameters: MixtureParameters) -> float:
    return ExactPosterior(1).summarize(samples, parameters).lower_bound
