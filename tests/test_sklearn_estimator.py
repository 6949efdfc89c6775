"""The rules of scikit-learn's estimators, and its numbers."""

import io
import pickle
import re

import joblib
import numpy as np
import pytest
import sklearn
import sklearn.mixture
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgmm import GaussianMixture

COVARIANCE_TYPES = ["full", "tied", "diag", "spherical"]
INIT_PARAMS = ["kmeans", "k-means++", "random", "random_from_data"]
TOLERANCE = {"rtol": 1e-9, "atol": 1e-9}
N_COMPONENTS, N_FEATURES = 3, 4


def make_data(n_samples=600, seed=0):
    random_state = np.random.RandomState(seed)
    centers = 3.0 * random_state.standard_normal((N_COMPONENTS, N_FEATURES))
    labels = np.arange(n_samples) % N_COMPONENTS
    return centers[labels] + random_state.standard_normal((n_samples, N_FEATURES))


def make_start(covariance_type, seed=1):
    """Return a start that is far from the optimum, with precisions that are not diagonal."""
    random_state = np.random.RandomState(seed)
    A = random_state.standard_normal((N_COMPONENTS, N_FEATURES, N_FEATURES))
    full = A @ A.swapaxes(1, 2) / N_FEATURES + 0.5 * np.eye(N_FEATURES)
    diag = np.diagonal(full, axis1=1, axis2=2)
    precisions = {"full": full, "tied": full[0], "diag": diag, "spherical": diag[:, 0]}
    return {
        "n_components": N_COMPONENTS,
        "covariance_type": covariance_type,
        "weights_init": np.array([0.5, 0.3, 0.2]),
        "means_init": random_state.standard_normal((N_COMPONENTS, N_FEATURES)),
        "precisions_init": precisions[covariance_type],
    }


def fit_both(X, **parameters):
    return (
        GaussianMixture(**parameters).fit(X),
        sklearn.mixture.GaussianMixture(**parameters).fit(X),
    )


CHECKS = parametrize_with_checks([GaussianMixture(max_iter=5, n_init=2)])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# a generator before scikit-learn 1.9, which pytest 9 deprecates
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_parameters_and_defaults_are_those_of_scikit_learn():
    ours = GaussianMixture().get_params()
    assert ours.pop("n_jobs") is None
    assert ours.pop("max_time") is None
    assert ours.pop("acceleration") is None
    assert ours.pop("stop_rule") == "last-change"
    assert ours.pop("covariances_init") is None
    assert ours.pop("fixed") == ours.pop("fixed_components") == ()
    assert ours.pop("prior") is None
    assert ours.pop("covariance_floor") == 0.0
    assert ours.pop("missing") == "error"
    assert (ours.pop("posterior"), ours.pop("exact_iter")) == ("exact", 0)
    assert ours.pop("step_sizes") is None
    assert ours["init_params"] == "auto"
    assert {**ours, "init_params": "kmeans"} == sklearn.mixture.GaussianMixture().get_params()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_agrees_with_scikit_learn(covariance_type, dtype):
    X = make_data().astype(dtype)
    start = make_start(covariance_type)
    ours = GaussianMixture(**start, tol=1e-6, max_iter=300).fit(X)
    # scikit-learn computes in the precision of X
    theirs = sklearn.mixture.GaussianMixture(**start, tol=1e-6, max_iter=300)
    theirs.fit(X.astype(np.float64))
    assert ours.converged_
    assert ours.converged_ == theirs.converged_
    assert ours.n_iter_ == theirs.n_iter_ > 5
    for name in (
        "weights_",
        "means_",
        "covariances_",
        "precisions_",
        "precisions_cholesky_",
        "lower_bound_",
    ):
        expected = getattr(theirs, name)
        np.testing.assert_allclose(getattr(ours, name), expected, **TOLERANCE, err_msg=name)
    if hasattr(theirs, "lower_bounds_"):  # since 1.7
        np.testing.assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, **TOLERANCE)


few_samples = pytest.mark.filterwarnings("ignore:Component.s. 0 have fewer samples")


@few_samples
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_predictions_agree_with_scikit_learn(covariance_type):
    ours, theirs = fit_both(make_data(), **make_start(covariance_type))
    new = 2.0 * make_data(seed=5)
    np.testing.assert_array_equal(ours.predict(new), theirs.predict(new))
    for method in ("predict_proba", "score_samples", "score", "aic", "bic"):
        expected = getattr(theirs, method)(new)
        np.testing.assert_allclose(getattr(ours, method)(new), expected, **TOLERANCE)


