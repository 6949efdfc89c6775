"""Starts from clusters: the same clusters serve all covariance types."""

from collections.abc import Callable, Sequence

import numpy as np

from ..data.samples import Samples
from ..init import (
    ScaledSeeding,
    Seeds,
    float64_rows,
    parameters_from_seeds,
    parameters_from_statistics,
    seed_statistics,
    tree_seeds,
)
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from ..model.validation import check_enough
from .race import Setting


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


def fresh_starts(
    few: Samples, names: Sequence[str], seeds: list[Seeds] | ValueError, setting: Setting
) -> dict[str, list[MixtureParameters] | ValueError]:
    """Return starts from clusters for each covariance type, or why there are none.

    Parameters
    ----------
    few : Samples
    names : sequence of str
        Covariance types.
    seeds : list of Seeds, or ValueError
    setting : Setting

    Returns
    -------
    dict of str to list of MixtureParameters, or to ValueError
    """
    starts: dict[str, list[MixtureParameters] | ValueError] = {}
    starts.update((name, seeds if isinstance(seeds, ValueError) else []) for name in names)
    for each in () if isinstance(seeds, ValueError) else seeds:
        of_full: SufficientStatistics | None = None
        if "full" in names and each.groups is None:  # they hold those of every other type
            model = get_covariance_model("full")
            of_full = seed_statistics(*float64_rows(few), each, model, setting.n_threads)
        for name, found in starts.items():
            if isinstance(found, ValueError):
                continue
            try:
                found.append(_of_type(few, name, each, of_full, setting))
            except ValueError as error:
                starts[name] = error
    return starts


def _of_type(
    few: Samples,
    name: str,
    seeds: Seeds,
    of_full: SufficientStatistics | None,
    setting: Setting,
) -> MixtureParameters:
    model, options = get_covariance_model(name), (setting.reg_covar, setting.n_threads)
    if of_full is None:
        return parameters_from_seeds(few, seeds, model, *options)
    return parameters_from_statistics(of_full.reduced(model), *options)
