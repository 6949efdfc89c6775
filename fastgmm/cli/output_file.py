"""The file of ``-o``: it replaces nothing without ``--force``, and never what the command reads."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


def add_force(add: Callable[..., object]) -> None:
    """Declare ``--force``."""
    add("--force", action="store_true", help="replace the output file if it exists")


def check_output(args: argparse.Namespace) -> None:
    """Raise where the output must not or cannot be written, before any work.

    Raises
    ------
    ValueError
        If the file exists and there is no ``--force``, if it is one that the command reads, also
        by another name, or if there is no such folder.
    """
    if args.output is not None:
        check_file(args.output, args)


def check_file(output: str, args: argparse.Namespace) -> None:
    """Raise where one file of the output must not or cannot be written.

    Raises
    ------
    ValueError
        As ``check_output``.
    """
    from ..persistence import check_target

    with writing(output):
        check_target(output)
        if not Path(output).exists():
            return
    found = Path(output).stat()
    for name, file in _inputs(args):
        if os.path.samestat(file, found):
            raise ValueError(f"{output}: expected another file than {name}, which is read.")
    if not args.force:
        raise ValueError(f"{output}: the file exists. --force replaces it.")


@contextlib.contextmanager
def writing(output: str) -> Iterator[None]:
    """Name the output in errors, as the user typed it: not a temporary file, and not nothing.

    Raises
    ------
    OSError
        If the output cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), output) from error


def _inputs(args: argparse.Namespace) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files that a command reads."""
    from ..data.array_file import split_member
    from ..data.table import is_file

    for name in ("data", "weights", "model"):
        text = getattr(args, name, None)
        if text is None or (name == "weights" and not is_file(text)):
            continue
        with contextlib.suppress(OSError, ValueError, AttributeError):  # no such file, no stdin
            if text == "-":
                yield name.upper(), os.fstat(sys.stdin.fileno())
            else:
                yield name.upper(), Path(split_member(text)[0]).stat()