@few_samples
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_sample_agrees_with_scikit_learn_in_distribution(covariance_type):
    ours, theirs = fit_both(make_data(), **make_start(covariance_type), random_state=0)
    X, y = ours.sample(20_000)
    X_expected, y_expected = theirs.sample(20_000)
    assert X.shape == X_expected.shape
    np.testing.assert_array_equal(y, y_expected)
    np.testing.assert_allclose(X.mean(axis=0), X_expected.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.cov(X.T), np.cov(X_expected.T), atol=0.3)


def test_fitted_attributes_are_those_of_scikit_learn():
    ours, theirs = fit_both(make_data(), **make_start("full"))
    assert set(vars(theirs)) <= set(vars(ours))
    public = {name for name in vars(ours) if not name.startswith("_")}
    assert public - set(vars(theirs)) <= {
        "acceleration",
        "covariance_floor",
        "covariances_init",
        "exact_iter",
        "fixed",
        "fixed_components",
        "prior",
        "stop_rule",
        "collapsed_",
        "history_",
        "n_reseeded_",
        "n_samples_seen_",
        "lower_bounds_",
        "max_time",
        "missing",
        "n_jobs",
        "posterior",
        "restarts_",
        "step_sizes",
    }
    assert isinstance(ours.converged_, bool)
    assert isinstance(ours.n_iter_, int)
    assert isinstance(ours.lower_bound_, float)


def test_clone_copies_parameters_and_nothing_fitted():
    model = GaussianMixture(**make_start("tied")).fit(make_data())
    copy = clone(model)
    assert not hasattr(copy, "means_")
    for name, value in model.get_params().items():
        np.testing.assert_array_equal(copy.get_params()[name], value)


def test_set_params():
    model = GaussianMixture().set_params(n_components=4, covariance_type="diag")
    assert (model.n_components, model.covariance_type) == (4, "diag")
    with pytest.raises(ValueError, match="Invalid parameter 'n_clusters'"):
        model.set_params(n_clusters=4)


def test_repr_shows_what_is_not_default():
    assert repr(GaussianMixture()) == "GaussianMixture()"
    shown = repr(GaussianMixture(3, covariance_type="diag", n_jobs=2))
    assert shown == "GaussianMixture(covariance_type='diag', n_components=3, n_jobs=2)"
    assert "GaussianMixture" in GaussianMixture()._repr_html_()


def _pickled(model):
    return pickle.loads(pickle.dumps(model))


def _joblib_dumped(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("roundtrip", [_pickled, _joblib_dumped])
def test_serialized_model_predicts_the_same_bits(roundtrip):
    X = make_data()
    model = GaussianMixture(**make_start("full")).fit(X)
    copy = roundtrip(model)
    assert copy.history_ == model.history_
    np.testing.assert_array_equal(copy.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(roundtrip(GaussianMixture(3)).n_components, 3)


def test_pipeline():
    X = make_data()
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(3, random_state=0))
    labels = pipeline.fit_predict(X)
    np.testing.assert_array_equal(labels, pipeline.predict(X))
    scaled = pipeline[0].transform(X)
    assert pipeline.score(X) == pipeline[-1].score(scaled)
    pipeline.fit(X, gaussianmixture__sample_weight=np.ones(len(X)))


def test_grid_search_finds_the_number_of_components():
    grid = {"n_components": [1, 2, 3], "covariance_type": ["full", "spherical"]}
    search = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3).fit(make_data())
    assert search.best_params_ == {"n_components": 3, "covariance_type": "spherical"}


def test_cross_validation_in_threads():
    X = make_data()
    scores = cross_val_score(GaussianMixture(3, random_state=0), X, cv=3)
    with joblib.parallel_backend("threading"):
        threaded = cross_val_score(GaussianMixture(3, random_state=0), X, cv=3, n_jobs=2)
    np.testing.assert_array_equal(scores, threaded)


