"""Mixtures as scikit-learn's, and the other way round."""

from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._kernels.layout import Array
from ..data.containers import to_array
from ..em.result import EMResult, Iteration
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.priors import (
    Dirichlet,
    NormalWishartPrior,
    StickBreaking,
    VariationalParameters,
)
from ..model.validation import check_mixture

_Self = TypeVar("_Self", bound="ScikitLearnExchange")

#: Where a fit starts is no part of its outcome.
_STARTING_VALUES = ("weights_init", "means_init", "precisions_init")
_POSTERIOR = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_")
_PRIOR = (
    *("weight_concentration_prior_", "mean_prior_", "mean_precision_prior_"),
    *("degrees_of_freedom_prior_", "covariance_prior_"),
)


class ScikitLearnExchange(BaseEstimator):
    """Conversion to and from the estimator of the same name in `sklearn.mixture`."""

    #: The name of scikit-learn's estimator.
    _counterpart: ClassVar[str]

    def to_sklearn(self) -> Any:
        """Return the fitted estimator of scikit-learn with the same parameters.

        Its predictions agree with ours to rounding. Libraries that know scikit-learn, such as
        skl2onnx, take it.

        Returns
        -------
        sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            A copy. 'tied-spherical', which scikit-learn lacks, becomes 'spherical' with equal
            variances, the same density. For a later ``fit`` of it, ``init_params='auto'`` becomes
            'kmeans' and ``reg_covar='auto'`` scikit-learn's default. Starting values, and
            parameters that scikit-learn lacks, are left out.

        Raises
        ------
        NotFittedError
            If ``fit`` has not been called.
        ValueError
            If attributes that were set by hand are no mixture.

        See Also
        --------
        from_sklearn

        Examples
        --------
        >>> from fastgmm import GaussianMixture
        >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[1.0], [1.0]])
        >>> model.to_sklearn()
        GaussianMixture(covariance_type='diag', n_components=2)
        """
        parameters: MixtureParameters = self.to_parameters()
        model = _counterpart(type(self))(**_options(self, parameters))
        for name, value in _fitted_arrays(parameters).items():
            setattr(model, name, value)
        for name in ("feature_names_in_", *_PRIOR):
            if hasattr(self, name):
                value = getattr(self, name)
                setattr(
                    model, name, np.array(to_array(value, name))[()] if name in _PRIOR else value
                )
        model.n_features_in_ = parameters.n_features
        model.converged_ = getattr(self, "converged_", False)
        model.n_iter_ = getattr(self, "n_iter_", 0)
        model.lower_bound_ = getattr(self, "lower_bound_", -np.inf)
        model.lower_bounds_ = list(getattr(self, "lower_bounds_", []))
        return model

    @classmethod
    def from_sklearn(cls: type[_Self], model: Any) -> _Self:
        """Return the fitted estimator with the parameters of scikit-learn's.

        Parameters
        ----------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            Fitted, of the same name as this class.

        Returns
        -------
        GaussianMixture or BayesianGaussianMixture
            A copy. Parameters that scikit-learn lacks have their defaults. The seconds of
            ``history_`` are 0, which scikit-learn does not keep. Its versions before 1.7 keep the
            last lower bound alone, which then stands for all.

        Raises
        ------
        TypeError
            If the model is of another class.
        NotFittedError
            If it is not fitted.
        ValueError
            If its attributes are no mixture, or if ``covariances_`` and ``precisions_cholesky_``,
            by which scikit-learn predicts, do not belong together.

        See Also
        --------
        to_sklearn

        Examples
        --------
        >>> import numpy as np
        >>> import sklearn.mixture
        >>> from fastgmm import GaussianMixture
        >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> theirs = sklearn.mixture.GaussianMixture(2, random_state=0).fit(X)
        >>> ours = GaussianMixture.from_sklearn(theirs)
        >>> bool(np.allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-12))
        True
        """
        kind = _counterpart(cls)
        if not isinstance(model, kind):
            raise TypeError(
                f"model should be a fitted sklearn.mixture.{kind.__name__}, got "
                f"{type(model).__module__}.{type(model).__name__}."
            )
        is_bayesian = hasattr(model, "weight_concentration_prior_type")
        needed = ["weights_", "means_", "precisions_cholesky_"]
        check_is_fitted(model)
        check_is_fitted(model, [*needed, *((*_POSTERIOR, *_PRIOR) if is_bayesian else ())])
        known = cls().get_params()
        given = model.get_params(deep=False)
        ours: Any = cls(**{name: value for name, value in given.items() if name in known})
        if is_bayesian:
            ours._keep_prior(fitted_prior(model))
        ours._set_result(_result(model, is_bayesian))
        ours.n_features_in_ = ours.means_.shape[1]
        if hasattr(model, "feature_names_in_"):
            ours.feature_names_in_ = model.feature_names_in_.copy()
        return ours  # type: ignore[no-any-return]


def _counterpart(cls: type[ScikitLearnExchange]) -> Any:
    import sklearn.mixture

    return getattr(sklearn.mixture, cls._counterpart)


