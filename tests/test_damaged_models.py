"""Damaged models: whatever is wrong is one line that says what was expected and what was found."""

import itertools
import json
import re
import sys
import zipfile
from pathlib import Path

import damage
import numpy as np
import pytest

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.data.sample_data import load_sample
from fastgmm.persistence import load, save

pytestmark = pytest.mark.one_backend

IRIS = load_sample("iris")
#: Prints what a command says of each file, and the most memory that it took.
SCRIPT = """
import contextlib, io, json, pathlib, re
from fastgmm.cli.main import main
import {loaded}

def peak():  # of this program alone; resource.getrusage begins with that of what started it
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", text)[1])
before = peak()
outcomes = []
for path in sorted(pathlib.Path("damaged").iterdir()):
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        code = main([{command}])
    outcomes.append((path.name, code, errors.getvalue()))
print(json.dumps([outcomes, before, peak()]))
"""
COMMANDS = {
    "info": '"info", str(path)',
    "score": '"score", str(path), "sample:iris"',
    "predict": '"predict", str(path), "sample:iris"',
}


@pytest.fixture(scope="module")
def fitted():
    return GaussianMixture(3, random_state=0).fit(IRIS)


@pytest.fixture(scope="module")
def posterior():
    return BayesianGaussianMixture(n_components=3, max_iter=200, random_state=0).fit(IRIS)


@pytest.fixture
def path(tmp_path, fitted):
    save(fitted, tmp_path / "model.npz")
    return tmp_path / "model.npz"


def assert_refused(path, message=""):
    with pytest.raises(ValueError, match=rf"model\.npz: .*expected .*found .*{message}") as caught:
        load(path)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 500


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "damaged").mkdir()
    return tmp_path / "damaged"


def write_all(folder, contents):
    for number, content in enumerate(contents):
        (folder / f"{number:05}.npz").write_bytes(content)


def assert_all_refused(run_python, folder, command="info", loaded="fastgmm.persistence"):
    """Run a command on each damaged file: one line, exit code 1, little memory.

    Wrong parameters are found by the estimators, which load scikit-learn, pandas and all.
    """
    script = SCRIPT.format(command=COMMANDS[command], loaded=loaded)
    outcomes, before, peak = json.loads(run_python(script))
    assert len(outcomes) == len(list(folder.iterdir())) > 0
    for name, code, errors in outcomes:
        assert code == 1, name
        message = rf"fastgmm: error: damaged/{name}: .*expected .*found .*\n"
        assert re.fullmatch(message, errors), errors
    assert peak - before < 20_000
    if loaded == "fastgmm.persistence":
        assert peak < 120_000


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
@pytest.mark.parametrize("command", COMMANDS)
def test_some_damage_of_every_kind_on_the_command_line(run_python, folder, path, command):
    content = path.read_bytes()
    write_all(folder, [*damage.flipped(content, 40), *damage.truncated(content, 10)])
    assert_all_refused(run_python, folder, command)


@pytest.mark.slow
@linux
def test_tampered_headers_on_the_command_line(run_python, folder, path):
    contents = []
    for text in list(damage.tampered_headers(damage.header_of(path)))[::4]:
        damage.with_header_text(path, text)
        contents.append(path.read_bytes())
    write_all(folder, contents)
    assert_all_refused(run_python, folder, loaded="fastgmm.estimators")


@linux
@pytest.mark.slow
@pytest.mark.parametrize("class_name", ["GaussianMixture", "BayesianGaussianMixture", "SoftKMeans"])
def test_much_damage(run_python, folder, tmp_path, fitted, posterior, class_name):
    clusters = SoftKMeans(3, random_state=0).fit(IRIS)
    models = {type(model).__name__: model for model in (fitted, posterior, clusters)}
    save(models[class_name], tmp_path / "model.npz")
    content = (tmp_path / "model.npz").read_bytes()
    contents = [*damage.flipped(content, 600), *damage.truncated(content, 100)]
    write_all(folder, contents)
    assert_all_refused(run_python, folder)


def test_every_bit_of_what_no_reader_needs(path):
    """The directory of the archive and its end, bit by bit."""
    content = path.read_bytes()
    for bit in range(8 * content.index(b"PK\1\2"), 8 * len(content), 7):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        assert_refused(path)


