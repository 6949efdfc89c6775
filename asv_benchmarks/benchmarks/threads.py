"""What more threads are worth: powers of two, and all."""

from fastgmm import GaussianMixture
from fastgmm._kernels.threads import count_threads
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior

from .mixtures import make_parameters, make_start, samples_and_means
from .sizes import TYPICAL, parse

ALL = count_threads()


class Threads:
    """The E step, and responsibilities, which also write n x K numbers."""

    params = [sorted({*(2**i for i in range(ALL.bit_length()) if 2**i <= ALL), ALL}), TYPICAL]
    param_names = ["threads", "n,d,K"]

    def setup(self, n_threads, shape):
        n, d, K = parse(shape)
        self.X, means = samples_and_means(n, d, K)
        self.samples = Samples(self.X)
        self.parameters = make_parameters(means, "full")
        self.posterior = ExactPosterior(n_threads)
        start = make_start(means, "full")
        self.model = GaussianMixture(K, max_iter=0, n_jobs=n_threads, **start).fit(self.X)

    def time_e_step(self, *parameters):
        self.posterior.summarize(self.samples, self.parameters)

    def time_predict_proba(self, *parameters):
        self.model.predict_proba(self.X)
