"""The command line: ``fastgmm fit``, ``predict``, ``score``, ``info``, ``bench`` and ``compile``.

Heavy imports are local, so that ``--help`` and ``--version`` are quick.
"""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any, NoReturn

from .._versions import __version__
from . import bench
from . import compile as compile_command
from .options import file_type, number

if TYPE_CHECKING:
    from ..data.sample_data import Table
    from .output import Progress, Report

_DATA = "a .npy file, a .csv file, or sample:NAME (patches, pixels or iris)"
_EPILOG = """\
examples:
  fastgmm fit sample:iris -K 3
  fastgmm fit data.npy -K 32 --covariance-type diag --output model.npz
  fastgmm predict model.npz data.npy --output labels.npy
  fastgmm bench --plot speed.png

Exit status: 0 success (also if EM did not converge, with a warning), 1 an error in the data or
the fit, 2 a wrong command line, 130 interrupted.
"""
_MODEL = "file written by fastgmm fit --output"
_TABLE = ".npy or .csv file (default: text on stdout)"
_TABLE_FILE = file_type(".npy", ".csv")
_WEIGHTS = ".npy or .csv file with one weight for each sample"
_PARAMETERS = (
    *("n_components", "covariance_type", "tol", "reg_covar", "max_iter", "n_init"),
    *("init_params", "random_state", "acceleration", "stop_rule", "n_jobs"),
)
_INTERRUPTED = 130
_ERRORS = (OSError, ValueError, TypeError, FloatingPointError, ImportError, MemoryError)


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments after the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0 success, 1 error, 2 wrong usage, 130 interrupted.
    """
    try:
        args = _parser().parse_args(argv)
        with _one_line_warnings():
            _run(args)
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:
        _discard_stdout()
        return 1
    except KeyboardInterrupt:
        print("fastgmm: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except _ERRORS as error:
        print(f"fastgmm: error: {_explain(error)}", file=sys.stderr)
        return 1
    return 0


def _run(args: argparse.Namespace) -> None:
    if args.output is not None:
        from ..persistence import check_target

        check_target(args.output)
    args.run(args)
    sys.stdout.flush()


def _fit(args: argparse.Namespace) -> None:
    from ..persistence import save
    from .output import Progress, describe_speed, evaluate, finite, format_fit

    progress = Progress(args.quiet, args.max_iter, args.n_init)
    try:
        table, sample_weight, model, seconds = _read_and_fit(args, progress)
    finally:
        progress.close()
    if args.output is not None:
        save(model, args.output)
    start = perf_counter()
    score = evaluate(model, table.X, sample_weight)
    seconds["scoring"] = perf_counter() - start
    speed = describe_speed(progress, args.n_components)
    report = _fit_report(args, table, model)
    report |= {"score": score, "seconds": seconds, "speed": speed}
    if args.json:
        import json

        print(json.dumps(finite(report), allow_nan=False))
    elif not args.quiet:
        print(format_fit(report))
    _warn_not_converged(model)


def _read_and_fit(args: argparse.Namespace, progress: "Progress") -> tuple["Table", Any, Any, Any]:
    from ..estimators import GaussianMixture

    start = perf_counter()
    progress.phase(f"reading {args.data}")
    table, sample_weight = _read(args.data, args.weights, args.dtype)
    seconds = {"reading": perf_counter() - start}
    start = perf_counter()
    progress.phase("initializing (the first run also compiles the kernels, about 6 s)")
    progress.n_samples = len(table.X)
    model = GaussianMixture(**_parameters(args))
    model.fit(table.X, sample_weight=sample_weight, callback=progress)
    em = sum(progress.seconds)
    seconds |= {"initialization": perf_counter() - start - em, "EM": em}
    if table.names is not None:
        model.feature_names_in_ = table.names
    return table, sample_weight, model, seconds


def _fit_report(args: argparse.Namespace, table: "Table", model: Any) -> "Report":
    from .output import describe_model

    data = {"source": args.data, "weights": args.weights, "dtype": str(table.X.dtype)}
    data |= dict(zip(("n_samples", "n_features"), table.X.shape, strict=True))
    settings = {"fastgmm": __version__, "parameters": _parameters(args), "output": args.output}
    return {**settings, "data": data, "model": describe_model(model)}


def _parameters(args: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(args, name) for name in _PARAMETERS}


def _warn_not_converged(model: Any) -> None:
    if not model.converged_ and model.history_:
        warnings.warn(
            f"not converged after {model.n_iter_} iterations: the last change is "
            f"{model.history_[-1].change:.2g}, tol is {model.tol:g}. "
            "Increase --max-iter or --tol.",
            stacklevel=1,
        )


def _predict(args: argparse.Namespace) -> None:
    from .table_output import write_table

    model, table, _ = _load_and_read(args)
    numbers = model.predict_proba(table.X) if args.proba else model.predict(table.X)
    write_table(args.output, numbers)


def _score(args: argparse.Namespace) -> None:
    from .output import evaluate, format_score
    from .table_output import write_table

    if args.output is not None and not args.samples:
        args.error("--output needs --samples")
    if args.weights is not None and args.samples:
        args.error("--weights does not go with --samples")
    model, table, sample_weight = _load_and_read(args)
    if args.samples:
        write_table(args.output, model.score_samples(table.X))
    else:
        print(format_score(evaluate(model, table.X, sample_weight)))


def _info(args: argparse.Namespace) -> None:
    from .._versions import format_versions
    from ..persistence import load
    from .output import describe_model, format_model

    if args.model is None:
        print(format_versions())
    else:
        print(format_model(args.model, describe_model(load(args.model))))


def _read(data: str, weights: str | None, dtype: str | None = None) -> tuple["Table", Any]:
    from ..data.sample_data import read_table, read_weights

    table = read_table(data)
    if dtype is not None:
        table = table._replace(X=table.X.astype(dtype, copy=False))
    return table, None if weights is None else read_weights(weights, len(table.X))


def _load_and_read(args: argparse.Namespace) -> tuple[Any, "Table", Any]:
    """Return the model and the data, whose columns are checked against the model's by name."""
    from ..persistence import load

    model: Any = load(args.model)
    table, sample_weight = _read(args.data, getattr(args, "weights", None))
    names = list(getattr(model, "feature_names_in_", []))
    if names and table.names and names != table.names:
        expected, got = ", ".join(names), ", ".join(table.names)
        raise ValueError(f"{args.data}: expected the columns {expected}, got {got}.")
    return model, table, sample_weight


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory. {_one_line(error)}".strip()
    return _one_line(error)


