"""The command line: ``fastgmm fit``, ``predict``, ``score`` and the other commands.

Heavy imports are local, so that ``--help`` and ``--version`` are quick.
"""

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence

from .._versions import __version__
from . import bench, export, fit, info, plot, predict, score, select
from . import compile as compile_command
from .data_options import DataError
from .output_file import check_output
from .parser import Parser, did_you_mean

_EPILOG = """\
examples:
  fastgmm fit sample:iris -K 3
  fastgmm select data.csv -K 1:9 --output model.npz
  fastgmm fit data.csv -K 32 --covariance-type diag --output model.npz
  fastgmm predict model.npz data.csv --id name --output labels.csv
  fastgmm plot model.npz data.csv --output model.png
  fastgmm export model.npz --language c -o model.c
  fastgmm bench --plot speed.png

Exit status: 0 success (also if EM did not converge, with a warning), 1 an error in a file, the
data or the fit, 2 a wrong command line, 130 interrupted.
"""
_COMMANDS = {
    "fit": fit,
    "select": select,
    "predict": predict,
    "score": score,
    "info": info,
    "plot": plot,
    "export": export,
    "bench": bench,
    "compile": compile_command,
}
_INTERRUPTED = 130
_REPLACED_WARNINGS = ("Best performing", "The callback stopped", "X does not have valid feature")
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
        return _run(parse(sys.argv[1:] if argv is None else argv))
    except SystemExit as stop:
        return int(stop.code or 0)
    except BrokenPipeError:
        _discard_stdout()
        return 1
    except KeyboardInterrupt as interrupt:
        print(": ".join(["fastgmm: interrupted", *map(str, interrupt.args)]), file=sys.stderr)
        return _INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    """Run a command; messages name its options where the library names parameters."""
    try:
        with _one_line_warnings(lambda text: args.with_options(text)):
            check_output(args)
            args.run(args)
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except DataError as error:
        print(f"fastgmm: error: {_one_line(error)}", file=sys.stderr)
        return 1
    except _ERRORS as error:
        print(f"fastgmm: error: {args.with_options(_explain(error))}", file=sys.stderr)
        return 1
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line, and what its command does with them and errors.

    Raises
    ------
    SystemExit
        If they are wrong, or ask for help or the version.
    """
    about = "Gaussian mixtures by expectation-maximization."
    parser = Parser(prog="fastgmm", description=about, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"fastgmm {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    parsers = {"": parser}
    for name, command in _COMMANDS.items():
        sentence = f"{command.ABOUT[0].upper()}{command.ABOUT[1:]}."
        parsers[name] = commands.add_parser(name, help=command.ABOUT, description=sentence)
        command.add_options(parsers[name].add_argument)
        parsers[name].set_defaults(
            run=command.run,
            error=parsers[name].error,
            with_options=parsers[name].with_options,
            output=None,
        )
    first = argv[0] if argv and not argv[0].startswith("-") else ""
    if argv and first not in parsers:
        parser.error(f"no command {first!r}{did_you_mean(first, list(_COMMANDS))}")
    parsers[first].check_options(argv)
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        args.error(f"unexpected argument {unknown[0]!r}")
    return args


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return _one_line(f"{error.filename}: {error.strerror}")
    if isinstance(error, MemoryError):
        return f"not enough memory. {_one_line(error)}".strip()
    return _one_line(error)


def _one_line(message: object) -> str:
    """Return the first line, without characters that a terminal obeys."""
    line = next(iter(str(message).strip().splitlines()), "")
    return "".join(letter if letter.isprintable() else "?" for letter in line)


@contextlib.contextmanager
def _one_line_warnings(with_options: Callable[[str], str]) -> Iterator[None]:
    """Print each warning once, at the end, without those that the commands replace."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        for replaced in _REPLACED_WARNINGS:
            warnings.filterwarnings("ignore", message=replaced)
        try:
            yield
        finally:
            for text in dict.fromkeys(_one_line(warning.message) for warning in caught):
                print(f"fastgmm: warning: {with_options(text)}", file=sys.stderr)


def _discard_stdout() -> None:
    """Let the interpreter flush the output that the closed pipe did not take."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
