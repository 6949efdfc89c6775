"""What the file of each estimator holds, and of which type and shape it is.

A new parameter or attribute of an estimator is one new name here. It goes into ``later`` as well,
with what its absence means in files that were written before there was one.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data.archive import Mismatch
from ..data.containers import to_array
from ..em.result import Iteration
from ..em.step_sizes import StepSizes
from ..model.covariance import get_covariance_model
from ..model.penalties import NormalInverseWishartPrior

#: Parameters that are not stored: where a fit starts is no part of its outcome.
STARTING_VALUES = ("weights_init", "means_init", "precisions_init", "covariances_init")

_MIXTURE = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


class ArrayField(NamedTuple):
    """An array of a file: its shape, of which None is any length, and its dtype."""

    shape: tuple[int | None, ...]
    dtype: str = "float64"
    largest: int = 8
    is_optional: bool = False


class Layout(NamedTuple):
    """What the file of an estimator holds.

    Attributes
    ----------
    parameters : tuple of str
        Of the estimator's constructor.
    scalars : dict
        For each attribute in the header a function that returns it, or raises where it is invalid.
    arrays : callable
        Returns the ArrayField of each array, from an object with the parameters and scalars.
    later : dict
        Parameters and scalars that earlier files lack, with the values that they have there.
    """

    parameters: tuple[str, ...]
    scalars: Mapping[str, Callable[[str, Any], Any]]
    arrays: Callable[[Any], dict[str, ArrayField]]
    later: Mapping[str, Any] = MappingProxyType({})


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Mismatch(f"{name} to be a count", repr(value))
    return value


def _n_features(name: str, value: Any) -> int:
    if not _count(name, value):
        raise Mismatch(f"{name} of at least 1", "0")
    return int(value)


def _flag(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise Mismatch(f"{name} to be true or false", repr(value))
    return value


def _lower_bound(name: str, value: Any) -> float:
    """Return a number; before any iteration it is -inf."""
    if type(value) not in (int, float) or not value < math.inf:
        raise Mismatch(f"{name} to be a number", repr(value))
    return float(value)


def _positive(name: str, value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise Mismatch(f"{name} to be a positive number", repr(value))
    return value  # type: ignore[no-any-return]


def _total(name: str, value: Any) -> float:
    """Return a sum of weights, which is 0 where it is not known."""
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise Mismatch(f"{name} to be a number of at least 0", repr(value))
    return float(value)


def _collapsed(name: str, value: Any) -> dict[int, int]:
    """Return components and their first iterations, which JSON holds as pairs."""
    if not isinstance(value, list) or any(
        not isinstance(pair, list) or len(pair) != 2 for pair in value
    ):
        raise Mismatch(f"{name} to be pairs of a component and an iteration", repr(value))
    collapsed = {_count(name, component): _count(name, number) for component, number in value}
    if len(collapsed) < len(value):
        raise Mismatch(f"{name} of different components", repr(value))
    return collapsed


_LONGEST_NAME = 4 * 2**12  # bytes, 4 for each character

_PARAMETERS = (
    *("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "max_time", "n_init"),
    *("init_params", "random_state", "warm_start", "verbose", "verbose_interval", "n_jobs"),
    "step_sizes",
)
_SCALARS = {
    "n_features_in_": _n_features,
    "converged_": _flag,
    "n_iter_": _count,
    "lower_bound_": _lower_bound,
    "n_samples_seen_": _total,
}
_MIXTURE_SCALARS = {**_SCALARS, "collapsed_": _collapsed}
#: Version 0.1 said neither how many samples there were nor which components had collapsed, and had
#: no limit on the time. It took no streams.
_ALWAYS_LATER: dict[str, Any] = {"n_samples_seen_": 0.0, "max_time": None, "step_sizes": None}
_LATER: dict[str, Any] = {**_ALWAYS_LATER, "collapsed_": []}

#: What a fit of a `GaussianMixture` may not change, or is drawn to.
_CONSTRAINTS: dict[str, Any] = {
    "fixed": (),
    "fixed_components": (),
    "prior": None,
    "covariance_floor": 0.0,
}

#: What a `GaussianMixture` may be asked for, besides.
_CHOICES: dict[str, Any] = {"missing": "error", "posterior": "exact", "exact_iter": 0}


def _history(model: Any) -> ArrayField:
    return ArrayField((model.n_iter_, len(Iteration._fields)))


def _names_array(n_features: int) -> dict[str, ArrayField]:
    field = ArrayField((n_features,), "str", _LONGEST_NAME, is_optional=True)
    return {"feature_names_in_": field}


def _mixture_arrays(model: Any) -> dict[str, ArrayField]:
    K, d = _count("n_components", model.n_components), model.n_features_in_
    covariances = ArrayField(get_covariance_model(model.covariance_type).shape(K, d))
    return {
        "weights_": ArrayField((K,)),
        "means_": ArrayField((K, d)),
        **dict.fromkeys(("covariances_", "precisions_", "precisions_cholesky_"), covariances),
        "history_": _history(model),
        **_names_array(d),
    }


def _posterior_arrays(model: Any) -> dict[str, ArrayField]:
    K, d = model.n_components, model.n_features_in_
    per_component = get_covariance_model(model.covariance_type).per_component
    is_process = model.weight_concentration_prior_type == "dirichlet_process"
    arrays = _mixture_arrays(model)
    shape = arrays["covariances_"].shape
    return {
        **arrays,
        "weight_concentration_": ArrayField((2, K) if is_process else (K,)),
        "mean_precision_": ArrayField((K,)),
        "degrees_of_freedom_": ArrayField((K,) if per_component else ()),
        "mean_prior_": ArrayField((d,)),
        "covariance_prior_": ArrayField(shape[1:] if per_component else shape),
    }


def _centers_arrays(model: Any) -> dict[str, ArrayField]:
    d = model.n_features_in_
    return {
        "cluster_centers_": ArrayField((_count("n_clusters", model.n_clusters), d)),
        "labels_": ArrayField((None,), "int64"),
        "history_": _history(model),
        **_names_array(d),
    }


#: By the name of the estimator.
LAYOUTS = {
    "GaussianMixture": Layout(
        (*_PARAMETERS, "acceleration", "stop_rule", *_CONSTRAINTS, *_CHOICES),
        {**_MIXTURE_SCALARS, "n_reseeded_": _count},
        _mixture_arrays,
        {**_LATER, **_CONSTRAINTS, **_CHOICES, "n_reseeded_": 0},
    ),
    "BayesianGaussianMixture": Layout(
        parameters=(
            *_PARAMETERS,
            *("weight_concentration_prior_type", "weight_concentration_prior", "mean_prior"),
            *("mean_precision_prior", "degrees_of_freedom_prior", "covariance_prior"),
        ),
        scalars={
            **_MIXTURE_SCALARS,
            "weight_concentration_prior_": _positive,
            "mean_precision_prior_": _positive,
            "degrees_of_freedom_prior_": _positive,
        },
        arrays=_posterior_arrays,
        later=_LATER,
    ),
    "SoftKMeans": Layout(
        (
            *("n_clusters", "beta", "init", "n_init", "max_iter", "max_time", "tol"),
            *("random_state", "n_jobs", "step_sizes"),
        ),
        _SCALARS,
        _centers_arrays,
        _ALWAYS_LATER,
    ),
}


def estimator_class(name: str) -> Any:
    """Return the estimator of a layout; scikit-learn is loaded for those that need it only."""
    from .. import estimators

    return getattr(estimators, name)


def to_parameter(name: str, value: Any) -> Any:
    """Return a parameter of the header; raise for what estimators take, but no file holds."""
    if type(value) is bool and name not in ("warm_start", "verbose"):
        raise Mismatch(f"another kind of {name}", repr(value))
    if name in ("init", "init_params") and not isinstance(value, str):
        raise Mismatch(f"{name} to be a name", repr(value))
    if name == "prior" and isinstance(value, dict) and value:
        return NormalInverseWishartPrior(**value)
    if name == "step_sizes" and isinstance(value, dict) and value:
        return StepSizes(**value)
    return tuple(value) if name.startswith("fixed") and isinstance(value, list) else value


def to_stored(model: Any, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return those of some attributes that the model has, as the arrays that are stored.

    Weights, means and covariances that were edited by hand come with factors of their own.
    """
    names = [name for name in names if hasattr(model, name)]
    mixture = model._mixture() if "weights_" in names else None
    arrays = {}
    for name in names:
        value = getattr(model, name)
        if name == "history_":
            array = np.array(value, dtype=np.float64).reshape(-1, len(Iteration._fields))
        elif name == "feature_names_in_":
            array = np.asarray(value, dtype=np.str_)
        elif name in _MIXTURE:
            array = getattr(mixture, name.rstrip("_"))
        elif isinstance(value, tuple):
            array = np.stack([to_array(part, name) for part in value])
        else:
            array = to_array(value, name)
        arrays[name] = array
    return arrays


def from_array(name: str, array: NDArray[Any]) -> Any:
    """Return the attribute of which ``to_stored`` made an array."""
    if name == "history_":
        return [Iteration(int(row[0]), *row[1:]) for row in array.tolist()]
    if name == "feature_names_in_":
        return array.astype(object)
    if name == "weight_concentration_" and array.ndim == 2:
        return tuple(array)
    return array[()]  # a number where there is one
