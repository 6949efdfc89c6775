"""``fastgmm predict``: the component of each sample."""

import argparse
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from .data_options import DATA, add_data_options, read_data
from .options import name
from .output_file import add_force, writing
from .table_output import TABLE, TABLE_FILE, check_columns, write_table

if TYPE_CHECKING:
    from ..data.sources import Source

ABOUT = "tell the component of each sample"
MODEL = "file written by fastgmm fit --output, or by to_json"


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    add("model", type=name, metavar="MODEL", help=MODEL)
    add("data", type=name, metavar="DATA", help=DATA)
    proba = "also the probability of each component: p0, p1, ... (in a .npy file, these alone)"
    add("--proba", action="store_true", help=proba)
    add_data_options(add)
    add("-o", "--output", type=TABLE_FILE, metavar="FILE", help=TABLE)
    add_force(add)


def run(args: argparse.Namespace) -> None:
    """Write a row for each sample: identifiers, label and probabilities."""
    from ..data.sources import Source
    from ..persistence import load

    model: Any = load(args.model)
    table = read_data(args, model, keep_ids=True)
    probabilities = [f"p{k}" for k in range(model._parameters().n_components)] if args.proba else []
    check_columns(args.output, table.ids, ["label", *probabilities])
    if isinstance(table.X, Source) and (args.output or "").endswith(".npy"):
        _predict_into(args.output, model, table.X, args.proba)
        return
    labels = model.predict(table.X)
    columns, numbers = {**table.ids, "label": labels}, labels
    if args.proba:
        numbers = model.predict_proba(table.X)
        columns |= zip(probabilities, numbers.T, strict=True)
    write_table(args.output, columns, numbers)


def _predict_into(output: str, model: Any, source: "Source", with_probabilities: bool) -> None:
    """Write labels, or probabilities, part by part: memory does not grow with the rows."""
    import numpy as np

    from ..persistence import replacing

    shape: tuple[int, ...] = (source.n_samples or 0,)
    if with_probabilities:
        shape = *shape, model._parameters().n_components
    kind = np.dtype(np.float64 if with_probabilities else np.int64)
    with writing(output), replacing(output) as file:
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + prod(shape) * kind.itemsize)
        out = np.memmap(file, kind, "r+", file.tell(), shape)
        (model.predict_proba if with_probabilities else model.predict)(source, out=out)
        out.flush()
