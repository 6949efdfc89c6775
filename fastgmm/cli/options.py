"""Types of the options: each error says what was expected and what was given."""

import argparse
import contextlib
import csv
import sys
from collections.abc import Callable, Sequence
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


def number_or(word: str, parse_number: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser of numbers that takes a word, too."""

    def parse(text: str) -> Any:
        if text == word:
            return word
        try:
            return parse_number(text)
        except argparse.ArgumentTypeError as error:
            expected = str(error).replace("expected ", f"expected {word} or ", 1)
            raise argparse.ArgumentTypeError(expected) from None

    return parse


def counts(text: str) -> list[int]:
    """Return counts: FIRST:LAST, which includes both, or counts separated by commas."""
    with contextlib.suppress(ValueError):
        first, separator, last = text.partition(":")
        found = (
            list(range(int(first), int(last) + 1))
            if separator
            else [int(part) for part in text.split(",")]
        )
        if found and min(found) >= 1:
            return found
    raise argparse.ArgumentTypeError(
        f"expected integers of at least 1, as 1:9 or 2,4,8, got {text!r}"
    )


def choices(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    """Return a parser of some of the allowed words, separated by commas."""

    def parse(text: str) -> list[str]:
        found = names(text)
        if any(word not in allowed for word in found):
            raise argparse.ArgumentTypeError(
                f"expected some of {', '.join(allowed)}, separated by commas, got {text!r}"
            )
        return found

    return parse


def file_type(*suffixes: str) -> Callable[[str], str]:
    """Return a parser of file names that end in one of some suffixes."""
    *most, last = suffixes
    expected = f"a {', '.join(most)} or {last} file" if most else f"a {last} file"

    def parse(text: str) -> str:
        if Path(text).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return text

    return parse


def name(text: str) -> str:
    """Return a name, such as that of a file."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a name, got {text!r}")
    return text


def names(text: str) -> list[str]:
    """Return names that are separated by commas; one that has a comma stands in double quotes."""
    found: list[str] = []
    with contextlib.suppress(csv.Error):
        found = [cell.strip() for cell in next(csv.reader([text], skipinitialspace=True), [])]
    if not found or not all(found):
        raise argparse.ArgumentTypeError(f"expected names separated by commas, got {text!r}")
    return found


def character(text: str) -> str:
    """Return one character; "tab" is a tabulator, and so is a backslash with a t."""
    text = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(text) != 1 or text in '"\r\n' or not text.isascii():
        raise argparse.ArgumentTypeError(f"expected one character or tab, got {text!r}")
    return text
