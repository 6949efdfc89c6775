"""Samples in partitions on the workers of Dask."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from numbers import Real
from operator import itemgetter
from threading import Lock
from time import sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array
from ..data.containers import column_names
from ..data.samples import Samples, T
from ..em.parts import merge
from .client import current_client, results, scattered
from .graph import each, merged, new_name
from .partitions import Delayed, is_distributed, to_partitions
from .states import States
from .tasks import Call, Facts, apply, describe, pick, prepare

# How often partitions are loaded for one pass, where workers that should compute it die. Between,
# Dask forgets the tasks, and how often they failed.
_ATTEMPTS = 5
_SECONDS_TO_FORGET = 0.5


class DistributedSamples(Samples):
    """The samples of positive weight of all partitions, which stay on the workers.

    Rows are numbered in the order of the partitions. A worker that dies takes its partitions along,
    and Dask loads them again, elsewhere. What it computes from them does not change.

    Parameters
    ----------
    X : Dask array or data frame, or list of delayed partitions, futures or paths
    sample_weight : the same, of the same partitions; number or None
    min_samples : int, default=1
    finite : bool, default=True
        Whether to check that X is finite.

    Attributes
    ----------
    frame : data frame or None
        Without rows: it has the names of the features.

    Raises
    ------
    ValueError, TypeError
        As ``check_samples``, or where partitions do not go together.
    RuntimeError
        If there is no client of Dask.
    """

    def __init__(
        self, X: Any, sample_weight: Any = None, *, min_samples: int = 1, finite: bool = True
    ) -> None:
        self._client = current_client()
        self._lock = Lock()
        self._finite = finite
        partitions = to_partitions(X)
        self._sources = list(zip(partitions, _weights(sample_weight, len(partitions)), strict=True))
        self._numbers: Sequence[int] = range(len(partitions))
        self._parts = self._load()
        facts = self._compute(lambda parts: each(describe, parts, "fastgmm-facts"))
        self.n_features, self.frame = _common(facts)
        # parts without rows are not asked again
        self._numbers = [number for number in self._numbers if facts[number].shape[0]]
        self._parts = [self._parts[number] for number in self._numbers]
        facts = [facts[number] for number in self._numbers]
        self._ends = np.cumsum([of.shape[0] for of in facts], dtype=np.int64)
        self.n_samples = int(self._ends[-1]) if len(facts) else 0
        self.is_weighted = sample_weight is not None
        self._total_weight = float(merge(of.total_weight for of in facts)) if facts else 0.0
        self._largest = max((of.largest for of in facts), default=0.0)
        self._dtypes = (
            np.result_type(np.float32, *(of.dtype for of in facts)),
            np.result_type(np.float32, *(of.result_dtype for of in facts)),
        )
        self.with_missing = False
        self._present = None
        self._check(min_samples)

    def _check(self, min_samples: int) -> None:
        if self.n_samples < min_samples:
            kind = " of positive weight" if self.is_weighted else ""
            raise ValueError(
                f"Found {self.n_samples} sample(s){kind} in {len(self._sources)} partition(s) "
                f"while a minimum of {min_samples} is required."
            )
        if self._total_weight == math.inf:
            raise ValueError("sample_weight should have a finite sum, but it overflows.")

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The type of the rows that the kernels get: float32 where that of all partitions is."""
        return self._dtypes[0]

    @property
    def result_dtype(self) -> "np.dtype[Any]":
        """The type of results that are as precise as the samples: float32 or float64."""
        return self._dtypes[1]

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return self._total_weight

    in_memory = False

    @property
    def n_present(self) -> int:
        """All: samples whose weight is 0 are left out."""
        return self.n_samples

    @property
    def first_present(self) -> int:
        """The first: samples whose weight is 0 are left out."""
        return 0

    @property
    def has_equal_weights(self) -> bool:
        """Whether there are no weights; those of other partitions are not compared."""
        return not self.is_weighted

    @property
    def largest_magnitude(self) -> float:
        """The largest absolute value."""
        return self._largest

    def sum(self, function: Callable[..., T], *arguments: Any, n_threads: int) -> T:  # noqa: ARG002
        """Return the sum of ``function(part, *arguments, n_threads)`` over all parts.

        The order of additions is that of `em.merge`, however many workers there are. The number of
        threads is that of the workers.
        """
        call = Call(function, arguments)

        def tree(parts: list[Any]) -> list[Delayed]:
            from dask import delayed

            shared = delayed(call, name=new_name("fastgmm-broadcast"), traverse=False)
            return [merged(each(apply, parts, call.kind, shared))]

        result: T = self._compute(tree)[0]
        return result

    def states(
        self,
        function: Callable[..., Any],  # noqa: ARG002
        *arguments: Any,  # noqa: ARG002
        n_threads: int,  # noqa: ARG002
    ) -> States:
        """Return no states: parts make their own in the first sum."""
        return States()

    def sum_with_states(
        self,
        function: Callable[..., tuple[T, Any]],
        states: States,
        *arguments: Any,
        n_threads: int,  # noqa: ARG002
    ) -> tuple[T, States]:
        """Return a sum as `sum` does, and the next states, which stay on the workers.

        A state that is lost with a worker is not computed again from those before, whose tasks
        Dask has forgotten: the function gets None instead.
        """
        call = Call(function, arguments)

        def tasks(parts: list[Any]) -> list[Delayed]:
            # not a task: else Dask would keep all iterations, to repeat them where a worker dies
            shared = scattered(self._client, call)
            pairs = each(apply, parts, call.kind, shared, own=states.of_parts(len(parts)))
            total = merged(each(itemgetter(0), pairs, "fastgmm-statistics"))
            return [total, *each(itemgetter(1), pairs, "fastgmm-state")]

        total, *futures = self._compute(tasks, n_fetched=1)
        return total, States(futures)

    def take(self, rows: Any) -> Samples:
        """Return some samples with their weights, in memory here.

        Parameters
        ----------
        rows : slice or array of int
        """
        return Samples(*self._fetch(rows))

    def weight(self, rows: Any) -> Array:
        """Return the weights of some rows, in memory here.

        Parameters
        ----------
        rows : slice or array of int
        """
        X, weight = self._fetch(rows)
        return np.ones(len(X)) if weight is None else weight

    def unconverted_rows(self, rows: Any) -> NDArray[Any]:
        """Return some rows, in memory here.

        Parameters
        ----------
        rows : slice or array of int
        """
        return self._fetch(rows)[0]

    def _fetch(self, rows: Any) -> tuple[NDArray[Any], Array | None]:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.n_samples))
        order = np.argsort(rows, kind="stable")
        ascending = np.asarray(rows)[order]
        stops = np.searchsorted(ascending, self._ends)
        starts = np.concatenate(([0], stops[:-1]))
        first_rows = np.concatenate(([0], self._ends[:-1]))
        asked = np.flatnonzero(stops > starts)
        own_rows = [ascending[starts[i] : stops[i]] - first_rows[i] for i in asked]

        def picks(parts: list[Any]) -> list[Delayed]:
            return each(pick, [parts[i] for i in asked], "fastgmm-subsample", own=own_rows)

        found = self._compute(picks)
        X = np.empty((len(order), self.n_features), self.dtype)
        X[order] = np.concatenate([X[:0], *(of[0] for of in found)])
        if not self.is_weighted:
            return X, None
        weight = np.empty(len(order))
        weight[order] = np.concatenate([weight[:0], *(of[1] for of in found)])
        return X, weight

    def _load(self) -> list[Any]:
        """Let the workers load and keep the partitions; return the futures of these parts."""
        from dask import delayed

        name = new_name("fastgmm-partition")
        load = delayed(prepare)
        return list(
            self._client.compute(
                [
                    load(*self._sources[i], i, self._finite, dask_key_name=f"{name}-{i}")
                    for i in self._numbers
                ]
            )
        )

    def _compute(
        self, tasks_of: Callable[[list[Any]], list[Delayed]], n_fetched: int | None = None
    ) -> list[Any]:
        """Return the results of tasks that are made of the parts; see `results`.

        Dask itself repeats what a dead worker had to do, but it gives up a task that was on too
        many of these, though no fault of it: it counts over all iterations. Then the partitions are
        loaded anew. A pass whose states were lost is repeated, too.
        """
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        for attempt in range(_ATTEMPTS):
            parts = self._current_parts()
            try:
                return results(self._client, tasks_of(parts), n_fetched)
            except KilledWorker:
                if attempt == _ATTEMPTS - 1:
                    raise
                self._reload(parts)
            except CancelledError:
                # with what is lost, or by another thread, which has loaded the partitions anew
                may_be_lost = n_fetched is not None or self._current_parts() is not parts
                if attempt == _ATTEMPTS - 1 or not may_be_lost:
                    raise
            except CommClosedError:  # to a worker that was to get what all share
                if attempt == _ATTEMPTS - 1:
                    raise
                sleep(_SECONDS_TO_FORGET)
        raise AssertionError

    def _current_parts(self) -> list[Any]:
        with self._lock:
            return self._parts

    def _reload(self, parts: list[Any]) -> None:
        with self._lock:
            if self._parts is parts:  # and no other thread has done it
                for part in parts:
                    part.release()
                sleep(_SECONDS_TO_FORGET)
                self._parts = self._load()


