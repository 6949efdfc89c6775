"""The C functions return a code for everything that is wrong, and never crash."""

import ctypes

import numpy as np
import pytest
from backends import skip_without
from generators import KERNEL_KINDS
from generators import mixture as random_mixture

from fastgmm.embed import CModel, c_functions

NULL_POINTER, WRONG_VERSION, WRONG_SIZE, WRONG_COVARIANCE_TYPE = -1, -2, -3, -4
NOT_FINITE, WORKSPACE_TOO_SMALL, WRONG_STATISTICS, MISALIGNED = -5, -6, -7, -8


def copy_of(model):
    """Return a copy of a fastgmm_model that a test may spoil."""
    size = (ctypes.c_uint32 * 2).from_address(model.address)[1]
    return bytearray(ctypes.string_at(model.address, size))


def address_of(memory):
    return ctypes.addressof(ctypes.c_uint8.from_buffer(memory))


OFFSETS = {"version": (0, 4), "struct_size": (4, 4), "covariance_type": (8, 4), "leading": (12, 4),
           "n_components": (16, 8), "n_features": (24, 8)}  # fmt: skip


def spoil(memory, name, value):
    start, size = OFFSETS[name]
    memory[start : start + size] = value.to_bytes(size, "little")


BAD_MODELS = [
    ("version", 99, WRONG_VERSION),
    ("struct_size", 8, WRONG_VERSION),
    ("covariance_type", 4, WRONG_COVARIANCE_TYPE),
    ("n_components", 0, WRONG_SIZE),
    ("n_components", 2**62, WRONG_SIZE),
    ("n_features", 0, WRONG_SIZE),
    ("n_features", 2**40, WRONG_SIZE),
]


def all_calls(address, x, out, statistics, workspace, size):
    """Yield a call of every function that takes a model."""
    f = c_functions()
    one = (address, x, 1, 2)
    yield lambda: f.check(address)
    yield lambda: f.workspace_size(address, 1, out)
    for suffix in ("f64", "f32"):
        for name in ("log_density", "log_joint", "mahalanobis", "component"):
            yield lambda n=name, s=suffix: getattr(f, f"{n}_{s}")(*one, out, workspace, size)
        for name in ("responsibilities", "accumulate"):
            second = out if name == "responsibilities" else statistics
            yield lambda n=name, s=suffix, o=second: getattr(f, f"{n}_{s}")(
                *one, None, o, workspace, size
            )
    yield lambda: f.statistics_size(address, out)
    yield lambda: f.statistics_clear(address, statistics)
    yield lambda: f.statistics_add(address, statistics, statistics)
    yield lambda: f.statistics_read(address, statistics, None, None, None, out, None)


@pytest.fixture
def arguments():
    skip_without("cython")
    model = CModel(random_mixture("full", 3, 2))
    workspace = np.empty(model.workspace_size(1), np.uint8)
    kept = [np.ones(8), np.empty(8), model.new_statistics(), workspace, model]
    return model, [a.ctypes.data for a in kept[:4]] + [workspace.nbytes], kept


def test_good_arguments_are_no_error(arguments):
    model, given, _ = arguments
    assert {call() for call in all_calls(model.address, *given)} == {0}


@pytest.mark.parametrize("field, value, code", BAD_MODELS)
def test_every_function_refuses_a_bad_model(field, value, code, arguments):
    model, given, _ = arguments
    memory = copy_of(model)
    spoil(memory, field, value)
    codes = {call() for call in all_calls(address_of(memory), *given)}
    assert codes == {code}


#: functions of points: the pointers that follow the points
POINT_CALLS = {
    f"{name}_{suffix}": pointers
    for name, pointers in {
        "log_density": ("needed",),
        "log_joint": ("needed",),
        "mahalanobis": ("needed",),
        "component": ("needed",),
        "responsibilities": ("needed", "optional"),
        "accumulate": ("optional", "needed"),
    }.items()
    for suffix in ("f64", "f32")
}


@pytest.mark.parametrize("name", POINT_CALLS)
def test_pointers_and_workspace_of_every_function_of_points(name, arguments):
    model, (x, out, statistics, workspace, size), _ = arguments
    function, a = getattr(c_functions(), name), model.address
    good = [
        None if kind == "optional" else statistics if "accumulate" in name else out
        for kind in POINT_CALLS[name]
    ]
    assert function(a, x, 1, 2, *good, workspace, size) == 0
    assert function(None, x, 1, 2, *good, workspace, size) == NULL_POINTER
    assert function(a, None, 1, 2, *good, workspace, size) == NULL_POINTER
    assert function(a, x, 1, 2, *[None] * len(good), workspace, size) == NULL_POINTER
    assert function(a, x, 1, 2, *good, None, size) == NULL_POINTER
    for n, too_small in ((1, 0), (1, size - 1), (96, size), (2**40, size)):
        assert function(a, x, n, 2, *good, workspace, too_small) == WORKSPACE_TOO_SMALL


def test_null_pointers(arguments):
    model, (x, out, statistics, workspace, size), _ = arguments
    calls = all_calls(None, x, out, statistics, workspace, size)
    assert {call() for call in calls} == {NULL_POINTER}
    f, a = c_functions(), model.address
    assert f.workspace_size(a, 1, None) == NULL_POINTER
    assert f.statistics_size(a, None) == NULL_POINTER
    assert f.statistics_clear(a, None) == NULL_POINTER
    assert f.statistics_add(a, None, statistics) == NULL_POINTER
    assert f.statistics_add(a, statistics, None) == NULL_POINTER
    assert f.statistics_read(a, None, None, None, None, None, None) == NULL_POINTER


