"""The command line: what it prints, where, and with which exit status."""

import errno
import io
import json
import re
import subprocess
import sys
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from command_line import mixture
from sklearn.datasets import load_iris

import fastgmm
from fastgmm import GaussianMixture
from fastgmm.cli import info
from fastgmm.cli.fit import PARAMETERS
from fastgmm.cli.main import main, parse
from fastgmm.cli.progress import Progress
from fastgmm.data.table import KINDS
from fastgmm.em.result import Iteration
from fastgmm.init import INIT_PARAMS
from fastgmm.model.component_table import format_components
from fastgmm.model.covariance import COVARIANCE_MODELS
from fastgmm.model.summary import describe_model, format_model

IRIS = load_iris().data
FIT = ["fit", "sample:iris", "-K", "3"]
OUTPUT = sys.modules[Progress.__module__]


@pytest.fixture
def model(run):
    assert run(*FIT, "--quiet", "--output", "model.npz") == (0, "", "")
    return fastgmm.load("model.npz")


def reference(**parameters):
    return mixture(3, **parameters).fit(IRIS)


# help and usage


def test_version(run):
    assert run("--version") == (0, f"fastgmm {fastgmm.__version__}\n", "")


def test_help_loads_nothing_heavy(run_python):
    script = """
import sys
from fastgmm.cli.main import main
assert main(["fit", "--help"]) == main(["select", "--help"]) == main(["bench", "--help"]) == 0
heavy = ("numpy", "numba", "sklearn", "scipy", "tqdm", "matplotlib", "pyarrow")
print([name for name in heavy if name in sys.modules])
"""
    assert run_python(script).splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["", "fit", "select", "predict", "score", "info", "bench"])
def test_help(run, command):
    code, out, err = run(*command.split(), "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: fastgmm {command}".rstrip())


def test_help_keeps_capitals(run):
    assert "\nCompute log-likelihood, AIC and BIC of data.\n" in run("score", "--help")[1]


def test_choices_are_those_of_the_library(run, fail):
    for option, choices in (("--covariance-type", COVARIANCE_MODELS), ("--init", INIT_PARAMS)):
        message = fail(*FIT, option, "nothing", code=2)
        assert all(choice in message for choice in choices)
        for choice in choices:
            assert run(*FIT, option, choice, "--max-iter", 1, "--quiet")[0] == 0


def test_defaults_are_those_of_the_library():
    args = vars(parse(FIT))
    library = GaussianMixture().get_params()
    differing = {name for name in PARAMETERS if args[name] != library[name]}
    assert differing == {"n_components", "random_state", "reg_covar", "stop_rule", "posterior"}
    assert args["stop_rule"] == "remaining-gain"
    assert args["reg_covar"] == args["posterior"] == "auto"


@pytest.mark.parametrize(
    "argv, message",
    [
        ("", "the following arguments are required: COMMAND (see fastgmm --help)"),
        ("fit x.npy", "the following arguments are required: -K/--n-components (see fastgmm fit"),
        ("fit x -K 0", "-K/--n-components: expected auto or an integer of at least 1, got '0'"),
        ("fit x -K 2.5", "-K/--n-components: expected auto or an integer of at least 1, got '2.5'"),
        ("fit x -K 2 --tol -1", "--tol: expected a number of at least 0, got '-1'"),
        ("fit x -K 2 --tol nan", "--tol: expected a number of at least 0, got 'nan'"),
        ("fit x -K 2 --reg-covar inf", "--reg-covar: expected auto or a number of at least 0, got"),
        ("fit x -K 2 --max-iter -1", "--max-iter: expected an integer of at least 0, got '-1'"),
        ("fit x -K 2 --seed 4294967296", "at least 0 and at most 4294967295, got '4294967296'"),
        ("fit x -K 2 --n-jobs 0", "--n-jobs: expected an integer of at least 1, got '0'"),
        (
            "predict m x -o y.txt",
            "-o/--output: expected a .csv, .parquet or .npy file, got 'y.txt'",
        ),
        ("score m x -o y.npy", "--output needs --samples (see fastgmm score --help)"),
        ("score m x --samples --weights w.npy", "--weights does not go with --samples"),
        (
            "bench --n-jobs 0",
            "--n-jobs: expected an integer of at least 1, got '0' (see fastgmm bench",
        ),
        ("bench --quick --full-size", "--quick does not go with --full-size (see fastgmm bench"),
        ("bench --plot x.gif", "--plot: expected a .png, .pdf or .svg file, got 'x.gif' (see"),
        ("fit x -K 2 --zzz", "unknown option --zzz (see fastgmm fit --help)"),
        ("fit --zzz", "unknown option --zzz (see fastgmm fit --help)"),
        (
            "fit x -K 2 --colums a",
            "unknown option --colums, did you mean --columns? (see fastgmm fit",
        ),
        ("fit x --components 2", "unknown option --components, did you mean --n-components?"),
        ("fit x -k 2", "unknown option -k, did you mean -K? (see fastgmm fit --help)"),
        ("predict m x --prob=1 --ouput y.csv", "unknown option --ouput, did you mean --output?"),
        ("score m x --reg-covar 1", "unknown option --reg-covar (see fastgmm score --help)"),
        ("bench --quik", "unknown option --quik, did you mean --quick? (see fastgmm bench"),
        ("--versoin", "unknown option --versoin, did you mean --version? (see fastgmm --help)"),
        ("fti x -K 2", "no command 'fti', did you mean fit? (see fastgmm --help)"),
        ("fit x y -K 2", "unexpected argument 'y' (see fastgmm fit --help)"),
        ("predict m x y z", "unexpected argument 'y' (see fastgmm predict --help)"),
        ("fit x -K 2 --columns a,,b", "--columns: expected names separated by commas, got 'a,,b'"),
        ("fit x -K 2 --separator ab", "--separator: expected one character or tab, got 'ab'"),
    ],
)
def test_wrong_usage(fail, argv, message):
    assert message in fail(*argv.split(), code=2)


