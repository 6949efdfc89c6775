"""``fastgmm compile``: the kernels are on disk before anybody needs them."""

import pytest
from backends import skip_without

from fastgmm.cli.main import main

COMPILE = """
from fastgmm.cli.main import main
raise SystemExit(main(["compile", "--covariance-type", "spherical", "--dtype", "float64"]))
"""

# whether a fit, a prediction and a score find every kernel on disk
FIT = """
import numpy as np
from fastgmm import GaussianMixture
from fastgmm._kernels._numba import boxes, candidates, groups, incomplete, listed, passes, tree

X = np.random.default_rng(0).normal(size=(100, 3))
model = GaussianMixture(2, covariance_type="spherical", random_state=0).fit(X)
model.predict(X), model.predict_proba(X), model.score(X)
X[::9, 0] = np.nan
model.set_params(missing="marginalize", warm_start=True).fit(X).predict(X)
many = GaussianMixture(5, init_params="tree", posterior="truncated", random_state=0)
many.set_params(covariance_type="spherical", max_iter=2, tol=0.0)
many.fit(np.random.default_rng(0).normal(size=(100, 3)))
means = np.random.default_rng(0).normal(size=(2048, 3))
many = GaussianMixture.from_parameters(
    np.full(2048, 1 / 2048), means, np.full(2048, 1e-4), covariance_type="spherical"
)
many.predict(many.sample(2**14)[0])
for kernel in (
    passes.accumulate,
    passes.posterior,
    incomplete.accumulate_incomplete,
    incomplete.posterior_incomplete,
    tree.principal_cuts,
    tree.sides,
    tree.descend,
    groups.group_moments,
    candidates.search,
    listed.posterior_listed,
    boxes.box_bounds,
):
    print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_a_fit_finds_the_kernels_on_disk(run_python, tmp_path):
    skip_without("numba")
    environment = {"FASTGMM_BACKEND": "numba", "NUMBA_CACHE_DIR": str(tmp_path)}
    printed = run_python(COMPILE, **environment)
    assert printed.startswith("Compiled in ")
    assert str(tmp_path) in printed
    assert run_python(FIT, **environment).split() == ["1", "0"] * 11


@pytest.mark.slow
@pytest.mark.numba_alone
def test_kernels_that_cannot_be_kept_are_an_error(run_python, tmp_path):
    skip_without("numba")
    script = f"""
import contextlib, io, errno
from numba.core import caching

def full(self, *arguments):
    raise OSError(errno.ENOSPC, "No space left on device")

caching.IndexDataCacheFile.save = full
err = io.StringIO()
with contextlib.redirect_stderr(err):
    {COMPILE.strip().splitlines()[0]}
    code = main(["compile", "--covariance-type", "spherical", "--dtype", "float64"])
print(code)
print(err.getvalue().splitlines()[-2:])
"""
    environment = {"FASTGMM_BACKEND": "numba", "NUMBA_CACHE_DIR": str(tmp_path)}
    code, lines = run_python(script, **environment).splitlines()
    assert code == "1"
    assert "the kernels were compiled, but could not be kept: [Errno 28] No space left" in lines
    assert "NUMBA_CACHE_DIR" in lines


def test_cython_has_nothing_to_compile(run_python):
    skip_without("cython")
    script = "from fastgmm.cli.main import main; print(main(['compile']))"
    lines = run_python(script, FASTGMM_BACKEND="cython").splitlines()
    assert lines == [
        "The Cython kernels were compiled when fastgmm was built: nothing to do.",
        "0",
    ]


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--covariance-type", "round"], "argument --covariance-type: invalid choice: 'round'"),
        (["--dtype", "float16"], "argument --dtype: invalid choice: 'float16'"),
    ],
)
def test_wrong_usage(capsys, argv, message):
    assert main(["compile", *argv]) == 2
    assert message in capsys.readouterr().err
