"""``partial_fit``: a stream of batches, against the recursion in plain NumPy and batch EM."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from generators import (
    COVARIANCE_TYPES,
    DTYPES,
    assert_same_bits,
    assert_same_mixture,
    draw,
    mixture,
    sample_weights,
)
from marks import slow
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from variants import log_joint, log_likelihood, plain_statistics

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em, load, save
from fastgmm.data.sample_data import load_sample
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.minibatch import Batches
from fastgmm.em.posteriors.stepwise import implied_statistics

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
ESTIMATORS = {
    **{name: lambda name=name, **kw: GaussianMixture(3, covariance_type=name, **kw)
       for name in COVARIANCE_TYPES},
    "Bayesian": lambda **kw: BayesianGaussianMixture(n_components=3, **kw),
    "soft k-means": lambda **kw: SoftKMeans(3, 0.5, **kw),
}  # fmt: skip
each_estimator = pytest.mark.parametrize("name", ESTIMATORS)
# the others in full runs alone
some_estimators = pytest.mark.parametrize(
    "name",
    ["full", "Bayesian", *slow("tied", "diag", "spherical", "tied-spherical"), "soft k-means"],
)


def make(name, **options):
    return ESTIMATORS[name](random_state=0, **options)


def problem(n=600, covariance_type="full", dtype="float64"):
    return draw(mixture(covariance_type, 3, 3), n, dtype)


def stream(model, X, size, weight=None):
    for start in range(0, len(X), size):
        rows = slice(start, start + size)
        model.partial_fit(X[rows], sample_weight=None if weight is None else weight[rows])
    return model


def in_steps(model, **options):
    """Return a model of the same parameters that makes steps, and no further start."""
    parameters = model.to_parameters()
    return GaussianMixture.from_parameters(
        parameters.weights, parameters.means, parameters.covariances,
        covariance_type=parameters.covariance_type, **options,
    )  # fmt: skip


def state(model):
    """Return all that a model holds but times."""
    kept = {name: value for name, value in vars(model).items() if "restarts" not in name}
    kept["history_"] = [iteration[:3] for iteration in kept.get("history_", [])]
    return pickle.dumps(kept)


# the recursion


@each_type
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_stream_is_stepwise_em_of_the_same_batches(covariance_type, dtype):
    X, start = problem(1024, covariance_type, dtype), mixture(covariance_type, 3, 3)
    run = em.fit(X, start, posterior=em.StepwisePosterior(128, 0.7, 3.0, seed=5), max_iter=12)
    model = GaussianMixture.from_parameters(
        start.weights, start.means, start.covariances, covariance_type=covariance_type,
        reg_covar="auto", step_sizes=em.StepSizes(0.7, 3.0, step_weight=128),
    )  # fmt: skip
    batches = Batches(Samples(X, None), lambda _: 128, seed=5)
    for _ in range(12):
        model.partial_fit(batches.draw().rows(slice(None)))
    assert_same_mixture(model.to_parameters(), run.parameters, 1e-12)
    assert model.lower_bound_ == pytest.approx(run.lower_bound, rel=1e-13)
    assert model.n_samples_seen_ == 12 * 128


@each_type
def test_batches_of_any_weights_are_the_plain_recursion(covariance_type):
    X, parameters = problem(1000, covariance_type), mixture(covariance_type, 3, 3)
    weight = sample_weights(len(X))
    model = GaussianMixture.from_parameters(
        parameters.weights, parameters.means, parameters.covariances,
        covariance_type=covariance_type, reg_covar=0.0,
        step_sizes=em.StepSizes(0.6, 2.0, step_weight=50.0, half_life=300.0),
    )  # fmt: skip
    s, seen = implied_statistics(parameters, 1.0), 0.0
    for rows in (slice(0, 7), slice(7, 150), slice(150, 152), slice(152, 1000)):
        x, w = X[rows], weight[rows]
        model.partial_fit(x, sample_weight=w)
        if w.sum():
            new = plain_statistics(x, w, softmax(log_joint(x, parameters), axis=1), parameters)
            step = max((seen / 50.0 + 2.0) ** -0.6, 1.0 - 2.0 ** (-50.0 / 300.0))
            gamma = 1.0 - (1.0 - step) ** (w.sum() / 50.0)
            bound = log_likelihood(x, parameters, w) / w.sum()
            s = new.scaled(gamma / w.sum()) + s.scaled(1.0 - gamma)
            parameters = em.ClosedForm(0.0)(s, parameters).parameters
            seen += w.sum()
            assert model.lower_bound_ == pytest.approx(bound, rel=1e-12)
        assert_same_mixture(model.to_parameters(), parameters, 1e-10)
    assert model.n_samples_seen_ == pytest.approx(seen)


@some_estimators
def test_an_integer_weight_is_a_repeated_row(name):
    """In steps, and in when starts are made; the rows that a start draws may be others."""
    X = problem(1500)
    weight = np.arange(1500) % 4
    weighted = make(name).fit(X)
    repeated = deepcopy(weighted)
    for rows in np.split(np.arange(1500), [150, 600, 602, 900]):
        weighted.partial_fit(X[rows], sample_weight=weight[rows])
        repeated.partial_fit(np.repeat(X[rows], weight[rows], axis=0))
        assert_same_mixture(weighted.to_parameters(), repeated.to_parameters(), 1e-9)
    assert weighted.n_samples_seen_ == repeated.n_samples_seen_ == 1500 + weight.sum()
    weighted, repeated = make(name), make(name)
    for start in range(0, 300, 20):
        rows = slice(start, start + 20)
        weighted.partial_fit(X[rows], sample_weight=weight[rows])
        repeated.partial_fit(np.repeat(X[rows], weight[rows], axis=0))
        assert hasattr(weighted, "n_iter_") == hasattr(repeated, "n_iter_")


@some_estimators
def test_a_batch_without_weight_changes_nothing(name):
    X = problem(900)
    model = make(name).partial_fit(X[:10])
    for size in (10, 300, 900):
        before = state(model)
        model.partial_fit(np.full((4, 3), np.nan), sample_weight=0.0)
        assert state(model) == before
        model.partial_fit(X[:size])
    assert len(X) < model.n_samples_seen_


def test_two_halves_move_as_far_as_the_whole():
    constant = em.StepSizes(step_weight=10.0, half_life=50.0)
    for weight, seen in ((1e-3, 1e4), (7.0, 1e4), (500.0, 1e5)):
        half, other = (constant.of_batch(weight / 2, w) for w in (seen, seen + weight / 2))
        whole = constant.of_batch(weight, seen)
        assert 1.0 - (1.0 - half) * (1.0 - other) == pytest.approx(whole, rel=1e-12)
        assert 1.0 - whole == pytest.approx(constant.remaining(weight), rel=1e-12)
    falling = em.StepSizes(step_weight=100.0)
    whole = falling.of_batch(100.0, 10_000.0)
    half, other = falling.of_batch(50.0, 10_000.0), falling.of_batch(50.0, 10_050.0)
    assert whole == pytest.approx(102.0**-0.6, rel=1e-12)
    assert 1.0 - (1.0 - half) * (1.0 - other) == pytest.approx(whole, rel=5e-3)


def test_step_sizes_of_cappe_and_moulines():
    sizes = em.StepSizes(0.75, 3.0, step_weight=20.0)
    actual = [sizes.of_batch(20.0, 20.0 * t) for t in range(9)]
    np.testing.assert_allclose(actual, [(t + 3.0) ** -0.75 for t in range(9)], rtol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", *slow(*COVARIANCE_TYPES[1:])])
def test_the_cut_of_a_stream_hardly_matters(covariance_type):
    X = problem(10_000, covariance_type)
    start = make(covariance_type).fit(X[:1000])
    scores = [stream(deepcopy(start), X[1000:], size).score(X) for size in (100, 300, 900)]
    np.testing.assert_allclose(scores, scores[0], atol=2e-3)


# starts


@each_estimator
def test_a_first_batch_that_is_enough_is_fitted(name):
    X = problem()
    model, expected = make(name).partial_fit(X), make(name).fit(X)
    assert_same_bits(model.to_parameters(), expected.to_parameters())
    assert model.n_iter_ == expected.n_iter_
    assert model.n_samples_seen_ == 600.0
    assert expected.converged_
    assert not model.converged_


@some_estimators
def test_until_there_are_enough_it_is_not_fitted(name):
    X, model = problem(), make(name)
    needed = 5 * make(name).fit(X).n_parameters_
    stream(model, X[: needed - 1], 25)
    message = (
        f"partial_fit starts from {needed} samples, of which it has got {needed - 1}. Call it "
        "with more, or call 'fit' with fewer."
    )
    for use in (model.predict, model.score):
        with pytest.raises(NotFittedError, match=message):
            use(X)
    with pytest.raises(NotFittedError, match=message):
        model.summary()
    model.partial_fit(X[needed - 1 : needed])
    expected = make(name).fit(X[:needed])
    assert_same_bits(model.to_parameters(), expected.to_parameters())


@some_estimators
def test_starts_are_made_again_when_the_weight_has_doubled(name):
    X, model = problem(1200), make(name).partial_fit(problem(1200)[:150])
    for end in range(200, 1250, 50):
        model.partial_fit(X[end - 50 : end])
        assert model.n_samples_seen_ == end
        is_start = end in (300, 600, 1200)
        expected = make(name).fit(X[:end]).to_parameters() if is_start else None
        if is_start:
            assert_same_bits(model.to_parameters(), expected)
    model.partial_fit(X[:50])
    assert (model.to_parameters().means != expected.means).any()


def test_starts_end_at_the_rows_of_a_start_of_fit():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(140_000, 1)) + 5.0 * rng.integers(2, size=(140_000, 1))
    model = GaussianMixture(2, random_state=0)
    sizes = []
    for start in range(0, len(X), 10_000):
        model.partial_fit(X[start : start + 10_000])
        sizes.append(len(pickle.dumps(model)))
        if start == 60_000:
            expected = GaussianMixture(2, random_state=0).fit(X[:70_000])
            assert_same_bits(model.to_parameters(), expected.to_parameters())
    assert sizes[5] > 8 * 60_000
    assert max(sizes[6:]) < 20_000
    assert model.score(X) == pytest.approx(expected.fit(X).score(X), abs=1e-3)


def test_a_large_batch_after_a_start_is_a_step():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(70_000, 1)) + 5.0 * rng.integers(2, size=(70_000, 1))
    model = GaussianMixture(2, random_state=0).partial_fit(X[:100])
    model.partial_fit(X)
    assert model.n_iter_ == 1
    assert len(pickle.dumps(model)) < 20_000


def test_with_a_half_life_there_is_one_start():
    X = problem(1200)
    model = make("full", step_sizes=em.StepSizes(half_life=500.0)).partial_fit(X[:200])
    for start in range(200, 1200, 100):
        model.partial_fit(X[start : start + 100])
        assert model.n_iter_ == 1


def test_a_half_life_that_is_set_later_ends_starts():
    X, model = problem(1200), make("full").partial_fit(problem(1200)[:300])
    model.set_params(step_sizes=em.StepSizes(half_life=500.0))
    assert model.partial_fit(X[300:]).n_iter_ == 1


def test_small_weights_start_with_the_rows_of_a_start_of_fit():
    X = np.random.default_rng(0).normal(size=(70_000, 1))
    model = GaussianMixture(1)
    for rows in (slice(0, 65_000), slice(65_000, 65_535)):
        model.partial_fit(X[rows], sample_weight=1e-6)
        assert not hasattr(model, "means_")
    model.partial_fit(X[:1], sample_weight=1e-6)
    assert model.n_samples_seen_ == pytest.approx(0.065536)


def test_few_rows_of_large_weight_are_not_enough():
    model = GaussianMixture(3, random_state=0, covariance_type="spherical")
    model.partial_fit(np.array([[0.0], [5.0]]), sample_weight=1000.0)
    assert not hasattr(model, "means_")
    model.partial_fit(np.array([[0.1], [5.1], [9.0], [9.1]]), sample_weight=1000.0)
    assert model.n_samples_seen_ == 6000.0


# what a stream goes on from


@each_type
def test_after_fit_a_stream_goes_on_with_the_weight_of_the_fit(covariance_type):
    X = problem(covariance_type=covariance_type)
    model = make(covariance_type, reg_covar=0.0).fit(X[:500])
    parameters, bound, p = model.to_parameters(), model.lower_bound_, model.n_parameters_
    model.partial_fit(X[500:])
    step = (500.0 / p + 2.0) ** -0.6
    gamma = 1.0 - (1.0 - step) ** (100.0 / p)
    q = softmax(log_joint(X[500:], parameters), axis=1)
    weights = (1.0 - gamma) * parameters.weights + gamma * q.mean(axis=0)
    np.testing.assert_allclose(model.weights_, weights, rtol=1e-12)
    assert (model.n_iter_, model.n_samples_seen_, model.converged_) == (1, 600.0, False)
    (iteration,) = model.history_
    assert iteration[:3] == (1, model.lower_bound_, model.lower_bound_ - bound)
    assert model.lower_bounds_ == [model.lower_bound_]
    assert model.lower_bound_ == pytest.approx(
        log_likelihood(X[500:], parameters) / 100
    )  # fmt: skip


@some_estimators
def test_fit_starts_anew(name):
    X = problem()
    model = stream(make(name), X, 70).fit(X)
    assert_same_bits(model.to_parameters(), make(name).fit(X).to_parameters())
    assert model.n_samples_seen_ == 600.0
    waiting = make(name).partial_fit(X[:9]).fit(X).partial_fit(X[:1])
    assert waiting.n_samples_seen_ == 601.0


def test_parameters_that_are_set_by_hand_are_gone_on_from():
    X = problem(900)
    model = stream(make("full"), X, 100)
    model.means_ = model.means_ + 0.25
    expected = in_steps(model)
    expected.n_samples_seen_ = model.n_samples_seen_
    model.partial_fit(X[:300])
    expected.partial_fit(X[:300])
    assert_same_bits(model.to_parameters(), expected.to_parameters())


@some_estimators
def test_a_pickled_stream_continues_exactly(name):
    X, model = problem(900), make(name)
    for start in range(0, 900, 60):
        model = pickle.loads(pickle.dumps(model)).partial_fit(X[start : start + 60])
    expected = stream(make(name), X, 60)
    assert_same_bits(model.to_parameters(), expected.to_parameters())
    assert [i[:3] for i in model.history_] == [i[:3] for i in expected.history_]


@pytest.mark.parametrize("name", [*COVARIANCE_TYPES, "Bayesian"])
def test_a_file_keeps_what_the_parameters_imply(name, tmp_path):
    X = problem(900)
    options = {"reg_covar": 0.0, "step_sizes": em.StepSizes(0.7, step_weight=40.0)}
    model = stream(make(name, **options), X, 100)
    save(model, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert loaded.step_sizes == model.step_sizes
    assert loaded.n_samples_seen_ == model.n_samples_seen_
    for each in (model, loaded):
        each.partial_fit(X[:200])
    assert_same_mixture(loaded.to_parameters(), model.to_parameters(), 1e-9)


def test_clones_do_not_continue():
    X = problem()
    model = stream(make("full"), X, 100)
    again = stream(clone(model), X, 100)
    assert_same_bits(again.to_parameters(), model.to_parameters())


# settings of the estimators


@some_estimators
def test_threads_change_no_bit(name):
    X = problem(5000)
    one, two = (stream(make(name, n_jobs=n), X, 900) for n in (1, 2))
    assert_same_bits(one.to_parameters(), two.to_parameters())


@some_estimators
def test_float32_batches(name):
    X = problem(2000)
    start = make(name).fit(X[:500])
    single, double = (
        stream(deepcopy(start), X[500:].astype(dtype), 300) for dtype in ("float32", "float64")
    )
    assert_same_mixture(single.to_parameters(), double.to_parameters(), 1e-5)
    assert single.means_.dtype == np.float64 if name != "soft k-means" else True


@pytest.mark.parametrize("covariance_type", ["full", *slow(*COVARIANCE_TYPES[1:])])
def test_auto_does_not_depend_on_units(covariance_type):
    X = problem(3000, covariance_type)
    scale = np.array([1.0, 1.0, 1.0]) * 1e-5
    options = {"reg_covar": "auto", "covariance_floor": "auto"}
    one, other = (stream(make(covariance_type, **options), x, 250) for x in (X, X * scale))
    np.testing.assert_allclose(other.means_, one.means_ * scale, rtol=1e-9)


def test_a_floor_is_relative_to_the_variances_of_the_stream():
    X = np.random.default_rng(0).normal(size=(600, 2)) * [100.0, 1.0]
    X[:, 1] = np.round(X[:, 1])
    model = make("full", covariance_floor="auto", reg_covar=0.0).fit(X)
    model.partial_fit(np.tile(X[:1], (2000, 1)))
    assert np.linalg.eigvalsh(model.covariances_).min() > 0.0


def test_missing_values_are_those_of_the_exact_posterior():
    X, rng = problem(900), np.random.default_rng(0)
    X[rng.random(X.shape) < 0.2] = np.nan
    model = make("full", missing="marginalize", reg_covar=0.0).fit(X[:600])
    start = model.to_parameters()
    batch = em.ExactPosterior().summarize(Samples(X[600:], None, True), start)
    p = model.n_parameters_
    step = (600.0 / p + 2.0) ** -0.6
    gamma = 1.0 - (1.0 - step) ** (300.0 / p)
    s = batch.scaled(gamma / 300.0) + implied_statistics(start, 1.0).scaled(1.0 - gamma)
    expected = em.ClosedForm(0.0)(s, start).parameters
    assert_same_mixture(model.partial_fit(X[600:]).to_parameters(), expected, 1e-10)
    stream(make("full", missing="marginalize"), X, 60)


@pytest.mark.parametrize("fixed", [("weights",), ("means",), ("covariances",)])
def test_what_is_fixed_stays(fixed):
    X, truth = problem(900), mixture("full", 3, 3)
    model = make(
        "full", fixed=fixed, weights_init=truth.weights, means_init=truth.means,
        covariances_init=truth.covariances,
    )  # fmt: skip
    stream(model, X, 100)
    for name in ("weights", "means", "covariances"):
        same = np.array_equal(getattr(model, f"{name}_"), getattr(truth, name))
        assert same == (name in fixed)


def test_fixed_components_stay():
    X, truth = problem(900), mixture("full", 3, 3)
    model = make(
        "full", fixed_components=[1], weights_init=truth.weights, means_init=truth.means,
        covariances_init=truth.covariances,
    )  # fmt: skip
    stream(model, X, 100)
    np.testing.assert_array_equal(model.means_[1], truth.means[1])
    assert model.weights_[1] == truth.weights[1]
    assert (model.means_[0] != truth.means[0]).all()


def test_a_prior_counts_once_beside_all_that_is_remembered():
    """The posterior mode of one component: no pull may be counted for each batch."""
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 1.0, (4000, 1))
    prior = em.NormalInverseWishartPrior(mean=[0.0], mean_precision=1000.0)
    sizes = em.StepSizes(1.0, 1.0, step_weight=100.0)  # the mean of all batches
    model = GaussianMixture(1, prior=prior, step_sizes=sizes)
    model = in_steps(GaussianMixture(1).fit(X[:100]), prior=prior, step_sizes=sizes)
    stream(model, X, 100)
    assert model.n_samples_seen_ == 4000.0
    assert model.means_[0, 0] == pytest.approx(4000.0 * X.mean() / 5000.0, rel=1e-9)
    sizes = em.StepSizes(step_weight=100.0, half_life=200.0)
    model = in_steps(model, prior=prior, step_sizes=sizes)
    stream(model, X, 100)
    remembered = 100.0 / (1.0 - 2.0 ** (-100.0 / 200.0))
    assert model.means_[0, 0] == pytest.approx(3.0 * remembered / (remembered + 1000.0), abs=0.1)


# variational Bayes


@each_type
@pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
@pytest.mark.parametrize("reg_covar", [1e-3, "auto"])
def test_statistics_that_a_posterior_implies(covariance_type, kind, reg_covar):
    X = problem(300, covariance_type)
    model = BayesianGaussianMixture(
        n_components=5, covariance_type=covariance_type, weight_concentration_prior_type=kind,
        random_state=0, reg_covar=reg_covar, mean_prior=[1.0, 2.0, 3.0], mean_precision_prior=7.0,
        max_iter=5, tol=0.0,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(X)
    prior = em.NormalWishartPrior(
        kind, 0.2, np.array([1.0, 2.0, 3.0]), 7.0, 3.0, np.asarray(model.covariance_prior_)
    )
    posterior = model.to_parameters()
    update = em.ConjugatePrior(prior, reg_covar)
    statistics = update.implied_statistics(posterior)
    assert statistics.weight == pytest.approx(300.0, rel=1e-12)
    assert_same_mixture(update(statistics, posterior).parameters, posterior, 1e-9)


@pytest.mark.slow
def test_a_streamed_posterior_is_about_that_of_all():
    X = problem(20_000)
    model = stream(BayesianGaussianMixture(n_components=6, random_state=0), X, 500)
    whole = BayesianGaussianMixture(n_components=6, random_state=0, max_iter=1000).fit(X)
    assert model.score(X) == pytest.approx(whole.score(X), abs=0.02)
    assert model.mean_precision_.sum() == pytest.approx(20_000 + 6, rel=1e-9)


# errors and warnings


@pytest.mark.parametrize(
    "options, X, weight, message",
    [
        ({}, np.zeros((5, 2)), None, "X has 2 features, but GaussianMixture is expecting 3"),
        ({}, np.full((5, 3), np.nan), None, "Input X contains NaN"),
        ({}, np.full((5, 3), 1e200), None, "X is too large for float64"),
        ({}, np.zeros((0, 3)), None, r"Found array with 0 sample"),
        ({}, np.zeros((5, 3)), -1.0, "sample_weight should be finite and non-negative"),
        ({"n_components": 4}, np.zeros((5, 3)), None, "partial_fit continues from means_ of shape"),
        ({"prior": "mclust"}, np.zeros((5, 3)), None, "prior='mclust' is computed from all samp"),
        ({"step_sizes": 0.5}, np.zeros((5, 3)), None, "The 'step_sizes' parameter of GaussianMix"),
    ],
)
@pytest.mark.parametrize("n_rows", [9, 300])
def test_an_error_leaves_the_estimator_unchanged(options, X, weight, message, n_rows):
    model = stream(make("full"), problem()[:n_rows], 200).set_params(**options)
    if n_rows == 9 and "n_components" in options:
        return  # nothing is fitted yet
    before = state(model)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, sample_weight=weight)
    assert state(model) == before


def test_labels_of_all_samples_are_no_start_of_a_stream():
    labels = np.arange(600) % 3
    model = make("full", init_params=labels)
    with pytest.raises(ValueError, match="init_params should be a name or a function for partial"):
        model.partial_fit(problem())
    model.fit(problem()).partial_fit(problem())
    assert model.n_samples_seen_ == 1200.0


def test_an_error_in_the_first_batch_leaves_nothing():
    for name in ESTIMATORS:
        model = make(name)
        before = state(model)
        with pytest.raises(ValueError, match="NaN"):
            model.partial_fit(np.full((5, 3), np.nan))
        assert state(model) == before


def test_names_of_features_are_those_of_the_first_batch():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(problem(), columns=["a", "b", "c"])
    model = make("full").partial_fit(frame[:20]).partial_fit(frame[20:])
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert_same_bits(model.to_parameters(), make("full").fit(frame).to_parameters())
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame.rename(columns={"a": "z"}))


def test_batches_may_be_overwritten_by_the_caller():
    X, buffer = problem(), np.empty((50, 3))
    model = make("full")
    for start in range(0, 600, 50):
        buffer[:] = X[start : start + 50]
        model.partial_fit(buffer)
    assert_same_bits(model.to_parameters(), stream(make("full"), X, 50).to_parameters())


def test_a_component_that_collapses_warns_once():
    X = np.concatenate([np.ones((50, 2)), np.random.default_rng(0).normal(size=(200, 2)) + 99.0])
    model = GaussianMixture.from_parameters(
        [0.5, 0.5], [[1.0, 1.0], [99.0, 99.0]], [[1.0, 1.0]] * 2, covariance_type="diag",
        reg_covar=0.0, step_sizes=em.StepSizes(offset=1.0, step_weight=1.0),
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match=r"component\(s\) 0 was not positive") as caught:
        model.partial_fit(X)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.collapsed_ == {0: 1}
    model.partial_fit(X)
    np.testing.assert_array_equal(model.covariances_[0], [1.0, 1.0])


def test_weights_can_be_routed():
    with config_context(enable_metadata_routing=True):
        for name in ESTIMATORS:
            model = make(name).set_partial_fit_request(sample_weight=True)
            assert model.get_metadata_routing().partial_fit.requests == {"sample_weight": True}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"exponent": 0.5}, "exponent should be above 0.5 and at most 1, got 0.5."),
        ({"offset": 0.5}, "offset should be at least 1 and finite, got 0.5."),
        ({"step_weight": 0.0}, "step_weight should be None, or positive and finite, got 0.0."),
        ({"half_life": np.inf}, "half_life should be None, or positive and finite, got inf."),
        ({"half_life": np.nan}, "half_life should be None, or positive and finite, got nan."),
    ],
)
def test_bad_step_sizes(options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        em.StepSizes(**options)
    assert str(caught.value) == message


def test_step_sizes_need_a_weight_of_a_step():
    with pytest.raises(ValueError, match="step_weight should be a number here, got None"):
        em.StepSizes().of_batch(1.0, 0.0)


# drift and accuracy


def distances_on_a_circle(step_sizes):
    """Return the largest distance of a mean from its place after each batch of a full turn."""
    rng, n, size = np.random.default_rng(0), 20_000, 100
    model, distances = GaussianMixture(3, random_state=0, step_sizes=step_sizes), []
    for start in range(0, n, size):
        angles = 2.0 * np.pi * (np.arange(3) / 3 + start / n)
        places = 5.0 * np.column_stack([np.cos(angles), np.sin(angles)])
        model.partial_fit(places[rng.integers(3, size=size)] + rng.normal(size=(size, 2)))
        gaps = np.linalg.norm(model.means_[:, np.newaxis] - places, axis=2)
        distances.append(max(gaps.min(axis=0).max(), gaps.min(axis=1).max()))
    return np.array(distances)


def test_a_mixture_that_moves_is_followed():
    """The mean age of what is remembered is h / ln 2, in which the means move 0.57."""
    followed = distances_on_a_circle(em.StepSizes(half_life=250.0))
    lag = 250.0 / np.log(2.0) * 2.0 * np.pi * 5.0 / 20_000
    assert followed[10:].max() < 0.8
    assert followed[100:].mean() == pytest.approx(lag, abs=0.1)
    assert distances_on_a_circle(None)[10:].max() > 4.0


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.filterwarnings("ignore:Component.s. .* have fewer samples")  # of a start
def test_one_pass_over_the_patches_is_within_two_tenths_of_batch_em():
    """In nats a sample, of the mean of three fits; three passes are within 0.05.

    With all sizes of batches in one test, which two processes do not share: the three fits take
    longer than any stream.
    """
    pytest.importorskip("PIL")
    patches = load_sample("patches")
    fits = (GaussianMixture(32, random_state=seed).fit(patches) for seed in range(3))
    batch_score = np.mean([fit.score(patches) for fit in fits])
    for seed, size in enumerate((4096, 1000, 16_384)):
        rng, model = np.random.default_rng(seed), GaussianMixture(32, random_state=seed)
        scores = []
        for _ in range(3):
            stream(model, patches[rng.permutation(len(patches))], size)
            scores.append(model.score(patches))
        assert scores[0] > batch_score - 0.2, size
        assert scores[2] > batch_score - 0.05, size
