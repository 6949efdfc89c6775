"""All doors take the same mixtures, and refuse what is none in the same words."""

import numpy as np
import pytest
from backends import skip_without
from generators import mixture
from sklearn.exceptions import NotFittedError

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.em import MixtureParameters
from fastgmm.embed import CModel
from fastgmm.embed.export_c import to_c

ESTIMATORS = [GaussianMixture(2), BayesianGaussianMixture(n_components=2), SoftKMeans(2)]


def enter_numba(given):
    skip_without("numba")
    from fastgmm.embed.numba import to_numba

    return to_numba(given)


def enter_by_method(given):
    skip_without("numba")
    return given.to_numba()


def enter_c(given):
    skip_without("cython")
    return CModel(given)


each_door = pytest.mark.parametrize("enter", [enter_numba, enter_c, to_c])


def parts_of(parameters):
    names = ("weights", "means", "covariances", "precisions_cholesky")
    return {name: getattr(parameters, name).copy() for name in names}


@pytest.mark.parametrize("enter", [enter_numba, enter_by_method, enter_c, to_c])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_estimators_that_are_not_fitted(enter, estimator):
    message = f"This {type(estimator).__name__} instance is not fitted yet"
    with pytest.raises(NotFittedError, match=message):
        enter(estimator)


@each_door
@pytest.mark.parametrize("given", [3.0, {}, None, GaussianMixture])
def test_what_is_no_mixture(enter, given):
    message = (
        "mixture should be a fitted GaussianMixture, BayesianGaussianMixture or SoftKMeans, or "
        f"MixtureParameters, but got {type(given).__name__}."
    )
    with pytest.raises(TypeError, match=message):
        enter(given)


@each_door
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["weights", "means", "precisions_cholesky"])
def test_parameters_that_are_not_finite(enter, name, value):
    parts = parts_of(mixture("diag", 2, 3))
    parts[name].flat[0] = value
    message = f"mixture should hold finite numbers only, but got {value} in its {name}."
    with pytest.raises(ValueError, match=message):
        enter(MixtureParameters("diag", **parts))


@pytest.mark.parametrize("enter", [enter_numba, enter_by_method, enter_c, to_c])
def test_attributes_that_are_not_finite(enter):
    estimator = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1.0]], [[1.0], [1.0]])
    estimator.means_[0, 0] = np.nan
    with pytest.raises(ValueError, match=r"'means_' should be finite, but got nan at \(0, 0\)"):
        enter(estimator)


@pytest.mark.parametrize("enter", [enter_numba, enter_c])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_means_beyond_the_range_of_float64(enter, covariance_type):
    parts = parts_of(mixture(covariance_type, 2, 1))
    parts["means"][0, 0], parts["precisions_cholesky"].flat[0] = 1e200, 1e150
    with pytest.raises(ValueError, match="mixture should have means whose distances in standard"):
        enter(MixtureParameters(covariance_type, **parts))


def test_parameters_of_an_estimator_are_those_of_its_predictions():
    X = np.random.default_rng(0).normal(size=(50, 2))
    for estimator in (GaussianMixture(2, random_state=0), SoftKMeans(2, random_state=0)):
        parameters = estimator.fit(X).to_parameters()
        copy = GaussianMixture.from_parameters(
            parameters.weights,
            parameters.means,
            parameters.covariances,
            covariance_type=parameters.covariance_type,
        )
        np.testing.assert_allclose(copy.predict_proba(X), estimator.predict_proba(X), rtol=1e-12)


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
try:
    import fastgmm.embed.numba
except ImportError as error:
    print(error)
"""


def test_the_numba_door_names_numba_where_it_cannot_be_imported(run_python):
    printed = run_python(WITHOUT_NUMBA).strip()
    assert printed.startswith("fastgmm.embed.numba needs Numba, which cannot be imported (")
    assert printed.endswith("pip install numba")
