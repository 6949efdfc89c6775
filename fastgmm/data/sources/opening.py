"""Find the source that reads what a path names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .array_files import ArrayFiles
from .base import Source
from .files import paths_of
from .parquet import Parquet
from .zarr import Zarr


def open_source(
    paths: Any,
    *,
    columns: Sequence[str] | None = None,
    weight: Any = None,
    memory: int | str | None = None,
) -> Source:
    """Return the source of .npy or Parquet files, or of a Zarr array, by the names of the files.

    Parameters
    ----------
    paths : str, path, or sequence of these
        Files, a folder or a pattern; a ``.zarr`` folder.
    columns : sequence of str, optional
        The features, where columns have names.
    weight : str, optional
        The column of weights in Parquet files; a file of weights for .npy files or Zarr.
    memory : int or str, optional
        Most memory that the process may take, such as ``"2GB"``.

    Returns
    -------
    Source

    Raises
    ------
    ValueError
        If the files are of no such kind, or of several.
    OSError, ImportError
        If they cannot be read.
    """
    if isinstance(paths, str | os.PathLike) and Path(paths).suffix == ".zarr":
        _refuse(columns, "a Zarr array")
        return Zarr(paths, weight, memory)
    found = paths_of(paths, (".npy", ".parquet"))
    suffixes = {path.suffix.lower() for path in found}
    if suffixes == {".parquet"}:
        return Parquet(found, columns, weight, memory)
    if suffixes == {".npy"}:
        _refuse(columns, ".npy files")
        return ArrayFiles(found, weight, memory)
    raise ValueError(
        f"paths should name .npy files, .parquet files or a .zarr folder, got {paths!r}, which is "
        f"{', '.join(sorted(suffixes)) or 'none of these'}."
    )


def _refuse(columns: Any, kind: str) -> None:
    if columns is not None:
        raise ValueError(f"columns should be None for {kind}, whose columns have no names.")
