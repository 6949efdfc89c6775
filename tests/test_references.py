"""Exact numbers from other people's programs.

mclust (R) names the types VVV full, EEE tied, VVI diag, VII spherical, EII tied-spherical, and its
BIC is the negative of scikit-learn's. Published log-likelihoods are often not fully converged,
hence one-sided.
"""

from pathlib import Path

import numpy as np
import pytest
from generators import COVARIANCE_TYPES, em, hard_labels
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastgmm import GaussianMixture

FAITHFUL = np.loadtxt(Path(__file__).parent / "data" / "faithful.csv", delimiter=",", skiprows=1)
LONG = FAITHFUL[:, 0] > 3
IRIS, SPECIES = load_iris(return_X_y=True)

#: Spark's MLlib test set
SPARK = np.array([
    (-0.6264538, 0.1836433), (-0.8356286, 1.5952808), (0.3295078, -0.8204684),
    (0.4874291, 0.7383247), (0.5757814, -0.3053884), (1.5117812, 0.3898432),
    (-0.6212406, -2.2146999), (11.1249309, 9.9550664), (9.9838097, 10.9438362),
    (10.8212212, 10.5939013), (10.9189774, 10.7821363), (10.0745650, 8.0106483),
    (10.6198257, 9.9438713), (9.8442045, 8.5292476), (9.5218499, 10.4179416),
])  # fmt: skip
#: Spark's documentation: three pairs, so that full covariances are singular
PAIRS = np.array([
    (-0.1, -0.05), (-0.01, -0.1), (0.9, 0.8), (0.75, 0.935), (-0.83, -0.68), (-0.91, -0.76)
])  # fmt: skip

#: degrees of freedom, mclust's BIC, converged total log-likelihood
FAITHFUL_FITS = {
    "full": (11, -2322.192, -1130.2639602),
    "tied": (8, -2325.220, -1140.1867594),
    "diag": (9, -2346.065, -1147.8063525),
    "spherical": (7, -3458.305, -1709.5292822),
    "tied-spherical": (6, -3452.998, -1709.6813729),
}
IRIS_FITS = {
    "full": (44, -580.84, -180.1854771),
    "tied": (24, None, -256.3540431),
    "diag": (26, None, -306.8604605),
    "spherical": (17, None, -384.3140951),
    "tied-spherical": (15, -878.7650, -401.8021758),
}
#: total log-likelihood on Old Faithful after M steps 1 to 6, the first from eruptions <= 3 and > 3
TRAJECTORIES = {
    "full": (-1130.283182793, -1130.264923316, -1130.264014371,
             -1130.263963304, -1130.263960365, -1130.263960195),
    "tied": (-1140.234142296, -1140.187031023, -1140.186761064,
             -1140.186759447, -1140.186759437, -1140.186759437),
    "diag": (-1147.806761965, -1147.806353716, -1147.806352542,
             -1147.806352538, -1147.806352538, -1147.806352538),
    "spherical": (-1710.762198410, -1709.668246576, -1709.550435430,
                  -1709.532459089, -1709.529757577, -1709.529353247),
    "tied-spherical": (-1710.584659588, -1709.696833120, -1709.681781766,
                       -1709.681383884, -1709.681373242, -1709.681372958),
}  # fmt: skip


def from_labels(labels, covariance_type, X, **options):
    """Return an estimator that starts from hard labels, through its public parameters."""
    start = hard_labels(X, labels, covariance_type)
    return GaussianMixture(
        start.n_components,
        covariance_type=covariance_type,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=start.precisions,
        reg_covar=0.0,
        **options,
    )


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_faithful(covariance_type):
    df, published_bic, converged = FAITHFUL_FITS[covariance_type]
    model = from_labels(LONG.astype(int), covariance_type, FAITHFUL, tol=1e-13, max_iter=5000)
    model.fit(FAITHFUL)
    assert model.score(FAITHFUL) * len(FAITHFUL) == pytest.approx(converged, abs=2e-7)
    assert -model.bic(FAITHFUL) >= published_bic - 1e-3
    assert model.n_parameters_ == df


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_faithful_from_kmeans(covariance_type):
    _, published_bic, converged = FAITHFUL_FITS[covariance_type]
    model = GaussianMixture(
        2, covariance_type=covariance_type, random_state=0, tol=1e-13, max_iter=5000, reg_covar=0.0
    ).fit(FAITHFUL)
    assert model.score(FAITHFUL) * len(FAITHFUL) == pytest.approx(converged, abs=2e-7)
    assert -model.bic(FAITHFUL) >= published_bic - 1e-3


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_faithful_trajectory(covariance_type):
    expected = TRAJECTORIES[covariance_type]
    start = hard_labels(FAITHFUL, LONG.astype(int), covariance_type)
    actual = np.array(em(FAITHFUL, start, len(expected)).lower_bounds) * len(FAITHFUL)
    np.testing.assert_allclose(actual, expected, rtol=1e-7)
    # the numbers have nine decimals, and tell more than 1e-7 of the slower trajectories
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-9)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_faithful_trajectory_through_the_estimator(covariance_type):
    expected = TRAJECTORIES[covariance_type]
    bounds = []
    model = from_labels(LONG.astype(int), covariance_type, FAITHFUL, tol=0.0, max_iter=5)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        model.fit(FAITHFUL, callback=lambda iteration: bounds.append(iteration.lower_bound))
    # lower_bound_ belongs to the parameters before the last M step, score to those after
    assert bounds == model.lower_bounds_
    actual = np.array([*bounds, model.score(FAITHFUL)]) * len(FAITHFUL)
    np.testing.assert_allclose(actual, expected, rtol=1e-7)


