"""Samples with missing values: exact EM, and all methods of a mixture that marginalises."""

import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using
from generators import COVARIANCE_TYPES, DTYPES, dense, draw, mixture, sample_weights
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import fastgmm
from fastgmm import GaussianMixture, em, load, save
from fastgmm.data.samples import Samples
from fastgmm.em.posteriors.exact import ExactPosterior

each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_variant = pytest.mark.parametrize("variant", VARIANTS)
NAN = float("nan")
FAITHFUL = np.loadtxt(Path(__file__).parent / "data/faithful.csv", delimiter=",", skiprows=1)


def with_gaps(X, share=0.2, seed=1):
    """Return X without a share of its values, missing at random."""
    gone = np.random.default_rng(seed).random(X.shape) < share
    return np.where(gone, X.dtype.type(np.nan), X)


def at(parameters, **options):
    """Return a mixture that marginalises, of given parameters."""
    options = {"missing": "marginalize", "reg_covar": 0.0, "warm_start": True, **options}
    return GaussianMixture.from_parameters(
        parameters.weights,
        parameters.means,
        parameters.covariances,
        covariance_type=parameters.covariance_type,
        **options,
    )


def fitted(model, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*arguments, **options)


def plain_e_step(X, weights, means, covariances):
    """Return log p(x, k), E[x | k] and E[x x^T | k] of each row, one row after the other."""
    (n, d), K = X.shape, len(weights)
    log_prob, first, second = np.empty((n, K)), np.empty((n, K, d)), np.empty((n, K, d, d))
    for i, x in enumerate(X):
        o = np.flatnonzero(~np.isnan(x))
        m = np.flatnonzero(np.isnan(x))
        for k in range(K):
            mu, S = means[k], covariances[k]
            log_prob[i, k] = np.log(weights[k])
            if len(o):
                log_prob[i, k] += multivariate_normal.logpdf(x[o], mu[o], S[np.ix_(o, o)])
            slope = S[np.ix_(m, o)] @ np.linalg.inv(S[np.ix_(o, o)])
            full = x.astype(float)
            full[m] = mu[m] + slope @ (x[o] - mu[o])
            first[i, k], second[i, k] = full, np.outer(full, full)
            second[i, k][np.ix_(m, m)] += S[np.ix_(m, m)] - slope @ S[np.ix_(o, m)]
    return log_prob, first, second


def plain_em(X, weight, covariance_type, weights, means, covariances, n_iter):
    """Run EM by the textbook; covariances are (K, d, d)."""
    bound, (K, d) = NAN, means.shape
    for _ in range(n_iter):
        log_prob, first, second = plain_e_step(X, weights, means, covariances)
        norm = logsumexp(log_prob, axis=1)
        bound = weight @ norm / weight.sum()
        r = weight[:, None] * np.exp(log_prob - norm[:, None])
        nk = r.sum(axis=0)
        weights, means = nk / nk.sum(), np.einsum("nk,nkd->kd", r, first) / nk[:, None]
        scatter = np.einsum("nk,nkde->kde", r, second)
        scatter -= nk[:, None, None] * means[:, :, None] * means[:, None, :]
        if covariance_type.startswith("tied"):
            scatter, nk = np.stack([scatter.sum(axis=0)] * K), np.full(K, nk.sum())
        covariances = scatter / nk[:, None, None]
        if covariance_type == "diag":
            covariances = covariances * np.eye(d)
        elif covariance_type.endswith("spherical"):
            variance = np.trace(covariances, axis1=1, axis2=2) / d
            covariances = variance[:, None, None] * np.eye(d)
    return bound, weights, means, covariances


def hard_case(covariance_type, n=150, d=4, K=3, dtype="float64"):
    """Return parameters, rows of many patterns and some that are blank, and weights."""
    parameters = mixture(covariance_type, K, d)
    X = with_gaps(draw(parameters, n, dtype), 0.35)
    X[7] = np.nan
    return parameters, X, sample_weights(n)