def test_statistics_are_checked(arguments):
    """Every function that takes statistics refuses those of others, and of a wrong address."""
    model, (x, _, statistics, workspace, size), kept = arguments
    f, a = c_functions(), model.address
    others = [CModel(random_mixture("full", 2, 2)), CModel(random_mixture("diag", 3, 2))]
    foreign = [other.new_statistics() for other in others] + [np.zeros_like(kept[2])]
    wrong = [(memory.ctypes.data, WRONG_STATISTICS) for memory in foreign]
    for theirs, code in [*wrong, (statistics + 4, MISALIGNED)]:
        for suffix in ("f64", "f32"):
            accumulate = getattr(f, f"accumulate_{suffix}")
            assert accumulate(a, x, 1, 2, None, theirs, workspace, size) == code
        assert f.statistics_add(a, theirs, statistics) == code
        assert f.statistics_add(a, statistics, theirs) == code
        assert f.statistics_read(a, theirs, None, None, None, None, None) == code
    assert f.statistics_clear(a, statistics + 4) == MISALIGNED
    with pytest.raises(ValueError, match="were not cleared"):
        model.read_statistics(foreign[2])


def test_no_points_are_no_error(arguments):
    model, (x, out, statistics, workspace, size), _ = arguments
    f, a = c_functions(), model.address
    assert f.log_density_f64(a, x, 0, 2, out, workspace, size) == 0
    assert f.accumulate_f64(a, x, 0, 2, None, statistics, workspace, size) == 0
    assert model.read_statistics(statistics).weight == 0.0


def test_the_stride_of_one_point_is_not_used(arguments):
    model, (x, out, _, workspace, size), kept = arguments
    expected = None
    for stride in (2, 2**62, -(2**62), 2**63 - 1):
        function = c_functions().log_density_f64
        assert function(model.address, x, 1, stride, out, workspace, size) == 0
        expected = kept[1][0] if expected is None else expected
        assert kept[1][0] == expected


def test_check_looks_at_every_number_and_pointer(arguments):
    """Each array in turn holds a NaN; each pointer in turn is NULL."""
    model, *_ = arguments
    f = c_functions()
    first, last = 40, len(copy_of(model))
    found = 0
    for start in range(first, last, 8):
        memory = copy_of(model)
        address = int.from_bytes(memory[start : start + 8], "little")
        if not address:
            continue  # of other covariance types
        found += 1
        nan = np.full(256, np.nan)
        memory[start : start + 8] = nan.ctypes.data.to_bytes(8, "little")
        assert f.check(address_of(memory)) == NOT_FINITE, start
        memory[start : start + 8] = bytes(8)
        assert f.check(address_of(memory)) == NULL_POINTER, start
    assert found >= 10
    for leading in (0, 1, 3):  # d = 2: the rows after the first 2 would come in fours
        memory = copy_of(model)
        spoil(memory, "leading", leading)
        assert f.check(address_of(memory)) == WRONG_SIZE


@pytest.mark.parametrize("covariance_type", KERNEL_KINDS)
@pytest.mark.parametrize("d, K", [(2, 3), (4, 4), (6, 5)])
def test_check_finds_one_number_among_all(covariance_type, d, K):
    skip_without("cython")
    model = CModel(random_mixture(covariance_type, K, d))
    pointers = np.frombuffer(copy_of(model), np.uint64)
    means, factors, shifts, squares, whitener, distance_shifts = pointers[[5, 9, 10, 11, 12, 14]]
    is_expanded = squares != 0
    assert is_expanded == (d >= 4 and covariance_type in ("tied", "spherical"))
    rows, columns = -(-K // 4) * 4, -(-d // 4) * 4  # expanded distances fill both up to fours
    n_shifts = rows if is_expanded else K * d
    n_factors = K * d * (d + 1) // 2 if covariance_type == "full" else K * d
    sizes = {
        means: K * d,
        factors: rows * columns if is_expanded else n_factors,
        shifts: n_shifts,
        squares: rows,
        whitener: d * d,
        distance_shifts: n_shifts,
    }
    for address, size in sizes.items():
        if address == 0:
            continue  # of other covariance types
        numbers = (ctypes.c_double * size).from_address(int(address))
        for i in range(size):
            kept, numbers[i] = numbers[i], np.nan
            assert c_functions().check(model.address) == NOT_FINITE, (address, i)
            numbers[i] = kept
    assert c_functions().check(model.address) == 0


def test_integrands_are_nan_if_something_is_wrong(arguments):
    model, (_, _, _, workspace, size), _ = arguments
    point = (ctypes.c_double * 2)()

    def values(address, n=2, x=point, given=workspace, n_bytes=size):
        integrand = np.array([address or 0, given or 0, n_bytes], np.uint64)
        at = integrand.ctypes.data
        f = c_functions()
        return [f.log_density_integrand(n, x, at), f.density_integrand(n, x, at)]

    assert np.isfinite(values(model.address)).all()
    bad_model = copy_of(model)
    spoil(bad_model, "version", 99)
    for wrong in (
        {"address": None},
        {"address": address_of(bad_model)},
        {"address": model.address, "n": 1},
        {"address": model.address, "n": -1},
        {"address": model.address, "x": None},
        {"address": model.address, "given": None},
        {"address": model.address, "n_bytes": size - 1},
    ):
        assert np.isnan(values(**wrong)).all(), wrong
    assert np.isnan(c_functions().log_density_integrand(2, point, None))
    assert np.isnan(c_functions().density_integrand(2, point, None))


def test_codes_have_texts():
    f = c_functions()
    texts = {f.strerror(code) for code in range(-8, 1)}
    assert len(texts) == 9
    assert f.strerror(-99) == b"unknown error code"
    assert f.strerror(0) == b"no error"
