"""Tables in NumPy's files: .npy, mapped into memory, and an array of an .npz archive."""

import os
import re
import warnings
import zipfile
from math import prod
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cells import Cells, damage_of
from .columns import Choice, Columns

_MEMBER = re.compile(r"(?P<path>.+\.npz):(?P<name>.+)", re.IGNORECASE | re.DOTALL)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_LISTED = 12


class ArrayTable:
    """An array as a table whose columns have no names.

    Parameters
    ----------
    source : str
        For messages.
    array : array of shape (n_samples, n_features)

    Attributes
    ----------
    columns : Columns

    Raises
    ------
    ValueError
        If the array has another shape.
    """

    def __init__(self, source: str, array: NDArray[Any]) -> None:
        if array.ndim != 2:
            raise ValueError(
                f"{source}: expected a table of shape (n_samples, n_features), "
                f"got an array of shape {array.shape}."
            )
        self._array = array
        self.columns = Columns(source, array.shape[1])

    def read(self, choice: Choice, dtype: str | None) -> Cells:
        """Return the columns that are chosen, without a copy where they lie side by side."""
        first, n_features = choice.features[0], len(choice.features)
        side_by_side = choice.features == list(range(first, first + n_features))
        X = self._array[:, slice(first, first + n_features) if side_by_side else choice.features]
        if dtype is not None:
            with np.errstate(over="ignore"):  # a number too large for float32 is found later
                X = X.astype(dtype, copy=False)
        weights = None if choice.weights is None else self._array[:, choice.weights]
        return Cells(X, weights, [self._array[:, i] for i in choice.ids])


def split_member(source: str) -> tuple[str, str | None]:
    """Return the path and the name of the array in ``FILE.npz:NAME``; None without a name."""
    found = _MEMBER.fullmatch(source)
    if found is None or Path(source).exists():
        return source, None
    return found["path"], found["name"]


def read_npy(source: str) -> NDArray[Any]:
    """Map the array of a .npy file into memory, read-only.

    Raises
    ------
    ValueError
        If the file is damaged, or does not hold real numbers.
    OSError
        If the file cannot be read.
    """
    with Path(source).open("rb") as file:
        header = read_header(source, file, os.fstat(file.fileno()).st_size)
        return np.memmap(file, header.dtype, "r", header.offset, header.shape, header.order)


def read_npz(source: str) -> NDArray[Any]:
    """Read the array of an .npz file: the only one, or that of ``FILE.npz:NAME``.

    Raises
    ------
    ValueError
        If the file is damaged, does not hold real numbers, or it is not clear which array is meant.
    OSError
        If the file cannot be read.
    """
    path, name = split_member(source)
    with Path(path).open("rb") as file:
        with damage_of(path):
            archive = zipfile.ZipFile(file)
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        info = members[_choose(path, name, sorted(members))]
        with damage_of(source):
            member = archive.open(info)
        header = read_header(source, member, info.file_size)
        with damage_of(source):
            content = member.read()  # all of it: the last byte brings the check of the sum
            array = np.frombuffer(content, header.dtype)
            return array.reshape(header.shape, order=header.order)


def _choose(path: str, name: str | None, members: list[str]) -> str:
    """Return the name of the array that is meant."""
    if name in members:
        return name
    if name is None and len(members) == 1:
        return members[0]
    wanted = "one array" if name is None else f"an array {name!r}"
    raise ValueError(
        f"{path}: expected {wanted}, found {', '.join(members[:_LISTED]) or 'none'}. "
        "FILE.npz:NAME names one of several."
    )


class Header(NamedTuple):
    """What stands before the numbers of an array in a file."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: "np.dtype[Any]"
    offset: int


def read_header(source: str, file: IO[bytes], size: int) -> Header:
    """Read the header of a .npy file, and check it against the size of the file.

    Parameters
    ----------
    source : str
        For messages.
    file : file
        Open for reading, at its start.
    size : int
        In bytes.

    Returns
    -------
    Header

    Raises
    ------
    ValueError
        If the file is damaged, or does not hold real numbers.
    """
    with damage_of(source), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 2 wrote other headers
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"no table has format {version}")
        shape, is_fortran, dtype = _HEADERS[version](file)
        offset = file.tell()
    if dtype.kind not in "biuf":
        raise ValueError(f"{source}: expected real numbers, got dtype {dtype}.")
    expected = offset + prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected != size:
        raise ValueError(
            f"{source}: damaged, or not of the kind of its name (an array of shape {shape} and "
            f"dtype {dtype} makes a file of {expected:,} bytes, but it has {size:,})."
        )
    if not prod(shape):
        raise ValueError(f"{source}: expected rows of numbers, got an array of shape {shape}.")
    return Header(shape, "F" if is_fortran else "C", dtype, offset)