@each_variant
@each_dtype
@each_type
def test_one_iteration_is_that_of_the_textbook(covariance_type, dtype, variant):
    skip_without(variant)
    parameters, X, weight = hard_case(covariance_type, dtype=dtype)
    given = parameters.weights, parameters.means, dense(parameters)
    bound, *expected = plain_em(X.astype(float), weight, covariance_type, *given, 1)
    with using(variant):
        model = fitted(at(parameters, max_iter=1), X, sample_weight=weight)
    np.testing.assert_allclose(model.lower_bound_, bound, rtol=1e-11)
    got = model.weights_, model.means_, dense(model.to_parameters())
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@each_variant
@each_dtype
@each_type
def test_densities_are_marginal(covariance_type, dtype, variant):
    skip_without(variant)
    parameters, X, weight = hard_case(covariance_type, dtype=dtype)
    log_prob = plain_e_step(X.astype(float), *(parameters.weights, parameters.means),
                            dense(parameters))[0]  # fmt: skip
    norm = logsumexp(log_prob, axis=1)
    rtol = 1e-11 if dtype == "float64" else 1e-6
    model = at(parameters)
    model._samples_dtype = np.dtype(dtype)
    with using(variant):
        density, proba, labels = (
            getattr(model, name)(X) for name in ("score_samples", "predict_proba", "predict")
        )
        score = model.score(X, sample_weight=weight)
    assert density.dtype == proba.dtype == dtype
    np.testing.assert_allclose(density, norm, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(proba, np.exp(log_prob - norm[:, None]), rtol=0, atol=rtol)
    np.testing.assert_array_equal(labels, log_prob.argmax(axis=1))
    np.testing.assert_allclose(score, weight @ norm / weight.sum(), rtol=1e-11)
    # a row without any value has density 1, and the weights as responsibilities
    np.testing.assert_allclose(density[7], 0.0, atol=1e-6)
    np.testing.assert_allclose(proba[7], parameters.weights, rtol=1e-6)


@each_type
def test_out_takes_the_result(covariance_type):
    parameters, X, _ = hard_case(covariance_type)
    model = at(parameters)
    for name, shape in (("score_samples", 150), ("predict_proba", (150, 3)), ("predict", 150)):
        out = np.empty(shape, np.int64 if name == "predict" else np.float64)
        assert getattr(model, name)(X, out=out) is out
        np.testing.assert_array_equal(out, getattr(model, name)(X))


@cache
def faithful_without_50_values():
    """Return a table, a start and what plain EM makes of these."""
    X = FAITHFUL.copy()
    rng = np.random.default_rng(50)
    X.flat[rng.choice(X.size, 50, replace=False)] = np.nan
    means = np.array([[2.0, 54.0], [4.3, 80.0]])
    covariances = np.stack([np.diag([0.1, 35.0])] * 2)
    start = np.array([0.5, 0.5]), means, covariances
    return X, start, plain_em(X, np.ones(len(X)), "full", *start, 25)


@each_variant
def test_faithful_without_50_values(variant):
    """An independent EM in NumPy, to 1e-8."""
    skip_without(variant)
    X, (half, means, covariances), expected = faithful_without_50_values()
    start = GaussianMixture.from_parameters(
        half, means, covariances, missing="marginalize", warm_start=True, reg_covar=0.0,
        tol=0.0, max_iter=25,
    )  # fmt: skip
    with using(variant):
        model = fitted(start, X)
    assert model.n_iter_ == 25
    got = model.lower_bound_, model.weights_, model.means_, model.covariances_
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8)


@each_type
def test_likelihood_never_falls(covariance_type):
    for seed in range(3):
        parameters = mixture(covariance_type, 3, 5, seed=seed)
        X = with_gaps(draw(parameters, 300, seed=seed), 0.15 * (seed + 1), seed)
        model = GaussianMixture(
            3, covariance_type=covariance_type, missing="marginalize", random_state=seed,
            reg_covar=0.0, tol=0.0, max_iter=40, init_params="random",
        )  # fmt: skip
        fitted(model, X, sample_weight=sample_weights(300) if seed else None)
        assert np.diff(model.lower_bounds_).min() > -1e-12


