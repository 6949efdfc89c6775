"""Models saved and loaded, bit for bit. Damaged files are in test_damaged_models."""

import copy
import json
import math
from pathlib import Path

import damage
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

import fastgmm
from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans
from fastgmm.data.sample_data import load_sample
from fastgmm.model.covariance import COVARIANCE_MODELS
from fastgmm.persistence import FORMAT, load, save
from fastgmm.persistence.layouts import LAYOUTS, STARTING_VALUES, estimator_class

IRIS = load_sample("iris")
DATA = Path(__file__).parent / "data"
NOT_STORED = {"restarts_"}
NAMES = "GaussianMixture, BayesianGaussianMixture or SoftKMeans"


@pytest.fixture(scope="module")
def fitted():
    return GaussianMixture(3, random_state=7, n_jobs=1).fit(IRIS)


@pytest.fixture
def path(tmp_path, fitted):
    save(fitted, tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.mark.parametrize("covariance_type", COVARIANCE_MODELS)
def test_round_trip_is_exact(tmp_path, covariance_type):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(IRIS)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded) is GaussianMixture
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys() - NOT_STORED
    for name, value in vars(model).items():
        if name in NOT_STORED:
            continue
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
    assert vars(loaded).keys() == vars(model).keys() - NOT_STORED
    for name, value in vars(model).items():
        if name in NOT_STORED:
            continue
        np.testing.assert_array_equal(getattr(loaded, name), value, strict=True)
        assert type(getattr(loaded, name)) is type(value), name
    np.testing.assert_array_equal(loaded.predict_proba(IRIS), model.predict_proba(IRIS))


@pytest.mark.parametrize("init", ["k-means++", IRIS[:3]])
def test_round_trip_of_clusters(tmp_path, init):
    model = SoftKMeans(3, beta=2.0, init=init, random_state=0).fit(IRIS)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded) is SoftKMeans
    assert loaded.init == "k-means++"
    assert vars(loaded).keys() == vars(model).keys() - NOT_STORED
    for name in vars(model).keys() - NOT_STORED - {"init"}:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name), strict=True)
    np.testing.assert_array_equal(loaded.transform(IRIS), model.transform(IRIS))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_parameter_is_stored_or_a_starting_value(name):
    layout = LAYOUTS[name]
    stored = {*layout.parameters, *STARTING_VALUES}
    assert set(estimator_class(name)().get_params()) <= stored
    assert set(layout.parameters) <= set(estimator_class(name)().get_params())


@pytest.mark.parametrize("name", ["model-0.1.npz", "posterior-0.1.npz"])
def test_files_of_version_0_1(tmp_path, name):
    """Bit for bit, and from then on in the new form."""
    model = load(DATA / name)
    save(model, tmp_path / name)
    for path in (DATA / name, tmp_path / name):
        loaded = load(path)
        arrays = damage.read(path)
        for key in arrays.keys() - {"header", "history_", "feature_names_in_"}:
            np.testing.assert_array_equal(getattr(loaded, key), arrays[key])
        np.testing.assert_array_equal(np.array(loaded.history_), arrays["history_"])
        header = damage.header_of(path)
        header["scalars"].pop("collapsed_", None)
        assert loaded.collapsed_ == {}
        for key in ("fixed", "fixed_components"):
            assert tuple(header["parameters"].pop(key, ())) == getattr(loaded, key, ()) == ()
        assert header["scalars"].items() <= vars(loaded).items()
        assert header["parameters"].items() <= vars(loaded).items()
    old, new = damage.read(DATA / name), damage.read(tmp_path / name)
    assert old.keys() == new.keys()
    for key in old.keys() - {"header"}:
        np.testing.assert_array_equal(new[key], old[key], strict=True)


