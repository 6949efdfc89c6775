"""Run every benchmark of the suite once on small data: do they still work?"""

import importlib
import inspect
import itertools
import pkgutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import benchmarks
import benchmarks.mixtures as mixtures

SMALL = 2000


def main():
    make_samples = mixtures.make_samples
    mixtures.make_samples = lambda n, *args: make_samples(min(n, SMALL), *args)
    count = 0
    for module_info in pkgutil.iter_modules(benchmarks.__path__):
        module = importlib.import_module(f"benchmarks.{module_info.name}")
        if hasattr(module, "make_samples"):
            module.make_samples = mixtures.make_samples
        for _, suite in inspect.getmembers(module, inspect.isclass):
            names = [
                name for name in dir(suite) if name.startswith(("time_", "peakmem_", "track_"))
            ]
            for name in names:
                for parameters in itertools.product(*getattr(suite, "params", [])):
                    benchmark = suite()
                    benchmark.setup(*parameters)
                    getattr(benchmark, name)(*parameters)
                    count += 1
    print(f"{count} benchmarks ran")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