# fit


def test_fit_summary(run):
    code, out, err = run(*FIT, "--output", "model.npz")
    model = reference()
    assert (code, err) == (0, "")
    rows = dict(re.findall(r"^(\S.*?)  +(.+)$", out, re.MULTILINE))
    change = model.history_[-1].change
    assert rows["data"] == "sample:iris: 150 samples x 4 features, float64"
    assert rows["model"] == "3 components, full covariance, 44 free parameters"
    assert rows["outcome"] == (
        f"converged after {model.n_iter_} iterations (last change {change:.2g}, tol 0.001)"
    )
    assert rows["mean log-likelihood"] == (
        f"{model.score(IRIS):.6f} nats per sample, of the final parameters"
    )
    assert rows["AIC"] == f"{model.aic(IRIS):.2f}"
    assert rows["BIC"] == f"{model.bic(IRIS):.2f}"
    assert re.match(r"reading \S+ s, initialization \S+ s, EM \S+ s, scoring \S+ s$", rows["time"])
    assert re.match(
        r"\S+ ms, \S+ ns per sample and component, \S+ M samples/s$", rows["median iteration"]
    )
    assert rows["saved to"] == "model.npz"
    assert max(map(len, out.splitlines())) < 100


def components(text):
    """Return the lines of the table of components: names, heads, rows."""
    return text.partition("\n\n")[2].splitlines()


def test_fit_component_table(run):
    _, out, _ = run(*FIT)
    model = reference()
    names, heads, *lines = components(out)
    assert names.split() == ["feature", "1", "feature", "2", "feature", "3", "feature", "4"]
    assert heads.split() == ["label", "weight", "size", *4 * ["mean", "std.", "dev."]]
    assert {len(line) for line in (names, heads, *lines)} == {len(heads)}
    table = np.array([line.split() for line in lines], dtype=float)
    labels = table[:, 0].astype(int)
    assert (np.diff(table[:, 1]) <= 0).all()
    np.testing.assert_allclose(table[:, 1], model.weights_[labels], atol=1e-6)
    np.testing.assert_allclose(table[:, 2], 150 * model.weights_[labels], atol=0.05)
    deviations = np.sqrt(np.einsum("kii->ki", model.covariances_))
    np.testing.assert_allclose(table[:, 3::2], model.means_[labels], atol=6e-4)
    np.testing.assert_allclose(table[:, 4::2], deviations[labels], atol=6e-4)


@pytest.mark.parametrize("covariance_type", COVARIANCE_MODELS)
def test_standard_deviations_of_each_feature(covariance_type):
    model = reference(covariance_type=covariance_type)
    kind = COVARIANCE_MODELS[covariance_type]
    dense = kind.dense(model.covariances_, 3, 4)
    for row in describe_model(model)["components"]:
        expected = np.sqrt(np.diagonal(dense[row["label"]]))
        np.testing.assert_allclose(row["standard_deviation"], expected, rtol=1e-14)
        assert row["mean"] == model.means_[row["label"]].tolist()


