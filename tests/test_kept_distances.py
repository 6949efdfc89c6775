"""Distances that passes keep: codes that are bounds, and passes that use them, to the same bits."""

import copy
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
from backends import VARIANTS, skip_without, using
from generators import DTYPES, SCENARIOS, draw, mixture, sample_weights

from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm import _kernels as kernels
from fastgmm._kernels import reference
from fastgmm._kernels.kept_distances import LARGEST_CODE, NOTHING_KEPT, KeptDistances
from fastgmm._kernels.layout import CUT, LARGEST_BLOCK, SMALLEST_BLOCK, empty_moments
from fastgmm.data.samples import Samples
from fastgmm.em import kept_distances
from fastgmm.em.kept_distances import Anchor, DistanceKeeper
from fastgmm.em.posteriors.exact import ExactPosterior
from fastgmm.model.parameters import MixtureParameters

each_variant = pytest.mark.parametrize("variant", VARIANTS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)
each_scenario = pytest.mark.parametrize("scenario", SCENARIOS)
SHAPES = [
    *((600, 3, 2), (520, 4, 9), (1, 5, 3), (257, 6, 5), (1100, 17, 33), (512, 32, 6)),
    (300, 6, 600),  # samples of two components wait in one block
]


def no_codes(n, K):
    """Return what a pass may write."""
    units = -(-n // LARGEST_BLOCK) * (LARGEST_BLOCK // SMALLEST_BLOCK)
    return NOTHING_KEPT._replace(
        codes=np.empty(units * SMALLEST_BLOCK * K, np.uint8), counts=np.zeros(units, np.int64)
    )


def accumulate(X, parameters, kept=NOTHING_KEPT, float32_blocks=False, n_threads=2, module=kernels):
    """Return the statistics of a pass, as bytes."""
    sums = empty_moments(parameters.covariance_type, *parameters.means.shape)
    log_likelihood = np.zeros(1)
    kept.counts[:] = 0
    module.accumulate(
        X, sample_weights(len(X)), parameters.components(), sums, log_likelihood, n_threads,
        float32_blocks, kept=kept,
    )  # fmt: skip
    return [array.tobytes() for array in (*sums, log_likelihood)]


def write(X, parameters, float32_blocks=False):
    """Return where a pass wrote its codes, the codes, and its statistics."""
    anchor = Anchor.at(parameters.components(), X.dtype)
    kept = no_codes(*(len(X), parameters.n_components))._replace(steps=anchor.steps)
    return anchor, kept, accumulate(X, parameters, kept, float32_blocks)


def use(anchor, kept: KeptDistances, parameters):
    """Return what a pass under other parameters uses, however little it rules out."""
    upper, lower = anchor.bounds(parameters.components(), largest_loss=np.inf)
    return kept._replace(upper=upper, lower=lower)


def moved(parameters, size, seed=0):
    """Return other parameters nearby."""
    rng = np.random.default_rng(seed)
    K, d = parameters.means.shape
    scale = np.sqrt(np.diagonal(parameters.covariances, axis1=1, axis2=2))
    means = parameters.means + size * scale * rng.normal(size=(K, d))
    A = np.eye(d) + size / np.sqrt(d) * rng.normal(size=(K, d, d))
    root = scale[:, :, np.newaxis] * A  # of about the covariances' size, and no nearer
    mixed = (1.0 - size) * parameters.covariances + size * (root @ root.swapaxes(1, 2))
    weights = rng.dirichlet(np.full(K, 1.0 / max(size, 1e-3))) * size
    weights = weights + (1.0 - size) * parameters.weights
    return MixtureParameters.from_covariances("full", weights, means, mixed)


def tables(scenario, n, d, K, dtype):
    """Yield samples and parameters: as drawn, with far samples, and a component without weight."""
    parameters = mixture("full", K, d, scenario=scenario)
    X = draw(parameters, n, dtype)
    yield parameters, X
    far = X.copy()
    spread = X.std(axis=0) + np.abs(X).max() * 1e-3
    far[::7] += (1e4 * spread).astype(dtype)
    far[1::5] = X[0]
    yield parameters, far
    weights = parameters.weights.copy()
    weights[0] = 0.0
    yield replace(parameters, weights=weights / weights.sum()), X
    covariances = parameters.covariances * (10.0 ** (6 * np.arange(K) / K))[:, None, None]
    yield (
        MixtureParameters.from_covariances(
            "full", parameters.weights, parameters.means, covariances
        ),
        X,
    )


def distances(X, parameters):
    """Return y, so that log p(x, k) = coefficient_k - y^2, and log p(x, k)."""
    z = X[:, np.newaxis].astype(np.float64) - parameters.means
    U = parameters.precisions_cholesky
    y = np.sqrt(0.5) * np.linalg.norm(np.einsum("nki,kij->nkj", z, U), axis=2)
    return y, parameters.components().log_coefficients - y**2


def by_sample(codes, n, K):
    """Return codes as (n, K)."""
    units = codes.reshape(-1, K, SMALLEST_BLOCK)
    return units.swapaxes(1, 2).reshape(-1, K)[:n]


@each_variant
@each_dtype
@pytest.mark.parametrize("scenario", ["touching", "overlapping", "separated"])
def test_codes_are_bounds(variant, dtype, scenario):
    skip_without(variant)
    for n, d, K in SHAPES[:-1]:
        for parameters, X in tables(scenario, n, d, K, dtype):
            with using(variant):
                anchor, kept, _ = write(X, parameters, dtype == "float32")
            codes = by_sample(kept.codes, n, K)
            plain = no_codes(n, K)._replace(steps=anchor.steps)
            accumulate(X, parameters, plain, module=reference)
            plain = by_sample(plain.codes, n, K)
            y, log_prob = distances(X, parameters)
            tolerance = 1e-3 * (1.0 + y) if dtype == "float32" else 1e-6 * (1.0 + y)
            code = (codes & LARGEST_CODE).astype(np.float64)
            is_exact = codes > LARGEST_CODE
            assert (code * anchor.steps <= y + tolerance).all()
            short = (code + 1) * anchor.steps
            assert (is_exact <= (y <= short + tolerance)).all()
            assert not is_exact[code == LARGEST_CODE].any()
            # those that matter are known, but for those so far away that no code says it
            best = log_prob.max(axis=1, keepdims=True)
            matters = log_prob > best - CUT + 0.1
            reach = (LARGEST_CODE - 1) * anchor.steps
            assert is_exact[matters & (y < reach - tolerance)].all()
            assert not is_exact[log_prob < best - CUT - 0.1].any()
            differs = plain[is_exact].astype(int) - codes[is_exact]
            assert np.abs(differs).max(initial=0) <= 1
            assert np.count_nonzero(differs) <= 0.02 * is_exact.sum() + 1
            # also samples that fill a block up are counted
            assert is_exact.sum() <= kept.counts.sum() <= kept.codes.size


@each_variant
@each_dtype
@each_scenario
def test_passes_that_use_codes_have_the_same_bits(variant, dtype, scenario):
    skip_without(variant)
    float32_blocks = dtype == "float32"
    for n, d, K in SHAPES:
        for i, (parameters, X) in enumerate(tables(scenario, n, d, K, dtype)):
            with using(variant):
                anchor, kept, written = write(X, parameters, float32_blocks)
                assert written == accumulate(X, parameters, float32_blocks=float32_blocks)
                for size in (0.0, 1e-3, 0.05, 0.3, 1.0):
                    other = moved(parameters, size, seed=i)
                    used = use(anchor, kept, other)
                    expected = accumulate(X, other, float32_blocks=float32_blocks)
                    for n_threads in (1, 3):
                        actual = accumulate(X, other, used, float32_blocks, n_threads)
                        assert actual == expected, (n, d, K, i, size)


@each_variant
@pytest.mark.parametrize(
    "covariance_type, d", [("full", 1), ("full", 2), ("tied", 5), ("diag", 5), ("spherical", 5)]
)
def test_other_kinds_keep_nothing(variant, covariance_type, d):
    """Whatever a pass is given: its statistics and the codes are those without."""
    skip_without(variant)
    parameters = mixture(covariance_type, 3, d)
    X = draw(parameters, 700)
    bounds = np.ones(9, np.float32)
    kept = no_codes(700, 3)._replace(steps=np.ones(3))
    kept.codes[:] = 7
    with using(variant):
        expected = accumulate(X, parameters)
        assert accumulate(X, parameters, kept) == expected
        assert accumulate(X, parameters, kept._replace(upper=bounds, lower=bounds)) == expected
    assert (kept.codes == 7).all()
    assert (kept.counts == 0).all()


@each_variant
def test_components_that_change_places_have_the_same_bits(variant):
    skip_without(variant)
    parameters = mixture("full", 5, 8)
    X = draw(parameters, 700)
    order = [1, 2, 3, 4, 0]
    other = replace(
        parameters,
        **{
            name: getattr(parameters, name)[order]
            for name in ("weights", "means", "covariances", "precisions_cholesky")
        },
    )
    with using(variant):
        anchor, kept, _ = write(X, parameters)
        assert accumulate(X, other, use(anchor, kept, other)) == accumulate(X, other)


def conditioned(d, K, exponent, offset, seed=0):
    """Return a mixture whose covariances have eigenvalues from 1 to 10^-exponent."""
    rng = np.random.default_rng(seed)
    rotations = np.linalg.qr(rng.normal(size=(K, d, d)))[0]
    scales = 10.0 ** (-0.5 * exponent * rng.random((K, 1, d)))
    roots = rotations * scales
    means = offset * rng.normal(size=d) + rng.normal(size=(K, d))
    return MixtureParameters.from_covariances(
        "full", rng.dirichlet(np.full(K, 2.0)), means, roots @ roots.swapaxes(1, 2)
    )


def stepped(parameters, size, rng):
    """Return parameters a step away in units of each component's own deviations."""
    K, d = parameters.means.shape
    roots = np.linalg.cholesky(parameters.covariances)
    means = parameters.means + size * np.einsum("kij,kj->ki", roots, rng.normal(size=(K, d)))
    roots = roots @ (np.eye(d) + size / np.sqrt(d) * rng.normal(size=(K, d, d)))
    covariances = roots @ roots.swapaxes(1, 2)
    return MixtureParameters.from_covariances("full", parameters.weights, means, covariances)


@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
@pytest.mark.parametrize("exponent", [0, 4, 8, 11])
def test_bounds_hold_what_the_kernels_compute(exponent, offset):
    """Of samples that the mean of another component moves away from the origin, too."""
    rng = np.random.default_rng(exponent)
    n_bounded = 0
    for d, K in ((3, 4), (13, 5), (40, 3)):
        before = conditioned(d, K, exponent, offset)
        X = draw(before, 500) + 0.3 * rng.normal(size=(500, d))
        anchor, kept, _ = write(X, before)
        codes = by_sample(kept.codes, len(X), K)
        code, is_exact = (codes & LARGEST_CODE).astype(np.float64), codes > LARGEST_CODE
        for size in (0.0, 1e-10, 1e-4, 0.05, 0.2):
            for jump in (0.0, 1e6, 1e13):
                after = stepped(before, size, rng)
                means = after.means.copy()
                means[-1] += jump
                components = replace(after, means=means).components()
                upper, lower = anchor.bounds(components, largest_loss=np.inf)
                log_prob = np.empty((len(X), K))
                kernels.posterior(X, components, 1, log_prob=log_prob)
                log_prob -= components.log_coefficients.max()
                scale, shift, coefficient = upper.reshape(K, 3).T.astype(np.float64)
                above = coefficient - np.maximum(scale * code + shift, 0.0) ** 2
                assert (log_prob <= above + 1e-5 * np.abs(above)).all()
                n_bounded += np.count_nonzero(scale)
                scale, shift, coefficient = lower.reshape(K, 3).T.astype(np.float64)
                below = coefficient - (scale * code + shift) ** 2
                assert (log_prob >= below - 1e-5 * np.abs(below))[is_exact].all()
    assert n_bounded > 0


def test_rounding_widens_the_bounds():
    """About an origin that another component's mean has moved far away, distances are inexact."""
    parameters = mixture("full", 5, 12)
    anchor = Anchor.at(parameters.components(), np.dtype("float64"))
    shifts = []
    for jump in (0.0, 1e12, 1e14, 1e17):
        means = parameters.means.copy()
        means[-1] += jump
        upper, _ = anchor.bounds(replace(parameters, means=means).components(), np.inf)
        shifts.append(upper.reshape(5, 3)[0, 1])
    assert shifts[0] > shifts[1] > shifts[2] > shifts[3]
    # an origin at 1e14 / 5 has numbers 2^-8 apart
    assert shifts[2] < -0.003
    # where factors are ill-conditioned, and with numbers of float32
    singular = conditioned(12, 5, 10, 0.0)
    wide = Anchor.at(singular.components(), np.dtype("float64")).rounding
    assert (wide > 10 * anchor.rounding.max()).all()
    assert (Anchor.at(parameters.components(), np.dtype("float32")).rounding > 1e-5).all()


def test_bounds_that_rule_out_little_are_none():
    parameters = mixture("full", 4, 6)
    anchor = Anchor.at(parameters.components(), np.dtype("float64"))
    assert anchor.bounds(parameters.components()) is not None
    assert anchor.bounds(moved(parameters, 0.9).components()) is None
    # rounding errors as large as distances: float32, and a mean far away in units of its deviation
    thin = parameters.covariances.copy()
    thin[:, 0], thin[:, :, 0] = 0.0, 0.0
    thin[:, 0, 0] = 1e-14
    singular = MixtureParameters.from_covariances(
        "full", parameters.weights, parameters.means, thin
    )
    anchor = Anchor.at(singular.components(), np.dtype("float32"))
    assert anchor.bounds(singular.components()) is None


@pytest.fixture
def small(monkeypatch):
    """Keep distances of small tables, too."""
    monkeypatch.setattr(kept_distances, "_WORTH_KEEPING", 0)
    monkeypatch.setattr(kept_distances, "_ROWS_PER_FEATURE", 0)


@pytest.fixture
def passes(monkeypatch):
    """What each pass did: it went without codes, wrote them, or used them."""
    found = []
    original = kernels.accumulate

    def accumulate(*arguments, **others):
        kept = NOTHING_KEPT if others else arguments[-1]
        wrote = "used" if kept.upper.size else "wrote"
        found.append(wrote if kept.codes.size else "nothing")
        return original(*arguments, **others)

    monkeypatch.setattr(kernels, "accumulate", accumulate)
    return found


def started(X, parameters):
    """Return a posterior in a run, and its samples."""
    posterior, samples = ExactPosterior(), Samples(X)
    posterior.start(samples, parameters)
    return posterior, samples


def far_apart(n=3000, d=8, K=6, dtype="float64"):
    parameters = mixture("full", K, d, scenario="apart")
    return draw(parameters, n, dtype), parameters


def test_codes_are_written_in_the_second_pass_and_used_from_then_on(small, passes):
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for size in (0.0, 0.0, 0.0, 1e-3, 2e-3):
        posterior.summarize(samples, moved(parameters, size))
    assert passes == ["nothing", "wrote", "used", "used", "used"]
    # another run, other samples, other components: codes of their own
    passes.clear()
    posterior.summarize(Samples(X), parameters)
    posterior.start(samples, parameters)
    posterior.summarize(samples, parameters)
    assert passes == ["nothing", "nothing"]


def test_codes_are_written_anew_where_bounds_have_become_wide(small, passes):
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for size in (0.0, 0.0, 1e-3):
        posterior.summarize(samples, moved(parameters, size))
    for _ in range(3):
        posterior.summarize(samples, moved(parameters, 0.6))
    assert passes == ["nothing", "wrote", "used", "wrote", "used", "used"]


def test_codes_that_are_never_used_are_not_written_all_the_time(small, passes):
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for i in range(12):
        posterior.summarize(samples, moved(parameters, 0.9, seed=i))
    assert passes.count("used") == 0
    assert 2 <= passes.count("wrote") <= 3


def test_codes_are_given_up_where_most_components_matter(small, passes):
    parameters = mixture("full", 6, 8, scenario="overlapping")
    posterior, samples = started(draw(parameters, 3000), parameters)
    for _ in range(20):
        posterior.summarize(samples, parameters)
    assert passes == ["nothing", "wrote", *["nothing"] * 18]


def test_a_pass_that_ends_early_leaves_no_codes(small, parts, passes, monkeypatch):
    """It wrote some of them, over those of an earlier pass."""
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for _ in range(3):
        posterior.summarize(samples, parameters)
    assert passes[-1] == "used"
    other = moved(parameters, 0.9)
    blocks, calls = Samples.blocks, []

    def ends_early(self):
        for block in blocks(self):
            calls.append(block)
            if len(calls) == 2:
                raise KeyboardInterrupt
            yield block

    with monkeypatch.context() as patch:
        patch.setattr(Samples, "blocks", ends_early)
        with pytest.raises(KeyboardInterrupt):
            posterior.summarize(samples, other)
    assert passes[-1] == "wrote"
    actual = posterior.summarize(samples, parameters)
    expected = ExactPosterior().summarize(samples, parameters)
    assert actual.moments.second.tobytes() == expected.moments.second.tobytes()
    assert passes[-6:] == ["wrote"] * 3 + ["nothing"] * 3  # not those of the other parameters


def test_a_part_begins_with_its_own_unit():
    kept = no_codes(1500, 3)._replace(steps=np.ones(3))
    kept.codes[:] = np.arange(kept.codes.size) // (3 * SMALLEST_BLOCK)
    kept.counts[:] = np.arange(len(kept.counts))
    part = kept.from_row(1024)
    assert (part.codes[0], part.counts[0]) == (4, 4)
    assert (part.codes.size, part.counts.size) == (2 * 3 * SMALLEST_BLOCK, 2)
    part.counts[0] = 7
    assert kept.counts[4] == 7


def test_codes_of_too_many_pairs_are_freed(small):
    parameters = mixture("full", 6, 8, scenario="overlapping")
    keeper, samples = DistanceKeeper(), Samples(draw(parameters, 3000))
    keeper.start()
    for _ in range(3):
        for X, weight, kept in keeper.blocks(samples, parameters.components()):
            sums = empty_moments("full", 6, 8)
            args = X, weight, parameters.components(), sums, np.zeros(1), 1, False, None, kept
            kernels.accumulate(*args)
    (run,) = keeper._runs.values()
    assert run._kept is NOTHING_KEPT


def test_before_a_run_nothing_is_kept(small, passes):
    """Whoever calls summarize for samples that change between passes reads them as they are."""
    X, parameters = far_apart()
    posterior, samples = ExactPosterior(), Samples(X)
    for _ in range(4):
        posterior.summarize(samples, parameters)
        X[:] = np.roll(X, 1, axis=0)
    assert set(passes) == {"nothing"}


@pytest.mark.parametrize("name", ["weights", "means", "precisions_cholesky"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_parameters_that_are_none_end_as_without_codes(small, passes, name, value):
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for _ in range(3):
        posterior.summarize(samples, parameters)
    assert passes[-1] == "used"
    array = getattr(parameters, name).copy()
    array[0] = value
    with np.errstate(all="ignore"):
        other = replace(parameters, **{name: array})
        actual, expected = (p.summarize(samples, other) for p in (posterior, ExactPosterior()))
    assert actual.moments.first.tobytes() == expected.moments.first.tobytes()
    is_regular = value == 0.0 and name != "precisions_cholesky"
    assert is_regular or passes[-2] == "nothing"
    posterior.summarize(samples, parameters)
    assert passes[-1] != "nothing"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda k: pickle.loads(pickle.dumps(k))])
def test_copies_have_no_codes(small, passes, copied):
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for _ in range(2):
        posterior.summarize(samples, parameters)
    copied(posterior).summarize(samples, parameters)
    assert passes[-1] == "nothing"


def test_threads_have_codes_of_their_own(small, passes):
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for _ in range(3):
        posterior.summarize(samples, parameters)
    thread = threading.Thread(target=posterior.summarize, args=(samples, parameters))
    thread.start()
    thread.join()
    assert passes[-2:] == ["used", "nothing"]


def test_codes_are_forgotten_with_their_samples(small):
    X, parameters = far_apart()
    keeper, samples = DistanceKeeper(), Samples(X)
    keeper.start()
    for _ in range(3):
        list(keeper.blocks(samples, parameters.components()))
    (run,) = keeper._runs.values()
    assert run.n_bytes == 3072 * 6
    del samples, run
    assert not keeper._runs


def test_codes_take_32_mib_at_most_and_passes_of_some_work(passes, monkeypatch):
    assert kept_distances._LARGEST_MEMORY == 2**25
    X, parameters = far_apart()
    posterior, samples = started(X, parameters)
    for changes, is_kept in (
        ({}, 0),  # little work
        ({"_WORTH_KEEPING": 0}, 1),
        ({"_LARGEST_MEMORY": 3072 * 6 - 1}, 0),
    ):
        for name, value in changes.items():
            monkeypatch.setattr(kept_distances, name, value)
        passes.clear()
        posterior.start(samples, parameters)
        for _ in range(3):
            posterior.summarize(samples, parameters)
        assert ("wrote" in passes) == is_kept


FITS = {
    "plain": (GaussianMixture, {}),
    "accelerated": (GaussianMixture, {"acceleration": "quasi-newton"}),
    "split and merge": (GaussianMixture, {"acceleration": "split-merge"}),
    "several starts": (GaussianMixture, {"n_init": 2, "init_params": "random_from_data"}),
    "prior": (GaussianMixture, {"prior": "mclust"}),
    "subsample": (GaussianMixture, {"acceleration": "subsample"}),
    "Bayesian": (BayesianGaussianMixture, {}),
}


@pytest.fixture
def parts(monkeypatch):
    """Add samples up in parts of 1024 rows."""
    for name, value in (("LEAST_PART_ROWS", 1024), ("PART_ELEMENTS", 8192), ("PART_ROWS", 1024)):
        monkeypatch.setattr(f"fastgmm.data.samples._{name}", value)


@each_dtype
@pytest.mark.parametrize("name", FITS)
def test_fits_have_the_same_bits_with_and_without_codes(
    name, dtype, small, parts, passes, monkeypatch
):
    X, _ = far_apart(n=3900, dtype=dtype)
    cls, options = FITS[name]
    options = {"max_iter": 30, "random_state": 0, **options}
    weight = None if name == "plain" else sample_weights(len(X))
    with_codes = cls(n_components=6, **options).fit(X, sample_weight=weight)
    assert "used" in passes
    monkeypatch.setattr(kept_distances, "_WORTH_KEEPING", 2**62)
    passes.clear()
    without = cls(n_components=6, **options).fit(X, sample_weight=weight)
    assert set(passes) == {"nothing"}
    for attribute in ("weights_", "means_", "covariances_"):
        actual, expected = getattr(with_codes, attribute), getattr(without, attribute)
        assert actual.tobytes() == expected.tobytes()
    assert with_codes.lower_bound_ == without.lower_bound_
    assert with_codes.n_iter_ == without.n_iter_


def test_a_fit_of_some_size_uses_codes(passes):
    """Nothing is changed here: as large as users' fits are."""
    X, _ = far_apart(n=2**16, d=16, K=32)
    model = GaussianMixture(32, tol=0.0, max_iter=12, random_state=0, init_params="k-means++")
    with pytest.warns(UserWarning, match="converge"):
        model.fit(X)
    assert passes.count("used") >= 6
