"""Whether kernels are compiled by way of ``fast_compile.py``: the default, unless it cannot be."""

import os
import warnings
from types import ModuleType

import numba

# The fast layer was tested with these versions of Numba: from the first, and before the second.
_KNOWN = ((0, 63), (0, 69))


class Switch:
    """On or off, for the whole process; once off it stays off."""

    def __init__(self) -> None:
        asked = os.environ.get("FASTGMM_FAST_COMPILE", "1")
        if asked not in ("0", "1"):
            raise ImportError(f"FASTGMM_FAST_COMPILE must be 0 or 1, got {asked!r}.")
        self.is_on = asked == "1" and not numba.config.DISABLE_JIT
        self._layer: ModuleType | None = None
        if self.is_on and not _KNOWN[0] <= _numba_version() < _KNOWN[1]:
            self.turn_off(f"it has not been tested with Numba {numba.__version__}")

    def layer(self) -> ModuleType | None:
        """Return the layer, or None where Numba lacks a name that the layer needs."""
        if self._layer is None and not numba.config.DISABLE_JIT:
            try:
                from . import fast_compile
            except (AttributeError, ImportError) as error:
                self.turn_off(str(error))
            else:
                self._layer = fast_compile
        return self._layer

    def turn_off(self, reason: str) -> None:
        """Compile as Numba does on its own from now on, and warn."""
        if self.is_on:
            self.is_on = False
            warnings.warn(
                f"fastgmm compiles its kernels without its fast layer: {reason}. The results are "
                "the same, but the first fit takes longer. Set FASTGMM_FAST_COMPILE=0 to switch "
                "the layer off without this warning.",
                RuntimeWarning,
                stacklevel=2,
            )


def _numba_version() -> tuple[int, ...]:
    return tuple(int(part) for part in numba.__version__.split(".")[:2])


switch = Switch()