def table_of(means, deviations, **columns):
    """Return the cells of a table of one feature."""
    rows = [
        {"label": k, "weight": 0.5, "size": None, "mean": [mean], "standard_deviation": [deviation]}
        for k, (mean, deviation) in enumerate(zip(means, deviations, strict=True))
    ]
    return [line.split()[2:] for line in format_components(rows, None).splitlines()[2:]]


@pytest.mark.parametrize(
    "means, deviations, cells",
    [
        ((6.5455, 5.006), (0.62, 0.35), (("6.545", "0.620"), ("5.006", "0.350"))),
        ((5e-5, 6.2e-5), (1e-6, 1e-6), (("5.000e-05", "1.00e-06"), ("6.200e-05", "1.00e-06"))),
        ((52345.6, 0.0), (8123.4, 900.0), (("52346", "8123"), ("0", "900"))),
        ((1e8, -7), (1e-3, 0.02), (("100000000.00000", "0.00100"), ("-7.00000", "0.02000"))),
        ((1.7e18, 0), (1e15, 1e15), (("1.70000e+18", "1.00e+15"), ("0.00000e+00", "1.00e+15"))),
        ((1.0, 2.0), (0.0, 0.0), (("1.00", "0"), ("2.00", "0"))),
        ((0.0, 0.0), (1e-30, 1e-30), (("0", "1.00e-30"), ("0", "1.00e-30"))),
    ],
)  # fmt: skip
def test_numbers_of_mixed_scales_are_legible(means, deviations, cells):
    assert table_of(means, deviations) == [list(row) for row in cells]


def test_table_is_cut(run):
    X = np.repeat(np.random.default_rng(0).normal(size=(60, 2)), 8, axis=1)
    np.save("wide.npy", X + np.random.default_rng(1).normal(size=X.shape))
    options = "-K 12 --covariance-type diag --tol 10 --init kmeans"
    _, out, _ = run("fit", "wide.npy", *options.split())
    names, heads, *lines = components(out)
    assert len(lines) == 11
    assert "feature 3" in names
    assert "feature 16" not in names
    assert heads.endswith("std. dev. ...")
    assert lines[-1] == "... and 2 more"
    assert max(map(len, (names, heads, *lines))) <= 100


def test_fit_equals_the_library(model):
    expected = reference()
    assert model.get_params() == expected.get_params()
    np.testing.assert_array_equal(model.means_, expected.means_)


def test_fit_options(run):
    np.save("w.npy", np.linspace(0, 2, 150))
    options = "--covariance-type tied --tol 1e-4 --reg-covar 1e-4 --max-iter 50 --n-init 2"
    options += " --init random_from_data --seed 5 --n-jobs 2 --weights w.npy --output m.npz"
    code, out, _ = run(*FIT, *options.split())
    assert code == 0
    assert re.search(r"^weights +w\.npy: sum 150$", out, re.MULTILINE)
    assert re.search(r"^starts +2, of which the best is kept$", out, re.MULTILINE)
    expected = mixture(
        3,
        covariance_type="tied",
        tol=1e-4,
        reg_covar=1e-4,
        max_iter=50,
        n_init=2,
        init_params="random_from_data",
        random_state=5,
        n_jobs=2,
    ).fit(IRIS, sample_weight=np.linspace(0, 2, 150))
    assert fastgmm.load("m.npz").get_params() == expected.get_params()
    np.testing.assert_array_equal(fastgmm.load("m.npz").means_, expected.means_)


