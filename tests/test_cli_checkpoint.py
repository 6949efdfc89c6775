"""``fastgmm fit --checkpoint``: the same command goes on, and leaves no file behind."""

from pathlib import Path

import numpy as np
import pytest

import fastgmm
from fastgmm import GaussianMixture, em
from fastgmm.cli.progress import Progress

FIT = ("fit", "sample:iris", "-K", "3", "--tol", "0", "--max-iter", "9")
KEPT = ("--checkpoint", "fit.ckpt", "-o", "m.npz")


@pytest.fixture
def power_fails(monkeypatch):
    """Let Ctrl-C end the command at once in some iteration, once."""
    show = Progress.__call__

    def in_iteration(number):
        left = [KeyboardInterrupt]

        def call(progress, iteration):
            show(progress, iteration)
            if iteration.number == number and left:
                raise left.pop()

        monkeypatch.setattr(Progress, "__call__", call)

    return in_iteration


def saved(run, *argv):
    """Return the model of a command that has no checkpoint."""
    assert run(*FIT, "-o", "expected.npz", *argv)[0] == 0
    return fastgmm.load("expected.npz")


@pytest.mark.parametrize("argv", [(), ("--standardize",), ("--n-init", "3"), ("-K", "auto")])
def test_the_same_command_goes_on(run, power_fails, argv):
    expected = saved(run, *argv)
    power_fails(4)
    code, out, err = run(*FIT, *KEPT, *argv)
    assert (code, out) == (130, "")
    assert err == "fastgmm: interrupted: the same command goes on from fit.ckpt\n"
    assert {"fit.ckpt"} == {path.name for path in Path().iterdir()} - {"expected.npz"}
    code, out, err = run(*FIT, *KEPT, *argv)
    assert code == 0
    assert err.startswith("fastgmm: going on from fit.ckpt\n")
    model = fastgmm.load("m.npz")
    np.testing.assert_array_equal(model.means_, expected.means_)
    assert model.lower_bounds_ == expected.lower_bounds_
    assert not Path("fit.ckpt").exists()


def test_quiet(run, power_fails):
    power_fails(4)
    run(*FIT, *KEPT, "--quiet")
    code, out, err = run(*FIT, *KEPT, "--quiet")
    assert (code, out) == (0, "")
    assert "going on" not in err


def test_without_an_output_it_is_kept_until_the_summary(run, power_fails):
    power_fails(4)
    assert run(*FIT, *KEPT[:2])[0] == 130
    code, out, _ = run(*FIT, *KEPT[:2])
    assert code == 0
    assert "9 iterations" in out
    assert not Path("fit.ckpt").exists()


def test_how_often(run, monkeypatch):
    seconds, fit = [], GaussianMixture.fit

    def spy(model, X, checkpoint, **options):
        seconds.append(checkpoint.every_seconds)
        return fit(model, X, checkpoint=checkpoint, **options)

    monkeypatch.setattr(GaussianMixture, "fit", spy)
    assert run(*FIT, *KEPT)[0] == run(*FIT, *KEPT, "--force", "--checkpoint-every", "0.5")[0] == 0
    assert seconds == [60.0, 0.5]


def test_errors(fail):
    line = fail(*FIT, "--checkpoint-every", "5", code=2)
    assert line == ("--checkpoint-every goes with --checkpoint alone (see fastgmm fit --help)")
    Path("fit.ckpt").write_text("a,b\n1,2\n")
    line = fail(*FIT, "--checkpoint", "fit.ckpt", "--quiet")
    assert line.startswith("fit.ckpt: expected a checkpoint of fastgmm, found a file that is not ")
    assert Path("fit.ckpt").read_text() == "a,b\n1,2\n"
    line = fail(*FIT, "--checkpoint", "nowhere/fit.ckpt")
    assert line.startswith("nowhere/fit.ckpt: expected a file in a folder that exists")


def test_another_fit(run, fail, power_fails):
    power_fails(4)
    run(*FIT, *KEPT)
    line = fail(*FIT, *KEPT, "--seed", "1", "--quiet")
    assert line.startswith("checkpoint fit.ckpt belongs to another fit: --seed was 0 and is 1.")
    assert Path("fit.ckpt").exists()


def test_lines_and_bars_count_starts_that_go_on():
    progress = Progress(True, 9, 3)
    for number in (9, 4, 5, 1, 2):
        progress(em.Iteration(number, -1.0, 0.1, 0.1))
    assert progress._start == 3
