"""The M step of EM: parameters that maximise the expected complete log-likelihood."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ..._kernels.layout import Array
from ..._kernels.threads import count_threads
from ...model.parameters import MixtureParameters, distances_from_origin
from ...model.regularization import RegCovar, added_variances, check_reg_covar
from ...model.statistics import SufficientStatistics
from ..latent_variable_model import LatentVariableModel, check_update
from .base import Update, Updated

#: What an M step may leave as it is.
FIXABLE = ("weights", "covariances")


class ClosedForm(Update[Any, Any]):
    """The maximum of the expected complete log-likelihood.

    With N = sum_k nk::

        weight_k = nk / N
        mean_k = sum w r x / nk
        covariance_k = sum w r z z^T / nk + diag(reg_covar)    with z = x - mean_k

    A component whose new covariance would not be positive definite, or too narrow for float64 where
    it lies, keeps its previous covariance. A component without samples also keeps its previous
    mean. Both are generalized EM steps: the likelihood does not fall, and the fit goes on. What
    ``reg_covar`` adds is not part of the maximum: with it the likelihood may fall by a little where
    it makes up a good part of a variance.

    A `LatentVariableModel` computes its own maximum, by its method ``update``.

    Parameters
    ----------
    reg_covar : float, (d,) array or 'auto', default='auto'
        Added to the variances, in squared units of the features: one number, or one for each
        feature. ``auto`` is 1e-6 times the variance of each feature over all samples.
    n_jobs : int or None, default=None
        Number of threads, for large covariances; None: all cores.
    fixed : iterable of {'weights', 'covariances'}, default=()
        What keeps its value. The others are the maximum given these, so that the likelihood does
        not fall. With both it is `MeansOnly`.

    Raises
    ------
    ValueError
        If ``reg_covar`` or ``fixed`` is not valid.
    """

    parameters_type = MixtureParameters | LatentVariableModel
    is_em_step: ClassVar[bool] = True

    def __init__(
        self,
        reg_covar: RegCovar = "auto",
        n_jobs: int | None = None,
        fixed: Iterable[str] = (),
    ) -> None:
        self.reg_covar = check_reg_covar(reg_covar)
        self.n_threads = count_threads(n_jobs)
        self.fixed = check_fixed(fixed)

    def __call__(self, statistics: Any, previous: Any) -> Updated[Any]:
        """Return the next parameters."""
        if isinstance(previous, LatentVariableModel):
            updated = previous.update(statistics)
            check_update(updated, previous)
            return Updated(updated)
        return self._of_mixture(statistics, previous)

    def _of_mixture(
        self, statistics: SufficientStatistics, previous: MixtureParameters
    ) -> Updated[MixtureParameters]:
        model = statistics.covariance_model
        weights, means, covariances = estimate(statistics, self.reg_covar)
        if "weights" in self.fixed:
            weights = previous.weights
        if "covariances" in self.fixed:
            return Updated(replace(previous, weights=weights, means=means))
        factors, collapsed = model.factor(covariances, distances_from_origin(means), self.n_threads)
        dead = statistics.moments.nk <= 0
        kept = collapsed | dead if model.per_component else collapsed
        if not kept.any():
            return Updated(MixtureParameters(model, weights, means, covariances, factors))
        parameters = MixtureParameters(
            model,
            weights,
            means,
            model.replace(covariances, kept, previous.covariances),
            model.replace(factors, kept, previous.precisions_cholesky),
        )
        return Updated(parameters, frozenset(np.flatnonzero(collapsed & ~dead).tolist()))


def check_fixed(fixed: Any) -> frozenset[str]:
    """Return the names of what an M step leaves as it is.

    Raises
    ------
    ValueError
        If one is no name of `FIXABLE`.
    """
    is_collection = isinstance(fixed, Iterable) and not isinstance(fixed, str)
    names = list(fixed) if is_collection else []
    if not is_collection or any(name not in FIXABLE for name in names):
        allowed = " and ".join(map(repr, FIXABLE))
        raise ValueError(f"fixed should hold no other names than {allowed}, got {fixed!r}.")
    return frozenset(names)


def estimate(statistics: SufficientStatistics, reg_covar: RegCovar) -> tuple[Array, Array, Array]:
    """Return the weights, means and covariances that maximise Q, without checks."""
    nk, means, second = statistics.central()
    model = statistics.covariance_model
    # a tied covariance is divided by the sum of nk, which is positive
    safe = np.where(nk > 0, nk, 1.0) if model.per_component else nk
    weights, (K, d) = nk / nk.sum(), means.shape
    covariances = model.estimate(second, safe, d)
    variances = model.variances(covariances, K, d)
    added = added_variances(reg_covar, weights, means, variances)
    return weights, means, model.regularize(covariances, added)
