"""What users hand to estimators: samples, weights and starting values, checked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from .._kernels.layout import Array
from ..data import checks
from ..data.containers import is_frame
from ..data.samples import Samples
from ..data.sources import Source
from ..model.covariance import get_covariance_model
from ..model.covariance_model import Features
from ..model.validation import check_covariances, check_means, check_precisions, check_weights


def check_samples(
    estimator: BaseEstimator,
    X: Any,
    sample_weight: Any = None,
    *,
    reset: bool,
    min_samples: int = 1,
    with_missing: bool | None = None,
    may_be_absent: bool = False,
) -> Samples:
    """Return checked samples and weights; check or set the features that the estimator knows.

    Missing values are allowed by ``with_missing``, or by the estimator's parameter ``missing``.

    Raises
    ------
    ValueError, TypeError
        As ``data.checks.check_samples``, and where X has other features than in ``fit``.
    """
    finite = not get_config()["assume_finite"]
    if with_missing is None:
        with_missing = getattr(estimator, "missing", "error") == "marginalize"
    samples = checks.check_samples(
        X,
        sample_weight,
        min_samples=min_samples,
        finite=finite,
        with_missing=with_missing,
        may_be_absent=may_be_absent,
    )
    frame = X if is_frame(X) else None
    if isinstance(X, Source) and X.feature_names is not None:
        frame = _header(X.feature_names)
    check_feature_names(estimator, frame, samples.n_features, reset=reset)
    return samples


def check_feature_names(
    estimator: BaseEstimator, frame: Any, n_features: int, *, reset: bool
) -> None:
    """Check or set the features that the estimator knows: those of a data frame, or a number.

    Raises
    ------
    ValueError
        If X has other features than in ``fit``.
    """
    known = np.broadcast_to(0.0, (1, n_features)) if frame is None else frame
    validate_data(estimator, known, reset=reset, skip_check_array=True)


def _header(names: list[str]) -> Any:
    """Return a data frame without rows: the sources that know names read them with pyarrow."""
    import pyarrow

    return pyarrow.table({name: pyarrow.array([], pyarrow.float64()) for name in names})


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


def check_given(estimator: Any, n_features: int) -> dict[str, Any]:
    """Return the starting values that were given, None for the others.

    Covariances are a pair, with the factors of their inverses.
    """
    K, model = estimator.n_components, get_covariance_model(estimator.covariance_type)
    weights, means = estimator.weights_init, estimator.means_init
    precisions, covariances = estimator.precisions_init, estimator.covariances_init
    if precisions is not None and covariances is not None:
        raise ValueError(
            "Expected covariances_init or precisions_init, which are inverses of each other, "
            "but got both."
        )
    factored: tuple[Array, Array] | None = None
    if covariances is not None:
        factored = check_covariances(covariances, model, K, n_features, "covariances_init")
    elif precisions is not None:
        factored = check_precisions(precisions, model, K, n_features, "precisions_init")
    return {
        "weights": None if weights is None else check_weights(weights, K, "weights_init"),
        "means": None if means is None else check_means(means, K, n_features, "means_init"),
        "factored": factored,
    }


def check_features(names: Sequence[str], features: Any, n_features: int) -> Features:
    """Return the numbers of features that are given by numbers, names, a slice or a mask.

    Parameters
    ----------
    names : sequence of str
        Of all features; empty if they have none.
    features : int, str, slice or array-like
    n_features : int

    Raises
    ------
    ValueError
        If there is none, one is unknown, or one is named twice.
    """
    names = list(names)
    given: Any = features if isinstance(features, slice) else np.atleast_1d(np.asarray(features))
    if not isinstance(given, slice) and given.dtype.kind in "OUT":
        unknown = [str(name) for name in given.ravel() if name not in names]
        if unknown:
            allowed = f"among {names}" if names else "numbers, of samples without names"
            raise ValueError(f"features should be {allowed}, but got {unknown[0]!r}.")
        given = np.array([names.index(name) for name in given.ravel()])
    try:
        numbers: Features = np.arange(n_features)[given if np.size(given) else slice(0)]
    except IndexError as error:
        raise ValueError(
            f"features should be numbers below {n_features}, names, a slice or a mask of "
            f"{n_features} bools, but got {features!r}."
        ) from error
    if numbers.ndim != 1 or len(numbers) == 0 or len(np.unique(numbers)) < len(numbers):
        raise ValueError(
            f"features should be a list of one feature or more, each once, but got {features!r}."
        )
    return numbers


def check_count(value: Any, name: str) -> None:
    """Raise TypeError or ValueError unless a parameter of a method is a number of things.

    Parameters
    ----------
    value : object
    name : str
        By which the user calls it.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"Invalid value for {name!r}: expected an integer, got {value!r}.")
    if not 1 <= int(value) < 2**63:
        limit = "at least 1" if int(value) < 1 else "less than 2^63"
        raise ValueError(f"Invalid value for {name!r}: expected {limit}, got {value}.")