def test_fit_truncated(run):
    """By the name of the posterior, with exact iterations at the end; few components are exact."""
    command = (*FIT, "--json")
    exact, auto, truncated = (
        json.loads(run(*command, *options)[1])
        for options in (
            (),
            ("--posterior", "auto"),
            ("--posterior", "truncated", "--exact-iter", 1),
        )
    )
    assert exact["model"] == auto["model"]
    assert truncated["parameters"]["posterior"] == "truncated"
    assert truncated["parameters"]["exact_iter"] == 1
    assert truncated["model"]["converged"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_dtype(run, dtype):
    np.save("ints.npy", (10 * IRIS).astype(np.int16))
    _, out, _ = run("fit", "ints.npy", "-K", 2, "--dtype", dtype)
    assert f"150 samples x 4 features, {dtype}" in out


def test_fit_keeps_dtype(run):
    np.save("ints.npy", (10 * IRIS).astype(np.int16))
    _, out, _ = run("fit", "ints.npy", "-K", 1)
    assert "ints.npy: 150 samples x 4 features, int16" in out
    assert "1 component, full covariance, 14 free parameters" in out


def test_fit_json(run):
    code, out, err = run(*FIT, "--json", "--quiet")
    model = reference()
    assert (code, err, out.count("\n")) == (0, "", 1)
    report = json.loads(out)
    assert report["data"] == {
        "source": "sample:iris",
        "weights": None,
        "dtype": "float64",
        "n_samples": 150,
        "n_features": 4,
    }
    assert report["parameters"]["random_state"] == 0
    assert report["model"]["converged"] is True
    assert report["model"]["n_iter"] == model.n_iter_
    assert report["model"]["lower_bound"] == model.lower_bound_
    assert report["score"]["mean_log_likelihood"] == model.score(IRIS)
    assert report["score"]["bic"] == pytest.approx(model.bic(IRIS), rel=1e-14)
    assert report["seconds"].keys() == {"reading", "initialization", "EM", "scoring"}
    first = report["model"]["components"][0]
    assert first["mean"] == model.means_[first["label"]].tolist()


def test_fit_without_iterations(run):
    code, out, err = run(*FIT, "--max-iter", 0)
    assert (code, err) == (0, "")
    assert re.search(r"^outcome +starting point, no iterations$", out, re.MULTILINE)
    report = json.loads(run(*FIT, "--max-iter", 0, "--json")[1])
    assert (report["model"]["lower_bound"], report["speed"]) == (None, None)


def test_not_converged_is_a_warning(run):
    code, out, err = run(*FIT, "--max-iter", 2)
    assert code == 0
    assert "not converged after 2 iterations (last change " in out
    assert re.fullmatch(
        r"fastgmm: warning: not converged after 2 iterations: the last change is \S+, "
        r"tol is 0\.001\. Increase --max-iter or --tol\.\n",
        err,
    )


def test_python_warnings_are_one_line_each(run, monkeypatch):
    def warn(args):
        for _ in range(2):
            warnings.warn("first\nsecond", UserWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    monkeypatch.setattr(info, "run", warn)
    assert run("info") == (0, "", "fastgmm: warning: first\n")


def test_fit_from_csv_shows_column_names(run):
    write_csv("iris.csv", ["sepal_l", "sepal_w", "petal_l", "a name that is far too long"])
    code, out, _ = run("fit", "iris.csv", "-K", 3, "-o", "m.npz")
    assert code == 0
    assert "  sepal_l" in out
    assert "  a name that is.." in out
    assert max(map(len, out.splitlines())) <= 100
    assert fastgmm.load("m.npz").feature_names_in_.tolist()[1] == "sepal_w"


def write_csv(path, names):
    np.savetxt(path, IRIS, delimiter=",", header=",".join(names), comments="", fmt="%g")


@pytest.mark.parametrize(
    "source, message",
    [
        ("nothing.npy", "nothing.npy: No such file or directory"),
        ("nothing.csv", "nothing.csv: No such file or directory"),
        ("nothing.parquet", "nothing.parquet: No such file or directory"),
        ("nothing.npz:x", "nothing.npz: No such file or directory"),
        ("x.txt", f"x.txt: expected {KINDS}."),
        ("folder.csv", "folder.csv: Is a directory"),
        ("sample:moon", "A sample should be one of 'patches', 'pixels', 'iris', got 'moon'."),
        ("inf.npy", "inf.npy, row 8, column 3: expected a finite number, got inf."),
    ],
)
def test_bad_data(fail, source, message):
    Path("folder.csv").mkdir()
    X = IRIS.copy()
    X[7, 2] = np.inf
    np.save("inf.npy", X)
    assert fail("fit", source, "-K", 2) == message


def test_errors_of_the_fit(fail):
    message = fail("fit", "sample:iris", "-K", 200)
    assert message.endswith("got --n-components = 200, n_samples = 150")
    np.save("same.npy", np.ones((20, 2)))
    message = fail("fit", "same.npy", "-K", 1, "--reg-covar", 0)
    assert "Component 0 is not positive definite" in message
    np.save("w.npy", -np.ones(150))
    assert fail(*FIT, "--weights", "w.npy") == (
        "w.npy, row 1: expected a finite weight of at least 0, got -1.0."
    )
    np.save("w.npy", np.ones(149))
    message = fail(*FIT, "--weights", "w.npy")
    assert message == (
        "w.npy: expected 150 weights, one for each sample, got an array of shape (149,)."
    )


def test_messages_of_the_library_name_options(run, monkeypatch):
    def fit(self, *args, **kwargs):
        warnings.warn("Increase reg_covar (now 0), not init_params=x.", UserWarning, stacklevel=1)
        raise ValueError("sample_weight of n_jobs.csv and a/n_init: random_state.")

    monkeypatch.setattr(GaussianMixture, "fit", fit)
    assert run(*FIT) == (
        1,
        "",
        "fastgmm: warning: Increase --reg-covar (now 0), not --init=x.\n"
        "fastgmm: error: --weights of n_jobs.csv and a/n_init: --seed.\n",
    )


def test_output_is_checked_before_the_data(fail, tmp_path):
    message = fail("fit", "nothing.npy", "-K", 2, "--output", "no/model.npz")
    assert message == (
        f"no/model.npz: expected a file in a folder that exists, got {tmp_path / 'no'}."
    )
    message = fail("fit", "nothing.npy", "-K", 2, "--output", tmp_path)
    assert message == f"{tmp_path}: expected the name of a file, got a folder or a device."


@pytest.mark.parametrize(
    "error, code, message",
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError("Unable to allocate 9 TiB"), 1, "error: not enough memory. Unable to"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: [Errno 28] No space left"),
        (FloatingPointError("The mean"), 1, "error: The mean"),
        (ImportError("need Pillow"), 1, "error: need Pillow"),
    ],
)
def test_failures_are_one_line(run, monkeypatch, error, code, message):
    def fit(*args, **kwargs):
        raise error

    monkeypatch.setattr(GaussianMixture, "fit", fit)
    status, out, err = run(*FIT, "--output", "model.npz")
    assert (status, out, err.count("\n")) == (code, "", 1)
    assert err.startswith(f"fastgmm: {message}")


# progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Put a terminal in the place of stderr, once the test runs; return it."""

    def open_terminal():
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("COLUMNS", "100")
        return terminal

    return open_terminal


def test_progress_on_a_terminal(terminal):
    screen = terminal()
    assert main([*FIT, "--tol", "0", "--max-iter", "300"]) == 0
    shown = [text.strip() for text in screen.getvalue().split("\r") if text.strip()]
    assert shown[0] == "reading sample:iris"
    assert shown[1].startswith("initializing (the first run also compiles the kernels")
    assert any(re.match(r"EM \d+/300 \|.*log-likelihood -\d\.\d{5}", text) for text in shown)
    assert max(map(len, shown)) < 130


def test_bar_shows_rate_and_change(terminal):
    screen = terminal()
    progress = Progress(quiet=False, max_iter=9, n_init=2)
    progress.n_samples = 1_000_000
    for number in (1, 2, 1):
        progress(Iteration(number, 1.5, 0.25, 0.5))
        progress._bar.refresh()
    progress.close()
    shown = [text.strip() for text in screen.getvalue().split("\r")]
    assert any(text.startswith("start 1/2 2/9 |") for text in shown)
    assert any(text.startswith("start 2/2 1/9 |") for text in shown)
    assert any(
        text.endswith("log-likelihood 1.50000 (+2.5e-01), 2.000 M samples/s") for text in shown
    )
    assert shown[-1] == ""
    assert "\n" not in screen.getvalue()
    assert progress.seconds == [0.5, 0.5, 0.5]


def test_no_progress_when_quiet(terminal, capsys):
    screen = terminal()
    assert main([*FIT, "--quiet"]) == 0
    assert (screen.getvalue(), capsys.readouterr().out) == ("", "")


def test_hint_without_tqdm(terminal, monkeypatch):
    screen = terminal()
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert main(FIT) == 0
    assert screen.getvalue() == "fastgmm: for a progress bar: pip install 'fastgmm[cli]'\n"


def test_long_runs_elsewhere_print_a_line_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 9.0, 11.0, 11.0, 20.0])  # begun, asked, asked, said, asked
    monkeypatch.setattr(OUTPUT, "perf_counter", lambda: next(clock))
    progress = Progress(quiet=False, max_iter=9, n_init=1)
    progress.n_samples = 1000
    progress(Iteration(1, 1.5, np.inf, 0.5))
    assert capsys.readouterr().err == ""
    progress(Iteration(2, 1.5, 0.25, 0.5))
    progress(Iteration(3, 1.5, 0.25, 0.5))
    assert capsys.readouterr().err == (
        "fastgmm: EM, iteration 2: log-likelihood 1.50000 (+2.5e-01), 0.002 M samples/s\n"
    )


