"""scikit-learn's own tests of BayesianGaussianMixture, with ours in its place."""

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version
from sklearn_suite import collect, load

from fastgmm import BayesianGaussianMixture

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NOT_APPLICABLE = {
    "test_log_dirichlet_norm": "tests a private function of scikit-learn, not the class",
    "test_log_wishart_norm": "tests a private function of scikit-learn, not the class",
    "test_compare_covar_type": (
        "calls the private _check_parameters and _initialize_parameters; see test_priors"
    ),
}


_SUITE = collect(load(BayesianGaussianMixture, "test_bayesian_mixture", "test_mixture"))
globals().update({name: test for name, test in _SUITE.items() if name not in NOT_APPLICABLE})


@pytest.fixture
def global_dtype():
    return np.float64


@pytest.fixture
def global_random_seed():
    return 42


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="names are those of scikit-learn 1.9",
)
def test_not_applicable_has_no_stale_name():
    assert set(NOT_APPLICABLE) <= set(_SUITE)
