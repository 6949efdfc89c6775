"""Model files, tables and command lines of every kind: one line, and an exit code that says why."""

import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import damage
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import any_arrays, assert_finite, quietly, run_command

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.persistence import load, save

X = np.random.default_rng(0).normal(size=(40, 2))


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Work in an empty folder; hypothesis allows no fixture of each test."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield Path()
        finally:
            os.chdir(before)


@functools.cache
def models():
    """Return the files of fitted models of each class and covariance type."""
    contents = []
    with quietly(), folder() as place:
        path = place / "model"
        for kind in ("full", "tied", "diag", "spherical"):
            for estimator in (GaussianMixture, BayesianGaussianMixture):
                size = {"n_components": 2, "covariance_type": kind, "random_state": 0}
                save(estimator(**size).fit(X), path)
                contents.append(path.read_bytes())
        save(SoftKMeans(2, random_state=0).fit(X), path)
        return [*contents, path.read_bytes()]


def assert_loads_or_says_why(path):
    """A model of finite numbers that can be used, or an error of one line."""
    with quietly():
        try:
            model = load(path)
        except ValueError as error:
            message = str(error)
            assert message.startswith(f"{path}: ")
            assert message.isprintable()
        else:
            assert_finite(model)
            assert not np.isnan(model.score_samples(np.zeros((1, model.n_features_in_)))).any()
            assert np.isfinite(model.sample(3)[0]).all()


@given(data=st.data())
def test_bytes_of_models(data):
    """Bytes changed, left out, repeated or put in, at one place or several."""
    content = bytearray(data.draw(st.sampled_from(models())))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = min(len(content), start + data.draw(st.integers(0, 40)))
        new = data.draw(st.one_of(st.binary(max_size=8), st.just(bytes(content[start:stop]) * 2)))
        content[start:stop] = new
    with folder() as place:
        (place / "model").write_bytes(content)
        assert_loads_or_says_why(place / "model")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(data=st.data())
def test_headers_of_models(data):
    with folder() as place:
        (place / "model.npz").write_bytes(data.draw(st.sampled_from(models())))
        header = damage.header_of(place / "model.npz")
        part = data.draw(st.sampled_from([header, header["parameters"], header["scalars"]]))
        key = data.draw(st.sampled_from(sorted(part)))
        if data.draw(st.booleans()):
            part[key] = data.draw(json_values)
        else:
            del part[key]
        damage.with_header_text(place / "model.npz", json.dumps(header))
        assert_loads_or_says_why(place / "model.npz")


@given(data=st.data())
def test_arrays_of_models(data):
    with folder() as place, quietly():
        (place / "model.npz").write_bytes(data.draw(st.sampled_from(models())))
        arrays = damage.read(place / "model.npz")
        name = data.draw(st.sampled_from(sorted(arrays)))
        array = arrays[name].copy()
        if array.dtype.kind == "f" and array.size and data.draw(st.booleans()):
            array.flat[data.draw(st.integers(0, array.size - 1))] = data.draw(st.floats())
        else:
            array = data.draw(any_arrays)
        np.savez(place / "model.npz", **arrays | {name: array})
        assert_loads_or_says_why(place / "model.npz")


@given(
    estimator=st.sampled_from([GaussianMixture, BayesianGaussianMixture]),
    kind=st.sampled_from(["full", "tied", "diag", "spherical"]),
    seed=st.integers(0, 2**32 - 1),
    scale=st.integers(-100, 100),
    arguments=st.fixed_dictionaries(
        {
            "max_iter": st.integers(0, 20),
            "reg_covar": st.sampled_from([0.0, 1e-6]),
            "n_components": st.integers(1, 4),
            "init_params": st.sampled_from(["kmeans", "random", "random_from_data"]),
        }
    ),
)
def test_every_fit_is_saved_and_loaded(estimator, kind, seed, scale, arguments):
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(5, 60)), int(rng.integers(1, 6))
    table = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * 10.0**scale
    with quietly(), folder() as place:
        try:
            model = estimator(covariance_type=kind, random_state=0, **arguments).fit(table)
        except ValueError:
            return
        save(model, place / "model")
        loaded = load(place / "model")
        for name in vars(model).keys() - {"restarts_"}:
            np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))


# tables

