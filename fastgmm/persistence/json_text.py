"""Fitted models as text in JSON, which people and other programs can read."""

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..data.archive import Mismatch, OtherFileError, one_line_errors
from .content import (
    check_header,
    given,
    read_json,
    restore,
    to_content,
)
from .layouts import ArrayField

if TYPE_CHECKING:
    from ..estimators._mixture import FittedMixture

#: What stands for numbers that JSON does not know.
_NOT_FINITE = ("Infinity", "-Infinity", "NaN")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def to_json(model: "FittedMixture") -> str:
    """Return a fitted model as text in JSON.

    It is one object with ``format``, the version of the layout; ``class``; ``fastgmm``, the version
    that wrote it; ``samples_dtype``; ``parameters`` of the constructor; ``scalars``, the attributes
    that are numbers; and ``arrays``, those that are arrays, as nested lists in C order. The rows of
    ``history_`` are number, lower bound, change and seconds. Numbers have all digits that their
    bits need. "Infinity" and "-Infinity" stand for what JSON does not know.

    As by ``save``, starting values are not stored, and ``random_state`` only where it is an
    integer.

    Parameters
    ----------
    model : GaussianMixture, BayesianGaussianMixture or SoftKMeans

    Returns
    -------
    str
        ASCII, of one line for each entry and each row of a table.

    Raises
    ------
    NotFittedError
        If ``fit`` has not been called, or attributes were set by hand.
    TypeError
        If the model is not an estimator that this version can store.
    ValueError
        If the attributes do not belong together.

    See Also
    --------
    from_json
    save : a smaller file, with a checksum.

    Examples
    --------
    >>> import json
    >>> from fastgmm import GaussianMixture, from_json, to_json
    >>> model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [4.0]], [[1.0], [1.0]])
    >>> text = to_json(model)
    >>> json.loads(text)["arrays"]["means_"]
    [[0.0], [4.0]]
    >>> from_json(text).predict([[0.1], [3.9]]).tolist()
    [0, 1]
    """
    header, arrays = to_content(model, "written as JSON")
    tables = {name: array.tolist() for name, array in arrays.items()}
    return _text(_to_finite({**json.loads(header), "arrays": tables})) + "\n"


def from_json(text: str | bytes) -> Any:
    """Return the model of a text that ``to_json`` wrote. Nothing in it is executed.

    Parameters
    ----------
    text : str or bytes

    Returns
    -------
    GaussianMixture, BayesianGaussianMixture or SoftKMeans
        Fitted; its attributes and predictions are those of the model, bit for bit.

    Raises
    ------
    TypeError
        If ``text`` is no text.
    ValueError
        If it is no model of fastgmm, is damaged, or has a newer format. The message names what is
        wrong. A number that was replaced by another one that is valid is not noticed: there is no
        checksum.

    See Also
    --------
    to_json
    load : reads such a text from a file.
    """
    if not isinstance(text, str | bytes):
        raise TypeError(f"text should be a str or bytes, got {type(text).__name__}.")
    with one_line_errors("JSON", "model file"):
        return from_text(text)


def is_json(content: bytes) -> bool:
    """Return whether a file that begins so may be a model in JSON."""
    return content.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1] == b"{"


def from_text(text: str | bytes) -> Any:
    """Return the model of a text; raise errors of many kinds for damaged ones."""
    try:
        content = read_json(text)
    except json.JSONDecodeError as error:
        found = f"{error.msg} in line {error.lineno}, column {error.colno}"
        raise Mismatch("text in JSON", found) from error
    if not isinstance(content, dict) or not {"format", "class"} <= content.keys():
        raise OtherFileError(
            "a model saved by fastgmm", f"JSON without format and class: {text[:60]!r}"
        )
    header = _from_finite(check_header(content))
    tables = content.get("arrays")
    if not isinstance(tables, dict):
        raise Mismatch("arrays in an object", repr(tables))

    def read(name: str, field: ArrayField) -> NDArray[Any] | None:
        arrays = {name: _to_array(name, tables[name], field)} if name in tables else {}
        return given(arrays, name, field)

    return restore(header, read)


def _to_finite(value: Any) -> Any:
    """Replace numbers that JSON does not know by their names."""
    if isinstance(value, dict):
        return {key: _to_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_to_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value


def _from_finite(header: dict[str, Any]) -> dict[str, Any]:
    """Replace the names of numbers, but those in arrays, by the numbers."""
    return {
        part: {name: _named_number(value) for name, value in entries.items()}
        if part in ("parameters", "scalars") and isinstance(entries, dict)
        else entries
        for part, entries in header.items()
    }


def _named_number(value: Any) -> Any:
    if isinstance(value, list):
        return [_named_number(item) for item in value]
    return float(value) if isinstance(value, str) and value in _NOT_FINITE else value


def _to_array(name: str, value: Any, field: ArrayField) -> NDArray[Any]:
    """Return an array; raise where entries are of another kind, or rows of different lengths."""
    kind = {"str": str, "int64": int}.get(field.dtype, float)
    wanted = {str: "names", int: "integers", float: "numbers"}[kind]
    entries = value if kind is str else _named_number(value)
    _check_entries(name, entries, (int, float) if kind is float else (kind,), wanted)
    try:
        array = np.array(entries, np.dtype(field.dtype))
    except ValueError:
        raise Mismatch(f"{name} with rows of one length", "rows of different lengths") from None
    is_empty = array.shape == (0,) and 0 in field.shape
    return np.empty([size or 0 for size in field.shape]) if is_empty else array


def _check_entries(name: str, value: Any, types: tuple[type, ...], wanted: str) -> None:
    if isinstance(value, list):
        for item in value:
            _check_entries(name, item, types, wanted)
    elif type(value) not in types:
        raise Mismatch(f"{wanted} in {name}", json.dumps(value))


def _text(value: Any, indent: str = "") -> str:
    """Return JSON with a line for each entry of an object and each row of a table."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        lines = [f"{json.dumps(key)}: {_text(item, deeper)}" for key, item in value.items()]
        opening, closing = "{}"
    elif isinstance(value, list) and value and isinstance(value[0], list):
        lines = [_text(item, deeper) for item in value]
        opening, closing = "[]"
    else:
        return json.dumps(value, allow_nan=False)
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(lines) + f"\n{indent}{closing}"
