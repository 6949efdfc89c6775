"""Acceleration policies: where EM looks next, beyond its own step."""

from abc import ABC, abstractmethod
from contextlib import suppress
from types import UnionType
from typing import Any, ClassVar, Generic

import numpy as np

from .._kernels.layout import Array
from ..model.covariance_model import CollapseError
from ..model.parameters import MixtureParameters
from ..model.statistics import SufficientStatistics
from .convergence import EVERY_OBJECTIVE
from .coordinates import EMCoordinates
from .latent_variable_model import P, S

_SHORTEN = 0.3
_SHORTER_STEPS = 2


class Acceleration(ABC, Generic[P, S]):
    """Chooses the parameters of the next E step; by default the step of EM itself.

    Attributes
    ----------
    parameters_type : type
        Type of the parameters that it works with.
    objectives : frozenset of str
        The kinds of lower bound that it works with; see `Posterior`.
    needs_em_step : bool
        Whether the update must maximise the expected complete log-likelihood.
    """

    parameters_type: ClassVar[type | UnionType] = object
    objectives: ClassVar[frozenset[str]] = EVERY_OBJECTIVE
    needs_em_step: ClassVar[bool] = False

    def start(self) -> None:
        """Begin a run: forget earlier ones."""

    def accepts(self, lower_bound: float) -> bool:
        """Return whether the run goes on from the point that was chosen last.

        Parameters
        ----------
        lower_bound : float
            Of the point that was chosen last.

        Returns
        -------
        bool
        """
        return True

    @abstractmethod
    def advance(
        self,
        statistics: S,
        parameters: P,
        updated: P,
    ) -> P:
        """Return the next point, given the last one, its statistics and its EM step.

        Parameters
        ----------
        statistics : object
            Of the last point, from the posterior.
        parameters : object of ``parameters_type``
            The last point.
        updated : object of ``parameters_type``
            What the update made of it.

        Returns
        -------
        object of ``parameters_type``
        """

    def retreat(self) -> P:
        """Return the next point after one that was not accepted.

        Returns
        -------
        object of ``parameters_type``
        """
        raise NotImplementedError

    def remaining(self) -> float:
        """Return the gain in the lower bound still to be expected; 0 if unknown.

        Returns
        -------
        float
            In nats per unit of weight.
        """
        return 0.0


class NoAcceleration(Acceleration[Any, Any]):
    """The update's own step, always."""

    def advance(
        self,
        statistics: Any,
        parameters: Any,
        updated: Any,
    ) -> Any:
        """Return the step."""
        return updated


