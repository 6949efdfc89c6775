"""Which backend runs, what is said when one is missing, and what none may change."""

import pytest
from backends import LEVELS, level_module, level_modules, skip_without, why_missing

from fastgmm._kernels import backend_info, build

# the smallest work that starts threads; a fit would import scikit-learn, which takes a second
WORK = """
import sys, warnings
import numpy as np
from fastgmm import backend_info

def work():
    from fastgmm import _kernels
    log_prob, norm = np.zeros((20_000, 4)), np.full(20_000, np.nan)
    _kernels.normalize(log_prob, norm, 2)
    assert (log_prob == 0.25).all() and np.isfinite(norm).all()
"""

FIT = """
import numpy as np
from fastgmm import GaussianMixture

def fit():
    X = np.random.default_rng(0).normal(size=(20_000, 3))
    GaussianMixture(2, random_state=0, tol=1.0, n_jobs=2).fit(X).predict_proba(X)
"""

# Every way in which fastgmm asks for its kernels fails with one and the same error.
FAIL = (
    WORK
    + """
messages = set()
for function in (work, backend_info, work):
    try:
        function()
    except ImportError as error:
        messages.add(str(error))
print("|".join(messages))
"""
)

WORK_AND_NAME = (
    WORK
    + """
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        work()
print(backend_info()["backend"])
for warning in caught:
    print(warning.category.__name__, warning.message)
"""
)

# run first in a process: the import of a package then fails so
BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            raise {error}
sys.meta_path.insert(0, Blocker())
"""
NOT_BUILT = "import sys; sys.modules['fastgmm._kernels._build_config'] = None\n"
MISSING = "this checkout of fastgmm has not been built; run: pip install ."


def run_lines(run_python, *parts, **environment):
    environment = {"FASTGMM_BACKEND": None, "FASTGMM_INSTRUCTION_SET": None} | environment
    return run_python("\n".join(parts), **environment).splitlines()


# choosing


@pytest.mark.parametrize("name", ["numba", "cython"])
def test_environment_chooses(run_python, name):
    skip_without(name)
    assert run_lines(run_python, WORK_AND_NAME, FASTGMM_BACKEND=name) == [name]


@pytest.mark.parametrize("name", ["numba", "cython"])
def test_build_chooses_where_the_environment_does_not(run_python, name):
    skip_without(name)
    script = f"from fastgmm._kernels import build; build.BACKEND = {name!r}"
    assert run_lines(run_python, script, WORK_AND_NAME) == [name]


@pytest.mark.parametrize("name", ["Numba", "jax"])
def test_unknown_backend(run_python, name):
    message = f"FASTGMM_BACKEND must be one of ('numba', 'cython'), got {name!r}."
    assert run_lines(run_python, FAIL, FASTGMM_BACKEND=name) == [message]


@pytest.mark.parametrize("level", LEVELS)
def test_environment_chooses_the_instruction_set(run_python, level):
    skip_without(level)
    script = "print(backend_info()['instruction_set'], backend_info()['flags'])"
    lines = run_lines(
        run_python, WORK_AND_NAME, script, FASTGMM_BACKEND="cython", FASTGMM_INSTRUCTION_SET=level
    )
    assert lines == ["cython", f"{level} {build.LEVELS[level]}"]


def usable_levels():
    return [level for level in LEVELS if not why_missing(level)]


def test_unknown_instruction_set(run_python):
    skip_without("cython")
    lines = run_lines(run_python, FAIL, FASTGMM_BACKEND="cython", FASTGMM_INSTRUCTION_SET="avx2")
    assert lines == [
        "FASTGMM_INSTRUCTION_SET must be one that was built and that this processor runs, "
        f"{usable_levels()}, got 'avx2'."
    ]


def test_best_instruction_set_that_the_processor_runs(monkeypatch):
    skip_without("cython")
    from fastgmm._kernels._cython import levels

    monkeypatch.delenv("FASTGMM_INSTRUCTION_SET", raising=False)
    assert levels._choose() == (usable_levels()[-1], level_modules(usable_levels()[-1]))
    monkeypatch.setattr(level_module("baseline"), "supported_levels", lambda: ["baseline"])
    assert levels._choose() == ("baseline", level_modules("baseline"))
    monkeypatch.setenv("FASTGMM_INSTRUCTION_SET", "v3")
    with pytest.raises(ImportError, match=r"this processor runs, \['baseline'\], got 'v3'\.$"):
        levels._choose()


@pytest.mark.slow
def test_a_pass_calls_no_function_of_another_module(run_python, tmp_path):
    """Which copy of it ran, and so the last bit of sums, would depend on what was loaded first."""
    skip_without("numba")
    script = """