def test_tampered_headers(path):
    texts = list(damage.tampered_headers(damage.header_of(path)))
    assert len(texts) > 200
    for text in texts:
        damage.with_header_text(path, text)
        assert_refused(path)


@pytest.mark.parametrize("kind", damage.tampered_members(96))
def test_tampered_headers_of_arrays(path, kind):
    damage.with_members(path, {"means_.npy": damage.tampered_members(96)[kind]})
    assert_refused(path)


# archives


def test_flipped_bit(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"means_.npy") + 200] ^= 1
    path.write_bytes(content)
    assert_refused(path, "b'[0-9a-f]{8}'")


def test_flipped_bit_without_a_seal(path):
    damage.rewrite(path)
    load(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"means_.npy") + 200] ^= 1
    path.write_bytes(content)
    assert_refused(path, "Bad CRC-32 for file 'means_.npy'")


def test_truncated_file(path):
    path.write_bytes(path.read_bytes()[:-300])
    assert_refused(path, "a file that is not an .npz archive, or not all of one")


def test_another_comment(path):
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"sha256:"
    assert_refused(path)
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b"hello"
    assert_refused(path, "none")


def test_compressed_arrays(path):
    np.savez_compressed(path, **damage.read(path))
    assert_refused(path, "'.*' compressed")


