"""DATA and how it is read: what ``fit``, ``predict`` and ``score`` share."""

import argparse
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .options import character, name, names
from .source_data import add_memory, is_read_in_parts, read_in_parts

if TYPE_CHECKING:
    from ..data.table import Table

DATA = (
    "a .csv, .tsv, .csv.gz, .parquet, .npy or .npz file (FILE.npz:NAME for one of its arrays), "
    "- for text on standard input, or sample:NAME (patches, pixels or iris); a folder, a pattern "
    "such as 'data/*.parquet', or a .zarr folder is read part by part"
)
WEIGHTS = (
    "one weight for each sample: a column of DATA, or a file if it ends as the files of DATA do"
)


class DataError(ValueError):
    """What is wrong with data: in its words no parameter of the library is renamed."""


def add_data_options(add: Callable[..., object]) -> None:
    """Declare the options that say how DATA is read."""
    columns = "features: names, or numbers from 1 (default: those of the model, or all others)"
    add("--columns", type=names, metavar="A,B,..", help=columns)
    ids = "columns that are no features: predict and score --samples repeat them"
    add("--id", dest="ids", type=names, default=(), metavar="A,B,..", help=ids)
    add("--drop-missing", action="store_true", help="leave out rows with missing values")
    missing = "marginalize: use the values that a row has (default: that of the model, or error)"
    add("--missing", choices=("error", "marginalize"), help=missing)
    add("--separator", type=character, metavar="CHAR", help="of a text file (default: found)")
    encoding = "of a text file (default: UTF-8, or UTF-16 with a byte order mark)"
    add("--encoding", type=name, metavar="NAME", help=encoding)
    header = "whether the first row of a text file holds names (default: if it has no number)"
    add("--header", action=argparse.BooleanOptionalAction, help=header)
    add_memory(add)


def read_data(args: argparse.Namespace, model: Any = None, keep_ids: bool = False) -> "Table":
    """Read DATA; the features of a model are found by name, if both have names.

    The columns of ``--id`` are read with ``keep_ids`` alone. ``--missing`` is set on the model.

    Raises
    ------
    ValueError, OSError, ImportError
        As ``read_table``.
    """
    from ..data.columns import Request
    from ..data.csv_layout import TextFormat
    from ..data.table import is_file, read_table

    if is_read_in_parts(args):
        return read_in_parts(args, model)
    keep_missing = _keep_missing(args, model)
    weights = getattr(args, "weights", None)
    weights_file = weights if weights is not None and is_file(weights) else None
    model_features = list(getattr(model, "feature_names_in_", [])) or None
    try:
        return read_table(
            args.data,
            Request(
                args.columns,
                model_features,
                weights if weights_file is None else None,
                args.ids,
                keep_ids,
                getattr(model, "n_features_in_", None),
            ),
            text_format=TextFormat(args.separator, args.encoding, args.header),
            weights_file=weights_file,
            dtype=getattr(args, "dtype", None),
            drop_missing=args.drop_missing,
            keep_missing=keep_missing,
        )
    except ValueError as error:
        raise DataError(str(error)) from error


def _keep_missing(args: argparse.Namespace, model: Any) -> bool:
    """Return whether rows with missing values are read; set what ``--missing`` says of a model."""
    if args.missing == "marginalize" and args.drop_missing:
        args.error("--missing marginalize does not go with --drop-missing")
    if model is not None and args.missing is not None:
        if not hasattr(model, "missing"):
            args.error(f"--missing does not go with a {type(model).__name__}")
        model.missing = args.missing
    missing = args.missing if model is None else getattr(model, "missing", "error")
    return missing == "marginalize" and not args.drop_missing


def naming_columns(
    translate: Callable[[str], str], names: Sequence[str] | None
) -> Callable[[str], str]:
    """Return a translation that also names columns, where the library counts features from 0.

    Parameters
    ----------
    translate : callable
        Returns a message in the words of the command line.
    names : sequence of str or None
        Of the features, or their numbers; None: they are all columns, and have no names.
    """

    def column(match: re.Match[str]) -> str:
        number = int(match[1])
        return f"column {number + 1 if names is None else names[number]}"

    return lambda text: re.sub(r"\bfeature (\d+)\b", column, translate(text))