import re
import numpy as np
from fastgmm import GaussianMixture
from fastgmm._kernels._numba import passes
GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(100, 3)))
(code,) = passes.accumulate.inspect_llvm().values()
called = set(re.findall(r"call [^\\n]*@(_ZN7fastgmm[^(]*)\\(", code))
own = set(re.findall(r"define (?!linkonce|weak)[^\\n]*@(_ZN7fastgmm[^(]*)\\(", code))
assert len(own) > 3
print(sorted(called - own))
"""
    environment = {"FASTGMM_BACKEND": "numba", "NUMBA_CACHE_DIR": str(tmp_path)}
    environment["FASTGMM_FAST_COMPILE"] = "1"
    assert run_python(script, **environment).strip() == "[]"


# what is missing


@pytest.mark.parametrize(
    "package, error",
    [
        ("numba", ModuleNotFoundError("No module named 'numba'", name="numba")),
        ("numba", ImportError("Numba needs NumPy 2.4 or less. Got NumPy 3.0.")),
        ("llvmlite", ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite")),
    ],
    ids=["absent", "broken", "without llvmlite"],
)
class TestWithoutNumba:
    @pytest.fixture
    def block(self, package, error):
        if package == "llvmlite":
            skip_without("numba")  # else nobody asks for it
        name = f", name={error.name!r}" if error.name else ""
        text = f"{type(error).__name__}({str(error)!r}{name})"
        return BLOCK.format(package=package, error=text)

    def test_cython_kernels_take_over_and_say_so_once(self, run_python, block, error):
        skip_without("cython")
        script = "from fastgmm._kernels import build; build.BACKEND = 'numba'"
        assert run_lines(run_python, block, script, WORK_AND_NAME) == [
            "cython",
            f"RuntimeWarning numba cannot be imported ({error}); fastgmm uses its Cython kernels.",
        ]

    def test_numba_alone_was_asked_for(self, run_python, block, error):
        assert run_lines(run_python, block, FAIL, FASTGMM_BACKEND="numba") == [str(error)]

    def test_neither_is_there(self, run_python, block, error):
        assert run_lines(run_python, NOT_BUILT, block, FAIL) == [
            f"fastgmm has no kernels to run: numba cannot be imported ({error}), and the Cython "
            f"kernels are missing ({MISSING}). Install numba, or build fastgmm with a C compiler."
        ]


def test_cython_kernels_were_asked_for_and_not_built(run_python):
    message = f"fastgmm has no Cython kernels: {MISSING}"
    assert run_lines(run_python, NOT_BUILT, FAIL, FASTGMM_BACKEND="cython") == [message]


def test_numba_needs_no_build(run_python):
    skip_without("numba")
    script = "print(backend_info()['cython_kernels'])"
    assert run_lines(run_python, NOT_BUILT, WORK_AND_NAME, script) == ["numba", MISSING]


def test_an_error_of_our_own_is_not_taken_for_a_missing_numba(run_python):
    skip_without("numba")
    name = "fastgmm._kernels._numba.triangle"
    script = f"import sys; sys.modules[{name!r}] = None"
    message = f"import of {name} halted; None in sys.modules"
    assert run_lines(run_python, script, FAIL) == [message]


def test_backend_info():
    info = backend_info()
    own = {"numba": {"numba"}, "cython": {"compiler", "flags"}}[info["backend"]]
    common = {"backend", "instruction_set", "threading_layer", "openmp_runtime"}
    common |= {"max_threads", "threads", "cython_kernels"}
    assert set(info) == common | own
    assert info["cython_kernels"] == (build.MISSING or ", ".join(build.LEVELS))
    assert info["max_threads"] >= 1


# what must stay as it was


def test_cython_run_imports_no_numba(run_python):
    skip_without("cython")
    script = "import sys; print([name for name in ('numba', 'llvmlite') if name in sys.modules])"
    assert run_lines(run_python, FIT, "fit()", script, FASTGMM_BACKEND="cython") == ["[]"]


IMPORT_LEVEL = """
import os
from importlib import import_module
import_module(f"fastgmm._kernels._cython.passes_{os.environ['FASTGMM_INSTRUCTION_SET']}_float64")
"""

# Denormal numbers are not flushed to zero, neither as operands nor as results, and rounding is to
# the nearest: in Python, in NumPy's scalars and in its loops; in this thread and in a new one.
FLOATING_POINT = """
import threading
import numpy as np

