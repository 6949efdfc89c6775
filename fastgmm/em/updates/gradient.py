"""M-step policies that follow a gradient: generalized EM, and stochastic gradient ascent."""

import numpy as np

from ..._kernels.layout import Array
from ...data.samples import Samples
from ...model.covariance_model import CollapseError
from ...model.gradients import q_function
from ...model.parameters import MixtureParameters
from ...model.statistics import SufficientStatistics
from ..coordinates import EMCoordinates
from ..step_sizes import StepSize, step_size_of
from .base import Update, Updated

# Largest change in one step: of a log-weight, a mean in standard deviations or a log standard
# deviation.
_LARGEST_CHANGE = 1.0
# Smallest weight of a component in the scale of its coordinates.
_SMALLEST_WEIGHT = 1e-6
# A step must gain at least this fraction of the gain that the gradient predicts.
_SUFFICIENT = 1e-4
_HALVINGS = 30


class _GradientUpdate(Update[MixtureParameters, SufficientStatistics]):
    """Steps along the gradient of Q, in the coordinates of `EMCoordinates` about the last point.

    To first order, the step of size 1 is the step of EM.
    """

    parameters_type = MixtureParameters

    def __init__(self, step_size: StepSize) -> None:
        self.step_size = step_size
        self._schedule = step_size_of(step_size)
        self._number = 0

    def start(self, samples: Samples, parameters: MixtureParameters) -> None:
        """Restart the schedule of step sizes."""
        self._number = 0

    def _next_step_size(self) -> float:
        size = self._schedule(self._number)
        self._number += 1
        return size


class _Direction:
    """The gradient of the mean of Q at a mixture, in coordinates about it, and points along it."""

    def __init__(self, statistics: SufficientStatistics, parameters: MixtureParameters) -> None:
        weights = np.maximum(parameters.weights, _SMALLEST_WEIGHT)
        self._coordinates = EMCoordinates(parameters, weights)
        self.gradient = self._coordinates.gradient(statistics, parameters) / statistics.weight
        self.collapsed: frozenset[int] = frozenset()

    @property
    def slope(self) -> float:
        """Gain of Q per unit of weight and of step size."""
        return float(self.gradient @ self.gradient)

    def point(self, step_size: float) -> MixtureParameters:
        """Return the mixture after a step, which is shortened to a change of at most 1.

        A component whose covariance collapses there keeps its covariance.
        """
        change = step_size * self._coordinates.largest_change(self.gradient)
        step: Array = self.gradient * (step_size * min(1.0, _LARGEST_CHANGE / max(change, 1e-300)))
        try:
            return self._coordinates.parameters(step)
        except CollapseError as error:
            self.gradient, kept = self._coordinates.without_spread(self.gradient, error.component)
            if kept <= self.collapsed:
                raise
            self.collapsed |= kept
        return self.point(step_size)


class GradientStep(_GradientUpdate):
    r"""Generalized EM: steps along the gradient of Q instead of its maximum.

    .. math:: \theta' = \theta + \eta \nabla Q(\theta), \qquad
        Q(\theta') \ge Q(\theta) + 10^{-4} \eta |\nabla Q(\theta)|^2

    in coordinates about :math:`\theta` in which :math:`\eta = 1` is, to first order, the step of
    EM. The step is halved until the inequality holds. Q is computed from the statistics, without a
    further pass over the samples.

    *What does not fall.* Q of the statistics never falls. If these are the exact posterior's of all
    samples, the likelihood does not fall either. If they are those of another q of all samples, as
    of `AmortizedPosterior`, this holds for the lower bound under that q. If they are those of a
    batch, Q is that of the batch. The likelihood of all samples may then fall, as in any stochastic
    method.

    Parameters
    ----------
    n_steps : int, default=1
        Steps for each E step.
    step_size : float or callable, default=1.0
        The first :math:`\eta` that is tried, or a function of the iteration, counted from 0.

    Raises
    ------
    ValueError
        If ``n_steps`` is less than 1 or ``step_size`` not positive.

    References
    ----------
    Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    Lange (1995), A gradient algorithm locally equivalent to the EM algorithm, J. R. Statist.
    Soc. B 57.
    """

    def __init__(self, n_steps: int = 1, step_size: StepSize = 1.0) -> None:
        super().__init__(step_size)
        if n_steps < 1:
            raise ValueError(f"n_steps should be at least 1, got {n_steps}.")
        self.n_steps = n_steps

    def __call__(
        self, statistics: SufficientStatistics, previous: MixtureParameters
    ) -> Updated[MixtureParameters]:
        """Return the next parameters."""
        size = self._next_step_size()
        point, collapsed = previous, frozenset[int]()
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for _ in range(self.n_steps):
                point, failed = _climb(statistics, point, size)
                collapsed |= failed
        return Updated(point, collapsed)


def _climb(
    statistics: SufficientStatistics, parameters: MixtureParameters, size: float
) -> tuple[MixtureParameters, frozenset[int]]:
    """Return the first of shorter and shorter steps with a higher Q, or the start."""
    direction = _Direction(statistics, parameters)
    start = q_function(statistics, parameters)
    for _ in range(_HALVINGS):
        try:
            point = direction.point(size)
        except CollapseError:
            break
        needed = _SUFFICIENT * size * direction.slope * statistics.weight
        if q_function(statistics, point) >= start + needed:
            return point, direction.collapsed
        size *= 0.5
    return parameters, direction.collapsed


class GradientAscent(_GradientUpdate):
    r"""One step along the gradient of the log-likelihood, without a check of the result.

    .. math:: \theta' = \theta + \eta_t \nabla \log p(X \mid \theta) / \textstyle\sum_i s_i

    in coordinates about :math:`\theta` in which the information of the complete data is the
    identity. This is a natural gradient; to first order, :math:`\eta = 1` is the step of EM. With
    `MiniBatchPosterior` this is stochastic gradient ascent, which converges for step sizes that
    fall, such as `Decaying`. A step is shortened to a change of at most 1 in a log-weight, a mean
    in standard deviations or a log standard deviation.

    Parameters
    ----------
    step_size : float or callable, default=0.5
        :math:`\eta`, or a function of the iteration t, counted from 0.

    Raises
    ------
    ValueError
        If ``step_size`` is not positive.

    References
    ----------
    Amari (1998), Natural gradient works efficiently in learning, Neural Computation 10.
    """

    def __init__(self, step_size: StepSize = 0.5) -> None:
        super().__init__(step_size)

    def __call__(
        self, statistics: SufficientStatistics, previous: MixtureParameters
    ) -> Updated[MixtureParameters]:
        """Return the next parameters."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            direction = _Direction(statistics, previous)
            try:
                point = direction.point(self._next_step_size())
            except CollapseError:
                point = previous
        return Updated(point, direction.collapsed)
