"""
A stream that moves, and how fast to forget
===========================================

Samples arrive in batches, and nobody keeps them: :meth:`~fastgmm.GaussianMixture.partial_fit` moves
the mixture with each batch. Here the three components themselves move. They make one turn about
the origin while 20,000 samples arrive, a hundred at a time.
"""

# %%
# Forgetting has a price
# ----------------------
# Without forgetting, step sizes fall: each batch moves the means less than the one before, and they
# stay behind. With a half-life, a sample counts half as much after so many further samples. What
# is remembered has a mean age of h / ln 2 samples, and the means lag behind by the way that the
# components make in this time. A shorter half-life has a smaller lag, and more noise.

import matplotlib.pyplot as plt
import numpy as np

from fastgmm import GaussianMixture, em

n_samples, size, radius = 20_000, 100, 5.0


def places(n_before):
    """Return where the components are after so many samples."""
    angles = 2 * np.pi * (np.arange(3) / 3 + n_before / n_samples)
    return radius * np.column_stack([np.cos(angles), np.sin(angles)])


def follow(step_sizes):
    """Return the means after each batch, as soon as there are some."""
    rng = np.random.default_rng(0)
    model, paths = GaussianMixture(3, step_sizes=step_sizes, random_state=0), []
    for start in range(0, n_samples, size):
        labels = rng.integers(3, size=size)
        model.partial_fit(places(start)[labels] + rng.normal(size=(size, 2)))
        paths.append(model.means_)
    return np.array(paths)


def distances(paths):
    """Return the distance of each batch's means from the places, the largest of the three."""
    truth = np.array([places(start) for start in range(0, n_samples, size)])
    gaps = np.linalg.norm(paths[:, :, np.newaxis] - truth[:, np.newaxis], axis=-1)
    return gaps.min(axis=1).max(axis=1)


runs = {
    "no forgetting": (follow(None), "--", "0.5"),
    "half-life 500": (follow(em.StepSizes(half_life=500)), "-.", "tab:orange"),
    "half-life 250": (follow(em.StepSizes(half_life=250)), "-", "tab:blue"),
}
seen = np.arange(size, n_samples + 1, size)
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4.5), layout="constrained", width_ratios=[1, 1.6]
)
circle = np.linspace(0, 2 * np.pi, 200)
left.plot(radius * np.cos(circle), radius * np.sin(circle), color="black", linewidth=0.8)
for path in runs["half-life 250"][0][: n_samples // size // 4].swapaxes(0, 1):
    left.plot(*path.T, color="tab:blue")
for n_before, marker in ((0, "o"), (n_samples // 4 - size, "s")):
    left.plot(*places(n_before).T, marker, color="black")
left.annotate("before", places(0)[0], (-8, 8), textcoords="offset points", ha="right")
left.annotate("after", places(n_samples // 4)[0], (0, -18), textcoords="offset points", ha="center")
left.set(aspect="equal", title="A quarter of the turn, half-life 250", xlabel="x0", ylabel="x1")
for name, (paths, style, color) in runs.items():
    right.plot(seen, distances(paths), style, color=color, label=name)
right.set(
    xlabel="samples seen",
    ylabel="largest distance of a component from a mean",
    title="How far the means stay behind",
    ylim=(0, None),
)
right.legend(frameon=False)