@each_variant
@pytest.mark.parametrize("covariance_type", ["full", "tied"])
def test_each_row_has_gaps_of_its_own(covariance_type, variant):
    """All patterns of seven features but the blank one, each once, in any order."""
    skip_without(variant)
    parameters = mixture(covariance_type, 2, 7)
    order = np.random.default_rng(0).permutation(127)
    gone = (order[:, None] >> np.arange(7)) & 1 > 0
    X = np.where(gone, np.nan, draw(parameters, 127))
    assert len(np.unique(np.isnan(X), axis=0)) == 127
    given = parameters.weights, parameters.means, dense(parameters)
    bound, *expected = plain_em(X, np.ones(127), covariance_type, *given, 1)
    with using(variant):
        model = fitted(at(parameters, max_iter=1), X)
    np.testing.assert_allclose(model.lower_bound_, bound, rtol=1e-11)
    got = model.weights_, model.means_, dense(model.to_parameters())
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@each_type
def test_prediction_of_a_row_does_not_depend_on_the_others(covariance_type):
    parameters, X, _ = hard_case(covariance_type, n=900)
    model = at(parameters)
    density, proba = model.score_samples(X), model.predict_proba(X)
    for rows in (slice(7, 8), slice(0, 50), slice(None, None, 3)):
        assert model.score_samples(X[rows]).tobytes() == density[rows].tobytes()
        assert model.predict_proba(X[rows]).tobytes() == proba[rows].tobytes()


def test_estimates_are_within_three_standard_errors():
    """Of a mixture of known parameters, with a fifth of all values missing at random.

    Standard errors are those of the complete samples of each component, which are smaller.
    """
    K, d, n = 3, 4, 40_000
    truth = mixture("full", K, d, scenario="apart")
    X = with_gaps(draw(truth, n), 0.2)
    model = GaussianMixture(K, missing="marginalize", random_state=0, reg_covar=0.0, tol=1e-8)
    model.set_params(max_iter=500).fit(X)
    order = [int(np.argmin(((model.means_ - mean) ** 2).sum(axis=1))) for mean in truth.means]
    weights, means, covariances = (
        getattr(model, name)[order] for name in ("weights_", "means_", "covariances_")
    )
    # of the values that are there
    nk = 0.8 * n * truth.weights
    variances = np.diagonal(truth.covariances, axis1=1, axis2=2)
    error = np.sqrt(truth.weights * (1 - truth.weights) / n)
    assert (np.abs(weights - truth.weights) < 3 * error).all()
    assert (np.abs(means - truth.means) < 3 * np.sqrt(variances / nk[:, None])).all()
    products = variances[:, :, None] * variances[:, None, :] + truth.covariances**2
    # both values of a pair are there in 64 of 100 samples
    error = np.sqrt(products / (0.64 * n * truth.weights)[:, None, None])
    assert (np.abs(covariances - truth.covariances) < 3 * error).all()


