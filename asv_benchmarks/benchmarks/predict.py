"""What a fitted mixture is used for."""

import warnings

from fastgmm import GaussianMixture

from .mixtures import make_start, samples_and_means
from .sizes import COVARIANCE_TYPES, TYPICAL, parse, shapes


def fitted(covariance_type, shape):
    """Return samples, and a mixture as it starts."""
    warnings.simplefilter("ignore")
    n, d, K = parse(shape)
    X, means = samples_and_means(n, d, K)
    start = make_start(means, covariance_type)
    model = GaussianMixture(
        K, covariance_type=covariance_type, max_iter=0, random_state=0, **start
    ).fit(X)
    return X, model


class Fitted:
    """Evaluation of all samples, and as many new ones."""

    params = [COVARIANCE_TYPES, TYPICAL]
    param_names = ["covariance_type", "n,d,K"]

    def setup(self, covariance_type, shape):
        self.X, self.model = fitted(covariance_type, shape)
        self.model.predict_proba(self.X[: len(self.model.means_)])

    def time_predict(self, *parameters):
        self.model.predict(self.X)

    def time_predict_proba(self, *parameters):
        self.model.predict_proba(self.X)

    def time_score_samples(self, *parameters):
        self.model.score_samples(self.X)

    def time_sample(self, *parameters):
        self.model.sample(len(self.X))


class ManyComponents:
    """Exact labels and log-densities, without components that cannot matter from 2,048 on."""

    params = [["diag", "full"], shapes((100_000, 3, 1_024), (100_000, 3, 4_096))]
    param_names = ["covariance_type", "n,d,K"]

    def setup(self, covariance_type, shape):
        self.X, self.model = fitted(covariance_type, shape)
        self.model.predict(self.X)

    def time_predict(self, *parameters):
        self.model.predict(self.X)

    def time_score_samples(self, *parameters):
        self.model.score_samples(self.X)
