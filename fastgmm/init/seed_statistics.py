"""Statistics of the rows that seeds stand for, and the covariance of all components together."""

from typing import Any

import numpy as np

from .._kernels.layout import Array
from ..data.equal_weights import equal_weights
from ..model.covariance_model import CovarianceModel
from ..model.parameters import distances_from_origin
from ..model.statistics import SufficientStatistics
from .seeding import Seeds

_RESP_ELEMENTS = 2**20


def statistics_of_seeds(
    X: Array,
    weight: Array | None,
    seeds: Seeds,
    covariance_model: CovarianceModel,
    n_threads: int,
) -> SufficientStatistics:
    """Return the statistics of rows under the responsibilities of their seeds."""
    statistics = SufficientStatistics.zeros(covariance_model, seeds.centers)
    if seeds.groups is not None:
        weight = np.ones(len(X)) if weight is None else weight
        statistics.add_groups(X, weight, *seeds.groups, n_threads)
        return statistics
    assert seeds.resp is not None
    if weight is None:
        weight = equal_weights(len(X))
    step = max(_RESP_ELEMENTS // len(seeds.centers), 1)
    for start in range(0, len(X), step):
        stop = min(start + step, len(X))
        resp = seeds.resp(start, stop)
        statistics.add_moments(X[start:stop], weight[start:stop], resp, n_threads)
    return statistics


def pooled_covariance(statistics: SufficientStatistics, reg_covar: Any) -> Array:
    """Return one covariance for every component: that of all samples about their centres.

    If that is invalid, because the samples of each centre coincide, it is that of all samples about
    their mean.
    """
    nk, means, _ = statistics.central()
    center = np.broadcast_to(nk @ means / nk.sum(), means.shape)
    model, distances = statistics.covariance_model, distances_from_origin(means)
    pooled, total = (_one_for_all(statistics.recenter(c), reg_covar) for c in (means, center))
    is_invalid = model.factor(pooled, distances)[1].any()
    return total if is_invalid and not model.factor(total, distances)[1].any() else pooled


def _one_for_all(statistics: SufficientStatistics, reg_covar: Any) -> Array:
    """Return the covariance of all samples about the centres, for every component."""
    model = statistics.covariance_model
    nk, _, second = statistics.moments
    if model.per_component:
        nk, second = np.full(nk.shape, nk.sum()), np.broadcast_to(second.sum(axis=0), second.shape)
    return model.regularize(model.estimate(second, nk, statistics.centers.shape[1]), reg_covar)
