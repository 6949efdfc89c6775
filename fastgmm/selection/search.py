"""Fits of all candidates: from fresh starts, and from smaller mixtures whose components are split.

A race of EM on few rows chooses among the starts of a candidate. The best of them whose maximum is
not spurious is fitted to all rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from ..data.samples import Samples
from ..em.result import EMResult, joined
from ..em.updates.closed_form import ClosedForm
from ..init import (
    ScaledSeeding,
    Seeds,
    Split,
    in_order,
    split_components,
    splits,
    splits_of_many,
    subsample,
)
from ..model.covariance_model import CollapseError
from ..model.criteria import bic
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from .faults import find_fault
from .fresh_starts import fresh_starts, seeds_of, shared_statistics
from .race import Setting, Start, advance_all, race, run_em
from .tolerance import BehindTheBest
from .workers import map_in_threads

# The race is run on so many rows, or so many for each component, if there are.
_ROWS = 4096
_ROWS_PER_COMPONENT = 256
# How many ways of splitting a smaller mixture are tried.
_SPLITS = 2
# Iterations of EM before components are split again.
_AFTER_A_SPLIT = 4


class Key(NamedTuple):
    """What tells candidates apart."""

    covariance_type: str
    n_components: int


class _Rows(NamedTuple):
    """All rows, those of the race, and those on which splits are tried."""

    all: Samples
    race: Samples
    splits: Samples


class _Clusters(NamedTuple):
    """Seeds of fresh starts and, where they are shared, their statistics."""

    seeds: Sequence[Seeds]
    shared: Sequence[SufficientStatistics] | None


class Reached(NamedTuple):
    """A start and where EM led from it; the kind of start is ``fresh`` or ``split``."""

    start: str
    result: EMResult[MixtureParameters]


class Fit(NamedTuple):
    """The fit of a candidate, or why there is none.

    Parameters
    ----------
    reached : Reached or None
    fault : str or None
        Why the fit cannot be chosen.
    tol : float
        What it was expected to gain at the most when it ended, in nats per sample.
    """

    reached: Reached | None
    fault: str | None
    tol: float


def search(samples: Samples, keys: Sequence[Key], setting: Setting) -> dict[Key, Fit]:
    """Return the fits of all candidates.

    Parameters
    ----------
    samples : Samples
    keys : sequence of Key
    setting : Setting

    Returns
    -------
    dict of Key to Fit
    """
    sizes = sorted({key.n_components for key in keys}, reverse=True)
    few = subsample(samples, race_rows(sizes[0]), np.random.RandomState(setting.seed))
    fewer = few.take(slice(None, None, 2)) if few.n_samples >= _ROWS else few
    rows = _Rows(samples, few, fewer)
    # the largest take longest: they begin first
    scaled = cache(lambda: ScaledSeeding(few))
    found = map_in_threads(lambda K: seeds_of(few, scaled, K, setting), sizes, setting.n_workers)
    seeds = dict(zip(sizes, found, strict=True))
    fits: dict[Key, Fit] = {}
    smaller: dict[str, MixtureParameters] = {}
    best = np.inf
    for n_components in reversed(sizes):
        of_this_size = [key for key in keys if key.n_components == n_components]
        names = [key.covariance_type for key in of_this_size]
        clusters = _clusters(few, names, seeds.pop(n_components), setting)
        fit_one = partial(_fit_candidate, rows, clusters, smaller, best, setting)
        found_fits = map_in_threads(fit_one, of_this_size, setting.n_workers)
        for key, fit in zip(of_this_size, found_fits, strict=True):
            fits[key] = fit
            if fit.fault is None:
                assert fit.reached is not None
                smaller[key.covariance_type] = fit.reached.result.parameters
                best = min(best, _bic(samples, fit.reached.result))
    return {key: fits[key] for key in keys}


def race_rows(n_components: int) -> int:
    """Return on how many rows the race is run, if there are so many.

    Parameters
    ----------
    n_components : int
        The largest number.

    Returns
    -------
    int
    """
    return max(_ROWS, _ROWS_PER_COMPONENT * n_components)


def polish(samples: Samples, fit: Fit, tol: float, setting: Setting) -> Fit:
    """Return a fit that goes on until it converges by a finer tolerance.

    Parameters
    ----------
    samples : Samples
    fit : Fit
        Without a fault. A truncated one stays as it is.
    tol : float
        In nats per sample.
    setting : Setting

    Returns
    -------
    Fit
    """
    assert fit.reached is not None
    kind, result = fit.reached
    if result.n_iter >= setting.max_iter or setting.is_truncated(result.parameters.n_components):
        return fit
    rule = BehindTheBest.anywhere(tol)
    return _fit(samples, Start(kind, result.parameters), rule, setting, result)


def _clusters(
    few: Samples, names: Sequence[str], seeds: list[Seeds] | ValueError, setting: Setting
) -> _Clusters | ValueError:
    if isinstance(seeds, ValueError):
        return seeds
    return _Clusters(seeds, shared_statistics(few, names, seeds, setting))


def _fit_candidate(
    rows: _Rows,
    clusters: _Clusters | ValueError,
    smaller: Mapping[str, MixtureParameters],
    best: float,
    setting: Setting,
    key: Key,
) -> Fit:
    """Return the fit of a candidate, which may start from the smaller one of its type.

    ``best`` is the lowest BIC of those with fewer components.
    """
    if isinstance(clusters, ValueError):
        return Fit(None, str(clusters), setting.rough_tol)
    try:
        starts = fresh_starts(rows.race, key.covariance_type, *clusters, setting)
        with suppress(ValueError):  # a split that fails is one start less
            grown = _grown(rows, smaller.get(key.covariance_type), key.n_components, setting)
            starts.extend(grown)
        starts = race(rows.race, starts, setting)
    except ValueError as error:
        return Fit(None, str(error), setting.rough_tol)
    return _first_without_fault(rows.all, starts, best, setting)


def _bic(samples: Samples, result: EMResult[MixtureParameters]) -> float:
    weight = samples.total_weight
    return bic(weight * result.lower_bound, result.parameters.n_parameters, weight)


def _first_without_fault(
    samples: Samples, starts: Sequence[Start], best: float, setting: Setting
) -> Fit:
    """Return the fit from the first start that leads to no spurious maximum, or else the first."""
    first = Fit(None, None, setting.rough_tol)
    for kind, parameters in starts:
        rule = _first_rule(samples, parameters, best, setting)
        fit = _fit(samples, Start(kind, in_order(parameters)), rule, setting)
        if fit.fault is None:
            return fit
        if first.reached is None:
            first = fit
    return first


def _first_rule(
    samples: Samples, parameters: MixtureParameters, best: float, setting: Setting
) -> BehindTheBest:
    """Return when a fit stops for the first time, beside the lowest BIC of smaller mixtures."""
    if setting.is_truncated(parameters.n_components):
        return BehindTheBest.anywhere(setting.truncated_tol)
    if not setting.is_rough:
        return BehindTheBest.anywhere(setting.rough_tol)
    n_parameters, weight = parameters.n_parameters, samples.total_weight
    return BehindTheBest(setting.rough_tol, best, n_parameters, weight)


def _fit(
    samples: Samples,
    start: Start,
    rule: BehindTheBest,
    setting: Setting,
    before: EMResult[MixtureParameters] | None = None,
) -> Fit:
    """Return where EM leads from a start, which may be the end of a run before."""
    left = setting.max_iter - (0 if before is None else before.n_iter)
    try:
        result = run_em(samples, start.parameters, left, setting, rule, rule.look)
        if before is not None:
            result = joined(before, result)
        return Fit(Reached(start.kind, result), find_fault(samples, result, setting), rule.tol)
    except ValueError as error:
        return Fit(None, str(error), rule.tol)


def _grown(
    rows: _Rows, smaller: MixtureParameters | None, n_components: int, setting: Setting
) -> Iterator[Start]:
    """Yield mixtures that are a smaller one with some components split."""
    parameters = smaller
    while parameters is not None:
        missing = n_components - parameters.n_components
        found = _splits_of(rows, parameters, setting)
        if not found:
            return
        if missing > len(found):  # no component is split twice
            parameters = split_components(parameters, found)
            (reached,) = advance_all(rows.race, [parameters], _AFTER_A_SPLIT, setting)
            if isinstance(reached, ValueError):
                raise reached
            parameters = reached.parameters
            continue
        for first in range(min(_SPLITS, len(found) - missing + 1)):
            with suppress(CollapseError):
                chosen = found[first : first + missing]
                yield Start("split", split_components(parameters, chosen))
        return


def _splits_of(rows: _Rows, parameters: MixtureParameters, setting: Setting) -> list[Split]:
    """Return splits of the components, by falling gain."""
    reg_covar, n_threads = setting.reg_covar, setting.n_threads
    if setting.is_truncated(parameters.n_components):
        random_state = np.random.RandomState(setting.seed)
        update = ClosedForm(reg_covar, n_threads)
        return splits_of_many(rows.race, parameters, update, random_state, n_threads)
    return splits(rows.splits, parameters, reg_covar, n_threads)