@pytest.mark.parametrize("covariance_type", COVARIANCE_MODELS)
@pytest.mark.parametrize("condition", [1e3, 1e8, 1e12])
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ill_conditioned_fits_are_no_damage(tmp_path, covariance_type, condition, scale):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5))
    X[:, 0] = X[:, 1] + X[:, 0] / np.sqrt(condition)
    model = GaussianMixture(2, covariance_type=covariance_type, reg_covar=0.0, random_state=0)
    save(model.fit(X * scale), tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").covariances_, model.covariances_)


def test_priors_that_are_symmetric_to_rounding(tmp_path):
    prior = np.eye(4)
    prior[0, 1], prior[1, 0] = 0.1, 0.1 + 1e-9
    model = BayesianGaussianMixture(covariance_prior=prior).fit(IRIS)
    save(model, tmp_path / "model")
    np.testing.assert_array_equal(
        load(tmp_path / "model").covariance_prior_, model.covariance_prior_
    )


def test_models_that_load_would_refuse_are_not_saved(tmp_path, fitted):
    for change, message in (
        (
            {"weights_": np.array([0.5, 0.5, 0.5])},
            "'weights_' should be normalized, but got a sum of 1.5",
        ),
        ({"means_": fitted.means_[:2]}, r"covariances_.* should have the shape of \(2, 4, 4\)"),
        ({"covariances_": -fitted.covariances_}, "covariances_"),
        ({"n_components": 5}, r"expected weights_ of shape \(5,\) .* found \(3,\)"),
        ({"tol": -1.0}, "The 'tol' parameter of GaussianMixture must be"),
        ({"max_iter": 10**30}, "max_iter|header"),
    ):
        model = copy.deepcopy(fitted)
        vars(model).update(change)
        with pytest.raises(ValueError, match=f"GaussianMixture cannot be saved: .*{message}"):
            save(model, tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


def test_priors_that_are_arrays_are_stored(tmp_path):
    model = BayesianGaussianMixture(mean_prior=IRIS[0], covariance_prior=0.1 * np.eye(4)).fit(IRIS)
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.mean_prior == IRIS[0].tolist()
    np.testing.assert_array_equal(loaded.fit(IRIS).means_, model.means_)


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
    with pytest.raises(ValueError, match=r"expected header of shape \(\) and str, found .*object"):
        load(path)


def test_newer_format(path):
    damage.rewrite(path, {"format": FORMAT + 1, "fastgmm": "99.0"})
    with pytest.raises(
        ValueError, match=rf"expected format {FORMAT}, found format 2, written by fastgmm 99\.0"
    ):
        load(path)


def test_unknown_class(path):
    damage.rewrite(path, {"class": "Mystery"})
    with pytest.raises(ValueError, match=f"expected a {NAMES}, found class 'Mystery'"):
        load(path)


@pytest.mark.parametrize(
    "header, changes, found",
    [
        ({}, {"means_": None}, "expected the array means_, found none"),
        ({"parameters": {}}, {}, "n_components among the parameters, found none"),
        ({"scalars": {}}, {}, "n_features_in_ among the scalars, found none"),
        ({"parameters": []}, {}, r"expected parameters in the header, found \[\]"),
        ({}, {"means_": np.zeros((3, 5))}, r"expected means_ of shape \(3, 4\).*found \(3, 5\)"),
        ({}, {"weights_": np.zeros(3, np.float32)}, r"weights_ .*float64, found .* float32"),
        ({}, {"covariances_": np.zeros(3)}, r"expected covariances_ of shape \(3, 4, 4\)"),
        ({}, {"feature_names_in_": np.array(["a"])}, r"feature_names_in_ of shape \(4,\)"),
        ({}, {"history_": np.zeros((2, 3))}, r"history_ of shape \(\d+, 4\).* found \(2, 3\)"),
    ],
)
def test_damaged_content(path, header, changes, found):
    damage.rewrite(path, header, **changes)
    with pytest.raises(ValueError, match=rf"model\.npz: damaged model file, .*{found}"):
        load(path)


def test_invalid_parameter(path):
    with np.load(path) as file:
        parameters = json.loads(str(file["header"]))["parameters"]
    damage.rewrite(path, {"parameters": parameters | {"tol": -1.0}})
    with pytest.raises(
        ValueError, match=r"damaged model file, expected .* found .*'tol' parameter"
    ):
        load(path)
