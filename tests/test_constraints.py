"""Fixed components, priors and floors of covariances: what EM does under constraints."""

from pathlib import Path

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using
from generators import COVARIANCE_TYPES, SHARED, dense, draw, mixture, sample_weights
from scipy.special import logsumexp
from scipy.stats import dirichlet, invgamma, invwishart, multivariate_normal

from fastgmm import GaussianMixture, em
from fastgmm.persistence import load, save

K, D, N = 4, 3, 600
FAITHFUL = np.loadtxt(Path(__file__).parent / "data" / "faithful.csv", delimiter=",", skiprows=1)
each_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def data(covariance_type="full", n=N):
    return draw(mixture(covariance_type, K, D, seed=2), n)


def start_of(covariance_type):
    return mixture(covariance_type, K, D, seed=1)


def prior_of(covariance_type, **changes):
    """Return a prior that pulls hard, in the shape of one covariance."""
    matrix = np.array([[2.0, 0.5, 0.0], [0.5, 1.5, 0.2], [0.0, 0.2, 3.0]])
    scale = {"full": matrix, "tied": matrix, "diag": np.array([2.0, 1.5, 3.0])}
    numbers = {
        "weight_concentration": np.array([1.0, 3.0, 2.0, 8.0]),
        "mean": np.array([0.5, -1.0, 2.0]),
        "mean_precision": 7.0,
        "degrees_of_freedom": 9.0,
        "covariance": scale.get(covariance_type, 2.5),
    }
    return em.NormalInverseWishartPrior(**(numbers | changes))


def fit(X, start, max_iter=25, **options):
    options = {"reg_covar": 0.0} | options
    weight = options.pop("sample_weight", None)
    update = em.ClosedForm(**options)
    return em.fit(
        X, start, sample_weight=weight, update=update, convergence=em.Never(), max_iter=max_iter
    )


def assert_never_falls(bounds):
    assert (np.diff(bounds) >= -1e-12 * np.abs(bounds[:-1])).all()
    assert bounds[-1] > bounds[0]


# maximum a posteriori


def log_prior(covariance_type, prior, weights, means, covariances):
    """Return the log-density with its constants, by SciPy."""
    matrices = covariance_type in ("full", "tied")
    shared = covariance_type in SHARED
    total = dirichlet.logpdf(weights / weights.sum(), prior.weight_concentration)
    for k in range(1 if shared else K):
        if matrices:
            total += invwishart.logpdf(covariances[k], prior.degrees_of_freedom, prior.covariance)
            continue
        variances = (
            np.diagonal(covariances[k]) if covariance_type == "diag" else covariances[k, 0, 0]
        )
        half = 0.5 * np.asarray(prior.covariance)
        total += invgamma.logpdf(variances, 0.5 * prior.degrees_of_freedom, scale=half).sum()
    for mean, covariance in zip(means, covariances, strict=True):
        total += multivariate_normal(prior.mean, covariance / prior.mean_precision).logpdf(mean)
    return total


def map_covariances(covariance_type, prior, nk, S):
    """Return matrices from scatters that hold the deviations of means from the prior's."""
    nu, scale, n = prior.degrees_of_freedom, prior.covariance, nk.sum()
    if covariance_type == "full":
        return np.stack([(scale + S[k]) / (nu + nk[k] + D + 2) for k in range(K)])
    if covariance_type == "tied":
        return np.stack([(scale + S.sum(axis=0)) / (nu + n + D + K + 1)] * K)
    if covariance_type == "diag":
        return np.stack([np.diag((scale + np.diagonal(S[k])) / (nu + nk[k] + 3)) for k in range(K)])
    traces = np.trace(S, axis1=1, axis2=2)
    if covariance_type == "spherical":
        variances = (scale + traces) / (nu + (nk + 1) * D + 2)
    else:
        variances = np.full(K, (scale + traces.sum()) / (nu + (n + K) * D + 2))
    return variances[:, None, None] * np.eye(D)


