"""Checkpoints that are damaged, of another fit, cannot be written, or cannot hold a policy."""

import json
import threading
import warnings

import kept_fits
import numpy as np
import pytest
from kept_fits import WEIGHT, X

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.one_backend,
]

OPTIONS = {"tol": 0.0, "max_iter": 4, "random_state": 0, "init_params": "k-means++"}


def model(**options):
    return GaussianMixture(3, **{**OPTIONS, **options})


@pytest.fixture
def path(tmp_path):
    """The checkpoint of a fit that has ended."""
    model().fit(X, checkpoint=tmp_path / "fit")
    return tmp_path / "fit"


def assert_refused(path, message):
    content = path.read_bytes()
    with pytest.raises(ValueError, match=message) as caught:
        model().fit(X, checkpoint=path)
    assert str(caught.value).startswith((f"{path}: ", f"checkpoint {path} "))
    assert path.read_bytes() == content


# another fit


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tol": 0.5}, "tol was 0.0 and is 0.5"),
        ({"random_state": 1}, "random_state was 0 and is 1"),
        ({"covariance_type": "diag"}, "covariance_type was 'full' and is 'diag'"),
        ({"means_init": np.ones((3, 2))}, "means_init was None and is ndarray "),
        ({"prior": "mclust", "n_init": 2}, "n_init was 1 and is 2, prior was None and is 'mclust'"),
        ({"init_params": lambda *_: None}, "init_params was 'k-means\\+\\+' and is function "),
        ({"random_state": np.random.RandomState(0)}, "random_state was 0 and is type "),
    ],
)
def test_other_parameters(path, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        model(**options).fit(X, checkpoint=path)
    assert str(caught.value).startswith(f"checkpoint {path} belongs to another fit: ")
    assert str(caught.value).endswith(". Choose another path, or delete the file.")


def test_other_estimators(path):
    for other in (
        BayesianGaussianMixture(n_components=3, **OPTIONS),
        SoftKMeans(3, random_state=0),
    ):
        with pytest.raises(ValueError, match="estimator was 'GaussianMixture' and is "):
            other.fit(X, checkpoint=path)
    with pytest.raises(ValueError, match="estimator was 'GaussianMixture' and is not there"):
        em.fit(X, kept_fits.start(), checkpoint=path)


def test_other_data(path):
    later = X.copy()
    later[-1, 0] += 1e-9
    for samples, weight in (
        (later, None),
        (X[:-1], None),
        (X.astype(np.float32), None),
        (X, WEIGHT),
    ):
        with pytest.raises(ValueError, match=r"another fit: X was \(400, 2\) float64, "):
            model().fit(samples, sample_weight=weight, checkpoint=path)
    np.testing.assert_array_equal(
        model().fit(np.asfortranarray(X), checkpoint=path).means_, model().fit(X).means_
    )


def test_other_weights(tmp_path):
    model().fit(X, sample_weight=WEIGHT, checkpoint=tmp_path / "fit")
    with pytest.raises(ValueError, match="another fit: X was "):
        model().fit(X, sample_weight=WEIGHT[::-1], checkpoint=tmp_path / "fit")


def test_other_versions(path, monkeypatch):
    monkeypatch.setattr("fastgmm.em.checkpoints.fingerprint.__version__", "99.0")
    assert_refused(path, "another fit: fastgmm was '?.* and is '?99.0")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"parameters": kept_fits.start("diag")}, "parameters was MixtureParameters "),
        ({"max_iter": 5}, "max_iter was 4 and is 5"),
        ({"posterior": em.TruncatedPosterior(1)}, "posterior was TruncatedPosterior "),
        ({"posterior": em.HardPosterior()}, "posterior was .* and is HardPosterior "),
        ({"update": em.ClosedForm(1e-3)}, "update was ClosedForm "),
        ({"update": em.ClosedForm(fixed_components=[1])}, "update was ClosedForm "),
        ({"convergence": em.RemainingGain(0.0)}, "convergence was .* and is RemainingGain "),
    ],
)
def test_other_policies(tmp_path, given, message):
    arguments = {
        "parameters": kept_fits.start(),
        "posterior": em.TruncatedPosterior(2),
        "convergence": em.LowerBoundChange(0.0),
        "max_iter": 4,
        "checkpoint": tmp_path / "fit",
    }
    em.fit(X, **arguments)
    with pytest.raises(ValueError, match=f"another fit: {message}"):
        em.fit(X, **{**arguments, **given})


