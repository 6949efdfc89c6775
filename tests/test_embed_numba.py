"""Mixtures inside the user's ``@njit`` code, against the estimators and plain NumPy."""

import itertools
import pickle
import runpy
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from backends import skip_without
from generators import COVARIANCE_TYPES, dense, draw, mixture, sample_weights
from marks import slow, slow_alone

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.data.sample_data import load_sample
from fastgmm.em import ClosedForm, ExactPosterior, Samples

EXAMPLES = Path(__file__).parent.parent / "examples" / "embed" / "numba"
FAITHFUL = Path(__file__).parent / "data" / "faithful.csv"
N = 300  # more than a block of 256
FLOATS = ("log_density", "log_joint", "responsibilities", "mahalanobis")


@pytest.fixture(autouse=True)
def _numba():
    skip_without("numba")


def door():
    """Return the module, which needs Numba."""
    import fastgmm.embed.numba

    return fastgmm.embed.numba


@cache
def programs():
    """Return what a user might write: loops over points, and calls with blocks."""
    from numba import njit

    from fastgmm.embed import numba as embed

    @njit
    def points(model, X, weight, results, statistics, workspace):
        density, component, joint, resp, distances = results
        for i in range(len(X)):
            x = X[i]
            density[i] = embed.log_density(model, x, workspace)
            component[i] = embed.component(model, x, workspace)
            embed.log_joint(model, x, joint[i], workspace)
            embed.responsibilities(model, x, resp[i], workspace)
            embed.mahalanobis(model, x, distances[i], workspace)
            embed.accumulate(model, x, weight[i], statistics, workspace)

    @njit
    def blocks(model, X, weight, results, statistics, workspace):
        density, component, joint, resp, distances = results
        embed.log_density_block(model, X, density, workspace)
        embed.component_block(model, X, component, workspace)
        embed.log_joint_block(model, X, joint, workspace)
        embed.responsibilities_block(model, X, resp, workspace)
        embed.mahalanobis_block(model, X, distances, workspace)
        embed.accumulate_block(model, X, weight, statistics, workspace)

    return {"points": points, "blocks": blocks}


def empty_results(n, K):
    return (
        np.full(n, 7.0),
        np.full(n, 7, np.int64),
        *(np.full((n, K), 7.0) for _ in range(3)),
    )


def run(name, parameters, X, weight, model=None):
    """Run a program; return its results by name, with the statistics as a value."""
    embed = door()
    model = embed.to_numba(parameters) if model is None else model
    workspace = embed.new_workspace(model, 1 if name == "points" else 256)
    results, statistics = empty_results(len(X), len(model.means)), embed.new_statistics(model)
    programs()[name](model, X, weight, results, statistics, workspace)
    return SimpleNamespace(
        log_density=results[0],
        component=results[1],
        log_joint=results[2],
        responsibilities=results[3],
        mahalanobis=results[4],
        sums=statistics,
        statistics=embed.to_sufficient_statistics(model, statistics),
    )


def estimator_of(parameters):
    return GaussianMixture.from_parameters(
        parameters.weights,
        parameters.means,
        parameters.covariances,
        covariance_type=parameters.covariance_type,
    )


def close(actual, expected, rtol=1e-13):
    """Compare on the scale of the largest element."""
    expected = np.asarray(expected)
    scale = max(np.abs(expected).max(), np.finfo(float).tiny)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale)


def check_against_the_estimator(results, parameters, X, weight, rtol=1e-13):
    X = np.asarray(X, np.float64)
    estimator = estimator_of(parameters)
    density, resp = estimator.score_samples(X), estimator.predict_proba(X)
    close(results.log_density, density, rtol)
    close(results.responsibilities, resp, rtol)
    assert (results.component == estimator.predict(X)).all()
    z = X[:, np.newaxis] - parameters.means
    precisions = np.linalg.inv(dense(parameters))
    distances = np.einsum("nki,kij,nkj->nk", z, precisions, z)
    log_dets = np.linalg.slogdet(precisions)[1]
    d = X.shape[1]
    joint = np.log(parameters.weights) + 0.5 * (log_dets - distances - d * np.log(2 * np.pi))
    # inv has an error of its own
    close(results.mahalanobis, distances, 1e-12)
    close(results.log_joint, joint, 1e-12)
    check_statistics(results.statistics, parameters, z, weight, resp, density)


