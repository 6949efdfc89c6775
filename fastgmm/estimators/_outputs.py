"""Arrays that users hand in for results, checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.samples import Samples


def check_out(
    out: Any, shape: tuple[int, ...], dtypes: tuple["np.dtype[Any]", ...], samples: Samples
) -> NDArray[Any]:
    """Return the array that takes a result.

    Parameters
    ----------
    out : ndarray
    shape : tuple of int
    dtypes : tuple of dtype
        The types that it may have.
    samples : Samples
        Whose memory it must not overlap.

    Raises
    ------
    TypeError
        If it is no array, or of another type.
    ValueError
        If it has another shape, is not C-contiguous, aligned and writable, or overlaps X.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out should be a NumPy array, but got {type(out).__name__}.")
    if out.dtype not in dtypes:
        expected = " or ".join(dict.fromkeys(map(str, dtypes)))
        raise TypeError(f"out should have the dtype {expected}, but got {out.dtype}.")
    if out.shape != shape:
        raise ValueError(f"out should have the shape of {shape}, but got {out.shape}.")
    flags = {
        "C-contiguous": out.flags.c_contiguous,
        "aligned": out.flags.aligned,
        "writable": out.flags.writeable,
    }
    for word, is_so in flags.items():
        if not is_so:
            raise ValueError(f"out should be {word}, but got an array that is not.")
    X = samples.unconverted_rows(slice(None)) if samples.in_memory else None
    if isinstance(X, np.ndarray) and np.may_share_memory(X, out):
        raise ValueError("out should not overlap X, but got an array in the same memory.")
    return out
