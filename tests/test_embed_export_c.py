"""Exported C code computes what the estimator predicts."""

import ctypes
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from c_models import COMPILERS, CModel, CStatistics, compile_c, needs_compiler, write_c
from compilers import skip_without_compiler
from generators import DTYPES, KERNEL_KINDS, draw, mixture, sample_weights
from marks import slow

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.data.sample_data import load_sample
from fastgmm.embed.export_c import MAX_NUMBERS, to_c
from fastgmm.model.parameters import MixtureParameters
from fastgmm.model.statistics import SufficientStatistics

pytestmark = pytest.mark.one_backend

FAITHFUL = np.loadtxt(Path(__file__).parent / "data/faithful.csv", delimiter=",", skiprows=1)
TABLES = ("log_joint", "responsibilities", "mahalanobis")


def estimator_of(parameters: MixtureParameters) -> GaussianMixture:
    return GaussianMixture.from_parameters(
        parameters.weights,
        parameters.means,
        parameters.covariances,
        covariance_type=parameters.covariance_type,
    )


def plain_distances(parameters, X):
    """Return squared Mahalanobis distances, computed straight from the covariances."""
    K, d = parameters.means.shape
    dense = parameters.covariance_model.dense(parameters.covariances, K, d)
    z = X.astype(np.float64)[:, np.newaxis] - parameters.means
    return np.einsum("nki,kij,nkj->nk", z, np.linalg.inv(dense), z)


