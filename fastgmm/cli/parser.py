"""Parsers of arguments that report wrong usage in one line, with the nearest right one."""

import argparse
import contextlib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from ..data.columns import nearest


class Parser(argparse.ArgumentParser):
    """A parser of a command's arguments.

    Parameters
    ----------
    **options
        As those of ``argparse.ArgumentParser``.
    """

    def __init__(self, **options: Any) -> None:
        self._options: list[str] = []
        self._parameters = {"sample_weight": "--weights"}
        super().__init__(formatter_class=_Formatter, **options)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument, and remember its names."""
        action = super().add_argument(*names, **options)
        self._options += action.option_strings
        if action.option_strings and "_" in action.dest:
            self._parameters[action.dest] = action.option_strings[-1]
        return action

    def with_options(self, text: str) -> str:
        """Return a message of the library that names options and not its parameters."""
        for name, option in self._parameters.items():
            text = re.sub(rf"(?<![\w./-]){name}(?![\w/-]|\.\w)", option, text)
        return text

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line."""
        self.exit(2, f"fastgmm: error: {message} (see {self.prog} --help)\n")

    def check_options(self, arguments: Sequence[str]) -> None:
        """Report the first option that there is not; an unambiguous beginning is enough."""
        for argument in arguments:
            if argument == "--":
                return
            name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
            is_option = re.match(r"--?[^\d.\-\s]", name) and not _is_number(argument)
            if is_option and not any(option.startswith(name) for option in self._options):
                self.error(f"unknown option {name}{did_you_mean(name, self._options)}")


def _is_number(argument: str) -> bool:
    with contextlib.suppress(ValueError):
        float(argument)  # -inf
        return True
    return False


def did_you_mean(text: str, known: Sequence[str]) -> str:
    """Return a question that names the nearest of some words, or nothing."""
    near = nearest(text, known)
    return f", did you mean {near}?" if near else ""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Shows the default of each option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        told = action.default in (None, False, (), argparse.SUPPRESS) or "(default: " in text
        return text if told else f"{text} (default: %(default)s)"
