"""Draw time and likelihood of exact and truncated EM against the number of components.

    python asv_benchmarks/plot_many_components.py docs/images/many_components.png

On 200,000 patches of 16 pixels. Fits begin with the tree, and end when the bound changes by less
than 1e-4 of itself; variances are 1e-4 at least. The likelihood is exact, of the patches of the fit
and of 100,000 others.
"""

import argparse
from statistics import median

import matplotlib.pyplot as plt
import numpy as np
from compare_tree import iterate, start
from compare_truncated import fit, seconds_of_iteration, truncated

from fastgmm import em
from fastgmm.data.sample_data import load_sample
from fastgmm.displays.style import line_style, marker_style

FLOOR = 1e-4
EXACT = (64, 256, 1_000, 4_000)
TRUNCATED = (64, 256, 1_000, 4_000, 16_000, 64_000)
MOST_FITTED = 16_000


def measure(X, others, kind):
    """Return the seconds of iterations, and the likelihoods of truncated fits, by K."""
    update = em.ClosedForm(FLOOR / 100, covariance_floor=FLOOR)
    exact, quick, likelihoods = {}, {}, {}
    for K in TRUNCATED:
        first = start(X, K, kind, reg_covar=FLOOR)
        truncated(X, first, update, 1)
        times = [[], []]
        for _ in range(3):
            times[0].append(seconds_of_iteration(truncated(X, first, update, 6)))
            if K in EXACT:
                times[1].append(seconds_of_iteration(iterate(X, first, 4)))
        quick[K] = median(times[0])
        if K in EXACT:
            exact[K] = median(times[1])
        if K <= MOST_FITTED:
            result = fit(X, first, update)
            likelihoods[K] = result.score(X), result.score(others)
        print(kind, K, quick[K], exact.get(K), likelihoods.get(K), flush=True)
    return exact, quick, likelihoods


def draw(measured, path):
    """Draw both panels."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
    for k, (kind, (exact, quick, likelihoods)) in enumerate(measured.items()):
        exactly = {**marker_style(2 * k + 1), **line_style(2 * k + 1)}
        truncatedly = {**marker_style(2 * k), **line_style(2 * k)}
        left.plot(exact.keys(), exact.values(), label=f"{kind}, exact", **exactly)
        left.plot(quick.keys(), quick.values(), label=f"{kind}, truncated", **truncatedly)
        own, of_others = zip(*likelihoods.values(), strict=True)
        right.plot(likelihoods.keys(), own, label=f"{kind}, samples of the fit", **exactly)
        right.plot(likelihoods.keys(), of_others, label=f"{kind}, others", **truncatedly)
    left.set(yscale="log", ylabel="seconds an iteration")
    right.set(ylabel="mean log-likelihood, nats a sample")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="number of components")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    arguments = parser.parse_args()
    patches = load_sample("patches").astype(np.float64)
    order = np.random.default_rng(0).permutation(len(patches))
    X, others = patches[order[:200_000]], patches[order[-100_000:]]
    kinds = {"diagonal": "diag", "full": "full"}
    draw({name: measure(X, others, kind) for name, kind in kinds.items()}, arguments.path)


if __name__ == "__main__":
    main()