# no whole checkpoint


def test_damage_is_found(path):
    """Wherever a byte is another one, and wherever the file ends."""
    content = path.read_bytes()
    for place in range(0, len(content), 61):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        assert_refused(path, "damaged checkpoint|expected a checkpoint of fastgmm")
        path.write_bytes(content[:place])
        assert_refused(path, "damaged checkpoint|expected a checkpoint of fastgmm")


def test_other_files(path):
    fastgmm.save(model().fit(X), path)
    assert_refused(path, "expected a checkpoint of fastgmm, found ")
    with path.open("wb") as file:
        np.savez(file, a=np.arange(3))
    assert_refused(path, r"expected a checkpoint of fastgmm, found the arrays \['a'\]")
    path.write_text("a,b\n1,2\n")
    assert_refused(path, "expected a checkpoint of fastgmm, found a file that is not an .npz")


def rewrite(path, change):
    """Change the header of a checkpoint, as one may who wants to harm."""
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    change(header)
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def test_a_later_format(path):
    rewrite(path, lambda header: header.update(format=2))
    assert_refused(path, "expected a checkpoint of format 1, found format 2, written by fastgmm ")


@pytest.mark.parametrize(
    "tree",
    [
        ["object", "builtins:dict", {}],
        ["object", "os:system", {}],
        ["object", "fastgmm.em.checkpoints.journal:os", {}],
        ["object", "fastgmm.em.checkpoints.journal:Path", {}],
        ["named", "collections:UserDict", []],
        ["stream", "Generator", ["dict", [["bit_generator", "seed"]]]],
        ["known", "posterior._nothing"],
        ["eval", "1"],
        ["array", 99, "<f8", [1], [8], True],
        ["array", 0, "|O", [1], [8], True],
        ["same", 10**6],
        {"a": 1},
    ],
)
def test_nothing_is_believed(path, tree):
    rewrite(path, lambda header: header["runs"][0]["state"].update(parameters=tree))
    assert_refused(path, f"{path}: damaged checkpoint, ")


# no file can be written


def never(iteration):
    raise AssertionError("an iteration ran")


