"""Parts of the Numba kernels as plain functions: for Python, for other programs, uncompiled."""

import importlib
import io
import pkgutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from backends import skip_without
from generators import KERNEL_KINDS, draw, mixture, sample_weights
from test_candidate_kernels import groups_of, problem

from fastgmm import _kernels as kernels
from fastgmm._kernels import packing, reference
from fastgmm._kernels.incomplete import condition, dense_factors, patterns
from fastgmm._kernels.kept_distances import NOTHING_KEPT, KeptDistances
from fastgmm._kernels.layout import block_size, block_stride, empty_moments, statistics_size

NUMBA = "fastgmm._kernels._numba"
KERNELS = Path(kernels.__file__).parent / "_numba"
K, D, N = 5, 6, 250
#: Programs that compile within seconds.


@pytest.fixture(autouse=True)
def _numba():
    skip_without("numba")


def module(name):
    return importlib.import_module(f"{NUMBA}.{name}")


def parts_of(name):
    """Return the public functions that a file of the kernels defines for compiled code."""
    from numba.core.registry import CPUDispatcher

    found = module(name)
    return {
        key
        for key, value in vars(found).items()
        if not key.startswith("_")
        and (
            (isinstance(value, CPUDispatcher) and value.py_func.__module__ == found.__name__)
            or key in CHOICES.get(name, ())
        )
    }


#: Names that stand for one of several functions, by the type of the first argument.
CHOICES = {
    "load": ["load_block"],
    "kept_distances": ["written_log_prob", "listed_posterior"],
    "mahalanobis": ["block_log_prob"],
    "moments": ["add_block_moments", "add_listed_moments"],
    "partial_distance": ["full_log_prob"],
    "posterior": ["exp"],
    "waiting": ["flush_all"],
}


class Block:
    """A block of N samples, as far as the kernels have come, and what NumPy says of it."""

    def __init__(self, dtype="float64", covariance_type="full"):
        self.dtype, self.size = np.dtype(dtype), block_size(np.dtype(dtype).itemsize)
        self.stride = block_stride(np.dtype(dtype).itemsize)
        self.parameters = mixture(covariance_type, K, D)
        components = self.parameters.components()
        self.packed = packing.pack(components)
        if dtype == "float32":
            centers = packing.float32_centers(components.means)
            self.packed = packing.pack_float32(components, centers)
        self.X, self.weight = draw(self.parameters, N), sample_weights(N)
        self.scratch = module("scratch").new_scratch(K, D, True, self.packed.centers)

    def load(self):
        load = module("load")
        load.load_block(self.packed, repeated(self.X), 0, N, self.scratch)
        load.load_weight(repeated(self.weight), 0, N, self.scratch)
        return self

    def rows(self, name, count):
        """Return rows of the scratch as (count, size)."""
        flat = getattr(self.scratch, name)[: count * self.stride]
        return flat.reshape(count, self.stride)[:, : self.size]

    def log_prob(self):
        """Write the log-probabilities; return them from the reference, without the offset."""
        module("mahalanobis").block_log_prob(self.packed, self.scratch, np.inf)
        return log_prob_of(self.X, self.parameters) - self.packed.offset


def repeated(array):
    """Return the view in which the kernels take samples of any memory order."""
    return np.broadcast_to(array[..., np.newaxis], (*array.shape, 2))


def log_prob_of(X, parameters):
    components = parameters.components()
    distances = np.empty((len(X), len(components.means)))
    reference.mahalanobis(X, components, distances)
    return components.log_coefficients - distances / 2


def statistics_of(packed):
    return np.zeros(statistics_size(packed.kind, packed.n_components, packed.n_features))


def close(actual, expected, rtol=1e-13):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale)


# one check for each part


def fill():
    for size, dtype in ((320, "float64"), (640, "float32")):
        out = np.ones(size, dtype)
        module("block").fill(out, 2.0)
        leading = block_size(out.itemsize)
        assert (out[:leading] == 2.0).all()
        assert (out[leading:] == 1.0).all()


def transpose():
    rows, center = np.arange(8.0 * D), np.arange(D) / 8.0
    expected = rows.reshape(8, D).T - center[:, np.newaxis]
    for count in (4, 8):
        out = np.zeros(D * 320)
        module("block").transpose(rows, center, D, count, out)
        assert (out.reshape(D, 320)[:, :count] == expected[:, :count]).all()
        assert (out.reshape(D, 320)[:, count:] == 0.0).all()


def transpose_tile():
    rows, center = np.arange(4.0 * D).reshape(4, D), np.arange(D) / 8.0
    out = np.zeros(D * 320)
    module("block").transpose_tile(*rows, center, D, out)
    assert (out.reshape(D, 320)[:, :4] == (rows - center).T).all()


def advance():
    rng = np.random.default_rng(0)
    p, x, y = rng.normal(size=(4, 4)), rng.normal(size=(4, 320)), rng.normal(size=(4, 320))
    expected = y.copy()
    expected[:, :7] += p.T @ x[:, :7]
    out = y.ravel()
    module("block").advance(p.ravel(), x.ravel(), 7, out)
    close(out.reshape(4, 320), expected)


def normals():
    uniforms = np.random.default_rng(0).random(100)
    first, second = uniforms[:50], uniforms[50:]
    radius, angle = np.sqrt(-2.0 * np.log1p(-first)), 2.0 * np.pi * second
    values = uniforms.copy()
    module("box_muller").normals(values)
    pairs = np.sort(np.abs(values.reshape(2, 50)), axis=0)
    expected = np.sort(np.abs([radius * np.cos(angle), radius * np.sin(angle)]), axis=0)
    close(pairs, expected)


def uniforms():
    first, second = np.empty((2, 7))
    place = np.array([3, 7, 2**33, 5, 2**40], np.uint64)  # start, n, sample, iteration, seed
    module("philox").fill_uniforms(first, second, *place)
    np.testing.assert_array_equal([first, second], reference.uniforms(3, 7, 2**33, (5, 2**40)))


