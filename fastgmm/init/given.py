"""Starting points that users hand in: labels, responsibilities, or a function that returns them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._kernels.layout import Array
from ..data.containers import to_array
from ..data.samples import Samples
from ..model.covariance_model import CovarianceModel
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from ..model.validation import check_resp
from .filling import filled_rows
from .seeding import one_hot

_NAME = "init_params"
_RESULT = "The result of init_params"
_ROWS = 2**14

Resp = Callable[[int, int], Array]


def is_given(init_params: Any) -> bool:
    """Return whether a start is handed in, and not the name of a method."""
    return not isinstance(init_params, str)


def given_start(
    samples: Samples,
    init_params: Any,
    n_components: int,
    covariance_model: CovarianceModel,
    random_state: np.random.RandomState,
) -> MixtureParameters | Resp:
    """Return the parameters, or the responsibilities of rows, that a user's start stands for.

    Parameters
    ----------
    samples : Samples
    init_params : array or callable
        Labels of shape (n_samples,), responsibilities of shape (n_samples, n_components), or a
        function of (X, n_components, random_state) that returns these or MixtureParameters.
    n_components : int
    covariance_model : CovarianceModel
    random_state : RandomState
        What the function draws from.

    Returns
    -------
    MixtureParameters or callable
        Parameters, or the responsibilities of rows ``start`` to ``stop``.

    Raises
    ------
    ValueError
        If shapes do not agree, a label is no component, responsibilities do not sum to 1, or a
        component has no sample of positive weight.
    TypeError
        If parameters are of another covariance type, or an array is no array of numbers.
    """
    if not callable(init_params):
        values = to_array(init_params, _NAME)
        return _responsibilities(samples, samples.of_present(values), n_components, _NAME)
    if not samples.in_memory:
        raise ValueError(f"{_NAME} is a function of all samples, which needs them in memory.")
    X = samples.rows(slice(None)).view()
    X.flags.writeable = False
    result = init_params(X, n_components, random_state)
    if not isinstance(result, MixtureParameters):
        return _responsibilities(samples, to_array(result, _RESULT), n_components, _RESULT)
    expected = covariance_model.name, (n_components, samples.n_features)
    got = result.covariance_type, result.means.shape
    if got != expected:
        raise ValueError(
            f"{_RESULT} should be a {expected[0]} mixture with means of shape {expected[1]}, "
            f"but got a {got[0]} one with means of shape {got[1]}."
        )
    return result


def given_statistics(
    samples: Samples,
    resp: Resp,
    n_components: int,
    covariance_model: CovarianceModel,
    n_threads: int,
) -> SufficientStatistics:
    """Return the statistics of all samples under responsibilities that are given.

    Where values are missing, those of ``filled_rows``.

    Parameters
    ----------
    samples : Samples
    resp : callable
    n_components : int
    covariance_model : CovarianceModel
    n_threads : int
        Does not change the result.

    Returns
    -------
    SufficientStatistics
    """
    if samples.gaps is not None:
        samples = Samples(filled_rows(samples), samples.sample_weight)
    first = np.asarray(samples.rows(slice(0, 1)), np.float64)
    centers = np.repeat(first, n_components, axis=0)
    for _ in range(2):  # in two steps: the first sample may be far from the others
        statistics = SufficientStatistics.zeros(covariance_model, centers)
        for rows in samples.block_slices(_ROWS):
            weight = samples.sample_weight[rows]
            statistics.add_moments(
                samples.rows(rows), weight, resp(rows.start, rows.stop), n_threads
            )
        centers = statistics.central()[1]
    return statistics


def _responsibilities(samples: Samples, values: Any, n_components: int, name: str) -> Resp:
    n_samples = samples.n_samples
    if values.ndim == 1:
        resp, sizes = _of_labels(samples, values, n_components, name)
    elif values.ndim == 2:
        table = check_resp(values, name, n_samples, n_components)
        resp, sizes = lambda start, stop: table[start:stop], samples.sample_weight @ table
    else:
        raise ValueError(
            f"{name} should have the shape of ({n_samples},), labels, or ({n_samples}, "
            f"{n_components}), responsibilities, but got {values.shape}."
        )
    empty = np.flatnonzero(~(sizes > 0.0))
    if len(empty):
        raise ValueError(
            f"{name} should give each of {n_components} components a sample of positive weight, "
            f"but component {empty[0]} has none."
        )
    return resp


def _of_labels(samples: Samples, labels: Any, n_components: int, name: str) -> tuple[Resp, Array]:
    if labels.shape != (samples.n_samples,):
        raise ValueError(
            f"{name} should hold a label for each of {samples.n_samples} samples, "
            f"but got {labels.shape[0]}."
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name} should hold integers as labels, but got {labels.dtype}.")
    wrong = np.flatnonzero((labels < 0) | (labels >= n_components))
    if len(wrong):
        raise ValueError(
            f"{name} should hold labels from 0 to {n_components - 1}, "
            f"but got {labels[wrong[0]]} for sample {wrong[0]}."
        )
    labels = labels.astype(np.int64)
    sizes: Array = np.bincount(labels, samples.sample_weight, n_components).astype(np.float64)
    return one_hot(labels, n_components), sizes
