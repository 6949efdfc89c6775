"""What a fit may not change, and what it is drawn to: the constraints of `GaussianMixture`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.threads import count_threads
from ..data.samples import Samples
from ..em.updates.fixed import check_fixed, check_fixed_components, holds_none, n_free
from ..model.covariance import get_covariance_model
from ..model.parameters import MixtureParameters
from ..model.penalties import check_prior
from ..model.regularization import added_to_samples, added_variances, check_covariance_floor
from ..model.validation import check_complete
from ._inputs import check_given

# What is fixed must be given, by one of these parameters. Weights are equal if they are not.
_GIVEN_BY = {
    "means": ("means", "means_init"),
    "covariances": ("factored", "covariances_init or precisions_init"),
}


def prepare(estimator: Any, samples: Samples) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the starting values that are given, and the constraints for `em.ClosedForm`.

    Parameters
    ----------
    estimator : GaussianMixture
    samples : Samples

    Raises
    ------
    ValueError
        If a parameter is not valid, or two do not go together.
    """
    fixed = check_fixed(estimator.fixed)
    model, K = get_covariance_model(estimator.covariance_type), estimator.n_components
    held = check_fixed_components(estimator.fixed_components, K, model, fixed)
    floor = check_covariance_floor(estimator.covariance_floor, samples.n_features)
    _check_acceleration(estimator, fixed)
    if estimator.acceleration == "split-merge":
        check_complete(samples, "acceleration='split-merge'")
    given = check_given(estimator, samples.n_features)
    if "weights" in fixed and given["weights"] is None and not held.any():
        given["weights"] = np.full(K, 1.0 / K)
    return given, {
        "fixed": fixed,
        "fixed_components": held if held.any() else (),
        "prior": check_prior(estimator.prior, samples, model, K),
        "covariance_floor": added_to_samples(floor, samples, count_threads(estimator.n_jobs)),
    }


def constraints_of_stream(estimator: Any, parameters: MixtureParameters) -> dict[str, Any]:
    """Return the constraints for `em.ClosedForm` where no call has all samples.

    Parameters
    ----------
    estimator : GaussianMixture
    parameters : MixtureParameters
        Of the stream so far: a floor of ``auto`` is relative to their variances.

    Raises
    ------
    ValueError
        If a parameter is not valid, or needs all samples.
    """
    model, (K, d) = parameters.covariance_model, parameters.means.shape
    fixed, floor = check_fixed(estimator.fixed), estimator.covariance_floor
    held = check_fixed_components(estimator.fixed_components, K, model, fixed)
    variances = model.variances(parameters.covariances, K, d)
    prior = estimator.prior
    return {
        "fixed": fixed,
        "fixed_components": held if held.any() else (),
        "prior": None if prior is None else prior.checked(model, K, d),
        "covariance_floor": added_variances(
            check_covariance_floor(floor, d), parameters.weights, parameters.means, variances
        ),
    }


def _check_acceleration(estimator: Any, fixed: frozenset[str]) -> None:
    if fixed and estimator.acceleration == "split-merge":
        raise ValueError(
            "acceleration='split-merge' changes weights, means and covariances, but fixed holds "
            f"{sorted(fixed)}."
        )
    if estimator.acceleration is None:
        return
    floor = estimator.covariance_floor
    for name, absent, is_absent in (
        ("fixed_components", (), holds_none(estimator.fixed_components)),
        ("prior", None, estimator.prior is None),
        ("covariance_floor", 0.0, np.ndim(floor) == 0 and floor == 0.0),
    ):
        if not is_absent:
            raise ValueError(
                f"acceleration={estimator.acceleration!r} needs {name}={absent!r}, "
                f"got {getattr(estimator, name)!r}."
            )


def check_all_given(estimator: Any, given: dict[str, Any]) -> None:
    """Raise ValueError where a parameter that is fixed is not given.

    Parameters
    ----------
    estimator : GaussianMixture
    given : dict
        The starting values, None where there is none.
    """
    for name, (key, parameters) in _GIVEN_BY.items():
        if name in estimator.fixed and given[key] is None:
            raise ValueError(f"fixed holds {name!r}, so {parameters} should be given.")
    if holds_none(estimator.fixed_components):
        return
    for key, parameters in (("weights", "weights_init"), *_GIVEN_BY.values()):
        if given[key] is None:
            raise ValueError(
                f"fixed_components holds components, so {parameters} should be given: "
                "the rows of other components are where they start."
            )


def held_and_carried(
    estimator: Any, parameters: MixtureParameters
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which components are fixed, and which need no samples to have a covariance.

    Parameters
    ----------
    estimator : IteratedMixture
    parameters : MixtureParameters
        After the fit.

    Returns
    -------
    held, carried : (K,) masks
    """
    K = parameters.n_components
    if not hasattr(estimator, "fixed_components"):
        return np.zeros(K, np.bool_), np.zeros(K, np.bool_)
    model = parameters.covariance_model
    held = check_fixed_components(estimator.fixed_components, K, model, estimator.fixed)
    has_floor = isinstance(estimator.covariance_floor, str) or np.any(estimator.covariance_floor)
    return held, held | (estimator.prior is not None or bool(has_floor))


def count_free(estimator: Any, shape: tuple[int, int]) -> int:
    """Return the number of parameters that a fit chooses.

    Parameters
    ----------
    estimator : GaussianMixture
    shape : tuple of int
        Number of components, number of features.
    """
    model, fixed = get_covariance_model(estimator.covariance_type), check_fixed(estimator.fixed)
    held = check_fixed_components(estimator.fixed_components, shape[0], model, fixed)
    return n_free(model, shape, fixed, held)
