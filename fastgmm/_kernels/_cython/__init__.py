"""Kernels in Cython, compiled for every instruction set when fastgmm is built."""
