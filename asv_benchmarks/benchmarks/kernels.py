"""Every kernel of the contract for itself: one thread, and the processor's time alone.

A call takes 0.1 to 5 ms, and time spent waiting for a processor does not count: so two commits can
be told apart on a machine that others use too (see gate.py).
"""

import re
from functools import lru_cache
from time import process_time

import numpy as np

from fastgmm._kernels.contract import KERNELS
from fastgmm.model.factors import inverse_factors

from .kernel_arguments import bind, make_arguments
from .sizes import COVARIANCE_TYPES, DTYPES, parse, shapes

SHAPES = shapes((65_536, 2, 8), (16_384, 16, 16), (4_096, 64, 8))

# asv runs setup before each sample
_arguments = lru_cache(maxsize=1)(make_arguments)


def kernel_of(name):
    """Return the kernel that a class measures: its name in lower case, with underscores."""
    return re.sub("(?<!^)(?=[A-Z])", "_", name).lower()


class _OfSamples:
    """A kernel that reads X, and whose cost depends on the covariance type."""

    params = [COVARIANCE_TYPES, DTYPES, SHAPES]
    param_names = ["covariance_type", "dtype", "n,d,K"]
    timer = process_time
    repeat = (5, 10, 1.0)
    number = 1

    def setup(self, covariance_type, dtype, shape):
        kernel = kernel_of(type(self).__name__)
        if kernel not in KERNELS:
            raise NotImplementedError(f"no kernel {kernel} in this commit")
        arguments = _arguments(kernel, covariance_type, parse(shape), dtype)
        self.call = bind(kernel, covariance_type, arguments, n_threads=1)
        self.call()

    def time_call(self, *parameters):
        self.call()


class Mahalanobis(_OfSamples):
    """Distances."""


class Moments(_OfSamples):
    """Moments under given responsibilities."""


class Posterior(_OfSamples):
    """Log-density, responsibilities and labels."""


class Accumulate(_OfSamples):
    """The fused E step."""


class AccumulateIncomplete(_OfSamples):
    """The E step of rows with missing values."""


class PosteriorIncomplete(_OfSamples):
    """Log-density, responsibilities and labels of rows with missing values."""


class Normalize(_OfSamples):
    """Log-sum-exp alone: in place, so that every call but the first finds responsibilities."""

    params = [SHAPES]
    param_names = ["n,d,K"]

    def setup(self, shape):
        super().setup("full", "float64", shape)


class Update:
    """Inverse Cholesky factors, by LAPACK: what grows with d^3."""

    params = [["16,64", "64,64", "256,8", "784,4"]]
    param_names = ["d,K"]
    timer = process_time

    def setup(self, shape):
        d, K = map(int, shape.split(","))
        covariances = np.broadcast_to(np.eye(d) + 0.5, (K, d, d)).copy()
        self.call = lambda: inverse_factors(covariances, 1)
        self.call()

    def time_inverse_factors(self, shape):
        self.call()