def test_faithful_parameters():
    """The published ones are 2e-8 short of the fixed point, which the next test checks."""
    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    parameters = em(FAITHFUL, start, 500).parameters
    tolerance = {"rtol": 3e-8, "atol": 5e-9}
    np.testing.assert_allclose(parameters.weights, [0.35587286, 0.64412714], **tolerance)
    means = [[2.03638846, 54.47851639], [4.28966197, 79.96811519]]
    np.testing.assert_allclose(parameters.means, means, **tolerance)
    xx, xy, yy = 0.06916767, 0.43516763, 33.69728213
    np.testing.assert_allclose(parameters.covariances[0], [[xx, xy], [xy, yy]], **tolerance)
    xx, xy, yy = 0.16996843, 0.9406093, 36.04621114
    np.testing.assert_allclose(parameters.covariances[1], [[xx, xy], [xy, yy]], **tolerance)


def test_faithful_parameters_are_a_fixed_point():
    """One more iteration in plain NumPy and SciPy changes nothing."""
    start = hard_labels(FAITHFUL, LONG.astype(int), "full")
    parameters = em(FAITHFUL, start, 500).parameters
    weights, means, covariances = parameters.weights, parameters.means, parameters.covariances
    density = np.stack([
        weight * multivariate_normal(mean, covariance).pdf(FAITHFUL)
        for weight, mean, covariance in zip(weights, means, covariances, strict=True)
    ])  # fmt: skip
    resp = density / density.sum(axis=0)
    tolerance = {"rtol": 1e-10, "atol": 0}
    np.testing.assert_allclose(resp.mean(axis=1), weights, **tolerance)
    for r, mean, covariance in zip(resp, means, covariances, strict=True):
        np.testing.assert_allclose(np.average(FAITHFUL, axis=0, weights=r), mean, **tolerance)
        np.testing.assert_allclose(np.cov(FAITHFUL.T, aweights=r, ddof=0), covariance, **tolerance)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_iris(covariance_type):
    df, published_bic, converged = IRIS_FITS[covariance_type]
    model = from_labels(SPECIES, covariance_type, IRIS, tol=1e-13, max_iter=20_000).fit(IRIS)
    assert model.score(IRIS) * len(IRIS) == pytest.approx(converged, abs=2e-7)
    assert model.n_parameters_ == df
    if published_bic is not None:
        assert -model.bic(IRIS) >= published_bic - 1e-3


def test_spark():
    model = GaussianMixture(2, random_state=0, tol=1e-14, max_iter=5000, reg_covar=0.0).fit(SPARK)
    log_likelihood = model.score(SPARK) * len(SPARK)
    assert log_likelihood >= -46.89499 - 1e-3
    assert log_likelihood == pytest.approx(-46.8949932483, abs=2e-9)
    assert model.n_parameters_ == 11


@pytest.mark.filterwarnings("ignore:reg_covar=1e-06 makes up 100 %")
def test_scikit_learn_docstring_example():
    X = [[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]]
    model = GaussianMixture(2, random_state=0).fit(X)
    assert model.score(X) == pytest.approx(3.3863164055, abs=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_pairs_do_not_break_the_fit(covariance_type, reg_covar, init_params):
    for seed in range(5):
        model = GaussianMixture(
            3,
            covariance_type=covariance_type,
            init_params=init_params,
            reg_covar=reg_covar,
            random_state=seed,
        ).fit(PAIRS)
        for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
            assert np.isfinite(getattr(model, name)).all(), name
        assert model.weights_.sum() == pytest.approx(1.0, abs=1e-12)
        assert np.isfinite(model.score_samples(PAIRS)).all()
        assert np.isfinite(model.predict_proba(PAIRS)).all()
