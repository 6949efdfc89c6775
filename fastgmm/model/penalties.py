"""Priors of point estimates: what maximum a posteriori adds to the log-likelihood.

The prior is on weights, means and covariances themselves, so that its mode is that of the
parameters which a fit returns. `NormalWishartPrior`, of which variational Bayes computes the
posterior, is on precisions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from .._kernels.layout import Array
from ..data.samples import Samples
from .covariance import Diag, get_covariance_model
from .covariance_model import CovarianceModel
from .parameters import MixtureParameters
from .statistics import sample_moments
from .validation import check_array, check_complete, check_covariance_prior

#: Of mclust: kappa, in samples.
_SHRINKAGE = 0.01


@dataclass(frozen=True)
class NormalInverseWishartPrior:
    r"""A prior for maximum a posteriori: Dirichlet weights, normal-inverse-Wishart components.

    .. math:: w \sim \mathrm{Dirichlet}(\alpha), \qquad
        \mu_k \mid \Sigma_k \sim N(m, \Sigma_k / \kappa), \qquad
        \Sigma_k \sim \mathrm{inverse\ Wishart}(\nu, \Lambda)

    Variances, of ``diag``, ``spherical`` and ``tied-spherical``, have the inverse gamma
    distribution of shape nu / 2 and scale Lambda / 2. What components share has the prior once.
    Each part can be left out.

    Parameters
    ----------
    weight_concentration : float or (K,) array, default=1
        alpha, at least 1. 1: no prior on the weights.
    mean : (d,) array, optional
        m. It goes with a positive ``mean_precision``.
    mean_precision : float, default=0
        kappa, in samples. 0: no prior on the means.
    degrees_of_freedom : float, optional
        nu; greater than d - 1 for matrices, positive for variances.
    covariance : array, optional
        Lambda, in squared units of X, of the shape of one covariance: (d, d) for ``full`` and
        ``tied``, (d,) for ``diag``, else one number. It goes with ``degrees_of_freedom``. None: no
        prior on the covariances.

    References
    ----------
    Fraley and Raftery (2007), Bayesian regularization for normal mixture estimation and model-based
    clustering, J. Classification 24.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture, em
    >>> X = np.array([[0.0], [0.2], [9.0], [9.2], [9.4]])
    >>> prior = em.NormalInverseWishartPrior(
    ...     mean=[0.0], mean_precision=1.0, degrees_of_freedom=3.0, covariance=[1.0]
    ... )
    >>> model = GaussianMixture(2, covariance_type="diag", prior=prior, random_state=0).fit(X)
    >>> model.means_.round(3).tolist()
    [[0.066], [6.87]]
    """

    weight_concentration: float | Array = 1.0
    mean: Array | None = None
    mean_precision: float = 0.0
    degrees_of_freedom: float | None = None
    covariance: Array | float | None = None

    def weights(self, nk: Array) -> Array:
        r"""Return the mode of the weights, :math:`(n_k + \alpha_k - 1) / (N + \sum \alpha - K)`.

        Parameters
        ----------
        nk : (K,) array

        Returns
        -------
        (K,) array
        """
        counts = nk + (np.asarray(self.weight_concentration) - 1.0)
        return np.asarray(counts / counts.sum())

    def means(self, nk: Array, centroids: Array) -> Array:
        r"""Return the mode of the means, :math:`(n_k \bar x_k + \kappa m) / (n_k + \kappa)`.

        Parameters
        ----------
        nk : (K,) array
        centroids : (K, d) array
            Means of the samples of each component.

        Returns
        -------
        (K, d) array
        """
        if not self.mean_precision:
            return centroids
        # relative to the mean of the samples, which is near; m may be far away
        shrinkage = (self.mean_precision / (self.mean_precision + nk))[:, np.newaxis]
        return np.asarray(centroids + shrinkage * (np.asarray(self.mean) - centroids))

    def covariances(self, model: CovarianceModel, nk: Array, means: Array, second: Array) -> Array:
        r"""Return the mode of the covariances, given means.

        .. math:: \Sigma_k = \frac{\Lambda + S_k + \kappa (\mu_k - m)(\mu_k - m)^T}{n_k + e}

        with e = nu + d + 2 for a matrix, nu + 3 for the variance of one feature, and the like for
        what components share; 1 less without a prior on the means.

        Parameters
        ----------
        model : CovarianceModel
        nk : (K,) array
        means : (K, d) array
        second : array
            S_k, second moments about these means.

        Returns
        -------
        array
            In the shape of the model.

        References
        ----------
        Fraley and Raftery (2007), table 2.
        """
        K, d = means.shape
        counts = nk if model.per_component else np.asarray([nk.sum()])
        if self.mean_precision:
            deviation = means - np.asarray(self.mean)
            second = second + model.outer(np.full(K, self.mean_precision), deviation, deviation)
            counts = counts + (1.0 if model.per_component else K)
        if self.covariance is not None:
            second = model.pool(second) + self.covariance
            counts = counts + self._exponent(model, d)
        return model.estimate(second, np.where(counts > 0.0, counts, 1.0), d)

    def log_density(self, parameters: MixtureParameters) -> float:
        """Return the log-density of weights, means and covariances, without constants.

        Constants depend on the prior, K and d alone.

        Parameters
        ----------
        parameters : MixtureParameters

        Returns
        -------
        float
            In nats.
        """
        model, (K, d) = parameters.covariance_model, parameters.means.shape
        concentration = np.asarray(self.weight_concentration) - 1.0
        total = float(xlogy(concentration, parameters.weights).sum())
        log_det = -2.0 * model.log_det(parameters.precisions_cholesky, d)
        precisions = parameters.precisions
        if self.covariance is not None:
            total -= 0.5 * self._exponent(model, d) * float(np.sum(log_det))
            total -= 0.5 * float(np.sum(precisions * np.asarray(self.covariance)))
        if self.mean_precision:
            deviation = parameters.means - np.asarray(self.mean)
            outer = model.outer(np.full(K, self.mean_precision), deviation, deviation)
            total -= 0.5 * float(np.sum(precisions * outer))
            total -= 0.5 * float(np.sum(np.broadcast_to(log_det, K)))
        return total

    def _exponent(self, model: CovarianceModel, d: int) -> float:
        """Return e, if the log-density of the prior of a covariance has -e/2 log det Sigma."""
        assert self.degrees_of_freedom is not None
        if model.is_matrix:
            return self.degrees_of_freedom + d + 1.0
        return (self.degrees_of_freedom + 2.0) * model.n_parameters(1, d) / d

    def checked(
        self, model: CovarianceModel, n_components: int, n_features: int
    ) -> "NormalInverseWishartPrior":
        """Return the same prior in arrays.

        Parameters
        ----------
        model : CovarianceModel
        n_components, n_features : int

        Returns
        -------
        NormalInverseWishartPrior

        Raises
        ------
        ValueError
            If a number is out of range, an array has another shape, or of two that go together one
            is given.
        """
        concentration = self.weight_concentration
        if np.ndim(concentration):
            concentration = check_array(concentration, (n_components,), "weight_concentration")
        if not np.all(np.isfinite(concentration) & (np.asarray(concentration) >= 1.0)):
            raise ValueError(
                f"weight_concentration should be finite and at least 1, got {concentration}."
            )
        kappa = self.mean_precision
        if not 0.0 <= kappa < np.inf:
            raise ValueError(f"mean_precision should be finite and at least 0, got {kappa}.")
        if (self.mean is None) != (kappa == 0.0):
            raise ValueError(
                "mean goes with a positive mean_precision, got "
                f"mean={self.mean!r} and mean_precision={kappa}."
            )
        if (self.covariance is None) != (self.degrees_of_freedom is None):
            raise ValueError(
                "covariance goes with degrees_of_freedom, got "
                f"covariance={self.covariance!r} and degrees_of_freedom={self.degrees_of_freedom}."
            )
        nu, lowest = self.degrees_of_freedom, n_features - 1 if model.is_matrix else 0
        if nu is not None and not lowest < nu < np.inf:
            raise ValueError(f"degrees_of_freedom should be greater than {lowest}, got {nu}.")
        mean, covariance = self.mean, self.covariance
        return NormalInverseWishartPrior(
            concentration,
            None if mean is None else check_array(mean, (n_features,), "mean"),
            float(kappa),
            nu,
            None
            if covariance is None
            else check_covariance_prior(covariance, model, n_features, "covariance"),
        )

    @classmethod
    def mclust(
        cls, samples: Samples, covariance_type: str | CovarianceModel, n_components: int
    ) -> "NormalInverseWishartPrior":
        r"""Return the default prior of mclust, which depends on the samples.

        kappa = 0.01, m is the mean of the samples, nu = d + 2. With their covariance S (divided by
        n - 1) Lambda is :math:`S / K^{2/d}` for matrices, and
        :math:`\mathrm{tr}(S) / (d K^{2/d})` for variances. The latter is the same for
        each feature and so depends on their units. Weights have no prior.

        Parameters
        ----------
        samples : Samples
        covariance_type : str or CovarianceModel
        n_components : int

        Returns
        -------
        NormalInverseWishartPrior

        References
        ----------
        Fraley and Raftery (2007), section 3.2; ``defaultPrior`` of the R package mclust.
        """
        model, d = get_covariance_model(covariance_type), samples.n_features
        kind = model if model.is_matrix else Diag()
        mean, covariance = sample_moments(samples, kind, 1)
        if not model.is_matrix:
            covariance = np.full(model.shape(1, d)[1:], covariance.mean())
        scale = covariance / n_components ** (2.0 / d)
        return cls(1.0, mean, _SHRINKAGE, d + 2.0, scale)


def check_prior(
    prior: Any, samples: Samples, model: CovarianceModel, n_components: int
) -> NormalInverseWishartPrior | None:
    """Return a prior with its numbers: as given, or by its name from the samples.

    Parameters
    ----------
    prior : NormalInverseWishartPrior, 'mclust' or None
    samples : Samples
    model : CovarianceModel
    n_components : int

    Returns
    -------
    NormalInverseWishartPrior or None

    Raises
    ------
    ValueError
        If it is none of these, or a number of it is not valid.
    """
    if prior is None:
        return None
    if isinstance(prior, NormalInverseWishartPrior):
        return prior.checked(model, n_components, samples.n_features)
    if isinstance(prior, str) and prior == "mclust":
        check_complete(samples, "prior='mclust'")
        return NormalInverseWishartPrior.mclust(samples, model, n_components)
    raise ValueError(
        f"prior should be None, 'mclust' or an em.NormalInverseWishartPrior, got {prior!r}."
    )
