"""A fitted estimator from the result of a run of EM."""

from typing import Any

from ..em.result import EMResult
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.priors import NormalWishartPrior, VariationalParameters
from .bayesian_mixture import BayesianGaussianMixture
from .gaussian_mixture import GaussianMixture


def estimator_from(
    result: EMResult[MixtureParameters], prior: NormalWishartPrior | None = None
) -> GaussianMixture | BayesianGaussianMixture:
    """Return a fitted estimator; see `MixtureResult.to_estimator`."""
    parameters = result.parameters
    is_variational = isinstance(parameters, VariationalParameters)
    if is_variational != (prior is not None):
        needed = "the prior of" if is_variational else "no prior with"
        got = "None" if prior is None else type(prior).__name__
        raise TypeError(
            f"to_estimator needs {needed} {type(parameters).__name__}, but got prior={got}."
        )
    shape: dict[str, Any] = {
        "n_components": parameters.n_components,
        "covariance_type": get_covariance_model(parameters.covariance_type).name,
    }
    model: GaussianMixture | BayesianGaussianMixture
    missing = getattr(result, "missing", "error")
    model = GaussianMixture(**shape, missing=missing) if prior is None else _bayesian(prior, shape)
    model.n_features_in_ = parameters.n_features
    model._set_result(result)
    return model


def _bayesian(prior: NormalWishartPrior, shape: dict[str, Any]) -> BayesianGaussianMixture:
    model = BayesianGaussianMixture(
        **shape,
        weight_concentration_prior_type=prior.weight_concentration_prior_type,
        weight_concentration_prior=prior.weight_concentration,
        mean_precision_prior=prior.mean_precision,
        mean_prior=prior.mean,
        degrees_of_freedom_prior=prior.degrees_of_freedom,
        covariance_prior=prior.covariance[()],
    )
    model._keep_prior(prior)
    return model
