"""Archives of arrays, of which nothing is believed: every size is checked before it is read.

The format is NumPy's .npz: a zip archive of .npy files, none of them compressed. Its last bytes,
the comment of the zip archive, are a seal: the SHA-256 of all bytes before. So a flipped bit is
found wherever it is. Archives without a seal are read as well.
"""

import hashlib
import io
import math
import struct
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_CHUNK = 2**20
_END_OF_ARCHIVE = 22  # bytes of the last record of a zip archive, whose last two tell the comment
_LOCAL_HEADER = 30  # bytes before each member, apart from its name
_SEAL = b"sha256:"
_SEAL_BYTES = len(_SEAL) + 2 * hashlib.sha256().digest_size
_LONGEST_MESSAGE = 300


class Mismatch(ValueError):  # noqa: N818
    """What a file should hold, and what it holds."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")


class OtherFileError(Mismatch):
    """A file of another kind or version, which need not be damaged."""


@contextmanager
def one_line_errors(path: str, kind: str) -> Iterator[None]:
    """Turn whatever is raised for a damaged file into a ValueError of one line.

    Parameters
    ----------
    path : str
    kind : str
        What the file should be.
    """
    try:
        yield
    except OtherFileError as error:
        raise ValueError(f"{path}: {_one_line(str(error))}.") from error
    except Mismatch as error:
        raise ValueError(f"{path}: damaged {kind}, {_one_line(str(error))}.") from error
    except Exception as error:
        # zipfile, NumPy and json raise a dozen kinds, RecursionError and struct.error among them
        found = _one_line(str(error) or type(error).__name__)
        raise ValueError(
            f"{path}: damaged {kind}, expected what fastgmm writes, found this: {found}"
        ) from error


def _one_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]}..."


class ShortReads(io.BufferedReader):
    """A file that never reads more at once than a MiB, whatever size a damaged file names."""

    def read(self, size: int | None = -1) -> bytes:
        """Read at most ``size`` bytes; without it, at most a MiB."""
        if size is not None and size > _CHUNK:
            raise Mismatch(f"a directory of at most {_CHUNK} bytes", f"one of {size}")
        return super().read(_CHUNK if size is None or size < 0 else size)


def write_archive(file: IO[bytes], arrays: dict[str, Any]) -> None:
    """Write arrays and the seal into an empty file that can be read, too."""
    np.savez(file, **arrays)
    file.seek(-2, io.SEEK_END)
    file.write(struct.pack("<H", _SEAL_BYTES) + _SEAL)
    digest = _digest(file, file.tell())
    file.write(digest)


class Archive:
    """An open archive.

    Parameters
    ----------
    file : ShortReads

    Raises
    ------
    ValueError
        If the seal or the directory of the archive is wrong. What zipfile and NumPy raise for
        damaged files is raised as well.
    """

    def __init__(self, file: ShortReads) -> None:
        _check_seal(file)
        self._zip = zipfile.ZipFile(file)
        members = self._zip.infolist()
        _check_members(members, self._zip.start_dir)
        self._members = {member.filename.removesuffix(".npy"): member for member in members}

    @property
    def names(self) -> list[str]:
        """The names of the arrays."""
        return sorted(self._members)

    def n_bytes(self, names: Iterable[str]) -> int:
        """Return the size of some members."""
        return sum(self._members[name].file_size for name in names)

    def read(
        self, name: str, shape: tuple[int | None, ...], dtype: str, largest: int = 8
    ) -> NDArray[Any]:
        """Return an array of this name, shape and dtype.

        Parameters
        ----------
        name : str
        shape : tuple of int or None
            None: any length.
        dtype : {'float64', 'int64', 'uint8', 'str'}
        largest : int, default=8
            Bytes of the longest string.

        Raises
        ------
        ValueError
            If the array is another. NumPy's and zipfile's errors are raised as well.
        """
        member = self._members[name]
        with self._zip.open(member) as file:
            version = npy.read_magic(file)
            if version != (1, 0):
                raise Mismatch(f"{name} in version (1, 0) of the .npy format", f"{version}")
            own_shape, fortran, own_dtype = npy.read_array_header_1_0(file)
            check_array(name, own_shape, own_dtype, shape, dtype, largest)
            size = math.prod(own_shape) * own_dtype.itemsize
            if file.tell() + size != member.file_size:
                raise Mismatch(f"{size} bytes of {name}", f"{member.file_size - file.tell()}")
            values = np.empty(size, np.uint8)
            view = memoryview(values)
            for start in range(0, size, _CHUNK):
                view[start : start + _CHUNK] = file.read(min(_CHUNK, size - start))
        array = values.view(own_dtype)
        return array.reshape(own_shape[::-1]).T if fortran else array.reshape(own_shape)


def check_array(
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    expected_shape: tuple[int | None, ...],
    expected_dtype: str,
    largest: int = 8,
) -> None:
    """Raise where an array has another shape or dtype than expected."""
    kind = np.dtype(expected_dtype)
    same_type = dtype.kind == "U" and dtype.isnative if kind.kind == "U" else dtype == kind
    same_shape = len(shape) == len(expected_shape) and all(
        wanted in (None, size) for wanted, size in zip(expected_shape, shape, strict=True)
    )
    if not same_type or not same_shape:
        wanted = ", ".join("n" if size is None else str(size) for size in expected_shape)
        wanted += "," if len(expected_shape) == 1 else ""
        raise Mismatch(f"{name} of shape ({wanted}) and {expected_dtype}", f"{shape} and {dtype}")
    if dtype.itemsize > largest:
        raise Mismatch(f"at most {largest} bytes in each of {name}", str(dtype.itemsize))


def _check_members(members: list[zipfile.ZipInfo], end: int) -> None:
    """Raise where members are compressed, or overlap, or have the same name."""
    if len({member.filename for member in members}) < len(members):
        raise Mismatch("one array of each name", "several of one name")
    for member in sorted(members, key=lambda member: -member.header_offset):
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise Mismatch("arrays that are not compressed", f"{member.filename!r} compressed")
        size = _LOCAL_HEADER + len(member.filename) + member.file_size
        if not 0 <= member.header_offset <= end - size:
            raise Mismatch("arrays one after the other", f"{member.filename!r} over another")
        end = member.header_offset


def _check_seal(file: ShortReads) -> None:
    """Raise where the archive has a comment that is not its seal."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - _END_OF_ARCHIVE, 0))
    record = file.read()
    if record.startswith(b"PK\5\6") and record.endswith(b"\0\0"):
        return
    file.seek(max(size - _SEAL_BYTES, 0))
    seal = file.read()
    if not seal.startswith(_SEAL):
        raise Mismatch("a checksum at the end", "none")
    expected = _digest(file, size - _SEAL_BYTES + len(_SEAL))
    found = seal.removeprefix(_SEAL)
    if found != expected:
        raise Mismatch(f"the checksum {expected[:8].decode()}...", f"{found[:8]!r}...")


def _digest(file: IO[bytes], end: int) -> bytes:
    """Return the SHA-256 of the first bytes, in hexadecimal digits; leave the file there."""
    digest = hashlib.sha256()
    file.seek(0)
    for start in range(0, end, _CHUNK):
        digest.update(file.read(min(_CHUNK, end - start)))
    return digest.hexdigest().encode()
