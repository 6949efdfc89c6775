"""Which features are shown, and what they are called."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..estimators._inputs import check_features
from ..model.parameters import MixtureParameters

_MOST_FEATURES = 4


def choose_features(
    parameters: MixtureParameters, names: list[str], features: Any
) -> NDArray[np.intp]:
    r"""Return the numbers of the features that are shown.

    By default all, but of more than four those that separate the components most:

    .. math:: \sum_k w_k (\mu_{kj} - \bar\mu_j)^2 / \sum_k w_k \Sigma_{k,jj}

    Parameters
    ----------
    parameters : MixtureParameters
    names : list of str
        Of all features.
    features : int, str, slice or array-like, optional
        Numbers, names or a mask.

    Raises
    ------
    ValueError
        If there is no such feature, none is given, or one twice.
    """
    if features is not None:
        return check_features(names, features, parameters.n_features)
    d = parameters.n_features
    if d <= _MOST_FEATURES:
        return np.arange(d)
    model = parameters.covariance_model
    variances = model.variances(parameters.covariances, *parameters.means.shape)
    weights = parameters.weights
    between = weights @ (parameters.means - weights @ parameters.means) ** 2
    largest = np.argsort(-between / (weights @ variances), kind="stable")
    return np.sort(largest[:_MOST_FEATURES])


def labels_with_units(
    names: list[str], units: Mapping[str, str] | Sequence[str] | None
) -> list[str]:
    """Return the names of the features with their units in brackets, where they are given.

    Parameters
    ----------
    names : list of str
        Of all features.
    units : mapping of names to units or sequence, optional
        In a sequence one for each feature, in their order.

    Raises
    ------
    ValueError
        If a name is not that of a feature, or a sequence has another length.
    """
    if units is None:
        return names
    if not isinstance(units, Mapping):
        given: list[Any] = [units] if isinstance(units, str) else list(units)
        if len(given) != len(names):
            raise ValueError(f"units should be {len(names)}, one for each feature, got {given}.")
        units = dict(zip(names, given, strict=True))
    unknown = [name for name in units if name not in names]
    if unknown:
        raise ValueError(f"units should be of {', '.join(names)}, got one of {unknown[0]!r}.")
    return [f"{name} ({units[name]})" if units.get(name) else name for name in names]