def test_sample_weight_is_routed():
    X = make_data()
    weight = np.random.RandomState(2).uniform(size=len(X))
    folds = [(np.arange(0, len(X), 2), np.arange(1, len(X), 2))]
    model = GaussianMixture(3, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        search = GridSearchCV(model, {"n_components": [3]}, cv=folds)
        search.fit(X, sample_weight=weight)
    fitted = clone(model).fit(X[::2], sample_weight=weight[::2])
    expected = fitted.score(X[1::2], sample_weight=weight[1::2])
    assert search.cv_results_["mean_test_score"][0] == expected


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_continues():
    X = make_data()
    start = make_start("full")
    whole = GaussianMixture(**start, tol=0.0, max_iter=9).fit(X)
    parts = GaussianMixture(**start, tol=0.0, max_iter=3, warm_start=True)
    lower_bounds = []
    for _ in range(3):
        lower_bounds += parts.fit(X).lower_bounds_
    assert lower_bounds == whole.lower_bounds_
    np.testing.assert_array_equal(parts.covariances_, whole.covariances_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_agrees_with_scikit_learn():
    X = make_data()
    options = {**make_start("diag"), "tol": 1e-3, "max_iter": 2, "warm_start": True, "n_init": 5}
    ours, theirs = fit_both(X, **options)
    while not theirs.converged_:
        theirs.fit(X)
        ours.fit(X)
        assert (ours.converged_, ours.n_iter_) == (theirs.converged_, theirs.n_iter_)
    np.testing.assert_allclose(ours.means_, theirs.means_, **TOLERANCE)


@pytest.mark.parametrize(
    "changed, came",
    [
        ({"n_components": 2}, r"means_ of shape \(2, 4\) .*n_components=2.* shape \(3, 4\)"),
        ({"covariance_type": "diag"}, r"covariances_ of shape \(3, 4\) .*'diag'.* \(3, 4, 4\)"),
    ],
)
def test_warm_start_refuses_another_model(changed, came):
    X = make_data()
    model = GaussianMixture(3, warm_start=True, random_state=0).fit(X)
    with pytest.raises(ValueError, match="warm_start=True continues from " + came):
        model.set_params(**changed).fit(X)


def test_max_iter_zero_keeps_the_start():
    start = make_start("full")
    model = GaussianMixture(**start, max_iter=0).fit(make_data())
    np.testing.assert_array_equal(model.weights_, start["weights_init"])
    np.testing.assert_array_equal(model.means_, start["means_init"])
    np.testing.assert_allclose(model.precisions_, start["precisions_init"], **TOLERANCE)
    np.testing.assert_allclose(
        model.covariances_, np.linalg.inv(start["precisions_init"]), **TOLERANCE
    )
    assert (model.n_iter_, model.converged_, model.lower_bound_) == (0, False, -np.inf)
    assert model.lower_bounds_ == model.history_ == []


def test_warns_where_max_iter_is_reached():
    model = GaussianMixture(**make_start("full"), max_iter=2, tol=1e-9)
    message = (
        r"Best performing initialization did not converge\. .*"
        r"\(max_iter=2, tol=1e-09, last change (\S+)\)"
    )
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        model.fit(make_data())
    change = float(re.search(message, str(caught[0].message))[1])
    assert change == pytest.approx(model.history_[-1].change, rel=1e-2)
    assert caught[0].filename == __file__
    assert not model.converged_
    assert model.n_iter_ == 2


@pytest.mark.parametrize("method", ["fit", "fit_predict"])
def test_warning_points_at_the_caller(method):
    with pytest.warns(ConvergenceWarning) as caught:
        getattr(GaussianMixture(**make_start("full"), max_iter=1), method)(make_data())
    assert caught[0].filename == __file__


def test_callback_and_history():
    records = []
    model = GaussianMixture(**make_start("full")).fit(make_data(), callback=records.append)
    assert records == model.history_
    assert [record.number for record in records] == list(range(1, model.n_iter_ + 1))
    assert [record.lower_bound for record in records] == model.lower_bounds_
    assert records[-1].lower_bound == model.lower_bound_
    assert records[0].change == np.inf
    changes = [record.change for record in records[1:]]
    np.testing.assert_array_equal(changes, np.diff(model.lower_bounds_))
    assert all(record.seconds > 0 for record in records)
    assert abs(changes[-1]) < model.tol <= abs(changes[-2])


def test_callback_sees_every_start():
    numbers = []
    model = GaussianMixture(3, n_init=3, random_state=0, init_params="random")
    model.fit(make_data(), callback=lambda record: numbers.append(record.number))
    assert numbers.count(1) == 3
    assert len(numbers) > model.n_iter_


def test_callback_can_stop_the_fit():
    class Stop(Exception):
        pass

    def stop(record):
        raise Stop

    model = GaussianMixture(3, random_state=0)
    with pytest.raises(Stop):
        model.fit(make_data(), callback=stop)
    assert not hasattr(model, "means_")


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose_prints_what_scikit_learn_prints(verbose, capsys):
    options = {**make_start("full"), "verbose": verbose, "verbose_interval": 3, "tol": 1e-5}
    GaussianMixture(**options).fit(make_data())
    ours = capsys.readouterr().out
    sklearn.mixture.GaussianMixture(**options).fit(make_data())
    theirs = capsys.readouterr().out
    assert ("Iteration 3" in ours) == (verbose > 0)
    seconds = r"\d+\.\d{5}s"
    assert re.sub(seconds, "s", ours) == re.sub(seconds, "s", theirs)
