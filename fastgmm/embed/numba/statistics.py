"""Sufficient statistics in compiled code, and the way from there to the M step."""

from typing import NamedTuple

import numpy as np

from ..._kernels._numba.jit import open_allocation, open_function
from ..._kernels.layout import KIND, Array, empty_moments
from ..._kernels.packing import add_packed_statistics
from ...model.covariance import get_covariance_model
from ...model.statistics import SufficientStatistics
from .model import Model, covariance_type_of


class Statistics(NamedTuple):
    """Sufficient statistics of a mixture: sums to which ``accumulate`` adds.

    ``nk`` (K,) = sum w r, ``log_likelihood`` (1,) = sum w log p(x) and ``weight`` (1,) = sum w are
    parts of ``sums``, which also holds the first and second moments about the means, packed.
    """

    sums: Array
    nk: Array
    log_likelihood: Array
    weight: Array


@open_allocation
def as_statistics(model, sums):
    """Return statistics that are kept in a given array.

    A parallel loop takes a table of zeros, and gives each of its parts a row. The sum of the rows
    holds the statistics of all points.

    Parameters
    ----------
    model : Model
    sums : (model.n_sums,) array of float64
        Contiguous; 0 for the statistics of no points.

    Returns
    -------
    Statistics
        Views of ``sums``.

    Raises
    ------
    ValueError
        If ``sums`` is of another size or type, or not contiguous.
    """
    size = model.n_sums
    if sums.size != size or sums.strides[0] != 8:
        raise ValueError("sums should be a contiguous array of model.n_sums numbers of float64")
    return Statistics(
        sums, sums[: model.n_components], sums[size - 2 : size - 1], sums[size - 1 : size]
    )


@open_allocation
def new_statistics(model):
    """Return the statistics of no points, about the means of a model.

    Parameters
    ----------
    model : Model

    Returns
    -------
    Statistics
    """
    return as_statistics(model, np.zeros(model.n_sums))


@open_function
def reset(statistics):
    """Set statistics to those of no points.

    Parameters
    ----------
    statistics : Statistics
    """
    for i in range(statistics.sums.size):
        statistics.sums[i] = 0.0


@open_function
def add_statistics(total, other):
    """Add statistics to others of the same model, in place.

    Parameters
    ----------
    total : Statistics
        Added to.
    other : Statistics

    Raises
    ------
    ValueError
        If they are of models of different sizes.
    """
    if total.sums.size != other.sums.size:
        raise ValueError("other should be statistics of the same model as total")
    for i in range(total.sums.size):
        total.sums[i] += other.sums[i]


def to_sufficient_statistics(model: Model, statistics: Statistics) -> SufficientStatistics:
    """Return statistics as M steps take them, such as `fastgmm.em.ClosedForm`.

    Parameters
    ----------
    model : Model
        Under which they were accumulated.
    statistics : Statistics

    Returns
    -------
    SufficientStatistics
        A copy.

    Raises
    ------
    ValueError
        If the statistics are of a model of another size.
    """
    sums = statistics.sums
    if sums.size != model.n_sums:
        raise ValueError(
            f"statistics should hold {model.n_sums} sums, as those of this model do, "
            f"but got {sums.size}."
        )
    covariances = get_covariance_model(covariance_type_of(model))
    kind = covariances.kernel_kind
    moments, log_likelihood = empty_moments(kind, *model.means.shape), np.zeros(1)
    add_packed_statistics(sums[:-1], KIND[kind], moments, log_likelihood, 1)
    return SufficientStatistics(
        covariances,
        model.means.copy(),
        moments,
        float(log_likelihood[0]),
        float(statistics.weight[0]),
    )
