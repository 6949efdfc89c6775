"""``fastgmm fit``: fit a mixture to data, save it and summarize it."""

import argparse
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .._versions import __version__
from .automatic import check_goes_with_auto, choose
from .data_options import DATA, WEIGHTS, add_data_options, naming_columns, read_data
from .kept_fit import (
    add_checkpoint_options,
    check_checkpoint_options,
    how_to_go_on,
    kept_fit,
    remove_checkpoint,
)
from .options import name, number, number_or
from .output_file import add_force, writing
from .source_data import add_distributed, connected, estimator_of, to_fit

if TYPE_CHECKING:
    from ..data.table import Table
    from .output import Report
    from .progress import Progress

ABOUT = "fit a mixture to data"
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied-spherical")

PARAMETERS = (
    *("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init"),
    *("init_params", "random_state", "acceleration", "stop_rule", "n_jobs"),
    *("posterior", "exact_iter"),
)


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    starts = ("auto", "tree", "kmeans", "k-means++", "random", "random_from_data")
    accelerations = ("quasi-newton", "subsample", "split-merge")
    count, positive = number(int, 1), number(float, 0)
    add("data", type=name, metavar="DATA", help=DATA)
    size = "components; auto: from 1 to 9, by BIC"
    count_or_auto = number_or("auto", count)
    add("-K", "--n-components", type=count_or_auto, required=True, metavar="N|auto", help=size)
    add(
        "--covariance-type",
        choices=COVARIANCE_TYPES,
        default="full",
        help="shape of the covariances",
    )
    equal = "hold all weights at 1 / N; default: estimate them"
    add("--equal-weights", action="store_true", help=equal)
    variance = "hold the variance of tied-spherical components; default: estimate it"
    add("--variance", type=number(float, 1e-300), metavar="VAR", help=variance)
    add("--tol", type=positive, default=1e-3, help="smallest change of the mean log-likelihood")
    added = "added to the variances; auto: 1e-6 of the variance of each feature"
    automatic = number_or("auto", positive)
    add("--reg-covar", type=automatic, default="auto", metavar="VAR|auto", help=added)
    add("--max-iter", type=number(int, 0), default=100, metavar="N", help="most iterations")
    add("--n-init", type=count, default=1, metavar="N", help="starts, of which the best is kept")
    rules = ("last-change", "remaining-gain")
    add("--stop-rule", choices=rules, default="remaining-gain", help="what --tol bounds")
    add("--acceleration", choices=accelerations, help="fewer iterations for a small --tol")
    kept = "truncated: three components a sample, for thousands; auto: from 256 on"
    add("--posterior", choices=("exact", "truncated", "auto"), default="auto", help=kept)
    exact = "exact iterations after truncated ones"
    add("--exact-iter", type=number(int, 0), default=0, metavar="N", help=exact)
    add("--init", dest="init_params", choices=starts, default="auto", help="starting points")
    seed = number(int, 0, 2**32 - 1)
    add("--seed", dest="random_state", type=seed, default=0, metavar="N", help="of the starts")
    add("--n-jobs", type=count, metavar="N", help="threads (default: all cores)")
    add("--dtype", choices=("float32", "float64"), help="convert the data (default: as it is)")
    add_data_options(add)
    add("--weights", type=name, metavar="COLUMN|FILE", help=WEIGHTS)
    standardize = "fit to features in standard deviations; the model is in their own units"
    add("--standardize", action="store_true", help=standardize)
    add("-o", "--output", type=name, metavar="MODEL", help="file for the model, such as model.npz")
    add_force(add)
    add_distributed(add)
    add_checkpoint_options(add)
    add("--quiet", action="store_true", help="no progress and no summary")
    add("--json", action="store_true", help="summary as one JSON object")


