r"""Gradients of the log-likelihood of a fitted mixture.

.. math:: \frac{\partial \log p(x)}{\partial \theta}
    = \sum_k p(k \mid x) \frac{\partial \log [w_k N(x \mid \mu_k, \Sigma_k)]}{\partial \theta}
"""

from typing import Any

import numpy as np

from .._kernels.floating_point import numpys_rules
from ..em.mixture_result import MixtureResult
from ..em.posteriors.exact import ExactPosterior
from ..model.gradients import MixtureGradient, q_gradient, unconstrained_gradient
from ._base_mixture import BaseMixture

__all__ = ["log_likelihood_gradient"]


@numpys_rules()
def log_likelihood_gradient(
    model: BaseMixture | MixtureResult,
    X: Any,
    sample_weight: Any = None,
    *,
    unconstrained: bool = False,
) -> MixtureGradient:
    r"""Compute the gradient of the total log-likelihood, in one pass over X.

    .. math:: \frac{\partial L}{\partial w_k} = \frac{n_k}{w_k}, \quad
        \frac{\partial L}{\partial \mu_k} = \Sigma_k^{-1} s_k, \quad
        \frac{\partial L}{\partial \Sigma_k}
        = \tfrac12 (\Sigma_k^{-1} S_k \Sigma_k^{-1} - n_k \Sigma_k^{-1})

    with the moments n_k, s_k and S_k of the responsibilities about the means. The elements of a
    covariance matrix count as free numbers: a symmetric change D of it changes L by the sum of
    gradient times D. At a maximum the gradient of means and covariances is 0. The gradient of each
    weight is the total weight of the samples: the multiplier of the constraint that weights sum to
    1.

    Parameters
    ----------
    model : fitted GaussianMixture, or what em.fit returned
    X : array-like or data frame of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,) or number, optional
        Non-negative; each counts as that many copies of its sample.
    unconstrained : bool, default=False
        With respect to logits of the weights, means, and lower triangular L with
        L L^T = covariance and log L_jj for its diagonal (for variances, log
        standard deviations). `fastgmm.em.Unconstrained` has these parameters as a vector.

    Returns
    -------
    MixtureGradient
        (weights, means, covariances), in nats, in the shapes of ``weights_``, ``means_`` and
        ``covariances_``.

    Raises
    ------
    NotFittedError
        If the model has not been fitted.
    ValueError
        If X or sample_weight have wrong shapes or values, or if a weight of the mixture is 0: the
        derivative there does not follow from responsibilities.

    References
    ----------
    Salakhutdinov, Roweis and Ghahramani (2003), Optimization with EM and
    expectation-conjugate-gradient, ICML.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgmm
    >>> X = np.array([[0.0], [1.0], [5.0], [6.0]])
    >>> model = fastgmm.GaussianMixture(1, reg_covar=0.0).fit(X)
    >>> gradient = fastgmm.log_likelihood_gradient(model, X + 1.0)
    >>> gradient.weights.tolist(), (gradient.means * model.covariances_[0]).round(6).tolist()
    ([4.0], [[4.0]])
    """
    samples, parameters, n_threads = model._checked("log_likelihood_gradient", X, sample_weight)
    if not unconstrained and not parameters.weights.all():
        raise ValueError(
            "The gradient needs mixture weights that are positive, but that of component "
            f"{int(np.argmin(parameters.weights))} is 0; unconstrained=True does not."
        )
    statistics = ExactPosterior(n_threads).summarize(samples, parameters)
    return (unconstrained_gradient if unconstrained else q_gradient)(statistics, parameters)
