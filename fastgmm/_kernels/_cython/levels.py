"""Which of the compiled kernels run: those of the best instruction set of this processor."""

import os
from importlib import import_module
from types import ModuleType

from .. import build


def _load(level: str) -> dict[int, ModuleType]:
    """Return the kernels of a level by the bytes of a number in their blocks."""
    names = {8: f".passes_{level}_float64", 4: f".passes_{level}_float32"}
    return {itemsize: import_module(name, __package__) for itemsize, name in names.items()}


def _choose() -> tuple[str, dict[int, ModuleType]]:
    """Return the best level that was built and that this processor runs, or the one asked for."""
    supported = _load("baseline")[8].supported_levels()
    usable = [level for level in build.LEVELS if level in supported]
    level = os.environ.get("FASTGMM_INSTRUCTION_SET", usable[-1])
    if level not in usable:
        raise ImportError(
            "FASTGMM_INSTRUCTION_SET must be one that was built and that this processor runs, "
            f"{usable}, got {level!r}."
        )
    return level, _load(level)


#: The level in use, and its kernels by the bytes of a number in their blocks.
INSTRUCTION_SET, KERNELS = _choose()
