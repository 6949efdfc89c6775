"""Models saved and loaded: bit for bit, atomically, and with errors that say what was found."""

import json
import math

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture
from fastgmm.data.sample_data import load_sample
from fastgmm.model.covariance import COVARIANCE_MODELS
from fastgmm.persistence import FORMAT, load, replacing, save

IRIS = load_sample("iris")
NAMES = "GaussianMixture or BayesianGaussianMixture"


@pytest.fixture(scope="module")
def fitted():
    return GaussianMixture(3, random_state=7, n_jobs=1).fit(IRIS)


@pytest.fixture
def path(tmp_path, fitted):
    save(fitted, tmp_path / "model.npz")
    return tmp_path / "model.npz"


def rewrite(path, header=None, **changes):
    """Write the file again with some header entries or arrays changed, or left out (None)."""
    arrays = dict(np.load(path, allow_pickle=False))
    content = json.loads(str(arrays["header"])) | (header or {})
    arrays |= {"header": np.array(json.dumps(content))} | changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})


@pytest.mark.parametrize("covariance_type", COVARIANCE_MODELS)
def test_round_trip_is_exact(tmp_path, covariance_type):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(IRIS)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded) is GaussianMixture
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys()
    for name, value in vars(model).items():
        np.testing.assert_array_equal(getattr(loaded, name), value, strict=True)
    np.testing.assert_array_equal(loaded.predict_proba(IRIS), model.predict_proba(IRIS))
    assert loaded.history_ == model.history_
    assert loaded.history_[-1].number == model.n_iter_


@pytest.mark.parametrize("prior_type", ["dirichlet_process", "dirichlet_distribution"])
@pytest.mark.parametrize("covariance_type", COVARIANCE_MODELS)
def test_round_trip_of_a_variational_posterior(tmp_path, covariance_type, prior_type):
    model = BayesianGaussianMixture(
        n_components=3,
        covariance_type=covariance_type,
        weight_concentration_prior_type=prior_type,
        max_iter=500,
        random_state=0,
    ).fit(IRIS)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded) is BayesianGaussianMixture
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys()
    for name, value in vars(model).items():
        np.testing.assert_array_equal(getattr(loaded, name), value, strict=True)
        assert type(getattr(loaded, name)) is type(value), name
    np.testing.assert_array_equal(loaded.predict_proba(IRIS), model.predict_proba(IRIS))


def test_priors_that_are_arrays_are_stored(tmp_path):
    model = BayesianGaussianMixture(mean_prior=IRIS[0], covariance_prior=0.1 * np.eye(4)).fit(IRIS)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.mean_prior == IRIS[0].tolist()
    np.testing.assert_array_equal(loaded.fit(IRIS).means_, model.means_)


def test_damaged_posterior(tmp_path):
    save(BayesianGaussianMixture(n_components=2, random_state=0).fit(IRIS), tmp_path / "model.npz")
    rewrite(tmp_path / "model.npz", weight_concentration_=np.zeros(2))
    with pytest.raises(ValueError, match=r"weight_concentration_ of shape \(2, 2\).*found \(2,\)"):
        load(tmp_path / "model.npz")


def test_file_has_no_pickle_and_a_readable_header(path):
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fU" for name in file.files)
        header = json.loads(str(file["header"]))
    assert (header["format"], header["class"]) == (FORMAT, "GaussianMixture")
    assert header["parameters"]["random_state"] == 7


def test_feature_names_survive(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(IRIS, columns=["a", "b", "c", "größe"])
    model = GaussianMixture(2, random_state=0).fit(frame)
    save(model, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert loaded.feature_names_in_.dtype == object
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c", "größe"]
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))