@pytest.mark.parametrize("name", ["header", "weights_", "means_", "feature_names_in_", "other"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_bomb(path, name, method):
    bomb = damage.npy(np.zeros(2**20)) + bytes(2**23)
    arrays = damage.read(path)
    with zipfile.ZipFile(path, "w") as file:
        for key, array in arrays.items():
            if key != name:
                file.writestr(f"{key}.npy", damage.npy(array))
        file.writestr(f"{name}.npy", bomb, method)
    assert_refused(path, f"'{name}.npy' compressed")


@linux
def test_large_arrays_are_not_read(run_python, folder, path):
    contents = damage.read(path)
    names = np.array(["a" * 2**22, "b", "c", "d"])
    for number, changes in enumerate(
        (
            {"header": np.array("x" * 2**24)},
            {"weights_": np.zeros(2**23)},
            {"means_": np.zeros((2**21, 4))},
            {"history_": np.zeros((2**21, 4))},
            {"feature_names_in_": names},
        )
    ):
        np.savez(folder / f"{number}.npz", **contents | changes)
    assert_all_refused(run_python, folder)


@linux
def test_huge_numbers_of_components(run_python, folder, path):
    header = damage.header_of(path)
    contents = []
    for K in (4, 10**6, 10**12, 2**62):
        damage.rewrite(path, {"parameters": header["parameters"] | {"n_components": K}})
        contents.append(path.read_bytes())
    for d in (5, 10**6, 10**12, 2**62):
        damage.rewrite(path, {**header, "scalars": header["scalars"] | {"n_features_in_": d}})
        contents.append(path.read_bytes())
    write_all(folder, contents)
    assert_all_refused(run_python, folder)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_duplicate_arrays(path):
    with zipfile.ZipFile(path, "a") as file:
        file.comment = b""
        file.writestr("means_.npy", damage.npy(np.zeros((3, 4))))
    assert_refused(path, "several of one name")


def test_overlapping_arrays(path):
    damage.rewrite(path)
    content = bytearray(path.read_bytes())
    first, second = itertools.islice(
        (match.start() for match in re.finditer(b"PK\1\2", content)), 1, 3
    )
    content[second + 42 : second + 46] = content[first + 42 : first + 46]  # where it begins
    path.write_bytes(content)
    assert_refused(path, "over another")


def test_directory_beyond_the_file(path):
    damage.rewrite(path)
    content = path.read_bytes()
    for place, value in ((12, b"\xff\xff\xff\x7f"), (16, b"\xff\xff\xff\x7f")):
        damaged = bytearray(content)
        start = len(content) - 22 + place
        damaged[start : start + len(value)] = value
        path.write_bytes(damaged)
        assert_refused(path)


@pytest.mark.parametrize("flag", [0x1, 0x20, 0x40])
def test_encrypted_and_patched_arrays(path, flag):
    damage.rewrite(path)
    content = bytearray(path.read_bytes())
    for match in re.finditer(b"PK\1\2", content):
        content[match.start() + 8] |= flag
    for match in re.finditer(b"PK\3\4", content):
        content[match.start() + 6] |= flag
    path.write_bytes(content)
    assert_refused(path)


def test_unknown_compression(path):
    damage.rewrite(path)
    content = bytearray(path.read_bytes())
    for match in re.finditer(b"PK\1\2", content):
        content[match.start() + 10] = 99
    path.write_bytes(content)
    assert_refused(path, "'header.npy' compressed|'.*' compressed")


def test_device():
    if not Path("/dev/zero").exists():
        pytest.skip("no /dev/zero")
    with pytest.raises(ValueError, match="/dev/zero: expected a model saved by fastgmm, found a d"):
        load("/dev/zero")


# values


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


WRONG_VALUES = {
    "NaN weight": ("weights_", 0, np.nan, "nan at"),
    "negative weight": ("weights_", 0, -0.1, "min value -0.10000"),
    "weight above 1": ("weights_", 0, 1.5, "max value 1.50000"),
    "sum of weights": ("weights_", 0, 0.9, "but got a sum of 1.5"),
    "zero weights": ("weights_", slice(None), 0.0, "a sum of 0"),
    "NaN mean": ("means_", (1, 2), np.nan, "nan at"),
    "infinite mean": ("means_", (1, 2), np.inf, "inf at"),
    "NaN covariance": ("covariances_", (1, 2, 2), np.nan, "nan"),
    "infinite covariance": ("covariances_", (1, 2, 2), np.inf, "inf"),
    "negative variance": ("covariances_", (1, 2, 2), -1.0, "-1.0 to"),
    "zero variance": ("covariances_", (1, 2, 2), 0.0, "0.0 to"),
    "asymmetric covariance": ("covariances_", (1, 2, 1), 0.0, "an asymmetric matrix"),
    "another covariance": ("covariances_", (1, 2, 2), 1.0, "those of other covariances"),
    "NaN factor": ("precisions_cholesky_", (1, 2, 2), np.nan, "nan"),
    "infinite factor": ("precisions_cholesky_", (1, 0, 2), -np.inf, "-inf"),
    "negative factor": ("precisions_cholesky_", (1, 2, 2), -1.0, "another matrix"),
    "factor below the diagonal": ("precisions_cholesky_", (1, 2, 0), 1e-9, "another matrix"),
    "another factor": ("precisions_cholesky_", (1, 0, 2), 1.0, "those of other covariances"),
    "NaN precision": ("precisions_", (1, 2, 2), np.nan, "others"),
    "another precision": ("precisions_", (1, 2, 1), 1.0, "others"),
    "number of an iteration": ("history_", (1, 0), 7.0, "other numbers"),
    "NaN bound": ("history_", (1, 1), np.nan, "nan"),
    "infinite bound": ("history_", (1, 1), -np.inf, "-inf"),
    "NaN change": ("history_", (1, 2), np.nan, "nan"),
    "negative time": ("history_", (1, 3), -1.0, "-1.0 to"),
}


@pytest.mark.parametrize("name, place, value, found", WRONG_VALUES.values(), ids=WRONG_VALUES)
def test_wrong_values(path, name, place, value, found):
    damage.rewrite(path, **{name: changed(damage.read(path)[name], place, value)})
    assert_refused(path, found)


@pytest.mark.parametrize(
    "part, name, value",
    [
        ("scalars", "lower_bound_", 123.0),
        ("scalars", "collapsed_", [[0, 5000]]),
        ("scalars", "collapsed_", [[0, 0]]),
        ("scalars", "collapsed_", [[0, 1], [0, 2]]),
        ("parameters", "n_jobs", 0),
    ],
)
def test_an_end_that_no_fit_has(path, part, name, value):
    header = json.loads(str(damage.read(path)["header"]))
    header[part][name] = value
    damage.rewrite(path, header)
    assert_refused(path)


def test_the_end_of_some_fits_of_version_0_1(path):
    """Their lower bound was not always that of their last iteration."""
    header = json.loads(str(damage.read(path)["header"]))
    header["scalars"]["lower_bound_"] = 123.0
    del header["samples_dtype"]
    damage.with_header_text(path, json.dumps(header))
    assert load(path).lower_bound_ == 123.0


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("name", ["covariances_", "precisions_cholesky_", "precisions_"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0, 1.001])
def test_wrong_covariances_of_every_type(tmp_path, covariance_type, name, value):
    path = tmp_path / "model.npz"
    save(GaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(IRIS), path)
    array = damage.read(path)[name]
    place = (-1,) * array.ndim
    value = array[place] * value if value > 1 else value
    damage.rewrite(path, **{name: changed(array, place, value)})
    assert_refused(path)


@pytest.mark.parametrize(
    "name, value, found",
    [
        ("weight_concentration_", -1.0, "-1.0 to"),
        ("weight_concentration_", np.inf, "inf"),
        ("mean_precision_", 0.0, "0.0 to"),
        ("mean_precision_", np.nan, "nan"),
        ("degrees_of_freedom_", 3.0, "3.0 to"),
        ("mean_prior_", np.nan, "nan at"),
        ("covariance_prior_", -100.0, "asymmetric"),
    ],
)
def test_wrong_values_of_a_posterior(tmp_path, posterior, name, value, found):
    path = tmp_path / "model.npz"
    save(posterior, path)
    array = damage.read(path)[name]
    damage.rewrite(path, **{name: changed(array, (0,) * (array.ndim - 1) + (1,), value)})
    assert_refused(path, found)


@pytest.mark.parametrize(
    "name, value",
    [
        ("mean_prior", [0.0, 1.0]),
        ("mean_prior", ["a"] * 4),
        ("mean_prior", [None] * 4),
        ("mean_prior", {"a": 1}),
        ("covariance_prior", np.diag([1.0, 1.0, 1.0, -1.0]).tolist()),
        ("covariance_prior", [[[[[1.0]]]]]),
        ("degrees_of_freedom_prior", 2.0),
        ("weight_concentration_prior", 0),
        ("weight_concentration_prior", float("nan")),
        ("weight_concentration_prior_type", "pitman_yor"),
    ],
)
def test_wrong_priors(tmp_path, posterior, name, value):
    path = tmp_path / "model.npz"
    save(posterior, path)
    header = damage.header_of(path)
    damage.rewrite(path, {"parameters": header["parameters"] | {name: value}})
    assert_refused(path)


@pytest.mark.parametrize("name", ["weight_concentration_prior_", "degrees_of_freedom_prior_"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), None, "a", True])
def test_wrong_fitted_priors(tmp_path, posterior, name, value):
    path = tmp_path / "model.npz"
    save(posterior, path)
    header = damage.header_of(path)
    damage.rewrite(path, {"scalars": header["scalars"] | {name: value}})
    assert_refused(path, json.dumps(value)[:3] if isinstance(value, float) and value < 0 else "")


@pytest.mark.parametrize(
    "name, value",
    [
        ("cluster_centers_", np.full((3, 4), np.nan)),
        ("labels_", np.full(150, 3)),
        ("labels_", np.full(150, -1)),
        ("labels_", np.zeros(0, np.int64)),
        ("labels_", np.zeros(150)),
        ("history_", np.zeros((3, 4))),
    ],
)
def test_wrong_clusters(tmp_path, name, value):
    path = tmp_path / "model.npz"
    save(SoftKMeans(3, random_state=0).fit(IRIS), path)
    damage.rewrite(path, **{name: value})
    assert_refused(path)


def test_names_that_are_no_text(path):
    names = np.array(["a", "b", "c", "d"]).view(np.uint32)
    names[0] = 0xD800
    damage.rewrite(path, feature_names_in_=names.view("<U1"))
    assert_refused(path, "surrogates not allowed")
    names[0] = 0x110000  # beyond all of Unicode
    with_names = damage.npy(np.array(["a", "b", "c", "d"])).replace(b"a\0\0\0", b"\0\0\x11\0")
    damage.rewrite(path)
    damage.with_members(path, {"feature_names_in_.npy": with_names})
    assert_refused(path)


def test_names_that_are_not_printable(path):
    damage.rewrite(path, {"class": "a\nb\x1b[2J"})
    assert_refused(path)