# predict, score and info


def test_predict(run, model):
    code, out, err = run("predict", "model.npz", "sample:iris")
    assert (code, err) == (0, "")
    head, *labels = out.splitlines()
    assert head == "label"
    assert list(map(int, labels)) == model.predict(IRIS).tolist()


def test_predict_proba(run, model):
    _, out, _ = run("predict", "model.npz", "sample:iris", "--proba")
    head, *lines = out.splitlines()
    assert head == "label,p0,p1,p2"
    table = np.array([line.split(",") for line in lines], dtype=float)
    np.testing.assert_array_equal(table[:, 0], model.predict(IRIS))
    np.testing.assert_array_equal(table[:, 1:], model.predict_proba(IRIS))


def test_score(run, model):
    code, out, err = run("score", "model.npz", "sample:iris")
    assert (code, err) == (0, "")
    rows = dict(re.findall(r"^(\S.*?)  +(.+)$", out, re.MULTILINE))
    assert rows == {
        "samples": "150",
        "mean log-likelihood": f"{model.score(IRIS):.6f} nats per sample",
        "AIC": f"{model.aic(IRIS):.2f}",
        "BIC": f"{model.bic(IRIS):.2f}",
    }


def test_score_with_weights(run, model):
    weights = np.linspace(0.5, 2, 150)
    np.save("w.npy", weights)
    _, out, _ = run("score", "model.npz", "sample:iris", "--weights", "w.npy")
    assert f"{model.score(IRIS, sample_weight=weights):.6f} nats" in out
    assert re.search(rf"sum of weights +{weights.sum():.10g}\n", out)
    assert f"{model.bic(IRIS, sample_weight=weights):.2f}" in out