def philox():
    words = module("philox").philox(*np.zeros(6, np.uint64))
    assert [hex(word) for word in words] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def inverse_factors():
    rows = np.random.default_rng(0).normal(size=(2, 142, 70))
    covariances = rows.swapaxes(1, 2) @ rows
    covariances[1] -= 1e3 * np.eye(70)
    factors, failed = np.zeros((2, 70, 70)), np.full(2, 7, np.uint8)
    module("backend").inverse_factors(covariances, factors, failed, 1)
    close(factors[0].T @ covariances[0] @ factors[0], np.eye(70), 1e-12)
    assert failed.tolist() == [0, 1]


def load_block():
    block = Block().load()
    centered = block.X - block.packed.origin
    assert (block.rows("block", D)[:, :N] == centered.T).all()
    assert (block.rows("block", D)[:, N:] == 0.0).all()
    assert (block.scratch.rows[: N * D].reshape(N, D) == centered).all()


def load_weight():
    block = Block().load()
    assert (block.rows("weight", 1)[0, :N] == block.weight).all()
    assert (block.rows("weight", 1)[0, N:] == 0.0).all()


def load_resp():
    block = Block()
    resp = np.random.default_rng(0).dirichlet(np.ones(K), size=N)
    resp[3, 2] = 1e-20
    module("load").load_resp(repeated(resp), 0, N, K, block.scratch)
    assert (block.rows("values", K)[:, :N] == resp.T).all()
    assert (block.rows("scale", 1) == 1.0).all()
    counts = [int(word).bit_count() for word in block.scratch.words[: K * 4]]
    assert np.reshape(counts, (K, 4)).sum(axis=1).tolist() == [N, N, N - 1, N, N]


def block_log_prob(dtype="float64", covariance_type="full"):
    rtol = {"float64": 1e-13, "float32": 1e-4}[dtype]
    block = Block(dtype, covariance_type).load()
    expected = block.log_prob()
    close(block.rows("values", K)[:, :N], expected.T, rtol)
    close(block.rows("maximum", 1)[0, :N], expected.max(axis=1), rtol)


def full_log_prob():
    block = Block().load()
    module("partial_distance").full_log_prob(block.packed, block.scratch, np.inf)
    close(block.rows("values", K)[:, :N], log_prob_of(block.X, block.parameters).T)


def gather():
    block, out = Block().load(), np.zeros(D * 320)
    index = np.array([7, 3, 249, 3], np.uint64)
    center = np.arange(D) / 8.0
    module("block").gather(block.scratch.rows, center, D, index, 4, out)
    expected = (block.X - block.packed.origin)[[7, 3, 249, 3]] - center
    assert (out.reshape(D, 320)[:, :4] == expected.T).all()


def kept_distances():
    """Write the codes of a block; with them, list a posterior while distances are the same."""
    block, cut, first = Block().load(), 37.0, np.uint64(0)
    packed, scratch = block.packed, block.scratch
    codes, steps = np.zeros(512 * K, np.uint8), np.full(K, 0.5)
    none = np.zeros(0, np.float32)
    kept = KeptDistances(codes, steps, none, none, np.zeros(2, np.int64))
    write = module("kept_distances").written_log_prob
    write(packed, scratch, kept, first, cut)
    expected = block.log_prob()
    close(block.rows("values", K)[:, :N], expected.T)
    write(packed, scratch, kept._replace(codes=codes[:0]), first, cut)
    close(block.rows("values", K)[:, :N], expected.T)
    largest = packed.coefficients[:K]
    near = np.stack([steps, np.zeros(K), largest + 1e-3], axis=1).astype(np.float32).ravel()
    far = np.stack([steps, steps, largest - 1e-3], axis=1).astype(np.float32).ravel()
    kept = kept._replace(upper=near, lower=far)
    X = repeated(block.X)
    module("kept_distances").listed_posterior(packed, X, scratch, kept, first, np.uint64(N), cut)
    matters = expected >= expected.max(axis=1, keepdims=True) - cut
    assert matters.sum() <= kept.counts[0]
    close(block.rows("norm", 1)[0, :N], np.logaddexp.reduce(expected, axis=1))
    close(listed(block)[:N], np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True), 1e-11)
    sums = statistics_of(packed)
    sums[-1] = module("sums").share_out(
        scratch.weight, scratch.norm, scratch.scale, N, scratch.share
    )
    module("moments").add_listed_moments(packed, N, scratch, sums)
    module("waiting").flush_all(packed, scratch, sums)
    compare_sums(sums, packed, block.X, block.weight, block.parameters)


def listed(block):
    """Return the responsibilities of a block whose posterior is listed."""
    resp, scratch = np.zeros((256, K)), block.scratch
    samples = scratch.samples[: 256 * K].reshape(K, 256)
    for k, m in enumerate(scratch.n_listed[:K]):
        resp[samples[k, :m], k] = block.rows("values", K)[k, :m]
    return resp * block.rows("scale", 1)[0, :256, np.newaxis]


def add_symmetric():
    tiles, out = np.arange(48.0), np.zeros((1, 5, 5))
    expected = out.copy()
    reference.add_symmetric(tiles, expected)
    module("matrices").add_symmetric(tiles, 5, out.reshape(-1))
    assert (out == expected).all()


