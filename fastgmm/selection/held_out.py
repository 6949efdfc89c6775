"""The likelihood of samples that a fit has not seen."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..data.samples import Samples
from ..model.prediction import log_likelihood
from .race import Setting
from .search import Key, search


def held_out_likelihoods(
    samples: Samples, keys: Sequence[Key], setting: Setting, n_folds: int
) -> dict[Key, float]:
    """Return the mean log-likelihood of each sample under a fit to the other folds.

    Parameters
    ----------
    samples : Samples
    keys : sequence of Key
    setting : Setting
    n_folds : int

    Returns
    -------
    dict of Key to float
        In nats per sample; NaN where a fit failed.
    """
    totals = dict.fromkeys(keys, 0.0)
    for train, test in _folds(samples, n_folds, setting.seed):
        # as exact as a fit to all samples: tol is in nats per sample
        ratio = samples.total_weight / train.total_weight
        own = replace(setting, tol=ratio * setting.tol, rough_tol=ratio * setting.rough_tol)
        fits = search(train, keys, own)
        for key, fit in fits.items():
            totals[key] += (
                np.nan
                if fit.reached is None
                else log_likelihood(test, fit.reached.result.parameters, setting.n_threads)
            )
    return {key: total / samples.total_weight for key, total in totals.items()}


def _folds(samples: Samples, n_folds: int, seed: int) -> Iterator[tuple[Samples, Samples]]:
    """Yield random parts of the samples of positive weight: all but one fold, and this fold."""
    rows = np.flatnonzero(samples.sample_weight > 0.0)
    fold = np.arange(len(rows)) % n_folds
    np.random.RandomState(seed).shuffle(fold)
    for number in range(n_folds):
        yield (
            samples.take(rows[fold != number]),
            samples.take(rows[fold == number]),
        )
