"""Step sizes of gradient methods."""

from collections.abc import Callable

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


def step_size_of(step_size: StepSize) -> Callable[[int], float]:
    """Return a schedule; a number gives a constant schedule."""
    if callable(step_size):
        return step_size
    if not step_size > 0.0:
        raise ValueError(f"step_size should be positive, or callable, got {step_size}.")
    constant = float(step_size)
    return lambda _: constant
