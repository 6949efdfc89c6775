"""Types of the options: each error says what was expected and what was given."""

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def number(kind: type[Any], low: float, high: float = sys.float_info.max) -> Callable[[str], Any]:
    """Return a parser of numbers within bounds, which exclude NaN and infinity."""
    expected = f"{'an integer' if kind is int else 'a number'} of at least {low}"
    if high < sys.float_info.max:
        expected += f" and at most {high}"

    def parse(text: str) -> Any:
        with contextlib.suppress(ValueError):
            if low <= (value := kind(text)) <= high:
                return value
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")

    return parse


def file_type(*suffixes: str) -> Callable[[str], str]:
    """Return a parser of file names that end in one of some suffixes."""
    *most, last = suffixes
    expected = f"a {', '.join(most)} or {last} file"

    def parse(text: str) -> str:
        if Path(text).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return text

    return parse
