"""scikit-learn's own tests of BayesianGaussianMixture, with ours in its place."""

from importlib.util import find_spec, module_from_spec
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version

from fastgmm import BayesianGaussianMixture

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NOT_APPLICABLE = {
    "test_log_dirichlet_norm": "tests a private function of scikit-learn, not the class",
    "test_log_wishart_norm": "tests a private function of scikit-learn, not the class",
    "test_compare_covar_type": (
        "calls the private _check_parameters and _initialize_parameters; see test_priors"
    ),
}


def _load(name: str) -> ModuleType:
    """Run scikit-learn's test module with our class imported in place of its own."""
    spec = find_spec(f"sklearn.mixture.tests.{name}")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    with patch("sklearn.mixture.BayesianGaussianMixture", BayesianGaussianMixture):
        spec.loader.exec_module(module)
    return module


_MODULES = [_load("test_bayesian_mixture"), _load("test_mixture")]
_SUITE = {
    name: test
    for module in _MODULES
    for name, test in vars(module).items()
    if name.startswith("test_")
}
globals().update({name: test for name, test in _SUITE.items() if name not in NOT_APPLICABLE})


@pytest.fixture
def global_dtype():
    return np.float64


@pytest.fixture
def global_random_seed():
    return 42


def test_suite_uses_our_class():
    assert all(module.BayesianGaussianMixture is BayesianGaussianMixture for module in _MODULES)


def test_no_two_modules_share_a_name():
    tests = [name for module in _MODULES for name in vars(module) if name.startswith("test_")]
    assert len(tests) == len(_SUITE)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="names are those of scikit-learn 1.9",
)
def test_not_applicable_has_no_stale_name():
    assert set(NOT_APPLICABLE) <= set(_SUITE)
