"""Probabilistic PCA by EM: x = W z + mean + noise, z standard normal, noise N(0, sigma^2 I).

The posterior of z has a formula, which `summarize` uses. `log_joint` and its gradient let EM draw z
instead, as it must for models without a formula.
"""

import numpy as np
from numba import njit

from fastgmm import em


@njit(error_model="numpy")
def log_joint(x, z, theta):
    d, n_latent = len(x), len(z)
    total = theta[-1]
    for k in range(n_latent):
        total -= 0.5 * z[k] * z[k]
    for j in range(d):
        error = x[j] - theta[d * n_latent + j]
        for k in range(n_latent):
            error -= theta[j * n_latent + k] * z[k]
        total -= 0.5 * error * error * theta[-2]
    return total


@njit(error_model="numpy")
def log_joint_gradient(x, z, theta, gradient):
    d, n_latent = len(x), len(z)
    gradient[:] = -z
    for j in range(d):
        error = x[j] - theta[d * n_latent + j]
        for k in range(n_latent):
            error -= theta[j * n_latent + k] * z[k]
        for k in range(n_latent):
            gradient[k] += theta[j * n_latent + k] * error * theta[-2]
    return log_joint(x, z, theta)


class ProbabilisticPCA(em.LatentVariableModel):
    """Loadings W (d, L), mean (d,) and variance of the noise."""

    latent = "continuous"
    log_joint = staticmethod(log_joint)
    log_joint_gradient = staticmethod(log_joint_gradient)

    def __init__(self, loadings, mean, variance):
        self.loadings, self.mean, self.variance = loadings, mean, variance
        self.n_features, self.n_latent = d, n_latent = loadings.shape
        constant = -0.5 * (d * np.log(variance) + (d + n_latent) * np.log(2.0 * np.pi))
        self.theta = np.concatenate([loadings.ravel(), mean, [1.0 / variance, constant]])

    def summarize(self, X, weight):
        W, d, n_latent = self.loadings, self.n_features, self.n_latent
        M = W.T @ W + self.variance * np.eye(n_latent)
        centred = X - self.mean
        Z = np.linalg.solve(M, W.T @ centred.T).T
        squares = (centred**2).sum(axis=1) - ((centred @ W) * Z).sum(axis=1)
        log_det = np.linalg.slogdet(M)[1] + (d - n_latent) * np.log(self.variance)
        log_density = -0.5 * (d * np.log(2 * np.pi) + log_det + squares / self.variance)
        covariance = self.variance * np.linalg.inv(M)
        values = self._sums(X, Z, weight)
        values["zz"] = values["zz"] + weight.sum() * covariance
        return em.Sums(weight @ log_density, weight.sum(), values)

    def summarize_draws(self, X, Z, weight):
        mean = Z.mean(axis=1)
        values = self._sums(X, mean, weight)
        spread = Z - mean[:, np.newaxis]
        values["zz"] = values["zz"] + np.einsum(
            "i,isk,isl->kl", weight / Z.shape[1], spread, spread
        )
        return values

    def _sums(self, X, Z, weight):
        weighted = Z * weight[:, np.newaxis]
        sums = {"x": weight @ X, "z": weighted.sum(axis=0), "xz": X.T @ weighted}
        return sums | {"zz": weighted.T @ Z, "xx": weight @ (X**2)}

    def update(self, sums):
        n = sums.weight
        x, z = sums["x"] / n, sums["z"] / n
        W = np.linalg.solve(sums["zz"] - n * np.outer(z, z), (sums["xz"] - n * np.outer(x, z)).T).T
        mean = x - W @ z
        total = sums["xx"] - 2 * mean * sums["x"] + n * mean**2
        cross = sums["xz"] - np.outer(mean, sums["z"])
        squares = total.sum() - 2 * (W * cross).sum() + np.trace(W.T @ W @ sums["zz"])
        return ProbabilisticPCA(W, mean, squares / (n * self.n_features))


if __name__ == "__main__":
    from sklearn.datasets import load_wine
    from sklearn.preprocessing import StandardScaler

    X = StandardScaler().fit_transform(load_wine().data)
    start = ProbabilisticPCA(np.random.default_rng(0).normal(size=(13, 2)), X.mean(axis=0), 1.0)
    result = em.fit(X, start, max_iter=1000, convergence=em.LowerBoundChange(1e-9))
    drawn = em.fit(X, start, posterior=em.MCMCPosterior(em.Growing(10)), max_iter=50).parameters
    eigenvalues = np.linalg.eigvalsh(np.cov(X.T, bias=True))
    print(f"{result.n_iter} iterations, log-likelihood {result.lower_bound:.4f} a wine")
    print(
        f"variance of the noise: {result.parameters.variance:.4f}, from draws {drawn.variance:.4f}"
    )
    print(f"mean of the eigenvalues left out: {eigenvalues[:-2].mean():.4f}")
