"""scikit-learn's own tests of GaussianMixture, with ours in its place."""

import numpy as np
import pytest
import sklearn
from sklearn.utils.fixes import parse_version
from sklearn_suite import collect, load

from fastgmm import GaussianMixture

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

_PRIVATE = "tests scikit-learn's private functions, not the class"

NOT_APPLICABLE = {
    "test_suffstat_sk_full": _PRIVATE,
    "test_suffstat_sk_tied": _PRIVATE,
    "test_suffstat_sk_diag": _PRIVATE,
    "test_gaussian_suffstat_sk_spherical": _PRIVATE,
    "test_compute_log_det_cholesky": _PRIVATE,
    "test_gaussian_mixture_log_probabilities": _PRIVATE,
    "test_gaussian_mixture_precisions_init": "calls the private _initialize and _set_parameters",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": (
        "counts calls of a private function of scikit-learn"
    ),
    "test_check_weights": "expects the minimum as the max value; see test_bad_input",
    "test_regularisation": "clusters that are points warn, and the fit goes on; see test_collapse",
    "test_check_means": "our message has the name that the user typed: means_init",
    "test_check_precisions": "our message has the name that the user typed: precisions_init",
    "test_gaussian_mixture_raises_where_array_api_not_implemented": "every start works with it",
}

#: Hundreds of fits, to see that n_init keeps the best: test_initialization.py tests that quickly,
#: and none of that is done by a backend.
SLOW = ("test_init", "test_gaussian_mixture_fit_best_params")

_SUITE = collect(load(GaussianMixture, "test_gaussian_mixture", "test_mixture"))
for _name in SLOW:
    _SUITE[_name].pytestmark += [pytest.mark.slow, pytest.mark.one_backend]
globals().update({name: test for name, test in _SUITE.items() if name not in NOT_APPLICABLE})


@pytest.fixture(autouse=True)
def private_name_of_a_public_number(monkeypatch):
    """scikit-learn keeps private what is ``n_parameters_`` here."""
    number = property(lambda model: lambda: model.n_parameters_)
    monkeypatch.setattr(GaussianMixture, "_n_parameters", number, raising=False)


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
