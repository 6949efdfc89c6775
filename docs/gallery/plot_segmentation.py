"""
A photograph in eight colours
=============================

Each pixel of a photograph is a point in the space of red, green and blue. Clusters of these points
are the materials of the scene: sky, water, wood, leaves. A mixture of Gaussians with full
covariances suits them. Light and shade move a colour along a line, so that the clusters are long
and thin, while k-means assumes round ones.
"""

# %%
# Fit
# ---
# There are 273,280 pixels and three features. Many pixels of the sky are saturated and equal, and
# ``reg_covar`` keeps the variance of their component above zero. ``n_iter_`` leaves out the
# iterations by which ``init_params="auto"`` compares its starts.

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from fastgmm import GaussianMixture

photograph = load_sample_image("china.jpg")
pixels = photograph.reshape(-1, 3).astype(np.float64)

start = perf_counter()
model = GaussianMixture(8, reg_covar=1e-3, max_iter=200, random_state=0).fit(pixels)
print(f"{model.n_iter_} iterations, {perf_counter() - start:.1f} s")

labels = model.predict(pixels)
segmented = model.means_.round().astype(np.uint8)[labels].reshape(photograph.shape)
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for ax, image, title in zip(
    axes, (photograph, segmented), ("photograph", "8 components"), strict=True
):
    ax.imshow(image)
    ax.set_title(title)
    ax.axis("off")

# %%
# Where each component is
# -----------------------
# Dark pixels belong to the component. The frame has its mean colour.

order = np.argsort(-model.weights_)
resp = model.predict_proba(pixels).reshape(*photograph.shape[:2], -1)
figure, axes = plt.subplots(2, 4, figsize=(10, 4), layout="constrained")
for ax, k in zip(axes.flat, order, strict=True):
    ax.imshow(1 - resp[..., k], cmap="gray", vmin=0, vmax=1)
    red, green, blue = model.means_[k].round().astype(int)
    ax.set_title(f"{model.weights_[k]:.0%}: RGB {red}, {green}, {blue}", fontsize=9)
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(color=model.means_[k] / 255, linewidth=4)
