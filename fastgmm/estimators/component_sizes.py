"""How many samples each component of a mixture has."""

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.posteriors.exact import ExactPosterior
from ..model.parameters import MixtureParameters


def component_sizes(samples: Samples, parameters: MixtureParameters) -> Array:
    """Return how many samples of positive weight each component has, whatever their weights.

    Parameters
    ----------
    samples : Samples
    parameters : MixtureParameters

    Returns
    -------
    (K,) array
    """
    present = samples.sample_weight > 0.0
    weights = samples.sample_weight[present] if samples.is_weighted else np.ones(1)
    if (weights == weights[0]).all():
        rows = len(weights) if samples.is_weighted else samples.n_samples
        return parameters.weights * rows
    once = samples.with_weight(present.astype(np.float64))
    return ExactPosterior(1).summarize(once, parameters).moments.nk
