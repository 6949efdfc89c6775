"""BayesianGaussianMixture: scikit-learn's numbers, and the laws of variational Bayes."""

import re

import numpy as np
import pytest
import sklearn.mixture
from generators import KERNEL_KINDS, draw, mixture
from marks import slow_once
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastgmm
from fastgmm import BayesianGaussianMixture, em
from fastgmm.init import initial_posterior
from fastgmm.init.starting_points import INIT_PARAMS
from fastgmm.model.statistics import SufficientStatistics

pytestmark = pytest.mark.one_backend

PRIOR_TYPES = ("dirichlet_process", "dirichlet_distribution")
FITTED = (
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"),
    *("weight_concentration_", "mean_precision_", "degrees_of_freedom_", "mean_prior_"),
    *("covariance_prior_", "weight_concentration_prior_", "degrees_of_freedom_prior_"),
)
each_type = pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
each_prior = pytest.mark.parametrize("prior_type", PRIOR_TYPES)
ignore_unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SKLEARN_STARTS = [name for name in INIT_PARAMS if name not in ("auto", "tree")]
CHECKS = parametrize_with_checks([BayesianGaussianMixture(max_iter=5, n_init=2)])


@ignore_unconverged
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_checks(estimator, check):
    check(estimator)


def make_data(n=600, seed=0):
    random_state = np.random.RandomState(seed)
    centers = 3.0 * random_state.standard_normal((3, 4))
    return centers[np.arange(n) % 3] + random_state.standard_normal((n, 4))


def fit_both(X, **parameters):
    return (
        BayesianGaussianMixture(**{"init_params": "kmeans", **parameters}).fit(X),
        sklearn.mixture.BayesianGaussianMixture(**parameters).fit(X),
    )


def assert_agree(ours, theirs):
    assert (ours.converged_, ours.n_iter_) == (theirs.converged_, theirs.n_iter_)
    for name in FITTED:
        expected, actual = getattr(theirs, name), getattr(ours, name)
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9, err_msg=name)
    if hasattr(theirs, "lower_bounds_"):  # since 1.7; an array of one element for tied
        expected = np.ravel(theirs.lower_bounds_)
        np.testing.assert_allclose(ours.lower_bounds_, expected, rtol=1e-10, atol=1e-8)
    assert ours.lower_bound_ == ours.lower_bounds_[-1]


def test_parameters_and_defaults_are_those_of_scikit_learn():
    ours = BayesianGaussianMixture().get_params()
    assert ours["init_params"] == "auto"
    ours["init_params"] = "kmeans"
    assert ours.pop("n_jobs") is None
    assert ours.pop("max_time") is None
    assert ours.pop("step_sizes") is None
    assert ours == sklearn.mixture.BayesianGaussianMixture().get_params()


def test_fitted_attributes_are_those_of_scikit_learn():
    ours, theirs = fit_both(make_data(), n_components=2, random_state=0)
    more = {"history_", "lower_bounds_", "collapsed_", "restarts_", "n_samples_seen_"}
    more |= {"n_jobs", "max_time", "step_sizes"}
    public = {name for name in vars(ours) if not name.startswith("_")}
    assert set(vars(theirs)) | more == public
    assert not hasattr(ours, "aic")
    assert isinstance(ours.weight_concentration_, tuple)
    for name in vars(theirs):
        assert np.shape(getattr(ours, name)) == np.shape(getattr(theirs, name)), name


@ignore_unconverged
@each_type
@pytest.mark.parametrize("init_params", SKLEARN_STARTS)
def test_agrees_with_scikit_learn_from_every_start(init_params, covariance_type):
    if covariance_type == "tied" and init_params in ("k-means++", "random_from_data"):
        pytest.skip("scikit-learn takes the second moment of all samples, not of the chosen")
    ours, theirs = fit_both(
        make_data(240),
        n_components=4,
        covariance_type=covariance_type,
        init_params=init_params,
        max_iter=30,
        random_state=3,
    )
    assert_agree(ours, theirs)


@each_prior
@each_type
def test_converges_where_scikit_learn_does(covariance_type, prior_type):
    ours, theirs = fit_both(
        make_data(240),
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior_type,
        max_iter=500,
        tol=1e-5,
        random_state=3,
    )
    assert ours.converged_
    assert_agree(ours, theirs)


