"""Log-probabilities under full covariances that are left unfinished where they cannot matter."""

from dataclasses import replace

import numpy as np
import pytest
from generators import DTYPES, SCENARIOS, draw, mixture, sample_weights
from kernel_cases import assert_close, call, cancelling_scales, tolerances

from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.layout import empty_moments

SHAPES = [(600, 17, 5), (520, 18, 33), (260, 64, 6), (600, 16, 9), (300, 19, 2), (530, 33, 8)]


def cases(scenario, n, d, K, dtype):
    """Yield samples and a mixture: as drawn, then so that the first rows mislead."""
    parameters = mixture("full", K, d, scenario=scenario)
    X = draw(parameters, n, dtype)
    center = parameters.means.mean(axis=0)
    yield "drawn", parameters, X
    rng = np.random.default_rng(d)
    # the nearest component loses more to the rest of its rows than was expected of it
    tails = rng.standard_t(1.0, size=(n, 1)).clip(-1e4, 1e4)
    yield "heavy tails", parameters, (center + tails * (X - center)).astype(dtype)
    same = parameters.means.copy()
    same[:, : d // 2] = center[: d // 2]
    late = replace(parameters, means=same)
    yield "apart in the last features", late, draw(late, n, dtype)
    same = parameters.means.copy()
    same[:, d // 2 :] = center[d // 2 :]
    early = replace(parameters, means=same)
    yield "apart in the first features", early, draw(early, n, dtype)
    X = draw(early, n, dtype)
    X[::3, : d // 2] = draw(early, n, dtype, seed=1)[::3, : d // 2]
    X[::3, d // 2 :] += (30.0 * np.sqrt(parameters.covariances[0, -1, -1])).astype(dtype)
    yield "near one in the first features and far from it in the last", early, X


def arguments(parameters, X):
    components = parameters.components()
    K, d = parameters.means.shape
    sums = empty_moments("full", K, d)
    return {
        "X": X,
        "sample_weight": sample_weights(len(X)),
        **components._asdict(),
        **sums._asdict(),
        "log_likelihood": np.zeros(1),
        "log_prob_norm": np.full(len(X), np.nan),
        "labels": np.full(len(X), -1),
    }


KERNELS = {
    "accumulate": ("log_prob_norm", "labels"),
    "posterior": ("sample_weight", "nk", "first", "second", "log_likelihood"),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_reference(shape, scenario, dtype):
    for what, parameters, X in cases(scenario, *shape, dtype):
        given = arguments(parameters, X)
        del given["kind"]
        for kernel, others in KERNELS.items():
            own = {name: value for name, value in given.items() if name not in others}
            actual = call(kernels, kernel, "full", own)
            expected = call(reference, kernel, "full", own)
            wanted = {name: rtol for name, rtol in tolerances(kernel).items() if name in own}
            scales = cancelling_scales(own, "full")
            assert_close("full", own, actual, expected, scales, wanted, f"{what}: ")


@pytest.mark.parametrize("scenario", ["touching", "overlapping", "separated"])
def test_many_blocks_and_any_number_of_threads(scenario):
    """More blocks than are passed over without a search; the first 20 differ from the others."""
    parameters = mixture("full", 7, 20, scenario=scenario)
    X = np.concatenate([draw(parameters, 20 * 256), 3.0 * draw(parameters, 40 * 256 + 9)])
    given = arguments(parameters, X)
    del given["kind"]
    for kernel, others in KERNELS.items():
        own = {name: value for name, value in given.items() if name not in others}
        one, five = (call(kernels, kernel, "full", own, n_threads=n) for n in (1, 5))
        expected = call(reference, kernel, "full", own)
        wanted = {name: rtol for name, rtol in tolerances(kernel).items() if name in own}
        assert_close("full", own, one, expected, cancelling_scales(own, "full"), wanted)
        for name in wanted:
            assert one[name].tobytes() == five[name].tobytes()


def test_what_is_left_out_changes_only_the_last_bits():
    """Responsibilities are wanted of every component; log p(x) alone is not."""
    parameters = mixture("full", 12, 24, scenario="touching")
    X = draw(parameters, 3000)
    components = parameters.components()
    whole, alone = np.empty(len(X)), np.empty(len(X))
    resp, labels = np.empty((len(X), 12)), np.empty(len(X), np.int64)
    kernels.posterior(X, components, 1, log_prob_norm=whole, resp=resp)
    kernels.posterior(X, components, 1, log_prob_norm=alone, labels=labels)
    np.testing.assert_allclose(alone, whole, rtol=1e-14)
    np.testing.assert_array_equal(labels, resp.argmax(axis=1))
    assert (resp > 0.0).all()
    assert resp.min() < 1e-30
