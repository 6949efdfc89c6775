"""Versions of this installation and its libraries."""

from importlib.metadata import PackageNotFoundError, version
from platform import machine, platform, python_version
from typing import Any

__all__ = ["__version__", "show_versions", "versions"]

# Here alone; a distribution of another build than the default adds its name.
__version__ = "0.2.0.dev0"

_PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "llvmlite", "joblib", "threadpoolctl")


def versions() -> dict[str, Any]:
    """Return the versions of fastgmm, Python and the libraries it uses, and the kernel backend.

    Returns
    -------
    dict
        Names and versions, in the order in which `show_versions` prints them, followed by
        the entries of `backend_info`. A library that is missing is ``"not installed"``.
    """
    from ._kernels import backend_info  # imported here, so that the version alone is quick to read

    return {
        "fastgmm": __version__,
        "python": python_version(),
        "platform": f"{platform()}, {machine()}",
        **{name: _version(name) for name in _PACKAGES},
        **backend_info(),
    }


def show_versions() -> None:
    """Print what a report of a problem should hold: versions, backend, threads, compiler.

    Examples
    --------
    >>> import fastgmm
    >>> fastgmm.show_versions()  # doctest: +SKIP
    fastgmm          0.2.0
    python           3.13.1
    """
    print(format_versions())


def format_versions() -> str:
    """Return the text of `show_versions`."""
    rows = {name.replace("_", " "): _text(value) for name, value in versions().items()}
    width = max(map(len, rows)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows.items())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
