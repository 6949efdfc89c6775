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
from .neighborhoods import Indices

# A component has one sample at the most if its responsibilities sum up to less.
_SPENT = 1.5
# A component of fewer samples is not split.
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


def find_spent(nk: Array, mean_weight: float) -> Reseeding:
    """Return the components of one sample or none, and as many of the largest.

    Parameters
    ----------
    nk : (K,) array
        Sums of responsibilities.
    mean_weight : float
        Of a sample.

    Returns
    -------
    Reseeding
        Without components if none is spent, or none is large.
    """
    spent = np.flatnonzero(nk < _SPENT * mean_weight)
    parents = np.argsort(-nk, kind="stable")[: len(spent)]
    parents = parents[nk[parents] >= _SMALLEST * mean_weight]
    return Reseeding(spent[: len(parents)], parents)


def reseed(found: Found, parameters: MixtureParameters, reseeding: Reseeding) -> None:
    """Give each spent component the samples on one side of its parent, in place.

    What it had goes to the next candidates of its samples. The responsibilities of a sample still
    sum to 1.

    Parameters
    ----------
    found : Found
    parameters : MixtureParameters
    reseeding : Reseeding
    """
    candidates, resp = found.candidates, found.resp
    new = np.full(parameters.n_components, -1)
    new[reseeding.parents] = reseeding.spent
    is_spent = np.zeros(parameters.n_components, np.bool_)
    is_spent[reseeding.spent] = True
    left = np.flatnonzero(is_spent[candidates].any(axis=1))
    last = is_spent[candidates[left, 0]]
    candidates[left[last]] = np.roll(candidates[left[last]], -1, axis=1)
    resp[left[last]] = np.roll(resp[left[last]], -1, axis=1)
    others = np.where(is_spent[candidates[left, 1:]], 0.0, resp[left, 1:])
    # what the others leave goes to the first, which may have had nothing
    resp[left, 1:], resp[left, 0] = others, 1.0 - others.sum(axis=1)
    best = candidates[:, 0].astype(np.int64)
    rows = np.flatnonzero(new[best] >= 0)
    normals = longest_axes(parameters) / deviations(parameters) ** 2
    from_mean = found.X[rows] - parameters.means[best[rows]]
    moved = rows[np.einsum("ij,ij->i", from_mean, normals[best[rows]]) > 0.0]
    candidates[moved, -1] = best[moved]
    resp[moved, 0] += resp[moved, -1]
    resp[moved, -1] = 0.0
    candidates[moved, 0] = new[best[moved]]