def check_statistics(statistics, parameters, z, weight, resp, density):
    w = weight[:, np.newaxis] * resp
    squares = np.einsum("nk,nki,nkj->kij", w, z, z)
    nk, first, second = statistics.moments
    close(nk, w.sum(axis=0), 1e-12)
    np.testing.assert_allclose(
        first, np.einsum("nk,nkj->kj", w, z), rtol=0, atol=1e-12 * np.abs(w[..., None] * z).sum()
    )
    diagonals = np.diagonal(squares, axis1=1, axis2=2)
    expected = {
        "full": squares,
        "tied": squares.sum(axis=0),
        "diag": diagonals,
        "spherical": diagonals.sum(axis=1),
    }[parameters.covariance_model.kernel_kind]
    assert statistics.covariance_type == parameters.covariance_type  # which the M step follows
    close(second, expected, 1e-12)
    close(statistics.log_likelihood, weight @ density, 1e-12)
    close(statistics.weight, weight.sum(), 1e-12)
    assert (statistics.centers == parameters.means).all()


def with_strides(X, weight):
    return np.repeat(X, 3, axis=1)[::-1, ::3], np.repeat(weight, 2)[::2]


def check(covariance_type, d, dtype="float64", strided=False, ks=(1, 3, 32), n=N):
    """Compare all results with the estimator's, for points and blocks."""
    for K in ks:
        parameters = mixture(covariance_type, K, d)
        X, weight = draw(parameters, n, dtype), sample_weights(n)
        if strided:
            X, weight = with_strides(X, weight)
        for name in programs():
            results = run(name, parameters, X, weight)
            check_against_the_estimator(results, parameters, X, weight)
            if not strided:  # one row is contiguous: another type, which would be compiled
                one = run(name, parameters, X[:1], weight[:1])
                check_against_the_estimator(one, parameters, X[:1], weight[:1])


#: covariance type, dtype, whether strided, features. Each line compiles all functions once, in 5 to
#: 10 s; so types, dtypes and strides are spread.
CASES = [
    ("full", "float64", False, (5,)),
    ("full", "float64", False, (16,)),
    ("diag", "float32", True, (5, 16)),
    ("tied", "float64", False, (1, 2)),
    ("spherical", "float32", True, (1, 2)),
]


@pytest.mark.parametrize("covariance_type, dtype, strided, features", slow(*CASES))
def test_agrees_with_the_estimator(covariance_type, dtype, strided, features):
    for d in features:
        check(covariance_type, d, dtype, strided)


def sample_cases(compiled, compiled_float32):
    """Return a case for every program, covariance type and dtype: one is quick, others are slow."""
    fast = [("points", compiled, "float64")]
    every = [
        *itertools.product(("points", "blocks"), COVARIANCE_TYPES, ["float64"]),
        ("blocks", compiled_float32, "float32"),
    ]
    cases = [*fast, *slow_alone(*(case for case in every if case not in fast))]
    return pytest.mark.parametrize("name, covariance_type, dtype", cases)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@sample_cases("full", "diag")
def test_patches(name, covariance_type, dtype):
    X = load_sample("patches")[::200].copy()  # contiguous: a type that other tests compile too
    estimator = GaussianMixture(
        8, covariance_type=covariance_type, max_iter=3, tol=0.0, random_state=0
    ).fit(X)
    check_sample(name, estimator, X, dtype)


@sample_cases("tied", "spherical")
def test_old_faithful(name, covariance_type, dtype):
    X = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    estimator = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    check_sample(name, estimator, X, dtype)


def check_sample(name, estimator, X, dtype):
    parameters, X, weight = estimator.to_parameters(), X.astype(dtype), np.ones(len(X))
    if dtype == "float32":  # types that CASES compile
        X, weight = with_strides(X, weight)
    results = run(name, parameters, X, weight, estimator.to_numba())
    check_against_the_estimator(results, parameters, X, weight)
    X = np.asarray(X, np.float64)
    close(results.mahalanobis, estimator.mahalanobis(X))
    expected = ExactPosterior(1).summarize(Samples(X), parameters)
    actual = results.statistics.moments
    close(actual.nk, expected.moments.nk, 1e-12)
    close(actual.second, expected.moments.second, 1e-12)
    # first moments are sums that cancel
    rounding = 1e-12 * np.abs(X - X.mean(axis=0)).sum()
    np.testing.assert_allclose(actual.first, expected.moments.first, rtol=0, atol=rounding)
    close(results.statistics.log_likelihood, expected.log_likelihood, 1e-12)


