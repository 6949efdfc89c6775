"""Starting points alone: fits of no iteration."""

import warnings

from fastgmm import GaussianMixture

from .mixtures import samples_and_means
from .sizes import parse, shapes


class Start:
    """By method and shape; large data is seeded from a subsample."""

    params = [
        ["auto", "kmeans", "k-means++", "random", "random_from_data"],
        shapes((10_000, 16, 32), (500_000, 16, 32)),
    ]
    param_names = ["init_params", "n,d,K"]

    def setup(self, init_params, shape):
        warnings.simplefilter("ignore")
        n, d, K = parse(shape)
        self.X, _ = samples_and_means(n, d, K)
        self.model = GaussianMixture(K, init_params=init_params, max_iter=0, random_state=0)
        self.model.fit(self.X[: 2 * K])

    def time_start(self, *parameters):
        self.model.fit(self.X)


class ManyComponents(Start):
    """Starts whose time hardly grows with K."""

    params = [
        ["tree"],
        shapes(
            (200_000, 16, 256), (200_000, 16, 1_024), (200_000, 16, 4_096), (200_000, 16, 32_768)
        ),
    ]
