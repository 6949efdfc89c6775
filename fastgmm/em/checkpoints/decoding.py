"""State of objects from JSON and arrays. No stored code is run, and no constructor called."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...data.archive import Mismatch
from .encoding import Encoded
from .known_objects import N_THREADS, KnownObjects, is_stream

_STREAMS = {"Generator": np.random.Generator, "RandomState": np.random.RandomState}
_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def decode(known: KnownObjects, encoded: Encoded) -> dict[str, Any]:
    """Return values by name, and give known objects the state that they had.

    Parameters
    ----------
    known : KnownObjects
        With the names that these objects had where the values were encoded.
    encoded : Encoded

    Raises
    ------
    Exception
        Of many kinds, if these are not values that were encoded.
    """
    decoder = _Decoder(known, encoded.arrays)
    return {name: decoder.value(tree) for name, tree in encoded.trees.items()}


class _Decoder:
    """Reads what the encoder wrote, in the same order; it has a method for each kind."""

    def __init__(self, known: KnownObjects, arrays: list[NDArray[np.uint8]]) -> None:
        self._known = known
        self._arrays = arrays
        self._met: list[Any] = []

    def value(self, tree: Any) -> Any:
        """Return the value of a tree."""
        if not isinstance(tree, list | dict):
            return tree
        kind, *rest = tree
        return _METHODS[kind](self, *rest)

    def _same(self, number: int) -> Any:
        return self._met[number]

    def _tuple(self, trees: list[Any]) -> Any:
        return tuple(map(self.value, trees))

    def _frozenset(self, trees: list[Any]) -> Any:
        return frozenset(map(self.value, trees))

    def _named(self, name: str, trees: list[Any]) -> Any:
        cls: Any = self._class(name)
        return tuple.__new__(cls, map(self.value, trees))

    def _slice(self, trees: list[Any]) -> Any:
        return slice(*map(self.value, trees))

    def _mapping(self, tree: Any) -> Any:
        return MappingProxyType(self.value(tree))

    def _dtype(self, text: str) -> Any:
        return np.dtype(text)

    def _scalar(self, *layout: Any) -> Any:
        return self._laid_out(*layout)[()]

    def _list(self, trees: list[Any]) -> Any:
        values: list[Any] = []
        self._met.append(values)
        values.extend(map(self.value, trees))
        return values

    def _set(self, trees: list[Any]) -> Any:
        values: set[Any] = set()
        self._met.append(values)
        values.update(map(self.value, trees))
        return values

    def _dict(self, pairs: list[Any]) -> Any:
        values: dict[Any, Any] = {}
        self._met.append(values)
        for key, value in pairs:
            read = self.value(key)
            values[read] = self.value(value)
        return values

    def _array(self, *layout: Any) -> Any:
        array = self._laid_out(*layout)
        self._met.append(array)
        return array

    def _known_object(self, name: str, *state: Any) -> Any:
        if name not in self._known.objects:
            raise Mismatch("policies that hold what they held then", f"none that holds {name}")
        value = self._known.objects[name]
        self._met.append(value)
        if state:
            self._give(value, *state)
        return value

    def _stream(self, name: str, state: Any) -> Any:
        number = len(self._met)
        self._met.append(None)
        read = self.value(state)
        kind = read["bit_generator"]
        if kind not in _BIT_GENERATORS:
            raise Mismatch("a generator of NumPy", repr(kind))
        stream = _STREAMS[name](getattr(np.random, kind)())
        _set_stream(stream, read)
        self._met[number] = stream
        return stream

    def _object(self, name: str, state: Any) -> Any:
        value: Any = object.__new__(self._class(name))
        self._met.append(value)
        self._give(value, state)
        return value

    def _give(self, value: Any, state: Any) -> None:
        """Give an object its state."""
        if is_stream(value):
            _set_stream(value, self.value(state))
        elif isinstance(state, list):
            own = self.value(state[1])
            if hasattr(value, "__setstate__"):
                value.__setstate__(own)
            else:
                attributes, slots = own if isinstance(own, tuple) else (own, None)
                for key, attribute in {**(attributes or {}), **(slots or {})}.items():
                    object.__setattr__(value, key, attribute)
        else:
            attributes = {key: self.value(tree) for key, tree in state.items()}
            if N_THREADS in vars(value):
                attributes.setdefault(N_THREADS, vars(value)[N_THREADS])
            vars(value).clear()
            vars(value).update(attributes)

    def _class(self, name: str) -> type:
        found = self._known.find_class(name)
        if found is None:
            raise Mismatch("a class of fastgmm or of a policy", repr(name))
        return found

    def _laid_out(
        self, number: int, dtype: str, shape: list[int], strides: list[int], writeable: bool
    ) -> NDArray[Any]:
        """Return an array of this layout."""
        values = self._arrays[number].view(dtype).reshape(shape)
        array = values.copy()
        if values.size and list(array.strides) != strides:
            steps = [stride * (size - 1) for stride, size in zip(strides, shape, strict=True)]
            first = -sum(step for step in steps if step < 0)
            n_bytes = first + sum(step for step in steps if step > 0) + values.itemsize
            array = np.ndarray(shape, dtype, np.zeros(n_bytes, np.uint8), first, strides)
            array[...] = values
        array.flags.writeable = writeable
        return array


_METHODS: dict[str, Callable[..., Any]] = {
    "same": _Decoder._same,
    "tuple": _Decoder._tuple,
    "frozenset": _Decoder._frozenset,
    "named": _Decoder._named,
    "slice": _Decoder._slice,
    "mapping": _Decoder._mapping,
    "dtype": _Decoder._dtype,
    "scalar": _Decoder._scalar,
    "list": _Decoder._list,
    "set": _Decoder._set,
    "dict": _Decoder._dict,
    "array": _Decoder._array,
    "known": _Decoder._known_object,
    "stream": _Decoder._stream,
    "object": _Decoder._object,
}


def _set_stream(stream: Any, state: Any) -> None:
    if isinstance(stream, np.random.Generator):
        stream.bit_generator.state = state
    else:
        stream.set_state(state)
