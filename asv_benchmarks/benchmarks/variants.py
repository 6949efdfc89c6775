"""One iteration with each posterior, beside the exact one: what a variant of EM costs."""

from fastgmm import em
from fastgmm.data.samples import Samples

from .mixtures import make_parameters, samples_and_means
from .sizes import TYPICAL, parse, shapes

POSTERIORS = {
    "exact": em.ExactPosterior,
    "tempered": lambda: em.TemperedPosterior(1.5),
    "hard": em.HardPosterior,
    "neighborhood": em.NeighborhoodPosterior,
    "truncated to 2": lambda: em.TruncatedPosterior(2),
    "1 draw": lambda: em.SampledPosterior(1),
    "10 draws": lambda: em.SampledPosterior(10),
    "1 Metropolis step": lambda: em.MetropolisPosterior(1),
    "10 Metropolis steps": lambda: em.MetropolisPosterior(10),
    "a block in 10": lambda: em.IncrementalPosterior(10),
    "a batch of 10,000": lambda: em.StepwisePosterior(10_000),
}


class Iteration:
    """One E step and one M step after the first; the last two see a part of the samples."""

    params = [list(POSTERIORS), TYPICAL]
    param_names = ["posterior", "n,d,K"]

    def setup(self, posterior, shape):
        X, means = samples_and_means(*parse(shape))
        self.begin(X, make_parameters(means, "full"), POSTERIORS[posterior]())

    def begin(self, X, parameters, posterior):
        self.samples, self.parameters, self.posterior = Samples(X), parameters, posterior
        self.update = em.ClosedForm()
        self.posterior.start(self.samples, self.parameters)
        self.time_iteration()  # loads the kernels, visits all blocks

    def time_iteration(self, *parameters):
        statistics = self.posterior.summarize(self.samples, self.parameters)
        self.update(statistics, self.parameters)


class ManyComponents(Iteration):
    """Truncated to candidates, whose time hardly grows with K, beside exact at its smallest."""

    params = [
        ["diag", "full"],
        ["exact", "neighborhood"],
        shapes((200_000, 16, 256), (200_000, 16, 1_024), (200_000, 16, 8_192)),
    ]
    param_names = ["covariance_type", "posterior", "n,d,K"]

    def setup(self, covariance_type, posterior, shape):
        n, d, K = parse(shape)
        if posterior == "exact" and K > 1_024:
            raise NotImplementedError("it takes seconds")
        X, means = samples_and_means(n, d, K)
        self.begin(X, make_parameters(means, covariance_type), POSTERIORS[posterior]())
