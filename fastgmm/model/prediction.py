"""Predictions for samples: log-densities, responsibilities, best components."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels as kernels
from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.samples import Samples
from .parameters import MixtureParameters


@numpys_rules()
def log_density(samples: Samples, parameters: MixtureParameters, n_threads: int) -> Array:
    """Return log p(x) for each sample, in nats."""
    log_prob_norm = np.empty(samples.n_samples)
    _evaluate(samples, parameters, n_threads, log_prob_norm=log_prob_norm)
    return log_prob_norm


@numpys_rules()
def log_likelihood(samples: Samples, parameters: MixtureParameters, n_threads: int) -> float:
    """Return sum w log p(x), in nats."""
    log_prob_norm = log_density(samples, parameters, n_threads)
    weighted = samples.is_weighted
    return float(samples.sample_weight @ log_prob_norm if weighted else log_prob_norm.sum())


@numpys_rules()
def responsibilities(samples: Samples, parameters: MixtureParameters, n_threads: int) -> Array:
    """Return p(k | x), an (n, K) array whose rows sum to 1."""
    resp = np.empty((samples.n_samples, parameters.n_components))
    _evaluate(samples, parameters, n_threads, resp=resp)
    return resp


@numpys_rules()
def best_components(
    samples: Samples, parameters: MixtureParameters, n_threads: int
) -> NDArray[np.int64]:
    """Return the component of the largest responsibility for each sample."""
    labels = np.empty(samples.n_samples, np.int64)
    _evaluate(samples, parameters, n_threads, labels=labels)
    return labels


def _evaluate(
    samples: Samples, parameters: MixtureParameters, n_threads: int, **outputs: NDArray[Any]
) -> None:
    """Fill the outputs of the posterior kernel, block by block."""
    components = parameters.components()
    for rows in samples.block_slices():
        parts = {name: output[rows] for name, output in outputs.items()}
        kernels.posterior(samples.rows(rows), components, n_threads, **parts)
