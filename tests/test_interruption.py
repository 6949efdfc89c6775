"""Ctrl-C during a fit: what is kept, what is said, and when it ends at once."""

import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import mixture
from sklearn.datasets import load_iris

import fastgmm
from fastgmm.cli.interruption import Interruption
from fastgmm.cli.progress import Progress

IRIS = load_iris().data
FIT = ["fit", "sample:iris", "-K", "3", "--tol", "0"]
NOTE = b"\nfastgmm: stopping after this iteration; Ctrl-C again stops at once, without a model\n"


@pytest.fixture(autouse=True)
def default_handler():
    """Let Ctrl-C be what it is in a process of its own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def press(monkeypatch):
    """Press Ctrl-C during some iterations, counted over all starts."""

    def press(*iterations):
        show, count = Progress.__call__, [0]

        def call(progress, iteration):
            show(progress, iteration)
            count[0] += 1
            for _ in range(iterations.count(count[0])):
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Progress, "__call__", call)

    return press


def stopped(number, **options):
    model = mixture(3, tol=0.0, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(IRIS, callback=lambda iteration: iteration.number == number)


def test_the_last_complete_iteration_is_kept(run, press):
    press(5)
    code, out, err = run(*FIT, "-o", "m.npz")
    assert (code, out) == (130, "")
    assert err.endswith("fastgmm: interrupted: m.npz holds the model after 5 iterations\n")
    model = fastgmm.load("m.npz")
    assert (model.n_iter_, model.converged_) == (5, False)
    np.testing.assert_array_equal(model.means_, stopped(5).means_)


def test_a_fit_with_a_checkpoint_goes_on(run, press):
    command = (*FIT, "--max-iter", "9", "-o", "m.npz", "--checkpoint", "fit.ckpt")
    press(5)
    kept = "m.npz holds the model after 5 iterations; the same command"
    assert run(*command)[2].endswith(f"{kept} with --force goes on from fit.ckpt\n")
    press(3)  # the fifth is told again
    kept = kept.replace("5", "7")
    assert run(*command, "--force")[2].endswith(f"{kept} goes on from fit.ckpt\n")
    code, _, err = run(*command, "--force")
    assert code == 0
    assert err.startswith("fastgmm: going on from fit.ckpt\n")
    np.testing.assert_array_equal(fastgmm.load("m.npz").means_, stopped(9).means_)


@pytest.mark.parametrize("acceleration", ["quasi-newton", "subsample", "split-merge"])
def test_with_every_acceleration(run, press, acceleration):
    press(2)
    code, _, err = run(*FIT, "--acceleration", acceleration, "-o", "m.npz")
    assert code == 130
    assert err.endswith("m.npz holds the model after 2 iterations\n")
    expected = stopped(2, acceleration=acceleration)
    np.testing.assert_array_equal(fastgmm.load("m.npz").means_, expected.means_)


def test_the_best_of_several_starts_is_kept(run, press):
    n_iter = stopped(100, max_iter=100).n_iter_
    press(n_iter + 1)
    code, _, err = run(*FIT, "--n-init", 9, "-o", "m.npz")
    assert code == 130
    assert err.endswith(f"m.npz holds the model after {n_iter} iterations\n")


def test_standardized_models_and_names_are_kept(run, press):
    np.savetxt("x.csv", IRIS, delimiter=",", header="a,b,c,d", comments="")
    press(1)
    code, _, err = run("fit", "x.csv", "-K", 2, "--tol", 0, "--standardize", "-o", "m.npz")
    assert code == 130
    assert err.endswith("m.npz holds the model after 1 iteration\n")
    model = fastgmm.load("m.npz")
    assert model.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_allclose(model.weights_ @ model.means_, IRIS.mean(axis=0))


def test_without_an_output_it_ends_at_once(run, press):
    press(5)
    assert run(*FIT) == (130, "", "fastgmm: interrupted\n")


def test_a_second_time_ends_at_once(run, press):
    press(5, 5)
    code, out, err = run(*FIT, "-o", "m.npz")
    assert (code, out) == (130, "")
    assert err.endswith("fastgmm: interrupted\n")
    assert not Path("m.npz").exists()
    assert not list(Path().iterdir())


def test_before_the_first_iteration_it_ends_at_once(run, monkeypatch):
    def begin(progress, text):
        if text.startswith("initializing"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "phase", begin)
    assert run(*FIT, "-o", "m.npz") == (130, "", "fastgmm: interrupted\n")
    assert not Path("m.npz").exists()


def test_the_handler_is_for_the_fit_alone(capfd):
    with Interruption(lambda: True) as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr().err.encode() == NOTE


def test_other_handlers_and_threads_are_left_alone():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption(lambda: True):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seen = []

    def enter():
        with Interruption(lambda: True):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal for a process")
def test_a_process_that_gets_the_signal(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20_000, 3)))
    script = """
import math, sys
from fastgmm.cli import progress
from fastgmm.cli.main import main
from fastgmm.cli.progress import Progress
progress._LINE_SECONDS = math.inf
show = Progress.__call__
def call(progress, iteration):
    show(progress, iteration)
    print(iteration.number, flush=True)
Progress.__call__ = call
sys.exit(main("fit x.npy -K 5 --tol 0 --max-iter 100000000 -o m.npz".split()))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        numbers = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    n_iter = fastgmm.load(tmp_path / "m.npz").n_iter_
    assert process.returncode == 130
    assert n_iter == int([*numbers, *out.split()][-1])
    assert err == (
        f"{NOTE.decode()}fastgmm: interrupted: m.npz holds the model after {n_iter} iterations\n"
    )
