"""How many samples each component of a mixture has."""

from typing import Any

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.posteriors.base import Posterior
from ..em.posteriors.exact import ExactPosterior
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics


def component_sizes(
    samples: Samples,
    parameters: MixtureParameters,
    posterior: Posterior[Any, Any] | None = None,
) -> Array:
    """Return how many samples of positive weight each component has, whatever their weights.

    Parameters
    ----------
    samples : Samples
    parameters : MixtureParameters
    posterior : Posterior, optional
        Of the samples with equal weights; exact by default.

    Returns
    -------
    (K,) array
    """
    if samples.has_equal_weights:
        return parameters.weights * samples.n_present
    return samples.sum(_sizes, parameters, posterior or ExactPosterior(1), n_threads=1)


def _sizes(
    samples: Samples,
    parameters: MixtureParameters,
    posterior: Posterior[Any, Any],
    n_threads: int,  # noqa: ARG001
) -> Array:
    once = samples.once()
    posterior.start(once, parameters)
    statistics: SufficientStatistics = posterior.summarize(once, parameters)
    return statistics.moments.nk