# what may be left out where it does not matter


@pytest.mark.parametrize("scenario", ["touching", "overlapping", "separated"])
@pytest.mark.parametrize("K, d", [(19, 17), (16, 30)])
def test_groups_of_components(scenario, K, d):
    """Rows of full factors that are left out, in three groups of components or two."""
    parameters = mixture("full", K, d, scenario=scenario)
    X, weight = draw(parameters, N), sample_weights(N)
    rtol = 1e-12 if scenario == "separated" else 1e-13
    check_against_the_estimator(run("points", parameters, X, weight), parameters, X, weight, rtol)


@pytest.mark.parametrize("name", ["points", "blocks"])
@pytest.mark.parametrize("K, d", [(3, 5), (9, 20)])
def test_points_too_far_for_float64(name, K, d):
    """Their responsibilities are equal, as the estimator's are."""
    parameters = mixture("full", K, d)
    X, weight = np.full((2, d), [[1e200], [-1e300]]), np.ones(2)
    results, estimator = run(name, parameters, X, weight), estimator_of(parameters)
    close(results.responsibilities, np.full((2, K), 1 / K))
    close(results.responsibilities, estimator.predict_proba(X))
    close(results.log_density, estimator.score_samples(X))
    assert (results.component == estimator.predict(X)).all()
    assert (results.mahalanobis == np.inf).all()
    close(results.statistics.moments.nk, np.full(K, 2 / K))


def test_no_points():
    X = np.empty((0, 5))
    assert (run("blocks", mixture("full", 3, 5), X, np.empty(0)).sums.sums == 0.0).all()


@pytest.mark.parametrize("scenario", ["overlapping", "separated", "far from zero", "small"])
def test_hard_mixtures(scenario):
    parameters = mixture("full", 3, 5, scenario=scenario)
    X = draw(parameters, N)
    estimator = estimator_of(parameters)
    for name in programs():
        results = run(name, parameters, X, np.ones(N))
        # the rounding of |mean| shows where it is 1e6 deviations
        rtol = 1e-9 if scenario == "far from zero" else 1e-13
        close(results.log_density, estimator.score_samples(X), rtol)
        assert (results.component == estimator.predict(X)).all()


# points that are not finite


@pytest.mark.parametrize(
    "name, covariance_type, d",
    [
        ("points", "full", 5),
        ("blocks", "full", 5),
        *slow(
            ("points", "diag", 5),
            ("points", "full", 2),
            ("blocks", "tied", 2),
            ("blocks", "full", 2),
            ("blocks", "diag", 5),
            ("blocks", "spherical", 2),
        ),
    ],
)
def test_points_that_are_not_finite(name, covariance_type, d):
    parameters = mixture(covariance_type, 3, d)
    clean, weight = draw(parameters, N), sample_weights(N)
    X, bad = clean.copy(), [7, 100, 280]
    X[bad, d - 1] = [np.nan, np.inf, -np.inf]
    gaps = np.isin(np.arange(N), bad)
    weight[gaps] = 1.5
    expected, actual = run(name, parameters, clean, weight), run(name, parameters, X, weight)
    for field in FLOATS:
        assert np.isnan(getattr(actual, field)[gaps]).all(), field
        close(getattr(actual, field)[~gaps], getattr(expected, field)[~gaps])
    assert (actual.component[gaps] == -1).all()
    assert (actual.component[~gaps] == expected.component[~gaps]).all()
    present = np.where(gaps, 0.0, weight)
    absent = run(name, parameters, X, present)
    assert np.isnan(actual.statistics.moments.nk).all()
    assert np.isnan(actual.statistics.log_likelihood)
    close(actual.statistics.weight, weight.sum())
    close(actual.statistics.moments.first, absent.statistics.moments.first, 1e-12)
    close(actual.statistics.moments.second, absent.statistics.moments.second, 1e-12)
    close(absent.sums.sums, run(name, parameters, clean, present).sums.sums, 1e-15)


@pytest.mark.parametrize("name", ["points", "blocks"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200, -1e300])
def test_points_of_weight_0_add_nothing(name, bad):
    parameters = mixture("full", 3, 5)
    X, weight = draw(parameters, N), np.zeros(N)
    X[::7, 2] = bad
    assert (run(name, parameters, X, weight).sums.sums == 0.0).all()


