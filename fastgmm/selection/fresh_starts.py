"""Starts from clusters: the same clusters, and their statistics, serve all covariance types."""

from collections.abc import Callable, Sequence

import numpy as np

from ..data.samples import Samples
from ..init import (
    ScaledSeeding,
    Seeds,
    float64_rows,
    parameters_from_seeds,
    parameters_from_statistics,
    statistics_of_seeds,
    tree_seeds,
)
from ..model.covariance import get_covariance_model
from ..model.statistics import SufficientStatistics
from ..model.validation import check_enough
from .race import Setting, Start

# Statistics of full covariances with more numbers are not kept for other types.
_LARGEST = 2**16


def seeds_of(
    few: Samples, scaled: Callable[[], ScaledSeeding], n_components: int, setting: Setting
) -> list[Seeds] | ValueError:
    """Return seeds of fresh starts, which serve all covariance types, or why there are none.

    Parameters
    ----------
    few : Samples
    scaled : callable
        Returns the clusters of scaled samples.
    n_components : int
    setting : Setting

    Returns
    -------
    list of Seeds, or ValueError
    """
    random_state = np.random.RandomState(setting.seed)
    try:
        check_enough(few, n_components)
        if setting.is_truncated(n_components):
            return [_tree(few, n_components, random_state, setting) for _ in range(setting.n_init)]
        if n_components == 1:  # one start is as good as another
            return [next(scaled().seeds(1, random_state))]
        return list(scaled().seeds(n_components, random_state, setting.n_init))
    except ValueError as error:
        return error


def _tree(
    few: Samples, n_components: int, random_state: np.random.RandomState, setting: Setting
) -> Seeds:
    return tree_seeds(*float64_rows(few), n_components, random_state, setting.n_threads)


def shared_statistics(
    few: Samples, names: Sequence[str], seeds: Sequence[Seeds], setting: Setting
) -> list[SufficientStatistics] | None:
    """Return the statistics of clusters for full covariances, which hold those of every other type.

    Parameters
    ----------
    few : Samples
    names : sequence of str
        The covariance types.
    seeds : sequence of Seeds
    setting : Setting

    Returns
    -------
    list of SufficientStatistics, or None
        None where each type adds up its own: full covariances are not asked for, or are large.
    """
    if "full" not in names or len(names) == 1:
        return None
    K, d = seeds[0].centers.shape
    if seeds[0].groups is not None or K * d * d > _LARGEST:
        return None
    X, weight = float64_rows(few)
    model = get_covariance_model("full")
    return [statistics_of_seeds(X, weight, each, model, setting.n_threads) for each in seeds]


def fresh_starts(
    few: Samples,
    name: str,
    seeds: Sequence[Seeds],
    shared: Sequence[SufficientStatistics] | None,
    setting: Setting,
) -> list[Start]:
    """Return starts from clusters for a covariance type.

    Parameters
    ----------
    few : Samples
    name : str
        The covariance type.
    seeds : sequence of Seeds
    shared : sequence of SufficientStatistics or None
        See `shared_statistics`.
    setting : Setting

    Returns
    -------
    list of Start

    Raises
    ------
    CollapseError
        If not even the covariance of all the samples is positive definite.
    """
    model, options = get_covariance_model(name), (setting.reg_covar, setting.n_threads)
    if shared is None:
        found = [parameters_from_seeds(few, each, model, *options) for each in seeds]
    else:
        found = [parameters_from_statistics(each.reduced(model), *options) for each in shared]
    return [Start("fresh", parameters) for parameters in found]
