"""Array-likes as arrays of real numbers, or an error that names the argument and the remedy."""

import reprlib
import sys
from contextlib import suppress
from datetime import date, time, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What loads data that is only described: Polars, Spark; DuckDB; Arrow; Ibis.
_LOADERS = ("collect", "df", "to_table", "read_all", "execute")
_TIMES = (np.datetime64, np.timedelta64, date, time, timedelta)


def numbers(values: Any, name: str, first_row: int = 0) -> NDArray[Any]:
    """Return the numbers of anything but a data frame, as they are, or as float64.

    Parameters
    ----------
    values : array-like, or column of a data frame
    name : str
        What the user calls it.
    first_row : int, default=0
        What errors call the first row.

    Raises
    ------
    TypeError
        If it is not in memory, sparse, a time, or no array of numbers.
    ValueError
        If values are masked or complex, or a string is not that of a number.
    """
    _refuse_elsewhere(values, name)
    dtype = getattr(values, "dtype", None)
    if (
        dtype is not None and hasattr(dtype, "is_temporal") and dtype.is_temporal()
    ):  # Polars 1.0 cannot convert them
        raise _time(name, str(dtype))
    array = _read(values, name)
    kind = array.dtype.kind
    if kind == "c":
        raise _complex(name)
    if kind in "mM":
        raise _time(name, str(array.dtype))
    return array if kind in "biuf" else _from_objects(array, name, first_row)


def _refuse_elsewhere(values: Any, name: str) -> None:
    """Raise TypeError for data that is not here as an array: lazy, distributed or sparse."""
    method = loader(values)
    if method is not None:
        other = " Or fit it where it is, by fastgmm.distributed." if method == "compute" else ""
        raise TypeError(
            f"{name}, a {_type_name(values)}, is not in memory. Load it first, with "
            f"{name}.{method}().{other}"
        )
    if hasattr(values, "toarray") or hasattr(values, "todense"):
        remedy = "toarray" if hasattr(values, "toarray") else "todense"
        raise TypeError(
            f"Sparse data was passed as {name}, but dense data is required. Use {name}.{remedy}()."
        )


def loader(values: Any) -> str | None:
    """Return the method that loads what is only described; None for what is in memory."""
    if isinstance(values, type):
        return None
    graph = getattr(values, "__dask_graph__", None)
    if graph is not None and graph() is not None:
        return "compute"
    if hasattr(values, "__array__"):
        return None
    return next((method for method in _LOADERS if hasattr(values, method)), None)


def _read(values: Any, name: str) -> NDArray[Any]:
    """Return an array of any type, with NaN for the missing numbers of nullable columns."""
    try:
        array = _as_numpy(values)
    except MemoryError:
        raise
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(
            f"{name} should be an array of numbers, but an object of type {_type_name(values)} "
            f"could not be read as one: {error}"
        ) from error
    if isinstance(array, np.ma.MaskedArray):
        _refuse_masked(array, name)
        array = array.data
    if array.ndim == 0 and array.dtype.kind == "O" and not hasattr(values, "__float__"):
        remedy = f" Use list({name})." if hasattr(values, "__next__") else ""
        got = "None" if values is None else f"an object of type {_type_name(values)}"
        raise TypeError(f"{name} should be an array of numbers, but got {got}.{remedy}")
    if array.dtype.names is not None:
        raise TypeError(
            f"{name} should be an array of numbers, but has the fields {array.dtype.names}. Use "
            f"numpy.lib.recfunctions.structured_to_unstructured({name})."
        )
    return array


def _as_numpy(values: Any) -> NDArray[Any]:
    """Return an array of NumPy, which may be one of masked values."""
    if isinstance(values, list | tuple) and any(isinstance(v, np.ma.MaskedArray) for v in values):
        return np.ma.array(values)
    if isinstance(values, np.ma.MaskedArray):
        return values
    column = hasattr(values, "iloc") and values.dtype.kind in "biuf"
    if column and not isinstance(values.dtype, np.dtype):  # pandas.NA is no number
        single = values.dtype.kind == "f" and getattr(values.dtype, "itemsize", 8) == 4
        dtype = np.float32 if single else np.float64
        array: NDArray[Any] = values.to_numpy(dtype, na_value=np.nan)
        return array
    try:
        return np.asarray(values)
    except Exception:
        with suppress(Exception):
            return np.from_dlpack(values, device="cpu")  # an array on another device
        raise


def _refuse_masked(values: Any, name: str) -> None:
    mask = np.ma.getmaskarray(values)
    if mask.any():
        where = tuple(int(i) for i in np.argwhere(mask)[0])
        remedy = "Replace them, or leave their rows out first."
        if mask.ndim == 2:
            remedy = f"np.ma.compress_rows({name}) returns the rows without any."
        raise ValueError(
            f"{name} has masked values ({np.count_nonzero(mask)}, the first at {where}), which are "
            f"no numbers. {remedy}"
        )


def _from_objects(array: NDArray[Any], name: str, first_row: int) -> NDArray[Any]:
    """Return objects or strings as float64; None, pandas.NA and NaT become NaN."""
    if array.dtype.kind == "O":
        array = array.copy()
        array[_missing(array)] = np.nan
        for value in array.flat:
            if isinstance(value, complex | np.complexfloating):
                raise _complex(name)
            if isinstance(value, _TIMES):
                raise _time(name, type(value).__name__)
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} should be real numbers{_culprit(array, first_row)}: {error}") from error


def _missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    pandas = sys.modules.get("pandas")  # without it there is no pandas.NA
    if pandas is not None:
        return np.asarray(pandas.isna(array), dtype=np.bool_)
    return np.asarray(array == None, dtype=np.bool_)  # noqa: E711


def _culprit(array: NDArray[Any], first_row: int) -> str:
    """Return which element is not a number."""
    for index, value in np.ndenumerate(array):
        if not _is_number(value):
            where = f" in row {index[0] + first_row}" if index else ""
            value = value.item() if isinstance(value, np.generic) else value
            return f", but got {reprlib.repr(value)}{where}"
    return ""


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _complex(name: str) -> ValueError:
    return ValueError(f"Complex data not supported: {name} should be real.")


def _time(name: str, kind: str) -> TypeError:
    return TypeError(
        f"{name} should be real numbers, but got times ({kind}). Turn them into numbers of a unit "
        "that you choose, such as seconds: (t - t.min()) / np.timedelta64(1, 's')."
    )


def _type_name(values: Any) -> str:
    kind = type(values)
    module = kind.__module__.partition(".")[0]
    return kind.__name__ if module == "builtins" else f"{module} {kind.__name__}"


def is_float_array(table: Any) -> bool:
    """Return whether kernels read this in place: native float64 or float32, aligned."""
    return (
        isinstance(table, np.ndarray)
        and table.dtype in (np.float64, np.float32)
        and table.dtype.isnative
        and table.flags.aligned
    )
