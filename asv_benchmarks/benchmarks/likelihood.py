"""What a fit finds, on real data whose components overlap: it should not fall."""

import warnings

import numpy as np

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample

from .sizes import COVARIANCE_TYPES, parse, shapes


class Patches:
    """Patches of two photographs, 50 iterations from a fixed seed."""

    params = [COVARIANCE_TYPES, shapes((20_000, 16, 16))]
    param_names = ["covariance_type", "n,d,K"]
    unit = "nats per sample"

    def setup(self, covariance_type, shape):
        warnings.simplefilter("ignore")
        n, _, K = parse(shape)
        X = load_sample("patches")
        self.X = X[np.random.default_rng(0).choice(len(X), n, replace=False)]
        self.model = GaussianMixture(
            K, covariance_type=covariance_type, tol=0.0, max_iter=50, random_state=0
        )

    def track_final_log_likelihood(self, *parameters):
        return self.model.fit(self.X).score(self.X)
