"""Objects that a run begins with: what a checkpoint names, and does not store."""

import sys
from types import ModuleType
from typing import Any

from numpy.random import Generator, RandomState

from ..._kernels.threads import Workspace
from ...data.samples import Samples
from ...model.parameters import MixtureParameters
from ...model.penalties import NormalInverseWishartPrior
from ...model.priors import NormalWishartPrior
from ..kept_distances import DistanceKeeper
from ..latent_variable_model import LatentVariableModel

#: An attribute that changes no result, and may be another number where a run goes on.
N_THREADS = "n_threads"
# Statistics are no values here: ``add_moments`` changes them.
_VALUES = (LatentVariableModel, MixtureParameters, NormalInverseWishartPrior, NormalWishartPrior)


class KnownObjects:
    """Objects by the names of the attributes that lead to them, and their classes."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._classes: dict[str, type] = {}

    def add(self, value: Any, name: str) -> None:
        """Remember an object and its class."""
        self.objects[name] = value
        self._names[id(value)] = name
        self.add_class(type(value))

    def add_class(self, cls: type) -> None:
        """Remember a class."""
        self._classes.setdefault(class_name(cls), cls)

    def name(self, value: Any) -> str | None:
        """Return the name of an object; None if it was made since."""
        return self._names.get(id(value))

    def find_class(self, name: str) -> type | None:
        """Return a class that is known, or one of fastgmm; None where it is neither."""
        if name in self._classes:
            return self._classes[name]
        module, _, qualified = name.partition(":")
        found: Any = sys.modules.get(module) if module.startswith("fastgmm.") else None
        for part in qualified.split("."):
            found = getattr(found, part, None)
        return found if isinstance(found, type) and class_name(found) == name else None


def class_name(cls: type) -> str:
    """Return the name by which a class is stored."""
    return f"{cls.__module__}:{cls.__qualname__}"


def is_value(value: Any) -> bool:
    """Return whether nothing changes an object: parameters and priors."""
    return isinstance(value, _VALUES)


def is_constant(value: Any) -> bool:
    """Return whether an object has no state: samples, memory to work in, functions."""
    if isinstance(value, Samples | Workspace | DistanceKeeper | type | ModuleType):
        return True
    return callable(value) and state_of(value) is None


def is_stream(value: Any) -> bool:
    """Return whether an object is a stream of random numbers."""
    return isinstance(value, Generator | RandomState)


def state_of(value: Any) -> tuple[bool, Any] | None:
    """Return whether the attributes of an object are its state, and the state.

    They are not where its class says itself what the state is, as for pickle, or has slots. None:
    the state is nothing that Python can see, as that of objects in C.
    """
    cls: Any = type(value)
    if (cls.__reduce_ex__, cls.__reduce__) != (object.__reduce_ex__, object.__reduce__):
        return None
    try:
        _, arguments, state, *items = tuple(object.__reduce_ex__(value, 2))
    except TypeError:  # pickle could not store it either
        return None
    if arguments != (cls,) or items != [None, None]:
        return None
    tells = getattr(cls, "__getstate__", None) is not getattr(object, "__getstate__", None)
    return not tells and isinstance(state, dict | None), state or {}
