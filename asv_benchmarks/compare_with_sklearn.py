"""Time per EM iteration of fastgmm and scikit-learn at full size, in one run.

What ``fastgmm bench --full-size`` measures, in as many rounds as wanted and with the spread of
scikit-learn's iterations. With ``--draws``, the time of 10^7 draws by ``sample`` instead.
"""

import argparse

import numpy as np

from fastgmm.benchmark import SHAPES, Shape, time_draws, time_iterations

COLUMNS = (
    "covariance      n      d    K   fastgmm ms   sklearn ms (min to max)   ratio   difference"
)


DRAWS = (
    Shape("full", 10_000_000, 16, 32),
    Shape("tied", 10_000_000, 16, 32),
    Shape("diag", 10_000_000, 16, 32),
    Shape("spherical", 10_000_000, 16, 32),
)
DRAW_COLUMNS = "covariance      n      d    K   fastgmm ms   sklearn ms     ratio (min to max)"


def describe(timing):
    """Return a line of the table."""
    covariance_type, n, d, K = timing.shape
    peer = 1e3 * np.array(timing.peer_seconds)
    return (
        f"{covariance_type:10} {n:9,} {d:4} {K:4} {1e3 * timing.median:10.1f} "
        f"{np.median(peer):12.1f} ({peer.min():5.0f} to {peer.max():5.0f}) "
        f"{timing.speed_up:8.1f}   {timing.difference:.1e}"
    )


def describe_draws(timing):
    """Return a line of the table of draws."""
    covariance_type, n, d, K = timing.shape
    own, peer = (1e3 * np.median(seconds) for seconds in timing[1:])
    spread = f"({min(timing.ratios):.1f} to {max(timing.ratios):.1f})"
    return (
        f"{covariance_type:10} {n:11,} {d:4} {K:4} {own:10.0f} {peer:12.0f} "
        f"{timing.speed_up:8.1f} {spread}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    parser.add_argument("--only", default="", help="covariance type")
    parser.add_argument("--draws", action="store_true", help="time sample, not fit")
    arguments = parser.parse_args()
    if arguments.draws:
        print(DRAW_COLUMNS, flush=True)
        for shape in DRAWS:
            if arguments.only in shape.covariance_type:
                print(describe_draws(time_draws(shape, n_rounds=arguments.rounds)), flush=True)
        return
    print(COLUMNS, flush=True)
    for shape in SHAPES:
        if arguments.only in shape.covariance_type:
            timing = time_iterations(shape, dtype=arguments.dtype, n_rounds=arguments.rounds)
            print(describe(timing), flush=True)


if __name__ == "__main__":
    main()
