"""What gradients cost beside an iteration of EM, and where methods that use them arrive."""

from fastgmm import GaussianMixture, em, log_likelihood_gradient
from fastgmm._kernels.threads import count_threads
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior

from .mixtures import make_parameters, samples_and_means
from .sizes import COVARIANCE_TYPES, TYPICAL, parse, shapes

BATCH = 1_000


class Gradient:
    """The log-likelihood's gradient, one pass, and what follows from its statistics alone."""

    params = [COVARIANCE_TYPES, TYPICAL]
    param_names = ["covariance_type", "n,d,K"]

    def setup(self, covariance_type, shape):
        self.X, means = samples_and_means(*parse(shape))
        parameters = make_parameters(means, covariance_type)
        self.parameters = parameters
        self.model = GaussianMixture(len(means), covariance_type=covariance_type)
        self.model.weights_, self.model.means_ = parameters.weights, parameters.means
        self.model.covariances_ = parameters.covariances
        self.model.precisions_cholesky_ = parameters.precisions_cholesky
        self.model.n_features_in_ = parameters.n_features
        posterior = ExactPosterior(count_threads())
        self.statistics = posterior.summarize(Samples(self.X), parameters)
        self.coordinates = em.Unconstrained(covariance_type, *means.shape)
        self.step = em.GradientStep()
        self.time_unconstrained_from_statistics()

    def time_log_likelihood_gradient(self, *parameters):
        log_likelihood_gradient(self.model, self.X)

    def time_unconstrained_from_statistics(self, *parameters):
        self.coordinates.gradient(self.statistics, self.parameters)

    def time_gradient_step_from_statistics(self, *parameters):
        self.step(self.statistics, self.parameters)


class Methods:
    """Ten iterations of each method, full batch or on batches of 1000 samples."""

    params = [["ascent", "generalized", "minibatch", "amortized"], shapes((100_000, 8, 16))]
    param_names = ["method", "n,d,K"]

    def setup(self, method, shape):
        self.X, means = samples_and_means(*parse(shape))
        self.start = make_parameters(means, "full")
        self.time_ten_iterations(method, shape)  # loads the kernels

    def time_ten_iterations(self, method, shape):
        if method == "ascent":
            em.gradient_ascent(self.X, self.start, tol=0.0, max_iter=10)
            return
        policies = {
            "generalized": {"update": em.GradientStep(), "convergence": em.Never()},
            "minibatch": {
                "posterior": em.MiniBatchPosterior(BATCH),
                "update": em.GradientAscent(),
            },
            "amortized": {
                "posterior": em.AmortizedPosterior(BATCH),
                "update": em.GradientAscent(),
            },
        }[method]
        em.fit(self.X, self.start, max_iter=10, **policies)
