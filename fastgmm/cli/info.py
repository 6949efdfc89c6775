"""``fastgmm info``: a model, or versions and threads."""

import argparse
from collections.abc import Callable

from .options import name
from .predict import MODEL

ABOUT = "describe a model, or versions and threads"


def add_options(add: Callable[..., object]) -> None:
    """Declare the options."""
    add("model", type=name, metavar="MODEL", nargs="?", help=MODEL)


def run(args: argparse.Namespace) -> None:
    """Print a description."""
    from .._versions import format_versions
    from ..model.summary import describe_model, format_model
    from ..persistence import load

    if args.model is None:
        print(format_versions())
    else:
        print(format_model(args.model, describe_model(load(args.model))))