def tree():
    rng = np.random.default_rng(0)
    X, weight, rows = rng.normal(size=(N, D)), rng.uniform(0.5, 2.0, N), rng.permutation(N)
    nodes, directions, shifts = np.array([[0, 90], [120, N]]), rng.normal(size=(2, D)), np.ones(2)
    outputs = []
    for flat in (False, True):
        own, cuts, costs, above = directions.copy(), np.empty(2), np.empty((2, 2)), np.zeros(N)
        children, found = np.array([[-1, 1], [-3, -2]]), np.zeros(N, np.int64)
        if flat:
            tables, ends = (X.ravel(), D, weight, rows), nodes.ravel()
            cut = module("tree").principal_cuts
            cut(*tables, ends, own.ravel(), shifts, cuts, costs.ravel())
            module("tree").sides(X.ravel(), D, rows, ends, own.ravel(), cuts, above)
            module("tree").descend(X.ravel(), D, own.ravel(), cuts, children.ravel(), found)
        else:
            reference.principal_cuts(X, weight, rows, nodes, own, shifts, cuts, costs)
            reference.sides(X, rows, nodes, own, cuts, above)
            reference.descend(X, own, cuts, children, found)
        outputs.append((own, cuts, costs, above, found))
    for found, expected in zip(outputs[1], outputs[0], strict=True):
        close(found, expected)


def group_moments():
    """Of entries of a table with two columns; one group is longer than a block."""
    rng = np.random.default_rng(0)
    X, weight, entries = rng.normal(size=(N, D)), rng.random((N, 2)), rng.permutation(2 * N)[:400]
    bounds, centers = np.array([0, 300, 400]), rng.normal(size=(2, D))
    for is_full in (True, False):
        shapes = (2,), (2, D), (2, D, D) if is_full else (2, D)
        found, expected = ([np.zeros(shape) for shape in shapes] for _ in range(2))
        flat = centers.ravel(), is_full, *(values.ravel() for values in found)
        module("groups").group_moments(X.ravel(), N, weight.ravel(), entries, bounds, *flat)
        reference.group_moments(X, weight, entries, bounds, centers, is_full, *expected)
        for sums, wanted in zip(found, expected, strict=True):
            close(sums, wanted)


def padded_log_prob():
    for kind in KERNEL_KINDS:
        parameters = mixture(kind, K, D)
        X, padded = draw(parameters, N), packing.pad(parameters.components())
        x, z, y, out = np.zeros((8, 320)), np.zeros((8, 320)), np.zeros((4, 320)), np.zeros(320)
        x[:D, :N] = X.T
        rows = x.ravel(), z.ravel(), y.ravel(), out
        module("padded").padded_log_prob(padded, np.uint64(2), np.uint64(256), *rows)
        close(out[:N], log_prob_of(X, parameters)[:, 2])
        assert (y == 0.0).all()
        assert (out[256:] == 0.0).all()


def search():
    X, components, candidates, neighbors = problem("full", N, D, 9, 3, 4)
    for is_wide in (False, True):
        groups = groups_of(candidates, neighbors, 100, is_wide)
        outputs = []
        for flat in (False, True):
            best, near = candidates.copy(), neighbors.copy()
            resp, norm = np.empty((N, 3)), np.empty(N)
            if flat:
                found = best.ravel(), resp.ravel(), norm, near.ravel()
                padded = packing.pad(components)
                module("candidates").search(X.ravel(), D, padded, groups, *found)
            else:
                reference.search_candidates(X, components, groups, best, resp, norm, near)
            outputs.append((best, near, resp, norm))
        for found, expected in zip(outputs[1], outputs[0], strict=True):
            close(found, expected)


def box_bounds():
    rng = np.random.default_rng(0)
    for kind in KERNEL_KINDS:
        components = mixture(kind, K, D).components()
        centers, halves = rng.normal(size=(7, D)), rng.uniform(size=(7, D))
        expected, found = np.empty((K, 7)), np.empty((K, 7))
        reference.box_bounds(centers, halves, components, expected)
        rows = [np.r_[values.T, np.zeros((2, 7))].ravel() for values in (centers, halves)]
        module("boxes").box_bounds(*rows, 7, packing.pad(components), found.ravel())
        close(found, expected)


def posterior_listed():
    for kind in KERNEL_KINDS:
        components = mixture(kind, K, D).components()
        X, lists = draw(mixture(kind, K, D), N), (np.array([0, 3]), np.array([0, 2, 4]))
        outputs = [(np.empty(N), np.empty(N, np.int64)) for _ in range(2)]
        reference.posterior_listed(X, components, *lists, *outputs[0])
        arguments = repeated(X), packing.pack(components), *lists, np.array([0, 1])
        module("listed").posterior_listed(*arguments, *outputs[1])
        close(outputs[1][0], outputs[0][0])
        assert (outputs[1][1] == outputs[0][1]).all()


def pack_triangles():
    upper = np.triu(np.arange(50.0).reshape(2, 5, 5))
    expected, out = np.empty((2, 15)), np.empty((2, 15))
    reference.pack_triangles(upper, expected)
    module("matrices").pack_triangles(upper.reshape(-1), 5, out.reshape(-1))
    assert (out == expected).all()


def waiting_capacity():
    capacity = module("waiting").waiting_capacity
    like = np.empty(1)
    assert capacity(np.uint64(5), np.uint64(6), like) == 256
    assert capacity(np.uint64(3000), np.uint64(9), like) == 16


def moments_of_a_block(covariance_type="full"):
    """Add a block by the whole chain of parts; compare with the reference."""
    block = Block(covariance_type=covariance_type).load()
    scratch, packed = block.scratch, block.packed
    block.log_prob()
    module("posterior").normalize_block(scratch, K, 0.0, module("selection").CUT)
    sums = statistics_of(packed)
    total = module("sums").share_out(scratch.weight, scratch.norm, scratch.scale, N, scratch.share)
    module("moments").add_block_moments(packed, N, scratch, sums)
    module("waiting").flush_all(packed, scratch, sums)
    sums[-1] = total
    compare_sums(sums, packed, block.X, block.weight, block.parameters)


