"""Run every benchmark of the suite on small data, without asv: do they still work?

Each value of each parameter is taken once. What the suite holds is found as asv finds it.
"""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent))
os.environ["FASTGMM_BENCH"] = "smoke"

import benchmarks
import benchmarks.kernels

from fastgmm._kernels.contract import KERNELS

KINDS = ("time_", "timeraw_", "peakmem_", "track_")


def find_benchmarks():
    """Yield each class of the suite, and the names of its benchmarks."""
    for module_info in pkgutil.iter_modules(benchmarks.__path__):
        module = importlib.import_module(f"benchmarks.{module_info.name}")
        for name, _ in inspect.getmembers(module, inspect.isfunction):
            assert not name.startswith(KINDS), f"{module.__name__}: asv would run {name}"
        for name, suite in inspect.getmembers(module, inspect.isclass):
            found = [method for method in dir(suite) if method.startswith(KINDS)]
            if found and not name.startswith("_"):
                assert suite.__module__ == module.__name__, f"{module.__name__}: {name} runs twice"
                yield suite, found


def cases(suite):
    """Return combinations of parameters in which each value occurs."""
    params = getattr(suite, "params", [])
    if not params:
        return [()]
    return zip(*(islice(cycle(values), max(map(len, params))) for values in params), strict=True)


def run(suite, name, parameters):
    """Run one benchmark; return whether it applies here."""
    benchmark = suite()
    getattr(benchmark, "setup_cache", lambda: None)()
    try:
        getattr(benchmark, "setup", lambda *_: None)(*parameters)
    except NotImplementedError:  # how a benchmark tells asv to skip it
        return False
    result = getattr(benchmark, name)(*parameters)
    if name.startswith("timeraw_"):
        statement, setup = result
        subprocess.run([sys.executable, "-c", setup + statement], check=True)
    if name.startswith("track_"):
        assert isinstance(result, int | float), f"{name} returned {result!r}"
    return True


def check_kernels():
    """Compare the kernels that are measured with the contract."""
    measured = {
        benchmarks.kernels.kernel_of(name)
        for name, suite in inspect.getmembers(benchmarks.kernels, inspect.isclass)
        if hasattr(suite, "time_call") and not name.startswith("_")
    }
    assert measured == set(KERNELS), f"kernels.py measures {measured}, not {set(KERNELS)}"


def run_all():
    """Run every benchmark, print how often, and return how many runs there were."""
    total = 0
    for suite, names in find_benchmarks():
        for name in names:
            start = perf_counter()
            count = sum(run(suite, name, case) for case in cases(suite))
            seconds = perf_counter() - start
            print(f"{seconds:5.1f} s {count:3} x {suite.__module__}.{suite.__name__}.{name}")
            total += count
    return total


def main():
    check_kernels()
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)  # where new processes import nothing from, as in asv
        total = run_all()
    print(f"{total} benchmarks ran")
    return 0 if total else 1


if __name__ == "__main__":
    sys.exit(main())
