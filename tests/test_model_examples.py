"""The programs in examples/models run, and print what their comments say."""

import re
import runpy
from pathlib import Path

import pytest
from backends import skip_without

EXAMPLES = Path(__file__).parent.parent / "examples" / "models"


@pytest.fixture
def printed(capsys):
    """Run an example, and return the numbers that it prints."""
    if not EXAMPLES.exists():
        pytest.skip("no examples beside these tests")

    def run(name):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return [float(number) for number in re.findall(r"-?\d+\.?\d*", capsys.readouterr().out)]

    return run


def test_bernoulli_mixture(printed):
    _, _, purity = printed("bernoulli_mixture")
    assert purity >= 65


def test_linear_regressions(printed):
    n_iter, bound, *components = printed("linear_regressions")
    assert n_iter < 1000
    assert bound == pytest.approx(-3.1776, abs=1e-4)
    assert len(components) == 8


@pytest.mark.slow
def test_probabilistic_pca(printed):
    skip_without("numba")
    _, _, exact, drawn, eigenvalues = printed("probabilistic_pca")
    assert exact == pytest.approx(eigenvalues, abs=1e-4)
    assert drawn == pytest.approx(eigenvalues, abs=0.03)


@pytest.mark.slow
def test_latent_trait(printed):
    skip_without("numba")
    bound, first, second = printed("latent_trait")
    assert bound > -23.5
    assert min(first, second) > 0.8
