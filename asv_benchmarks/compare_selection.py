"""How often select names the true number of components, and its time beside a grid search.

Simulated mixtures of 2 to 9 components with 1,000 to 50,000 rows and 2 to 10 features in unlike
units. With ``--grid-search``, scikit-learn's GridSearchCV over the same candidates runs beside it,
by its default cross-validation, on all cores.
"""

import argparse
import warnings
from time import perf_counter

from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV

from fastgmm import select
from fastgmm.benchmark import simulated_mixture

SIZES = range(1, 10)
TYPES = ["full", "tied", "diag"]


def seconds_of(function):
    """Return what a function returns, and its wall time."""
    start = perf_counter()
    result = function()
    return result, perf_counter() - start


def grid_search(X):
    """Return the best number of components by cross-validation."""
    grid = {"n_components": list(SIZES), "covariance_type": TYPES}
    search = GridSearchCV(GaussianMixture(random_state=0), grid, n_jobs=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search.fit(X).best_params_["n_components"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mixtures", type=int, default=100)
    parser.add_argument("--largest", type=int, default=50_000, help="number of rows")
    parser.add_argument("--grid-search", action="store_true")
    arguments = parser.parse_args()
    right = grid_right = 0
    for seed in range(arguments.mixtures):
        X, K = simulated_mixture(seed, arguments.largest)
        best, own = seconds_of(lambda X=X: select(X, SIZES, TYPES, random_state=0).best)
        right += best.n_components == K
        line = f"{seed:4} {X.shape!s:12} K = {K}: {best.name:12} {own:7.2f} s"
        if arguments.grid_search:
            found, peer = seconds_of(lambda X=X: grid_search(X))
            grid_right += found == K
            line += f"   GridSearchCV K = {found} {peer:7.2f} s, ratio {peer / own:5.1f}"
        print(line, "" if best.n_components == K else "   wrong", flush=True)
    print(f"right: {right} of {arguments.mixtures}")
    if arguments.grid_search:
        print(f"right by GridSearchCV: {grid_right} of {arguments.mixtures}")


if __name__ == "__main__":
    main()
