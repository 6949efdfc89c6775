"""DATA that is read part by part: many files, a folder, or with ``--memory``."""

import argparse
import glob
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

_NOT_WITH_WORKERS = {"columns": "--columns", "weights": "--weights", "memory": "--memory"}


def add_memory(add: Callable[..., object]) -> None:
    """Declare ``--memory``."""
    memory = "most memory to take, such as 2GB: DATA is then read part by part"
    add("--memory", type=name, metavar="SIZE", help=memory)


def add_distributed(add: Callable[..., object]) -> None:
    """Declare ``--distributed``."""
    distributed = "fit on the workers of this Dask scheduler, or of a cluster of processes here"
    add("--distributed", type=name, metavar="tcp://HOST:PORT|local", help=distributed)


@contextmanager
def connected(args: argparse.Namespace) -> Iterator[None]:
    """Be a client of a scheduler of Dask in this block, where ``--distributed`` names one.

    Raises
    ------
    ImportError
        If Dask is not installed.
    """
    if args.distributed is None:
        yield
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("--distributed needs Dask: pip install 'fastgmm[distributed]'") from error
    is_local = args.distributed == "local"
    with Client(**{"dashboard_address": None} if is_local else {"address": args.distributed}):
        yield


def estimator_of(args: argparse.Namespace) -> Any:
    """Return the class that fits, here or on workers."""
    if args.distributed is None:
        from ..estimators import GaussianMixture
    else:
        from ..distributed import GaussianMixture
    return GaussianMixture


def to_fit(args: argparse.Namespace, X: Any) -> Any:
    """Return the samples as the fit takes them: files, if workers read them."""
    if args.distributed is None:
        return X
    return [str(path.resolve()) for path in X.paths]


def is_read_in_parts(args: argparse.Namespace) -> bool:
    """Return whether DATA names what is read part by part."""
    path = Path(args.data)
    is_pattern = glob.has_magic(args.data) and not path.exists()
    is_asked_for = args.memory is not None or getattr(args, "distributed", None) is not None
    is_folder = path.is_dir() and path.suffix.lower() in ("", ".zarr")
    return is_asked_for or is_pattern or is_folder


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
    if getattr(args, "distributed", None) is not None:
        for attribute, option in _NOT_WITH_WORKERS.items():
            if getattr(args, attribute, None) is not None:
                args.error(f"{option} does not go with --distributed")
    columns = args.columns
    if columns is None and _is_parquet(args.data):
        columns = list(getattr(model, "feature_names_in_", [])) or None
    weight = getattr(args, "weights", None)
    source = open_source(args.data, columns=columns, weight=weight, memory=args.memory)
    X: Any = source
    if getattr(args, "distributed", None) is not None and not source.paths:
        args.error("--distributed needs DATA in .npy or .parquet files")
    return Table(X, source.feature_names, None, {})


def _is_parquet(data: str) -> bool:
    from ..data.sources.files import paths_of

    if Path(data).suffix == ".zarr":
        return False
    return paths_of(data, (".npy", ".parquet"))[0].suffix.lower() == ".parquet"