@ignore_unconverged
@each_prior
@each_type
def test_agrees_with_scikit_learn_under_given_priors(covariance_type, prior_type):
    A = np.random.default_rng(0).normal(size=(4, 4))
    full = A @ A.T + np.eye(4)
    priors = {"full": full, "tied": full, "diag": np.diagonal(full), "spherical": 1.5}
    ours, theirs = fit_both(
        make_data(),
        n_components=4,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior_type,
        weight_concentration_prior=3.0,
        mean_precision_prior=0.1,
        mean_prior=[1.0, 2.0, -3.0, 0.5],
        degrees_of_freedom_prior=7.5,
        covariance_prior=priors[covariance_type],
        reg_covar=0.01,
        n_init=2,
        init_params="random",
        max_iter=25,
        random_state=1,
    )
    assert_agree(ours, theirs)


@each_prior
@each_type
def test_predictions_agree_with_scikit_learn(covariance_type, prior_type):
    ours, theirs = fit_both(
        make_data(),
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior_type,
        random_state=0,
    )
    new = 2.0 * make_data(seed=5)
    np.testing.assert_array_equal(ours.predict(new), theirs.predict(new))
    for method in ("predict_proba", "score_samples", "score"):
        expected = getattr(theirs, method)(new)
        np.testing.assert_allclose(getattr(ours, method)(new), expected, rtol=1e-9, atol=1e-9)
    _, y = ours.sample(1000)
    np.testing.assert_array_equal(y, theirs.sample(1000)[1])


def start_of(X, prior_type, covariance_type, K, weight=None, reg_covar=0.0):
    """Return a start and an update: the first samples, each in a component."""
    model = BayesianGaussianMixture(
        n_components=K,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior_type,
        max_iter=0,
        random_state=0,
    ).fit(X, sample_weight=weight)
    prior = em.NormalWishartPrior(
        prior_type,
        model.weight_concentration_prior_,
        model.mean_prior_,
        model.mean_precision_prior_,
        model.degrees_of_freedom_prior_,
        np.asarray(model.covariance_prior_),
    )
    statistics = SufficientStatistics.zeros(covariance_type, np.asarray(X[:K], float))
    statistics.moments.nk[:] = 1.0
    return initial_posterior(statistics, prior, reg_covar), em.ConjugatePrior(prior, reg_covar)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@each_prior
@each_type
def test_bound_never_falls(covariance_type, prior_type, offset):
    X = draw(mixture(covariance_type, 4, 3), 800) + offset
    weight = np.random.default_rng(0).gamma(2.0, size=len(X))
    start, update = start_of(X, prior_type, covariance_type, 6, weight)
    result = em.fit(
        X,
        start,
        sample_weight=weight,
        update=update,
        convergence=em.LowerBoundChange(1e-6),
        max_iter=3000,
    )
    assert result.converged
    assert result.n_iter > 10
    # rounding of samples at 1e6 moves a sum over 800 of them
    assert np.diff(result.lower_bounds).min() > (-1e-9 if offset == 0 else -1e-5)


@each_prior
@each_type
def test_integer_weight_is_a_repeated_row(covariance_type, prior_type):
    X = draw(mixture(covariance_type, 3, 3), 300)
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    counts[:5] = 1
    repeated = np.repeat(X, counts, axis=0)
    results = []
    for data, weight in ((X, counts), (repeated, None)):
        start, update = start_of(data, prior_type, covariance_type, 4, weight, 1e-6)
        results.append(em.fit(data, start, sample_weight=weight, update=update, max_iter=20))
    weighted, plain = results
    np.testing.assert_allclose(weighted.lower_bounds, plain.lower_bounds, rtol=1e-11)
    for name in ("weights", "means", "covariances", "mean_precision", "degrees_of_freedom"):
        actual, expected = (getattr(result.parameters, name) for result in (weighted, plain))
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-8, err_msg=name)


