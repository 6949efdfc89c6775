"""The M step of EM: parameters that maximise the expected complete log-likelihood."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..._kernels.layout import Array
from ..._kernels.threads import count_threads
from ...data.samples import Samples
from ...model.covariance_model import CovarianceModel, Mask
from ...model.parameters import MixtureParameters, distances_from_origin
from ...model.penalties import NormalInverseWishartPrior, check_prior
from ...model.regularization import (
    RegCovar,
    added_to_samples,
    added_variances,
    check_covariance_floor,
    check_reg_covar,
)
from ...model.statistics import SufficientStatistics
from ..latent_variable_model import LatentVariableModel, check_update
from .base import Update, Updated
from .fixed import check_fixed, check_fixed_components, holds_none, share_weights


class ClosedForm(Update[Any, Any]):
    """The maximum of the expected complete log-likelihood, also under constraints or a prior.

    With N = sum_k nk::

        weight_k = nk / N
        mean_k = sum w r x / nk
        covariance_k = sum w r z z^T / nk + diag(reg_covar)    with z = x - mean_k

    A component whose new covariance would not be positive definite, or too narrow for float64 where
    it lies, keeps its previous covariance. A component without samples also keeps its previous
    mean. Both are generalized EM steps: the likelihood does not fall, and the fit goes on. What
    ``reg_covar`` adds is not part of the maximum: with it the likelihood may fall by a little where
    it makes up a good part of a variance.

    With a prior this is maximum a posteriori: the lower bound is the mean log-likelihood plus the
    log-density of the prior, without constants, divided by the total weight. It does not fall. If
    the posterior takes batches, the prior counts beside the samples of a batch.

    A `LatentVariableModel` computes its own maximum, by its method ``update``. It takes no
    constraint.

    Parameters
    ----------
    reg_covar : float, (d,) array or 'auto', default='auto'
        Added to the variances, in squared units of the features: one number, or one for each
        feature. ``auto`` is 1e-6 times the variance of each feature over all samples.
    n_jobs : int or None, default=None
        Number of threads, for large covariances; None: all cores.
    fixed : iterable of {'weights', 'means', 'covariances'}, default=()
        What keeps its value. The others are the maximum given these, so that the likelihood does
        not fall. With weights and covariances it is `MeansOnly`.
    fixed_components : list of int or mask of shape (K,), default=()
        Components that keep weight, mean and covariance. The others share the rest of the weight in
        proportion to their samples. Where components share a covariance, ``fixed`` must hold
        'covariances', too.
    prior : NormalInverseWishartPrior, 'mclust' or None, default=None
        ``mclust``: the default prior of mclust for the samples of the run.
    covariance_floor : float, (d,) array or 'auto', default=0
        Least variance in any direction, in squared units of the features: a covariance less
        diag(covariance_floor) has no negative eigenvalue. The maximum under this constraint lifts
        eigenvalues below the floor to it. ``auto`` is 1e-6 times the variance of each feature over
        all samples. A start below the floor is lifted by the first M step, in which the likelihood
        may fall.

    Raises
    ------
    ValueError
        If a parameter is not valid, or fixed components share a covariance that is not fixed.

    References
    ----------
    Fraley and Raftery (2007), Bayesian regularization for normal mixture estimation and model-based
    clustering, J. Classification 24.
    Ingrassia and Rocci (2007), Constrained monotone EM algorithms for finite mixture of
    multivariate Gaussians, Comput. Statist. Data Anal. 51.
    """

    parameters_type = MixtureParameters | LatentVariableModel
    is_em_step = True

    def __init__(
        self,
        reg_covar: RegCovar = "auto",
        n_jobs: int | None = None,
        fixed: Iterable[str] = (),
        *,
        fixed_components: Any = (),
        prior: NormalInverseWishartPrior | Literal["mclust"] | None = None,
        covariance_floor: RegCovar = 0.0,
    ) -> None:
        self.reg_covar = check_reg_covar(reg_covar)
        self.n_threads = count_threads(n_jobs)
        self.fixed = check_fixed(fixed)
        self.fixed_components = fixed_components
        self.prior = prior
        self.covariance_floor = check_covariance_floor(covariance_floor)
        # what `start` resolves from the samples of a run
        self._prior = None if isinstance(prior, str) else prior
        self._floor = 0.0 if isinstance(self.covariance_floor, str) else self.covariance_floor
        is_free = holds_none(fixed_components) and prior is None
        self.is_em_step = is_free and not np.any(self.covariance_floor != 0.0)
        self._is_constrained = not self.is_em_step or bool(self.fixed)

    def start(self, samples: Samples, parameters: Any) -> None:
        """Check constraints, and resolve what depends on the samples."""
        if isinstance(parameters, LatentVariableModel):
            if not self.is_em_step:
                raise ValueError(
                    "fixed_components, prior and covariance_floor are for MixtureParameters, "
                    f"but got {type(parameters).__name__}."
                )
            return
        model, K = parameters.covariance_model, parameters.n_components
        check_fixed_components(self.fixed_components, K, model, self.fixed)
        self._prior = check_prior(self.prior, samples, model, K)
        floor = check_covariance_floor(self.covariance_floor, samples.n_features)
        self._floor = added_to_samples(floor, samples, self.n_threads)

    def __call__(self, statistics: Any, previous: Any) -> Updated[Any]:
        """Return the next parameters."""
        if isinstance(previous, LatentVariableModel):
            model = previous.update(statistics)
            check_update(model, previous)
            return Updated(model)
        updated = self._of_mixture(statistics, previous)
        if self._prior is None:
            return updated
        penalty = self._prior.log_density(previous) / statistics.weight
        return replace(updated, lower_bound=statistics.lower_bound + penalty)

    def _of_mixture(
        self, statistics: SufficientStatistics, previous: MixtureParameters
    ) -> Updated[MixtureParameters]:
        model, nk = statistics.covariance_model, statistics.moments.nk
        is_dead: Mask = (nk <= 0) & (self._prior is None)
        held: Mask | None = None
        if self._is_constrained:
            held = check_fixed_components(self.fixed_components, len(nk), model, self.fixed)
            weights, means, covariances = self._constrained(statistics, previous, held)
        else:
            weights, means, covariances = estimate(statistics, self.reg_covar)
        if "covariances" in self.fixed:
            return Updated(replace(previous, weights=weights, means=means))
        factors, collapsed = model.factor(covariances, distances_from_origin(means), self.n_threads)
        kept = collapsed | is_dead if model.per_component else collapsed
        if held is not None and model.per_component:
            kept |= held
        if not kept.any():
            return Updated(MixtureParameters(model, weights, means, covariances, factors))
        parameters = MixtureParameters(
            model,
            weights,
            means,
            model.replace(covariances, kept, previous.covariances),
            model.replace(factors, kept, previous.precisions_cholesky),
        )
        failed = np.flatnonzero(collapsed & ~is_dead & (True if held is None else ~held))
        return Updated(parameters, frozenset(failed.tolist()))

    def _constrained(
        self, statistics: SufficientStatistics, previous: MixtureParameters, held: Mask
    ) -> tuple[Array, Array, Array]:
        """Return the maximum under the constraints and the prior, without checks."""
        still = held | ("means" in self.fixed)
        weights, means, covariances = estimate(
            statistics, self.reg_covar, self._prior, still, previous.means
        )
        weights = (
            previous.weights
            if "weights" in self.fixed
            else share_weights(weights, previous.weights, held)
        )
        return weights, means, self.lift(statistics.covariance_model, covariances)

    def lift(self, model: CovarianceModel, covariances: Array) -> Array:
        """Return the best covariances that are not below the floor.

        Parameters
        ----------
        model : CovarianceModel
        covariances : array

        Returns
        -------
        array
        """
        floor: Any = self._floor
        return model.lift(covariances, floor) if np.any(floor) else covariances


def estimate(
    statistics: SufficientStatistics,
    reg_covar: RegCovar,
    prior: NormalInverseWishartPrior | None = None,
    still: NDArray[np.bool_] | None = None,
    previous_means: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Return the weights, means and covariances that maximise Q, without checks.

    Parameters
    ----------
    statistics : SufficientStatistics
    reg_covar : float, (d,) array or 'auto'
    prior : NormalInverseWishartPrior, optional
        Its log-density is added to Q.
    still : (K,) mask, optional
        Components that keep their previous means.
    previous_means : (K, d) array, optional
    """
    nk, centroids, second = statistics.central()
    model = statistics.covariance_model
    means = centroids if prior is None else prior.means(nk, centroids)
    if still is not None and still.any():
        assert previous_means is not None
        means = np.where(still[:, np.newaxis], previous_means, means)
    if means is not centroids:
        shift = centroids - means
        second = second + model.outer(nk, shift, shift)
    K, d = means.shape
    if prior is None:
        # a tied covariance is divided by the sum of nk, which is positive
        safe = np.where(nk > 0, nk, 1.0) if model.per_component else nk
        weights, covariances = nk / nk.sum(), model.estimate(second, safe, d)
    else:
        weights, covariances = prior.weights(nk), prior.covariances(model, nk, means, second)
    variances = model.variances(covariances, K, d)
    added = added_variances(reg_covar, weights, means, variances)
    return weights, means, model.regularize(covariances, added)
