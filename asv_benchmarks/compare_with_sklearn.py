"""Time per EM iteration of fastgmm and scikit-learn at full size, in one run.

What ``fastgmm bench --full-size`` measures, in as many rounds as wanted and with the spread of
scikit-learn's iterations.
"""

import argparse

import numpy as np

from fastgmm.benchmark import SHAPES, time_iterations

COLUMNS = (
    "covariance      n      d    K   fastgmm ms   sklearn ms (min to max)   ratio   difference"
)


def describe(timing):
    """Return a line of the table."""
    covariance_type, n, d, K = timing.shape
    peer = 1e3 * np.array(timing.peer_seconds)
    return (
        f"{covariance_type:10} {n:9,} {d:4} {K:4} {1e3 * timing.median:10.1f} "
        f"{np.median(peer):12.1f} ({peer.min():5.0f} to {peer.max():5.0f}) "
        f"{timing.speed_up:8.1f}   {timing.difference:.1e}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    parser.add_argument("--only", default="", help="covariance type")
    arguments = parser.parse_args()
    print(COLUMNS, flush=True)
    for shape in SHAPES:
        if arguments.only in shape.covariance_type:
            timing = time_iterations(shape, dtype=arguments.dtype, n_rounds=arguments.rounds)
            print(describe(timing), flush=True)


if __name__ == "__main__":
    main()
