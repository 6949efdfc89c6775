"""Several calls at a time."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from .._kernels.floating_point import numpys_rules
from .._kernels.threads import for_each

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def map_in_threads(
    function: Callable[[_Item], _Result], items: Sequence[_Item], n_workers: int
) -> list[_Result]:
    """Return the results of a function, in the order of the items, computed in several threads.

    Parameters
    ----------
    function : callable
    items : sequence
    n_workers : int

    Returns
    -------
    list
    """
    results: dict[int, _Result] = {}

    def call(i: int) -> None:
        with numpys_rules():  # each thread has its own
            results[i] = function(items[i])

    for_each(call, range(len(items)), n_workers)
    return [results[i] for i in range(len(items))]
