"""What up to 64 threads gain, from the measured gain of two.

The serial share s follows from the time of one and of two threads. Threads take whole slots, so
that e(p) = slots / ceil(slots / p) is the most that p threads can gain:

    speed-up(p) = 1 / (s + (1 - s) / e(p)),    time(p) >= bytes of X / bandwidth
"""

from typing import NamedTuple

from cluster_model import count_slots, slot_speed_up

from fastgmm._kernels.layout import KIND

THREADS = (1, 2, 4, 8, 16, 32, 48, 64)
# Assumed: a server whose 64 cores read so many bytes/s from memory together.
MEMORY_BANDWIDTH = 2e11


class Measured(NamedTuple):
    """A shape, seconds of an iteration on one thread, and how many times as fast two are."""

    covariance_type: str
    n_samples: int
    n_features: int
    n_components: int
    seconds: float
    speed_up: float

    @property
    def serial_share(self):
        """The part of an iteration on one thread that a second one does not shorten."""
        return serial_share(self.speed_up)

    @property
    def n_slots(self):
        """Number of slots of the pass."""
        kind = KIND[self.covariance_type]
        return count_slots(self.n_samples, self.n_features, self.n_components, kind)

    def scaled(self, n_threads):
        """Return how many times as fast this many threads are."""
        gain = amdahl(self.serial_share, slot_speed_up(self.n_slots, n_threads))
        read = 8 * self.n_samples * self.n_features / MEMORY_BANDWIDTH
        return min(gain, self.seconds / read)


# docs/performance.md, on a Zen 4: how many times as fast two threads are, and about how long one
# takes. The latter decides only whether memory is the limit.
PUBLISHED = [
    Measured("full", 1_000_000, 8, 16, 0.108, 1.98),
    Measured("full", 500_000, 16, 32, 0.262, 1.98),
    Measured("full", 200_000, 32, 32, 0.321, 1.97),
    Measured("full", 100_000, 64, 64, 1.10, 1.98),
    Measured("full", 20_000, 256, 8, 0.411, 1.96),
    Measured("full", 5_000, 784, 4, 0.266, 1.94),
    Measured("tied", 500_000, 16, 32, 0.044, 1.99),
    Measured("diag", 1_000_000, 16, 64, 0.142, 1.98),
    Measured("spherical", 1_000_000, 16, 64, 0.101, 1.98),
]


def serial_share(speed_up_of_two):
    """Return s from T(1) = S + Q and T(2) = S + Q / 2; not below 0, which noise can give."""
    return max(0.0, 2 / speed_up_of_two - 1)


def amdahl(share, gain):
    """Return the speed-up of the whole if only this share gains nothing."""
    return 1 / (share + (1 - share) / gain)


def print_scaling(measurements):
    """Print a row for each shape."""
    print("| covariance | n | d | K | slots | serial | ", end="")
    print(" | ".join(f"{n}" for n in THREADS) + " |")
    print("|---|" + "--:|" * (5 + len(THREADS)))
    for case in measurements:
        shape = f"| {case.covariance_type} | {case.n_samples:,} | {case.n_features} | "
        gains = " | ".join(f"{case.scaled(n):.1f}" for n in THREADS)
        slots = f"{case.n_components} | {case.n_slots} | {case.serial_share:.1%}"
        print(f"{shape}{slots} | {gains} |")


def measure():
    """Time one and two threads here; print what is serial, and return the measurements."""
    from tables import iteration_seconds

    print("| covariance | n | d | K | one thread, ms | two, ms | speed-up | serial | fixed |")
    print("|---|" + "--:|" * 8)
    measurements = []
    for kind, n, d, K, _, _ in PUBLISHED:
        one, two = (iteration_seconds(kind, n, d, K, threads) for threads in (1, 2))
        few = 1024  # one slot: nearly all of this time does not depend on n
        fixed = iteration_seconds(kind, few, d, K, 1) - few / n * one
        case = Measured(kind, n, d, K, one, one / two)
        measurements.append(case)
        print(
            f"| {kind} | {n:,} | {d} | {K} | {1e3 * one:.1f} | {1e3 * two:.1f} | "
            f"{case.speed_up:.2f} | {case.serial_share:.1%} | {max(fixed, 0.0) / one:.2%} |",
            flush=True,
        )
    print()
    return measurements
