"""Memory: a fit and a prediction take X, parameters and a little more.

What grows with n x K ends at 32 MiB: see test_kept_distances.py.
"""

import json
import sys

import pytest
from marks import slow_once

#: A table of samples x components would take 205 MB.
SCRIPT = """
import json, pathlib, re, warnings
import numpy as np
from fastgmm import GaussianMixture

warnings.simplefilter("ignore")


def peak():  # in MB, of this program alone
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", text)[1]) / 1e3


X = np.random.default_rng(0).standard_normal((100_000, 2)).astype("{dtype}")
grown = {{}}
for covariance_type in ["full", "tied", "diag", "spherical"]:
    model = GaussianMixture(
        256, covariance_type=covariance_type, init_params="random_from_data", max_iter=2
    )
    model.fit(X[:20_000]).predict(X[:20_000])  # loads what is compiled
    for name in ["fit", "score", "predict", "score_samples"]:
        before = peak()
        getattr(model, name)(X)
        grown[covariance_type, name] = peak() - before
print(json.dumps({{" ".join(name): grown for name, grown in grown.items()}}))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("dtype", ["float32", *slow_once("float64")])
def test_nothing_grows_with_samples_times_components(run_python, dtype):
    grown = json.loads(run_python(SCRIPT.format(dtype=dtype)))
    assert len(grown) == 16
    assert max(grown.values()) < 50, grown
