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
    """

    spent: Indices
    parents: Indices


def find_spent(nk: Array) -> Reseeding:
    """Return the components of one sample or none, and as many of the largest.

    Parameters
    ----------
    nk : (K,) array
        Sums of responsibilities.

    Returns
    -------
    Reseeding
        Without components if none is spent, or none is large.
    """
    spent = np.flatnonzero(nk < _SPENT)
    parents = np.argsort(-nk, kind="stable")[: len(spent)]
    parents = parents[nk[parents] >= _SMALLEST]
    return Reseeding(spent[: len(parents)], parents)


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
    child_of = np.full(parameters.n_components, -1)
    child_of[reseeding.parents] = reseeding.spent
    best = candidates[:, 0].astype(np.int64)
    rows = np.flatnonzero(child_of[best] >= 0)
    normals = longest_axes(parameters) / deviations(parameters) ** 2
    from_mean = found.X[rows] - parameters.means[best[rows]]
    rows = rows[np.einsum("ij,ij->i", from_mean, normals[best[rows]]) > 0.0]
    children = child_of[best[rows]]
    if candidates.shape[1] > 1:  # the parent stays a candidate
        slot = places_for(candidates[rows], children)
        resp[rows, 0] += resp[rows, slot]
        resp[rows, slot] = 0.0
        candidates[rows, slot] = best[rows]
    candidates[rows, 0] = children
