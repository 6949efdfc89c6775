"""Fits of every kind with a checkpoint, and what must be the same bits after one that went on.

As a script it runs one of them, and prints a digest of its outcome.
"""

import hashlib
import sys
import warnings
from pathlib import Path

import numpy as np
from example_models import factors, load

from fastgmm import BayesianGaussianMixture, GaussianMixture, SoftKMeans, em, sources

HERE = Path(__file__).parent
RNG = np.random.default_rng(0)
CENTERS = np.array([[0.0, 0.0], [2.0, 1.0], [0.0, 3.0], [4.0, 3.0]])
X = RNG.normal(size=(400, 2)) + np.repeat(CENTERS, 100, axis=0)
WEIGHT = RNG.integers(0, 4, len(X)).astype(float)
GAPS = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
#: Three rows in four are equal: the covariance of a component on them collapses.
EQUAL = np.where(RNG.random((len(X), 1)) < 0.75, 10.0, X)
COINS = (RNG.random((300, 6)) < np.repeat(RNG.random((3, 6)), 100, axis=0)).astype(float)
FACTORS = factors(120, 3, 1)


def clusters(seed):
    """Return samples of six clusters, where moves go on after EM on all samples."""
    rng = np.random.default_rng(seed)
    return np.vstack([rng.normal(center, 0.6, (60, 2)) for center in rng.uniform(0, 6, (6, 2))])


