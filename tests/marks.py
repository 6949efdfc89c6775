"""Marks for some cases of a parameter."""

from typing import Any

import pytest


def slow(*cases: Any) -> list[Any]:
    """Return cases that a quick run leaves out; a tuple has a value for each of several names."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases
    ]