def check():
    denormal, small, half, eps = np.float64(5e-324), np.float64(1e-310), 0.5, 2.0**-53
    assert denormal * 1.0 > 0.0 and small / 2 > 0.0 and np.float64(3e-308) * half > 0.0
    assert float(denormal) * 1.0 > 0.0 and float(small) / 2 == 5e-311
    assert (np.full(100, small) / 2 > 0.0).all() and (np.full(100, denormal) * 1.0 > 0.0).all()
    assert 1.0 + eps == 1.0 and 1.0 + 3 * eps == 1.0 + 4 * eps and -1.0 - eps == -1.0
    with np.errstate(all="ignore"):
        assert np.isnan(np.float64(np.inf) - np.float64(np.inf))
    done.append(True)

def check_here_and_in_a_new_thread():
    done.clear()
    check()
    thread = threading.Thread(target=check)
    thread.start()
    thread.join()
    assert len(done) == 2

done = []
check_here_and_in_a_new_thread()
"""


@pytest.mark.parametrize("level", LEVELS)
def test_floating_point_mode_stays(run_python, level):
    skip_without(level)
    again = "check_here_and_in_a_new_thread()"
    environment = {"FASTGMM_BACKEND": "cython", "FASTGMM_INSTRUCTION_SET": level}
    parts = (FLOATING_POINT, IMPORT_LEVEL, again, FIT, "fit()", again, "print(len(done))")
    assert run_lines(run_python, *parts, **environment) == ["2"]


# settings of OpenMP and BLAS, and the environment as the C library has it
SETTINGS = """
import os, subprocess, sys
import numpy as np
import sklearn.cluster
from threadpoolctl import threadpool_info

def settings():
    script = "import os; print(sorted(os.environ.items()))"
    environment = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    return threadpool_info(), environment.stdout, np.geterr()

pools, *others = settings()
"""
COMPARE = """
after, *others_after = settings()
assert others_after == others
assert [pool for pool in after if pool["filepath"] in {old["filepath"] for old in pools}] == pools
print("same")
"""


@pytest.mark.parametrize("limit", [None, "1"])
def test_settings_of_other_libraries_stay(run_python, limit):
    """Also those of threads: the kernels take as many as n_jobs says, and limit nobody else."""
    skip_without("cython")
    environment = {"FASTGMM_BACKEND": "cython", "OMP_NUM_THREADS": limit}
    imports = "\n".join(
        f"import fastgmm._kernels._cython.passes_{level}_float64" for level in usable_levels()
    )
    lines = run_lines(run_python, SETTINGS, imports, FIT, "fit()", COMPARE, **environment)
    assert lines == ["same"]
