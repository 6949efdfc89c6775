"""A mixture of Bernoullis: binary features, independent within a component."""

import numpy as np
from scipy.special import logsumexp, xlog1py, xlogy

from fastgmm import em


class BernoulliMixture(em.LatentVariableModel):
    """Weights (K,) and the probabilities of a 1, (K, d)."""

    latent = "discrete"

    def __init__(self, weights, probabilities):
        self.weights, self.probabilities = weights, probabilities
        self.n_features = probabilities.shape[1]

    def log_joint_table(self, X):
        """Return (m, K): log p(x, k)."""
        p = self.probabilities
        # 0 log 0 is 0
        log_p = xlogy(X[:, np.newaxis], p) + xlog1py(1 - X[:, np.newaxis], -p)
        return np.log(self.weights) + log_p.sum(axis=2)

    def summarize(self, X, weight):
        log_joint = self.log_joint_table(X)
        log_density = logsumexp(log_joint, axis=1)
        r = weight[:, np.newaxis] * np.exp(log_joint - log_density[:, np.newaxis])
        sums = {"counts": r.sum(axis=0), "ones": r.T @ X}
        return em.Sums(weight @ log_density, weight.sum(), sums)

    def update(self, sums):
        counts = sums["counts"]
        probabilities = np.minimum(sums["ones"] / counts[:, np.newaxis], 1.0)  # rounding
        return BernoulliMixture(counts / sums.weight, probabilities)


if __name__ == "__main__":
    from sklearn.datasets import load_digits

    digits = load_digits()
    X = (digits.data > 7).astype(float)
    rng = np.random.default_rng(0)
    start = BernoulliMixture(np.full(10, 0.1), rng.uniform(0.25, 0.75, (10, X.shape[1])))
    result = em.fit(X, start, max_iter=500, convergence=em.LowerBoundChange(1e-6))
    labels = result.parameters.log_joint_table(X).argmax(axis=1)
    purity = sum(np.bincount(digits.target[labels == k]).max() for k in np.unique(labels)) / len(X)
    print(f"{result.n_iter} iterations, log-likelihood {result.lower_bound:.4f} a digit")
    print(f"{purity:.0%} of the digits are of the commonest kind in their component")
