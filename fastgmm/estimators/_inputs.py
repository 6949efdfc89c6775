"""Samples from arrays and data frames, checked as scikit-learn does, without a copy."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from .._kernels.layout import Array
from ..data.samples import Samples
from ..model.covariance import get_covariance_model
from ..model.validation import check_means, check_precisions, check_sample_weight, check_weights

_FLOATS = (np.float64, np.float32)


def check_samples(
    estimator: BaseEstimator,
    X: Any,
    sample_weight: Any = None,
    *,
    reset: bool,
    min_samples: int = 1,
) -> Samples:
    """Return checked samples and weights.

    float64 and float32 arrays are taken in any memory order. Integers, and data frames that are
    not one array in memory, are kept as they are and converted a block at a time.

    Raises
    ------
    ValueError, TypeError
        As scikit-learn: NaN, infinity, wrong dimensions, no samples, sparse or non-numeric data.
    """
    samples = _frame(X)
    if samples is None:
        keeps_dtype = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=None if keeps_dtype else _FLOATS,
            ensure_min_samples=min_samples,
        )
        samples = Samples(X)
    else:
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        for rows in samples.block_slices():
            block = samples.unconverted_rows(rows)
            check_array(block, dtype=_FLOATS, input_name="X", estimator=estimator)
    return samples.with_weight(check_sample_weight(sample_weight, samples.n_samples))


def check_magnitude(samples: Samples) -> None:
    """Raise ValueError where weighted sums of squares of the samples overflow float64."""
    terms = samples.n_features * max(samples.total_weight, 1.0)
    limit = 0.5 * np.sqrt(np.finfo(np.float64).max / terms)
    for X, _ in samples.blocks():
        largest = max(X.max(), -X.min())
        if largest > limit:
            raise ValueError(
                "X is too large for float64, where sums of its squares overflow: its magnitude "
                f"should be at most {limit:.3g} with a total weight of {samples.total_weight:.3g}, "
                f"but got {largest:.3g}. Scale the input data."
            )


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Restore the attributes of an estimator if the block fails."""
    attributes = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(attributes)
        raise


def _frame(X: Any) -> Samples | None:
    """Return samples of a data frame whose columns are separate arrays; None for other data."""
    if isinstance(X, np.ndarray) or not (hasattr(X, "to_numpy") and hasattr(X, "columns")):
        return None
    if X.shape[0] < 2 or X.shape[1] == 0:
        return None
    samples = Samples(X)
    return samples if samples.is_converted else None


def check_given(estimator: Any, n_features: int) -> dict[str, Array | None]:
    """Return the starting weights, means and precisions that were given, None for the others."""
    K = estimator.n_components
    weights, means = estimator.weights_init, estimator.means_init
    precisions = estimator.precisions_init
    return {
        "weights": None if weights is None else check_weights(weights, K),
        "means": None if means is None else check_means(means, K, n_features),
        "precisions": None
        if precisions is None
        else check_precisions(
            precisions, get_covariance_model(estimator.covariance_type), K, n_features
        ),
    }
