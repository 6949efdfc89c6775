"""Marks for some cases of a parameter."""

from typing import Any

import pytest


def slow(*cases: Any) -> list[Any]:
    """Return cases that a quick run leaves out; a tuple has a value for each of several names."""
    return _marked(cases, [pytest.mark.slow])


def slow_once(*cases: Any) -> list[Any]:
    """Return slow cases that do not depend on the backend."""
    return _marked(cases, [pytest.mark.slow, pytest.mark.one_backend])


def slow_alone(*cases: Any) -> list[Any]:
    """Return slow cases that depend on Numba alone."""
    return _marked(cases, [pytest.mark.slow, pytest.mark.numba_alone])


def _marked(cases: tuple[Any, ...], marks: list[pytest.MarkDecorator]) -> list[Any]:
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=marks) for case in cases
    ]
