"""The files of a source: which they are, and whether they are still what they were."""

import glob
import os
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any


def paths_of(paths: Any, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files that are meant.

    Parameters
    ----------
    paths : str, path, or sequence of these
        Files; folders, for their files by name; patterns such as ``data/*.npy``.
    suffixes : tuple of str
        Of the files of a folder.

    Returns
    -------
    list of Path

    Raises
    ------
    ValueError, TypeError
        If there is none.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not isinstance(given, Sequence) or not len(given):
        raise TypeError(f"paths should be a path or several, got {paths!r}.")
    found: list[Path] = []
    for each in given:
        path = Path(os.fspath(each))
        if path.is_dir():
            inside = [file for file in path.iterdir() if file.suffix.lower() in suffixes]
            found += _not_empty(sorted(inside), f"{path}: expected {' or '.join(suffixes)} files")
        elif path.exists() or not glob.has_magic(str(path)):
            found.append(path)
        else:
            matches = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
            found += _not_empty(matches, f"{path}: expected files of this pattern")
    return found


def _not_empty(found: list[Path], message: str) -> list[Path]:
    if not found:
        raise ValueError(f"{message}, found none.")
    return found


class Files:
    """Files that must not change while they are read again and again.

    Parameters
    ----------
    paths : sequence of Path

    Raises
    ------
    OSError
        If one cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self._states = [_state(path) for path in self.paths]

    def check(self, number: int) -> None:
        """Raise ValueError if a file is not what it was when the source was made.

        Parameters
        ----------
        number : int
            Of the file.
        """
        path = self.paths[number]
        if _state(path) != self._states[number]:
            raise ValueError(
                f"{path} has changed since it was opened. A fit reads it many times, and needs "
                "the same rows each time."
            )

    def find(self, row: int, counts: Sequence[int]) -> tuple[int, int]:
        """Return the file of a row, and the row's number in it.

        Parameters
        ----------
        row : int
        counts : sequence of int
            Rows of each file.
        """
        ends = list(accumulate(counts))
        number = bisect_right(ends, row)
        return number, row - (ends[number] - counts[number])


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino
