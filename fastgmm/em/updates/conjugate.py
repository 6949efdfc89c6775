"""Variational Bayes: the M step under a conjugate prior, and the bound on the evidence."""

from typing import ClassVar

import numpy as np

from ...model.parameters import MixtureParameters
from ...model.priors import NormalWishartPrior, VariationalParameters
from ...model.statistics import SufficientStatistics
from .base import Update, Updated


class ConjugatePrior(Update):
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
    reg_covar : float, default=1e-6
        Added to the diagonal of the covariances of the samples of each component.

    References
    ----------
    Attias (2000), A variational Bayesian framework for graphical models.
    Bishop (2006), Pattern Recognition and Machine Learning, section 10.2.
    """

    parameters_type: ClassVar[type[MixtureParameters]] = VariationalParameters

    def __init__(self, prior: NormalWishartPrior, reg_covar: float = 1e-6) -> None:
        self.prior = prior
        self.reg_covar = reg_covar

    def __call__(self, statistics: SufficientStatistics, previous: MixtureParameters) -> Updated:
        """Return the next posterior and its bound."""
        parameters, collapsed = self.prior.posterior(statistics, self.reg_covar, previous)
        bound = entropy(statistics, previous) + parameters.log_partition()
        failed = np.flatnonzero(collapsed & (statistics.moments.nk > 0))
        return Updated(parameters, frozenset(failed.tolist()), bound)


def entropy(statistics: SufficientStatistics, parameters: MixtureParameters) -> float:
    r"""Return the entropy of the responsibilities of a pass, from its statistics.

    .. math:: -\sum_{ik} s_i r_{ik} \log r_{ik} = \sum_i s_i \log \rho_i
        - \sum_k \left(n_k c_k - \tfrac12 tr(U_k U_k^T S_k)\right)

    with the coefficients c, factors U and the second moments S about the means with which the
    pass was made, for then :math:`\log r_{ik} = c_k - \tfrac12 |U_k^T z|^2 - \log \rho_i`.
    """
    moments = statistics.recenter(parameters.means).moments
    return statistics.log_likelihood - parameters.expected_log_joint(moments)