def _one_line(message: object) -> str:
    return str(message).strip().partition("\n")[0]


@contextlib.contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Print each warning once, at the end, without those that the commands replace."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        for replaced in ("Best performing initialization did not", "X does not have valid feature"):
            warnings.filterwarnings("ignore", message=replaced)
        try:
            yield
        finally:
            for text in dict.fromkeys(_one_line(warning.message) for warning in caught):
                print(f"fastgmm: warning: {text}", file=sys.stderr)


def _discard_stdout() -> None:
    """Let the interpreter flush the output that the closed pipe did not take."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"fastgmm: error: {message} (see {self.prog} --help)\n")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Shows the default of each option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        default = action.default not in (None, False, argparse.SUPPRESS)
        return f"{action.help or ''}{' (default: %(default)s)' if default else ''}"


def _parser() -> argparse.ArgumentParser:
    about = "Gaussian mixtures by expectation-maximization."
    parser = _Parser(prog="fastgmm", description=about, epilog=_EPILOG, formatter_class=_Formatter)
    parser.add_argument("--version", action="version", version=f"fastgmm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text, run, add_options in (
        ("fit", "fit a mixture to data", _fit, _add_fit),
        ("predict", "tell the component of each sample", _predict, _add_predict),
        ("score", "compute log-likelihood, AIC and BIC of data", _score, _add_score),
        ("info", "describe a model, or versions and threads", _info, _add_info),
        ("bench", bench.ABOUT, bench.run, bench.add_options),
        ("compile", compile_command.ABOUT, compile_command.run, compile_command.add_options),
    ):
        sentence = f"{text[0].upper()}{text[1:]}."
        command = commands.add_parser(
            name, help=text, description=sentence, formatter_class=_Formatter
        )
        add_options(command.add_argument)
        command.set_defaults(run=run, error=command.error, output=None)
    return parser


def _add_fit(add: Callable[..., object]) -> None:
    kinds = ("full", "tied", "diag", "spherical")
    starts = ("kmeans", "k-means++", "random", "random_from_data")
    accelerations = ("quasi-newton", "subsample", "split-merge")
    count, positive = number(int, 1), number(float, 0)
    add("data", metavar="DATA", help=_DATA)
    add("-K", "--n-components", type=count, required=True, metavar="N", help="components")
    add("--covariance-type", choices=kinds, default="full", help="shape of the covariances")
    add("--tol", type=positive, default=1e-3, help="smallest change of the mean log-likelihood")
    add("--reg-covar", type=positive, default=1e-6, metavar="VAR", help="added to the variances")
    add("--max-iter", type=number(int, 0), default=100, metavar="N", help="most iterations")
    add("--n-init", type=count, default=1, metavar="N", help="starts, of which the best is kept")
    rules = ("last-change", "remaining-gain")
    add("--stop-rule", choices=rules, default="last-change", help="what --tol bounds")
    add("--acceleration", choices=accelerations, help="fewer iterations for a small --tol")
    add("--init", dest="init_params", choices=starts, default="kmeans", help="starting points")
    seed = number(int, 0, 2**32 - 1)
    add("--seed", dest="random_state", type=seed, default=0, metavar="N", help="of the starts")
    add("--n-jobs", type=count, metavar="N", help="threads (default: all cores)")
    add("--dtype", choices=("float32", "float64"), help="convert the data (default: as it is)")
    add("--weights", metavar="FILE", help=_WEIGHTS)
    add("-o", "--output", metavar="MODEL", help="file for the model, such as model.npz")
    add("--quiet", action="store_true", help="no progress and no summary")
    add("--json", action="store_true", help="summary as one JSON object")


def _add_predict(add: Callable[..., object]) -> None:
    add("model", metavar="MODEL", help=_MODEL)
    add("data", metavar="DATA", help=_DATA)
    add("--proba", action="store_true", help="probability of each component instead")
    add("-o", "--output", type=_TABLE_FILE, metavar="FILE", help=_TABLE)


def _add_score(add: Callable[..., object]) -> None:
    add("model", metavar="MODEL", help=_MODEL)
    add("data", metavar="DATA", help=_DATA)
    add("--weights", metavar="FILE", help=_WEIGHTS)
    add("--samples", action="store_true", help="log-density of each sample instead")
    add("-o", "--output", type=_TABLE_FILE, metavar="FILE", help=f"with --samples: {_TABLE}")


def _add_info(add: Callable[..., object]) -> None:
    add("model", metavar="MODEL", nargs="?", help=_MODEL)