def compare_sums(sums, packed, X, weight, parameters, rtol=1e-12):
    """Compare packed statistics with those of the reference."""
    kind, (n_components, d) = parameters.covariance_type, parameters.means.shape
    actual, expected = empty_moments(kind, n_components, d), empty_moments(kind, n_components, d)
    log_likelihood, expected_log_likelihood = np.zeros(1), np.zeros(1)
    packing.add_packed_statistics(sums, packed.kind, actual, log_likelihood, 1)
    components = parameters.components()
    reference.accumulate(X, weight, components, expected, expected_log_likelihood)
    close(actual.nk, expected.nk, rtol)
    first_scale = np.abs(X - X.mean(axis=0)).sum()
    np.testing.assert_allclose(actual.first, expected.first, rtol=0, atol=rtol * first_scale)
    close(actual.second, expected.second, rtol)
    close(log_likelihood, expected_log_likelihood, rtol)


def accumulate():
    """By way of the pass itself, on arrays as the backend hands them in."""
    block = Block()
    packed, sums = block.packed, statistics_of(block.packed)
    todo, slots = np.ones(1, np.uint8), np.empty((1, sums.size))
    module("passes").accumulate(
        repeated(block.X), repeated(block.weight), repeated(np.empty((1, 1))), packed,
        NOTHING_KEPT, np.array([0, N]), todo, slots, sums,
    )  # fmt: skip
    assert todo.tolist() == [0]
    compare_sums(sums, packed, block.X, block.weight, block.parameters)


def posterior():
    block = Block()
    norm, none = np.empty(N), np.empty((0, 0))
    labels = np.full(N, -1)
    module("passes").posterior(
        repeated(block.X), block.packed, np.array([0, N]), none, norm, none, labels
    )
    expected = log_prob_of(block.X, block.parameters)
    close(norm, np.logaddexp.reduce(expected, axis=1))
    assert (labels == expected.argmax(axis=1)).all()


def normalize():
    log_prob = np.random.default_rng(0).normal(size=(300, K))
    resp, norm = log_prob.copy(), np.empty(300)
    module("passes").normalize(resp, norm, np.array([0, 300]))
    close(norm, np.logaddexp.reduce(log_prob, axis=1))
    close(resp, np.exp(log_prob - norm[:, None]))


def gram():
    values, slots = np.random.default_rng(0).normal(size=(4, 20)), np.zeros((1, 32))
    module("peak").gram(values.ravel(), 20, np.array([0, 20]), 3, slots)
    close(slots[0, :10], 3 * (values @ values.T)[np.triu_indices(4)])


def exp64():
    function = module("posterior").exp64
    assert function(-1.0, -700.0) == pytest.approx(np.exp(-1.0), rel=3e-16)
    assert function(-1.0, -0.5) == 0.0


def exp32():
    function, number = module("posterior").exp32, np.float32
    assert function(number(-1.0), number(-80.0)) == pytest.approx(np.exp(-1.0), rel=1e-7)
    assert function(number(-1.0), number(-0.5)) == 0.0


def exp():
    """By the type of x: float32 ends at -87."""
    function, number = module("posterior").exp, np.float32
    assert function(-1.0, -700.0) == module("posterior").exp64(-1.0, -700.0)
    assert function(-100.0, -700.0) == pytest.approx(np.exp(-100.0))
    assert function(number(-100.0), number(-700.0)) == 0.0


def log():
    for x in (1.0, 3.0, 1e-300, 1e300):
        assert module("posterior").log(x) == pytest.approx(np.log(x), rel=4e-16, abs=0)


def raise_maximum():
    log_prob, maximum = np.full(320, 2.0), np.zeros(320)
    maximum[0] = 3.0
    module("posterior").raise_maximum(log_prob, maximum)
    assert (maximum == np.array([3.0] + [2.0] * 255 + [0.0] * 64)).all()


def find_maximum():
    log_prob, maximum = np.random.default_rng(0).normal(size=(K, 320)), np.zeros(320)
    module("posterior").find_maximum(log_prob.ravel(), np.uint64(K), maximum)
    assert (maximum[:256] == log_prob.max(axis=0)[:256]).all()


def normalize_block():
    for cut in (module("selection").CUT, np.inf):
        block = Block().load()
        expected = block.log_prob()
        module("posterior").normalize_block(block.scratch, K, 0.0, cut)
        norm = np.logaddexp.reduce(expected, axis=1)
        close(block.rows("norm", 1)[0, :N], norm)
        scaled = block.rows("values", K) * block.rows("scale", 1)
        close(scaled[:, :N], np.exp(expected - norm[:, None]).T, 1e-11)
    # one bit below the threshold, though its rounded distance from the maximum is the cut
    best = next(m for m in np.random.default_rng(0).uniform(size=99) if below(m) - m == -37.0)
    block.rows("values", K)[:] = -1e3
    block.rows("values", K)[:2] = [[best], [best - 37.0]]
    block.rows("values", K)[1, 3] = below(best)
    block.rows("maximum", 1)[:] = best
    module("posterior").normalize_block(block.scratch, K, 0.0, 37.0)
    assert np.flatnonzero(block.rows("values", K)[1] == 0.0).tolist() == [3]


def below(best):
    """Return the largest number below ``best - 37.0`` as computed."""
    return np.nextafter(best - 37.0, -np.inf)


def find_best():
    log_prob, best, component = np.zeros((K, 320)), np.zeros(320), np.zeros(320)
    log_prob[...] = np.random.default_rng(0).normal(size=320)  # the first of equal ones
    log_prob[2:4, :200] += 1.0
    log_prob[:, 100] = -np.inf
    module("posterior").find_best(log_prob.ravel(), np.uint64(K), best, component)
    assert (component[:256] == log_prob.argmax(axis=0)[:256]).all()
    assert set(component[:256]) == {0.0, 2.0}


def scratch_size():
    size = module("scratch").scratch_size
    assert size(K, D, True, np.empty(1)) > size(K, D, False, np.empty(1)) > (K + D) * 320


def new_scratch():
    """What is taken of the memory does not overlap, and padding is zero."""
    scratch = Block().scratch
    assert (scratch.z[D * 320 :][:256] == 0.0).all()
    assert (scratch.waiting[:K] == 0).all()
    parts = ("block", "values", "maximum", "norm", "words", "index", "w", "z", "wz", "rows")
    starts = [getattr(scratch, name).__array_interface__["data"][0] for name in parts]
    assert starts == sorted(set(starts))


