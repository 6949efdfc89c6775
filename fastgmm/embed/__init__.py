"""Fitted mixtures for compiled code: plain memory, and functions that run on it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "CModel": ".c_model",
    "addresses": ".c_table",
    "c_functions": ".c_table",
    "get_include": ".c_header",
}

__all__ = ["CModel", "addresses", "c_functions", "get_include"]

if TYPE_CHECKING:
    from .c_header import get_include
    from .c_model import CModel
    from .c_table import addresses, c_functions
else:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'fastgmm.embed' has no attribute {name!r}")
        return getattr(import_module(_HOME[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