@each_type
def test_samples_without_weight_are_absent(covariance_type):
    X = make_data(400)
    far = np.concatenate([X, np.full((50, 4), 1e6)])
    weight = np.repeat([1.0, 0.0], [400, 50])
    options = {"n_components": 4, "covariance_type": covariance_type, "random_state": 0}
    expected = BayesianGaussianMixture(**options).fit(X, sample_weight=np.ones(400))
    actual = BayesianGaussianMixture(**options).fit(far, sample_weight=weight)
    assert actual.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(actual.means_, expected.means_, rtol=1e-8)
    np.testing.assert_allclose(actual.covariance_prior_, expected.covariance_prior_, rtol=1e-8)


@each_prior
@each_type
def test_float32_agrees_with_float64(covariance_type, prior_type):
    X = draw(mixture(covariance_type, 3, 4), 20_000, "float32")
    start, update = start_of(X[:16_000], prior_type, covariance_type, 5, reg_covar=1e-6)
    single = em.fit(X, start, update=update, max_iter=30, convergence=em.Never())
    double = em.fit(X.astype(np.float64), start, update=update, max_iter=30, convergence=em.Never())
    np.testing.assert_allclose(single.lower_bounds, double.lower_bounds, rtol=1e-12)
    np.testing.assert_allclose(single.parameters.means, double.parameters.means, rtol=1e-9)


@each_type
def test_sparse_prior_prunes_components(covariance_type):
    X = make_data(1500)
    for prior_type in PRIOR_TYPES:
        model = BayesianGaussianMixture(
            n_components=10,
            covariance_type=covariance_type,
            weight_concentration_prior_type=prior_type,
            weight_concentration_prior=1e-3,
            max_iter=2000,
            init_params="random_from_data",
            random_state=0,
        ).fit(X)
        used = model.weights_ > 0.01
        # what is not used keeps the prior
        np.testing.assert_allclose(model.mean_precision_[~used], 1.0, atol=0.5)
        assert len(np.unique(model.predict(X))) == used.sum()
        if covariance_type == "tied":  # some stop where two share a cluster, as in scikit-learn
            assert 3 <= used.sum() <= 7
        else:
            assert used.sum() == 3
            np.testing.assert_allclose(model.weights_[used], 1 / 3, atol=0.01)


def test_concentration_decides_how_many_are_used():
    X = np.random.default_rng(0).normal(size=(500, 2))
    used = []
    for concentration in (1e-3, 1e3):
        model = BayesianGaussianMixture(
            n_components=6,
            weight_concentration_prior_type="dirichlet_distribution",
            weight_concentration_prior=concentration,
            init_params="random",
            max_iter=3000,
            random_state=0,
        ).fit(X)
        used.append((model.weights_ > 0.01).sum())
    assert used[0] < 4
    assert used[1] == 6


@each_prior
@each_type
def test_one_component_is_the_conjugate_posterior(covariance_type, prior_type):
    X = make_data(50)[:, :1]
    model = BayesianGaussianMixture(
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior_type,
        reg_covar=0.0,
    ).fit(X)
    assert model.converged_
    mean, variance = X.mean(), X.var(ddof=1)
    np.testing.assert_allclose(model.weights_, [1.0])
    np.testing.assert_allclose(model.means_, [[mean]])
    np.testing.assert_allclose(model.mean_precision_, [51.0])
    np.testing.assert_allclose(model.degrees_of_freedom_, 51.0)
    np.testing.assert_allclose(np.ravel(model.covariances_), variance * 50 / 51)


@each_type
def test_far_from_zero(covariance_type):
    X = np.round(make_data() * 2**10) / 2**10
    shift = 2.0**27
    options = {"n_components": 4, "covariance_type": covariance_type, "random_state": 0}
    near = BayesianGaussianMixture(**options).fit(X)
    far = BayesianGaussianMixture(**options).fit(X + shift)
    assert near.n_iter_ == far.n_iter_
    np.testing.assert_allclose(far.means_ - shift, near.means_, atol=1e-6)
    np.testing.assert_allclose(far.covariances_, near.covariances_, atol=1e-6)


