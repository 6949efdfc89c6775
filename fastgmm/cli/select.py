"""``fastgmm select``: choose the number of components and the covariance type."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .data_options import DATA, WEIGHTS, add_data_options, naming_columns, read_data
from .fit import COVARIANCE_TYPES
from .options import choices, counts, file_type, name, number, number_or
from .output_file import add_force, check_file, writing

if TYPE_CHECKING:
    from ..selection import Selection

ABOUT = "choose the number of components and the covariance type"

_CRITERIA = ("bic", "icl", "aic", "held-out")


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    count, positive = number(int, 1), number(float, 0)
    add("data", type=name, metavar="DATA", help=DATA)
    sizes = "numbers of components: FIRST:LAST, or numbers separated by commas (default: 1:9)"
    add("-K", "--n-components", type=counts, default="1:9", metavar="1:9|2,4,8", help=sizes)
    kinds = f"some of {', '.join(COVARIANCE_TYPES)} (default: full,tied,diag)"
    kind = choices(COVARIANCE_TYPES)
    add("--covariance-type", type=kind, metavar="A,B,..", help=kinds)
    add("--criterion", choices=_CRITERIA, default="bic", help="what the best has the best of")
    folds = "folds of --criterion held-out"
    add("--cv", type=number(int, 2), default=5, metavar="N", help=folds)
    added = "added to the variances; auto: 1e-6 of the variance of each feature"
    automatic = number_or("auto", positive)
    add("--reg-covar", type=automatic, default="auto", metavar="VAR|auto", help=added)
    add("--max-iter", type=count, default=1000, metavar="N", help="most iterations of a fit")
    add("--n-init", type=count, default=1, metavar="N", help="fresh starts of each candidate")
    seed = number(int, 0, 2**32 - 1)
    add("--seed", dest="random_state", type=seed, default=0, metavar="N", help="of the starts")
    add("--n-jobs", type=count, metavar="N", help="threads (default: all cores)")
    add("--dtype", choices=("float32", "float64"), help="convert the data (default: as it is)")
    add_data_options(add)
    add("--weights", type=name, metavar="COLUMN|FILE", help=WEIGHTS)
    add("-o", "--output", type=name, metavar="MODEL", help="file for the best model")
    table = "file for the table of all candidates, .csv or .parquet"
    add("--table", type=file_type(".csv", ".parquet"), metavar="FILE", help=table)
    plot = "draw the criterion of all candidates into a .png, .pdf or .svg file (needs matplotlib)"
    add("--plot", type=file_type(".png", ".pdf", ".svg"), metavar="FILE", help=plot)
    add_force(add)
    add("--quiet", action="store_true", help="print nothing")
    add("--json", action="store_true", help="the table as one JSON object")


def run(args: argparse.Namespace) -> None:
    """Try all candidates, print the table and save the best."""
    from ..persistence import save
    from ..selection import select

    for path in (args.table, args.plot):
        if path is not None:
            check_file(path, args)
    if args.plot is not None:
        from ..displays.axes import check_matplotlib

        check_matplotlib("--plot")
    table = read_data(args)
    args.with_options = naming_columns(args.with_options, table.names or args.columns)
    selection = select(
        table.X,
        args.n_components,
        args.covariance_type,
        args.criterion,
        sample_weight=table.weights,
        reg_covar=args.reg_covar,
        max_iter=args.max_iter,
        n_init=args.n_init,
        missing=args.missing or "error",
        cv=args.cv,
        random_state=args.random_state,
        n_jobs=args.n_jobs,
    )
    if args.output is not None:
        model = selection.best_estimator
        if table.names is not None:
            model.feature_names_in_ = table.names
        with writing(args.output):
            save(model, args.output)
    if args.table is not None:
        _write_table(args.table, selection)
    if args.plot is not None:
        _draw(args.plot, selection)
    _print(args, selection)


def _draw(output: str, selection: "Selection") -> None:
    from ..displays import SelectionDisplay
    from .picture import drawing

    with drawing(output) as ax:
        SelectionDisplay.from_selection(selection, ax=ax)


def _write_table(output: str, selection: "Selection") -> None:
    import numpy as np

    from .table_output import write_table

    records = selection.to_records()
    columns: dict[str, Any] = {
        column: np.array(["" if row[column] is None else row[column] for row in records])
        for column in records[0]
    }
    write_table(output, columns, columns["bic"])


def _print(args: argparse.Namespace, selection: "Selection") -> None:
    from .output import finite

    if args.json:
        import json

        best = selection.best
        report = {
            "criterion": selection.criterion,
            "best": {"covariance_type": best.covariance_type, "n_components": best.n_components},
            "candidates": selection.to_records(),
            "output": args.output,
        }
        print(json.dumps(finite(report), allow_nan=False))
    elif not args.quiet:
        print(args.with_options(str(selection)))
        if args.output is not None:
            print(f"\nsaved to {args.output}")
