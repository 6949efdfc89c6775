"""Settings of policies: whole numbers, seeds, and numbers that change with the iteration."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

Number = TypeVar("Number", int, float)
#: One positive integer, or one for each iteration, counted from 1.
Counts = int | Sequence[int] | Callable[[int], int]

# Logarithm of the largest growth, 1e13.
_LARGEST_GROWTH = 30.0


class Growing:
    r"""Whole numbers that grow geometrically with the iteration t: batch sizes, or draws.

    .. math:: m_t = m_1 \gamma^{t-1}, \qquad t = 1, 2, \ldots

    The variance of a mean of m samples falls as 1 / m. Take a method with constant steps that
    converges linearly on all samples. It keeps its rate if this variance falls as fast.

    Parameters
    ----------
    first : int
        :math:`m_1`.
    factor : float, default=1.1
        :math:`\gamma`, above 1.

    Raises
    ------
    ValueError
        If ``first`` is not a positive integer, or ``factor`` not above 1 and finite.

    References
    ----------
    Byrd, Chin, Nocedal and Wu (2012), Sample size selection in optimization methods for machine
    learning, Mathematical Programming 134. Friedlander and Schmidt (2012), Hybrid
    deterministic-stochastic methods for data fitting, SIAM J. Sci. Comput. 34.

    Examples
    --------
    >>> from fastgmm import em
    >>> batch_size = em.Growing(32, factor=1.5)
    >>> batch_size(1), batch_size(2), batch_size(5)
    (32, 48, 162)
    """

    def __init__(self, first: int, factor: float = 1.1) -> None:
        self.first = check_count(first, "first")
        if not 1.0 < factor < math.inf:
            raise ValueError(f"factor should be above 1 and finite, got {factor}.")
        self.factor = factor

    def __call__(self, iteration: int) -> int:
        """Return the number of an iteration.

        Parameters
        ----------
        iteration : int
            Counted from 1.

        Returns
        -------
        int
        """
        growth = min((iteration - 1) * math.log(self.factor), _LARGEST_GROWTH)
        return round(self.first * math.exp(growth))


class Schedule(Generic[Number]):
    """One number for each iteration, counted from 1; the last one repeats.

    Parameters
    ----------
    values : number or sequence of numbers
    name : str
        Of the parameter, for messages.
    check : callable
        Takes a value and its name, returns it as a number or raises ValueError.
    """

    def __init__(self, values: Any, name: str, check: Callable[[Any, str], Number]) -> None:
        listed = [values] if np.ndim(values) == 0 else list(values)
        if not listed:
            raise ValueError(f"{name} should be a number or a sequence of at least one, got [].")
        self.values: list[Number] = [check(value, name) for value in listed]

    def __len__(self) -> int:
        return len(self.values)

    def __call__(self, iteration: int) -> Number:
        """Return the number of an iteration."""
        return self.values[min(iteration, len(self.values)) - 1]


def counts(values: Counts, name: str) -> Callable[[int], int]:
    """Return a positive integer for each iteration, counted from 1.

    Parameters
    ----------
    values : int, sequence of int, or callable
        The last of a sequence repeats; a function is checked where it is called.
    name : str
        Of the parameter, for messages.
    """
    if callable(values):
        return lambda iteration: check_count(values(iteration), f"{name}({iteration})")
    return Schedule(values, name, check_count)


def check_count(value: Any, name: str) -> int:
    """Return a positive integer.

    Raises
    ------
    ValueError
        If the value is no integer, or less than 1.
    """
    count = _integer(value)
    if count is None or count < 1:
        raise ValueError(f"{name} should be a positive integer, got {value!r}.")
    return count


def check_not_negative(value: Any, name: str) -> int:
    """Return an integer of at least 0.

    Raises
    ------
    TypeError
        If the value is no integer.
    ValueError
        If it is less than 0.
    """
    count = _integer(value)
    if count is None:
        raise TypeError(f"{name} should be an integer, got {value!r}.")
    if count < 0:
        raise ValueError(f"{name} should be at least 0, got {value}.")
    return count


def check_seed(value: Any) -> int:
    """Return an integer from 0 to 2^64 - 1.

    Raises
    ------
    ValueError
        If it is not.
    """
    seed = _integer(value)
    if seed is None or not 0 <= seed < 2**64:
        raise ValueError(f"seed should be an integer from 0 to 2**64 - 1, got {value!r}.")
    return seed


def _integer(value: Any) -> int | None:
    try:
        return operator.index(value)
    except TypeError:
        return None
