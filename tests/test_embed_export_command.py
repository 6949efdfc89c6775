"""``fastgmm export``, and the example that uses what it writes."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_models import compile_c, needs_compiler

import fastgmm
from fastgmm import GaussianMixture
from fastgmm.embed.export_c import to_c

FAITHFUL = Path(__file__).parent / "data/faithful.csv"
EXAMPLE = Path(__file__).parent.parent / "examples/embed/export/score_eruptions.c"


@pytest.fixture
def model(run):
    assert run("fit", FAITHFUL, "-K", "2", "--seed", "0", "--quiet", "-o", "m.npz") == (0, "", "")
    return fastgmm.load("m.npz")


def test_help(run):
    code, out, err = run("export", "--help")
    assert (code, err) == (0, "")
    assert "Write a model as source code that scores samples without Python." in out


def test_writes_what_to_c_returns(run, model):
    assert run("export", "m.npz", "--language", "c", "--prefix", "geyser") == (0, "", "")
    header, source = to_c(model, "geyser")
    assert Path("geyser.h").read_text() == header
    assert Path("geyser.c").read_text() == source
    assert run("export", "m.npz", "-o", "other.c") == (0, "", "")
    assert Path("other.h").read_text() == to_c(model)[0]
    assert '#include "other.h"' in Path("other.c").read_text()


@pytest.mark.parametrize("existing", ["x.c", "x.h"])
def test_replaces_nothing_without_force(run, fail, model, existing):
    Path(existing).write_text("mine")
    message = fail("export", "m.npz", "-o", "x.c")
    assert message == f"{existing}: the file exists. --force replaces it."
    assert Path(existing).read_text() == "mine"
    assert len(list(Path().glob("x.*"))) == 1
    assert run("export", "m.npz", "-o", "x.c", "--force") == (0, "", "")
    assert Path(existing).read_text() != "mine"


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ("--language rust", 2, "argument --language: invalid choice: 'rust' (choose from "),
        ("-o x.txt", 2, "argument -o/--output: expected a .c file, got 'x.txt' (see"),
        ("--prefix int", 1, "prefix should be no keyword of C or C++, got 'int'."),
        ("--prefix 2nd", 1, "prefix should be a C identifier that begins with a letter"),
        ("-o nowhere/x.c", 1, "nowhere/x.c: expected a file in a folder that exists, got"),
    ],
)
def test_wrong_options(fail, model, arguments, code, message):
    assert fail("export", "m.npz", *arguments.split(), code=code).startswith(message)
    assert not list(Path().rglob("*.[ch]"))


def test_files_that_are_no_model(fail, model, tmp_path):
    assert fail("export", "none.npz") == "none.npz: No such file or directory"
    assert fail("export", FAITHFUL).startswith(f"{FAITHFUL}: expected a model saved by fastgmm")
    with np.load("m.npz") as file:
        arrays = dict(file)
    arrays["means_"][0, 0] = np.nan
    np.savez("nan.npz", **arrays)
    assert fail("export", "nan.npz").startswith("nan.npz: damaged model file, expected ")


def test_if_the_source_cannot_be_written_the_message_tells_of_the_header(fail, model):
    """Files may have less bytes than the source has."""
    resource = pytest.importorskip("resource")
    header, source = to_c(model)
    assert len(header) < len(source)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(header), limits[1]))
    try:
        message = fail("export", "m.npz", "-o", "big.c")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert message == "big.c: File too large (the header big.h has been written)"
    assert [path.name for path in Path().glob("big.*")] == ["big.h"]


@needs_compiler
@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the tests")
def test_example(run, model, tmp_path):
    assert run("export", "m.npz", "--prefix", "faithful", "-o", "faithful.c")[0] == 0
    compile_c(tmp_path, "-O2", "-I.", str(EXAMPLE), "faithful.c", "-lm", "-o", "score")
    with FAITHFUL.open() as table:
        outcome = subprocess.run(
            [tmp_path / "score"], stdin=table, capture_output=True, text=True, check=True
        )
    *rows, first, second, mean = outcome.stdout.splitlines()
    X = np.loadtxt(FAITHFUL, delimiter=",", skiprows=1)
    labels, log_density = np.array([row.split() for row in rows], np.float64).T
    bare = GaussianMixture.from_parameters(model.weights_, model.means_, model.covariances_)
    np.testing.assert_array_equal(labels, bare.predict(X))
    np.testing.assert_allclose(log_density, bare.score_samples(X), rtol=1e-13)
    nk = [float(line.split()[2]) for line in (first, second)]
    np.testing.assert_allclose(nk, bare.predict_proba(X).sum(axis=0), atol=1e-5)
    np.testing.assert_allclose(float(mean.split()[-1]), bare.score(X), rtol=1e-13)
