"""Build the module here: python setup.py build_ext --inplace."""

import sys

from Cython.Build import cythonize
from setuptools import Extension, setup

from fastgmm.embed import get_include

openmp = ["-fopenmp"] if sys.platform == "linux" else []  # without it prange is a plain loop
extension = Extension(
    "mean_log_density",
    ["mean_log_density.pyx"],
    include_dirs=[get_include()],
    extra_compile_args=openmp,
    extra_link_args=openmp,
)
setup(name="mean_log_density", ext_modules=cythonize([extension], language_level=3))
