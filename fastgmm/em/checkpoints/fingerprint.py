"""What tells one fit from another: short texts of its data, its parameters and its policies."""

import hashlib
from types import ModuleType
from typing import Any

import numpy as np

from ..._kernels.backend import backend
from ..._versions import __version__
from ...data.samples import Samples
from ..policies import Policies
from .known_objects import N_THREADS, is_constant, is_stream, is_value

# So many blocks of rows tell the samples, each of so many rows.
_BLOCKS = 16
_ROWS = 16
_LONGEST = 40
_DIGITS = 12


def describe_fit(samples: Samples, settings: dict[str, Any]) -> dict[str, str]:
    """Return what tells a fit, in texts that can be compared.

    Parameters
    ----------
    samples : Samples
    settings : dict
        What the user handed in beside them, by name.
    """
    return {
        "fastgmm": __version__,
        "backend": backend().NAME,
        "X": _describe_samples(samples),
        **{name: describe(value) for name, value in settings.items()},
    }


def describe_policies(policies: Policies) -> dict[str, str]:
    """Return what tells the policies of a run, by their roles."""
    return {role: describe(policy) for role, policy in policies._asdict().items()}


def describe(value: Any) -> str:
    """Return a number or a short string itself; of other values their type and a digest.

    That of an object is made of its attributes, but for those that begin with an underscore, unless
    it is a value, which has no state.
    """
    if isinstance(value, str | int | float | None) and len(repr(value)) <= _LONGEST:
        return repr(value)
    digest = hashlib.sha256()
    _add(digest, value)
    return f"{type(value).__name__} {digest.hexdigest()[:_DIGITS]}"


def _describe_samples(samples: Samples) -> str:
    """Return shape, dtype, total weight, and a digest of some rows and their weights."""
    n, d = samples.n_samples, samples.n_features
    digest = hashlib.sha256()
    for start in sorted({*np.linspace(0, max(n - _ROWS, 0), _BLOCKS).astype(int).tolist()}):
        rows = slice(start, min(start + _ROWS, n))
        _add(digest, samples.rows(rows))
        _add(digest, np.asarray(samples.weight(rows)))
    weight = f", weight {samples.total_weight!r}" if samples.is_weighted else ""
    return f"({n}, {d}) {samples.dtype}{weight}, {digest.hexdigest()[:_DIGITS]}"


def _add(digest: Any, value: Any, above: tuple[int, ...] = ()) -> None:
    """Add a value to a digest."""
    if id(value) in above:
        return
    above = (*above, id(value))
    digest.update(f"{type(value).__qualname__}:".encode())
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, dict):
        for key, item in value.items():
            digest.update(f"{key}:".encode())
            _add(digest, item, above)
    elif isinstance(value, list | tuple):
        for item in value:
            _add(digest, item, above)
    elif isinstance(value, set | frozenset):
        digest.update(repr(sorted(map(repr, value))).encode())
    elif is_constant(value):
        digest.update(_name(value).encode())
    elif isinstance(value, str | int | float | None | np.generic):
        digest.update(repr(value).encode())
    elif not is_stream(value):
        _add_object(digest, value, above)


def _name(value: Any) -> str:
    names = (getattr(value, name, "") for name in ("__module__", "__qualname__"))
    return value.__name__ if isinstance(value, ModuleType) else ":".join(map(str, names))


def _add_object(digest: Any, value: Any, above: tuple[int, ...]) -> None:
    if hasattr(value, "__array__"):  # a table of another library
        table = np.asarray(value)
        _add(digest, table.astype(str) if table.dtype.hasobject else table, above)
        return
    for name, attribute in sorted(getattr(value, "__dict__", {}).items()):
        if name != N_THREADS and (is_value(value) or not name.startswith("_")):
            digest.update(f"{name}:".encode())
            _add(digest, attribute, above)
