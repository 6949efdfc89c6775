"""Tools that watch memory and threads see no fault in calls of the C functions.

The C program under tests/embed_c calls all of them from four threads. Sanitizers see what they have
compiled: that program, and the kernels too where ``.ci/kernels`` builds them so. Valgrind sees all
code, but runs no AVX-512.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from backends import skip_without
from conftest import HOME
from generators import KERNEL_KINDS

from fastgmm.embed import get_include

pytestmark = pytest.mark.one_backend

SOURCE = Path(__file__).parent / "embed_c/every_call.c"
SCRIPT = """
import ctypes
import sys

import numpy as np
from fastgmm.embed import CModel, addresses
from fastgmm.model.parameters import MixtureParameters

n, d, K = 300, 6, 5
rng = np.random.default_rng(0)
means = rng.normal(0.0, 3.0, (K, d))
points = means[rng.integers(0, K, n)] + rng.normal(size=(n, d))
factors = rng.normal(size=(K, d, 2 * d))
full = factors @ factors.transpose(0, 2, 1)
squares = np.diagonal(full, axis1=1, axis2=2)
types = {"full": full, "tied": full[0], "diag": squares, "spherical": squares[:, 0]}
for argument in sys.argv[1:]:  # a library, and the types of the models that it is called with
    library, *names = argument.split(",")
    every_call = ctypes.CDLL(library).every_call
    every_call.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_size_t]
    for name in names:
        parameters = MixtureParameters.from_covariances(name, np.full(K, 1 / K), means, types[name])
        model = CModel(parameters)
        print(name, every_call(addresses()["api"], model.address, points.ctypes.data, n))
"""
SANITIZERS = {"address,undefined": ("libasan.so", "libstdc++.so"), "thread": ("libtsan.so",)}
VALGRIND = {
    "memcheck": ("--leak-check=full", "--show-leak-kinds=definite"),
    "helgrind": ("--history-level=approx",),
}


@pytest.fixture(autouse=True)
def _can_compile():
    skip_without("cython")
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")


def no_error(types):
    return "".join(f"{name} 0\n" for name in types)


def calls(library, types):
    """Return an argument of the script."""
    return ",".join([str(library), *types])


def compile_library(folder, *options, source=SOURCE):
    library = folder / f"{source.stem}.so"
    warnings = ("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror")
    flags = (*warnings, "-O1", "-g", "-shared", "-fPIC", "-pthread", *options)
    command = ["gcc", *flags, "-I", get_include(), str(source), "-o", str(library)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    return library


def run_script(folder, script, *arguments, tool=(), **environment):
    path = os.pathsep.join([str(HOME), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*tool, sys.executable, "-c", script, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sanitizers as Linux has them")
@pytest.mark.parametrize("faulty", [False, True])
@pytest.mark.parametrize("sanitizers", SANITIZERS)
def test_sanitizers(sanitizers, faulty, tmp_path):
    names = SANITIZERS[sanitizers]
    found = [
        subprocess.check_output(["gcc", f"-print-file-name={name}"], text=True).strip()
        for name in names
    ]
    environment = {"LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0"}
    load = "from fastgmm.embed import c_functions; c_functions(); print('loaded')"
    trial = run_script(tmp_path, load, **environment)
    if "/" not in found[0] or trial.stdout != "loaded\n":
        pytest.skip(f"the kernels do not load beside {names[0]} here: {trial.stderr[-500:]}")
    options = (f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined")
    library = compile_library(tmp_path, *options, *["-DFAULTY"] * faulty)
    outcome = run_script(tmp_path, SCRIPT, calls(library, KERNEL_KINDS), **environment)
    if faulty:
        assert outcome.returncode != 0
        assert "call_all" in outcome.stderr
    else:
        assert (outcome.stderr, outcome.returncode) == ("", 0)
        assert outcome.stdout == no_error(KERNEL_KINDS)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.parametrize("tool", VALGRIND)
def test_valgrind(tool, tmp_path):
    """It finds the faults of the faulty program, and no other; most of the time is Python's start.

    Both programs are called in one process. What it tells in one piece, with one call stack, is a
    fault of the faulty one if that stack goes through its source.
    """
    skip_without("v3")
    if os.environ.get("LD_PRELOAD"):
        pytest.skip("valgrind does not run what sanitizers have compiled")
    copy = tmp_path / "faulty_call.c"
    copy.write_bytes(SOURCE.read_bytes())
    library, faulty = compile_library(tmp_path), compile_library(tmp_path, "-DFAULTY", source=copy)
    log = tmp_path / "valgrind.log"
    command = ("valgrind", f"--tool={tool}", f"--log-file={log}", *VALGRIND[tool])
    outcome = run_script(
        tmp_path,
        SCRIPT,
        calls(library, KERNEL_KINDS),
        calls(faulty, ["full"]),
        tool=command,
        FASTGMM_INSTRUCTION_SET="v3",
        PYTHONMALLOC="malloc",
    )
    assert outcome.stdout == no_error([*KERNEL_KINDS, "full"]), outcome.stderr[-2000:]
    pieces = re.split(r"^==\d+== *\n", log.read_text(), flags=re.MULTILINE)
    assert any(copy.name in piece for piece in pieces)
    # the interpreter has faults of its own
    names = SOURCE.name, "passes_v3_"
    ours = [piece for piece in pieces if any(name in piece for name in names)]
    assert not [piece for piece in ours if copy.name not in piece], "\n".join(ours)
