"""What is stored of a fitted model: a header, and arrays; and the model that they describe.

The header holds the format version, the class, the constructor parameters and the attributes that
are numbers.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from numbers import Integral
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._versions import __version__
from ..data.archive import Mismatch, OtherFileError, check_array
from .checks import check_end, check_values
from .layouts import (
    LAYOUTS,
    ArrayField,
    Layout,
    estimator_class,
    from_array,
    to_parameter,
    to_stored,
)

FORMAT = 1

Reader = Callable[[str, ArrayField], NDArray[Any] | None]


def to_content(model: Any, verb: str) -> tuple[str, dict[str, NDArray[Any]]]:
    """Return the header, in JSON, and the arrays of a fitted model, which `restore` would take.

    Parameters
    ----------
    model : GaussianMixture, BayesianGaussianMixture or SoftKMeans
    verb : str
        What is done to the model, for messages.

    Raises
    ------
    NotFittedError, TypeError, ValueError
        As ``save``.
    """
    from sklearn.utils.validation import check_is_fitted

    name = type(model).__name__
    # of `fastgmm.distributed`: how it was fitted is no part of a model
    kind = getattr(type(model), "_plain", type(model))
    if name not in LAYOUTS or kind is not estimator_class(name):
        raise TypeError(f"model should be a fitted {_names()}, got {name}.")
    layout = LAYOUTS[name]
    by_hand = "Attributes of this %(name)s were set by hand: use fit or from_parameters."
    check_is_fitted(model)
    check_is_fitted(model, [*layout.scalars, "history_"], msg=by_hand)
    header = json.dumps(_header(model, name, layout), default=_plain)
    try:
        content = parse(header)
        fields = layout.arrays(_described(content))
        arrays = to_stored(model, fields)
        restore(content, lambda key, field: given(arrays, key, field))
    except ValueError as error:
        raise ValueError(f"{name} cannot be {verb}: {error}") from error
    return header, arrays


def _names() -> str:
    *most, last = LAYOUTS
    return f"{', '.join(most)} or {last}"


def _header(model: Any, name: str, layout: Layout) -> dict[str, Any]:
    parameters = {key: getattr(model, key) for key in layout.parameters}
    seed = parameters["random_state"]
    parameters["random_state"] = seed if isinstance(seed, Integral) else None
    for key, default in (("init", "k-means++"), ("init_params", "auto")):
        if not isinstance(parameters.get(key, ""), str):
            parameters[key] = default
    scalars = {key: getattr(model, key) for key in layout.scalars}
    if "collapsed_" in scalars:
        scalars["collapsed_"] = list(scalars["collapsed_"].items())
    return {
        "format": FORMAT,
        "class": name,
        "fastgmm": __version__,
        "samples_dtype": model._samples_dtype.name,
        "parameters": parameters,
        "scalars": scalars,
    }


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars and arrays, and priors, into Python's own values."""
    if is_dataclass(value) and not isinstance(value, type):
        return vars(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"expected a number, a string or None, got {value!r}.")


def parse(text: str) -> dict[str, Any]:
    """Return a header of a format and a class that are known."""
    try:
        header = read_json(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or not {"format", "class"} <= header.keys():
        raise OtherFileError("a model saved by fastgmm", f"the header {text[:60]!r}")
    return check_header(header)


def read_json(text: str | bytes) -> Any:
    """Return what a text in JSON says; no integer in a model needs more than 64 bits."""
    return json.loads(text, parse_int=_int64)


def check_header(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header, whose format and class are known."""
    version, name = header["format"], header["class"]
    if type(version) is not int or not 1 <= version <= FORMAT:
        raise OtherFileError(
            f"format {FORMAT}",
            f"format {version!r}, written by fastgmm {header.get('fastgmm')}. "
            f"This is fastgmm {__version__}",
        )
    if not isinstance(name, str) or name not in LAYOUTS:
        raise OtherFileError(f"a {_names()}", f"class {name!r}")
    return header


def _int64(digits: str) -> int:
    """Return an integer, of which none in a header needs more than 64 bits."""
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)


def given(arrays: dict[str, NDArray[Any]], name: str, field: ArrayField) -> NDArray[Any] | None:
    """Return an array, checked; None where it is missing and need not be there."""
    array = arrays.get(name)
    if array is None:
        check_optional(name, field)
        return None
    check_array(name, array.shape, array.dtype, *field[:3])
    return array


def check_optional(name: str, field: ArrayField) -> None:
    """Raise where an array is missing that must be there."""
    if not field.is_optional:
        raise Mismatch(f"the array {name}", "none")


def restore(header: dict[str, Any], read: Reader) -> Any:
    """Return the model of a header and arrays, all of which are checked before it is made."""
    layout = LAYOUTS[header["class"]]
    described = _described(header)
    read_arrays = {key: read(key, field) for key, field in layout.arrays(described).items()}
    arrays = {key: array for key, array in read_arrays.items() if array is not None}
    check_values(described, arrays)
    if not _is_early(header):
        check_end(described, arrays["history_"])
    model = estimator_class(header["class"])(
        **{key: getattr(described, key) for key in layout.parameters}
    )
    model._validate_params()
    vars(model).update({key: getattr(described, key) for key in layout.scalars})
    model._samples_dtype = _samples_dtype(header)
    vars(model).update({key: from_array(key, array) for key, array in arrays.items()})
    model.lower_bounds_ = [iteration.lower_bound for iteration in model.history_]
    if "weights_" in arrays:
        model._remember()
    return model


def _described(header: dict[str, Any]) -> SimpleNamespace:
    """Return an object with the parameters, not all of them checked, and the scalars."""
    layout = LAYOUTS[header["class"]]
    values = {
        key: to_parameter(key, _entry(header, "parameters", key, layout.later))
        for key in layout.parameters
    }
    for key, convert in layout.scalars.items():
        values[key] = convert(key, _entry(header, "scalars", key, layout.later))
    return SimpleNamespace(**values)


def _is_early(header: dict[str, Any]) -> bool:
    """Return whether version 0.1 wrote the file.

    There, the last lower bound of some accelerated fits was not that of their history.
    """
    return "samples_dtype" not in header


def _samples_dtype(header: dict[str, Any]) -> np.dtype[Any]:
    name = "float64" if _is_early(header) else header["samples_dtype"]
    if name not in ("float32", "float64"):
        raise Mismatch("samples_dtype to be float32 or float64", repr(name))
    return np.dtype(np.float32 if name == "float32" else np.float64)


def _entry(header: dict[str, Any], part: str, key: str, later: Mapping[str, Any]) -> Any:
    entries = header.get(part)
    if not isinstance(entries, dict):
        raise Mismatch(f"{part} in the header", repr(entries))
    if key not in entries and key not in later:
        raise Mismatch(f"{key} among the {part}", "none")
    return entries.get(key, later.get(key))
