r"""The evidence lower bound and its parts, for any responsibilities.

.. math:: \log p(X) = L(q) + KL(q \| p(z \mid X)), \qquad L(q) = Q(q) + H(q)
"""

from typing import Any

import numpy as np
from scipy.special import entr, rel_entr

from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.checks import check_sample_weight
from ..data.samples import Samples
from ..em.mixture_result import MixtureResult
from ..model.gradients import q_function
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from ..model.validation import check_complete, check_resp
from ._base_mixture import BaseMixture

__all__ = ["elbo", "expected_complete_log_likelihood", "kl_divergence"]

# How many rows' entropies are computed at once.
_ROWS = 65_536


@numpys_rules()
def expected_complete_log_likelihood(
    model: BaseMixture | MixtureResult, X: Any, resp: Any, sample_weight: Any = None
) -> float:
    r"""Compute the Q-function, which the M step maximises.

    .. math:: Q = \sum_i s_i \sum_k r_{ik} \left[\log w_k + \log N(x_i \mid \mu_k, \Sigma_k)\right]

    It takes one pass over X. With the moments under the responsibilities about the means, the term
    of a component is :math:`n_k (\log w_k + \log \det U_k - \tfrac d2 \log 2\pi) - \tfrac12 tr(U_k
    U_k^T S_k)`.

    Parameters
    ----------
    model : fitted GaussianMixture, or what em.fit returned
    X : array-like or data frame of shape (n_samples, n_features)
    resp : array-like of shape (n_samples, n_components)
        Responsibilities q(k | x_i): non-negative, each row with sum 1.
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative weights s_i.

    Returns
    -------
    float
        In nats, summed over samples.

    Raises
    ------
    NotFittedError
        If the model has not been fitted.
    ValueError
        If X, resp or sample_weight have wrong shapes or values.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgmm
    >>> X = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> model = fastgmm.GaussianMixture(2, random_state=0).fit(X)
    >>> resp = model.predict_proba(X)
    >>> round(fastgmm.expected_complete_log_likelihood(model, X, resp), 3)
    3.535
    """
    given = _check(model, "expected_complete_log_likelihood", X, resp, sample_weight)
    return _q_function(*given)


@numpys_rules()
def elbo(model: BaseMixture | MixtureResult, X: Any, resp: Any, sample_weight: Any = None) -> float:
    r"""Compute the evidence lower bound under given responsibilities.

    .. math:: L = Q + \sum_i s_i H(r_i), \qquad H(r) = -\sum_k r_k \log r_k

    The log-likelihood exceeds it by `kl_divergence` of ``resp`` from the posterior, and equals it
    where ``resp`` is the posterior.

    Parameters
    ----------
    model : fitted GaussianMixture, or what em.fit returned
    X : array-like or data frame of shape (n_samples, n_features)
    resp : array-like of shape (n_samples, n_components)
        Responsibilities q(k | x_i): non-negative, each row with sum 1.
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative weights s_i.

    Returns
    -------
    float
        In nats, summed over samples.

    Raises
    ------
    NotFittedError
        If the model has not been fitted.
    ValueError
        If X, resp or sample_weight have wrong shapes or values.

    References
    ----------
    Neal and Hinton (1998), A view of the EM algorithm that justifies incremental, sparse, and
    other variants.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgmm
    >>> X = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> model = fastgmm.GaussianMixture(2, random_state=0).fit(X)
    >>> bound = fastgmm.elbo(model, X, model.predict_proba(X))
    >>> bool(np.isclose(bound, model.score_samples(X).sum()))
    True
    """
    samples, parameters, n_threads, q = _check(model, "elbo", X, resp, sample_weight)
    entropy = _weighted_sum(samples.sample_weight, lambda rows: entr(q[rows]))
    return _q_function(samples, parameters, n_threads, q) + entropy


@numpys_rules()
def kl_divergence(resp: Any, posterior: Any, sample_weight: Any = None) -> float:
    r"""Compute the Kullback-Leibler divergence of responsibilities from a posterior.

    .. math:: KL = \sum_i s_i \sum_k r_{ik} \log \frac{r_{ik}}{p_{ik}}

    Parameters
    ----------
    resp, posterior : array-like of shape (n_samples, n_components)
        Non-negative, each row with sum 1.
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative weights s_i.

    Returns
    -------
    float
        In nats, summed over samples; infinite where ``posterior`` is 0 and ``resp`` is not.

    Raises
    ------
    ValueError
        If the arrays have wrong shapes or values.

    References
    ----------
    Kullback and Leibler (1951), On information and sufficiency.

    Examples
    --------
    >>> import fastgmm
    >>> round(fastgmm.kl_divergence([[0.5, 0.5]], [[0.9, 0.1]]), 6)
    0.510826
    """
    resp = check_resp(resp, "resp")
    posterior = check_resp(posterior, "posterior", *resp.shape)
    weight = check_sample_weight(sample_weight, len(resp))
    if weight is None:
        weight = np.broadcast_to(1.0, len(resp))
    return _weighted_sum(weight, lambda rows: rel_entr(resp[rows], posterior[rows]))


def _check(
    model: BaseMixture | MixtureResult, caller: str, X: Any, resp: Any, sample_weight: Any
) -> tuple[Samples, MixtureParameters, int, Array]:
    samples, parameters, n_threads = model._checked(caller, X, sample_weight)
    check_complete(samples, caller)
    resp = check_resp(resp, "resp", samples.n_samples, parameters.n_components)
    return samples, parameters, n_threads, resp


def _q_function(
    samples: Samples, parameters: MixtureParameters, n_threads: int, resp: Array
) -> float:
    statistics = SufficientStatistics.zeros(parameters.covariance_model, parameters.means)
    for rows in samples.block_slices():
        X, weight = samples.rows(rows), samples.weight(rows)
        statistics.add_moments(X, weight, resp[rows], n_threads)
    return q_function(statistics, parameters)


def _weighted_sum(weight: Array, terms: Any) -> float:
    """Return sum_i s_i sum_k terms[i, k]; samples of weight 0 are left out."""
    total = 0.0
    for start in range(0, len(weight), _ROWS):
        rows = slice(start, start + _ROWS)
        sums = terms(rows).sum(axis=1)
        total += float(weight[rows] @ np.where(weight[rows] > 0, sums, 0.0))
    return total
