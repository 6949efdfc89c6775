"""Metropolis chains and Gaussian q, compiled for a function: every backend against its twin."""

import ctypes
import os
from functools import cache

import numpy as np
import pytest
from backends import available, skip_without, using

from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.contract import MODEL_KERNELS
from fastgmm._kernels.threads import guard

try:
    import numba
except ImportError:  # functions of Python, called from C by way of ctypes, take its place
    numba = None

#: Counter, key and output of Philox4x32-10: the known answers of Random123 1.14.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip

#: Samples, features, elements of z, draws, and steps before them (chains) or of q.
SHAPES = [
    (1, 1, 1, 1, 0),
    (1, 2, 3, 5, 1),
    (2, 3, 1, 7, 2),
    (3, 2, 2, 2, 0),
    (5, 1, 3, 4, 3),
    (17, 3, 2, 9, 4),
    (64, 4, 5, 16, 1),
]
SEED = 2**40 + 7
FIRST_ROW = 2**33 + 5


def compiled(function):
    return numba.njit(error_model="numpy")(function) if numba else function


@compiled
def log_joint(x, z, theta):
    total = 0.0
    for k in range(len(z)):
        total -= 0.5 * theta[k] * z[k] * z[k]
        for j in range(len(x)):
            total += 0.3 * np.cos(z[k] - x[j]) + 0.1 * x[j] * z[k]
    return total


@compiled
def log_joint_gradient(x, z, theta, gradient):
    for k in range(len(z)):
        gradient[k] = -theta[k] * z[k]
        for j in range(len(x)):
            gradient[k] += -0.3 * np.sin(z[k] - x[j]) + 0.1 * x[j]
    return log_joint(x, z, theta)


@pytest.fixture(params=available())
def variant(request):
    with using(request.param):
        yield request.param


def words(text):
    return np.array([int(word, 16) for word in text.split()], np.uint64)


@pytest.mark.parametrize("counter, key, output", KNOWN)
def test_known_answers_of_philox(counter, key, output):
    np.testing.assert_array_equal(reference.philox(words(counter), words(key)), words(output))


@pytest.mark.parametrize("counter, key, output", KNOWN)
def test_known_answers_of_numbas_philox(counter, key, output):
    skip_without("numba")
    from fastgmm._kernels._numba.philox import philox

    assert list(philox(*words(counter), *words(key))) == words(output).tolist()


def test_uniforms_of_a_known_answer():
    """The counter of place 0, sample 0, iteration 0 and the key of seed 0 are zeros."""
    a, b, c, d = (int(word) for word in words(KNOWN[0][2]))
    expected = [(a >> 5) * 2**26 + (b >> 6), (c >> 5) * 2**26 + (d >> 6)]
    actual = reference.uniforms(0, 1, 0, (0, 0))[:, 0] * 2.0**53
    assert actual.tolist() == expected


def numbers(*shape, low=-2.0, high=2.0):
    """Return numbers that are the same with every NumPy."""
    fractions = (np.arange(1, 1 + np.prod(shape)) * 0.6180339887498949) % 1.0
    return (low + (high - low) * fractions).reshape(shape)


def chains(n, d, n_latent, n_draws, n_skipped, *, n_states=0):
    """Return arguments for ``metropolis``."""
    return {
        "log_joint": log_joint,
        "theta": numbers(n_latent, low=0.5),
        "X": numbers(n, d),
        "first_row": FIRST_ROW,
        "draw": (3, SEED),
        "n_states": n_states,
        "n_skipped": n_skipped,
        "state": np.arange(n * n_latent).reshape(n, n_latent) % float(max(n_states, 1)),
        "scale": numbers(n, low=0.5),
        "draws": np.full((n, n_draws, n_latent), np.nan),
        "log_joints": np.full(n, np.nan),
        "accepted": np.full(n, np.nan),
    }


