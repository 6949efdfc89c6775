"""The fused E step in units that do not depend on the size of the problem, on all threads.

Components lie so close together that no responsibility is negligible.
"""

from time import perf_counter

import numpy as np

from fastgmm._kernels.threads import count_threads
from fastgmm.benchmark import measure_peak

from .kernel_arguments import bind, make_arguments
from .sizes import COVARIANCE_TYPES, REPEATS, SHAPES, parse


def e_step(covariance_type, shape):
    """Return the fused pass as a function of nothing, its kernel loaded."""
    arguments = make_arguments("accumulate", covariance_type, shape, "float64")
    run = bind("accumulate", covariance_type, arguments, count_threads())
    run()
    return run


def seconds_of(run):
    """Return how long a call takes."""
    start = perf_counter()
    run()
    return perf_counter() - start


class EStep:
    """Nanoseconds for each pair of a sample and a component."""

    params = [COVARIANCE_TYPES, SHAPES]
    param_names = ["covariance_type", "n,d,K"]
    unit = "ns"

    def setup(self, covariance_type, shape):
        self.run = e_step(covariance_type, parse(shape))

    def track_ns_per_sample_component(self, covariance_type, shape):
        n, _, K = parse(shape)
        return 1e9 * float(np.median([seconds_of(self.run) for _ in range(REPEATS)])) / (n * K)


class FullEStep:
    """The share of the machine's multiply-add peak that useful flops of full covariances reach."""

    params = [SHAPES]
    param_names = ["n,d,K"]
    unit = "of peak"

    def setup(self, shape):
        self.run = e_step("full", parse(shape))

    def track_fraction_of_fma_peak(self, shape):
        n, d, K = parse(shape)
        # d^2 + 3 d for a distance, and as many for the moments of a pair
        flops = 2.0 * n * K * (d**2 + 3 * d)
        rates = [flops / seconds_of(self.run) / measure_peak() for _ in range(REPEATS)]
        return float(np.median(rates))
