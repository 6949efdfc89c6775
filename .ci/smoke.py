"""Smoke test of an installed fastgmm: every backend that it should have fits a small mixture."""

import importlib.util
import os
import subprocess
import sys

# the start by k-means brings scikit-learn's own threads into the process
PROGRAM = """
import numpy as np
import fastgmm

rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(-3, 1, (20_000, 2)), rng.normal(3, 2, (20_000, 2))])
model = fastgmm.GaussianMixture(n_components=2, random_state=0).fit(X)
np.testing.assert_allclose(np.sort(model.means_[:, 0]), [-3, 3], atol=0.1)
np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
print(fastgmm.backend_info())
"""


def main() -> None:
    """Run the program once with each backend, in a process of its own."""
    backends = ["cython"]
    if importlib.util.find_spec("numba"):
        backends.append("numba")
    for backend in backends:
        environment = {**os.environ, "FASTGMM_BACKEND": backend}
        # isolated: not the checkout, if this runs in one
        subprocess.run([sys.executable, "-I", "-c", PROGRAM], env=environment, check=True)


if __name__ == "__main__":
    main()