# laws


@pytest.mark.parametrize(
    "name, covariance_type, d",
    [
        ("points", "full", 5),
        ("blocks", "full", 5),
        ("points", "tied", 2),
        *slow(
            ("blocks", "tied", 2),
            ("points", "tied", 5),
            ("blocks", "tied", 5),
            ("points", "full", 2),
            ("blocks", "full", 2),
        ),
    ],
)
def test_laws_of_statistics(name, covariance_type, d):
    parameters = mixture(covariance_type, 3, d)
    X = draw(parameters, N)
    counts = np.random.default_rng(0).integers(0, 4, N)
    weighted = run(name, parameters, X, counts.astype(float))
    repeated = run(name, parameters, np.repeat(X, counts, axis=0), np.ones(counts.sum()))
    close(weighted.sums.sums, repeated.sums.sums, 1e-12)
    nothing = run(name, parameters, X, np.zeros(N))
    assert (nothing.sums.sums == 0.0).all()

    embed = door()
    parts = [run(name, parameters, part, np.ones(len(part))).sums for part in (X[:100], X[100:])]
    embed.add_statistics(parts[0], parts[1])
    close(parts[0].sums, run(name, parameters, X, np.ones(N)).sums.sums, 1e-12)
    embed.reset(parts[0])
    assert (parts[0].sums == 0.0).all()
    assert parts[0].nk.size == 3


def test_statistics_continue_in_an_m_step():
    parameters = mixture("full", 3, 5)
    X = draw(parameters, N)
    update = ClosedForm(0.0)
    estimator = GaussianMixture.from_parameters(
        parameters.weights, parameters.means, parameters.covariances,
        warm_start=True, max_iter=1, tol=0.0, reg_covar=0.0,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="converge"):
        estimator.fit(X)
    updated = update(run("points", parameters, X, np.ones(N)).statistics, parameters).parameters
    close(updated.means, estimator.means_, 1e-12)
    close(updated.covariances, estimator.covariances_, 1e-12)


# threads


@cache
def parallel_program():
    from numba import njit, prange

    from fastgmm.embed import numba as embed

    @njit(parallel=True)
    def run(model, X, weight, density, sums):
        for part in prange(len(sums)):
            workspace = embed.new_workspace(model)
            statistics = embed.as_statistics(model, sums[part])
            size = (len(X) + len(sums) - 1) // len(sums)
            rows = slice(part * size, min((part + 1) * size, len(X)))
            embed.log_density_block(model, X[rows], density[rows], workspace)
            embed.accumulate_block(model, X[rows], weight[rows], statistics, workspace)

    return run


@pytest.mark.slow
def test_parallel_loop():
    embed = door()
    parameters = mixture("full", 3, 5)
    X, weight = draw(parameters, 5000), sample_weights(5000)
    model, density = embed.to_numba(parameters), np.empty(5000)
    sums = np.zeros((7, model.n_sums))
    parallel_program()(model, X, weight, density, sums)
    serial = run("blocks", parameters, X, weight)
    close(density, serial.log_density)
    close(sums.sum(axis=0), serial.sums.sums, 1e-12)


# models


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        BayesianGaussianMixture(n_components=3, random_state=0, max_iter=5),
        *slow(SoftKMeans(3, random_state=0, max_iter=5)),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_estimators(estimator):
    X = draw(mixture("full", 3, 5), N)
    estimator.fit(X)
    results = run("points", estimator.to_parameters(), X, np.ones(N), estimator.to_numba())
    close(results.log_density, estimator.score_samples(X))
    close(results.responsibilities, estimator.predict_proba(X))
    assert (results.component == estimator.predict(X)).all()


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_model_is_a_value(covariance_type):
    """It shares nothing with the parameters, survives pickling, and is one type for any size."""
    from numba import typeof

    parameters = mixture(covariance_type, 3, 5)
    model = door().to_numba(parameters)
    copy = pickle.loads(pickle.dumps(model))
    assert type(copy) is type(model)
    assert not np.shares_memory(model.means, parameters.means)
    assert typeof(copy) == typeof(model) == typeof(door().to_numba(mixture(covariance_type, 9, 16)))
    assert typeof(model) != typeof(door().to_numba(mixture(covariance_type, 3, 2)))


# errors


