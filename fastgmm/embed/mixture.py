"""What all doors do first: find the parameters of a mixture, refuse what is none, lay it out."""

from typing import Any, NamedTuple

import numpy as np

from .._kernels.layout import Array, Packed
from .._kernels.packing import pack
from ..model.covariance_model import CovarianceModel
from ..model.parameters import MixtureParameters
from .point_layout import PointLayout, lay_out_for_points


def parameters_of(mixture: Any) -> MixtureParameters:
    """Return the parameters with which a mixture computes its predictions.

    Parameters
    ----------
    mixture : fitted estimator or MixtureParameters

    Returns
    -------
    MixtureParameters

    Raises
    ------
    TypeError
        If the argument is no mixture.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If a parameter is not finite.
    """
    is_estimator = hasattr(mixture, "to_parameters") and not isinstance(mixture, type)
    parameters = mixture.to_parameters() if is_estimator else mixture
    if not isinstance(parameters, MixtureParameters):
        raise TypeError(
            "mixture should be a fitted GaussianMixture, BayesianGaussianMixture or SoftKMeans, or "
            f"MixtureParameters, but got {type(mixture).__name__}."
        )
    for name in ("weights", "means", "precisions_cholesky"):
        values = getattr(parameters, name)
        bad = values[~np.isfinite(values)]
        if bad.size:
            raise ValueError(
                f"mixture should hold finite numbers only, but got {bad[0]} in its {name}."
            )
    return parameters


class LaidOutMixture(NamedTuple):
    """A mixture as the kernels read it: for blocks of points, and for one point at a time."""

    covariance_model: CovarianceModel
    means: Array
    packed: Packed
    # with coefficients of 0, what gives the distances alone
    distance_shifts: Array
    points: PointLayout


def lay_out(mixture: Any) -> LaidOutMixture:
    """Lay out a mixture for compiled code.

    Parameters
    ----------
    mixture : fitted estimator or MixtureParameters

    Returns
    -------
    LaidOutMixture
        It shares no memory with the mixture.

    Raises
    ------
    TypeError
        If the argument is no mixture.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If a parameter is not finite, or a mean too far away for the range of float64.
    """
    parameters = parameters_of(mixture)
    means = np.array(parameters.means, np.float64, order="C")
    components = parameters.components()._replace(means=means)
    with np.errstate(over="ignore", invalid="ignore"):
        packed = pack(components)
        points = lay_out_for_points(components, packed.origin)
        distances = pack(components._replace(log_coefficients=np.zeros(len(means))))
    if not np.isfinite(points.parameters).all():
        raise ValueError(
            "mixture should have means whose distances in standard deviations are in the range of "
            "float64, but got means that are farther apart."
        )
    return LaidOutMixture(parameters.covariance_model, means, packed, distances.shifts, points)