def run(args: argparse.Namespace) -> None:
    """Fit, save and report.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C. The model of the last complete iteration is then saved, where there is
        an output.
    """
    from ..model.summary import describe_model
    from .output import describe_speed, evaluate
    from .progress import Progress

    if args.standardize and args.covariance_type in ("spherical", "tied-spherical"):
        args.error(
            f"--standardize does not go with --covariance-type {args.covariance_type}, whose "
            "components have one variance for all features in their own units: diag has one for "
            "each"
        )
    if args.variance is not None and args.covariance_type != "tied-spherical":
        args.error("--variance goes with --covariance-type tied-spherical alone")
    if args.n_components == "auto":
        check_goes_with_auto(args)
    check_checkpoint_options(args)
    progress = Progress(args.quiet, args.max_iter, args.n_init)
    with connected(args):
        try:
            table, model, seconds = _read_and_fit(args, progress)
        finally:
            progress.close()
        start = perf_counter()
        score = evaluate(model, to_fit(args, table.X), table.weights, table.X.shape[0])
        seconds["scoring"] = perf_counter() - start
    data = {"source": args.data, "weights": args.weights, "dtype": str(table.X.dtype)}
    data |= dict(zip(("n_samples", "n_features"), table.X.shape, strict=True))
    report = {
        "fastgmm": __version__,
        "parameters": _parameters(args),
        "standardize": args.standardize,
        "selection": args.selection,
        "output": args.output,
        "data": data,
        "model": describe_model(model),
        "score": score,
        "seconds": seconds,
        "speed": describe_speed(progress, args.n_components),
    }
    _print(args, report)
    remove_checkpoint(args)
    _warn_not_converged(model)


def _read_and_fit(
    args: argparse.Namespace, progress: "Progress"
) -> tuple["Table", Any, dict[str, float]]:
    """Return the data, the model, which is saved, and the time that each phase took."""
    start = perf_counter()
    progress.phase(f"reading {args.data}")
    table = read_data(args)
    args.with_options = naming_columns(args.with_options, table.names or args.columns)
    seconds = {"reading": perf_counter() - start}
    start = perf_counter()
    progress.phase("initializing (the first run also compiles the kernels, about 6 s)")
    progress.n_samples = table.X.shape[0]
    model = _fit_and_save(args, table, progress)
    em = sum(progress.seconds)
    seconds |= {"initialization": perf_counter() - start - em, "EM": em}
    return table, model, seconds


def _fit_and_save(args: argparse.Namespace, table: "Table", progress: "Progress") -> Any:
    """Return the model; after Ctrl-C save what there is, if it is to be saved, and raise."""
    from ..persistence import save

    model, is_interrupted = _fit_model(args, table, progress)
    if table.names is not None:
        model.feature_names_in_ = table.names
    if args.output is not None:
        with writing(args.output):
            save(model, args.output)
    if is_interrupted:
        raise KeyboardInterrupt(
            f"{args.output} holds the model after {model.n_iter_} "
            f"iteration{'' if model.n_iter_ == 1 else 's'}{how_to_go_on(args)}"
        )
    return model


def _fit_model(args: argparse.Namespace, table: "Table", progress: "Progress") -> tuple[Any, bool]:
    """Return the model in the features' own units, and whether Ctrl-C stopped it."""
    from .interruption import Interruption

    X, restore = _prepared(args, table)
    start: dict[str, Any] = {}
    args.selection = None
    if args.n_components == "auto":
        progress.phase("choosing the number of components")
        args.selection, start = choose(args, X, table.weights)
    model: Any = estimator_of(args)(**_parameters(args) | start)
    with (
        kept_fit(args) as checkpoint,
        Interruption(lambda: args.output is not None and bool(progress.seconds)) as interruption,
    ):

        def callback(iteration: Any) -> bool:
            progress(iteration)
            return interruption.requested

        model.fit(X, sample_weight=table.weights, callback=callback, checkpoint=checkpoint)
    restore(model)
    return model, interruption.requested


def _prepared(args: argparse.Namespace, table: "Table") -> tuple[Any, Callable[[Any], None]]:
    """Return the samples of the fit, and what turns its model into one of the table."""
    if not args.standardize:
        return to_fit(args, table.X), lambda _model: None
    from .standardized import Standardized

    standardized = Standardized(table.X, table.weights)
    return standardized.X, standardized.restore


def _parameters(args: argparse.Namespace) -> dict[str, Any]:
    parameters = {name: getattr(args, name) for name in PARAMETERS}
    is_fixed = {"weights": args.equal_weights, "covariances": args.variance is not None}
    fixed = tuple(name for name in is_fixed if is_fixed[name])
    parameters |= {"covariances_init": args.variance, "fixed": fixed}
    return {**parameters, "missing": args.missing or "error"}


def _print(args: argparse.Namespace, report: "Report") -> None:
    from .output import finite, format_fit

    if args.json:
        import json

        print(json.dumps(finite(report), allow_nan=False))
    elif not args.quiet:
        print(format_fit(report))


def _warn_not_converged(model: Any) -> None:
    if not model.converged_ and model.history_:
        warnings.warn(
            f"not converged after {model.n_iter_} iterations: the last change is "
            f"{model.history_[-1].change:.2g}, tol is {model.tol:g}. "
            "Increase --max-iter or --tol.",
            stacklevel=1,
        )
