"""Memory of a fit, which beyond X must not grow with n_samples x n_components."""

import sys
import warnings

import numpy as np

from fastgmm import GaussianMixture

from .sizes import COVARIANCE_TYPES, parse, shapes


def peak():
    """Return the most bytes that this process has ever held."""
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Fit:
    """Few features, and no temporary array in the setup, so that a table of n x K would show.

    Of 1,000,000 samples and 256 components it would take 2 GB, and X takes 16 MB.
    """

    params = [
        COVARIANCE_TYPES,
        shapes((1_000_000, 2, 256), (1_000_000, 2, 16), (100_000, 2, 256), (100_000, 2, 16)),
    ]
    param_names = ["covariance_type", "n,d,K"]

    def setup_cache(self):
        # compiled in this process, which asv starts once: a compiler's memory is not the fit's
        for covariance_type in COVARIANCE_TYPES:
            self.setup(covariance_type, "1000,2,2")

    def setup(self, covariance_type, shape):
        warnings.simplefilter("ignore")
        n, d, K = parse(shape)
        self.X = np.empty((n, d))
        np.random.default_rng(0).standard_normal(out=self.X)
        self.model = GaussianMixture(
            K,
            covariance_type=covariance_type,
            init_params="random_from_data",
            max_iter=2,
            random_state=0,
        )
        self.model.fit(self.X[:1_000])

    def peakmem_fit(self, *parameters):
        self.model.fit(self.X)

    def track_bytes_beyond_samples(self, *parameters):
        before = peak()
        self.model.fit(self.X)
        return peak() - before

    track_bytes_beyond_samples.unit = "bytes"
