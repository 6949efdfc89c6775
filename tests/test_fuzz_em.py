"""The EM loop for users: arguments of every kind end in finite parameters or a true error."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    DOCUMENTED,
    OF_X,
    any_arrays,
    anything,
    assert_names,
    numbers,
    quietly,
    tables,
)

from fastgmm import em
from fastgmm.init import INIT_PARAMS

X = np.random.default_rng(0).normal(size=(30, 2))
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied-spherical")
START = em.MixtureParameters.from_covariances(
    "diag", np.array([0.5, 0.5]), np.array([[0.0, 0.0], [1.0, 1.0]]), np.ones((2, 2))
)


def assert_finite(parameters):
    for name in ("weights", "means", "covariances", "precisions_cholesky"):
        assert np.isfinite(getattr(parameters, name)).all(), name


@given(array=st.one_of(any_arrays, tables(columns=2), anything))
def test_fit_to_anything(array):
    with quietly():
        try:
            result = em.fit(array, START, max_iter=3)
        except DOCUMENTED as error:
            assert_names(error, OF_X)
        else:
            assert_finite(result.parameters)
            assert np.isfinite(result.lower_bound)


@given(
    name=st.sampled_from(
        ["parameters", "sample_weight", "posterior", "update", "acceleration", "convergence"]
    ),
    value=anything,
)
def test_fit_with_anything(name, value):
    with quietly():
        try:
            result = em.fit(X, **{"parameters": START, "max_iter": 3} | {name: value})
        except DOCUMENTED as error:
            assert_names(error, [name, "n_samples", "MixtureParameters"])
        else:
            assert_finite(result.parameters)


@given(max_iter=st.one_of(st.integers(-3, 5), st.none(), st.text(), st.floats(-2, 5)))
def test_number_of_iterations(max_iter):
    with quietly():
        try:
            result = em.fit(X, START, max_iter=max_iter, convergence=em.Never())
        except DOCUMENTED as error:
            assert_names(error, ["max_iter"])
        else:
            assert result.n_iter == max_iter


@given(
    name=st.sampled_from(
        [
            "n_components",
            "covariance_type",
            "init_params",
            "sample_weight",
            "random_state",
            "n_jobs",
            "reg_covar",
        ]
    ),
    value=anything,
    init_params=st.sampled_from(INIT_PARAMS),
    covariance_type=st.sampled_from(COVARIANCE_TYPES),
)
def test_starting_parameters_with_anything(name, value, init_params, covariance_type):
    given = {"n_components": 2, "init_params": init_params, "covariance_type": covariance_type}
    with quietly():
        try:
            start = em.starting_parameters(X, **given | {"random_state": 0} | {name: value})
        except DOCUMENTED as error:
            assert_names(error, [name, "n_samples"])
        else:
            assert_finite(start)


@given(
    array=st.one_of(any_arrays, tables(), anything),
    init_params=st.sampled_from(INIT_PARAMS),
    covariance_type=st.sampled_from(COVARIANCE_TYPES),
)
def test_starting_parameters_of_anything(array, init_params, covariance_type):
    given = {"init_params": init_params, "covariance_type": covariance_type}
    with quietly():
        try:
            start = em.starting_parameters(array, 2, random_state=0, **given)
        except DOCUMENTED as error:
            assert_names(error, OF_X)
        else:
            assert_finite(start)


@given(weight=st.lists(numbers, min_size=30, max_size=30))
def test_weights(weight):
    with quietly():
        try:
            result = em.fit(X, START, sample_weight=weight, max_iter=3)
        except DOCUMENTED as error:
            assert_names(error, ["sample_weight", "n_samples"])
        else:
            assert_finite(result.parameters)
