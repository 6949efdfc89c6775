"""Variational Bayes: the M step under a conjugate prior, and the bound on the evidence."""

from dataclasses import replace

import numpy as np

from ..._kernels.layout import Array, Moments
from ...model.parameters import MixtureParameters
from ...model.priors import NormalWishartPrior, VariationalParameters
from ...model.regularization import RegCovar, added_variances, check_reg_covar
from ...model.statistics import SufficientStatistics
from .base import Update, Updated
from .closed_form import estimate

# Of the numbers of a posterior, relatively.
_ROUNDING = 16.0 * np.finfo(np.float64).eps


class ConjugatePrior(Update[MixtureParameters, SufficientStatistics]):
    r"""The variational posterior of weights, means and precisions given responsibilities.

    With `ExactPosterior` the loop is coordinate ascent on the evidence bound. The pass uses the
    expected logarithms of `VariationalParameters`; the update computes the posterior from the
    statistics. Its lower bound, in nats and summed over samples, is scikit-learn's

    .. math:: L = -\sum_{ik} s_i r_{ik} \log r_{ik} + \log Z(q)

    after the update, where Z(q) normalizes q(weights, means, precisions), without constants
    that depend on n, d, K and the prior alone.

    Parameters
    ----------
    prior : NormalWishartPrior
    reg_covar : float, (d,) array or 'auto', default='auto'
        Added to the variances of the samples of each component, as in `ClosedForm`.

    References
    ----------
    Attias (2000), A variational Bayesian framework for graphical models.
    Bishop (2006), Pattern Recognition and Machine Learning, section 10.2.
    """

    parameters_type = VariationalParameters

    def __init__(self, prior: NormalWishartPrior, reg_covar: RegCovar = "auto") -> None:
        self.prior = prior
        self.reg_covar = check_reg_covar(reg_covar)

    def __call__(
        self, statistics: SufficientStatistics, previous: MixtureParameters
    ) -> Updated[MixtureParameters]:
        """Return the next posterior and its bound."""
        added = self._added_variances(statistics)
        parameters, collapsed = self.prior.posterior(statistics, added, previous)
        bound = entropy(statistics, previous) + parameters.log_partition()
        failed = np.flatnonzero(collapsed & (statistics.moments.nk > 0))
        return Updated(parameters, frozenset(failed.tolist()), bound)

    def implied_statistics(self, posterior: VariationalParameters) -> SufficientStatistics:
        """Return the statistics of which it is the posterior.

        Parameters
        ----------
        posterior : VariationalParameters

        Returns
        -------
        SufficientStatistics
            Their weight is that of the samples.
        """
        prior, model = self.prior, posterior.covariance_model
        kappa, d = posterior.mean_precision, posterior.n_features
        nk = np.maximum(kappa - prior.mean_precision, 0.0)
        # what is left of a component without samples is rounding
        nk = np.where(nk > _ROUNDING * kappa, nk, 0.0)
        pull = np.where(nk > 0.0, prior.mean_precision / np.where(nk > 0.0, nk, 1.0), 0.0)
        centroids = posterior.means + pull[:, np.newaxis] * (posterior.means - prior.mean)
        nu = np.asarray(posterior.degrees_of_freedom)
        scale = nu.reshape((*nu.shape, *[1] * (posterior.covariances.ndim - nu.ndim)))
        scatter = scale * posterior.covariances - prior.covariance
        deviation = centroids - prior.mean
        second = model.second_moments(scatter, np.ones_like(nk), d)
        second = second - model.outer(nk * prior.mean_precision / kappa, deviation, deviation)
        moments = Moments(nk, np.zeros_like(centroids), second)
        statistics = SufficientStatistics(model, centroids, moments, weight=float(nk.sum()))
        added = self._added_variances(statistics)
        ridge = model.regularize(np.zeros_like(posterior.covariances), added)
        second = second - model.second_moments(ridge, nk, d)
        return replace(statistics, moments=moments._replace(second=second))

    def _added_variances(self, statistics: SufficientStatistics) -> float | Array:
        if not isinstance(self.reg_covar, str):
            return self.reg_covar
        weights, means, covariances = estimate(statistics, 0.0)
        variances = statistics.covariance_model.variances(covariances, *means.shape)
        return added_variances(self.reg_covar, weights, means, variances)


def entropy(statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
    r"""Return the entropy of the responsibilities of a pass, from its statistics.

    .. math:: -\sum_{ik} s_i r_{ik} \log r_{ik} = \sum_i s_i \log \rho_i
        - \sum_k \left(n_k c_k - \tfrac12 tr(U_k U_k^T S_k)\right)

    with the coefficients c, factors U and the second moments S about the means with which the
    pass was made, for then :math:`\log r_{ik} = c_k - \tfrac12 |U_k^T z|^2 - \log \rho_i`.
    """
    moments = statistics.recenter(parameters.means).moments
    return statistics.log_likelihood - parameters.expected_log_joint(moments)