def lay_out_scratch():
    memory = np.empty(int(module("scratch").scratch_size(K, D, True, np.empty(1))))
    arguments = np.uint64(K), np.uint64(D), True, np.empty(1)
    scratch = module("scratch").lay_out_scratch(memory, *arguments)
    memory[:] = 0.0
    scratch.rows[256 * D - 1] = 7.0
    assert 7.0 in memory[-32:]


def subtract():
    row, out = np.arange(320.0), np.zeros(320)
    module("selection").subtract(row, 2.0, out)
    assert (out[:256] == row[:256] - 2.0).all()
    assert (out[256:] == 0.0).all()


def select():
    """With count_selected and list_selected: which samples reach their threshold."""
    selection = module("selection")
    values, threshold = np.random.default_rng(0).normal(size=320), np.full(320, 0.5)
    words, index = np.zeros(4, np.uint64), np.zeros(272, np.uint64)
    selection.select(values, -1e300, threshold, words, np.uint64(0))
    expected = np.flatnonzero(values[:256] >= 0.5)
    assert selection.count_selected(words, values) == len(expected)
    assert selection.list_selected(words, values, index) == len(expected)
    assert (index[: len(expected)] == expected).all()
    selection.select(values, -1e300, np.full(320, 0.0), words, ~np.uint64(0))
    between = (values[:256] >= 0.0) & (values[:256] < 0.5)
    assert selection.count_selected(words, values) == between.sum()


def count_unsafe():
    maximum, weight = np.array([0.0, -9.0, np.nan, 0.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.0, 9.0])
    function = module("sums").count_unsafe
    assert function(maximum, weight, np.uint64(5), -5.0, 0.5, 2.0) == 3


def random_rows(count=3):
    rng = np.random.default_rng(0)
    return [rng.normal(size=320) for _ in range(count)]


def share_out():
    weight, norm, scale = random_rows()
    share = np.zeros(320)
    total = module("sums").share_out(weight, norm, scale, 20, share)
    assert total == pytest.approx(weight[:20] @ norm[:20])
    assert (share[:256] == weight[:256] * scale[:256]).all()


def weigh():
    resp, share, w = random_rows()
    total = module("sums").weigh(resp, share, 20, w)
    assert (w[:20] == resp[:20] * share[:20]).all()
    assert total == pytest.approx(w[:20].sum())


def weighted_sums():
    x, w, _ = random_rows()
    first, second = module("sums").weighted_sums(x, 0.5, w, 20)
    z = x[:20] - 0.5
    assert first == pytest.approx(w[:20] @ z)
    assert second == pytest.approx(w[:20] @ z**2)


def plane_sums():
    resp, share, x = random_rows()
    block = np.concatenate([x, x**2])
    sums = module("sums").plane_sums(resp, share, block, 0.5, 0.25, 20)
    w, z = (resp * share)[:20], np.array([x[:20] - 0.5, x[:20] ** 2 - 0.25])
    second = (w * z) @ z.T
    np.testing.assert_allclose(sums, [w.sum(), *(w * z).sum(axis=1), *second[np.tril_indices(2)]])


def add_gram():
    values, out = np.random.default_rng(0).normal(size=(4, 20)), np.zeros(10)
    module("sums").add_gram(values.ravel(), 20, 20, out)
    close(out, (values @ values.T)[np.triu_indices(4)])


def add_products():
    rng = np.random.default_rng(0)
    z, w, wz = np.zeros((8, 320)), np.zeros(320), np.zeros(4 * 320)
    z[:D, :20], w[:20] = rng.normal(size=(D, 20)), rng.uniform(size=20)
    first, tiles = np.zeros(D), np.zeros((3, 4, 4))
    module("sums").add_products(z.ravel(), w, np.uint64(D), 20, wz, first, tiles.ravel())
    products = (w * z) @ z.T
    close(first, (z @ w)[:D])
    expected = [np.tril(products[:4, :4]), products[4:, :4], np.tril(products[4:, 4:])]
    close(tiles, np.array(expected))


def second_start():
    place = module("layout").second_start
    assert place(Block().packed, np.uint64(2)) == K * (1 + D) + 2 * 48
    assert place(Block(covariance_type="tied").packed, np.uint64(2)) == K * (1 + D)
    assert place(Block(covariance_type="diag").packed, np.uint64(2)) == K * (1 + D) + 2 * D


def takes_whole_block():
    decide = module("moments").takes_whole_block
    assert [bool(decide(np.uint64(m), np.uint64(256), np.uint64(16))) for m in (0, 136, 137)] == [
        False, False, True,
    ]  # fmt: skip


def count_blocks():
    count, like = module("waiting").count_blocks, np.empty(1)
    assert count(np.uint64(5), np.uint64(256), like) == 5
    assert count(np.uint64(5), np.uint64(160), like) == 3


def up_to_four():
    function = module("layout").up_to_four
    assert [function(np.uint64(count)) for count in range(6)] == [0, 4, 4, 4, 4, 8]


def first_rows():
    function = module("layout").first_rows
    assert [function(np.uint64(d)) for d in range(1, 7)] == [1, 2, 3, 4, 1, 2]


def start():
    """With subtract_rows: the log-probabilities of one component."""
    triangle, block = module("triangle"), Block().load()
    scratch, out, k = block.scratch, np.zeros(320), np.uint64(2)
    triangle.start(block.packed, k, scratch.block, np.uint64(256), out)
    bounds = np.uint64(2), np.uint64(D)
    triangle.subtract_rows(
        block.packed, k, *bounds, scratch.block, np.uint64(256), scratch.whitened, out
    )
    close(out[:N], log_prob_of(block.X, block.parameters)[:, 2])