def _options(model: Any, parameters: MixtureParameters) -> dict[str, Any]:
    """Return the parameters of scikit-learn's estimator."""
    known, own = _counterpart(type(model))().get_params(), model.get_params(deep=False)
    options = {name: own[name] for name in known if name in own and name not in _STARTING_VALUES}
    if options["reg_covar"] == "auto":
        del options["reg_covar"]
    if options["init_params"] == "auto":
        options["init_params"] = "kmeans"
    if options["covariance_type"] == "tied-spherical":
        options["covariance_type"] = "spherical"
    return {**options, "n_components": parameters.n_components}


def _fitted_arrays(parameters: MixtureParameters) -> dict[str, Any]:
    """Return copies of the parameters, by the names of scikit-learn's attributes."""
    arrays = {
        "weights_": parameters.weights,
        "means_": parameters.means,
        "covariances_": parameters.covariances,
        "precisions_": parameters.precisions,
        "precisions_cholesky_": parameters.precisions_cholesky,
    }
    if isinstance(parameters, VariationalParameters):
        arrays["mean_precision_"] = parameters.mean_precision
        arrays["degrees_of_freedom_"] = parameters.degrees_of_freedom
    K = parameters.n_components
    fitted: dict[str, Any] = {
        name: np.full(K, array)
        if parameters.covariance_type == "tied-spherical" and np.ndim(array) == 0
        else np.array(array)[()]
        for name, array in arrays.items()
    }
    if isinstance(parameters, VariationalParameters):
        weights = parameters.weight_distribution
        fitted["weight_concentration_"] = (
            (weights.taken.copy(), weights.left.copy())
            if isinstance(weights, StickBreaking)
            else weights.concentration.copy()
        )
    return fitted


def _float64(model: Any, name: str) -> Array:
    return np.array(to_array(getattr(model, name), name), np.float64)


def fitted_prior(model: Any) -> NormalWishartPrior:
    """Return the prior of a fitted estimator of variational Bayes, ours or scikit-learn's."""
    return NormalWishartPrior(
        model.weight_concentration_prior_type,
        float(model.weight_concentration_prior_),
        _float64(model, "mean_prior_"),
        float(model.mean_precision_prior_),
        float(model.degrees_of_freedom_prior_),
        _float64(model, "covariance_prior_"),
    )


def _result(model: Any, is_bayesian: bool) -> EMResult[MixtureParameters]:
    """Return what scikit-learn's estimator holds as the result of a run."""
    parameters = _mixture(model)
    lower_bound = float(np.ravel(getattr(model, "lower_bound_", -np.inf))[0])
    unknown = [lower_bound] * getattr(model, "n_iter_", 0)
    bounds = np.ravel(getattr(model, "lower_bounds_", unknown)).astype(np.float64)
    changes = np.diff(bounds, prepend=-np.inf)
    history = [
        Iteration(number, float(bound), float(change), 0.0)
        for number, (bound, change) in enumerate(zip(bounds, changes, strict=True), 1)
    ]
    is_float32 = np.dtype(np.float32) == to_array(model.means_, "means_").dtype
    return EMResult(
        _posterior(model, parameters) if is_bayesian else parameters,
        bool(getattr(model, "converged_", False)),
        lower_bound,
        history,
        dtype=np.dtype(np.float32 if is_float32 else np.float64),
    )


def _mixture(model: Any) -> MixtureParameters:
    """Return the checked mixture, with the factors by which scikit-learn predicts."""
    kind = get_covariance_model(model.covariance_type)
    means, factors = _float64(model, "means_"), _float64(model, "precisions_cholesky_")
    if factors.shape != kind.shape(*means.shape):
        raise ValueError(
            f"precisions_cholesky_ should have the shape of {kind.shape(*means.shape)}, "
            f"but got {factors.shape}."
        )
    implied = kind.covariances(factors)
    own = _float64(model, "covariances_") if hasattr(model, "covariances_") else implied
    mixture = check_mixture(kind, _float64(model, "weights_"), means, own, suffix="_")
    scale = own
    if kind.is_matrix:
        deviations = np.sqrt(np.diagonal(own, axis1=-2, axis2=-1))
        scale = deviations[..., np.newaxis, :] * deviations[..., np.newaxis]
    precision = np.finfo(to_array(model.precisions_cholesky_, "precisions_cholesky_").dtype).eps
    if not (np.abs(implied - own) <= 10.0 * np.sqrt(precision) * scale).all():
        raise ValueError(
            "covariances_ and precisions_cholesky_ do not belong together: scikit-learn "
            "samples by the first and predicts by the second. Set both."
        )
    return MixtureParameters(kind, mixture.weights, mixture.means, mixture.covariances, factors)


def _posterior(model: Any, mixture: MixtureParameters) -> VariationalParameters:
    weights = model.weight_concentration_
    return VariationalParameters(
        mixture.covariance_model,
        mixture.weights,
        mixture.means,
        mixture.covariances,
        mixture.precisions_cholesky,
        StickBreaking(*(np.array(part, np.float64) for part in weights))
        if isinstance(weights, tuple)
        else Dirichlet(np.array(weights, np.float64)),
        _float64(model, "mean_precision_"),
        _float64(model, "degrees_of_freedom_"),
    )