def test_an_error_before_the_first_iteration(tmp_path, monkeypatch):
    for path, message in (
        (tmp_path / "nowhere" / "fit", "expected a file in a folder that exists"),
        (tmp_path, "expected the name of a file, got a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            model().fit(X, callback=never, checkpoint=path)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ValueError, match="expected a folder that is writable"):
        model().fit(X, callback=never, checkpoint=tmp_path / "fit")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_vanishes(tmp_path):
    """One warning; when the folder is there again, the next state is written."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    path = home / "fit"
    expected = model(max_iter=8).fit(X)

    def callback(iteration):
        if iteration.number == 3:
            home.rename(away)
        if iteration.number == 6:
            assert (away / "fit").exists()
            away.rename(home)

    options = {"checkpoint": em.Checkpoint(path, every_iterations=1)}
    with pytest.warns(RuntimeWarning, match="expected a file in a folder that exists") as caught:
        fitted = model(max_iter=8).fit(X, callback=callback, **options)
    written = [str(warning.message) for warning in caught if warning.category is RuntimeWarning]
    assert len(written) == 1
    assert written[0].startswith("checkpoint was not written: ")
    assert written[0].endswith(f"got {home}. The fit itself is not affected.")
    np.testing.assert_array_equal(fitted.means_, expected.means_)
    assert list(home.iterdir()) == [path]
    again = model(max_iter=8).fit(X, checkpoint=path)
    np.testing.assert_array_equal(again.means_, expected.means_)


FULL_DISK = """
import os, resource, sys, warnings
import kept_fits
from fastgmm import GaussianMixture, em
warnings.simplefilter("ignore")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
def largest(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
model = lambda: GaussianMixture(3, tol=0.0, max_iter=8, random_state=0, init_params="k-means++")
expected = model().fit(kept_fits.X)
checkpoint = em.Checkpoint("fit", every_iterations=1)
largest(1000)
try:
    model().fit(kept_fits.X, checkpoint=checkpoint)
except OSError as error:
    print(error.filename)
largest(hard)
def callback(iteration):
    if iteration.number == 4:
        largest(1000)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fitted = model().fit(kept_fits.X, callback=callback, checkpoint=checkpoint)
largest(hard)
print(sum("not written" in str(warning.message) for warning in caught), os.listdir())
print((fitted.means_ == expected.means_).all())
numbers = []
resumed = model().fit(
    kept_fits.X, callback=lambda i: numbers.append(i.number), checkpoint=checkpoint
)
print(numbers[0], (resumed.means_ == expected.means_).all())
"""


@pytest.mark.slow
def test_a_full_disk(run_python):
    """As of a limit on the size of files: an error at first, later a warning, and no harm."""
    pytest.importorskip("resource")
    out = run_python(FULL_DISK, PYTHONPATH=str(kept_fits.HERE)).splitlines()
    assert out == ["fit", "1 ['fit']", "True", "3 True"]


# policies whose state cannot be kept


class Locked(em.HardPosterior):
    """Holds what no one can store."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Late(em.HardPosterior):
    """Makes what no one can store while it runs."""

    def summarize(self, samples, parameters):
        self._function = lambda: None
        return super().summarize(samples, parameters)


class Holding(em.HardPosterior):
    """Holds the samples of the run, and a part that it makes of them."""

    def __init__(self, part):
        super().__init__()
        self._part = part

    def summarize(self, samples, parameters):
        self._samples = samples
        self._rows = samples.take(slice(0, 3)) if self._part else None
        return super().summarize(samples, parameters)


ARGUMENTS = {"X": X, "parameters": kept_fits.start(), "max_iter": 4}


def test_a_state_that_is_unknown_is_an_error_at_once(tmp_path):
    message = "checkpoint cannot keep posterior.lock, which is a _thread.lock. Let the class"
    with pytest.raises(TypeError, match=message):
        em.fit(**ARGUMENTS, posterior=Locked(), callback=never, checkpoint=tmp_path / "fit")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("posterior", "message"),
    [
        (Late, "posterior._function, which is a builtins.function that was made during the run"),
        (
            lambda: Holding(True),
            "posterior._rows, which is a fastgmm.data.samples.Samples that was",
        ),
    ],
)
def test_a_state_that_becomes_unknown_is_a_warning(tmp_path, posterior, message):
    """The fit goes on; a later call begins with what was known."""
    expected = em.fit(**ARGUMENTS, posterior=posterior())
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match=message) as caught:
            result = em.fit(**ARGUMENTS, posterior=posterior(), checkpoint=tmp_path / "fit")
        assert len(caught) == 1
        assert result.lower_bounds == expected.lower_bounds


def test_samples_are_not_stored(tmp_path):
    em.fit(**ARGUMENTS, posterior=Holding(False), checkpoint=tmp_path / "fit")
    with np.load(tmp_path / "fit") as file:
        assert max(array.size for array in file.values()) < X.nbytes
    posterior = Holding(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        em.fit(**ARGUMENTS, posterior=posterior, checkpoint=tmp_path / "fit")
    assert posterior._samples.n_samples == len(X)


# the parameter


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"every_seconds": 0.0}, ValueError, "every_seconds should be positive and finite, got 0"),
        ({"every_seconds": "x"}, TypeError, "every_seconds should be a number or None, got 'x'"),
        ({"every_iterations": 0}, ValueError, "every_iterations should be a positive integer"),
        ({"every_seconds": None}, ValueError, "every_seconds or every_iterations should be a num"),
        ({"path": 3}, TypeError, "path should be a str or a path, got 3"),
    ],
)
def test_wrong_parameters(options, error, message):
    with pytest.raises(error, match=message):
        em.Checkpoint(**{"path": "fit", **options})


def test_wrong_checkpoints():
    for fit in (model().fit, SoftKMeans(2).fit):
        with pytest.raises(TypeError, match=r"should be a path or an em\.Checkpoint, got 5"):
            fit(X, checkpoint=5)
    assert repr(em.Checkpoint("fit")) == (
        "Checkpoint('fit', every_seconds=60.0, every_iterations=None)"
    )
