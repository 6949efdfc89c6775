"""EM on Old Faithful with the E step in the user's own compiled loop."""

from pathlib import Path

import numpy as np
from numba import njit, prange

from fastgmm import GaussianMixture
from fastgmm.em import ClosedForm, MixtureParameters
from fastgmm.embed.numba import (
    accumulate,
    as_statistics,
    new_workspace,
    to_numba,
    to_sufficient_statistics,
)

DATA = Path(__file__).parents[3] / "tests" / "data" / "faithful.csv"
REG_COVAR = 1e-6


@njit(parallel=True)
def e_step(model, X, sums):
    """Add each row to the sums of one of the parts, which run in parallel."""
    for part in prange(len(sums)):
        workspace, statistics = new_workspace(model, 1), as_statistics(model, sums[part])
        for i in range(part, len(X), len(sums)):
            accumulate(model, X[i], 1.0, statistics, workspace)


def main():
    """Fit both ways, and print how far apart the results are."""
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    start = [0.5, 0.5], [[2.0, 50.0], [4.5, 80.0]], [np.diag([0.5, 50.0])] * 2
    mixture = GaussianMixture.from_parameters(
        *start, warm_start=True, tol=1e-9, max_iter=1000, reg_covar=REG_COVAR
    ).fit(X)

    parameters = MixtureParameters.from_covariances("full", *map(np.array, start))
    update = ClosedForm(REG_COVAR)
    for _ in range(mixture.n_iter_):
        model = to_numba(parameters)
        sums = np.zeros((4, model.n_sums))
        e_step(model, X, sums)
        statistics = as_statistics(model, sums.sum(axis=0))
        parameters = update(to_sufficient_statistics(model, statistics), parameters).parameters

    print(f"means of the two clusters:\n{parameters.means}")
    for name in ("weights", "means", "covariances"):
        fitted = getattr(mixture, f"{name}_")
        print(f"{name}: relative error {np.abs(getattr(parameters, name) / fitted - 1).max():.1e}")


if __name__ == "__main__":
    main()