@each_dtype
@each_type
def test_without_gaps_no_bit_changes(covariance_type, dtype):
    parameters = mixture(covariance_type, 3, 4)
    X = draw(parameters, 3000, dtype)
    one, other = (
        fitted(GaussianMixture(3, covariance_type=covariance_type, missing=missing,
                               random_state=0, reg_covar="auto"), X)
        for missing in ("error", "marginalize")
    )  # fmt: skip
    assert one.lower_bounds_ == other.lower_bounds_
    for name in ("weights_", "means_", "covariances_"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()
    assert one.score_samples(X).tobytes() == other.score_samples(X).tobytes()
    assert one.predict_proba(X).tobytes() == other.predict_proba(X).tobytes()


def test_off_unless_asked_for():
    X = np.array([[0.0, 1.0], [NAN, 2.0], [1.0, 3.0]])
    assert GaussianMixture().missing == "error"
    with pytest.raises(ValueError, match=r"NaN, first in row 1, feature 0.*missing='marginalize'"):
        GaussianMixture().fit(X)
    model = GaussianMixture(missing="marginalize").fit(X)
    model.missing = "error"
    with pytest.raises(ValueError, match=r"missing='marginalize'"):
        model.predict(X)
    with pytest.raises(ValueError, match=r"'missing' parameter .* Got 'drop'"):
        GaussianMixture(missing="drop").fit(X)


def test_what_is_refused():
    X = with_gaps(draw(mixture("full", 2, 3), 200))
    model = GaussianMixture(2, missing="marginalize", random_state=0)
    infinite = X.copy()
    infinite[5, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity or a value too large.*row 5, feature 1"):
        model.fit(infinite)
    unseen = X.copy()
    unseen[:, 2] = np.nan
    with pytest.raises(ValueError, match="all of feature 2 are missing"):
        model.fit(unseen)
    with pytest.raises(ValueError, match=r"n_samples = 1 with a value"):
        model.fit(np.array([[NAN, NAN], [1.0, 2.0], [NAN, NAN]]))
    with pytest.raises(ValueError, match="split-merge' needs samples without missing"):
        GaussianMixture(2, missing="marginalize", acceleration="split-merge").fit(X)
    model.fit(X)
    needs = "needs samples without missing values. GaussianMixture.impute fills the gaps"
    with pytest.raises(ValueError, match=f"^mahalanobis {needs}"):
        model.mahalanobis(X)
    with pytest.raises(ValueError, match=f"^outlier_score {needs}"):
        model.outlier_score(X)
    with pytest.raises(ValueError, match=f"^elbo {needs}"):
        fastgmm.elbo(model, X, model.predict_proba(X))
    for refusing in (fastgmm.BayesianGaussianMixture(n_components=2), fastgmm.SoftKMeans(2)):
        with pytest.raises(ValueError, match=r"NaN, first in .*GaussianMixture\(missing="):
            refusing.fit(X)


@pytest.mark.parametrize("init_params", ["auto", "tree", "kmeans", "random_from_data"])
@each_type
def test_every_start(covariance_type, init_params):
    truth = mixture(covariance_type, 3, 4, scenario="apart")
    X = with_gaps(draw(truth, 2000), 0.1)
    X[:50] = np.nan
    model = GaussianMixture(
        3, covariance_type=covariance_type, missing="marginalize", init_params=init_params,
        random_state=0, n_init=1 if init_params in ("auto", "kmeans") else 10,
    ).fit(X)  # fmt: skip
    assert model.score(X) > at(truth).score(X) - 1e-3


def test_a_feature_that_few_rows_have():
    """Most rows that the start is found on lack it; they are joined by some that have it."""
    X = draw(mixture("full", 2, 3, scenario="apart"), 20_000)
    X[10:, 2] = np.nan
    model = GaussianMixture(2, missing="marginalize", random_state=0, reg_covar="auto").fit(X)
    values = X[:10, 2]
    error = values.std(ddof=1) / np.sqrt(10)
    assert abs(model.weights_ @ model.means_[:, 2] - values.mean()) < 3 * error


def test_first_guess_follows_regressions():
    """A start by means in place of the gaps would be 25 clusters of rows with the same gap."""
    from fastgmm.init.filling import filled_rows

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 2)) @ np.array([[1.0, 0.99], [0.0, 0.14]])
    gaps = X.copy()
    gaps[rng.random(2000) < 0.4, 1] = np.nan
    filled = filled_rows(Samples(gaps, with_missing=True))
    error = np.sqrt(np.mean((filled - X)[np.isnan(gaps[:, 1]), 1] ** 2))
    assert error < 0.15


@pytest.mark.parametrize("acceleration", ["quasi-newton", "subsample"])
def test_accelerations(acceleration):
    X = with_gaps(draw(mixture("full", 3, 4), 3000), 0.2)
    model, plain = (
        GaussianMixture(3, missing="marginalize", acceleration=name, random_state=0, tol=1e-9)
        .set_params(max_iter=3000).fit(X) for name in (acceleration, None)
    )  # fmt: skip
    assert abs(model.score(X) - plain.score(X)) < 1e-4
    assert np.diff(model.lower_bounds_).min() > -1e-12


