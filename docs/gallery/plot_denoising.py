"""
Denoising a photograph with a mixture of its patches
====================================================

Small patches of photographs look alike: flat ones, edges of some direction, textures. A mixture of
Gaussians is a good density of them (Zoran and Weiss 2011). Given the density and the noise, the
best estimate of a clean patch is its conditional mean. Here the mixture is fitted to the patches of
the noisy photograph itself, so that no clean picture is needed.
"""

# %%
# A photograph with noise
# -----------------------
# Grey values are between 0 and 1, and the noise has a standard deviation of 0.1. The peak
# signal-to-noise ratio (PSNR) measures the error in decibels; 10 dB more are a tenth of the mean
# squared error.

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import wiener
from skimage.restoration import denoise_nl_means
from sklearn.datasets import load_sample_image

from fastgmm import GaussianMixture

SIGMA, SIZE = 0.1, 6
clean = load_sample_image("china.jpg") @ np.array([0.299, 0.587, 0.114]) / 255
noisy = clean + np.random.default_rng(0).normal(0, SIGMA, clean.shape)


def psnr(image):
    """Return the peak signal-to-noise ratio of an image, in dB."""
    return -10 * np.log10(np.mean((image - clean) ** 2))


# %%
# Fit a mixture to noisy patches
# ------------------------------
# All overlapping patches of 6 x 6 are 263,970 samples with 36 features. A quarter of them is
# enough for the fit. Independent noise adds :math:`\sigma^2 I` to every covariance, so what is left
# after subtracting it, without negative eigenvalues, is the covariance of clean patches.

patches = sliding_window_view(noisy, (SIZE, SIZE)).reshape(-1, SIZE**2)
start = perf_counter()
model = GaussianMixture(16, init_params="random_from_data", random_state=0).fit(patches[::4])
print(f"fit: {model.n_iter_} iterations, {perf_counter() - start:.1f} s")

eigenvalues, vectors = np.linalg.eigh(model.covariances_)
clean_variances = np.maximum(eigenvalues - SIGMA**2, 0)

# %%
# The conditional mean of each patch
# ----------------------------------
# In the component of a noisy patch y, with mean :math:`\mu` and clean covariance C,
#
# .. math:: E[x \mid y] = \mu + C (C + \sigma^2 I)^{-1} (y - \mu).
#
# In the eigenvectors of C that is a factor for each direction: what varies more than the noise is
# kept. Each pixel is in 36 patches, whose estimates are averaged.

labels = model.predict(patches)
estimates = np.empty(patches.shape)
for k, (mean, v) in enumerate(zip(model.means_, vectors, strict=True)):
    gain = clean_variances[k] / (clean_variances[k] + SIGMA**2)
    rows = labels == k
    estimates[rows] = mean + (patches[rows] - mean) @ (v * gain) @ v.T


def average(estimates, shape):
    """Return the image in which each pixel is the mean of the patches that hold it."""
    height, width = shape[0] - SIZE + 1, shape[1] - SIZE + 1
    total, count = np.zeros(shape), np.zeros(shape)
    for i, j in np.ndindex(SIZE, SIZE):
        total[i : i + height, j : j + width] += estimates[:, i * SIZE + j].reshape(height, width)
        count[i : i + height, j : j + width] += 1
    return total / count


results = {
    "clean": clean,
    "noisy": noisy,
    "Wiener filter, 7 x 7": wiener(noisy, 7, SIGMA**2),
    "non-local means": denoise_nl_means(
        noisy, patch_size=5, patch_distance=9, h=0.6 * SIGMA, sigma=SIGMA, fast_mode=True
    ),
    "mixture of patches": average(estimates, clean.shape),
}
for name in list(results)[1:]:
    print(f"{name:20s} {psnr(results[name]):.2f} dB")

# %%
# Beside two known filters
# ------------------------
# The Wiener filter is SciPy's, non-local means scikit-image's. Their parameters (the size of the
# window, ``h`` and ``patch_distance``) are the best of those tried on this photograph, which helps
# them.

figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
for ax, (name, image) in zip(axes.flat, results.items(), strict=False):
    ax.imshow(image[60:220, 100:300], cmap="gray", vmin=0, vmax=1)
    ax.set_title(name if image is clean else f"{name}: {psnr(image):.2f} dB")
    ax.axis("off")
directions = axes.flat[-1]
strips = []
for k in np.argsort(-clean_variances.sum(axis=1))[:5]:
    top = vectors[k][:, ::-1][:, :5].T.reshape(5, SIZE, SIZE)
    strips.append(np.hstack([np.pad(each / np.abs(each).max(), 1) for each in top]))
directions.imshow(np.vstack(strips), cmap="gray")
directions.set_title("main directions of five components")
_ = directions.axis("off")