def check_against_estimator(c, model, X):
    parameters = mixture_of(model)
    K = parameters.n_components
    log_density = model.score_samples(X)
    np.testing.assert_allclose(c.log_density(X), log_density, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(c.component(X), model.predict(X))
    resp = model.predict_proba(X)
    np.testing.assert_allclose(c.table("responsibilities", X, K), resp, rtol=1e-10, atol=1e-15)
    distances = c.table("mahalanobis", X, K)
    np.testing.assert_allclose(distances, plain_distances(parameters, X), rtol=1e-9)
    log_joint = c.table("log_joint", X, K)
    np.testing.assert_allclose(
        np.exp(log_joint - log_density[:, np.newaxis]), resp, rtol=1e-10, atol=1e-15
    )
    np.testing.assert_allclose(np.ptp(log_joint + distances / 2, axis=0), 0, atol=1e-10)


def check_statistics(c, model, X, weights):
    parameters = mixture_of(model)
    kind = parameters.covariance_model.kernel_kind
    ours = CStatistics(kind, *parameters.means.shape)
    assert c.call("accumulate", X, ours.memory, weights) == 0
    used = np.ones(len(X)) if weights is None else weights
    expected = SufficientStatistics.zeros(model.covariance_type, parameters.means)
    expected.add_moments(X, used, model.predict_proba(X))
    nk, first, second = expected.moments
    if second.ndim >= 2 and model.covariance_type in ("full", "tied"):
        rows, columns = np.tril_indices(second.shape[-1])
        second = second[..., rows, columns]
    # of what was added up: at a fit's end the first moments cancel
    scales = {"nk": nk.max(), "first": np.sqrt(nk.max() * second.max()), "second": second.max()}
    for name, sums in (("nk", nk), ("first", first), ("second", second)):
        atol = 1e-12 * scales[name]
        np.testing.assert_allclose(ours.parts[name], sums, rtol=1e-12, atol=atol, err_msg=name)
    log_likelihood = used @ model.score_samples(X)
    np.testing.assert_allclose(ours.parts["log_likelihood"], log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(ours.parts["weight"], used.sum(), rtol=1e-12)


def mixture_of(model):
    return MixtureParameters.from_covariances(
        model.covariance_type, model.weights_, model.means_, model.covariances_
    )


#: Spread, so that each number of components and of features meets some types.
CASES = [
    ("full", 32, 16), ("full", 3, 2), ("tied", 3, 5), ("tied", 32, 1),
    ("diag", 1, 16), ("diag", 32, 5), ("spherical", 1, 2), ("spherical", 3, 1),
    ("tied-spherical", 3, 5),
]  # fmt: skip
CROSSED = [*product(KERNEL_KINDS, (1, 3, 32), (1, 2, 5, 16)), ("tied-spherical", 3, 5)]


@needs_compiler
@pytest.mark.parametrize(
    "covariance_type, K, d",
    [pytest.param(*case, marks=() if case in CASES else pytest.mark.slow) for case in CROSSED],
)
def test_results_are_the_estimators(tmp_path, covariance_type, K, d):
    parameters = mixture(covariance_type, K, d)
    model, c = estimator_of(parameters), CModel(parameters, tmp_path, options=("-O1",))
    for dtype in DTYPES:
        X = draw(parameters, 203, dtype)  # whole blocks, and three points alone
        check_against_estimator(c, model, X)
        check_statistics(c, model, X, None)
        check_statistics(c, model, X, sample_weights(len(X)))


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("covariance_type", ["full", *slow(*KERNEL_KINDS[1:])])
def test_patches(tmp_path, covariance_type, compiler):
    pytest.importorskip("PIL", reason="needs Pillow")
    X = load_sample("patches")[::25]
    model = GaussianMixture(
        8, covariance_type=covariance_type, random_state=0, max_iter=10, tol=0.05
    ).fit(X)
    c = CModel(model, tmp_path, options=("-O3",), compiler=compiler)
    for dtype in DTYPES:
        check_against_estimator(c, model, X.astype(dtype))
        check_statistics(c, model, X.astype(dtype), None)


@needs_compiler
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_faithful_also_far_from_zero(tmp_path, covariance_type, shift):
    X = FAITHFUL + shift
    model = GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    c = CModel(model, tmp_path)
    # the estimator rounds about another origin
    tolerance = 1e-13 if shift == 0 else 1e-9
    np.testing.assert_allclose(c.log_density(X), model.score_samples(X), rtol=tolerance)
    np.testing.assert_array_equal(c.component(X), model.predict(X))
    check_statistics(c, model, X, None)


@needs_compiler
@pytest.mark.parametrize(
    "model",
    [BayesianGaussianMixture(n_components=3, random_state=0), SoftKMeans(3, random_state=0)],
    ids=["bayesian", "soft k-means"],
)
def test_other_estimators(tmp_path, model):
    model.fit(FAITHFUL)
    c = CModel(model, tmp_path)
    np.testing.assert_array_equal(c.component(FAITHFUL), model.predict(FAITHFUL))
    resp = c.table("responsibilities", FAITHFUL, 3)
    np.testing.assert_allclose(resp, model.predict_proba(FAITHFUL), rtol=1e-10, atol=1e-15)


@needs_compiler
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_a_point_that_is_not_finite_gives_nan_and_touches_no_other(tmp_path, covariance_type):
    parameters = mixture(covariance_type, 3, 2)
    c = CModel(parameters, tmp_path)
    clean = draw(parameters, 70)
    X, bad = clean.copy(), [0, 5, 33, 69]
    X[bad, 1] = [np.nan, np.inf, -np.inf, np.nan]
    good = np.setdiff1d(np.arange(70), bad)
    assert np.isnan(c.log_density(X)[bad]).all()
    np.testing.assert_array_equal(c.log_density(X)[good], c.log_density(clean)[good])
    assert (c.component(X)[bad] == -1).all()
    for name in TABLES:
        table = c.table(name, X, 3)
        assert np.isnan(table[bad]).all()
        np.testing.assert_array_equal(table[good], c.table(name, clean, 3)[good])
    sums = CStatistics(covariance_type, 3, 2)
    assert c.call("accumulate", X, sums.memory, None) == 0
    assert np.isnan(sums.parts["nk"]).all()
    assert np.isnan(sums.parts["log_likelihood"])
    present = np.ones(70)
    present[bad] = 0.0  # absent, whatever they hold
    absent, expected = CStatistics(covariance_type, 3, 2), CStatistics(covariance_type, 3, 2)
    assert c.call("accumulate", X, absent.memory, present) == 0
    assert c.call("accumulate", clean, expected.memory, present) == 0
    np.testing.assert_array_equal(absent.memory, expected.memory)
    for name in ("first", "second"):
        np.testing.assert_array_equal(sums.parts[name], absent.parts[name])
    assert sums.parts["weight"] == 70


@needs_compiler
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_points_of_weight_0_add_nothing(tmp_path, covariance_type):
    c, sums = CModel(mixture(covariance_type, 3, 2), tmp_path), CStatistics(covariance_type, 3, 2)
    X = np.full((40, 2), np.nan)
    X[:4, 0] = [np.inf, -np.inf, 1e200, -1e300]
    X[2:4, 1] = 0.0
    assert c.call("accumulate", X, sums.memory, np.zeros(40)) == 0
    assert not sums.memory.any()


@needs_compiler
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_finite_points_never_give_nan(tmp_path, covariance_type):
    c = CModel(mixture(covariance_type, 3, 5), tmp_path)
    X = np.array([[1e307, -1e307, 1e307, 1e307, 1e307], [1e160] * 5, [-1e308, 1e308, 0, 0, 1e308]])
    resp = c.table("responsibilities", X, 3)
    np.testing.assert_allclose(resp.sum(axis=1), 1.0)
    assert (c.log_density(X) <= -1e299).all()
    assert (c.component(X) == 0).all()
    assert (c.table("mahalanobis", X, 3) == np.inf).all()


@needs_compiler
def test_a_component_of_weight_0(tmp_path):
    model = GaussianMixture.from_parameters([0.0, 1.0], [[0.0], [3.0]], [1.0, 1.0])
    c, X = CModel(model, tmp_path), np.array([[0.0], [3.0]])
    np.testing.assert_allclose(c.log_density(X), model.score_samples(X), rtol=1e-13)
    np.testing.assert_array_equal(c.table("responsibilities", X, 2), [[0, 1], [0, 1]])
    assert (c.table("log_joint", X, 2)[:, 0] == -1e300).all()


@needs_compiler
def test_of_equal_components_the_first(tmp_path):
    means = [[1.0], [0.0], [0.0], [-1.0]]
    c = CModel(GaussianMixture.from_parameters([0.25] * 4, means, [1.0] * 4), tmp_path)
    assert c.component(np.array([[0.0], [0.5], [-0.5]])).tolist() == [1, 0, 1]


@needs_compiler
@pytest.mark.parametrize("lanes", [None, 1, 8])
def test_results_do_not_depend_on_the_call(tmp_path, lanes):
    """Rows of a wider table, any number of points, and any number of lanes."""
    parameters = mixture("full", 3, 5)
    wide = np.random.default_rng(0).normal(size=(100, 9))
    wide[:, :5] = draw(parameters, 100)
    expected = estimator_of(parameters).score_samples(wide[:, :5])
    options = ("-O2",) if lanes is None else ("-O2", f"-DMIXTURE_LANES={lanes}")
    c = CModel(parameters, tmp_path, options=options)
    for n in (0, 1, 4, 5, 31, 32, 33, 100):
        out = np.full(101, 7.0)
        assert c.call("log_density", wide[:n], out, stride=9) == 0
        np.testing.assert_allclose(out[:n], expected[:n], rtol=1e-13)
        assert (out[n:] == 7.0).all()


@needs_compiler
def test_codes_of_errors(tmp_path):
    c = CModel(mixture("full", 3, 2), tmp_path)
    X, sums = np.zeros((4, 2)), CStatistics("full", 3, 2)
    for name in ("log_density", "component", *TABLES):
        assert c.call(name, X, None) == -1
        assert c.call(name, X, np.zeros((4, 3)), stride=1) == -2
        assert c.call(name, X[:0], None) == 0
    assert c.call("accumulate", X, None, None) == -1
    assert c.call("accumulate", X, sums.memory, None, stride=1) == -2
    for bad in (-1.0, np.nan, np.inf):
        assert c.call("accumulate", X, sums.memory, np.array([1.0, 1.0, 1.0, bad])) == -3
    assert not sums.memory.any()
    assert c.library.mixture_clear(None) == c.library.mixture_add(None, None) == -1


@needs_compiler
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_statistics_of_parts_add(tmp_path, covariance_type):
    parameters = mixture(covariance_type, 3, 5)
    c, X = CModel(parameters, tmp_path), draw(parameters, 100)
    whole, first, second = (CStatistics(covariance_type, 3, 5) for _ in range(3))
    second.memory[:] = 5.0
    address = ctypes.c_void_p(second.memory.ctypes.data)
    assert c.library.mixture_clear(address) == 0
    assert not second.memory.any()
    for part, rows in ((whole, X), (first, X[:37]), (second, X[37:])):
        assert c.call("accumulate", rows, part.memory, None) == 0
    assert c.library.mixture_add(ctypes.c_void_p(first.memory.ctypes.data), address) == 0
    atol = 1e-13 * np.abs(whole.memory).max()
    np.testing.assert_allclose(first.memory, whole.memory, rtol=1e-12, atol=atol)


LANGUAGES = [("c", "c99"), ("c", "c17"), ("c++", "c++17")]


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("language, standard", LANGUAGES)
@pytest.mark.parametrize(
    "level, covariance_type, K, d",
    [
        ("-O3", "full", 3, 2),
        *slow(
            *(
                (level, covariance_type, *size)
                for level, covariance_type, size in product(
                    ("-O0", "-O3"), KERNEL_KINDS, ((1, 1), (3, 2), (2, 7))
                )
                if level == "-O3" or size == (2, 7)
                if (level, covariance_type, size) != ("-O3", "full", (3, 2))
            )
        ),
    ],
)
def test_compiles_without_warnings(
    tmp_path, covariance_type, K, d, level, language, standard, compiler
):
    write_c(tmp_path, mixture(covariance_type, K, d))
    arguments = ("-x", language, level, "-c", "mixture.c", "-o", "mixture.o")
    compile_c(tmp_path, *arguments, compiler=compiler, standard=standard)


THREADS = r"""
#include "mixture.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 77, D = MIXTURE_N_FEATURES, K = MIXTURE_N_COMPONENTS, THREADS = 4 };

typedef struct {
    double log_density[N], table[3][N][K];
    int64_t component[N];
    mixture_statistics sums;
    float log_density_code;
} result;

static double points[N][D], weights[N];
static float rounded[N][D];

static void *work(void *memory)
{
    result *r = (result *)memory;
    int code = mixture_clear(&r->sums);

    for (size_t n = 0; n <= N; n += 11) { /* each size of block */
        double *tables[3] = {r->table[0][0], r->table[1][0], r->table[2][0]};
        code |= mixture_log_density_f32(rounded[0], n, D, r->log_density);
        code |= mixture_log_density_f64(points[0], n, D, r->log_density);
        code |= mixture_log_joint_f64(points[0], n, D, tables[0]);
        code |= mixture_responsibilities_f64(points[0], n, D, tables[1]);
        code |= mixture_mahalanobis_f64(points[0], n, D, tables[2]);
        code |= mixture_component_f64(points[0], n, D, r->component);
        code |= mixture_accumulate_f64(points[0], n, D, weights, &r->sums);
        code |= mixture_accumulate_f32(rounded[0], n, D, NULL, &r->sums);
    }
    return code == 0 ? memory : NULL;
}

int main(void)
{
    result *results = (result *)calloc(THREADS, sizeof *results);
    pthread_t threads[THREADS];
    int same = results != NULL;

    for (int i = 0; i < N; i++) {
        weights[i] = i % 3;
        for (int j = 0; j < D; j++) {
            points[i][j] = (i * 7 + j * 3) % 11 - 5.0;
            rounded[i][j] = (float)points[i][j];
        }
    }
    for (int t = 0; t < THREADS; t++)
        same &= pthread_create(&threads[t], NULL, work, &results[t]) == 0;
    for (int t = 0; t < THREADS; t++) {
        void *done;
        same &= pthread_join(threads[t], &done) == 0 && done != NULL;
        same &= memcmp(&results[t], &results[0], sizeof results[0]) == 0;
    }
    free(results);
    puts(same ? "same" : "different");
    return 0;
}
"""


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="sanitizers as Linux has them")
@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_threads_under_sanitizers(tmp_path, covariance_type, sanitizers):
    options = ["-O1", "-g", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-pthread"]
    skip_without_compiler(COMPILERS[0], *options)
    write_c(tmp_path, mixture(covariance_type, 3, 5))
    (tmp_path / "main.c").write_text(THREADS)
    compile_c(tmp_path, *options, "main.c", "mixture.c", "-o", "main", "-lm")
    outcome = subprocess.run([tmp_path / "main"], capture_output=True, text=True)
    assert (outcome.stdout, outcome.stderr, outcome.returncode) == ("same\n", "", 0)


# the text


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_the_same_model_gives_the_same_text(tmp_path, covariance_type):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(FAITHFUL)
    assert to_c(model) == to_c(model)
    header, source = to_c(model, "other", header_name="model.h")
    assert "fastgmm_model" not in header + source
    assert '#include "model.h"' in source
    assert (header + source).isascii()
    assert max(map(len, (header + source).splitlines())) <= 110


def test_numbers_are_exact():
    parameters = mixture("spherical", 2, 3)
    _, source = to_c(parameters)
    for number in (*parameters.means.ravel(), *parameters.precisions_cholesky):
        assert float(number).hex() in source


def test_coefficients_are_rounded_correctly():
    """So that they do not depend on the machine's logarithm: log 1/2 - log(2 pi) / 2 - log 3."""
    mpmath = pytest.importorskip("mpmath")
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1.0]], [9.0, 9.0])
    deviation = 1 / mpmath.mpf(float(model.precisions_cholesky_[0]))
    with mpmath.workdps(40):
        expected = float(mpmath.log(0.5 / deviation / mpmath.sqrt(2 * mpmath.pi)))
    assert expected.hex() in to_c(model)[1]


# bad input


@pytest.mark.parametrize("prefix", ["int", "class", "and", "1st", "a b", "a-b", "_a", "a__b", "é"])
def test_prefixes_that_no_compiler_takes(prefix):
    with pytest.raises(ValueError, match=f"prefix should be .*, got '{prefix}'"):
        to_c(mixture("full", 1, 1), prefix)


def test_header_names_that_cannot_be_included():
    with pytest.raises(ValueError, match=r"header_name should be .*, got 'a.b\.h'"):
        to_c(mixture("full", 1, 1), header_name='a"b.h')


def test_models_that_are_too_big():
    K = MAX_NUMBERS // 3 + 1
    ones = np.ones(K)
    parameters = MixtureParameters("spherical", ones / K, ones[:, np.newaxis], ones, ones)
    with pytest.raises(ValueError, match=r"at most 4,194,304 parameters, .* got 4,194,306 \(n_co"):
        to_c(parameters)
