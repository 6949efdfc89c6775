"""``fastgmm score``: how well a model describes data."""

import argparse
from collections.abc import Callable
from typing import Any

from .data_options import DATA, WEIGHTS, add_data_options, read_data
from .options import name
from .output_file import add_force
from .predict import MODEL
from .table_output import TABLE, TABLE_FILE, check_columns, write_table

_DENSITY = "log_density"

ABOUT = "compute log-likelihood, AIC and BIC of data"


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    add("model", type=name, metavar="MODEL", help=MODEL)
    add("data", type=name, metavar="DATA", help=DATA)
    add("--weights", type=name, metavar="COLUMN|FILE", help=WEIGHTS)
    add("--samples", action="store_true", help="log-density of each sample instead, in nats")
    add_data_options(add)
    add("-o", "--output", type=TABLE_FILE, metavar="FILE", help=f"with --samples: {TABLE}")
    add_force(add)


def run(args: argparse.Namespace) -> None:
    """Print a summary, or write the log-density of each sample."""
    from ..persistence import load
    from .output import evaluate, format_score

    if args.output is not None and not args.samples:
        args.error("--output needs --samples")
    if args.weights is not None and args.samples:
        args.error("--weights does not go with --samples")
    model: Any = load(args.model)
    table = read_data(args, model, keep_ids=args.samples)
    if args.samples:
        check_columns(args.output, table.ids, [_DENSITY])
        densities = model.score_samples(table.X)
        write_table(args.output, {**table.ids, _DENSITY: densities}, densities)
    else:
        print(format_score(evaluate(model, table.X, table.weights, table.X.shape[0])))