def gaussians(n, d, n_latent, n_draws, n_steps):
    """Return arguments for ``mean_field``."""
    return {
        "log_joint_gradient": log_joint_gradient,
        "theta": numbers(n_latent, low=0.5),
        "X": numbers(n, d),
        "first_row": FIRST_ROW,
        "draw": (3, SEED),
        "n_steps": n_steps,
        "step_size": 0.7,
        "mean": numbers(n, n_latent),
        "log_scale": numbers(n, n_latent),
        "draws": np.full((n, n_draws + n_draws % 2, n_latent), np.nan),
        "log_joints": np.full(n, np.nan),
    }


def by_ctypes(function, n_arrays):
    """Return a function of C that calls one of Python."""
    pointer, size = ctypes.POINTER(ctypes.c_double), ctypes.c_size_t

    @ctypes.CFUNCTYPE(ctypes.c_double, *[pointer] * n_arrays, *[size] * 3)
    def call_python(*values):
        d, n_latent, p = values[n_arrays:]
        shapes = (d, n_latent, p, n_latent)
        arrays = zip(values[:n_arrays], shapes, strict=False)
        return function(*(np.ctypeslib.as_array(array, (length,)) for array, length in arrays))

    return call_python


def call(module, name, given, n_threads=2):
    """Call a kernel on copies of its outputs, and return these."""
    argument = MODEL_KERNELS[name].arguments[0].name
    if numba is None and module is kernels:
        n_arrays = {"log_joint": 3, "log_joint_gradient": 4}[argument]
        given = {**given, argument: by_ctypes(given[argument], n_arrays)}
    names = [a.name for a in MODEL_KERNELS[name].arguments if a.direction != "in"]
    after = {key: value.copy() if key in names else value for key, value in given.items()}
    getattr(module, name)(**after, n_threads=n_threads)
    return {key: after[key] for key in names}


CASES = [
    *[("metropolis", chains(*shape)) for shape in SHAPES],
    *[("metropolis", chains(*shape, n_states=2)) for shape in SHAPES],
    *[("metropolis", chains(*shape, n_states=5)) for shape in SHAPES],
    *[("mean_field", gaussians(*shape)) for shape in SHAPES],
]


@pytest.mark.parametrize("name, given", CASES)
def test_agrees_with_reference(name, given, variant):
    expected, actual = call(reference, name, given), call(kernels, name, given)
    for key, value in expected.items():
        assert np.isfinite(value).all()
        rtol = MODEL_KERNELS[name].rtol
        np.testing.assert_allclose(actual[key], value, rtol=rtol, atol=rtol, err_msg=key)


@pytest.mark.parametrize("name, given", CASES[5::7])
def test_any_number_of_threads_and_any_blocks(name, given, variant):
    """One call is the same, to the bit, as one call for each half of the samples."""
    whole = call(kernels, name, given, 1)
    for n_threads in (2, 3, 8):
        for key, value in call(kernels, name, given, n_threads).items():
            np.testing.assert_array_equal(value, whole[key])
    rows = {"X", "scale", *whole}
    half = len(given["X"]) // 2
    for part in (slice(half), slice(half, None)):
        of_part = {key: value[part] if key in rows else value for key, value in given.items()}
        of_part["first_row"] += part.start or 0
        for key, value in call(kernels, name, of_part).items():
            np.testing.assert_array_equal(value, whole[key][part])


#: The last draw, and sums of draws and of log_joints: every build has the same, on any machine.
RECORDED = {
    "metropolis": [1.49349435713782, 95.11826678707178, -2.4353519560816506],
    "metropolis of 2 states": [0.0, 107.0, 5.272933329697242],
    "metropolis of 5 states": [1.0, 154.0, -9.343567344287518],
    "mean_field": [-1.7736390134760758, -90.57173033035275, -9.125976572125044],
}


@pytest.mark.parametrize("name, given", CASES[5::7])
def test_recorded_values(name, given, variant):
    kind = name if given.get("n_states", 0) == 0 else f"{name} of {given['n_states']} states"
    out = call(kernels, name, given)
    actual = [out["draws"][-1, -1, -1], out["draws"].sum(), out["log_joints"].sum()]
    np.testing.assert_allclose(actual, RECORDED[kind], rtol=1e-9)