@ignore_unconverged
@pytest.mark.parametrize("init_params", ["auto", *slow_once(*SKLEARN_STARTS)])
@each_prior
@each_type
def test_degenerate_data_gives_finite_numbers(covariance_type, prior_type, init_params):
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(3, 2)), 20, axis=0)
    constant = np.column_stack([rng.normal(size=60), np.ones(60)])
    for X in (points, constant, np.ones((60, 2)), 1e-100 * points):
        model = BayesianGaussianMixture(
            n_components=7,
            covariance_type=covariance_type,
            weight_concentration_prior_type=prior_type,
            init_params=init_params,
            random_state=0,
        ).fit(X)
        for name in FITTED:
            assert np.isfinite(getattr(model, name)).all(), name
        assert np.isfinite(model.lower_bounds_).all()
        assert np.isfinite(model.predict_proba(X)).all()


@ignore_unconverged
def test_data_without_spread_or_regularization_is_refused():
    with pytest.raises(ValueError, match="ill-defined empirical covariance"):
        BayesianGaussianMixture(n_components=2, reg_covar=0.0).fit(np.ones((9, 2)))


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_component_that_collapses_keeps_its_precision(covariance_type):
    """A prior without spread, and a component with a single sample."""
    X = np.concatenate([make_data(300)[::3], np.full((1, 4), 1e3)])
    unit = {"full": np.eye(4), "diag": np.ones(4), "spherical": np.array(1.0)}[covariance_type]
    wide, narrow = (
        em.NormalWishartPrior("dirichlet_process", 1.0, np.zeros(4), 1e-300, 4.0, covariance)
        for covariance in (100.0 * unit, 0.0 * unit)
    )
    statistics = SufficientStatistics.zeros(covariance_type, X[-2:])
    statistics.moments.nk[:] = 1.0
    start, prior = initial_posterior(statistics, wide, 0.0), narrow
    result = em.fit(X, start, update=em.ConjugatePrior(prior, 0.0), max_iter=50)
    assert result.collapsed == {1: 1}
    np.testing.assert_array_equal(result.parameters.covariances[1], start.covariances[1])
    assert result.parameters.mean_precision[1] == pytest.approx(1.0)
    assert np.isfinite(result.lower_bounds).all()
    assert np.isfinite(result.parameters.covariances).all()


@ignore_unconverged
@each_type
def test_warm_start_continues(covariance_type):
    X = make_data()
    options = {"n_components": 5, "covariance_type": covariance_type, "random_state": 0}
    whole = BayesianGaussianMixture(**options, tol=0.0, max_iter=9).fit(X)
    parts = BayesianGaussianMixture(**options, tol=0.0, max_iter=3, warm_start=True)
    lower_bounds = []
    for _ in range(3):
        lower_bounds += parts.fit(X).lower_bounds_
    assert lower_bounds == whole.lower_bounds_
    np.testing.assert_array_equal(parts.covariances_, whole.covariances_)


@ignore_unconverged
def test_warm_start_may_change_the_prior():
    X = make_data()
    model = BayesianGaussianMixture(n_components=4, warm_start=True, random_state=0).fit(X)
    model.set_params(weight_concentration_prior_type="dirichlet_distribution", max_iter=500)
    assert model.fit(X).weight_concentration_.shape == (4,)
    assert np.isfinite(model.score(X))
    with pytest.raises(ValueError, match=r"means_ of shape \(3, 4\) .*n_components=3"):
        model.set_params(n_components=3).fit(X)


def test_max_iter_zero_keeps_the_start():
    X = make_data()
    for init_params in ("kmeans", "random"):
        model = BayesianGaussianMixture(
            n_components=3,
            weight_concentration_prior_type="dirichlet_distribution",
            init_params=init_params,
            max_iter=0,
            random_state=0,
        ).fit(X)
        assert model.weight_concentration_.sum() == pytest.approx(len(X) + 1.0)
        assert (model.n_iter_, model.converged_, model.lower_bound_) == (0, False, -np.inf)


@pytest.mark.parametrize("init_params", [*SKLEARN_STARTS, "tree"])
def test_large_data_start_from_a_subsample(init_params):
    X = make_data(30_000)
    options = {"n_components": 3, "init_params": init_params, "random_state": 0, "max_iter": 1000}
    start = BayesianGaussianMixture(**{**options, "max_iter": 0}).fit(X)
    n = len(X) if init_params in ("kmeans", "random", "tree") else 3
    assert start.mean_precision_.sum() == pytest.approx(n + 3.0)
    model = BayesianGaussianMixture(**options).fit(X)
    assert model.converged_
    np.testing.assert_allclose(model.weights_, 1 / 3, atol=0.01)


