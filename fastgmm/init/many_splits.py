"""Splits of many components at once: which gain most, by truncated EM on twice as many."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.candidates import Candidates
from ..em.convergence import Never
from ..em.loop import run
from ..em.posteriors.neighborhood import NeighborhoodPosterior
from ..em.updates.base import Update
from ..model.axes import longest_axes
from ..model.parameters import MixtureParameters
from .seeding import seeding_subsample
from .splits import Split, pair

# A component that is the best one for fewer samples is not split.
_SMALLEST = 8
_ITERATIONS = 3
# Candidates of a sample, neighbours of a component: as `NeighborhoodPosterior` has.
_WIDTHS = 3, 15
# The squared distance of the mean of a half of a normal distribution from that of the whole, in
# variances.
_SHIFT = 2.0 / np.pi


def splits_of_many(
    samples: Samples,
    parameters: MixtureParameters,
    update: Update[MixtureParameters, Any],
    random_state: np.random.RandomState,
    n_threads: int,
) -> list[Split]:
    """Return a split of each component, by falling gain.

    All are split into halves across their longest axis. The gain is that of the samples whose best
    component it was, after a few iterations of truncated EM. It is measured on the rows that
    seeding would use.

    Parameters
    ----------
    samples : Samples
        In memory or a source.
    parameters : MixtureParameters
    update : Update
        The M step.
    random_state : RandomState
    n_threads : int

    Returns
    -------
    list of Split
        None of a component with too few samples.
    """
    few = seeding_subsample(samples, parameters.n_components, random_state)
    seed = int(random_state.randint(2**31))
    labels, before = _best(few, parameters, seed, n_threads)
    doubled = run(
        few,
        halved(parameters),
        posterior=NeighborhoodPosterior(seed=seed, n_jobs=n_threads),
        update=update,
        convergence=Never(),
        max_iter=_ITERATIONS,
    )
    K, two = parameters.n_components, doubled.parameters
    change = few.sample_weight * (_of_pair(few, two, labels, seed, n_threads) - before)
    gains = np.bincount(labels, change, minlength=K) / few.total_weight
    is_large = np.bincount(labels, minlength=K) >= _SMALLEST
    order = np.argsort(-gains, kind="stable")
    return [Split(float(gains[k]), int(k), pair(two, k)) for k in order[is_large[order]]]


def halved(parameters: MixtureParameters) -> MixtureParameters:
    """Return the mixture in which component k is split into two halves, 2 k and 2 k + 1.

    Each is cut at its mean, across the axis along which it is longest in units of the features'
    deviations. The halves have the moments of halves of a normal distribution. A tied covariance
    stays as it is.

    Parameters
    ----------
    parameters : MixtureParameters

    Returns
    -------
    MixtureParameters
    """
    model, covariances = parameters.covariance_model, parameters.covariances
    K, d = parameters.means.shape
    axes = longest_axes(parameters)
    shifts = np.sqrt(_SHIFT) * np.stack([-axes, axes], axis=1).reshape(2 * K, d)
    if model.per_component:
        ones = np.ones(K)
        lost = model.estimate(model.outer(ones, axes, axes), ones, d)
        covariances = np.repeat(covariances - _SHIFT * lost, 2, axis=0)
    return MixtureParameters.from_covariances(
        model,
        np.repeat(parameters.weights / 2.0, 2),
        np.repeat(parameters.means, 2, axis=0) + shifts,
        covariances,
    )


def _best(
    samples: Samples, parameters: MixtureParameters, seed: int, n_threads: int
) -> tuple[NDArray[np.int64], Array]:
    """Return the best component of each sample, and log w_k N(x | k) of that component."""
    labels, density = np.empty(samples.n_samples, np.int64), np.empty(samples.n_samples)
    sought = Candidates(samples, parameters, *_WIDTHS, seed, n_threads)
    for found in sought.search(parameters, n_threads):
        labels[found.rows] = found.candidates[:, 0]
        density[found.rows] = found.log_prob_norm + np.log(found.resp[:, 0])
    return labels, density


def _of_pair(
    samples: Samples,
    two: MixtureParameters,
    labels: NDArray[np.int64],
    seed: int,
    n_threads: int,
) -> Array:
    """Return log w N(x) of both halves of the component of each sample.

    If neither is among its candidates, it is no more than that of the least of these.
    """
    density = np.empty(len(labels))
    sought = Candidates(samples, two, *_WIDTHS, seed, n_threads)
    for found in sought.search(two, n_threads):
        is_own = found.candidates // 2 == labels[found.rows, np.newaxis]
        own = np.where(is_own, found.resp, 0.0).sum(axis=1)
        own = np.where(is_own.any(axis=1), own, found.resp[:, -1])
        density[found.rows] = found.log_prob_norm + np.log(np.maximum(own, np.finfo(float).tiny))
    return density
