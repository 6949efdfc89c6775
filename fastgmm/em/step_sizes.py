"""Step sizes of gradient methods and of stepwise EM."""

import math
from collections.abc import Callable
from dataclasses import dataclass

#: The step size of an iteration, counted from 0.
StepSize = float | Callable[[int], float]


class Decaying:
    r"""Step sizes that fall with a power of the number of iterations t.

    .. math:: \eta_t = \eta_0 (1 + t / \tau)^{-\kappa}

    With :math:`1/2 < \kappa \le 1` their sum is infinite and the sum of their squares is finite.
    Stochastic approximation needs this to converge.

    Parameters
    ----------
    first : float, default=1.0
        :math:`\eta_0`.
    delay : float, default=10.0
        :math:`\tau`: iterations until the step size has begun to fall.
    power : float, default=1.0
        :math:`\kappa`.

    References
    ----------
    Robbins and Monro (1951), A stochastic approximation method, Ann. Math. Statist. 22.

    Examples
    --------
    >>> from fastgmm import em
    >>> schedule = em.Decaying(first=0.5, delay=10)
    >>> schedule(0), schedule(10), schedule(90)
    (0.5, 0.25, 0.05)
    """

    def __init__(self, first: float = 1.0, delay: float = 10.0, power: float = 1.0) -> None:
        self.first = first
        self.delay = delay
        self.power = power

    def __call__(self, t: int) -> float:
        """Return the step size of iteration t, counted from 0."""
        return float(self.first * (1.0 + t / self.delay) ** -self.power)


@dataclass(frozen=True)
class StepSizes:
    r"""Step sizes of stepwise EM on a stream, whose batches may have any weights.

    A step is of ``step_weight`` samples, u. After samples of total weight W the step size is

    .. math:: \gamma = \max\left((W / u + t_0)^{-\alpha},\ 1 - 2^{-u / h}\right)

    and a batch of weight b moves the statistics by :math:`1 - (1 - \gamma)^{b / u}`, as far as
    b / u such steps would. So batches of weight u have the step sizes of Cappé and Moulines, two
    halves of a batch move the statistics about as far as the whole, and a weight of 3 counts as
    three copies.

    Parameters
    ----------
    exponent : float, default=0.6
        :math:`\alpha`, above 0.5 and at most 1. The larger it is, the sooner the noise fades, and
        the longer the start has influence.
    offset : float, default=2.0
        :math:`t_0`, at least 1.
    step_weight : float, optional
        u, in samples. None: as many as the mixture has free parameters.
    half_life : float, optional
        h, in samples: once step sizes are constant, a sample counts half as much after h further
        ones; before, it fades sooner. None: step sizes fall to 0, which is for streams that do not
        change.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Cappé and Moulines (2009), On-line expectation-maximization algorithm for latent data models,
    J. R. Statist. Soc. B 71.

    Examples
    --------
    >>> from fastgmm import em
    >>> step_sizes = em.StepSizes(step_weight=100, half_life=1000)
    >>> [round(step_sizes.of_batch(100, after), 3) for after in (0, 1000, 1_000_000)]
    [0.66, 0.225, 0.067]
    """

    exponent: float = 0.6
    offset: float = 2.0
    step_weight: float | None = None
    half_life: float | None = None

    def __post_init__(self) -> None:
        if not 0.5 < self.exponent <= 1.0:
            raise ValueError(f"exponent should be above 0.5 and at most 1, got {self.exponent}.")
        if not 1.0 <= self.offset < math.inf:
            raise ValueError(f"offset should be at least 1 and finite, got {self.offset}.")
        for name, weight in (("step_weight", self.step_weight), ("half_life", self.half_life)):
            if weight is not None and not 0.0 < weight < math.inf:
                raise ValueError(f"{name} should be None, or positive and finite, got {weight}.")

    def of_batch(self, weight: float, seen: float) -> float:
        """Return how far a batch moves the statistics, from 0 to 1.

        Parameters
        ----------
        weight : float
            Total weight of the batch.
        seen : float
            Total weight of all samples before it.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If ``step_weight`` is None.
        """
        if self.step_weight is None:
            raise ValueError("step_weight should be a number here, got None.")
        step = (seen / self.step_weight + self.offset) ** -self.exponent
        step = max(step, 1.0 - self.remaining(self.step_weight))
        return float(1.0 - (1.0 - step) ** (weight / self.step_weight))

    def remaining(self, weight: float) -> float:
        """Return which part of its weight a sample still has after samples of this weight.

        Parameters
        ----------
        weight : float

        Returns
        -------
        float
            1 without a half-life.
        """
        return 1.0 if self.half_life is None else float(2.0 ** (-weight / self.half_life))


def step_size_of(step_size: StepSize) -> Callable[[int], float]:
    """Return a schedule; a number gives a constant schedule."""
    if callable(step_size):
        return step_size
    if not step_size > 0.0:
        raise ValueError(f"step_size should be positive, or callable, got {step_size}.")
    constant = float(step_size)
    return lambda _: constant
