"""Arguments, arrays and weights of every kind: finite results, or an error that names its cause."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    DOCUMENTED,
    OF_X,
    any_arrays,
    anything,
    assert_finite,
    assert_names,
    numbers,
    quietly,
    stored,
    tables,
)

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.model.covariance import get_covariance_model

X = np.random.default_rng(0).normal(size=(30, 2))
ESTIMATORS = [GaussianMixture, BayesianGaussianMixture, SoftKMeans]
#: What asks for hours of work where it is large.
COUNTS = {"n_init", "max_iter"}
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied-spherical")
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda kind: kind.__name__)

small_counts = st.one_of(
    st.integers(-2, 4), st.sampled_from([2.5, "1", None, float("nan"), True, np.int8(2), [1]])
)
good = {
    "n_components": st.integers(1, 5),
    "n_clusters": st.integers(1, 5),
    "covariance_type": st.sampled_from(COVARIANCE_TYPES),
    "init_params": st.sampled_from(["auto", "kmeans", "k-means++", "random", "random_from_data"]),
    "weight_concentration_prior_type": st.sampled_from(
        ["dirichlet_process", "dirichlet_distribution"]
    ),
    "acceleration": st.sampled_from([None, "quasi-newton", "subsample", "split-merge"]),
    "stop_rule": st.sampled_from(["last-change", "remaining-gain"]),
    "reg_covar": st.sampled_from(["auto", 0.0, 1e-6, 1.0]),
    "beta": st.sampled_from([1e-3, 1.0, 1e3]),
    "random_state": st.integers(0, 2**32 - 1),
}


def _wild(name):
    if name in COUNTS:
        return small_counts
    values = st.one_of(anything, good.get(name, st.nothing()))
    # a function that makes a start raises errors of its own
    return values.filter(lambda value: not callable(value)) if name == "init_params" else values


@st.composite
def arguments(draw, estimator):
    """Some valid arguments, and one or two of any kind; the names of these."""
    names = sorted(estimator().get_params())
    given = {name: draw(good[name]) for name in names if name in good and draw(st.booleans())}
    wild = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return given | {"max_iter": 3} | {name: draw(_wild(name)) for name in wild}, wild


@each_estimator
@given(data=st.data())
def test_constructor_arguments(estimator, data):
    given, wild = data.draw(arguments(estimator))
    with quietly():
        try:
            model = estimator(**given).fit(X)
        except DOCUMENTED as error:
            assert_names(error, [*given, "max_iter"] if "reg_covar" in str(error) else wild)
        else:
            assert_finite(model)
            assert np.isfinite(model.score_samples(X)).all()


@given(
    data=st.data(),
    covariance_type=st.sampled_from(COVARIANCE_TYPES),
    name=st.sampled_from(["weights_init", "means_init", "precisions_init"]),
)
def test_starting_values(data, covariance_type, name):
    """Nearly right: of the right shape, with wrong values or another dtype."""
    shapes = {
        "weights_init": (2,),
        "means_init": (2, 2),
        "precisions_init": get_covariance_model(covariance_type).shape(2, 2),
    }
    size = int(np.prod(shapes[name]))
    values = data.draw(st.lists(numbers, min_size=size, max_size=size))
    given = np.array(values, object).reshape(shapes[name])
    with quietly():
        try:
            model = GaussianMixture(
                2, covariance_type=covariance_type, max_iter=3, **{name: given.tolist()}
            ).fit(X)
        except DOCUMENTED as error:
            assert_names(error, [name])
        else:
            assert_finite(model)


def fit(estimator, table, **arguments):
    size = "n_clusters" if estimator is SoftKMeans else "n_components"
    model = estimator(**{size: 2}, max_iter=5, random_state=0)
    return model.fit(table, **arguments)


@each_estimator
@given(array=any_arrays)
def test_arrays_of_every_kind(estimator, array):
    with quietly():
        try:
            model = fit(estimator, array)
        except DOCUMENTED as error:
            assert_names(error, OF_X)
        else:
            assert_finite(model)


@each_estimator
@given(table=tables())
def test_tables_of_every_scale(estimator, table):
    before = table.copy()
    with quietly():
        try:
            model = fit(estimator, table)
        except DOCUMENTED as error:
            assert_names(error, OF_X)
        else:
            assert_finite(model)
            assert not np.isnan(model.score_samples(table)).any()
            labels = model.predict(table)
            assert ((labels >= 0) & (labels < 2)).all()
            proba = model.predict_proba(table)
            np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(table, before)


@given(data=st.data())
def test_memory_changes_nothing(data):
    table = data.draw(tables(columns=2))
    other = data.draw(stored(table))
    model = GaussianMixture(2, random_state=0).fit(X)
    with quietly():
        try:
            expected = model.score_samples(table)
        except DOCUMENTED as error:
            assert_names(error, OF_X)
            with pytest.raises(DOCUMENTED):
                model.score_samples(other)
        else:
            np.testing.assert_allclose(model.score_samples(other), expected, rtol=1e-5)


@each_estimator
@given(weight=st.one_of(anything, any_arrays, st.lists(numbers, min_size=30, max_size=30)))
def test_weights_of_every_kind(estimator, weight):
    with quietly():
        try:
            model = fit(estimator, X, sample_weight=weight)
        except DOCUMENTED as error:
            assert_names(error, ["sample_weight", "n_samples", "total weight"])
        else:
            assert_finite(model)


@each_estimator
@given(weight=st.lists(st.floats(0, 1e300), min_size=30, max_size=30))
def test_weights_of_every_size(estimator, weight):
    with quietly():
        try:
            model = fit(estimator, X, sample_weight=weight)
        except DOCUMENTED as error:
            assert_names(error, ["sample_weight", "n_samples", "total weight", "reg_covar"])
        else:
            assert_finite(model)
            assert np.isfinite(model.score(X, sample_weight=weight))


@each_estimator
@given(method=st.sampled_from(["predict", "predict_proba", "score_samples"]), array=any_arrays)
def test_predictions_of_arrays_of_every_kind(estimator, method, array):
    with quietly():
        model = fit(estimator, X)
        try:
            result = getattr(model, method)(array)
        except DOCUMENTED as error:
            assert_names(error, OF_X)
        else:
            assert not np.isnan(result).any()


@given(n_samples=anything)
def test_number_of_draws(n_samples):
    model = GaussianMixture(2, random_state=0).fit(X)
    if isinstance(n_samples, int) and n_samples > 10**6:
        return  # a memory error, or hours
    try:
        draws, labels = model.sample(n_samples)
    except DOCUMENTED as error:
        assert_names(error, ["n_samples"])
    else:
        assert np.isfinite(draws).all()
        assert len(draws) == len(labels) == n_samples
