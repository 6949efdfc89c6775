"""How exactly a candidate is fitted: the further behind the best it lies, the less."""

import math

from ..em.convergence import RemainingGain
from ..em.result import Iteration
from ..model.criteria import bic

# What a fit may still gain, as a share of the distance at which its candidate lies behind the best.
_SHARE = 0.1
# A fit stops at this part of what it may gain: the distance shrinks while it gains.
_MARGIN = 0.5
# An estimate below this share of the tolerance leaves little doubt.
_CLEAR_SHARE = 1 / 32


def allowed_gain(distance: float, weight: float) -> float:
    """Return what a fit may still gain.

    Parameters
    ----------
    distance : float
        At which its candidate lies behind the best, in units of BIC: 2 nats in total.
    weight : float
        The sum of the weights of the samples.

    Returns
    -------
    float
        In nats per sample.
    """
    return _SHARE * distance / (2.0 * weight)


def first_tolerance(distance: float, weight: float, least: float) -> float:
    """Return the tolerance of a fit whose candidate will come nearer to the best.

    Parameters
    ----------
    distance, weight : float
        See `allowed_gain`.
    least : float
        The finest tolerance, in nats per sample.

    Returns
    -------
    float
        In nats per sample.
    """
    return max(least, _MARGIN * allowed_gain(distance, weight))


class BehindTheBest(RemainingGain):
    """Stop when a fit is expected to gain little beside its distance from the best.

    Parameters
    ----------
    least : float
        The finest tolerance, in nats per sample.
    best : float
        The lowest BIC of other candidates; infinite if there is none, and the tolerance stays.
    n_parameters : int
    weight : float
        The sum of the weights of the samples.
    clear_share : float
        An estimate of the gain that is below this share of the tolerance counts as two in a row:
        if it is low by chance, it may be so by much.
    """

    def __init__(
        self,
        least: float,
        best: float,
        n_parameters: int,
        weight: float,
        clear_share: float = _CLEAR_SHARE,
    ) -> None:
        super().__init__(least)
        self._clear_share = clear_share
        self._least = least
        self._best = best
        self._n_parameters = n_parameters
        self._weight = weight

    @classmethod
    def anywhere(cls, tol: float) -> "BehindTheBest":
        """Return the rule of one tolerance, wherever the candidate lies.

        Parameters
        ----------
        tol : float
            In nats per sample.
        """
        return cls(tol, math.inf, n_parameters=0, weight=1.0, clear_share=0.0)

    def look(self, iteration: Iteration) -> None:
        """Take the distance after an iteration; a callback of `run`.

        Parameters
        ----------
        iteration : Iteration
        """
        own = bic(self._weight * iteration.lower_bound, self._n_parameters, self._weight)
        self.tol = first_tolerance(own - self._best, self._weight, self._least)

    def _count(self, expected: float) -> int:
        return 2 if expected < self._clear_share * self.tol else 1