def gapped():
    """Return samples with gaps, the components as the kernels take them, and the parameters."""
    parameters = mixture("full", K, D)
    X = draw(parameters, N)
    X[:100, [1, 4]] = np.nan
    X[100:180, 5] = np.nan
    return X, packing.pack_plain(parameters.components()), parameters


def regression():
    """All parts of the regression of missing features, of a sample that lacks two."""
    part = module("regression")
    _, plain, parameters = gapped()
    d, m, count = np.uint64(D), np.uint64(2), np.uint64(3)
    block, missing = np.zeros(320 * D), np.zeros(D, np.uint64)
    block[[320, 4 * 320]] = np.nan
    assert part.list_missing(block, d, np.uint64(0), missing) == 2
    assert missing[:2].tolist() == [4, 1]
    q, r = np.zeros(D * D), np.zeros(D * D)
    log_det = part.orthogonalize(plain.factors[: plain.factor_size], d, missing, m, q, r)
    Q, R = q[: 2 * D].reshape(2, D).T, r.reshape(D, D)[:2, :2]
    close(Q @ R, parameters.precisions_cholesky[0].T[:, [4, 1]])
    close(Q.T @ Q, np.eye(2))
    assert log_det == pytest.approx(np.log(np.diagonal(R)).sum())
    y, t, z = (np.zeros((D, 320)) for _ in range(3))
    before = y[:, :3] = np.random.default_rng(0).normal(size=(D, 3))
    part.project(q, d, missing, m, count, y.ravel(), t.ravel())
    close(t[:2, :3], Q.T @ before)
    close(y[:, :3], before - Q @ t[:2, :3])
    expected = -np.linalg.solve(R, t[:2, :3])
    part.predict(r, d, missing, m, count, t.ravel(), z.ravel())
    close(z[[4, 1], :3], expected)
    second = np.zeros(48)  # three tiles
    part.add_covariance(r, d, missing, m, 2.0, np.zeros(D * D), second)
    close(second[[32, 17, 5]], 2.0 * (np.linalg.inv(R) @ np.linalg.inv(R).T)[[0, 0, 1], [0, 1, 1]])


def observed():
    """All parts of the densities of what is observed."""
    part = module("observed")
    X, plain, parameters = gapped()
    assert part.is_matrix(plain)
    assert part.factor_of(plain, 1)[0] == plain.factors[plain.factor_size]
    scratch = module("scratch").new_scratch(K, D, True, plain.means)
    matrices, missing = np.zeros(3 * D * D), np.zeros(D, np.uint64)
    part.observed_log_prob(X.ravel(), plain, np.uint64(0), np.uint64(N), scratch, matrices, missing)
    components, expected = parameters.components(), np.empty((N, K))
    for gone, rows in patterns(X):
        factors = dense_factors(components)
        expected[rows] = condition(X[rows], gone, components, factors).log_prob
    close(scratch.values[: K * 320].reshape(K, 320)[:, :N].T, expected)
    close(scratch.maximum[:N], expected.max(axis=1))
    assert part.run_end(scratch.block, np.uint64(D), np.uint64(0), np.uint64(N)) == 100
    k, start, stop = np.uint64(2), np.uint64(100), np.uint64(180)
    part.whiten_observed(plain, k, scratch.block, np.uint64(N), scratch.z, scratch.whitened)
    block = scratch.block
    m, log_det = part.regress_run(plain, k, block, start, stop, scratch, matrices, missing)
    assert (m, missing[0]) == (1, 5)
    assert log_det == pytest.approx(np.log(parameters.precisions_cholesky[2][5, 5]))


def accumulate_incomplete():
    """By way of the pass itself, on arrays as the backend hands them in."""
    X, plain, parameters = gapped()
    weight, size = sample_weights(N), statistics_size(plain.kind, K, D)
    sums, slots = np.zeros(size), np.empty((1, size))
    bounds = np.array([0, N])
    module("incomplete").accumulate_incomplete(X.ravel(), weight, plain, bounds, slots, sums)
    expected, log_likelihood = empty_moments("full", K, D), np.zeros(1)
    reference.accumulate_incomplete(X, weight, parameters.components(), expected, log_likelihood)
    close(sums[:K], expected.nk)
    close(sums[-1], log_likelihood[0])


def posterior_incomplete():
    X, plain, parameters = gapped()
    norm, labels, expected = np.empty(N), np.full(N, -1), np.empty(N)
    module("incomplete").posterior_incomplete(
        X.ravel(), plain, np.array([0, N]), norm, np.empty(0), labels
    )
    reference.posterior_incomplete(X, parameters.components(), log_prob_norm=expected)
    close(norm, expected)
    assert labels.min() >= 0