def test_numpy_parameters_are_stored_as_numbers(tmp_path):
    model = GaussianMixture(np.int64(2), tol=np.float32(0.5), random_state=np.int64(3)).fit(IRIS)
    save(model, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert (loaded.n_components, loaded.tol, loaded.random_state) == (2, 0.5, 3)


def test_starting_values_and_generators_are_not_stored(tmp_path):
    means = IRIS[:2]
    model = GaussianMixture(2, means_init=means, random_state=np.random.RandomState(0)).fit(IRIS)
    save(model, tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert loaded.means_init is None
    assert loaded.random_state is None


def test_model_without_iterations(tmp_path):
    save(GaussianMixture(2, max_iter=0, random_state=0).fit(IRIS), tmp_path / "model.npz")
    loaded = load(tmp_path / "model.npz")
    assert (loaded.history_, loaded.n_iter_, loaded.lower_bound_) == ([], 0, -math.inf)


def test_public_names():
    assert fastgmm.save is save
    assert fastgmm.load is load


def test_save_needs_a_fitted_model(tmp_path):
    with pytest.raises(NotFittedError, match="GaussianMixture instance is not fitted yet"):
        save(GaussianMixture(), tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_save_refuses_other_classes(tmp_path):
    class Derived(GaussianMixture):
        pass

    for model, name in ((object(), "object"), (Derived(), "Derived")):
        with pytest.raises(TypeError, match=f"should be a fitted {NAMES}, got {name}"):
            save(model, tmp_path / "model.npz")


def test_save_refuses_folders_and_devices(tmp_path, fitted):
    with pytest.raises(ValueError, match="expected the name of a file, got a folder or a device"):
        save(fitted, tmp_path)
    with pytest.raises(ValueError, match=r"a folder that exists, got .*nowhere\."):
        save(fitted, tmp_path / "nowhere" / "model.npz")


def test_failure_keeps_the_old_file(path):
    before = path.read_bytes()

    def write_half():
        with replacing(path) as file:
            file.write(b"half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        write_half()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["model.npz"]


def test_replacing_follows_links(path):
    link = path.with_name("link.npz")
    link.symlink_to(path)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz"):
        load(tmp_path / "nothing.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04N."])
def test_file_of_another_kind(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.npz: expected a model saved by fastgmm, found a"):
        load(path)


def test_other_archives(path):
    np.savez(path, a=IRIS, b=IRIS)
    with pytest.raises(ValueError, match=r"model\.npz: .*found the arrays a, b and no header"):
        load(path)
    np.savez(path, header=np.array("hello"))
    with pytest.raises(ValueError, match=r"model\.npz: .*found the header 'hello'"):
        load(path)
    np.savez(path, header=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"model\.npz: damaged file, found 'Object arrays cannot"):
        load(path)


def test_truncated_file(path):
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"model\.npz: .*or not all of one"):
        load(path)


def test_flipped_bits(path):
    content = bytearray(path.read_bytes())
    position = content.index(b"means_.npy") + 200
    content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.npz: damaged file, found .Bad CRC-32"):
        load(path)


def test_newer_format(path):
    rewrite(path, {"format": FORMAT + 1, "fastgmm": "99.0"})
    with pytest.raises(
        ValueError, match=rf"expected format {FORMAT}, found format 2, written by fastgmm 99\.0"
    ):
        load(path)


def test_unknown_class(path):
    rewrite(path, {"class": "Mystery"})
    with pytest.raises(ValueError, match=f"expected a {NAMES}, found class 'Mystery'"):
        load(path)


@pytest.mark.parametrize(
    "header, changes, found",
    [
        ({}, {"means_": None}, r"found KeyError\('means_'\)"),
        ({"parameters": {}}, {}, r"found KeyError\('n_components'\)"),
        ({"scalars": {}}, {}, r"found KeyError\('n_features_in_'\)"),
        ({"parameters": []}, {}, "found TypeError"),
        ({}, {"means_": np.zeros((3, 5))}, r"expected means_ of shape \(3, 4\).*found \(3, 5\)"),
        ({}, {"weights_": np.zeros(3, np.float32)}, r"weights_ .*float64, found .* float32"),
        ({}, {"covariances_": np.zeros(3)}, r"expected covariances_ of shape \(3, 4, 4\)"),
        ({}, {"feature_names_in_": np.array(["a"])}, r"feature_names_in_ of shape \(4,\)"),
        ({}, {"history_": np.zeros((2, 3))}, "found TypeError"),
    ],
)
def test_damaged_content(path, header, changes, found):
    rewrite(path, header, **changes)
    with pytest.raises(ValueError, match=rf"model\.npz: damaged model file, .*{found}"):
        load(path)


def test_invalid_parameter(path):
    with np.load(path) as file:
        parameters = json.loads(str(file["header"]))["parameters"]
    rewrite(path, {"parameters": parameters | {"tol": -1.0}})
    with pytest.raises(ValueError, match=r"damaged model file, found .*'tol' parameter"):
        load(path)
