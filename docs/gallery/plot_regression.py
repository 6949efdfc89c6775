"""
Regression with uncertainty: the depth of a penguin's bill
==========================================================

How deep is the bill of a penguin of 4.5 kg? It depends on the species: heavy Adélie penguins have
deep bills, light Gentoo penguins shallow ones. A regression that gives one number is wrong for
both. :class:`fastgmm.MixtureRegressor` fits a mixture to inputs and targets together, so that it
knows the whole distribution of the target at each input. The data are 342 penguins of Palmer
Station (Gorman, Williams and Fraser 2014).
"""

# %%
# One line is misleading
# ----------------------
# With one component the model is linear regression. It says that heavier penguins have shallower
# bills. Within each species the opposite is true (Simpson's paradox). Three components follow the
# data, and their standard deviation is larger where the species overlap.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import norm

from fastgmm import GaussianMixture, MixtureRegressor

penguins = pd.read_csv("../data/penguins.csv").dropna(subset=["body_mass", "bill_depth"])
X, y = penguins[["body_mass"]], penguins["bill_depth"]
grid = pd.DataFrame({"body_mass": np.linspace(2700, 6300, 181)})

models = {
    "1 component": MixtureRegressor(GaussianMixture(1)),
    "3 components": MixtureRegressor(GaussianMixture(3, reg_covar="auto", random_state=0)),
}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    mean, std = model.fit(X, y).predict(grid, return_std=True)
    ax.plot(X, y, "o", color="0.6", markersize=3)
    ax.plot(grid, mean, color="black")
    ax.fill_between(grid["body_mass"], mean - std, mean + std, color="tab:blue", alpha=0.3)
    for label, height in (("mean", mean[-1]), ("+ std. dev.", (mean + std)[-1])):
        ax.annotate(label, (6300, height), (4, 0), textcoords="offset points", va="center")
    ax.set(title=f"{name}: R² = {model.score(X, y):.2f}", xlabel="body mass (g)", xlim=(2600, 7200))
_ = axes[0].set_ylabel("bill depth (mm)")

# %%
# The whole distribution
# ----------------------
# A mean and a deviation do not say that there are two possibilities.
# :meth:`~fastgmm.MixtureRegressor.condition` returns the mixture at each input. At 4.5 kg it has
# two modes, and the mean lies in the valley between them, where hardly any bill is.

model = models["3 components"]
depth = np.linspace(12, 23, 221)
given = model.condition(grid)
deviations = np.sqrt(given.covariances[:, 0, 0])
each = norm.pdf(depth[:, None, None], given.means[:, :, 0], deviations)
density = (given.weights * each).sum(axis=-1)  # of each depth (rows) at each mass (columns)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained", sharey=True)
image = left.pcolormesh(grid["body_mass"], depth, density, cmap="Greys", rasterized=True)
figure.colorbar(image, ax=left, label="density at this mass (1/mm)")
left.plot(X, y, "o", color="tab:orange", markersize=3, markeredgecolor="black", markeredgewidth=0.3)
left.axvline(4500, color="black", linestyle="--")
left.set(xlabel="body mass (g)", ylabel="bill depth (mm)", title="p(bill depth | body mass)")

row = int(np.flatnonzero(grid["body_mass"] == 4500)[0])
mean = given.mean()[row, 0]
right.plot(density[:, row], depth, color="black")
right.axhline(mean, color="black", linestyle=":")
right.annotate(f"mean {mean:.1f} mm", (0.3, mean), (0, 4), textcoords="offset points")
for weight, centre in zip(given.weights[row], given.means[row, :, 0], strict=True):
    if weight > 0.05:
        right.annotate(f"weight {weight:.2f}", (0.02, centre), va="center")
_ = right.set(xlabel="density (1/mm)", title="at 4,500 g")