def plain_map_em(X, s, covariance_type, prior, start, n_iter):
    """Return weights, means, matrices and objectives, by loops over components."""
    w, means, matrices = start.weights, start.means, dense(start).copy()
    kappa, m = prior.mean_precision, prior.mean
    n, objectives = s.sum(), []
    for _ in range(n_iter):
        log_joint = np.stack(
            [np.log(w[k]) + multivariate_normal(means[k], matrices[k]).logpdf(X) for k in range(K)],
            axis=1,
        )
        norm = logsumexp(log_joint, axis=1)
        objectives.append(s @ norm + log_prior(covariance_type, prior, w, means, matrices))
        r = s[:, None] * np.exp(log_joint - norm[:, None])
        nk = r.sum(axis=0)
        a = prior.weight_concentration - 1.0
        w = (nk + a) / (n + a.sum())
        means = np.stack([(r[:, k] @ X + kappa * m) / (nk[k] + kappa) for k in range(K)])
        S = np.stack(
            [
                (r[:, k, None] * (X - means[k])).T @ (X - means[k])
                + kappa * np.outer(means[k] - m, means[k] - m)
                for k in range(K)
            ]
        )
        matrices = map_covariances(covariance_type, prior, nk, S)
    return w, means, matrices, np.array(objectives)


@each_variant
@each_type
def test_maximum_a_posteriori_is_the_plain_one(variant, covariance_type):
    """Fraley and Raftery (2007), table 2; the objective differs by a constant."""
    skip_without(variant)
    X, start, prior = data(), start_of(covariance_type), prior_of(covariance_type)
    s = sample_weights(N)
    with using(variant):
        result = fit(X, start, 12, prior=prior, sample_weight=s)
    w, means, matrices, objectives = plain_map_em(X, s, covariance_type, prior, start, 12)
    np.testing.assert_allclose(result.parameters.weights, w, rtol=1e-10)
    np.testing.assert_allclose(result.parameters.means, means, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(dense(result.parameters), matrices, rtol=1e-10, atol=1e-10)
    bounds = np.array(result.lower_bounds)
    np.testing.assert_allclose(s.sum() * np.diff(bounds), np.diff(objectives), rtol=0, atol=1e-8)


PARTS = {
    "all": {},
    "weights": {
        "mean": None,
        "mean_precision": 0.0,
        "degrees_of_freedom": None,
        "covariance": None,
    },
    "means": {"weight_concentration": 1.0, "degrees_of_freedom": None, "covariance": None},
    "covariances": {"weight_concentration": 1.0, "mean": None, "mean_precision": 0.0},
}


@each_type
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("fixed", [(), ("weights",), ("means",), ("covariances",)])
def test_the_penalised_likelihood_never_falls(covariance_type, part, fixed):
    prior = prior_of(covariance_type, **PARTS[part])
    result = fit(data(), start_of(covariance_type), 40, prior=prior, fixed=fixed)
    assert_never_falls(np.array(result.lower_bounds))


@each_type
def test_a_prior_that_weighs_nothing_is_maximum_likelihood(covariance_type):
    X, start = data(), start_of(covariance_type)
    flat = fit(X, start, prior=em.NormalInverseWishartPrior())
    plain = fit(X, start)
    np.testing.assert_allclose(flat.parameters.means, plain.parameters.means, rtol=1e-12)
    np.testing.assert_allclose(flat.lower_bounds, plain.lower_bounds, rtol=1e-12)


@each_type
def test_the_default_prior_of_mclust(covariance_type):
    """Its numbers, and that it keeps more components than points can carry from collapsing."""
    samples = em.Samples(FAITHFUL)
    prior = em.NormalInverseWishartPrior.mclust(samples, covariance_type, 5)
    S = np.cov(FAITHFUL.T)
    scale = S if covariance_type in ("full", "tied") else np.trace(S) / 2
    np.testing.assert_allclose(
        prior.covariance, np.asarray(scale) / 5 * np.ones_like(prior.covariance), rtol=1e-12
    )
    np.testing.assert_allclose(prior.mean, FAITHFUL.mean(axis=0), rtol=1e-12)
    assert (prior.mean_precision, prior.degrees_of_freedom) == (0.01, 4.0)
    assert prior.weight_concentration == 1.0
    model = GaussianMixture(
        5, covariance_type=covariance_type, prior="mclust", reg_covar=0.0, random_state=0,
        max_iter=1000,
    ).fit(FAITHFUL)  # fmt: skip
    assert_never_falls(np.array(model.lower_bounds_))
    assert model.collapsed_ == {}
    by_name = fit(FAITHFUL, model.to_parameters(), 3, prior="mclust").lower_bounds
    given = fit(FAITHFUL, model.to_parameters(), 3, prior=prior).lower_bounds
    assert by_name == given


def test_a_component_without_samples_goes_to_the_mode_of_its_prior():
    prior = prior_of("full")
    start = em.MixtureParameters.from_covariances(
        "full", np.full(K, 1 / K), np.vstack([np.zeros((3, D)), np.full(D, 1e4)]), [np.eye(D)] * K
    )
    last = fit(data(), start, 1, prior=prior).parameters
    np.testing.assert_allclose(last.means[3], prior.mean, rtol=1e-12)
    np.testing.assert_allclose(last.covariances[3], prior.covariance / (9 + D + 2), atol=1e-9)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"weight_concentration": 0.5}, "weight_concentration should be finite and at least 1,"),
        ({"weight_concentration": [2.0]}, r"'weight_concentration' should have the shape"),
        ({"mean": None}, "mean goes with a positive mean_precision, got mean=None and"),
        ({"mean_precision": -1.0}, "mean_precision should be finite and at least 0, got -1.0"),
        ({"mean": [1.0]}, r"'mean' should have the shape of \(3,\), but got \(1,\)"),
        ({"degrees_of_freedom": None}, "covariance goes with degrees_of_freedom, got covariance="),
        ({"degrees_of_freedom": 2.0}, "degrees_of_freedom should be greater than 2, got 2.0"),
        ({"covariance": np.eye(2)}, r"'covariance' should have the shape of \(3, 3\)"),
        ({"covariance": -np.eye(3)}, "'covariance' should be symmetric and positive definite"),
    ],
)  # fmt: skip
def test_bad_priors(changes, message):
    with pytest.raises(ValueError, match=message):
        fit(data(), start_of("full"), prior=prior_of("full", **changes))
    with pytest.raises(ValueError, match=message):
        GaussianMixture(K, prior=prior_of("full", **changes)).fit(data())


