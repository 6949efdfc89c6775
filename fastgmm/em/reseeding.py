"""Components without samples, or with one, are used elsewhere: beside large ones, which are split.

It is a change of the E step: such a component takes over the samples on one side of a large one.
The M step then finds weight, mean and covariance of both halves.
"""

from typing import NamedTuple

import numpy as np

from .._kernels.layout import Array
from ..model.axes import deviations, longest_axes
from ..model.parameters import MixtureParameters
from .candidates import Found
from .neighborhoods import Indices, places_for

# Sums of responsibilities: of a component that is spent, and of one that may be split. A weight
# counts as that many copies of its sample, so they are absolute.
_SPENT = 1.5
_SMALLEST = 8.0


class Reseeding(NamedTuple):
    """Which components are used elsewhere, and which are split in their favour.

    Attributes
    ----------
    spent, parents : (m,) arrays of int64
        One parent for each; all are different.
    normals : (m, d) array
        Of the cut through the mean of each parent.
    """

    spent: Indices
    parents: Indices
    normals: Array


def find_spent(nk: Array, parameters: MixtureParameters) -> Reseeding | None:
    """Return the components of one sample or none, and as many of the largest.

    Parameters
    ----------
    nk : (K,) array
        Sums of responsibilities.
    parameters : MixtureParameters

    Returns
    -------
    Reseeding or None
        None if no component is spent, or none is large.
    """
    spent = np.flatnonzero(nk < _SPENT)
    parents = np.argsort(-nk, kind="stable")[: len(spent)]
    parents = parents[nk[parents] >= _SMALLEST]
    if not len(parents):
        return None
    normals = longest_axes(parameters)[parents] / deviations(parameters) ** 2
    return Reseeding(spent[: len(parents)], parents, normals)


def reseed(found: Found, parameters: MixtureParameters, reseeding: Reseeding) -> None:
    """Give each spent component the samples on one side of its parent, in place.

    What it had goes to the other candidates of its samples. A sample all of whose candidates are
    spent stays with the first. The responsibilities of a sample still sum to 1.

    Parameters
    ----------
    found : Found
    parameters : MixtureParameters
    reseeding : Reseeding
    """
    candidates, resp = found.candidates, found.resp
    is_spent = np.zeros(parameters.n_components, np.bool_)
    is_spent[reseeding.spent] = True
    left = np.flatnonzero(is_spent[candidates].any(axis=1))
    order = np.argsort(is_spent[candidates[left]], axis=1, kind="stable")  # the others first
    candidates[left] = np.take_along_axis(candidates[left], order, axis=1)
    shares = np.take_along_axis(resp[left], order, axis=1)
    shares[is_spent[candidates[left]]] = 0.0
    # what the others leave goes to the first, which may have had nothing
    shares[:, 0] = 1.0 - shares[:, 1:].sum(axis=1)
    resp[left] = shares
    _take_over(found, parameters, reseeding)


def _take_over(found: Found, parameters: MixtureParameters, reseeding: Reseeding) -> None:
    """Let each spent component take the place of its parent for samples on one side of its mean."""
    candidates, resp = found.candidates, found.resp
    number = np.full(parameters.n_components, -1)
    number[reseeding.parents] = np.arange(len(reseeding.parents))
    numbers = number[candidates[:, 0]]
    rows = np.flatnonzero(numbers >= 0)
    from_mean = found.X[rows] - parameters.means[candidates[rows, 0]]
    beyond = np.einsum("ij,ij->i", from_mean, reseeding.normals[numbers[rows]]) > 0.0
    rows = rows[beyond]
    children = reseeding.spent[numbers[rows]]
    if candidates.shape[1] > 1:  # the parent stays a candidate
        slot = places_for(candidates[rows], children)
        resp[rows, 0] += resp[rows, slot]
        resp[rows, slot] = 0.0
        candidates[rows, slot] = candidates[rows, 0]
    candidates[rows, 0] = children