def test_score_samples(run, model):
    _, out, _ = run("score", "model.npz", "sample:iris", "--samples")
    head, *lines = out.splitlines()
    assert head == "log_density"
    assert list(map(float, lines)) == model.score_samples(IRIS).tolist()
    assert run("score", "model.npz", "sample:iris", "--samples", "-o", "s.npy") == (0, "", "")
    np.testing.assert_array_equal(np.load("s.npy"), model.score_samples(IRIS))


def test_bad_models(fail, model):
    write_csv("iris.csv", "abcd")
    assert fail("predict", "no.npz", "sample:iris") == "no.npz: No such file or directory"
    assert fail("info", "iris.csv").startswith("iris.csv: expected a model saved by fastgmm")
    np.save("x.npy", np.ones((5, 3)))
    message = fail("score", "model.npz", "x.npy")
    assert message.startswith("x.npy: the model needs 4 features, got 3 columns.")


def test_info_lists_versions(run):
    code, out, err = run("info")
    assert (code, err) == (0, "")
    rows = dict(re.findall(r"^(\S.*?)  +(.+)$", out, re.MULTILINE))
    assert rows["fastgmm"] == fastgmm.__version__
    for package in ("numpy", "scipy", "scikit-learn"):
        assert rows[package] == version(package)
    assert rows["numba"] == (version("numba") if find_spec("numba") else "not installed")
    assert rows["backend"] == fastgmm.backend_info()["backend"]
    assert int(rows["threads"]) >= 1


def test_info_describes_a_model(run, model):
    code, out, err = run("info", "model.npz")
    assert (code, err) == (0, "")
    assert out.startswith(
        "file         model.npz\nmodel        GaussianMixture, 3 components, full"
    )
    assert re.search(r"^features +4$", out, re.MULTILINE)
    assert f"{model.lower_bound_:.6f} nats per sample, before the last update" in out
    assert out == format_model("model.npz", describe_model(model)) + "\n"


# the process


def test_module_runs_and_a_closed_pipe_is_no_error(tmp_path):
    model = GaussianMixture(2, random_state=0, max_iter=0).fit(np.arange(100.0).reshape(50, 2))
    fastgmm.save(model, tmp_path / "m.npz")
    np.save(tmp_path / "x.npy", np.ones((200_000, 2)))
    command = [sys.executable, "-m", "fastgmm", "predict", "m.npz", "x.npy"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "label\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
