"""Build the module here: python setup.py build_ext --inplace."""

from setuptools import Extension, setup

from fastgmm.embed import get_include

extension = Extension("best_component", ["best_component.c"], include_dirs=[get_include()])
setup(name="best_component", ext_modules=[extension])
