"""What a fitted mixture is used for."""

import warnings

from fastgmm import GaussianMixture

from .mixtures import make_start, samples_and_means
from .sizes import COVARIANCE_TYPES, TYPICAL, parse


class Fitted:
    """Evaluation of all samples, and as many new ones."""

    params = [COVARIANCE_TYPES, TYPICAL]
    param_names = ["covariance_type", "n,d,K"]

    def setup(self, covariance_type, shape):
        warnings.simplefilter("ignore")
        n, d, K = parse(shape)
        self.X, means = samples_and_means(n, d, K)
        self.model = GaussianMixture(
            K,
            covariance_type=covariance_type,
            max_iter=0,
            random_state=0,
            **make_start(means, covariance_type),
        ).fit(self.X)
        self.model.predict_proba(self.X[:K])

    def time_predict(self, *parameters):
        self.model.predict(self.X)

    def time_predict_proba(self, *parameters):
        self.model.predict_proba(self.X)

    def time_score_samples(self, *parameters):
        self.model.score_samples(self.X)

    def time_sample(self, *parameters):
        self.model.sample(len(self.X))