@each_variant
@each_type
def test_threads_change_no_bit(covariance_type, variant):
    skip_without(variant)
    parameters = mixture(covariance_type, 3, 5)
    X = with_gaps(draw(parameters, 9000), 0.3)
    with using(variant):
        one, *others = (
            fitted(at(parameters, max_iter=2, n_jobs=n_jobs), X) for n_jobs in (1, 2, 5)
        )
        densities = [model.score_samples(X).tobytes() for model in (one, *others)]
    for other in others:
        assert other.means_.tobytes() == one.means_.tobytes()
        assert other.covariances_.tobytes() == one.covariances_.tobytes()
    assert len(set(densities)) == 3 - len(others)


def test_weights_are_copies():
    parameters, X, _ = hard_case("full")
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = fitted(at(parameters, max_iter=3), X, sample_weight=counts)
    repeated = fitted(at(parameters, max_iter=3), np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-10)


def test_an_absent_row_may_hold_anything():
    parameters, X, weight = hard_case("full")
    weight[11] = 0.0
    quiet = fitted(at(parameters, max_iter=2), X, sample_weight=weight)
    X[11] = np.inf
    loud = fitted(at(parameters, max_iter=2), X, sample_weight=weight)
    np.testing.assert_allclose(loud.means_, quiet.means_, rtol=1e-12)


def test_order_of_rows_does_not_matter():
    parameters, X, weight = hard_case("full")
    order = np.random.default_rng(0).permutation(len(X))
    one = fitted(at(parameters, max_iter=2), X, sample_weight=weight)
    other = fitted(at(parameters, max_iter=2), X[order], sample_weight=weight[order])
    np.testing.assert_allclose(other.covariances_, one.covariances_, rtol=1e-11)
    assert at(parameters).predict(X)[order].tolist() == at(parameters).predict(X[order]).tolist()


def test_blank_rows_keep_what_they_have_no_part_in():
    """Rows without values leave the maximum where it is, and add nothing to the likelihood."""
    start = mixture("full", 2, 3, scenario="apart")
    X = with_gaps(draw(start, 500), 0.1)
    X = X[~np.isnan(X).all(axis=1)]
    blank = np.concatenate([X, np.full((300, 3), np.nan)])
    one, other = (at(start, tol=1e-12, max_iter=5000).fit(rows) for rows in (X, blank))
    np.testing.assert_allclose(other.covariances_, one.covariances_, rtol=1e-3)
    np.testing.assert_allclose(other.score(blank) * len(blank), other.score(X) * len(X), rtol=1e-12)


def test_data_frames_with_nulls():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    arrow = pytest.importorskip("pyarrow")
    X = with_gaps(draw(mixture("full", 2, 3), 300))
    columns = {name: [None if np.isnan(x) else x for x in column]
               for name, column in zip("abc", X.T.tolist(), strict=True)}  # fmt: skip
    options = {"missing": "marginalize", "random_state": 0}
    expected = GaussianMixture(2, **options).fit(X)
    nullable = pandas.DataFrame(columns, dtype="Float64")
    for frame in (pandas.DataFrame(columns), nullable, polars.DataFrame(columns),
                  arrow.table(columns)):  # fmt: skip
        model = GaussianMixture(2, **options).fit(frame)
        np.testing.assert_array_equal(model.means_, expected.means_)
        np.testing.assert_array_equal(model.predict(frame), expected.predict(X))
        np.testing.assert_array_equal(model.impute(frame), expected.impute(X))


@each_type
def test_impute_puts_expected_values(covariance_type):
    parameters, X, _ = hard_case(covariance_type)
    log_prob, first, _ = plain_e_step(X, parameters.weights, parameters.means, dense(parameters))
    r = np.exp(log_prob - logsumexp(log_prob, axis=1)[:, None])
    model = at(parameters, missing="error")
    filled = model.impute(X)
    np.testing.assert_allclose(filled, np.einsum("nk,nkd->nd", r, first), rtol=1e-10)
    there = ~np.isnan(X)
    assert filled[there].tobytes() == X[there].tobytes()
    np.testing.assert_allclose(filled[7], parameters.weights @ parameters.means, rtol=1e-10)
    assert model.impute(X.astype(np.float32)).dtype == np.float32
    complete = draw(parameters, 20)
    assert model.impute(complete).tobytes() == complete.tobytes()


