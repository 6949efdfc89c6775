"""Pictures of mixtures: what their artists hold, without a screen."""

import sys

import numpy as np
import pytest
from scipy.stats import chi2, multivariate_normal, norm
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastgmm import (
    BayesianGaussianMixture,
    ConvergenceDisplay,
    GaussianMixture,
    GaussianMixtureDisplay,
    ResponsibilityDisplay,
    SelectionDisplay,
    SoftKMeans,
    select,
)
from fastgmm.displays.style import COLORS, LINES, MARKERS, line_style, marker_style
from fastgmm.model.covariance import COVARIANCE_MODELS

pytestmark = pytest.mark.one_backend

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")

IRIS = load_iris()
DISPLAYS = (GaussianMixtureDisplay, ConvergenceDisplay, ResponsibilityDisplay)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return GaussianMixture(3, random_state=0).fit(IRIS.data)


def known(K=2, d=2, seed=0):
    """Return a mixture with correlated features in unlike units."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(K, d, d))
    units = 10.0 ** np.arange(0, 6 * d, 6)
    covariances = (A @ A.swapaxes(1, 2) + np.eye(d)) * np.outer(units, units)
    means = 5 * units * rng.normal(size=(K, d))
    weights = np.arange(1, K + 1) / (K * (K + 1) / 2)
    return GaussianMixture.from_parameters(weights, means, covariances, random_state=0)


def panel(display, i=0, j=0):
    return display.artists_[i, j]


# the mixture


def test_ellipses_hold_their_part():
    """Every vertex lies at the same Mahalanobis distance, also where units are unlike."""
    model = known()
    display = GaussianMixtureDisplay.from_estimator(model, coverage=0.75)
    ellipses = panel(display).ellipses
    assert len(ellipses) == 2
    for k, patch in zip([0, 1], ellipses, strict=True):
        distances = model.mahalanobis(patch.get_xy())[:, k]
        np.testing.assert_allclose(distances, chi2.ppf(0.75, 2), rtol=1e-8)


@pytest.mark.parametrize("covariance_type", COVARIANCE_MODELS)
def test_ellipses_of_a_pair_are_of_its_marginal(covariance_type):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(IRIS.data)
    display = GaussianMixtureDisplay.from_estimator(model, features=[3, 1])
    dense = COVARIANCE_MODELS[covariance_type].dense(np.asarray(model.covariances_), 3, 4)
    order = np.argsort(model.weights_, kind="stable")
    for k, patch in zip(order, panel(display).ellipses, strict=True):
        z = patch.get_xy() - model.means_[k, [3, 1]]
        covariance = dense[k][np.ix_([3, 1], [3, 1])]
        distances = np.einsum("ni,ij,nj->n", z, np.linalg.inv(covariance), z)
        np.testing.assert_allclose(distances, chi2.ppf(0.9, 2), rtol=1e-8)


def test_contours_are_regions_of_highest_density():
    """Of one Gaussian of 2 features, the region of probability p ends at (1 - p) of the peak."""
    covariance = [[2.0, 1.0], [1.0, 3.0]]
    model = GaussianMixture.from_parameters([1.0], [[1.0, -2.0]], [covariance])
    levels = (0.2, 0.5, 0.9)
    display = GaussianMixtureDisplay.from_estimator(model, levels=levels)
    peak = multivariate_normal([0, 0], covariance).pdf([0, 0])
    found = 1 - np.exp(panel(display).contours.levels[:3]) / peak
    np.testing.assert_allclose(found, sorted(levels, reverse=True), atol=0.015)


def test_points_are_those_of_each_component(iris):
    from matplotlib.colors import to_rgb

    display = GaussianMixtureDisplay.from_estimator(iris, IRIS.data, features=[0, 2])
    labels = iris.predict(IRIS.data)
    points = panel(display).points
    assert len(points) == 3
    for k, collection in enumerate(points):
        np.testing.assert_array_equal(collection.get_offsets(), IRIS.data[labels == k][:, [0, 2]])
        assert collection.get_rasterized()
        edge = collection.get_edgecolor()[0]
        np.testing.assert_allclose(edge[:3], to_rgb(COLORS[k]))
    hollow = [len(collection.get_facecolor()) == 0 for collection in points]
    assert hollow == [False, True, False]


def test_one_feature_is_drawn_as_densities(iris):
    display = GaussianMixtureDisplay.from_estimator(iris, IRIS.data, features=[2])
    total, *parts = panel(display).lines
    x, y = total.get_data()
    expected = np.zeros(len(x))
    order = np.argsort(iris.weights_, kind="stable")
    for k, line in zip(order, parts, strict=True):
        density = norm(iris.means_[k, 2], np.sqrt(iris.covariances_[k, 2, 2])).pdf(x)
        np.testing.assert_allclose(line.get_ydata(), iris.weights_[k] * density, atol=1e-14)
        expected += iris.weights_[k] * density
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-14)
    bars = panel(display).bars
    area = sum(bar.get_width() * bar.get_height() for bar in bars)
    assert area == pytest.approx(1.0)
    assert display.ax_.get_ylabel() == "density"


def test_histogram_has_weights():
    X = np.array([[0.0], [0.0], [2.0], [2.0]])
    model = GaussianMixture.from_parameters([1.0], [[1.0]], [1.0])
    display = GaussianMixtureDisplay.from_estimator(model, X, sample_weight=[1, 2, 3, 4])
    heights = np.array([bar.get_height() for bar in panel(display).bars])
    np.testing.assert_allclose(heights[heights > 0] / heights.sum(), [0.3, 0.7])


def test_corner_plot(iris):
    display = GaussianMixtureDisplay.from_estimator(iris, IRIS.data)
    assert display.axes_.shape == display.artists_.shape == (4, 4)
    for i in range(4):
        for j in range(4):
            assert (display.axes_[i, j] is None) == (j > i)
            if j == i:
                assert panel(display, i, i).lines
            elif j < i:
                offsets = panel(display, i, j).points[0].get_offsets()
                expected = IRIS.data[iris.predict(IRIS.data) == 0][:, [j, i]]
                np.testing.assert_array_equal(offsets, expected)
    assert [axes.get_xlabel() for axes in display.axes_[3]] == ["x0", "x1", "x2", "x3"]
    assert [axes.get_ylabel() for axes in display.axes_[:, 0]] == ["density", "x1", "x2", "x3"]
    for j in range(4):
        limits = {axes.get_xlim() for axes in display.axes_[j:, j]}
        assert len(limits) == 1


def test_features_that_separate_are_shown():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 7)) * 10.0 ** np.arange(7)
    X[:200, [1, 3, 4, 6]] += 6 * 10.0 ** np.array([1, 3, 4, 6])
    model = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
    display = GaussianMixtureDisplay.from_estimator(model)
    assert display.feature_names == ["x1", "x3", "x4", "x6"]


def test_names_and_units():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(IRIS.data, columns=["a", "b", "c", "d"])
    model = GaussianMixture(2, random_state=0).fit(X)
    options = {"features": ["c", "a"], "units": {"a": "cm", "b": "kg"}}
    display = GaussianMixtureDisplay.from_estimator(model, X, **options)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("c", "a (cm)")
    listed = GaussianMixtureDisplay.from_estimator(
        model, features=[3], feature_names="wxyz", units=["1", "2", "3", "m"]
    )
    assert listed.ax_.get_xlabel() == "z (m)"


def test_many_samples_are_a_random_subset():
    model = known(d=1)
    X, _ = model.sample(20_000)
    first, second = (GaussianMixtureDisplay.from_estimator(model, X) for _ in range(2))
    np.testing.assert_array_equal(first.X, second.X)
    assert len(first.X) == 3000
    assert len(np.unique(first.X)) == 3000
    assert np.isin(first.X, X).all()
    other = GaussianMixtureDisplay.from_estimator(model, X, random_state=1, max_samples=500)
    assert (len(other.X), other.n_samples) == (500, 20_000)
    assert "500 of 20,000 samples" in other.legend_.get_title().get_text()
    assert len(GaussianMixtureDisplay.from_estimator(model, X, max_samples=None).X) == 20_000


def test_a_subset_is_chosen_by_weight():
    model = known(d=1)
    X = np.arange(10_000.0)[:, np.newaxis]
    weight = np.where(X[:, 0] < 5000, 1.0, 0.0)
    weight[:100] = 50.0
    display = GaussianMixtureDisplay.from_estimator(model, X, sample_weight=weight, max_samples=200)
    assert display.X.max() < 5000
    assert np.mean(display.X < 100) > 0.25


def test_legend_says_what_is_drawn(iris):
    display = GaussianMixtureDisplay.from_estimator(iris, IRIS.data, features=[0, 1])
    texts = [text.get_text() for text in display.legend_.get_texts()]
    order = np.argsort(-iris.weights_, kind="stable")
    assert texts == [
        *(f"{k} ({iris.weights_[k]:.1%})" for k in order),
        *("densest 99 %", "densest 90 %", "densest 50 %"),
    ]
    title = display.legend_.get_title().get_text()
    assert title == "150 samples\nan ellipse holds 90 %\ncomponent (weight):"
    numbers = {text.get_text() for text in display.ax_.texts}
    assert numbers == {"0", "1", "2"}


def test_empty_components_are_not_drawn():
    model = GaussianMixture.from_parameters(
        [0.5, 0.499, 0.001], np.zeros((3, 2)), np.ones(3), covariance_type="spherical"
    )
    assert len(panel(GaussianMixtureDisplay.from_estimator(model)).ellipses) == 2


def test_many_components_have_weaker_lines():
    display = GaussianMixtureDisplay.from_estimator(known(K=20))
    widths = [patch.get_linewidth() for patch in panel(display).ellipses]
    assert widths == 8 * [0.6] + 12 * [1.8]
    assert "12 of 20 components" in display.legend_.get_title().get_text()
    assert {text.get_text() for text in display.ax_.texts} == set(map(str, range(8, 20)))


@pytest.mark.parametrize("kind", ["points", "ellipses", "density"])
def test_kind(kind, iris):
    display = GaussianMixtureDisplay.from_estimator(iris, IRIS.data, features=[0, 1], kind=kind)
    drawn = panel(display)
    assert bool(drawn.points) == (kind == "points")
    assert bool(drawn.ellipses) == (kind == "ellipses")
    assert (drawn.contours is not None) == (kind == "density")


def test_draws_again_on_other_axes(iris):
    display = GaussianMixtureDisplay.from_estimator(iris, IRIS.data, features=[0, 1])
    figure, (_, ax) = plt.subplots(1, 2)
    again = display.plot(ax, ellipse_kw={"lw": 5}, contour_kw={"cmap": "viridis"})
    assert again is display
    assert display.figure_ is figure
    assert display.ax_ is ax
    assert {patch.get_linewidth() for patch in panel(display).ellipses} == {5}


@pytest.mark.parametrize(
    "model",
    [BayesianGaussianMixture(n_components=3, random_state=0), SoftKMeans(3, random_state=0)],
    ids=lambda model: type(model).__name__,
)
def test_other_estimators(model):
    model.fit(IRIS.data)
    display = GaussianMixtureDisplay.from_estimator(model, IRIS.data, features=[0, 1])
    np.testing.assert_array_equal(display.labels, model.predict(IRIS.data))
    ConvergenceDisplay.from_estimator(model)
    ResponsibilityDisplay.from_estimator(model, IRIS.data)


def test_vector_picture_of_many_samples_is_small(tmp_path):
    model = known()
    X, _ = model.sample(50_000)
    display = GaussianMixtureDisplay.from_estimator(model, X, max_samples=None)
    display.figure_.savefig(tmp_path / "many.pdf")
    assert (tmp_path / "many.pdf").stat().st_size < 500_000


def test_styles_do_not_depend_on_colour_alone():
    """No two of 56 components share marker and colour, no two of 35 line and colour."""
    looks = [(style["marker"], style["markeredgecolor"]) for style in map(marker_style, range(56))]
    assert len(set(looks)) == 56
    lines = [(style["linestyle"], style["color"]) for style in map(line_style, range(35))]
    assert len(set(lines)) == 35
    assert len({marker_style(k)["marker"] for k in range(8)}) == len(MARKERS)
    assert len({line_style(k)["linestyle"] for k in range(5)}) == len(LINES)


# the others


def test_convergence(iris):
    model = GaussianMixture(3, random_state=0, tol=1e-6, init_params="random").fit(IRIS.data)
    display = ConvergenceDisplay.from_estimator(model, name="iris")
    x, y = display.line_.get_data()
    np.testing.assert_array_equal(x, np.arange(1, model.n_iter_ + 1))
    np.testing.assert_array_equal(y, model.lower_bounds_)
    assert display.line_.get_label() == f"iris: converged after {model.n_iter_} iterations"
    assert display.end_.get_marker() == "o"
    assert display.ax_.get_ylabel() == "mean log-likelihood (nats per sample)"
    other = ConvergenceDisplay.from_estimator(iris, ax=display.ax_)
    assert other.line_.get_linestyle() != display.line_.get_linestyle()


def test_changes(iris):
    model = GaussianMixture(3, random_state=0, max_iter=5, tol=1e-9, init_params="random")
    with pytest.warns(match="converge"):
        model.fit(IRIS.data)
    display = ConvergenceDisplay.from_estimator(model, quantity="change")
    x, y = display.line_.get_data()
    np.testing.assert_array_equal(x, [2, 3, 4, 5])
    np.testing.assert_allclose(y, np.diff(model.lower_bounds_), rtol=1e-14)
    assert display.ax_.get_yscale() == "log"
    np.testing.assert_array_equal(display.tol_line_.get_ydata(), [1e-9, 1e-9])
    assert display.end_.get_marker() == "X"
    assert "not converged after 5 iterations" in display.line_.get_label()


def test_changes_that_are_not_positive_are_gaps():
    display = ConvergenceDisplay([1.0, 2.0, 2.0, 3.0], converged=True).plot(quantity="change")
    np.testing.assert_array_equal(display.line_.get_ydata(), [1.0, np.nan, 1.0])


def test_bound_of_a_variational_fit():
    model = BayesianGaussianMixture(n_components=2, random_state=0).fit(IRIS.data)
    display = ConvergenceDisplay.from_estimator(model)
    assert display.ax_.get_ylabel() == "bound of the log-evidence (nats)"


def test_no_iterations():
    with pytest.raises(ValueError, match="The fit has no iterations to show"):
        ConvergenceDisplay.from_estimator(known())


TABLE = {
    "n_components": [2, 1, 3, 1, 2, 3],
    "covariance_type": ["full", "full", "full", "tied", "tied", "tied"],
    "score": [10.0, 20.0, np.nan, 25.0, 9.0, np.inf],
}


def test_candidates():
    display = SelectionDisplay(**TABLE).plot()
    assert list(display.lines_) == ["full", "tied"]
    np.testing.assert_array_equal(
        display.lines_["full"].get_data(), [[1, 2, 3], [20.0, 10.0, np.nan]]
    )
    np.testing.assert_array_equal(
        display.lines_["tied"].get_data(), [[1, 2, 3], [25.0, 9.0, np.nan]]
    )
    assert display.best_index == 4
    np.testing.assert_array_equal(display.best_.get_data(), [[2], [9.0]])
    assert display.best_.get_label() == "best: tied, 2 (9)"
    assert display.ax_.get_ylabel() == "BIC (lower is better)"


def test_candidates_where_greater_is_better():
    display = SelectionDisplay(
        **TABLE, criterion="held-out log-likelihood", greater_is_better=True
    ).plot()
    assert display.best_index == 3
    assert display.ax_.get_ylabel() == "held-out log-likelihood (higher is better)"


def test_candidates_without_a_score():
    with pytest.raises(ValueError, match="No candidate has a score"):
        SelectionDisplay(**TABLE | {"score": 6 * [np.nan]})


def test_selection():
    X = np.repeat([[0.0], [1.0], [5.0], [6.0], [7.0]], 8, axis=0)
    X += np.random.default_rng(0).normal(scale=0.1, size=X.shape)
    selection = select(X, range(1, 9), criterion="icl", random_state=0)
    assert any(candidate.fault for candidate in selection.candidates)
    display = SelectionDisplay.from_selection(selection)
    best = selection.best
    np.testing.assert_array_equal(display.best_.get_data(), [[best.n_components], [best.icl]])
    for kind, line in display.lines_.items():
        of_kind = [c for c in selection.candidates if c.covariance_type == kind]
        expected = [np.nan if c.fault else c.icl for c in of_kind]
        np.testing.assert_array_equal(line.get_data(), [range(1, 9), expected])
    assert display.ax_.get_ylabel() == "ICL (lower is better)"


def test_responsibilities(iris):
    weight = np.random.default_rng(0).uniform(0, 2, 150)
    display = ResponsibilityDisplay.from_estimator(iris, IRIS.data, sample_weight=weight)
    resp = iris.predict_proba(IRIS.data)
    expected = (weight[:, np.newaxis] * resp).T @ resp / (weight @ resp)[:, np.newaxis]
    np.testing.assert_allclose(display.shares, expected, rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(display.shares.sum(axis=1), 1.0)
    np.testing.assert_array_equal(display.im_.get_array(), display.shares)
    assert display.text_[1, 1].get_text() == f"{expected[1, 1]:.0%}"
    assert display.text_[0, 2].get_text() == ""
    assert display.text_[1, 1].get_color() == "white"


def test_components_that_share_samples_are_neighbours():
    means = np.array([[0.0], [50.0], [1.0], [51.0]])
    model = GaussianMixture.from_parameters(
        np.full(4, 0.25), means, np.ones(4), covariance_type="spherical"
    )
    X = np.concatenate([means + shift for shift in np.linspace(-2, 2, 9)])
    display = ResponsibilityDisplay.from_estimator(model, X, order="overlap")
    pairs = {frozenset(display.order_[:2].tolist()), frozenset(display.order_[2:].tolist())}
    assert pairs == {frozenset({0, 2}), frozenset({1, 3})}
    ticks = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert ticks == [str(k) for k in display.order_]
    np.testing.assert_array_equal(
        display.im_.get_array(), display.shares[np.ix_(display.order_, display.order_)]
    )


def test_a_component_without_samples_has_no_shares():
    model = GaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1e6]], [[1.0], [1.0]])
    display = ResponsibilityDisplay.from_estimator(model, [[0.0], [1.0]])
    np.testing.assert_array_equal(display.shares, [[1.0, 0.0], [np.nan, np.nan]])
    assert display.text_[1, 0].get_text() == "–"


# errors


@pytest.mark.parametrize(
    "options, message",
    [
        ({"features": ["petal"]}, r"features should be among \['x0', 'x1'\], but got 'petal'"),
        ({"features": [2]}, r"features should be numbers below 2, .*, but got \[2\]"),
        ({"features": [0, 0]}, r"one feature or more, each once, but got \[0, 0\]"),
        ({"features": []}, r"one feature or more, each once, but got \[\]"),
        ({"units": ["cm"]}, r"units should be 2, one for each feature, got \['cm'\]"),
        ({"units": {"a": "cm"}}, "units should be of x0, x1, got one of 'a'"),
        ({"feature_names": ["a"]}, r"feature_names should be 2, one for each feature, got \['a'\]"),
        ({"max_samples": 0, "X": [[0.0, 0.0]]}, "max_samples should be at least 1 or None, got 0"),
        ({"kind": "contours"}, "kind should be of points, ellipses, density, got 'contours'"),
        ({"coverage": 1.0}, r"coverage should be between 0 and 1, got \[1.0\]"),
        ({"levels": [50]}, r"levels should be between 0 and 1, got \[50\]"),
    ],
)
def test_wrong_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixtureDisplay.from_estimator(known(), **options)


def test_other_wrong_parameters(iris):
    with pytest.raises(ValueError, match="quantity should be one of lower_bound, change, got 'l'"):
        ConvergenceDisplay.from_estimator(iris, quantity="l")
    with pytest.raises(ValueError, match="order should be one of label, overlap, got 'size'"):
        ResponsibilityDisplay.from_estimator(iris, IRIS.data, order="size")
    with pytest.raises(ValueError, match="ax should be of a grid of subplots"):
        GaussianMixtureDisplay.from_estimator(iris, ax=plt.figure().add_axes((0, 0, 1, 1)))


@pytest.mark.parametrize("display", DISPLAYS, ids=lambda display: display.__name__)
def test_not_fitted(display):
    args = [] if display is ConvergenceDisplay else [IRIS.data]
    with pytest.raises(NotFittedError):
        display.from_estimator(GaussianMixture(), *args)


def test_no_matplotlib(iris, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = r"ConvergenceDisplay.plot needs matplotlib: pip install 'fastgmm\[plot\]'"
    with pytest.raises(ImportError, match=message):
        ConvergenceDisplay.from_estimator(iris)


# the command line


@pytest.fixture
def saved(run):
    assert run("fit", "sample:iris", "-K", "3", "--quiet", "-o", "model.npz")[0] == 0


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["sample:iris"],
        ["sample:iris", "--features", "3,feature 1", "--units", "3=cm", "--max-samples", "50"],
        ["sample:iris", "--kind", "responsibility"],
        ["--kind", "convergence"],
    ],
    ids=" ".join,
)
def test_command(run, options, tmp_path):
    assert run("plot", "model.npz", *options, "-o", "model.png") == (0, "", "")
    assert (tmp_path / "model.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("saved")
def test_command_names_axes(run, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: figures.append(figure))
    options = ["--features", "3,feature 1", "--units", "3=cm"]
    assert run("plot", "model.npz", *options, "-o", "model.svg") == (0, "", "")
    (axes,) = figures[0].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("feature 3 (cm)", "feature 1")


@pytest.mark.usefixtures("saved")
def test_command_errors(fail):
    out = ["-o", "x.png"]
    assert fail("plot", "model.npz", "--features", "feature 9", *out) == (
        "no feature 'feature 9', did you mean feature 4?"
    )
    assert fail("plot", "model.npz", "--units", "cm", *out) == "--units: expected A=UNIT, got 'cm'"
    see = "(see fastgmm plot --help)"
    assert fail("plot", "model.npz", "--kind", "responsibility", *out, code=2) == (
        f"--kind responsibility needs DATA {see}"
    )
    assert fail("plot", "model.npz", "sample:iris", "--kind", "convergence", *out, code=2) == (
        f"DATA does not go with --kind convergence {see}"
    )


def test_command_without_matplotlib(fail, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert fail("plot", "model.npz", "-o", "x.png") == (
        "fastgmm plot needs matplotlib: pip install 'fastgmm[plot]'"
    )
