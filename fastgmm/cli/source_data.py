"""DATA that is read part by part: many files, a folder, or with ``--memory``."""

import argparse
import glob
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import name

if TYPE_CHECKING:
    from ..data.table import Table

_NOT_WITH_SOURCES = {
    "drop_missing": "--drop-missing",
    "missing": "--missing",
    "ids": "--id",
    "separator": "--separator",
    "encoding": "--encoding",
    "header": "--header",
    "standardize": "--standardize",
    "dtype": "--dtype",
}


def add_memory(add: Callable[..., object]) -> None:
    """Declare ``--memory``."""
    memory = "most memory to take, such as 2GB: DATA is then read part by part"
    add("--memory", type=name, metavar="SIZE", help=memory)


def is_read_in_parts(args: argparse.Namespace) -> bool:
    """Return whether DATA names what is read part by part."""
    path = Path(args.data)
    is_pattern = glob.has_magic(args.data) and not path.exists()
    return args.memory is not None or is_pattern or path.is_dir()


def read_in_parts(args: argparse.Namespace, model: Any) -> "Table":
    """Return a source in the place of a table of samples.

    Raises
    ------
    ValueError, OSError, ImportError
        As `open_source`.
    """
    from ..data.sources import open_source
    from ..data.table import Table

    for attribute, option in _NOT_WITH_SOURCES.items():
        if getattr(args, attribute, None) not in (None, False, ()):
            args.error(f"{option} does not go with DATA that is read part by part")
    weight, columns = getattr(args, "weights", None), args.columns
    if columns is None and args.data.lower().endswith(".parquet"):
        columns = list(getattr(model, "feature_names_in_", [])) or None
    source = open_source(args.data, columns=columns, weight=weight, memory=args.memory)
    X: Any = source
    return Table(X, source.feature_names, None, {})
