"""What workers run: functions of one partition."""

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._kernels.blas import one_blas_thread
from .._kernels.floating_point import numpys_rules
from .._kernels.layout import Array
from ..data.checks import check_samples
from ..data.containers import is_frame
from ..data.samples import Samples

# of malloc.h
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3


class Part(NamedTuple):
    """The samples of positive weight of one partition, checked, as the kernels read them.

    A tuple of arrays: Dask knows its size, and moves it without a copy.
    """

    X: NDArray[Any]
    weight: Array | None
    result_dtype: "np.dtype[Any]"
    frame: Any


class Facts(NamedTuple):
    """What the client must know of a part.

    Parameters
    ----------
    shape : tuple of int
    dtype, result_dtype : dtype
    total_weight : float
    largest : float
        The largest magnitude.
    frame : data frame or None
        Without rows: it has the names of the features.
    """

    shape: tuple[int, int]
    dtype: "np.dtype[Any]"
    result_dtype: "np.dtype[Any]"
    total_weight: float
    largest: float
    frame: Any


@dataclass(frozen=True)
class Call:
    """A function of samples, with its other arguments; see `Samples.sum`."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """The beginning of the keys of its tasks."""
        return "fastgmm-" + self.function.__name__.strip("_").replace("_", "-")


@numpys_rules()
def prepare(X: Any, sample_weight: Any, number: int, finite: bool) -> Part:
    """Return the part of a partition.

    Parameters
    ----------
    X : array or data frame
    sample_weight : array, number or None
    number : int
        Of the partition, for messages.
    finite : bool
        Whether to check that X is finite.

    Raises
    ------
    TypeError, ValueError
        As ``check_samples``, with the number of the partition.
    """
    try:
        samples = check_samples(X, sample_weight, min_samples=0, finite=finite, may_be_absent=True)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Partition {number}: {error}") from error
    is_whole = samples.n_present == samples.n_samples
    rows: Any = slice(None) if is_whole else np.flatnonzero(samples.sample_weight)
    weight = samples.sample_weight[rows] if samples.is_weighted else None
    frame = X[:0] if is_frame(X) else None
    return Part(samples.rows(rows), weight, samples.result_dtype, frame)


def describe(part: Part) -> Facts:
    """Return what the client must know of a part."""
    samples = Samples(part.X, part.weight)
    shape = samples.n_samples, samples.n_features
    types = samples.dtype, part.result_dtype
    return Facts(shape, *types, samples.total_weight, samples.largest_magnitude, part.frame)


def pick(part: Part, rows: NDArray[np.intp]) -> tuple[NDArray[Any], Array | None]:
    """Return some rows of a part and their weights."""
    return part.X[rows], None if part.weight is None else part.weight[rows]


@cache
def _keep_memory() -> None:
    """Let glibc keep pieces of up to 4 MB that are freed, 8 MB for each thread.

    Dask's nannies set MALLOC_TRIM_THRESHOLD_. Then glibc gives all pieces from 128 kB on back to
    the system at once, and each slot of a kernel asks for about 1 MB: of a pass of a million
    samples, page faults took 100 of 700 ms.
    """
    if "MALLOC_TRIM_THRESHOLD_" in os.environ:
        with suppress(OSError, TypeError, AttributeError):  # no glibc
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MMAP_THRESHOLD, 4 * 2**20)
            mallopt(_TRIM_THRESHOLD, 8 * 2**20)


@numpys_rules()
def apply(call: Call, part: Part, *state: Any) -> Any:
    """Return what a function makes of a part, and of its state if it keeps one."""
    _keep_memory()
    samples = Samples(part.X, part.weight)
    with one_blas_thread():
        return call.function(samples, *state, *call.arguments, threads_of_task())


def predict(model: Any, method: str, X: Any, like: NDArray[Any]) -> NDArray[Any]:
    """Return the predictions of a model for one partition.

    Parameters
    ----------
    model : estimator
    method : str
    X : array or data frame
    like : array
        The predictions of no rows.
    """
    if len(X) == 0:
        return like
    model = copy(model)  # other tasks have it, too
    model.n_jobs = threads_of_task()
    return np.asarray(getattr(model, method)(X), like.dtype)


def threads_of_task() -> int:
    """Return how many threads a task may use: an equal share of those of its worker.

    1 where Dask computes without workers.
    """
    from distributed import get_worker

    try:
        state = get_worker().state
    except ValueError:
        return 1
    return max(1, int(state.nthreads) // max(1, len(state.executing)))
