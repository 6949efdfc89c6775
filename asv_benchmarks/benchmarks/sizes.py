"""How large the problems are, as parameters of benchmarks: "n,d,K", samples, features, components.

``FASTGMM_BENCH=quick`` takes the first two of each list of shapes, at most 20,000 samples of them,
and float64 alone; ``FASTGMM_BENCH=smoke`` takes at most 2,000 samples, and compiles loops of users
for one covariance type. Both repeat less. There are at least two samples for each component.
"""

import os
from typing import NamedTuple

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]


class Profile(NamedTuple):
    """How much of the whole suite is run."""

    most_samples: int | None = None
    most_shapes: int | None = None
    dtypes: tuple[str, ...] = ("float64", "float32")
    repeats: int = 5
    most_compiled_types: int | None = None


PROFILES = {
    "full": Profile(),
    "quick": Profile(20_000, 2, ("float64",), repeats=3),
    "smoke": Profile(2_000, repeats=1, most_compiled_types=1),
}
_name = os.environ.get("FASTGMM_BENCH", "full")
if _name not in PROFILES:
    raise ValueError(f"FASTGMM_BENCH must be one of {list(PROFILES)}, got {_name!r}.")
PROFILE = PROFILES[_name]
DTYPES = list(PROFILE.dtypes)
#: Of measurements that asv does not repeat.
REPEATS = PROFILE.repeats
#: Of loops of users: to compile those of one type takes 15 s.
COMPILED_TYPES = COVARIANCE_TYPES[: PROFILE.most_compiled_types]


class Shape(NamedTuple):
    """Samples, features and components."""

    n: int
    d: int
    K: int


def shapes(*sizes):
    """Return parameters for problems of these (n, d, K), as far as the profile takes them."""
    most = PROFILE.most_samples
    cut = [(min(n, max(most or n, 2 * K)), d, K) for n, d, K in sizes[: PROFILE.most_shapes]]
    return list(dict.fromkeys(f"{n},{d},{K}" for n, d, K in cut))


def parse(shape):
    """Return the Shape that a parameter stands for."""
    return Shape(*map(int, shape.split(",")))


#: Those of README, many features, and many components.
SHAPES = shapes(
    (1_000_000, 2, 8),
    (500_000, 16, 32),
    (1_000_000, 8, 16),
    (200_000, 32, 32),
    (100_000, 64, 64),
    (20_000, 256, 8),
    (5_000, 784, 4),
    (50_000, 16, 1024),
)
#: For benchmarks that vary something else.
TYPICAL = shapes((500_000, 16, 32))