def test_threads_change_no_bit():
    X = make_data(20_000)
    options = {"n_components": 6, "random_state": 0, "max_iter": 20, "tol": 1e9}
    one, two = (BayesianGaussianMixture(**options, n_jobs=n).fit(X) for n in (1, 2))
    assert one.lower_bounds_ == two.lower_bounds_
    assert one.means_.tobytes() == two.means_.tobytes()


def test_callback_and_history():
    records = []
    X = make_data()
    model = BayesianGaussianMixture(n_components=3, random_state=0)
    model.fit(X, callback=records.append)
    assert records == model.history_
    assert [record.lower_bound for record in records] == model.lower_bounds_
    np.testing.assert_array_equal(model.fit_predict(X), model.predict(X))


def test_warning_points_at_the_caller():
    message = r"did not converge\. .*\(max_iter=1, tol=0.001, last change inf\)"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        BayesianGaussianMixture(n_components=3, max_iter=1, random_state=0).fit(make_data())
    assert caught[0].filename == __file__


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose_prints_what_scikit_learn_prints(verbose, capsys):
    options = {"n_components": 3, "verbose": verbose, "verbose_interval": 3, "random_state": 0}
    options["init_params"] = "kmeans"
    BayesianGaussianMixture(**options, n_init=2).fit(make_data())
    ours = capsys.readouterr().out
    sklearn.mixture.BayesianGaussianMixture(**options, n_init=2).fit(make_data())
    theirs = capsys.readouterr().out
    number = r"\d+\.\d{5}"
    assert re.sub(number, "", ours) == re.sub(number, "", theirs)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"mean_prior": [1.0, 2.0]}, r"'mean_prior' should have the shape of \(4,\), but got \(2,"),
        ({"mean_prior": [1.0, np.nan, 0, 0]}, r"'mean_prior' should be finite, but got nan at \(1"),
        ({"covariance_prior": 1.0}, r"'covariance_prior' should have .* \(4, 4\), but got \(\)"),
        ({"covariance_prior": -np.eye(4)}, r"positive definite, but got a variance of -1\.0\."),
        ({"covariance_prior": np.tri(4)}, "positive definite, but got an asymmetric matrix"),
        (
            {"covariance_prior": [1.0, 0.0, 1.0, 1.0], "covariance_type": "diag"},
            r"should be positive, but got a variance of 0\.0\.",
        ),
        (
            {"covariance_prior": [1.0], "covariance_type": "spherical"},
            r"'covariance_prior' should have the shape of \(\), but got \(1,\)",
        ),
        ({"degrees_of_freedom_prior": 3.0}, r"should be greater than 3, but got 3\.000\."),
        ({"weight_concentration_prior": 0.0}, "'weight_concentration_prior' parameter"),
        ({"mean_precision_prior": -1.0}, "'mean_precision_prior' parameter"),
        ({"weight_concentration_prior_type": "beta"}, "'weight_concentration_prior_type' param"),
        ({"n_components": 601}, "n_components = 601, n_samples = 600"),
    ],
)
def test_bad_parameters(parameters, message):
    model = BayesianGaussianMixture(**{"n_components": 2, **parameters})
    with pytest.raises(ValueError, match=message):
        model.fit(make_data())
    assert not [name for name in vars(model) if name.endswith("_")]


def test_conjugate_prior_needs_variational_parameters():
    X = make_data()
    _, update = start_of(X, "dirichlet_process", "full", 3)
    with pytest.raises(TypeError, match="needs VariationalParameters, but got MixtureParameters"):
        em.fit(X, mixture("full", 3, 4), update=update)


def test_evidence_bound_functions_take_expected_logarithms():
    X = make_data()
    model = BayesianGaussianMixture(n_components=3, random_state=0).fit(X)
    bound = fastgmm.elbo(model, X, model.predict_proba(X))
    assert bound == pytest.approx(model.score_samples(X).sum(), rel=1e-12)
