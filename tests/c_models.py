"""Models that are exported to C, compiled and called."""

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compilers import is_usable
from numpy.typing import NDArray

from fastgmm.embed.export_c import to_c

COMPILERS = [name for name in ("gcc", "clang") if is_usable(name)]
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
#: pytest's mark of tests that compile
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="needs gcc or clang that works")
_SUFFIX = {"float64": "f64", "float32": "f32"}


def compile_c(
    folder: Path, *arguments: str, compiler: str | None = None, standard: str = "c99"
) -> None:
    """Compile, with all warnings as errors."""
    options = [f"-std={standard}", *WARNINGS]
    command = [compiler or COMPILERS[0], *options, *arguments]
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr


def write_c(folder: Path, model: Any, prefix: str = "mixture") -> None:
    """Write the header and the source file of a model."""
    header, source = to_c(model, prefix)
    (folder / f"{prefix}.h").write_text(header)
    (folder / f"{prefix}.c").write_text(source)


class CModel:
    """An exported model in this process: each method calls the C function of its name."""

    def __init__(
        self,
        model: Any,
        folder: Path,
        *,
        options: tuple[str, ...] = ("-O2",),
        compiler: str | None = None,
    ) -> None:
        write_c(folder, model)
        arguments = (*options, "-shared", "-fPIC", "mixture.c", "-o", "mixture.so", "-lm")
        compile_c(folder, *arguments, compiler=compiler)
        self.library = ctypes.CDLL(str(folder / "mixture.so"))

    def call(
        self, name: str, X: NDArray[Any], out: Any, *more: Any, stride: int | None = None
    ) -> int:
        """Call a function with points, and return its code."""
        function = getattr(self.library, f"mixture_{name}_{_SUFFIX[str(X.dtype)]}")
        pointers = [_pointer(array) for array in (*more, out)]
        size = ctypes.c_size_t
        stride = X.shape[1] if stride is None else stride
        return int(function(_pointer(X), size(len(X)), size(stride), *pointers))

    def log_density(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return self._filled("log_density", X, np.full(len(X), -1.0))

    def component(self, X: NDArray[Any]) -> NDArray[np.int64]:
        return self._filled("component", X, np.full(len(X), -7, np.int64))

    def table(self, name: str, X: NDArray[Any], n_components: int) -> NDArray[np.float64]:
        return self._filled(name, X, np.full((len(X), n_components), -1.0))

    def _filled(self, name: str, X: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
        assert self.call(name, X, out) == 0
        return out


def _pointer(array: NDArray[Any] | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


class CStatistics:
    """The struct of sums, as one array whose parts are named."""

    def __init__(self, covariance_type: str, K: int, d: int) -> None:
        triangle = d * (d + 1) // 2
        second = {"full": (K, triangle), "tied": (triangle,), "diag": (K, d), "spherical": (K,)}
        shapes = {"log_likelihood": (), "weight": (), "nk": (K,), "first": (K, d)}
        shapes["second"] = second[covariance_type]
        self.memory = np.zeros(sum(int(np.prod(shape)) for shape in shapes.values()))
        self.parts: dict[str, NDArray[np.float64]] = {}
        start = 0
        for name, shape in shapes.items():
            size = int(np.prod(shape))
            self.parts[name] = self.memory[start : start + size].reshape(shape)
            start += size
