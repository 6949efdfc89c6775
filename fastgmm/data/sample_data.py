"""Built-in samples of real data, by name."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .._kernels.layout import Array

_PATCH = 4
_PATCH_NOISE = 0.01
_GREY = (0.299, 0.587, 0.114)


def load_sample(name: str) -> Array:
    """Return a built-in sample of real data.

    - ``patches`` (540,176 x 16): all 4 x 4 patches of scikit-learn's two sample images in
      grey, (0.299 R + 0.587 G + 0.114 B) / 255, image by image and row by row, plus normal
      noise of standard deviation 0.01 from ``default_rng(0)``.
    - ``pixels`` (546,560 x 3): RGB / 255 of all pixels of both images.
    - ``iris`` (150 x 4): Fisher's iris data as in scikit-learn.

    Parameters
    ----------
    name : {'patches', 'pixels', 'iris'}

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        float64.

    Raises
    ------
    ValueError
        If there is no sample of that name.
    ImportError
        If the sample needs Pillow, which is not installed.
    """
    if name not in _SAMPLES:
        allowed = ", ".join(map(repr, _SAMPLES))
        raise ValueError(f"A sample should be one of {allowed}, got {name!r}.")
    return _SAMPLES[name]()


def _images() -> list[NDArray[np.uint8]]:
    from sklearn.datasets import load_sample_images

    try:
        images: list[NDArray[np.uint8]] = load_sample_images().images
    except ImportError as error:
        raise ImportError(
            "The samples 'patches' and 'pixels' need Pillow: pip install 'fastgmm[cli]'"
        ) from error
    return images


def _patches() -> Array:
    parts = []
    for image in _images():
        grey = image @ np.array(_GREY) / 255.0
        windows = np.lib.stride_tricks.sliding_window_view(grey, (_PATCH, _PATCH))
        parts.append(windows.reshape(-1, _PATCH**2))
    patches: Array = np.concatenate(parts)
    patches += np.random.default_rng(0).normal(0.0, _PATCH_NOISE, patches.shape)
    return patches


def _pixels() -> Array:
    return np.concatenate([image.reshape(-1, 3) for image in _images()]) / 255.0


def _iris() -> Array:
    from sklearn.datasets import load_iris

    return np.asarray(load_iris().data)


_SAMPLES: dict[str, Callable[[], Array]] = {"patches": _patches, "pixels": _pixels, "iris": _iris}
