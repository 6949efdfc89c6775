"""The speed of this machine, and of a fit on it, beside scikit-learn."""

from .draws import DrawTiming, time_draws
from .machine import measure_bandwidth, measure_peak
from .problems import SHAPES, Shape, make_samples, make_start, unit_precisions, useful_flops
from .simulated import simulated_mixture
from .timing import N_ITER, N_ITER_PEER, Timing, time_iterations

__all__ = [
    "N_ITER",
    "N_ITER_PEER",
    "SHAPES",
    "DrawTiming",
    "Shape",
    "Timing",
    "make_samples",
    "make_start",
    "measure_bandwidth",
    "measure_peak",
    "simulated_mixture",
    "time_draws",
    "time_iterations",
    "unit_precisions",
    "useful_flops",
]
