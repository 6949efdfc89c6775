"""The measured tables of docs/performance.md, as Markdown: run it on an idle machine.

Every responsibility counts in these data (means from N(0, 0.05^2)), so that no sample is passed
over and the useful work is known.
"""

import argparse
from time import perf_counter

import numpy as np

from fastgmm import _kernels as kernels
from fastgmm import em
from fastgmm._kernels.blas import one_blas_thread
from fastgmm._kernels.threads import count_threads
from fastgmm.benchmark import measure_peak, unit_precisions
from fastgmm.data.samples import Samples
from fastgmm.model.parameters import MixtureParameters

SPREAD = 0.05
DENSE = [(1_000_000, 8, 16), (500_000, 16, 32), (200_000, 32, 32), (100_000, 64, 64)]
DENSE += [(20_000, 256, 8), (5_000, 784, 4)]
OTHERS = [("tied", 500_000, 16, 32), ("diag", 1_000_000, 16, 64), ("spherical", 1_000_000, 16, 64)]
REPEATS = 7


def mixture_of(covariance_type, means):
    """Return a mixture of equal weights and unit covariances."""
    K, d = means.shape
    one = unit_precisions(covariance_type, d, K)
    return MixtureParameters.from_covariances(covariance_type, np.full(K, 1 / K), means, one)


def best_seconds(function):
    """Return the shortest of several runs: the others had company."""
    function()
    seconds = []
    for _ in range(REPEATS):
        start = perf_counter()
        function()
        seconds.append(perf_counter() - start)
    return min(seconds)


def iteration_seconds(covariance_type, n, d, K, n_threads, dtype="float64"):
    """Return the time of one iteration of EM: the pass over the samples, and the update."""
    rng = np.random.default_rng(0)
    start = mixture_of(covariance_type, SPREAD * rng.standard_normal((K, d)))
    samples = Samples(rng.standard_normal((n, d)).astype(dtype))
    posterior, update = em.ExactPosterior(n_threads), em.ClosedForm(n_jobs=n_threads)
    with one_blas_thread():
        return best_seconds(lambda: update(posterior.summarize(samples, start), start))


def distance_seconds(d, K):
    """Return the time of the Mahalanobis loop alone, per sample and component, on one thread."""
    from numba import njit

    from fastgmm._kernels._numba.mahalanobis import block_log_prob
    from fastgmm._kernels._numba.scratch import new_scratch
    from fastgmm._kernels.layout import block_size, block_stride
    from fastgmm._kernels.packing import pack

    stride = block_stride(8)

    @njit
    def loop(packed, n_repeats):
        scratch = new_scratch(packed.n_components, packed.n_features, False, packed.centers)
        for i in range(packed.n_features * stride):
            scratch.block[i] = 1.0
        for _ in range(n_repeats):
            block_log_prob(packed, scratch, np.inf)

    means = SPREAD * np.random.default_rng(0).standard_normal((K, d))
    packed = pack(mixture_of("full", means).components())
    n_repeats = max(1, int(2e8 / (256 * K * (d * d + 20))))
    loop(packed, 1)
    seconds = best_seconds(lambda: loop(packed, n_repeats))
    return seconds / (n_repeats * block_size(8) * K)


def print_peak_shares():
    """Print useful flops, (d^2 + 3 d) each for distances and moments, as a share of the peak."""
    has_numba = kernels.backend().NAME == "numba"
    all_threads = count_threads()
    peak, peak_all = measure_peak(1), measure_peak()
    print(
        f"\nPeak: {peak / 1e9:.0f} GFLOP/s of one thread, {peak_all / 1e9:.0f} of {all_threads}\n"
    )
    print(
        "| n | d | K | Mahalanobis loop | iteration, 1 thread | "
        f"{all_threads} threads | speed-up | float32 / float64 |"
    )
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for n, d, K in DENSE:
        flops = d * d + 3 * d
        loop = f"{flops / distance_seconds(d, K) / peak:.0%}" if has_numba else ""
        one = iteration_seconds("full", n, d, K, 1)
        team = iteration_seconds("full", n, d, K, all_threads)
        single = iteration_seconds("full", n, d, K, all_threads, "float32")
        work = 2 * flops * n * K
        print(
            f"| {n:,} | {d} | {K} | {loop} | {work / one / peak:.0%} | "
            f"{work / team / peak_all:.0%} | {one / team:.2f} | {single / team:.2f} |",
            flush=True,
        )
    for kind, n, d, K in OTHERS:
        one, team = (iteration_seconds(kind, n, d, K, threads) for threads in (1, all_threads))
        single = iteration_seconds(kind, n, d, K, all_threads, "float32")
        shape = f"| {kind} {n:,} | {d} | {K} |"
        print(f"{shape} | | | {one / team:.2f} | {single / team:.2f} |", flush=True)


def print_scaling():
    """Print ns per sample and component for growing n, d and K."""
    threads = count_threads()
    base = (200_000, 16, 32)
    sweeps = {
        "n": [(n, 16, 32) for n in (1_000, 10_000, 100_000, 1_000_000)],
        "d": [(max(2**21 // d**2, 4096), d, 32) for d in (1, 2, 4, 8, 16, 32, 64, 128, 256)],
        "K": [(max(2**22 // K, 4096), 16, K) for K in (1, 4, 16, 64, 256, 1024, 4096)],
    }
    print(f"\nns per sample and component, full, {threads} threads, about {base}\n")
    for name, shapes in sweeps.items():
        values = {"n": 0, "d": 1, "K": 2}[name]
        times = [
            1e9 * iteration_seconds("full", *shape, threads) / shape[0] / shape[2]
            for shape in shapes
        ]
        print(f"| {name} | " + " | ".join(f"{shape[values]:,}" for shape in shapes) + " |")
        print("|--|" + "--:|" * len(shapes))
        print("| ns | " + " | ".join(f"{time:.3g}" for time in times) + " |\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["shares", "scaling"])
    only = parser.parse_args().only
    if only != "scaling":
        print_peak_shares()
    if only != "shares":
        print_scaling()


if __name__ == "__main__":
    main()
