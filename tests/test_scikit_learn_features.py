"""What scikit-learn offers to every estimator: routed metadata, links in HTML, named outputs."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans

IRIS = load_iris(as_frame=True).data
X = IRIS.to_numpy()
WEIGHT = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
ESTIMATORS = [
    GaussianMixture(2, random_state=0),
    BayesianGaussianMixture(n_components=2, max_iter=500, random_state=0),
    SoftKMeans(2, random_state=0),
]
each = pytest.mark.parametrize("model", ESTIMATORS, ids=lambda model: type(model).__name__)


@pytest.fixture
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@each
def test_weights_are_routed_by_a_search(model, routing):
    """To the fit of training rows and to the score of test rows."""
    weighted = clone(model).set_fit_request(sample_weight=True)
    weighted.set_score_request(sample_weight=True)
    size = "n_clusters" if isinstance(model, SoftKMeans) else "n_components"
    folds = KFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(weighted, {size: [1, 2]}, cv=folds, refit=False)
    search.fit(X, sample_weight=WEIGHT)
    for row, count in enumerate([1, 2]):
        for fold, (train, test) in enumerate(folds.split(X)):
            expected = clone(model).set_params(**{size: count})
            expected.fit(X[train], sample_weight=WEIGHT[train])
            score = expected.score(X[test], sample_weight=WEIGHT[test])
            assert search.cv_results_[f"split{fold}_test_score"][row] == score


@each
def test_weights_are_routed_by_a_pipeline(model, routing):
    weighted = clone(model).set_fit_request(sample_weight=True)
    weighted.set_score_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(scaler, weighted).fit(X, sample_weight=WEIGHT)
    scaled = StandardScaler().fit(X, sample_weight=WEIGHT).transform(X)
    expected = clone(model).fit(scaled, sample_weight=WEIGHT)
    score = pipeline.score(X, sample_weight=WEIGHT)
    assert score == expected.score(scaled, sample_weight=WEIGHT)
    assert score != expected.score(scaled)


@each
def test_weights_that_are_not_asked_for(model, routing):
    unweighted = clone(model).set_fit_request(sample_weight=False)
    pipeline = make_pipeline(FunctionTransformer(), unweighted)
    with pytest.raises(TypeError, match="sample_weight"):
        pipeline.fit(X, sample_weight=WEIGHT)
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        make_pipeline(FunctionTransformer(), clone(model)).fit(X, sample_weight=WEIGHT)


@each
def test_callbacks_are_routed(model, routing):
    seen = []
    asking = clone(model).set_fit_request(callback=True)
    pipeline = make_pipeline(StandardScaler(), asking).fit(X, callback=seen.append)
    assert seen == pipeline[-1].history_


@each
def test_representation_links_to_the_documentation(model):
    name = type(model).__name__
    url = f"https://fastgmm.github.io/fastgmm/reference/generated/fastgmm.{name}.html"
    html = make_pipeline(StandardScaler(), model)._repr_html_()
    assert f'href="{url}"' in html
    assert f"Documentation for {name}" in html


def test_classes_of_others_have_no_link():
    class Own(GaussianMixture):
        pass

    assert "fastgmm.github.io" not in Own()._repr_html_()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_named_outputs(library):
    """Of `SoftKMeans`, which transforms; mixtures do not, as in scikit-learn."""
    frames = pytest.importorskip(library)
    model = SoftKMeans(3, random_state=0).set_output(transform=library).fit(IRIS)
    distances = model.transform(IRIS)
    assert isinstance(distances, frames.DataFrame)
    assert list(distances.columns) == ["softkmeans0", "softkmeans1", "softkmeans2"]
    plain = model.set_output(transform="default").transform(IRIS)
    np.testing.assert_array_equal(distances.to_numpy(), plain)
    assert model.get_feature_names_out().tolist() == list(distances.columns)
    assert not hasattr(GaussianMixture, "transform")
    assert not hasattr(GaussianMixture, "set_output")
