"""Fixtures that all tests share."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import fastgmm

# Numba starts no more threads than this; the machine may have fewer cores.
os.environ.setdefault("NUMBA_NUM_THREADS", "8")
# Threads that wait sleep. Beside other jobs they would hold up those that work: 100 iterations of
# 3000 samples on two busy cores take 0.04 s, and 3.3 s with threads that spin.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# the fastgmm that these tests import, installed or not, is also that of their scripts
HOME = Path(fastgmm.__file__).parent.parent

# How many cases each test of test_fuzz_*.py tries: pytest --hypothesis-profile=ci
_FUZZING = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=20, derandomize=True, **_FUZZING)
settings.register_profile("ci", max_examples=150, derandomize=True, **_FUZZING)
settings.register_profile("nightly", max_examples=20_000, print_blob=True, **_FUZZING)
settings.load_profile("quick")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin each test with the same global random state, which random_state=None draws from."""
    np.random.seed(0)


@pytest.fixture
def run_python(tmp_path: Path) -> Callable[..., str]:
    """Run a script in a fresh interpreter and return what it prints; None unsets a variable."""

    def run(script: str, *, timeout: float = 300, **environment: str | None) -> str:
        path = os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])
        variables = {**os.environ, "PYTHONPATH": path, **environment}
        outcome = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,  # which comes first on the path
            env={name: value for name, value in variables.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert outcome.returncode == 0, f"exit {outcome.returncode}:\n{outcome.stderr}"
        return outcome.stdout

    return run


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; return exit status, stdout and stderr.

    However long it takes, no line tells of its progress.
    """
    # here, since they may load Numba, which reads its variables once
    from fastgmm.cli import progress
    from fastgmm.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_LINE_SECONDS", math.inf)

    def run(*argv):
        capsys.readouterr()
        code = main([str(arg) for arg in argv])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def fail(run):
    """Run a command that must fail with one line on stderr; return that line."""

    def fail(*argv, code=1):
        status, out, err = run(*argv)
        assert (status, out) == (code, "")
        assert err.startswith("fastgmm: error: ")
        assert err.count("\n") == 1
        return err.removeprefix("fastgmm: error: ").rstrip("\n")

    return fail
