"""From the start of a process to the first result; every sample is a process of its own.

The interpreter's own start, and the import of NumPy, do not count.
"""

import subprocess
import sys

import fastgmm

DATA = """
import warnings
warnings.simplefilter("ignore")
import numpy as np
X = np.random.default_rng(0).standard_normal((1_000, 4))
"""
FIT = """
from fastgmm import GaussianMixture
GaussianMixture(4, init_params="random_from_data", max_iter=2, random_state=0).fit(X)
"""
# the directory goes with the process
EMPTY_CACHE = """
import os, tempfile
directory = tempfile.TemporaryDirectory()
os.environ["NUMBA_CACHE_DIR"] = directory.name
"""


class _Process:
    number = 1
    repeat = 5
    rounds = 1
    warmup_time = 0.0


class Import(_Process):
    """The package, which loads nothing else, and the estimator, which loads scikit-learn."""

    def timeraw_package(self):
        return "import fastgmm", DATA

    def timeraw_estimator(self):
        return "from fastgmm import GaussianMixture", DATA


class FirstFit(_Process):
    """Import and fit, where compiled kernels are on disk."""

    def setup(self):
        subprocess.run([sys.executable, "-c", DATA + FIT], check=True)

    def timeraw_warm(self):
        return FIT, DATA


class FirstFitEver(_Process):
    """Import, compile and fit: Numba's cache is empty."""

    repeat = 1
    min_run_count = 1

    def setup(self):
        if fastgmm.backend_info()["backend"] != "numba":
            raise NotImplementedError("compiled when fastgmm was built")

    def timeraw_cold(self):
        return FIT, DATA + EMPTY_CACHE