@each_type
def test_impute_draws_from_the_conditional_distribution(covariance_type):
    """Of one row, mean and covariance of 40,000 draws agree with those of the mixture."""
    parameters = mixture(covariance_type, 3, 4)
    x = draw(parameters, 1)[0]
    x[[0, 2]] = np.nan
    log_prob, first, second = plain_e_step(
        x[None], parameters.weights, parameters.means, dense(parameters)
    )
    r = np.exp(log_prob[0] - logsumexp(log_prob[0]))
    mean = r @ first[0]
    covariance = np.einsum("k,kde->de", r, second[0]) - np.outer(mean, mean)
    n = 40_000
    rows = np.tile(x, (n, 1))
    model = at(parameters, random_state=3)
    drawn = model.impute(rows, sample_posterior=True)
    np.testing.assert_array_equal(drawn[:, [1, 3]], rows[:, [1, 3]])
    error = np.sqrt(np.abs(np.diagonal(covariance)) / n)
    assert (np.abs(drawn.mean(axis=0) - mean) <= 4 * error + 1e-10).all()
    scale = n * np.outer(error, error)
    assert (np.abs(np.cov(drawn.T) - covariance) <= 0.05 * scale + 1e-12).all()
    np.testing.assert_array_equal(drawn, model.impute(rows, sample_posterior=True))
    other = model.impute(rows, sample_posterior=True, random_state=4)
    assert not np.array_equal(drawn, other)


def test_labels_of_the_fit_are_those_of_predict():
    X = with_gaps(draw(mixture("full", 2, 3), 300))
    model = GaussianMixture(2, missing="marginalize", random_state=0)
    np.testing.assert_array_equal(model.fit_predict(X), model.predict(X))


def test_gradient_is_that_of_the_likelihood_of_what_is_there():
    parameters, X, weight = hard_case("full")
    gradient = fastgmm.log_likelihood_gradient(at(parameters), X, sample_weight=weight).means
    step = 1e-5
    for k, j in ((0, 0), (1, 2), (2, 3)):
        values = []
        for sign in (1, -1):
            means = parameters.means.copy()
            means[k, j] += sign * step
            moved = type(parameters).from_covariances(
                "full", parameters.weights, means, parameters.covariances
            )
            values.append(at(moved).score(X, sample_weight=weight) * weight.sum())
        np.testing.assert_allclose(gradient[k, j], (values[0] - values[1]) / (2 * step), rtol=1e-6)


def test_saved_models_know(tmp_path):
    X = with_gaps(draw(mixture("full", 2, 3), 300))
    model = GaussianMixture(2, missing="marginalize", random_state=0).fit(X)
    save(model, tmp_path / "m.npz")
    again = load(tmp_path / "m.npz")
    assert again.missing == "marginalize"
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_scikit_learn_is_told():
    from sklearn.utils import get_tags

    for missing, expected in (("error", False), ("marginalize", True)):
        assert get_tags(GaussianMixture(missing=missing)).input_tags.allow_nan is expected


def test_units_of_a_start_do_not_matter():
    X = with_gaps(draw(mixture("full", 3, 4, scenario="apart"), 1500), 0.2)
    units = np.array([1e-6, 1.0, 1e3, 1e9])
    one, other = (
        GaussianMixture(3, missing="marginalize", reg_covar="auto", random_state=0).fit(rows)
        for rows in (X, X * units)
    )
    np.testing.assert_array_equal(one.predict(X), other.predict(X * units))


