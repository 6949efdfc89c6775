"""scikit-learn's times beside fastgmm's: one process, the same data and start."""

from statistics import median

# not its functions by name: asv would take time_iterations for a benchmark
from fastgmm import benchmark

from .sizes import REPEATS, parse, shapes


def cases(covariance_type, *sizes):
    """Return parameters for one covariance type."""
    return [f"{covariance_type},{shape}" for shape in shapes(*sizes)]


class ScikitLearn:
    """The cases of README's table, float64: the median of rounds in which the two take turns."""

    params = [
        [
            *cases(
                "full",
                (1_000_000, 2, 8),
                (500_000, 16, 32),
                (1_000_000, 8, 16),
                (200_000, 32, 32),
                (100_000, 64, 64),
                (20_000, 256, 8),
            ),
            *cases("tied", (500_000, 16, 32)),
            *cases("diag", (1_000_000, 16, 64)),
            *cases("spherical", (1_000_000, 16, 64)),
        ]
    ]
    param_names = ["covariance_type,n,d,K"]
    unit = "x"

    def setup(self, case):
        covariance_type, shape = case.split(",", 1)
        self.shape = benchmark.Shape(covariance_type, *parse(shape))

    def track_speedup_over_sklearn(self, case):
        rounds = (benchmark.time_iterations(self.shape, n_rounds=1) for _ in range(REPEATS))
        return median(timing.speed_up for timing in rounds)


class ScikitLearnSample:
    """Draws from one mixture, in turns: the median ratio."""

    params = [
        [
            *cases("full", (10_000_000, 16, 32), (100_000, 16, 32)),
            *(
                case
                for kind in ("tied", "diag", "spherical")
                for case in cases(kind, (10**6, 16, 32))
            ),
        ]
    ]
    param_names = ["covariance_type,n,d,K"]
    unit = "x"

    def setup(self, case):
        covariance_type, shape = case.split(",", 1)
        self.shape = benchmark.Shape(covariance_type, *parse(shape))

    def track_speedup_of_sample(self, case):
        return benchmark.time_draws(self.shape, n_rounds=REPEATS).speed_up
