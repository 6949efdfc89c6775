"""How many samples each component of a mixture has."""

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
    if samples.has_equal_weights:
        return parameters.weights * samples.n_present
    return samples.sum(_sizes, parameters, n_threads=1)


def _sizes(samples: Samples, parameters: MixtureParameters, n_threads: int) -> Array:
    return ExactPosterior(n_threads).summarize(samples.once(), parameters).moments.nk
