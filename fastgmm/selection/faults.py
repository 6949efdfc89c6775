"""Maxima that are spurious: the likelihood of a mixture has no upper bound.

A component that shrinks onto a few samples, or onto samples that a coarse unit made equal, gains
without end. What it gains comes from ``reg_covar`` and not from the data, so that no criterion can
compare it.
"""

from typing import Any

import numpy as np

from .._kernels.layout import Array
from ..data.samples import Samples
from ..em.posteriors.base import Posterior
from ..em.result import EMResult
from ..estimators.component_sizes import component_sizes
from ..model.parameters import MixtureParameters
from ..model.statistics import sample_moments
from .race import Setting

# A covariance of one component needs this many samples for each dimension, and for its mean. Few
# variances are small by chance in more than two features at once.
_SAMPLES_PER_DIMENSION = 2
_DIMENSIONS_OF_VARIANCES = 2
# A variance that is less than so many times what is added to it has collapsed.
_COLLAPSED = 2.0
# Of many components, one in so many may be spurious.
_SPURIOUS = 20


def find_fault(
    samples: Samples, result: EMResult[MixtureParameters], setting: Setting
) -> str | None:
    """Return why a fit is no maximum that can be compared with others, or None.

    Parameters
    ----------
    samples : Samples
    result : EMResult
    setting : Setting
        Variances as small as ``collapsed`` have collapsed. Where EM is truncated, one component in
        twenty may have few samples, or have collapsed; all may where samples held out decide, which
        lie outside of such components.

    Returns
    -------
    str or None
    """
    parameters = result.parameters
    if result.collapsed:
        k = min(result.collapsed)
        return f"the covariance of component {k} collapsed in iteration {result.collapsed[k]}"
    K, allowed = parameters.n_components, 0
    if setting.is_truncated(K):
        if setting.is_held_out:
            return None
        allowed = K // _SPURIOUS
    return _few_samples(samples, parameters, setting.posterior(K), allowed) or _narrow(
        samples, parameters, setting.collapsed, allowed
    )


def _few_samples(
    samples: Samples, parameters: MixtureParameters, posterior: Posterior[Any, Any], allowed: int
) -> str | None:
    """Return which component has too few samples for a covariance of its own."""
    model, dimensions = parameters.covariance_model, parameters.n_features
    if not model.per_component:
        return None
    if not model.is_matrix:
        dimensions = min(dimensions, _DIMENSIONS_OF_VARIANCES)
    sizes = component_sizes(samples, parameters, posterior)
    needed = _SAMPLES_PER_DIMENSION * (dimensions + 1)
    k = int(np.argsort(sizes, kind="stable")[allowed])
    # a component of just as many samples may be counted a little lower
    if sizes[k] >= needed - 0.5:
        return None
    return f"component {k} has {sizes[k]:.1f} samples, fewer than {needed}"


def _narrow(
    samples: Samples, parameters: MixtureParameters, reg_covar: float | Array, allowed: int
) -> str | None:
    """Return which component has collapsed in a direction in which the samples vary."""
    model, (K, d) = parameters.covariance_model, parameters.means.shape
    alone = model.regularize(np.zeros_like(parameters.covariances), reg_covar)
    added = model.variances(alone, K, d)
    if not (added > 0.0).all():
        return None
    units = np.sqrt(added[0])
    squares = np.outer(units, units)
    covariances = model.dense(parameters.covariances, K, d)[: K if model.per_component else 1]
    rank = allowed if model.per_component else 0

    def least(matrices: Array) -> tuple[int, float]:
        """Return the component of this rank by its least variance, and that variance."""
        smallest = np.linalg.eigvalsh(matrices)[:, 0]
        k = int(np.argsort(smallest, kind="stable")[rank])
        return k, float(smallest[k])

    if least(covariances / squares)[1] >= _COLLAPSED:  # in any direction
        return None
    directions = _directions(_total(samples, parameters) / squares) / units[:, np.newaxis]
    if directions.shape[1] == 0:
        return None
    k, variance = least(directions.T @ covariances @ directions)
    if variance >= _COLLAPSED:
        return None
    which = f"component {k} has" if model.per_component else "the components have"
    return f"{which} collapsed: a variance is hardly more than reg_covar"


def _total(samples: Samples, parameters: MixtureParameters) -> Array:
    """Return the covariance of all samples as a (d, d) matrix; of the mixture where some have gaps.

    They are equal where EM has converged.
    """
    model = parameters.covariance_model
    if samples.gaps is not None:
        K, d = parameters.means.shape
        z = parameters.means - parameters.weights @ parameters.means
        squares = model.dense(parameters.covariances, K, d) + z[:, :, np.newaxis] * z[:, np.newaxis]
        return np.asarray(np.tensordot(parameters.weights, squares, axes=1))
    _, covariance = sample_moments(samples, model, 1)
    one = covariance[np.newaxis] if model.per_component else covariance
    return np.asarray(model.dense(one, 1, samples.n_features)[0])


def _directions(total: Array) -> Array:
    """Return orthonormal directions in which the samples vary by more than rounding."""
    variances, directions = np.linalg.eigh(total)
    return np.asarray(directions[:, variances > _COLLAPSED])
