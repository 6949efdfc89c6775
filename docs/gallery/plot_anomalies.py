"""
Anomalies: cells that benign tumours do not have
================================================

A mixture that has seen good samples alone can say how unusual a new one is. The data are
measurements of cell nuclei from 569 tumours of the breast (Wolberg, Street and Mangasarian 1995).
The mixture learns from benign tumours, and is then asked about others. It is shown no malignant
tumour.
"""

# %%
# The share of the mass at a higher density
# -----------------------------------------
# ``outlier_score`` is that share. For samples of the mixture it is uniform between 0 and 1: one in
# 100 is above 0.99. So 0.99 is a threshold that needs no tuning, whatever the features and their
# units are.

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from fastgmm import GaussianMixture

cancer = load_breast_cancer(as_frame=True)
cells = cancer.data[["worst area", "worst smoothness"]]
benign, malignant = cells[cancer.target == 1], cells[cancer.target == 0]
known, others = train_test_split(benign, random_state=0)

model = GaussianMixture(2, reg_covar="auto", random_state=0).fit(known)
scores = {"other benign": model.outlier_score(others), "malignant": model.outlier_score(malignant)}
for name, values in scores.items():
    print(f"{name}: {np.mean(values > 0.99):.0%} above 0.99")

figure, ax = plt.subplots(figsize=(7, 5), layout="constrained")
area = np.linspace(0, 4400, 300)
smoothness = np.linspace(0.06, 0.24, 300)
grid = pd.DataFrame(product(smoothness, area)).set_axis(cells.columns[::-1], axis=1)[cells.columns]
density = model.score_samples(grid).reshape(300, 300)
for share, style in ((0.9, "--"), (0.99, "-")):
    lines = ax.contour(
        area,
        smoothness,
        density,
        [model.density_quantile(1 - share)],
        colors="black",
        linestyles=style,
    )
    ax.clabel(lines, fmt={lines.levels[0]: f"{share:g}"})
ax.plot(*others.to_numpy().T, "o", color="tab:blue", markersize=5, label="other benign")
ax.plot(*malignant.to_numpy().T, "x", color="tab:red", markersize=5, label="malignant")
ax.set(
    xlabel="worst area (pixels)", ylabel="worst smoothness", title="Contours of the outlier score"
)
_ = ax.legend()

# %%
# How many are found, and how many false alarms
# ---------------------------------------------
# The cumulated shares show every threshold at once. Where the mixture fits, benign tumours lie on
# the diagonal.

figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
for (name, values), style in zip(scores.items(), ("-", "--"), strict=True):
    ax.ecdf(values, linestyle=style, color="black")
    height = np.mean(values <= 0.5)
    ax.annotate(name, (0.5, height), (-8, 8), textcoords="offset points", ha="right")
ax.plot([0, 1], [0, 1], color="0.7", linewidth=1)
ax.axvline(0.99, color="black", linewidth=0.8)
ax.annotate("0.99", (0.99, 0.5), (-4, 0), textcoords="offset points", ha="right")
_ = ax.set(xlabel="outlier score", ylabel="share of tumours below")
