"""Results in the arrays that users hold, where scikit-learn's Array API dispatch is on.

Kernels read and write the memory of the processor. So samples of another library or device are
read as NumPy's, and results are returned as that library's, on the device of the samples.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.utils._array_api import get_namespace_and_device

_Result = TypeVar("_Result", bound=NDArray[Any])


def like(X: Any, array: _Result) -> _Result:
    """Return an array in the library and on the device of X; NumPy's where dispatch is off."""
    library, device = _home(X)
    if library is None:
        return array
    kind = "real floating" if array.dtype.kind == "f" else "integral"
    known = library.__array_namespace_info__().dtypes(kind=kind, device=device)
    numbers: NDArray[Any] = np.require(array, requirements=("C", "W"))
    if array.dtype.name not in known:
        numbers = numbers.astype(np.float32 if array.dtype.kind == "f" else np.int32)
    converted: _Result = library.asarray(numbers, device=device)
    return converted


def put_attributes_like(estimator: Any, X: Any) -> None:
    """Turn the fitted arrays of an estimator into arrays of the library and device of X."""
    for name, value in vars(estimator).items():
        if not name.endswith("_"):
            continue
        if isinstance(value, np.ndarray) and value.dtype.kind in "if":
            setattr(estimator, name, like(X, value))
        elif isinstance(value, tuple):
            setattr(estimator, name, tuple(like(X, part) for part in value))


def check_same_home(X: Any, fitted: Any, method: str) -> None:
    """Raise ValueError where dispatch is on and X is not in the library and device of the fit."""
    home, expected = _home(X), _home(fitted)
    if home != expected:
        raise ValueError(
            f"Inputs passed to {method}() must use the same namespace and the same device as those "
            f"passed to fit(): expected {_name(*expected)}, but got {_name(*home)}."
        )


def _home(X: Any) -> tuple[Any, Any]:
    """Return the library and the device of an array; None for NumPy's or if dispatch is off."""
    if not get_config()["array_api_dispatch"] or isinstance(X, np.ndarray):
        return None, None
    library, is_array_api, device = get_namespace_and_device(X)
    if not is_array_api or library.__name__.endswith("numpy"):
        return None, None
    return library, device


def _name(library: Any, device: Any) -> str:
    if library is None:
        return "an array of NumPy"
    return f"an array of {library.__name__.rpartition('.')[2]} on {device}"
