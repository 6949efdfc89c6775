"""Larger mixtures from smaller ones: which components to split, and into what.

All components are split at once, into halves along an axis and into an outer and an inner part. A
few iterations of EM on twice as many components tell what each split gains.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.joint_run import advance
from ..em.updates.closed_form import ClosedForm
from ..model.imputation import impute
from ..model.parameters import MixtureParameters
from .seeding import Seeds, float64_rows, one_hot
from .starting_points import parameters_from_seeds

# A component of fewer samples is not split.
_SMALLEST = 20
_ITERATIONS = 3
# Share of the outer part.
_OUTER = 0.4
# A variance, in units of the features' variances, that is rounding.
_CONSTANT = 1e-9
_ELEMENTS = 2**20


class Split(NamedTuple):
    """Split a component into two halves; gain is in nats per sample of the whole mixture."""

    gain: float
    component: int
    halves: MixtureParameters


def splits(
    samples: Samples, parameters: MixtureParameters, reg_covar: float | Array, n_threads: int
) -> list[Split]:
    """Return a split of each component, by falling gain; they do not depend on units.

    Parameters
    ----------
    samples : Samples
        They must fit in memory as one array of floats.
    parameters : MixtureParameters
    reg_covar : float or (d,) array
    n_threads : int

    Returns
    -------
    list of Split
        None of a component with too few samples.
    """
    K = parameters.n_components
    if samples.gaps is not None:
        weight = samples.sample_weight if samples.is_weighted else None
        samples = Samples(impute(samples, parameters), weight)
    X, _ = float64_rows(samples)
    labels, before = _best(X, parameters, n_threads)
    counts = np.bincount(labels, minlength=K)
    sides = _along_an_axis(X, labels, parameters), _outside(labels, before, K)
    halves = [2 * labels + side for side in sides]
    gains, doubled = [], _run(samples, halves, parameters, reg_covar, n_threads)
    for two in doubled:
        change = samples.sample_weight * (_of_pair(X, labels, two, n_threads) - before)
        gains.append(np.bincount(labels, change, minlength=K) / samples.total_weight)
    better = np.argmax(gains, axis=0)
    found = [
        Split(float(gains[better[k]][k]), k, pair(doubled[better[k]], k))
        for k in range(K)
        if counts[k] >= _SMALLEST
    ]
    return sorted(found, key=lambda split: -split.gain)


def split_components(parameters: MixtureParameters, chosen: Sequence[Split]) -> MixtureParameters:
    """Return the mixture with as many more components as splits; each of another component.

    A tied covariance stays as it is.

    Parameters
    ----------
    parameters : MixtureParameters
    chosen : sequence of Split

    Returns
    -------
    MixtureParameters
    """
    model, kept = parameters.covariance_model, np.ones(parameters.n_components, np.bool_)
    kept[[split.component for split in chosen]] = False
    weights, means = [parameters.weights[kept]], [parameters.means[kept]]
    covariances = [parameters.covariances[kept]] if model.per_component else []
    for _, component, halves in chosen:
        weights.append(parameters.weights[component] * halves.weights)
        means.append(halves.means)
        covariances.append(halves.covariances)
    together = np.concatenate(weights)
    return MixtureParameters.from_covariances(
        model,
        together / together.sum(),
        np.concatenate(means),
        np.concatenate(covariances) if model.per_component else parameters.covariances,
    )


def _best(
    X: Array, parameters: MixtureParameters, n_threads: int
) -> tuple[NDArray[np.int64], Array]:
    """Return the best component of each sample, and log w_k N(x | k) of that component."""
    labels, norm = np.empty(len(X), np.int64), np.empty(len(X))
    step = max(_ELEMENTS // parameters.n_components, 1)
    components = parameters.components()
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        resp = np.empty((len(X[rows]), parameters.n_components))
        kernels.posterior(
            X[rows],
            components,
            n_threads,
            log_prob_norm=norm[rows],
            resp=resp,
            labels=labels[rows],
        )
        norm[rows] += np.log(resp[np.arange(len(resp)), labels[rows]])  # at least 1 / K
    return labels, norm


def _of_pair(X: Array, labels: NDArray[np.int64], two: MixtureParameters, n_threads: int) -> Array:
    """Return log w N(x) of both halves of the component of each sample."""
    K, norm = two.n_components, np.empty(len(X))
    step = max(_ELEMENTS // K, 1)
    components = two.components()
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        resp = np.empty((len(X[rows]), K))
        kernels.posterior(X[rows], components, n_threads, log_prob_norm=norm[rows], resp=resp)
        each, half = np.arange(len(resp)), 2 * labels[rows]
        own = resp[each, half] + resp[each, half + 1]
        norm[rows] += np.log(np.maximum(own, np.finfo(float).tiny))
    return norm


def _run(
    samples: Samples,
    labels: Sequence[NDArray[np.int64]],
    parameters: MixtureParameters,
    reg_covar: float | Array,
    n_threads: int,
) -> list[MixtureParameters]:
    """Return the mixtures of all halves, after EM; component k became 2 k and 2 k + 1.

    Those from which EM fails are left out.
    """
    centers = np.repeat(parameters.means, 2, axis=0)
    model = parameters.covariance_model
    starts = []
    for each in labels:
        seeds = Seeds(centers, one_hot(each, len(centers)))
        starts.append(parameters_from_seeds(samples, seeds, model, reg_covar, n_threads))
    outcomes = advance(samples, starts, _ITERATIONS, ClosedForm(reg_covar, n_threads))
    errors = [outcome for outcome in outcomes if isinstance(outcome, ValueError)]
    if len(errors) == len(outcomes):
        raise errors[0]
    return [outcome.parameters for outcome in outcomes if not isinstance(outcome, ValueError)]


def pair(two: MixtureParameters, k: int) -> MixtureParameters:
    """Return the halves of a component as a mixture of their own.

    Parameters
    ----------
    two : MixtureParameters
        Of twice as many components: 2 k and 2 k + 1 are the halves of component k.
    k : int

    Returns
    -------
    MixtureParameters
    """
    model, both = two.covariance_model, slice(2 * k, 2 * k + 2)
    weights = np.maximum(two.weights[both], np.finfo(float).tiny)
    return MixtureParameters(
        model,
        weights / weights.sum(),
        two.means[both],
        two.covariances[both] if model.per_component else two.covariances,
        two.precisions_cholesky[both] if model.per_component else two.precisions_cholesky,
    )


def _along_an_axis(
    X: Array, labels: NDArray[np.int64], parameters: MixtureParameters
) -> NDArray[np.bool_]:
    """Return masks of half of each component, along the axis of two groups.

    Of the features and the principal axes of their correlations, it is the axis of the least
    kurtosis: 3 if the samples are normal along it, 1 if they are two points.
    """
    side = np.zeros(len(X), np.bool_)
    for k, mean in enumerate(parameters.means):
        rows = np.flatnonzero(labels == k)
        if len(rows) < _SMALLEST:
            continue
        z = X[rows] - mean
        deviations = np.sqrt((z**2).mean(axis=0))
        z = z / np.where(deviations > 0.0, deviations, 1.0)
        _, axes = np.linalg.eigh(z.T @ z)
        z = np.concatenate([z, z @ axes], axis=1)
        squares = z**2
        variances = squares.mean(axis=0)
        fourth = (squares**2).mean(axis=0)
        kurtosis = fourth / np.where(variances > _CONSTANT, variances, np.nan) ** 2
        if not np.isnan(kurtosis).all():
            side[rows] = z[:, np.nanargmin(kurtosis)] > 0.0
    return side


def _outside(labels: NDArray[np.int64], density: Array, n_components: int) -> NDArray[np.bool_]:
    """Return masks of the outer part of each component."""
    side = np.zeros(len(labels), np.bool_)
    for k in range(n_components):
        rows = np.flatnonzero(labels == k)
        if len(rows):
            own, rank = density[rows], ceil(_OUTER * (len(rows) - 1))
            side[rows] = own < np.partition(own, rank)[rank]
    return side
