"""A mixture of linear regressions: y = x beta_k + noise of variance sigma_k^2, k unknown.

The last column of X is y.
"""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from fastgmm import em


class LinearRegressions(em.LatentVariableModel):
    """Weights (K,), coefficients (K, p) and variances (K,)."""

    latent = "discrete"

    def __init__(self, weights, coefficients, variances):
        self.weights, self.coefficients, self.variances = weights, coefficients, variances
        self.n_features = coefficients.shape[1] + 1

    def summarize(self, X, weight):
        A, y = X[:, :-1], X[:, -1:]
        deviations = np.sqrt(self.variances)
        log_joint = np.log(self.weights) + norm.logpdf(y, A @ self.coefficients.T, deviations)
        log_density = logsumexp(log_joint, axis=1)
        r = weight[:, np.newaxis] * np.exp(log_joint - log_density[:, np.newaxis])
        products = np.einsum("ik,ia,ib->kab", r, X, X, optimize=True)
        return em.Sums(
            weight @ log_density, weight.sum(), {"counts": r.sum(axis=0), "xx": products}
        )

    def update(self, sums):
        counts, xx = sums["counts"], sums["xx"]
        AA, Ay, yy = xx[:, :-1, :-1], xx[:, :-1, -1], xx[:, -1, -1]
        coefficients = np.linalg.solve(AA, Ay[..., np.newaxis])[..., 0]
        squares = yy - (coefficients * Ay).sum(axis=1)
        return LinearRegressions(counts / sums.weight, coefficients, squares / counts)


if __name__ == "__main__":
    from pathlib import Path

    file = Path(__file__).parents[2] / "tests/data/faithful.csv"
    eruptions, waiting = np.loadtxt(file, delimiter=",", skiprows=1).T
    X = np.column_stack([np.ones_like(eruptions), eruptions, waiting])
    start = LinearRegressions(
        np.full(2, 0.5), np.array([[40.0, 5.0], [40.0, 10.0]]), np.full(2, 50.0)
    )
    result = em.fit(X, start, max_iter=1000, convergence=em.LowerBoundChange(1e-8))
    model = result.parameters
    print(f"{result.n_iter} iterations, log-likelihood {result.lower_bound:.4f} an eruption")
    for w, (a, b), v in zip(model.weights, model.coefficients, model.variances, strict=True):
        print(f"{w:.2f}: waiting = {a:.1f} + {b:.2f} eruption, deviation {v**0.5:.1f} minutes")
