"""Kernels in Numba, compiled for the processor at hand when a fit first needs them."""
