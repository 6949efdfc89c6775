"""The examples in compiled languages: they build against the installed header, and run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from backends import skip_without
from compilers import skip_without_extensions
from conftest import HOME

EXAMPLES = Path(__file__).parent.parent / "examples" / "embed"
MAX_LINES = 60
WRONG_MODEL = """
import sys

sys.path.insert(0, ".")
from best_component import best_component
from fastgmm import GaussianMixture

try:
    best_component(GaussianMixture(), bytearray(8), bytearray(8), bytearray(8))
except TypeError as error:
    print(error)
"""


@pytest.fixture
def run_example(tmp_path):
    """Copy an example, run commands in the copy, and return what the last one prints."""
    skip_without("cython")
    if not EXAMPLES.exists():
        pytest.skip("no examples beside these tests")

    def run(folder, *commands):
        work = tmp_path / folder
        shutil.copytree(EXAMPLES / folder, work)
        path = os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])
        for command in commands:
            outcome = subprocess.run(
                [sys.executable, *command.split()],
                cwd=work,
                env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"},
                capture_output=True,
                text=True,
            )
            assert outcome.returncode == 0, outcome.stdout[-4000:] + outcome.stderr[-4000:]
        return outcome.stdout

    return run


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+\.\d+", text)]


@pytest.mark.slow
def test_cython(run_example):
    pytest.importorskip("setuptools")
    pytest.importorskip("Cython.Build", reason="needs Cython")
    skip_without_extensions()
    printed = run_example("cython", "setup.py build_ext --inplace", "run.py")
    compiled, python = numbers(printed)
    assert compiled == pytest.approx(python, abs=1e-6)


@pytest.mark.slow
def test_c(run_example):
    pytest.importorskip("setuptools")
    skip_without_extensions()
    printed = run_example("c", "setup.py build_ext --inplace", "run.py")
    assert printed == "540176 assignments, 100.0% as from Python\n"


def test_c_says_what_is_no_model(run_example, tmp_path):
    """The header asks for a model by name, where it is handed something else."""
    pytest.importorskip("setuptools")
    skip_without_extensions()
    (tmp_path / "wrong.py").write_text(WRONG_MODEL)
    printed = run_example("c", "setup.py build_ext --inplace", f"{tmp_path / 'wrong.py'}")
    assert printed == "expected a fastgmm.embed.CModel, got GaussianMixture\n"


@pytest.mark.slow
def test_ctypes(run_example):
    compiled, python, updated = numbers(run_example("c", "ctypes_em.py"))
    assert compiled == pytest.approx(python, abs=1e-6)
    assert updated > python


def test_examples_are_short():
    if not EXAMPLES.exists():
        pytest.skip("no examples beside these tests")
    files = [path for path in EXAMPLES.glob("*/*") if path.is_file()]
    assert files
    for path in files:
        assert len(path.read_text().splitlines()) < MAX_LINES, path.name
