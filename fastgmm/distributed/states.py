"""What parts keep on the workers from one sum to the next."""

from collections.abc import Sequence
from typing import Any


class States:
    """The states of all parts: futures, whose values stay on the workers.

    A checkpoint does not hold them. Where a fit goes on from it, parts make theirs anew.

    Parameters
    ----------
    futures : list of futures, default=()
        One for each part; none where no part has a state.
    """

    def __init__(self, futures: Sequence[Any] = ()) -> None:
        self._futures = futures

    def of_parts(self, n_parts: int) -> list[Any]:
        """Return the future of each part; None where it has no state, or lost it with a worker.

        Parameters
        ----------
        n_parts : int

        Returns
        -------
        list
        """
        if not self._futures:
            return [None] * n_parts
        return [future if future.status == "finished" else None for future in self._futures]

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._futures = ()
