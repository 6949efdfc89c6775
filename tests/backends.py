"""Which backends can run here, and how to switch to one within a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import ModuleType

import pytest

from fastgmm import _kernels as kernels
from fastgmm._kernels import build

LEVELS = ("baseline", "v3", "v4")
#: Numba, and each level of the Cython kernels.
VARIANTS = ("numba", *LEVELS)


def _why_no_import(module: str) -> str:
    try:
        import_module(module)
    except ImportError as error:
        return f"{module} cannot be imported: {error}"
    return ""


@cache
def why_missing(name: str) -> str:
    """Return why a backend or a level cannot run here; empty if it can."""
    if name == "numba":
        return _why_no_import("numba")
    if not build.LEVELS:
        return f"no Cython kernels: {build.MISSING}"
    if _why_no_import("fastgmm._kernels._cython.backend"):
        return _why_no_import("fastgmm._kernels._cython.backend")
    if name == "cython":
        return ""
    if name not in build.LEVELS:
        return f"no Cython kernels were built for {name}"
    runs = name in level_module("baseline").supported_levels()
    return "" if runs else f"this processor does not run {name}"


def skip_without(name: str) -> None:
    """Skip the test that calls this unless a backend or a level can run here."""
    if why_missing(name):
        pytest.skip(why_missing(name))


def available() -> list[str]:
    """Return the variants that can run here."""
    return [variant for variant in VARIANTS if not why_missing(variant)]


def level_module(level: str) -> ModuleType:
    """Return the compiled Cython kernels of a level."""
    return level_modules(level)[8]


def level_modules(level: str) -> dict[int, ModuleType]:
    """Return them by the bytes of a number in their blocks."""
    modules: dict[int, ModuleType] = import_module("fastgmm._kernels._cython.levels")._load(level)
    return modules


@contextmanager
def using(variant: str) -> Iterator[None]:
    """Run the kernels of a variant meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        if variant == "numba":
            backend = import_module("fastgmm._kernels._numba.backend")
        else:
            backend = import_module("fastgmm._kernels._cython.backend")
            patch.setattr(backend, "_passes", level_module(variant))
            patch.setattr(backend, "KERNELS", level_modules(variant))
        patch.setattr(kernels, "backend", lambda: backend)
        patch.setattr(kernels.listed, "backend", lambda: backend)
        yield
