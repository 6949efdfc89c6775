"""Predictions that compare a sample with a few components: as `model.prediction`, for large K.

The components of a sample are sought as `NeighborhoodPosterior` does, in parts of the samples, each
for itself. What is not found is left out: densities are bounds from below.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.samples import Samples
from ..model.parameters import MixtureParameters
from ..model.prediction import sparse_rows
from .candidates import Candidates, Found

_FLOAT64 = np.dtype(np.float64)

# More than a fit keeps, and fewer trees. With 3 candidates, 15 neighbours and 4 trees densities
# lack 0.04 to 0.08 nats a sample; so they lack 0.001 to 0.006, in about the same time (100,000
# patches, K = 8,000).
_CANDIDATES = 10
_NEIGHBORS = 32
_TREES = 2
_SEED = 0
# With fewer components or samples exact predictions take no longer. Densities and labels leave out
# what cannot matter (`model.pruned_prediction`): 100,000 patches, K = 8,000, take the same time so,
# and with K = 16,000 1.65 times as long.
_LEAST_COMPONENTS = 2048
_LEAST_FOR_DENSITIES = 2**14
_LEAST_SAMPLES = 8192
# So many rows, or more, are looked at together, if there are so many: enough for each component to
# form groups.
_ROWS_PER_COMPONENT = 32
_LEAST_ROWS = 2**18


def is_worthwhile(samples: Samples, n_components: int, of_responsibilities: bool) -> bool:
    """Return whether it takes less time than exact predictions.

    Parameters
    ----------
    samples : Samples
    n_components : int
    of_responsibilities : bool
        Whether responsibilities are predicted; else densities or labels.
    """
    least = _LEAST_COMPONENTS if of_responsibilities else _LEAST_FOR_DENSITIES
    return n_components >= least and samples.n_samples >= _LEAST_SAMPLES


@numpys_rules()
def log_density(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    dtype: "np.dtype[Any]" = _FLOAT64,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return a bound below log p(x) for each sample, in nats; in ``out`` if it is given."""
    bounds = np.empty(samples.n_samples, dtype) if out is None else out
    for rows, found in _search(samples, parameters, n_threads):
        log_prob_norm = found.log_prob_norm
        if bounds.dtype == np.float32:
            log_prob_norm = np.maximum(log_prob_norm, np.finfo(np.float32).min)
        bounds[rows] = log_prob_norm
    return bounds


@numpys_rules()
def density_and_label(
    samples: Samples, parameters: MixtureParameters, n_threads: int
) -> tuple[Array, NDArray[np.int64]]:
    """Return what `log_density` and `best_components` do, from one search."""
    bounds, labels = np.empty(samples.n_samples), np.empty(samples.n_samples, np.int64)
    for rows, found in _search(samples, parameters, n_threads):
        bounds[rows], labels[rows] = found.log_prob_norm, found.candidates[:, 0]
    return bounds, labels


@numpys_rules()
def responsibilities(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    dtype: "np.dtype[Any]" = _FLOAT64,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return an (n, K) array of the responsibilities of candidates, and 0 elsewhere."""
    shape = samples.n_samples, parameters.n_components
    resp = np.zeros(shape, dtype) if out is None else out
    resp[...] = 0.0
    for rows, found in _search(samples, parameters, n_threads):
        resp[rows[:, np.newaxis], found.candidates] = found.resp
    return resp


@numpys_rules()
def top_responsibilities(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    top: int,
    dtype: "np.dtype[Any]" = _FLOAT64,
) -> csr_array:
    """Return the ``top`` largest responsibilities of each sample, an (n, K) sparse array."""
    shape = samples.n_samples, min(top, parameters.n_components)
    labels, values = np.empty(shape, np.int32), np.empty(shape, dtype)
    for rows, found in _search(samples, parameters, n_threads, top):
        labels[rows] = found.candidates[:, :top]
        values[rows] = found.resp[:, :top]
    return sparse_rows(labels, values, parameters.n_components)


@numpys_rules()
def best_components(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    out: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Return the best component that is found for each sample."""
    labels = np.empty(samples.n_samples, np.int64) if out is None else out
    for rows, found in _search(samples, parameters, n_threads):
        labels[rows] = found.candidates[:, 0]
    return labels


def _search(
    samples: Samples,
    parameters: MixtureParameters,
    n_threads: int,
    n_candidates: int = _CANDIDATES,
) -> Iterator[tuple[NDArray[np.int64], Found]]:
    """Yield what is found for some samples, and their places among all."""
    n_rows = max(_ROWS_PER_COMPONENT * parameters.n_components, _LEAST_ROWS)
    n_parts = max(samples.n_samples // n_rows, 1)  # equal: none has only a few rows
    bounds = samples.n_samples * np.arange(n_parts + 1) // n_parts
    count = max(n_candidates, _CANDIDATES)
    numbers = count, max(count, _NEIGHBORS), _SEED, n_threads
    for start, stop in pairwise(bounds.tolist()):
        rows = np.arange(start, stop)
        part = Samples(samples.rows(slice(start, stop)))
        for found in Candidates(part, parameters, *numbers, _TREES).search(parameters, n_threads):
            yield rows[found.rows], found