cells = st.one_of(
    st.floats(),
    st.integers(),
    st.text(max_size=4),
    st.sampled_from(
        ["", " ", '"', '"a', "1,5", "1e400", "-", "NA", "nan", "inf", "\x00", "#", "\ufeff"]
    ),
    st.sampled_from(["x" * 100, "9" * 400, "0x1p-3", "1_000", "١", "2020-01-01", "True"]),
)


@st.composite
def texts(draw):
    """Tables as text: nearly right, or anything."""
    separator = draw(st.sampled_from([",", ";", "\t", " ", "|", ", "]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    columns = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(st.floats(-5, 5), min_size=columns, max_size=columns)))
    lines = [list(map(str, row)) for row in rows]
    if draw(st.booleans()):
        lines.insert(0, [str(draw(cells)) for _ in range(columns)])
    for _ in range(draw(st.integers(0, 2))):
        if lines:
            line = draw(st.sampled_from(lines))
            line[draw(st.integers(0, columns - 1))] = str(draw(cells))
    text = end.join(separator.join(line) for line in lines) + draw(st.sampled_from(["", end]))
    return draw(st.sampled_from(["", "\ufeff"])) + text


def assert_read_or_refused(name, content):
    with folder() as place, quietly():
        (place / name).write_bytes(content)
        code, _, errors = run_command(
            ["fit", name, "-K", "1", "--max-iter", "2", "--quiet", "-o", "model"]
        )
        assert code in (0, 1)
        if code == 0:
            assert_finite(load(place / "model"))
        else:
            assert "Traceback" not in errors


@given(
    text=st.one_of(texts(), st.text()),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-16", "cp1252"]),
    suffix=st.sampled_from([".csv", ".tsv", ".txt", ""]),
)
def test_tables_of_text(text, encoding, suffix):
    assert_read_or_refused(f"table{suffix}", text.encode(encoding, "replace"))


@given(content=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".npy", ".npz", ".gz"]))
def test_tables_of_bytes(content, suffix):
    assert_read_or_refused(f"table{suffix}", content)


@given(array=any_arrays, data=st.data())
def test_tables_of_arrays(array, data):
    with quietly():
        content = bytearray(damage.npy(X if array.dtype.hasobject else array))
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    assert_read_or_refused("table.npy", bytes(content))


# command lines

words = st.one_of(
    st.sampled_from(["fit", "predict", "score", "info", "fits", "x.npy", "model", "nothing.npy"]),
    st.sampled_from(["sample:iris", "sample:x", "-", ".", "/dev/null", "", "y.csv", "weights.csv"]),
    st.sampled_from(
        ["-K", "--n-components", "--tol", "--seed", "--reg-covar", "--covariance-type"]
    ),
    st.sampled_from(["--init", "--weights", "-o", "--output", "--quiet", "--json", "--proba"]),
    st.sampled_from(
        ["--samples", "--stop-rule", "--acceleration", "--dtype", "--help", "--n-jobs"]
    ),
    st.sampled_from(
        ["1", "2", "0", "-1", "1e-3", "nan", "inf", "9" * 30, "full", "diag", "float32"]
    ),
    st.sampled_from(
        ["--force", "--columns", "--drop-missing", "--standardize", "--header", "--id"]
    ),
    st.sampled_from(
        ["--separator", "--encoding", "--no-header", "utf-16", ";", "0,1", "x0", "a,b"]
    ),
    st.text(max_size=5),
)


@given(arguments=st.lists(words, max_size=8))
def test_command_lines(arguments):
    with folder() as place, quietly():
        np.save(place / "x.npy", X)
        (place / "model").write_bytes(models()[0])
        (place / "weights.csv").write_text("1\n" * len(X))
        code, _, errors = run_command(arguments)
        assert code != 2 or "--help" in errors


@given(
    command=st.sampled_from(
        [
            ["fit", "x.npy", "-K", "2", "--max-iter", "2"],
            ["predict", "model", "x.npy"],
            ["score", "model", "x.npy"],
        ]
    ),
    more=st.lists(words, max_size=4),
)
def test_command_lines_that_are_nearly_right(command, more):
    with folder() as place, quietly():
        np.save(place / "x.npy", X)
        (place / "model").write_bytes(models()[0])
        (place / "weights.csv").write_text("1\n" * len(X))
        code, _, errors = run_command([*command, *more])
        assert code != 2 or "--help" in errors
