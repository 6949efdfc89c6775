"""scikit-learn's own test modules, run with one of our classes in place of its own."""

from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest


def load(ours: type, *names: str) -> list[ModuleType]:
    """Run test modules of sklearn.mixture with our class of the same name imported."""
    modules = []
    for name in names:
        spec = find_spec(f"sklearn.mixture.tests.{name}")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        with patch(f"sklearn.mixture.{ours.__name__}", ours):
            spec.loader.exec_module(module)
        assert getattr(module, ours.__name__) is ours
        modules.append(module)
    return modules


def collect(modules: list[ModuleType]) -> dict[str, Any]:
    """Return the tests of modules by name; no two may share one."""
    tests: dict[str, Any] = {}
    for module in modules:
        own = {name: test for name, test in vars(module).items() if name.startswith("test_")}
        assert not tests.keys() & own.keys()
        tests |= own
    for test in tests.values():
        test.pytestmark = [_listed(mark) for mark in getattr(test, "pytestmark", [])]
    return tests


def _listed(mark: pytest.Mark) -> pytest.Mark:
    """Return a mark with its cases in a list: pytest 9 deprecates generators."""
    if mark.name != "parametrize":
        return mark
    names, cases, *others = mark.args
    return pytest.mark.parametrize(names, list(cases), *others, **mark.kwargs).mark