def _weights(sample_weight: Any, n_partitions: int) -> list[Any]:
    """Return the weights of each partition."""
    if sample_weight is None or isinstance(sample_weight, Real):
        return [sample_weight] * n_partitions
    if not is_distributed(sample_weight):
        raise TypeError(
            "sample_weight should be in partitions like X, or one number, but got an object of "
            f"type {type(sample_weight).__name__}."
        )
    weights = to_partitions(sample_weight)
    if len(weights) != n_partitions:
        raise ValueError(
            f"sample_weight should have the {n_partitions} partition(s) of X, but has "
            f"{len(weights)}."
        )
    return weights


def _common(facts: list[Facts]) -> tuple[int, Any]:
    """Return the number of features, and the data frame of no rows, of all partitions.

    Raises
    ------
    ValueError
        If partitions have not the same features.
    """
    first = facts[0]
    names = _names(first)
    for number, of in enumerate(facts):
        if of.shape[1] != first.shape[1]:
            raise ValueError(
                f"Partition {number} has {of.shape[1]} features, but partition 0 has "
                f"{first.shape[1]}."
            )
        if _names(of) != names:
            raise ValueError(
                f"Partition {number} has the columns {_names(of)}, but partition 0 has {names}."
            )
    return first.shape[1], first.frame


def _names(facts: Facts) -> list[Any] | None:
    return None if facts.frame is None else list(column_names(facts.frame))
