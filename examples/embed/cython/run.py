"""Score 540,176 patches of two photographs in Cython: python run.py."""

from mean_log_density import mean_log_density

from fastgmm import GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.embed import CModel

X = load_sample("patches")
mixture = GaussianMixture(8, random_state=0, tol=1e-2).fit(X[::10])
compiled = mean_log_density(CModel(mixture), X, n_threads=2)
print(f"mean log-density {compiled:.6f}, from Python {mixture.score(X):.6f}")