def test_a_prior_of_another_name():
    with pytest.raises(ValueError, match=r"prior should be None, 'mclust' or an em.*'flat'"):
        fit(data(), start_of("full"), prior="flat")


# fixed components


@each_type
@pytest.mark.parametrize("components", [[0, 2], np.array([True, False, True, False])])
@pytest.mark.parametrize("prior", [False, True])
def test_fixed_components_keep_every_bit(covariance_type, components, prior):
    fixed = ("covariances",) if covariance_type in SHARED else ()
    start, X = start_of(covariance_type), data()
    options = {"prior": prior_of(covariance_type)} if prior else {}
    result = fit(X, start, fixed_components=components, fixed=fixed, **options)
    assert_never_falls(np.array(result.lower_bounds))
    last = result.parameters
    for name in ("weights", "means") if fixed else ("weights", "means", "covariances"):
        old, new = getattr(start, name), getattr(last, name)
        assert np.array_equal(new[[0, 2]], old[[0, 2]])
        assert not np.array_equal(new[[1, 3]], old[[1, 3]])
    assert last.weights.sum() == pytest.approx(1.0, abs=1e-15)


def test_the_others_share_the_rest_in_closed_form():
    """One step beside a plain one."""
    X, start = data(), start_of("full")
    joint = np.stack(
        [start.weights[k] * multivariate_normal(start.means[k], start.covariances[k]).pdf(X)
         for k in range(K)], axis=1)  # fmt: skip
    nk = (joint / joint.sum(axis=1, keepdims=True)).sum(axis=0)
    last = fit(X, start, 1, fixed_components=[1]).parameters
    free = [0, 2, 3]
    expected = (1 - start.weights[1]) * nk[free] / nk[free].sum()
    np.testing.assert_allclose(last.weights[free], expected, rtol=1e-12)
    np.testing.assert_allclose(
        last.means[free], fit(X, start, 1).parameters.means[free], rtol=1e-12
    )


