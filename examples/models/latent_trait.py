"""A logistic latent trait model: binary answers, log-odds linear in a trait of each person.

Neither the posterior of the trait z nor the M step has a formula. Draws of z take the place of the
one, a Newton step along the gradient the place of the other (generalized EM).
"""

import numpy as np
from numba import njit

from fastgmm import em


@njit(error_model="numpy")
def log_joint(x, z, theta):
    d, n_latent = len(x), len(z)
    total = -0.5 * n_latent * np.log(2.0 * np.pi)
    for k in range(n_latent):
        total -= 0.5 * z[k] * z[k]
    for j in range(d):
        odds = theta[d * n_latent + j]
        for k in range(n_latent):
            odds += theta[j * n_latent + k] * z[k]
        total += x[j] * odds - max(odds, 0.0) - np.log1p(np.exp(-abs(odds)))
    return total


@njit(error_model="numpy")
def log_joint_gradient(x, z, theta, gradient):
    d, n_latent = len(x), len(z)
    gradient[:] = -z
    for j in range(d):
        odds = theta[d * n_latent + j]
        for k in range(n_latent):
            odds += theta[j * n_latent + k] * z[k]
        error = x[j] - 1.0 / (1.0 + np.exp(-odds))
        for k in range(n_latent):
            gradient[k] += theta[j * n_latent + k] * error
    return log_joint(x, z, theta)


class LatentTrait(em.LatentVariableModel):
    """Slopes (d, L) and intercepts (d,) of the log-odds."""

    latent = "continuous"
    log_joint = staticmethod(log_joint)
    log_joint_gradient = staticmethod(log_joint_gradient)

    def __init__(self, slopes, intercepts):
        self.slopes, self.intercepts = slopes, intercepts
        self.n_features, self.n_latent = slopes.shape
        self.theta = np.concatenate([slopes.ravel(), intercepts])

    def summarize_draws(self, X, Z, weight):
        n_draws = Z.shape[1]
        Z = np.concatenate([Z, np.ones((*Z.shape[:2], 1))], axis=2).reshape(-1, self.n_latent + 1)
        p = 1.0 / (1.0 + np.exp(-Z @ np.column_stack([self.slopes, self.intercepts]).T))
        share = np.repeat(weight / n_draws, n_draws)[:, np.newaxis]
        errors = share * (np.repeat(X, n_draws, axis=0) - p)
        products = (Z[:, :, np.newaxis] * Z[:, np.newaxis]).reshape(len(Z), -1)
        information = (share * p * (1.0 - p)).T @ products
        shape = self.n_features, Z.shape[1], Z.shape[1]
        return {"gradient": errors.T @ Z, "information": information.reshape(shape)}

    def update(self, sums):
        step = np.linalg.solve(sums["information"], sums["gradient"][..., np.newaxis])[..., 0]
        return LatentTrait(self.slopes + step[:, :-1], self.intercepts + step[:, -1])


if __name__ == "__main__":
    from sklearn.datasets import load_digits

    X = (load_digits().data > 7).astype(float)
    X = X[:, X.var(axis=0) > 0.01]  # the slope of a pixel that is always dark has no bound
    rng = np.random.default_rng(0)
    start = LatentTrait(rng.normal(0.0, 0.1, (X.shape[1], 2)), np.zeros(X.shape[1]))
    chains = em.fit(X, start, posterior=em.MCMCPosterior(5), max_iter=100).parameters
    gaussian = em.fit(X, start, posterior=em.GaussianPosterior(4), max_iter=100)
    print(f"a bound of {gaussian.lower_bound:.2f} nats a digit")
    planes = [np.linalg.qr(model.slopes)[0] for model in (chains, gaussian.parameters)]
    cosines = np.linalg.svd(planes[0].T @ planes[1])[1]
    print("cosines of the angles between the planes of their slopes:", cosines.round(3))