class QuasiNewton(Acceleration[MixtureParameters, SufficientStatistics]):
    """Limited-memory quasi-Newton steps on EM's residual, guarded by the likelihood.

    In coordinates in which the information of the complete data is the identity, an EM step r is
    the gradient of the mean log-likelihood. L-BFGS approximates the inverse of the observed
    information (that of the complete data less that of the missing data) from the last ``memory``
    differences of points and of residuals. A point with a lower likelihood is rejected; a shorter
    step, or the EM step of the point before, takes its place. So the likelihood does not fall,
    unless a component collapses, where the likelihood has no bound.

    EM runs alone while it gains more than ``start_below`` a step: far from a maximum the quadratic
    model is poor, and longer steps may end at another maximum.

    Parameters
    ----------
    start_below : float
        In nats per sample.
    memory : int
    largest : float
        Largest change, in one step, of a log-weight, of a mean in standard deviations or of a log
        standard deviation.

    Notes
    -----
    After Jamshidian and Jennrich (1997), "Acceleration of the EM algorithm by using quasi-Newton
    methods", J. R. Statist. Soc. B 59; the inverse by Nocedal (1980), Math. Comp. 35.
    """

    parameters_type = MixtureParameters
    objectives: ClassVar[frozenset[str]] = frozenset({"log-likelihood"})
    needs_em_step: ClassVar[bool] = True

    def __init__(self, start_below: float = 1e-3, memory: int = 20, largest: float = 1.0) -> None:
        self.start_below = start_below
        self.memory = memory
        self.largest = largest
        self.start()

    def start(self) -> None:
        """Forget all points."""
        self._best = -np.inf
        self._fallback: MixtureParameters | None = None
        self._forget()

    def _forget(self) -> None:
        self._coordinates: EMCoordinates | None = None
        self._point: Array = np.zeros(0)
        self._residual: Array = np.zeros(0)
        self._pairs: list[tuple[Array, Array]] = []
        self._step: Array = np.zeros(0)
        self._shortened = 0
        self._remaining = 0.0

    def accepts(self, lower_bound: float) -> bool:
        """Return whether the likelihood did not fall; plain EM steps are always taken.

        Parameters
        ----------
        lower_bound : float
            Of the point that was chosen last.

        Returns
        -------
        bool
        """
        return self._coordinates is None or lower_bound >= self._best

    def remaining(self) -> float:
        """Return half of gradient times step, the gain that the quadratic model expects.

        Returns
        -------
        float
            In nats per unit of weight.
        """
        return self._remaining

    def retreat(self) -> MixtureParameters:
        """Return a shorter step from the best point or, finally, its EM step and start again.

        Returns
        -------
        MixtureParameters
        """
        assert self._fallback is not None
        self._shortened += 1
        if self._coordinates is not None and self._shortened <= _SHORTER_STEPS:
            self._step *= _SHORTEN
            with suppress(CollapseError):
                return self._coordinates.parameters(self._point + self._step)
        self._forget()
        return self._fallback

    def advance(
        self,
        statistics: SufficientStatistics,
        parameters: MixtureParameters,
        updated: MixtureParameters,
    ) -> MixtureParameters:
        """Return the quasi-Newton step, or the EM step while EM runs alone.

        Parameters
        ----------
        statistics : SufficientStatistics
            Of the last point.
        parameters : MixtureParameters
            The last point.
        updated : MixtureParameters
            Its EM step.

        Returns
        -------
        MixtureParameters
        """
        gain = statistics.lower_bound - self._best
        self._best = statistics.lower_bound
        self._fallback = updated
        if self._coordinates is None and not gain < self.start_below:
            return updated
        try:
            return self._next(statistics.moments.nk, parameters, updated)
        except (CollapseError, FloatingPointError):
            self._forget()
            return updated

    def _next(
        self, nk: Array, parameters: MixtureParameters, updated: MixtureParameters
    ) -> MixtureParameters:
        if min(nk.min(), parameters.weights.min(), updated.weights.min()) <= 0.0:
            raise CollapseError(None)
        if self._coordinates is None:
            self._coordinates = EMCoordinates(parameters, nk)
        point = self._coordinates.coordinates(parameters)
        residual = self._coordinates.coordinates(updated) - point
        if self._point.size:
            self._remember(point - self._point, self._residual - residual)
        self._point, self._residual = point, residual
        step = self._direction(residual)
        if step @ residual <= 0.0:
            self._pairs = []
            step = residual
        self._remaining = 0.5 * float(step @ residual)
        step *= min(1.0, self.largest / max(self._coordinates.largest_change(step), 1e-300))
        self._step, self._shortened = step, 0
        return self._coordinates.parameters(point + step)

    def _remember(self, moved: Array, fallen: Array) -> None:
        if moved @ fallen > 1e-10 * (moved @ moved):
            self._pairs = [*self._pairs, (moved, fallen)][-self.memory :]

    def _direction(self, residual: Array) -> Array:
        """Return the two-loop recursion of L-BFGS."""
        step = residual.copy()
        coefficients = []
        for moved, fallen in reversed(self._pairs):
            coefficient = (moved @ step) / (moved @ fallen)
            coefficients.append(coefficient)
            step -= coefficient * fallen
        if self._pairs:
            moved, fallen = self._pairs[-1]
            step *= np.clip((moved @ fallen) / (fallen @ fallen), 0.2, 20.0)
        for (moved, fallen), coefficient in zip(self._pairs, reversed(coefficients), strict=True):
            step += (coefficient - (fallen @ step) / (moved @ fallen)) * moved
        return step
