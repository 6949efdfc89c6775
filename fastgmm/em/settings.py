"""Settings of policies: whole numbers, seeds, and numbers that change with the iteration."""

import operator
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

Number = TypeVar("Number", int, float)


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