def test_statistics_add_up_in_batches(monkeypatch):
    from fastgmm.data import gaps

    parameters, X, weight = hard_case("full", n=3000)
    whole, parts = Samples(X, weight, True), Samples(X, weight, True)
    expected = ExactPosterior(1).summarize(whole, parameters)
    monkeypatch.setattr(gaps, "_ELEMENTS", 1024)
    got = ExactPosterior(1).summarize(parts, parameters)
    for one, other in zip(got.moments, expected.moments, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_em_fit():
    parameters, X, weight = hard_case("full")
    model = fitted(at(parameters, max_iter=3, tol=0.0), X, sample_weight=weight)
    options = {"sample_weight": weight, "max_iter": 3, "convergence": em.LowerBoundChange(0.0)}
    options["update"] = em.ClosedForm(reg_covar=0.0)
    result = em.fit(X, parameters, missing="marginalize", **options)
    np.testing.assert_array_equal(result.parameters.means, model.means_)
    np.testing.assert_array_equal(result.predict_proba(X), model.predict_proba(X))
    assert result.score(X) == model.score(X)
    assert result.to_estimator().missing == "marginalize"
    np.testing.assert_array_equal(result.to_estimator().predict(X), model.predict(X))
    with pytest.raises(ValueError, match="contains NaN"):
        em.fit(X, parameters)
    with pytest.raises(ValueError, match=r"missing should be 'error' or 'marginalize', got 'drop'"):
        em.fit(X, parameters, missing="drop")
    message = "^missing='marginalize' needs posterior ExactPosterior, but got HardPosterior.$"
    with pytest.raises(ValueError, match=message):
        em.fit(X, parameters, posterior=em.HardPosterior(), missing="marginalize")


def test_select():
    """The types that have no units choose the same of gaps, in any units, and find the truth."""
    truth = mixture("full", 3, 3, scenario="apart")
    X = with_gaps(draw(truth, 1500), 0.2)
    units = np.array([1e-3, 1.0, 1e6])
    one, other, serial = (
        fastgmm.select(rows, range(1, 6), missing="marginalize", random_state=0, n_jobs=n_jobs)
        for rows, n_jobs in ((X, 2), (X * units, 2), (X, 1))
    )
    assert one.best[:2] == other.best[:2] == ("full", 3)
    assert [c.bic for c in one.candidates] == [c.bic for c in serial.candidates]
    model = one.best_estimator
    assert model.missing == "marginalize"
    assert one.best.bic == pytest.approx(model.bic(X))
    assert one.best.icl == pytest.approx(model.icl(X))
    held_out = fastgmm.select(X, [1, 3], "full", "held-out", missing="marginalize", random_state=0)
    assert held_out.best.n_components == 3


def test_pictures_and_tables_take_gaps():
    pytest.importorskip("matplotlib").use("agg")
    X = with_gaps(draw(mixture("full", 2, 3, scenario="apart"), 400), 0.1)
    model = GaussianMixture(2, missing="marginalize", random_state=0).fit(X)
    fastgmm.GaussianMixtureDisplay.from_estimator(model, X)
    fastgmm.ResponsibilityDisplay.from_estimator(model, X)
    sizes = model.to_frame(X)["size"]
    np.testing.assert_allclose(sizes.sort_index(), model.predict_proba(X).sum(axis=0))
    assert model.merge_components(X).predict(X).shape == (400,)


def test_given_starts_and_constraints():
    """Labels and responsibilities lead where a start by itself does; what is held is held."""
    truth = mixture("full", 2, 3, scenario="apart")
    X = with_gaps(draw(truth, 600), 0.2)
    own = GaussianMixture(2, missing="marginalize", random_state=0, tol=1e-6).fit(X)
    for start in (own.predict(X), own.predict_proba(X), lambda *_: own.predict(X)):
        model = GaussianMixture(2, missing="marginalize", init_params=start, tol=1e-6).fit(X)
        np.testing.assert_allclose(model.means_, own.means_, rtol=1e-2, atol=1e-2)
    held = at(truth, fixed=("means",)).fit(X)
    np.testing.assert_array_equal(held.means_, truth.means)
    with pytest.raises(ValueError, match=r"^prior='mclust' needs samples without missing values"):
        GaussianMixture(2, missing="marginalize", prior="mclust").fit(X)
