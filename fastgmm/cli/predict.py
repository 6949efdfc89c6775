"""``fastgmm predict``: the component of each sample."""

import argparse
from collections.abc import Callable
from typing import Any

from .data_options import DATA, add_data_options, read_data
from .options import name
from .output_file import add_force
from .table_output import TABLE, TABLE_FILE, check_columns, write_table

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
    from ..persistence import load

    model: Any = load(args.model)
    table = read_data(args, model, keep_ids=True)
    probabilities = [f"p{k}" for k in range(model._parameters().n_components)] if args.proba else []
    check_columns(args.output, table.ids, ["label", *probabilities])
    labels = model.predict(table.X)
    columns, numbers = {**table.ids, "label": labels}, labels
    if args.proba:
        numbers = model.predict_proba(table.X)
        columns |= zip(probabilities, numbers.T, strict=True)
    write_table(args.output, columns, numbers)