@pytest.mark.parametrize("what", ["draw", "first_row", "seed"])
@pytest.mark.parametrize("name, given", [CASES[5], CASES[-1]])
def test_other_numbers_for_another_place(name, given, what, variant):
    iteration, seed = given["draw"]
    changed = {
        "draw": {"draw": (iteration + 1, seed)},
        "first_row": {"first_row": FIRST_ROW + 2**32},  # the high word counts
        "seed": {"draw": (iteration, seed - 2**40)},
    }[what]
    one, other = (call(kernels, name, {**given, **more})["draws"] for more in ({}, changed))
    assert (one != other).any(axis=(1, 2)).mean() > 0.9


@pytest.mark.parametrize("name, given", [CASES[5], CASES[-1]])
def test_a_forked_child_will_know_of_threads(name, given, variant, monkeypatch):
    monkeypatch.setattr(guard, "_launched_by", None)
    call(kernels, name, given)
    assert guard._launched_by == os.getpid()


def test_nan_stays_until_the_bound(variant):
    """A gradient of NaN is not clipped to a number."""

    @compiled
    def nan_gradient(x, z, theta, gradient):
        gradient[:] = np.nan
        return z[0]

    given = {**gaussians(3, 1, 2, 4, 1), "log_joint_gradient": nan_gradient}
    assert np.isnan(call(kernels, "mean_field", given)["log_joints"]).all()


def test_functions_that_are_not_compiled_yet(variant):
    """A plain function is compiled as one by ``numba.njit`` is."""
    pytest.importorskip("numba")
    given = CASES[5][1]
    plain = {**given, "log_joint": log_joint.py_func}
    expected, actual = (call(kernels, "metropolis", each) for each in (given, plain))
    for key, value in expected.items():
        np.testing.assert_array_equal(actual[key], value)


@cache
def functions_of_c():
    """Return the two log-densities by their addresses."""
    pointer, size = numba.types.CPointer(numba.float64), numba.types.uintp

    @numba.cfunc(numba.float64(*[pointer] * 3, *[size] * 3))
    def density(x, z, theta, d, n_latent, p):
        return log_joint(numba.carray(x, d), numba.carray(z, n_latent), numba.carray(theta, p))

    @numba.cfunc(numba.float64(*[pointer] * 4, *[size] * 3))
    def gradient(x, z, theta, gradient, d, n_latent, p):
        arrays = numba.carray(x, d), numba.carray(z, n_latent), numba.carray(theta, p)
        return log_joint_gradient(*arrays, numba.carray(gradient, n_latent))

    return {"log_joint": density, "log_joint_gradient": gradient}


@pytest.mark.parametrize("is_ctypes", [True, False])
@pytest.mark.parametrize("name, given", [CASES[5], CASES[-1]])
def test_functions_of_c(name, given, is_ctypes, variant):
    pytest.importorskip("numba")
    argument = MODEL_KERNELS[name].arguments[0].name
    function = functions_of_c()[argument]
    in_c = {**given, argument: function.ctypes if is_ctypes else function}
    expected, actual = (call(kernels, name, each) for each in (given, in_c))
    for key, value in expected.items():
        np.testing.assert_allclose(actual[key], value, rtol=1e-9, atol=1e-9)


def test_discrete_chains_reach_every_state_by_its_probability(variant):
    """Two elements of three states, by enumeration: a mean over many chains of one sample."""
    n, n_draws = 1500, 3
    given = chains(1, 2, 2, n_draws, 60, n_states=3)
    x, theta = given["X"][0], given["theta"]
    given |= {"X": np.repeat(given["X"], n, axis=0), "state": np.zeros((n, 2)),
              "scale": np.ones(n), "draws": np.empty((n, n_draws, 2)),
              "log_joints": np.empty(n), "accepted": np.empty(n)}  # fmt: skip
    table = np.array([[log_joint(x, np.array([a, b]), theta) for b in (0.0, 1.0, 2.0)]
                      for a in (0.0, 1.0, 2.0)])  # fmt: skip
    p = np.exp(table - table.max()).ravel()
    p /= p.sum()
    last = call(kernels, "metropolis", given)["draws"][:, -1]
    share = np.bincount((3 * last[:, 0] + last[:, 1]).astype(int), minlength=9) / n
    assert (np.abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / n)).all()
