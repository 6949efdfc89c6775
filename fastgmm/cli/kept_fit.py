"""``--checkpoint``: a fit that goes on where it stood."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .options import name, number

if TYPE_CHECKING:
    from ..em import Checkpoint

_SECONDS = 60.0


def add_checkpoint_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    kept = "keep the state of the fit here, and go on from it: the file is removed at the end"
    add("--checkpoint", type=name, metavar="FILE", help=kept)
    often = f"how often the state is kept (default: {_SECONDS:g})"
    seconds = number(float, 1e-3)
    add("--checkpoint-every", type=seconds, metavar="SECONDS", help=often)


def check_checkpoint_options(args: argparse.Namespace) -> None:
    """Exit where the options do not go together."""
    if args.checkpoint_every is not None and args.checkpoint is None:
        args.error("--checkpoint-every goes with --checkpoint alone")


@contextlib.contextmanager
def kept_fit(args: argparse.Namespace) -> "Iterator[Checkpoint | None]":
    """Return the checkpoint of the fit in this block, and say where the fit goes on.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C in the block, with what the user may do then.
    """
    from ..em import Checkpoint

    if args.checkpoint is None:
        yield None
        return
    path = Path(args.checkpoint)
    if path.exists() and not args.quiet:
        print(f"fastgmm: going on from {args.checkpoint}", file=sys.stderr)
    seconds = _SECONDS if args.checkpoint_every is None else args.checkpoint_every
    try:
        yield Checkpoint(path, every_seconds=seconds)
    except KeyboardInterrupt:
        if not path.exists():
            raise
        raise KeyboardInterrupt(f"the same command goes on from {args.checkpoint}") from None


def how_to_go_on(args: argparse.Namespace) -> str:
    """Return what follows the news that an unfinished model is saved."""
    if args.checkpoint is None:
        return ""
    option = "" if args.force else " with --force"
    return f"; the same command{option} goes on from {args.checkpoint}"


def remove_checkpoint(args: argparse.Namespace) -> None:
    """Remove the file of a fit that has ended, and whose model is written."""
    if args.checkpoint is not None:
        Path(args.checkpoint).unlink(missing_ok=True)
