"""What an M step leaves as it is: names of parameters, and components."""

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._kernels.layout import Array
from ...model.covariance_model import CovarianceModel

#: What an M step may leave as it is.
FIXABLE = ("weights", "means", "covariances")


def check_fixed(fixed: Any) -> frozenset[str]:
    """Return the names of what an M step leaves as it is.

    Raises
    ------
    ValueError
        If one is no name of `FIXABLE`.
    """
    is_collection = isinstance(fixed, Iterable) and not isinstance(fixed, str)
    names = list(fixed) if is_collection else []
    if not is_collection or any(name not in FIXABLE for name in names):
        allowed = ", ".join(map(repr, FIXABLE[:-1])) + f" and {FIXABLE[-1]!r}"
        raise ValueError(f"fixed should hold no other names than {allowed}, got {fixed!r}.")
    return frozenset(names)


def check_fixed_components(
    components: Any, n_components: int, model: CovarianceModel, fixed: Iterable[str]
) -> NDArray[np.bool_]:
    """Return a mask of the components that an M step leaves as they are.

    Parameters
    ----------
    components : list of int, or mask of shape (n_components,)
    n_components : int
    model : CovarianceModel
    fixed : iterable of {'weights', 'means', 'covariances'}
        Parameters that are fixed for all components.

    Returns
    -------
    (n_components,) mask

    Raises
    ------
    ValueError
        If it holds anything but components or a mask, or if a component shares its covariance with
        others, whose covariance is not fixed.
    """
    mask = np.zeros(n_components, np.bool_)
    if isinstance(components, tuple) and not components:  # the default, in each iteration
        return mask
    values = np.empty(0, object)
    with contextlib.suppress(ValueError):  # rows of several lengths
        values = np.asarray(components)
    if values.dtype == np.bool_ and values.shape == (n_components,):
        mask |= values
    elif values.shape == (0,) and values.dtype != object:
        return mask
    elif (
        values.ndim == 1
        and values.dtype.kind in "iu"
        and values.min() >= 0
        and values.max() < n_components
    ):
        mask[values] = True
    else:
        raise ValueError(
            f"fixed_components should hold components from 0 to {n_components - 1}, or be a mask "
            f"of {n_components} bools, got {components!r}."
        )
    if mask.any() and not model.per_component and "covariances" not in fixed:
        raise ValueError(
            f"fixed_components does not go with covariance_type={model.name!r}, where components "
            "share a covariance, unless fixed holds 'covariances'."
        )
    return mask


def holds_none(components: Any) -> bool:
    """Return whether no component is named: an empty list, tuple or array."""
    return hasattr(components, "__len__") and len(components) == 0


def share_weights(weights: Array, previous: Array, held: NDArray[np.bool_]) -> Array:
    """Return weights of which some are held; the others share the rest in proportion.

    With the weights W of the fixed components, w_k = (1 - W) v_k / sum of the free v: the maximum
    of sum_k v_k log w_k over the weights that are free.

    Parameters
    ----------
    weights, previous : (K,) array
    held : (K,) mask
    """
    if not held.any():
        return weights
    total = weights[~held].sum()
    # without samples in any free component, all their weights are as good as each other
    scale = (1.0 - previous[held].sum()) / total if total > 0.0 else 0.0
    shared = scale * weights if scale else previous
    return np.where(held, previous, np.maximum(shared, 0.0))


def n_free(
    model: CovarianceModel, shape: tuple[int, int], fixed: Iterable[str], held: NDArray[np.bool_]
) -> int:
    """Return the number of parameters that are not fixed.

    Parameters
    ----------
    model : CovarianceModel
    shape : tuple of int
        Number of components, number of features.
    fixed : iterable of {'weights', 'means', 'covariances'}
    held : (K,) mask
        Components that are fixed.
    """
    _, d = shape
    n_moving = int((~held).sum())
    sizes = {
        "weights": max(n_moving - 1, 0),
        "means": n_moving * d,
        "covariances": model.n_parameters(n_moving, d),
    }
    return sum(size for name, size in sizes.items() if name not in fixed)