def start(covariance_type="full", n_components=3):
    """Return a poor start, from which EM takes many iterations."""
    means = X[:: len(X) // n_components][:n_components]
    shape = {"full": (n_components, 2, 2), "diag": (n_components, 2), "spherical": n_components}
    covariances = np.ones(shape[covariance_type])
    if covariance_type == "full":
        covariances = covariances * np.eye(2)
    weights = np.full(n_components, 1 / n_components)
    return em.MixtureParameters.from_covariances(covariance_type, weights, means, covariances)


class OwnCounter:
    """An object that a policy of a user's own holds."""

    __slots__ = ("count", "others")

    def __init__(self):
        self.count = np.int64(0)


class OwnPosterior(em.Posterior):
    """Exact statistics of the samples, disturbed by random numbers; with state of every kind."""

    parameters_type = em.MixtureParameters
    objective = "estimate"

    def __init__(self, random_state=None):
        self.exact = em.ExactPosterior()
        self.generator = np.random.default_rng(3)
        self.random_state = np.random.RandomState(4) if random_state is None else random_state
        self.start(None, None)

    def start(self, samples, parameters):
        self._seen = []
        self._again = self._seen
        self._kinds = set()
        self._by_name = {"half": slice(0, 3), ("a", 1): frozenset({2.0})}
        self._counter = OwnCounter()
        self._turned = np.arange(6.0).reshape(2, 3).T[::-1]
        self._spare = np.random.Generator(np.random.Philox(1))
        self._old = []
        if parameters is not None:
            self._total = em.SufficientStatistics.zeros("full", parameters.means)

    def summarize(self, samples, parameters):
        statistics = self.exact.summarize(samples, parameters)
        self._counter.count += 1
        self._seen.append((self._counter, statistics.lower_bound, statistics.moments))
        assert self._again is self._seen
        assert all(counter is self._counter for counter, *_ in self._seen)
        self._kinds.add(len(self._kinds) % 3)
        self._turned += 1.0
        if self._counter.count == 2:
            self._new = np.random.RandomState(5)
            self._old = [np.random.default_rng(6), np.dtype(np.float32), np.float32(0.1)]
        self._total.moments.nk[...] += statistics.moments.nk  # in place
        statistics = statistics.scaled(1.0 + 1e-6 * self._total.moments.nk[0])
        noise = self.generator.normal() + self.random_state.normal() + self._spare.normal()
        if self._counter.count > 2:
            noise += self._new.normal() + self._old[0].normal()
        return statistics.scaled(1.0 + 1e-3 * noise) + statistics


class OwnUpdate(em.Update):
    """An M step whose class says what its state is."""

    def __init__(self):
        self._lock = (number for number in range(3))  # which no one can store
        self._n_calls = 0

    def __getstate__(self):
        return {"n_calls": self._n_calls}

    def __setstate__(self, state):
        self._n_calls = state["n_calls"]

    def __call__(self, statistics, previous):
        self._n_calls += 1
        updated = em.ClosedForm(1e-6)(statistics, previous)
        means = updated.parameters.means + 1e-3 / self._n_calls
        return em.Updated(em.MixtureParameters.from_covariances(
            "full", updated.parameters.weights, means, updated.parameters.covariances
        ))  # fmt: skip


def runs():
    """Return the arguments of ``em.fit`` by name; each call makes new policies."""
    prior = em.NormalWishartPrior("dirichlet_process", 0.5, X.mean(0), 1.0, 2.0, np.cov(X.T))
    growing = em.Growing(40, 1.5)
    still = {"convergence": em.Never()}
    arguments = {
        "exact": {},
        "remaining gain": {"convergence": em.RemainingGain(1e-5)},
        "quasi-Newton": {"acceleration": em.QuasiNewton(start_below=1.0)},
        "quasi-Newton, diag": {"p": start("diag"), "acceleration": em.QuasiNewton(1.0, 3)},
        "hard": {"posterior": em.HardPosterior()},
        "truncated": {"posterior": em.TruncatedPosterior(2)},
        "tempered": {"posterior": em.TemperedPosterior([4.0, 3.0, 2.0, 1.5, 1.0])},
        "neighborhood": {"posterior": em.NeighborhoodPosterior(1, 2)},
        "incremental": {"posterior": em.IncrementalPosterior(3)},
        "stepwise": {"posterior": em.StepwisePosterior(150, seed=1), **still},
        "stepwise, growing": {"posterior": em.StepwisePosterior(growing)},
        "mini-batch": {"posterior": em.MiniBatchPosterior(90, seed=2), **still},
        "mini-batch, weighted": {
            "sample_weight": WEIGHT, "posterior": em.MiniBatchPosterior(growing)
        },
        "amortized": {"posterior": em.AmortizedPosterior(growing, em.Decaying(1.0))},
        "amortized, features": {
            "posterior": em.AmortizedPosterior(100, features=em.linear_features), **still
        },
        "sampled": {"posterior": em.SampledPosterior(em.Growing(2, 1.3), seed=5), **still},
        "Metropolis": {"posterior": em.MetropolisPosterior(3, seed=6), **still},
        "gradient steps": {"update": em.GradientStep(2, em.Decaying(1.0))},
        "gradient ascent": {
            "posterior": em.MiniBatchPosterior(100),
            "update": em.GradientAscent(em.Decaying(0.5)),
            **still,
        },
        "means only": {"p": start("spherical"), "update": em.MeansOnly()},
        "prior and floor": {"update": em.ClosedForm(prior="mclust", covariance_floor="auto")},
        "variational": {
            "p": prior.around(start(), len(X)),
            "update": em.ConjugatePrior(prior, "auto"),
        },
        "missing": {"X": GAPS, "missing": "marginalize"},
        "own policies": {"posterior": OwnPosterior(), "update": OwnUpdate(), **still},
    }  # fmt: skip
    BernoulliMixture = load("bernoulli_mixture").BernoulliMixture
    ProbabilisticPCA = load("probabilistic_pca").ProbabilisticPCA
    coins = BernoulliMixture(np.full(3, 1 / 3), 0.25 + 0.5 * np.eye(3, 6))
    pca = ProbabilisticPCA(np.ones((3, 1)), np.zeros(3), 1.0)
    chains = em.MCMCPosterior(em.Growing(2, 1.3), burn_in=5, seed=7)
    gaussians = em.GaussianPosterior(4, 2, em.Decaying(0.5), seed=8)
    arguments |= {
        "a model of its own": {"X": COINS, "p": coins},
        "a model, mini-batch": {
            "X": COINS, "p": coins, "posterior": em.MiniBatchPosterior(50), **still
        },
        "chains": {"X": FACTORS, "p": pca, "posterior": chains, **still},
        "Gaussian q": {"X": FACTORS, "p": pca, "posterior": gaussians, **still},
    }  # fmt: skip
    common = {"X": X, "p": start(), "max_iter": 10, "convergence": em.LowerBoundChange(1e-9)}
    return {f"em: {name}": {**common, **given} for name, given in arguments.items()}


def _labels(X, n_components, random_state):
    return random_state.randint(n_components, size=len(X))


def estimators():
    """Return estimators with the arguments of their ``fit``, by name."""
    seeded = {"tol": 1e-9, "max_iter": 8, "random_state": 0}
    mixture = {"n_components": 3, **seeded}
    quick = {**mixture, "init_params": "kmeans"}
    stream = np.random.RandomState(3)
    split_merge = {
        "n_components": 6,
        "covariance_type": "spherical",
        "init_params": "random_from_data",
        "tol": 1e-4,
        "max_iter": 60,
        "acceleration": "split-merge",
    }
    return {
        "GaussianMixture": (GaussianMixture(**mixture), {}),
        "starts": (GaussianMixture(**{**quick, "random_state": stream}, n_init=4), {}),
        "starts, auto": (GaussianMixture(**mixture, n_init=2), {}),
        "k-means++": (GaussianMixture(**mixture, init_params="k-means++", n_init=2), {}),
        "a function as start": (GaussianMixture(**mixture, init_params=_labels, n_init=2), {}),
        "collapse": (GaussianMixture(**mixture, reg_covar=0.0, init_params=_labels), {"X": EQUAL}),
        "float32": (GaussianMixture(**mixture), {"X": X.astype(np.float32)}),
        "weights": (GaussianMixture(**mixture), {"sample_weight": WEIGHT}),
        "missing values": (GaussianMixture(**mixture, missing="marginalize"), {"X": GAPS}),
        "tied-spherical": (GaussianMixture(**mixture, covariance_type="tied-spherical"), {}),
        "prior": (GaussianMixture(**mixture, prior="mclust", covariance_floor="auto"), {}),
        "quasi-newton": (GaussianMixture(**mixture, acceleration="quasi-newton"), {}),
        "subsample": (GaussianMixture(**mixture, acceleration="subsample"), {"X": clusters(0)}),
        "split-merge": (GaussianMixture(**split_merge, random_state=1), {"X": clusters(1)}),
        "split-merge, starts": (
            GaussianMixture(**split_merge, random_state=4, n_init=2), {"X": clusters(4)}
        ),
        "Bayesian": (BayesianGaussianMixture(**quick, n_init=2), {}),
        "Bayesian, auto": (BayesianGaussianMixture(**mixture), {}),
        "Bayesian, Dirichlet": (
            BayesianGaussianMixture(
                **mixture, weight_concentration_prior_type="dirichlet_distribution"
            ),
            {},
        ),
        "SoftKMeans": (SoftKMeans(3, beta=0.5, n_init=3, **seeded), {}),
    }  # fmt: skip


#: Where samples lie.
PLACES = {
    "in memory": lambda X, folder: X,
    "mapped": lambda X, folder: np.load(_saved(X, folder), mmap_mode="r"),
    "out of core": lambda X, folder: sources.ArrayFiles(_saved(X, folder)),
}


def _saved(X, folder):
    path = folder / "X.npy"
    if not path.exists():
        np.save(path, X)
    return path


def names():
    """Return the names of all fits."""
    return [*runs(), *estimators()]


def fit(name, place="in memory", folder=None, **options):
    """Run a fit; return its outcome as arrays."""
    warnings.simplefilter("ignore")
    if name.startswith("em: "):
        arguments = runs()[name]
        samples, start = arguments.pop("X"), arguments.pop("p")
        result = em.fit(PLACES[place](samples, folder), start, **arguments, **options)
        return outcome_of_run(result, arguments.get("posterior"), samples)
    model, arguments = estimators()[name]
    samples = arguments.pop("X", X)
    model.fit(PLACES[place](samples, folder), **arguments, **options)
    return outcome_of_fit(model, samples)


def outcome_of_run(result, posterior, samples):
    outcome = {f"parameters.{key}": value for key, value in flat(vars(result.parameters))}
    outcome |= {"bounds": result.lower_bounds, "end": [result.converged, result.n_iter]}
    outcome["collapsed"] = list(result.collapsed.items())
    if isinstance(posterior, em.AmortizedPosterior):
        outcome["q"] = posterior.predict_proba(samples)
    if isinstance(posterior, em.GaussianPosterior):
        outcome |= {"mean": posterior.mean, "scale": posterior.scale}
    if isinstance(posterior, OwnPosterior):
        outcome["next"] = [posterior.generator.normal(), posterior.random_state.normal()]
    return {key: np.asarray(value) for key, value in outcome.items()}


def flat(attributes):
    """Yield arrays and numbers by name, also those of objects."""
    for key, value in attributes.items():
        if isinstance(value, np.ndarray | float | int):
            yield key, value
        else:
            yield from ((f"{key}.{name}", inner) for name, inner in flat(vars(value)))


def outcome_of_fit(model, samples):
    names = ("weights_", "means_", "covariances_", "cluster_centers_", "labels_", "lower_bounds_")
    names += ("n_iter_", "converged_", "lower_bound_", "mean_precision_", "weight_concentration_")
    outcome = {name: getattr(model, name) for name in names if hasattr(model, name)}
    outcome["collapsed_"] = sorted(getattr(model, "collapsed_", {}).items())
    outcome["labels"] = model.predict(samples)
    outcome["restarts"] = [
        (start.lower_bound, start.n_iter, start.converged, start.chosen)
        for start in model.restarts_
    ]
    if isinstance(model.random_state, np.random.RandomState):
        outcome["next"] = model.random_state.random_sample()
    return {key: np.asarray(value) for key, value in outcome.items()}


def digest(outcome):
    """Return a text that tells the bits of an outcome."""
    found = hashlib.sha256()
    for key, value in outcome.items():
        found.update(f"{key}{value.dtype}{value.shape}".encode() + value.tobytes())
    return found.hexdigest()


def main(name, place, folder, path):
    """Run a fit with a checkpoint after each iteration, telling of each."""
    print("begun", flush=True)
    outcome = fit(
        name,
        place,
        Path(folder),
        callback=lambda iteration: print(iteration.number, flush=True),
        checkpoint=em.Checkpoint(path, every_iterations=1),
    )
    print(digest(outcome), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