#: For each file its public functions, and for each of these what calls it.
CHECKS = {
    "block": {
        name: globals()[name]
        for name in ("fill", "transpose_tile", "transpose", "gather", "advance")
    },
    "box_muller": {"normals": normals},
    "boxes": {"box_bounds": box_bounds},
    "candidates": {"search": search},
    "chains": {},  # its loop is compiled for a log-density, as that of mean_field for a gradient
    "cholesky": {"inverse_factors": inverse_factors},
    "groups": {"group_moments": group_moments},
    "incomplete": {
        "accumulate_incomplete": accumulate_incomplete,
        "posterior_incomplete": posterior_incomplete,
    },
    "kept_distances": dict.fromkeys(("written_log_prob", "listed_posterior"), kept_distances),
    "layout": {
        "first_rows": first_rows,
        "up_to_four": up_to_four,
        "second_start": second_start,
    },
    "listed": {"posterior_listed": posterior_listed},
    "load": {
        "load_rows": load_block,
        "load_block": load_block,
        "load_weight": load_weight,
        "load_resp": load_resp,
    },
    "mahalanobis": {"block_log_prob": block_log_prob},
    "matrices": {"add_symmetric": add_symmetric, "pack_triangles": pack_triangles},
    "mean_field": {},
    "moments": {
        "takes_whole_block": takes_whole_block,
        "add_block_moments": moments_of_a_block,
        "add_listed_moments": kept_distances,
    },
    "padded": {"padded_log_prob": padded_log_prob},
    "partial_distance": {"full_log_prob": full_log_prob},
    "passes": {"accumulate": accumulate, "posterior": posterior, "normalize": normalize},
    "peak": {"gram": gram},
    "philox": {"fill_uniforms": uniforms, "philox": philox},
    "posterior": {
        name: globals()[name]
        for name in (
            "exp64", "exp32", "exp", "log", "raise_maximum", "find_maximum", "normalize_block",
            "find_best",
        )
    }
    | {"normalize_lists": kept_distances},
    "observed": dict.fromkeys(
        (
            "is_matrix", "factor_of", "run_end", "whiten_observed", "regress_run",
            "observed_log_prob",
        ),
        observed,
    ),
    "regression": dict.fromkeys(
        ("list_missing", "orthogonalize", "project", "predict", "add_covariance"), regression
    ),
    "scratch": {
        name: globals()[name] for name in ("scratch_size", "new_scratch", "lay_out_scratch")
    },
    "selection": {
        "subtract": subtract,
        "select": select,
        "count_selected": select,
        "list_selected": select,
    },
    "sums": {
        name: globals()[name]
        for name in (
            "count_unsafe", "share_out", "weigh", "weighted_sums", "plane_sums", "add_gram",
            "add_products",
        )
    },
    "tree": dict.fromkeys(("principal_cuts", "sides", "descend"), tree),
    "triangle": {"start": start, "subtract_rows": start},
    "waiting": {
        "waiting_capacity": waiting_capacity,
        "count_blocks": count_blocks,
        "let_wait": moments_of_a_block,
        "flush_all": moments_of_a_block,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_every_part_is_called(name):
    assert parts_of(name) == set(CHECKS[name])


def test_every_file_is_called():
    names = {info.name for info in pkgutil.iter_modules(importlib.import_module(NUMBA).__path__)}
    compilers = {"backend", "fast_compile", "jit", "launch", "primitives", "switch"}
    assert names - compilers == set(CHECKS)


# most of their time is compilation
LONG = (
    observed, regression, accumulate_incomplete, posterior_incomplete, accumulate, posterior,
    block_log_prob, full_log_prob, gather, kept_distances, moments_of_a_block,
)  # fmt: skip


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, marks=[pytest.mark.slow] if check in LONG else ())
        for check in dict.fromkeys(check for of in CHECKS.values() for check in of.values())
    ],
)
def test_python_calls_a_part(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
def test_python_calls_the_parts_of_every_type(covariance_type):
    for dtype in ("float64", "float32"):
        block_log_prob(dtype, covariance_type)
    moments_of_a_block(covariance_type)


@pytest.mark.slow
def test_a_pass_and_its_parts_get_along(run_python, tmp_path):
    """What a compiled pass has made of a part is not what Python calls."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_open_kernels as checks
checks.normalize()
checks.scratch_size()
checks.new_scratch()
"""
    environment = {"FASTGMM_BACKEND": "numba", "NUMBA_CACHE_DIR": str(tmp_path)}
    assert run_python(script, **environment) == ""


def test_an_error_in_a_part_is_raised():
    with pytest.raises(Exception, match=r"fill.*missing|not enough arguments"):
        module("block").fill(np.ones(320))
    with pytest.raises(Exception, match="float64"):
        module("block").fill(np.ones(320), "a word")


# a program of somebody else


@cache
def program():
    """Return a parallel loop over slots that does what a user might do with the parts."""
    from numba import njit, prange

    from fastgmm._kernels._numba.load import load_block, load_weight
    from fastgmm._kernels._numba.mahalanobis import block_log_prob
    from fastgmm._kernels._numba.moments import add_block_moments
    from fastgmm._kernels._numba.posterior import normalize_block
    from fastgmm._kernels._numba.scratch import new_scratch
    from fastgmm._kernels._numba.sums import share_out
    from fastgmm._kernels._numba.waiting import flush_all

    @njit(parallel=True)
    def run(X, sample_weight, packed, norm, resp, statistics):
        n, K, d = len(X), packed.n_components, packed.n_features
        slots = len(statistics)
        size = (n + slots - 1) // slots
        for t in prange(slots):
            scratch = new_scratch(K, d, True, packed.centers)
            stop = min(n, (t + 1) * size)
            for first in range(t * size, stop, 256):
                count = min(256, stop - first)
                load_block(packed, X, first, count, scratch)
                load_weight(sample_weight, first, count, scratch)
                block_log_prob(packed, scratch, np.inf)
                normalize_block(scratch, K, packed.offset, np.inf)
                for b in range(count):
                    norm[first + b] = scratch.norm[b]
                    for k in range(K):
                        resp[first + b, k] = scratch.values[k * 320 + b] * scratch.scale[b]
                # moments are of the samples that are selected within a cut
                block_log_prob(packed, scratch, 37.0)
                normalize_block(scratch, K, packed.offset, 37.0)
                statistics[t, -1] += share_out(
                    scratch.weight, scratch.norm, scratch.scale, count, scratch.share
                )
                add_block_moments(packed, count, scratch, statistics[t])
            flush_all(packed, scratch, statistics[t])

    return run


#: The one of these programs that is tried with the version of Numba at hand.
PROGRAM = ("spherical", 2, "float64")


@pytest.mark.slow
@pytest.mark.parametrize(
    "covariance_type, d, dtype",
    [
        pytest.param(
            covariance_type, d, dtype,
            marks=() if (covariance_type, d, dtype) == PROGRAM else pytest.mark.numba_alone,
        )
        for covariance_type in KERNEL_KINDS
        for d in (2, 5)
        for dtype in ("float64", "float32")
    ],
)  # fmt: skip
def test_a_parallel_program_of_parts(covariance_type, d, dtype):
    parameters = mixture(covariance_type, K, d)
    X, weight = draw(parameters, 3000, dtype), sample_weights(3000)
    packed = packing.pack(parameters.components())
    norm, resp = np.full(3000, np.nan), np.full((3000, K), np.nan)
    statistics = np.zeros((4, statistics_of(packed).size))
    program()(repeated(X), repeated(weight), packed, norm, resp, statistics)
    expected_norm, expected_resp = np.empty(3000), np.empty((3000, K))
    outputs = {"log_prob_norm": expected_norm, "resp": expected_resp}
    kernels.posterior(X, parameters.components(), 2, **outputs)
    close(norm, expected_norm)
    close(resp, expected_resp, 1e-12)
    compare_sums(statistics.sum(axis=0), packed, X.astype(np.float64), weight, parameters)


def test_scratch_lives_as_long_as_one_row_of_it():
    """Also where nobody needs the other rows any more."""
    from numba import njit

    new_scratch = module("scratch").new_scratch

    @njit
    def run(like):
        values = new_scratch(2, 1, False, like).values
        values[:] = 1.0
        others = [np.zeros(values.size) for _ in range(20)]
        return values.sum() / values.size, len(others)

    assert run(np.empty(1)) == (1.0, 20)
    values = new_scratch(2, 1, False, np.empty(1)).values
    values[:] = 1.0
    others = [np.zeros(values.size) for _ in range(20)]
    assert values.sum() / values.size == 1.0
    assert len(others) == 20


# as plain Python

PLAIN = """
import sys
from functools import partial
from types import SimpleNamespace
import numpy as np
sys.path.insert(0, {tests!r})
import test_open_kernels as checks
from generators import KERNEL_KINDS
from kernel_cases import (
    KERNELS_AND_TYPES, assert_close, call, cancelling_scales, tolerances, values,
)
from fastgmm import GaussianMixture
from fastgmm import _kernels as kernels
from fastgmm._kernels import reference

def compare(kernel, covariance_type, *shape, dtype="float64", scenario="touching"):
    given = values(kernel, covariance_type, *shape, dtype=dtype, scenario=scenario)
    actual = call(kernels, kernel, covariance_type, given)
    expected = call(reference, kernel, covariance_type, given)
    scales = cancelling_scales(given, covariance_type)
    assert_close(covariance_type, given, actual, expected, scales, tolerances(kernel), kernel)

def fit(covariance_type):
    X = np.concatenate([np.linspace(-1.0, 1.0, 101), np.linspace(99.0, 101.0, 101)])[:, None]
    model = GaussianMixture(
        2, covariance_type=covariance_type, means_init=[[0.0], [100.0]], random_state=0,
        reg_covar=0.0,
    ).fit(X)
    assert np.allclose(model.means_, [[0.0], [100.0]], rtol=0, atol=1e-12)
    assert np.allclose(model.covariances_, 0.34, rtol=1e-12)

""".replace("{tests!r}", repr(str(Path(__file__).parent)))  # fmt: skip

# the branches of the kernels: separated and touching components, few and many features
PLAIN_CASES = """
import test_latent_kernels as latent
for name, given in latent.CASES[::3]:
    expected = latent.call(reference, name, given)
    for key, value in latent.call(kernels, name, given).items():
        np.testing.assert_allclose(value, expected[key], rtol=1e-9, atol=1e-9)
for name, of in checks.CHECKS.items():
    for check in of.values():
        with np.errstate(all="ignore"):
            check()
for kernel, covariance_type in KERNELS_AND_TYPES:
    compare(kernel, covariance_type, 70, 2, 3)
    compare(kernel, covariance_type, 70, 5, 3)
    if kernel != "normalize":
        compare(kernel, covariance_type, 5, 5, 2, dtype="float32")
for d in (1, 3, 4, 6, 7, 8):
    compare("accumulate", "full", 20, d, 2)
for scenario in ("separated", "touching", "overlapping"):
    compare("accumulate", "full", 260, 33, 9, scenario=scenario)
for covariance_type in KERNEL_KINDS:
    compare("accumulate", covariance_type, 260, 17, 7, scenario="separated")
compare("accumulate", "full", 1100, 5, 4, scenario="separated")
given = values("mahalanobis", "full", 20, 3, 2)
given["X"] = np.asfortranarray(given["X"])
assert np.isfinite(call(kernels, "mahalanobis", "full", given)["distances"]).all()
given = values("accumulate", "diag", 300, 3, 2)
given["X"][0] = 1e9  # too far for float32
expected = call(reference, "accumulate", "diag", given)
single = SimpleNamespace(accumulate=partial(kernels.accumulate, float32_blocks=True))
actual = call(single, "accumulate", "diag", given)
np.testing.assert_allclose(actual["nk"], expected["nk"], rtol=1e-5)
for covariance_type in KERNEL_KINDS:
    fit(covariance_type)
"""


@pytest.fixture
def run_plain(run_python):
    """Run a script where Numba compiles nothing."""

    def run(script, **environment):
        variables = {"FASTGMM_BACKEND": "numba", "NUMBA_DISABLE_JIT": "1", **environment}
        return run_python(script, **variables)

    return run


COVERAGE = """
[run]
data_file = {data}
include = {kernels}/*.py
omit = */fast_compile.py
[report]
exclude_also =
    ^@primitive
"""


@pytest.mark.slow
def test_plain_python_runs_nearly_every_line(run_plain, tmp_path):
    coverage = pytest.importorskip("coverage")
    rcfile = tmp_path / "coveragerc"
    rcfile.write_text(COVERAGE.format(data=tmp_path / "data", kernels=KERNELS))
    begin = f"""
import coverage
measured = coverage.Coverage(config_file={str(rcfile)!r})
measured.start()
"""
    end = """
measured.stop()
measured.save()
"""
    run_plain(begin + PLAIN + PLAIN_CASES + end, timeout=1800)
    measured = coverage.Coverage(config_file=str(rcfile))
    measured.load()
    report = io.StringIO()
    assert measured.report(file=report, show_missing=True) >= 95.0, report.getvalue()
