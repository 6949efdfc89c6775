"""Fits of all candidates: from fresh starts, and from smaller mixtures whose components are split.

All starts of a candidate are compared on the rows that seeding uses, after a few iterations of EM.
The best of them that is not spurious is fitted to all rows.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from .._kernels.threads import for_each
from ..data.samples import Samples
from ..em.acceleration import QuasiNewton
from ..em.convergence import RemainingGain
from ..em.loop import run
from ..em.posteriors.exact import ExactPosterior
from ..em.result import EMResult
from ..em.updates.closed_form import ClosedForm
from ..init import initial_parameters, seeding_subsample, split_components, splits
from ..model.covariance import get_covariance_model
from ..model.covariance_model import CollapseError
from ..model.parameters import MixtureParameters
from ..model.validation import check_enough
from .faults import find_fault

# Starts are compared after so many iterations, or when they would gain less: nats in total.
_FEW_ITERATIONS = 50
_FEW_ITERATIONS_GAIN = 0.1
# How many ways of splitting a smaller mixture are tried.
_SPLITS = 3

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Key(NamedTuple):
    """What tells candidates apart."""

    covariance_type: str
    n_components: int


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
    """

    reached: Reached | None
    fault: str | None


@dataclass(frozen=True)
class Setting:
    """What all candidates share.

    Attributes
    ----------
    reg_covar : float or (d,) array
        Added to the variances.
    collapsed : float or (d,) array
        Variances that are as small as this have collapsed.
    tol : float
        In nats per sample.
    max_iter, n_init : int
    seed : int
    n_threads : int
        Of each fit.
    n_workers : int
        How many fits run at a time.
    """

    reg_covar: float | Array
    collapsed: float | Array
    tol: float
    max_iter: int
    n_init: int
    seed: int
    n_threads: int
    n_workers: int


def search(samples: Samples, keys: Sequence[Key], setting: Setting) -> dict[Key, Fit]:
    """Return the fits of all candidates.

    Parameters
    ----------
    samples : Samples
    keys : sequence of Key
        Those of a covariance type by rising number of components.
    setting : Setting

    Returns
    -------
    dict of Key to Fit
    """
    largest = max(key.n_components for key in keys)
    few = seeding_subsample(samples, largest, np.random.RandomState(setting.seed))
    chains: dict[str, list[Key]] = {}
    for key in keys:
        chains.setdefault(key.covariance_type, []).append(key)
    # the largest candidates take longest: they begin first
    by_size = sorted(keys, key=lambda key: -key.n_components)
    found = map_in_threads(lambda key: _fresh(few, key, setting), by_size, setting.n_workers)
    fresh = dict(zip(by_size, found, strict=True))
    fits = map_in_threads(
        lambda chain: _fit_chain(samples, few, chain, fresh, setting),
        list(chains.values()),
        setting.n_workers,
    )
    return {key: fit for chain in fits for key, fit in chain.items()}


def map_in_threads(
    function: Callable[[_Item], _Result], items: Sequence[_Item], n_workers: int
) -> list[_Result]:
    """Return the results of a function, in the order of the items, computed in several threads.

    Parameters
    ----------
    function : callable
    items : sequence
    n_workers : int

    Returns
    -------
    list
    """
    results: dict[int, _Result] = {}

    def call(i: int) -> None:
        with numpys_rules():  # each thread has its own
            results[i] = function(items[i])

    for_each(call, range(len(items)), n_workers)
    return [results[i] for i in range(len(items))]


def _fresh(few: Samples, key: Key, setting: Setting) -> list[Reached] | ValueError:
    """Return where fresh starts lead in a few iterations, or why there are none."""
    random_state = np.random.RandomState(setting.seed)
    reached: list[Reached] = []
    try:
        check_enough(few, key.n_components)
        for _ in range(setting.n_init):
            start = initial_parameters(
                few,
                n_components=key.n_components,
                covariance_model=get_covariance_model(key.covariance_type),
                init_params="scaled",
                reg_covar=setting.reg_covar,
                random_state=random_state,
                n_threads=setting.n_threads,
            )
            reached.append(Reached("fresh", _advance_a_little(few, start, setting)))
    except ValueError as error:
        return reached or error
    return reached


def _fit_chain(
    samples: Samples,
    few: Samples,
    chain: Sequence[Key],
    fresh: dict[Key, list[Reached] | ValueError],
    setting: Setting,
) -> dict[Key, Fit]:
    """Return the fits of one covariance type; each may start from the one before."""
    fits: dict[Key, Fit] = {}
    smaller: MixtureParameters | None = None
    for key in chain:
        found = fresh[key]
        if isinstance(found, ValueError):
            fits[key] = Fit(None, str(found))
            continue
        reached = list(found)
        with suppress(ValueError):  # a split that fails is one start less
            for start in _grown(few, smaller, key.n_components, setting):
                reached.append(start)  # noqa: PERF402  keeps those before a failure
        reached.sort(key=lambda each: -each.result.lower_bound)
        # as exact in total as the fit to all samples
        tol = setting.tol * samples.total_weight / few.total_weight
        fit = _first_without_fault(few, reached, tol, setting)
        if fit.fault is None:
            assert fit.reached is not None
            smaller = fit.reached.result.parameters
        if fit.reached is not None and few.total_weight < samples.total_weight:
            fit = _first_without_fault(samples, [fit.reached], setting.tol, setting)
        fits[key] = fit
    return fits


def _first_without_fault(
    samples: Samples, reached: Sequence[Reached], tol: float, setting: Setting
) -> Fit:
    """Return the first of some fits that is no spurious maximum, or else the first."""
    first = Fit(None, None)
    for each in reached:
        try:
            result = _em(samples, each.result.parameters, tol, setting.max_iter, setting)
            fit = Fit(Reached(each.start, result), find_fault(samples, result, setting.collapsed))
        except ValueError as error:
            fit = Fit(None, str(error))
        if fit.fault is None:
            return fit
        if first.reached is None:
            first = fit
    return first


def _grown(
    few: Samples, smaller: MixtureParameters | None, n_components: int, setting: Setting
) -> Iterator[Reached]:
    """Yield where mixtures lead that are a smaller one with some components split."""
    parameters = smaller
    while parameters is not None:
        missing = n_components - parameters.n_components
        found = splits(few, parameters, setting.reg_covar, setting.n_threads)
        if not found:
            return
        if missing > len(found):  # no component is split twice
            parameters = split_components(parameters, found)
            parameters = _advance_a_little(few, parameters, setting).parameters
            continue
        for first in range(min(_SPLITS, len(found) - missing + 1)):
            with suppress(CollapseError):
                start = split_components(parameters, found[first : first + missing])
                yield Reached("split", _advance_a_little(few, start, setting))
        return


def _advance_a_little(
    samples: Samples, start: MixtureParameters, setting: Setting
) -> EMResult[MixtureParameters]:
    tol = _FEW_ITERATIONS_GAIN / samples.total_weight
    return _em(samples, start, max(tol, setting.tol), _FEW_ITERATIONS, setting)


def _em(
    samples: Samples, start: MixtureParameters, tol: float, max_iter: int, setting: Setting
) -> EMResult[MixtureParameters]:
    return run(
        samples,
        start,
        posterior=ExactPosterior(setting.n_threads),
        update=ClosedForm(setting.reg_covar, setting.n_threads),
        convergence=RemainingGain(tol),
        max_iter=max_iter,
        acceleration=QuasiNewton(),
    )
