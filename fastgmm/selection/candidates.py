"""Candidates with their criteria; those that are near the best are fitted more exactly."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from ..data.samples import Samples
from ..estimators import GaussianMixture
from ..estimators._restarts import best_of
from ..model import criteria
from ..model.covariance import get_covariance_model
from ..model.prediction import log_likelihood_and_assignment
from .race import Setting
from .search import Fit, Key, polish
from .table import CRITERIA, Candidate
from .tolerance import allowed_gain, first_tolerance
from .workers import map_in_threads


def compare(
    fits: dict[Key, Fit],
    candidate: Callable[[Key, Fit], Candidate],
    samples: Samples,
    criterion: str,
    setting: Setting,
) -> list[Candidate]:
    """Return all candidates, fitted as exactly as where they stand asks for.

    Parameters
    ----------
    fits : dict of Key to Fit
    candidate : callable
        Returns the candidate of a fit.
    samples : Samples
    criterion : {'bic', 'icl', 'aic', 'held-out'}
    setting : Setting

    Returns
    -------
    list of Candidate
        In the order of the fits.
    """

    def candidates_of(some: dict[Key, Fit]) -> dict[Key, Candidate]:
        found = map_in_threads(lambda key: candidate(key, some[key]), [*some], setting.n_workers)
        return dict(zip(some, found, strict=True))

    reached, candidates = dict(fits), candidates_of(fits)
    tols = {key: fit.tol for key, fit in fits.items()}
    while finer := _finer(candidates, tols, criterion, samples.total_weight, setting.tol):
        polished = map_in_threads(
            lambda item: polish(samples, reached[item[0]], item[1], setting),
            [*finer.items()],
            setting.n_workers,
        )
        changed = {
            key: fit for key, fit in zip(finer, polished, strict=True) if fit is not reached[key]
        }
        candidates |= candidates_of(changed)
        reached.update(changed)
        tols |= finer
    return [candidates[key] for key in fits]


def _finer(
    candidates: dict[Key, Candidate],
    tols: dict[Key, float],
    criterion: str,
    weight: float,
    least_tol: float,
) -> dict[Key, float]:
    """Return the tolerances of fits that may still gain too much for where they stand."""
    unit = -2.0 * weight if CRITERIA[criterion][1] else 1.0  # to units of BIC
    values = {
        key: unit * candidate.value(criterion)
        for key, candidate in candidates.items()
        if candidate.fault is None and not np.isnan(candidate.value(criterion))
    }
    best = min(values.values(), default=0.0)
    finer = {}
    for key, value in values.items():
        if max(least_tol, allowed_gain(value - best, weight)) < tols[key]:
            finer[key] = first_tolerance(value - best, weight, least_tol)
    return finer


def candidate_of(
    template: GaussianMixture,
    X: Any,
    samples: Samples,
    key: Key,
    fit: Fit,
    held_out: float,
    setting: Setting,
) -> Candidate:
    """Return a fit with its criteria, as a fitted estimator.

    Parameters
    ----------
    template : GaussianMixture
        With the options that all candidates share, and the names of the features.
    X : array-like
    samples : Samples
    key : Key
    fit : Fit
    held_out : float
        Mean log-likelihood of samples that a fit has not seen, or NaN.
    setting : Setting

    Returns
    -------
    Candidate
    """
    name, K = key
    n_covariances = get_covariance_model(name).n_parameters(K, samples.n_features)
    p = n_covariances + K * samples.n_features + K - 1
    if fit.reached is None:
        return Candidate(name, K, p, fault=fit.fault)
    start, result = fit.reached
    estimator = deepcopy(template)
    estimator.n_components, estimator.covariance_type = K, name
    if setting.is_truncated(K):
        estimator.posterior, estimator.acceleration = "truncated", None
    estimator._fitted(result, X, samples, best_of([result])[1])
    total, assigned = log_likelihood_and_assignment(samples, result.parameters, setting.n_threads)
    bic = criteria.bic(total, p, samples.total_weight)
    return Candidate(
        name,
        K,
        p,
        log_likelihood=total,
        bic=bic,
        icl=criteria.icl(bic, assigned),
        aic=criteria.aic(total, p),
        held_out=held_out,
        start=start,
        converged=result.converged,
        n_iter=result.n_iter,
        fault=fit.fault,
        estimator=estimator,
    )
