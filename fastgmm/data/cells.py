"""What readers of files return, and the error that they raise for damaged files."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from numpy.typing import NDArray


class Cells(NamedTuple):
    """What is read from a table, with NaN where a number is missing.

    Attributes
    ----------
    X : array of shape (n_samples, n_features)
    weights : array of shape (n_samples,) or None
    ids : list of arrays
        The columns that are kept as they are: of NumPy or of pyarrow.
    """

    X: NDArray[Any]
    weights: NDArray[Any] | None
    ids: list[Any]


@contextmanager
def damage_of(source: str) -> Iterator[None]:
    """Raise ValueError, naming the file, for whatever a library finds in it.

    Raises
    ------
    ValueError
        If the file is not what its name says, or not whole.
    OSError
        If the file cannot be opened.
    """
    try:
        yield
    except MemoryError:
        raise
    # zipfile, zlib, lzma, NumPy and pyarrow raise some twenty kinds for damaged files
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        lines = str(error).strip().splitlines()
        reason = lines[0].rstrip(".") if lines else type(error).__name__
        raise ValueError(
            f"{source}: damaged, or not of the kind of its name ({reason})."
        ) from error
