"""State of objects as JSON and arrays, without pickle."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator, RandomState
from numpy.typing import NDArray

from .known_objects import (
    N_THREADS,
    KnownObjects,
    class_name,
    is_constant,
    is_stream,
    is_value,
    state_of,
)

_PLAIN = (type(None), bool, int, float, str)


class Encoded(NamedTuple):
    """Values in JSON, by name, and the bytes of the arrays that these name by their numbers."""

    trees: dict[str, Any]
    arrays: list[NDArray[np.uint8]]


def learn(**objects: Any) -> KnownObjects:
    """Return the objects that some objects hold, and these themselves.

    Parameters
    ----------
    **objects
        With the names that messages use.

    Raises
    ------
    TypeError
        If one holds something whose state cannot be stored.
    """
    known = KnownObjects()
    encoder = _Encoder(known, is_first=True)
    for name, value in objects.items():
        encoder.tree(value, name)
    return known


def encode(known: KnownObjects, **values: Any) -> Encoded:
    """Return values as they are now, in copies.

    Two names for one object stay two names for one. Arrays keep their strides, since sums in
    another order may have other bits.

    Parameters
    ----------
    known : KnownObjects
        Of these, functions, samples and values such as parameters are named and not stored.
    **values

    Raises
    ------
    TypeError
        If the state of an object cannot be stored.
    """
    encoder = _Encoder(known)
    trees = {name: encoder.tree(value, name) for name, value in values.items()}
    return Encoded(trees, encoder.arrays)


class _Encoder:
    """Writes values. Each list begins with its kind, for which the decoder has a method."""

    def __init__(self, known: KnownObjects, is_first: bool = False) -> None:
        self.arrays: list[NDArray[np.uint8]] = []
        self._known = known
        self._is_first = is_first
        self._numbers: dict[int, int] = {}
        self._met: list[Any] = []  # held, so that no other object gets the same id

    def tree(self, value: Any, name: str) -> Any:
        """Return a value in JSON."""
        kind = type(value)
        if kind in _PLAIN:
            return value
        if id(value) in self._numbers:
            return ["same", self._numbers[id(value)]]
        if kind in (tuple, frozenset):
            return [kind.__name__, self._items(value, name)]
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return ["named", self._class(kind, name), self._items(value, name)]
        if kind is slice:
            return ["slice", self._items((value.start, value.stop, value.step), name)]
        if kind is MappingProxyType:
            return ["mapping", self.tree(dict(value), name)]
        if isinstance(value, np.dtype):
            return ["dtype", _dtype(value, name)]
        if isinstance(value, np.generic):
            return ["scalar", *self._array(np.asarray(value), name)]
        self._numbers[id(value)] = len(self._met)
        self._met.append(value)
        if kind in (list, set):
            return [kind.__name__, self._items(value, name)]
        if kind is dict:
            pairs = value.items()
            return [
                "dict",
                [[self.tree(k, name), self.tree(v, f"{name}[{k!r}]")] for k, v in pairs],
            ]
        if kind is np.ndarray:
            return ["array", *self._array(value, name)]
        return self._object(value, name)

    def _items(self, values: Iterable[Any], name: str) -> list[Any]:
        return [
            value if type(value) in _PLAIN else self.tree(value, f"{name}[{number}]")
            for number, value in enumerate(values)
        ]

    def _array(self, array: NDArray[Any], name: str) -> list[Any]:
        dtype, flags = _dtype(array.dtype, name), array.flags
        if not self._is_first:
            # nothing changes a read-only array that owns its memory: it needs no copy
            is_still = flags.owndata and flags.c_contiguous and not flags.writeable
            values = array if is_still else np.array(array, order="C")
            self.arrays.append(values.reshape(-1).view(np.uint8))
        number = len(self.arrays) - 1
        return [number, dtype, list(array.shape), list(array.strides), flags.writeable]

    def _object(self, value: Any, name: str) -> list[Any]:
        if self._is_first:
            self._known.add(value, name)
        known = self._known.name(value)
        if known is None and is_constant(value):
            raise _unknown(f"{_described(value)} that was made during the run", name)
        if known is not None and (is_constant(value) or is_value(value)):
            if self._is_first and not is_constant(value):
                self._state(value, name)  # other values will hold what this one holds
            return ["known", known]
        if known is not None:
            return ["known", known, self._state(value, name, leave_out=N_THREADS)]
        if is_stream(value):
            return ["stream", type(value).__name__, self._state(value, name)]
        return ["object", self._class(type(value), name), self._state(value, name)]

    def _state(self, value: Any, name: str, leave_out: str | None = None) -> Any:
        if isinstance(value, Generator):
            return self.tree(value.bit_generator.state, name)
        if isinstance(value, RandomState):
            return self.tree(value.get_state(legacy=False), name)
        found = state_of(value)
        if found is None:
            raise _unknown(_described(value), name)
        is_of_attributes, state = found
        if not is_of_attributes:
            return ["own", self.tree(state, name)]
        return {
            key: self.tree(attribute, f"{name}.{key}")
            for key, attribute in state.items()
            if key != leave_out
        }

    def _class(self, cls: type, name: str) -> str:
        if self._is_first:
            self._known.add_class(cls)
        if self._known.find_class(class_name(cls)) is not cls:
            raise _unknown(f"of the class {cls.__qualname__}, of which the start has none", name)
        return class_name(cls)


def _dtype(dtype: "np.dtype[Any]", name: str) -> str:
    if dtype.hasobject or np.dtype(dtype.str) != dtype:
        raise _unknown(f"an array of {dtype}", name)
    return dtype.str


def _described(value: Any) -> str:
    return f"a {type(value).__module__}.{type(value).__qualname__}"


def _unknown(what: str, name: str) -> TypeError:
    return TypeError(
        f"checkpoint cannot keep {name}, which is {what}. Let the class that holds it leave it out "
        "of __getstate__, and make it in __setstate__."
    )
