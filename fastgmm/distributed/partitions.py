"""What users hand in, as one delayed object for each partition."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data.array_file import read_npy
from ..data.arrow import import_pyarrow

Delayed = Any


def is_distributed(values: Any) -> bool:
    """Return whether it is a Dask collection, or a list of delayed partitions, futures or paths."""
    if hasattr(values, "to_delayed"):
        return True
    is_list = isinstance(values, list | tuple) and len(values) > 0
    return is_list and all(_is_partition(value) for value in values)


def _is_partition(value: Any) -> bool:
    if isinstance(value, str | os.PathLike):
        return True
    # a future of Dask knows its client, and a delayed object its graph
    return hasattr(value, "key") and (hasattr(value, "client") or hasattr(value, "dask"))


def to_partitions(values: Any) -> list[Delayed]:
    """Return the partitions of what ``is_distributed``, in their order.

    Partitions that are files are read by the worker that needs them.
    """
    from dask import delayed

    if not hasattr(values, "to_delayed"):
        read = delayed(read_partition, pure=True)
        return [read(str(v)) if isinstance(v, str | os.PathLike) else v for v in values]
    if getattr(values, "ndim", None) == 2 and hasattr(values, "rechunk"):
        values = values.rechunk({1: -1})  # a partition has all features of its rows
    partitions = values.to_delayed()
    return list(partitions.ravel() if hasattr(partitions, "ravel") else partitions)


def row_counts(values: Any, n_partitions: int) -> Sequence[float]:
    """Return how many rows each partition has; NaN where that is not known without a look."""
    chunks = getattr(values, "chunks", None)
    return [math.nan] * n_partitions if chunks is None else chunks[0]


def read_partition(path: str) -> Any:
    """Read the table in a file: .npy, mapped into memory, or Parquet.

    Raises
    ------
    ValueError
        If the name of the file ends otherwise.
    """
    ending = Path(path).suffix.lower()
    if ending == ".npy":
        return read_npy(path)
    if ending in (".parquet", ".pq"):
        import_pyarrow(path)
        from pyarrow import parquet

        return parquet.read_table(path)
    raise ValueError(f"{path}: a partition should be a file .npy or .parquet.")