def test_errors(run_python):
    run_python(script("checks.check_errors()"), NUMBA_DISABLE_JIT="1")


@pytest.mark.slow
def test_compiled_errors():
    check_errors()


def check_errors():
    embed = door()
    parameters = mixture("full", 3, 5)
    model, other = embed.to_numba(parameters), embed.to_numba(mixture("full", 4, 5))
    X = draw(parameters, 4)
    workspace, out = embed.new_workspace(model), np.empty((4, 3))
    statistics, weight = embed.new_statistics(model), np.ones(4)

    def refuses(match, function, *arguments):
        with pytest.raises(ValueError, match=match):
            function(*arguments)

    refuses("^x should", embed.log_density, model, X[0, :4], workspace)
    refuses("^out should", embed.log_joint, model, X[0], out[0, :2], workspace)
    refuses("^workspace should", embed.log_density, model, X[0], embed.new_workspace(other))
    wrong = embed.new_statistics(other)
    refuses("^statistics should", embed.accumulate, model, X[0], 1.0, wrong, workspace)
    refuses("^X should", embed.log_joint_block, model, X[:, :4], out, workspace)
    refuses("as many rows as X", embed.log_joint_block, model, X, out[:3], workspace)
    refuses("as many columns", embed.log_joint_block, model, X, out[:, :2], workspace)
    one = embed.new_workspace(model, 1)
    refuses("^workspace is for one point", embed.log_joint_block, model, X, out, one)
    refuses(
        "as many rows as X", embed.accumulate_block, model, X, weight[:3], statistics, workspace
    )
    table = np.zeros((model.n_sums, 2))
    narrow, short = table[:, 0].astype(np.float32), table[1:, 0].copy()
    for sums in (table[:, 0], table[::-1, 0].copy()[::-1], narrow, short):
        refuses("^sums should", embed.as_statistics, model, sums)
    refuses("^other should", embed.add_statistics, statistics, wrong)
    refuses("^statistics should hold", embed.to_sufficient_statistics, model, wrong)


# the ways in which Numba may compile


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import test_embed_numba as checks
{body}
"""


def script(body):
    return SCRIPT.format(tests=str(Path(__file__).parent), body=body)


PLAIN_CASES = [("full", 5), ("full", 2), ("tied", 2), ("diag", 9), ("spherical", 1)]


@pytest.mark.slow
def test_as_plain_python(run_python):
    lines = [f"checks.check({kind!r}, {d}, 'float32', ks=(3,), n=20)" for kind, d in PLAIN_CASES]
    run_python(script("\n".join(lines)), NUMBA_DISABLE_JIT="1")


@pytest.mark.slow
@pytest.mark.numba_alone
def test_compiled_by_numba_alone(run_python):
    run_python(script("checks.check('full', 5, ks=(3,))"), FASTGMM_FAST_COMPILE="0")


CACHED = """
import numpy as np
from numba import njit
from fastgmm.embed.numba import log_density, new_workspace

@njit(cache=True)
def f(model, x):
    return log_density(model, x, new_workspace(model, 1))
"""
RUN_CACHED = """
import numpy as np
from fastgmm import GaussianMixture
from cached import f
mixture = GaussianMixture.from_parameters([0.5, 0.5], [[{mean}], [0]], [[1.0], [1.0]])
x = np.zeros(1)
assert abs(f(mixture.to_numba(), x) / mixture.score_samples([x])[0] - 1) < 1e-13
print(sum(f.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_a_function_in_numbas_cache(run_python, tmp_path):
    """Another process takes the code, and not the mixture, from the cache."""
    (tmp_path / "cached.py").write_text(CACHED)
    hits = [
        run_python(RUN_CACHED.format(mean=mean), NUMBA_CACHE_DIR=str(tmp_path)) for mean in (1, 2)
    ]
    assert list(map(int, hits)) == [0, 1]


# the examples


@pytest.mark.skipif(not EXAMPLES.exists(), reason="a distribution has no examples")
@pytest.mark.parametrize("name", ["em", *slow(("pipeline",))])
def test_examples(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "20000"])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    if name == "pipeline":
        counts = [line.split()[0] for line in lines]
        assert len(counts) == 2
        assert counts[0] == counts[1] != "0"
    else:
        errors = [float(line.split()[-1]) for line in lines if "relative error" in line]
        assert len(errors) == 3
        assert max(errors) < 1e-10
