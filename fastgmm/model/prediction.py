"""Predictions for samples: log-densities, responsibilities, best components."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .. import _kernels as kernels
from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.samples import Samples
from .parameters import MixtureParameters
from .priors import VariationalParameters
from .pruned_prediction import PrunedPrediction, is_worthwhile

_FLOAT64 = np.dtype(np.float64)

# Results that are computed at a time where they are reduced, rounded or put in order: 8 MB.
_ELEMENTS_AT_A_TIME = 2**20


def result_dtype(
    samples: Samples, parameters: MixtureParameters, fitted: "np.dtype[Any]"
) -> "np.dtype[Any]":
    """Return the type of densities and responsibilities, which is that of scikit-learn's.

    float32 where the samples and those of the fit are; a variational posterior's are float64.
    """
    if isinstance(parameters, VariationalParameters):
        return _FLOAT64
    return np.result_type(samples.result_dtype, fitted)


@numpys_rules()
def log_density(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    dtype: "np.dtype[Any]" = _FLOAT64,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return log p(x) for each sample, in nats, computed in float64; in ``out`` if it is given."""
    log_prob_norm = np.empty(samples.n_samples, dtype) if out is None else out
    _evaluate(samples, parameters, n_threads, log_prob_norm=log_prob_norm)
    return log_prob_norm


@numpys_rules()
def log_likelihood(samples: Samples, parameters: MixtureParameters, n_threads: int) -> float:
    """Return sum w log p(x), in nats."""
    total = 0.0
    for rows, kernel in _pieces(samples, parameters, n_threads):
        log_prob_norm = np.empty(_count(rows))
        kernel(samples.rows(rows), log_prob_norm=log_prob_norm)
        weighted = samples.is_weighted
        total += float(samples.weight(rows) @ log_prob_norm if weighted else log_prob_norm.sum())
    return total


@numpys_rules()
def responsibilities(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    dtype: "np.dtype[Any]" = _FLOAT64,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return p(k | x), an (n, K) array whose rows sum to 1, as ``log_density``."""
    shape = samples.n_samples, parameters.n_components
    resp = np.empty(shape, dtype) if out is None else out
    _evaluate(samples, parameters, n_threads, resp=resp)
    return resp


@numpys_rules()
def top_responsibilities(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    top: int,
    dtype: "np.dtype[Any]" = _FLOAT64,
) -> csr_array:
    """Return the ``top`` largest p(k | x) of each sample, an (n, K) sparse array."""
    K = parameters.n_components
    shape = samples.n_samples, min(top, K)
    labels, values = np.empty(shape, np.int32), np.empty(shape, dtype)
    for rows, kernel in _pieces(samples, parameters, n_threads, K, True):
        X = samples.rows(rows)
        resp = np.empty((len(X), K))
        kernel(X, resp=resp)
        # those of equal responsibility in the order of the components
        chosen = np.argsort(-resp, axis=1, kind="stable")[:, :top]
        labels[rows], values[rows] = chosen, np.take_along_axis(resp, chosen, axis=1)
    return sparse_rows(labels, values, K)


def sparse_rows(labels: NDArray[np.int32], values: NDArray[Any], n_components: int) -> csr_array:
    """Return the (n, K) sparse array that has some values in each row, C of them.

    Parameters
    ----------
    labels : (n, C) array of int
        Their columns, in any order.
    values : (n, C) array
    n_components : int

    Returns
    -------
    csr_array
        Columns ascend; a value may be 0.
    """
    n, count = labels.shape
    order = np.argsort(labels, axis=1)
    columns, data = (np.take_along_axis(table, order, axis=1) for table in (labels, values))
    starts = np.arange(0, n * count + 1, count)
    return csr_array((data.ravel(), columns.ravel(), starts), shape=(n, n_components))


@numpys_rules()
def log_likelihood_and_assignment(
    samples: Samples, parameters: MixtureParameters, n_threads: int
) -> tuple[float, float]:
    """Return sum w log p(x) and sum w log max_k p(k | x), in nats.

    The second is 0 where no sample might belong elsewhere.
    """
    likelihood, assignment, K = 0.0, 0.0, parameters.n_components
    for rows, kernel in _pieces(samples, parameters, n_threads, K, True):
        X, weight = samples.rows(rows), samples.weight(rows)
        norm, resp, labels = np.empty(len(X)), np.empty((len(X), K)), np.empty(len(X), np.int64)
        kernel(X, log_prob_norm=norm, resp=resp, labels=labels)
        likelihood += float(weight @ norm)
        assignment += float(weight @ np.log(resp[np.arange(len(X)), labels]))
    return likelihood, assignment


@numpys_rules()
def best_components(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    out: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the component of the largest responsibility for each sample."""
    labels = np.empty(samples.n_samples, np.int64) if out is None else out
    _evaluate(samples, parameters, n_threads, labels=labels)
    return labels


@numpys_rules()
def squared_distances(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    out: Array | None = None,
) -> Array:
    """Return the squared Mahalanobis distance of each sample from each component, (n, K)."""
    distances = np.empty((samples.n_samples, parameters.n_components)) if out is None else out
    components = parameters.components()
    for rows in samples.block_slices():
        kernels.mahalanobis(samples.rows(rows), components, distances[rows], n_threads)
    return distances


def _evaluate(
    samples: Samples, parameters: MixtureParameters, n_threads: int, **outputs: NDArray[Any]
) -> None:
    """Fill the outputs of the posterior kernel, block by block."""
    rounded = [name for name, output in outputs.items() if output.dtype == np.float32]
    copied = rounded if samples.gaps is None else list(outputs)
    columns = parameters.n_components if "resp" in outputs else 1
    for rows, kernel in _pieces(samples, parameters, n_threads, columns, bool(copied)):
        parts: dict[str, Any] = {name: output[rows] for name, output in outputs.items()}
        parts |= {name: np.empty(parts[name].shape) for name in rounded}
        kernel(samples.rows(rows), **parts)
        for name in rounded:
            # the log-density of a sample that is very far away is not in the range of float32
            np.maximum(parts[name], np.finfo(np.float32).min, out=parts[name])
        for name in copied:
            outputs[name][rows] = parts[name]


def _count(rows: Any) -> int:
    """Return how many rows a slice or an array of numbers stands for."""
    return rows.stop - rows.start if isinstance(rows, slice) else len(rows)


def _pieces(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    columns: int = 1,
    is_copied: bool = False,
) -> Iterator[tuple[Any, Callable[..., None]]]:
    """Yield rows to evaluate at a time, and the function that writes outputs for these.

    ``columns`` is how many numbers it writes for a sample: 1 or K. If these are copied, a piece has
    few of them.
    """
    largest = max(_ELEMENTS_AT_A_TIME // columns, 1) if is_copied else None
    components, K = parameters.components(), parameters.n_components
    exact, incomplete = (
        partial(kernel, components=components, n_threads=n_threads)
        for kernel in (kernels.posterior, kernels.posterior_incomplete)
    )
    n_complete = samples.n_samples if samples.gaps is None else len(samples.gaps.complete)
    if columns == 1 and is_worthwhile(n_complete, K):
        exact = partial(PrunedPrediction(parameters, n_threads).posterior, n_threads=n_threads)
    if samples.gaps is None:
        for rows in samples.block_slices(largest):
            yield rows, exact
    else:
        for some, is_complete in samples.gaps.parts(largest):
            yield some, exact if is_complete else incomplete