def test_a_known_component_of_the_estimator():
    X, truth = data(n=4000), mixture("full", K, D, seed=2)
    model = GaussianMixture(
        K,
        fixed_components=[3],
        weights_init=truth.weights,
        means_init=truth.means,
        covariances_init=truth.covariances,
        reg_covar=0.0,
    ).fit(X)
    assert model.weights_[3] == truth.weights[3]
    np.testing.assert_array_equal(model.covariances_[3], truth.covariances[3])
    free = 2 + 3 * D + 3 * D * (D + 1) // 2
    expected = free * np.log(4000) - 2 * 4000 * model.score(X)
    assert model.bic(X) == pytest.approx(expected, rel=1e-13)
    again = GaussianMixture.from_parameters(
        model.weights_, model.means_, model.covariances_, warm_start=True, fixed_components=[0]
    ).fit(X)
    assert again.weights_[0] == model.weights_[0]


@each_type
def test_fixed_means_get_the_covariances_about_them(covariance_type):
    X, start = data(), start_of(covariance_type)
    last = fit(X, start, 1, fixed=("means", "weights")).parameters
    joint = np.stack(
        [start.weights[k] * multivariate_normal(start.means[k], dense(start)[k]).pdf(X)
         for k in range(K)], axis=1)  # fmt: skip
    r = joint / joint.sum(axis=1, keepdims=True)
    S = np.einsum("nk,nkd,nke->kde", r, X[:, None] - start.means, X[:, None] - start.means)
    if covariance_type in SHARED:
        S, r = np.repeat(S.sum(axis=0, keepdims=True), K, axis=0), np.full((1, K), N)
    expected = S / r.sum(axis=0)[:, None, None]
    if covariance_type == "diag":
        expected = expected * np.eye(D)
    elif "spherical" in covariance_type:
        expected = np.trace(expected, axis1=1, axis2=2)[:, None, None] / D * np.eye(D)
    np.testing.assert_array_equal(last.means, start.means)
    np.testing.assert_allclose(dense(last), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("covariance_type", SHARED)
def test_a_shared_covariance_is_fixed_for_all_or_for_none(covariance_type):
    message = (
        f"fixed_components does not go with covariance_type='{covariance_type}', where components "
        "share a covariance, unless fixed holds 'covariances'."
    )
    with pytest.raises(ValueError, match="fixed_components does not go") as error:
        fit(data(), start_of(covariance_type), fixed_components=[0])
    assert str(error.value) == message
    with pytest.raises(ValueError, match="fixed_components does not go") as error:
        GaussianMixture(K, covariance_type=covariance_type, fixed_components=[0]).fit(data())
    assert str(error.value) == message


@pytest.mark.parametrize(
    "bad", [[4], [-1], [0.5], "weights", [True, False], [[0]], [[], [0]], [True] * 5]
)
def test_bad_fixed_components(bad):
    message = "fixed_components should hold components from 0 to 3, or be a mask of 4 bools, got "
    with pytest.raises(ValueError, match=message) as error:
        fit(data(), start_of("full"), fixed_components=bad)
    assert str(error.value) == f"{message}{bad!r}."


@pytest.mark.parametrize(
    "options, message",
    [
        ({"fixed_components": [0]}, "fixed_components holds components, so weights_init should be"),
        ({"prior": "mclust", "acceleration": "subsample"},
         "acceleration='subsample' needs prior=None, got 'mclust'."),
        ({"covariance_floor": 0.1, "acceleration": "quasi-newton"},
         "acceleration='quasi-newton' needs covariance_floor=0.0, got 0.1."),
        ({"fixed_components": [1], "acceleration": "split-merge"},
         r"acceleration='split-merge' needs fixed_components=\(\), got \[1\]."),
        ({"covariance_floor": [1.0, 1.0]},
         r"covariance_floor should be one number or have the shape of \(3,\), got \(2,\)."),
        ({"covariance_floor": [1.0, 0.0, 1.0]}, "covariance_floor should be positive for each"),
    ],
)  # fmt: skip
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture(K, **options).fit(data())


def test_quasi_newton_refuses_constraints():
    for options in ({"prior": "mclust"}, {"covariance_floor": 1.0}, {"fixed_components": [0]}):
        with pytest.raises(ValueError, match="acceleration QuasiNewton needs an update that"):
            em.fit(
                data(),
                start_of("full"),
                update=em.ClosedForm(**options),
                acceleration=em.QuasiNewton(),
            )


# a floor of covariances


@each_type
@pytest.mark.parametrize("floor", [0.9, np.array([0.3, 1.0, 0.05])], ids=["number", "features"])
def test_no_covariance_is_below_the_floor(covariance_type, floor):
    X, start = data(), start_of(covariance_type)
    lifted = fit(X, start, 1, covariance_floor=floor).parameters  # a start that has the floor
    result = fit(X, lifted, 60, covariance_floor=floor)
    assert_never_falls(np.array(result.lower_bounds))
    rest = dense(result.parameters) - np.diag(np.broadcast_to(floor, D))
    lowest = np.linalg.eigvalsh(rest)[:, 0]
    assert lowest.min() > -1e-12
    assert lowest.min() < 1e-6 or covariance_type in ("spherical", "tied-spherical", "tied")


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_the_floor_is_the_exact_maximum(covariance_type):
    """No other covariance above the floor has a larger Q; drawn at random about the maximum."""
    X, start, floor = data(), start_of(covariance_type), 0.9
    best = fit(X, start, 1, covariance_floor=floor).parameters
    free = fit(X, start, 1).parameters
    C, S = dense(free), dense(best)
    rng = np.random.default_rng(0)

    def q(matrices):
        return -np.linalg.slogdet(matrices)[1] - np.trace(
            np.linalg.solve(matrices, C), axis1=1, axis2=2
        )

    assert (S != C).any()
    for size in (1e-3, 0.1, 1.0):
        for _ in range(50):
            noise = size * rng.normal(size=(K, D, D))
            if covariance_type == "diag":
                noise *= np.eye(D)
            if covariance_type == "spherical":
                noise = noise[:, :1, :1] * np.eye(D)
            values, vectors = np.linalg.eigh(S + noise + noise.swapaxes(1, 2))
            others = (vectors * np.maximum(values, floor)[:, None]) @ vectors.swapaxes(1, 2)
            assert (q(others) <= q(S) + 1e-12).all()


def test_a_floor_by_feature_does_not_depend_on_units():
    units = np.array([1.0, 1e6, 1e-3])
    X, start = data(), start_of("full")
    scaled = em.MixtureParameters.from_covariances(
        "full", start.weights, start.means * units, start.covariances * np.outer(units, units)
    )
    floor = np.array([0.5, 0.7, 0.9])
    one = fit(X, start, 5, covariance_floor=floor).parameters.covariances
    other = fit(X * units, scaled, 5, covariance_floor=floor * units**2).parameters.covariances
    np.testing.assert_allclose(other / np.outer(units, units), one, rtol=1e-8)


def test_a_floor_relative_to_the_samples_keeps_points_apart_from_collapse():
    """Three points that repeat, on which components shrink to nothing."""
    X = np.repeat([[0.0, 0.0], [1.0, 2e6], [5.0, 1e6]], 20, axis=0)
    model = GaussianMixture(
        3, reg_covar=0.0, covariance_floor="auto", init_params=np.repeat([0, 1, 2], 20)
    ).fit(X)
    assert model.collapsed_ == {}
    expected = np.diag(1e-6 * X.var(axis=0, ddof=1))
    np.testing.assert_allclose(model.covariances_, [expected] * 3, rtol=1e-10)


def test_constraints_are_for_mixtures():
    class Coin(em.LatentVariableModel):
        latent = "discrete"

        def summarize(self, X, weight):
            return em.Sums(-1.0, weight.sum(), {})

        def update(self, sums):
            return self

    with pytest.raises(ValueError, match="prior and covariance_floor are for MixtureParameters, b"):
        em.fit(np.ones((3, 1)), Coin(), update=em.ClosedForm(prior="mclust"))


def test_constraints_are_saved(tmp_path):
    prior = prior_of("full")
    model = GaussianMixture(
        K, prior=prior, covariance_floor=[0.1, 0.2, 0.3], random_state=0, max_iter=500
    ).fit(data())
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.covariance_floor == [0.1, 0.2, 0.3]
    for name, value in vars(prior).items():
        np.testing.assert_array_equal(getattr(loaded.prior, name), value)
    assert loaded.bic(data()) == model.bic(data())
