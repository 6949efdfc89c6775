"""Samples in partitions on the workers of real Dask clusters: the fits of one machine."""

import os
import signal
import threading
import time
import warnings
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from marks import slow
from pyarrow import parquet
from sklearn.exceptions import ConvergenceWarning

import fastgmm
from fastgmm import em

dask = pytest.importorskip("dask")
dask_distributed = pytest.importorskip("distributed")

import dask.array as da  # noqa: E402
import dask.dataframe as dd  # noqa: E402
from dask import delayed  # noqa: E402

from fastgmm import distributed  # noqa: E402
from fastgmm.distributed.tasks import threads_of_task  # noqa: E402

pytestmark = pytest.mark.one_backend

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical", "tied-spherical")
#: Deaths of workers come in fives; 10 makes 50.
N_KILLS = int(os.environ.get("FASTGMM_KILLS", "1"))
TO_ROUNDING = {"rtol": 1e-10, "atol": 1e-10}


@contextmanager
def cluster(n_workers, threads_per_worker=1, **options):
    """Start workers in processes of their own, and a client that is the current one."""
    with (
        dask_distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            dashboard_address=":0",  # any free port
            **options,
        ) as local,
        dask_distributed.Client(local) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client():
    with cluster(2) as client:
        yield client


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(3.0 * k, 1.0 + 0.3 * k, (1000, 3)) for k in range(3)])
    rng.shuffle(X)
    return X


@pytest.fixture(scope="module")
def weight(X):
    weight = np.random.default_rng(1).uniform(0.0, 2.0, len(X))
    weight[::7] = 0.0
    return weight


def assert_same(model, expected, tolerance=TO_ROUNDING):
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        np.testing.assert_allclose(getattr(model, name), getattr(expected, name), **tolerance)
    assert (model.n_iter_, model.converged_) == (expected.n_iter_, expected.converged_)
    assert model.n_samples_seen_ == pytest.approx(expected.n_samples_seen_, rel=1e-12)


def assert_same_bits(model, expected):
    assert_same(model, expected, {"rtol": 0.0, "atol": 0.0})


@pytest.mark.parametrize("covariance_type", ["full", *slow(*COVARIANCE_TYPES[1:])])
def test_equals_one_machine(client, X, weight, covariance_type):
    options = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-5}
    expected = fastgmm.GaussianMixture(3, **options).fit(X)  # first: workers find it compiled
    model = distributed.GaussianMixture(3, **options).fit(da.from_array(X, chunks=(700, 2)))
    assert_same(model, expected)
    expected = fastgmm.GaussianMixture(3, **options).fit(X, sample_weight=weight)
    blocks, weights = da.from_array(X, chunks=(800, 3)), da.from_array(weight, chunks=800)
    model = distributed.GaussianMixture(3, **options).fit(blocks, sample_weight=weights)
    assert_same(model, expected)


@pytest.mark.parametrize("covariance_type", slow("diag", "full", "tied", "spherical"))
def test_variational_bayes_equals_one_machine(client, X, weight, covariance_type):
    options = {"n_components": 3, "covariance_type": covariance_type, "random_state": 0}
    expected = fastgmm.BayesianGaussianMixture(**options).fit(X, sample_weight=weight)
    blocks, weights = da.from_array(X, chunks=(800, 3)), da.from_array(weight, chunks=800)
    model = distributed.BayesianGaussianMixture(**options).fit(blocks, sample_weight=weights)
    assert_same(model, expected)
    np.testing.assert_allclose(model.mean_prior_, expected.mean_prior_, **TO_ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"acceleration": "quasi-newton", "tol": 1e-8},
        {"acceleration": "subsample"},
        {"acceleration": "split-merge"},
        {"reg_covar": "auto", "covariance_floor": "auto"},
        {"prior": "mclust"},
        {"n_init": 3, "init_params": "random"},
        {"init_params": "kmeans", "stop_rule": "remaining-gain"},
    ],
    ids=lambda options: "-".join(options),
)
def test_options_work_as_on_one_machine(client, X, options):
    model = distributed.GaussianMixture(3, random_state=0, **options)
    expected = fastgmm.GaussianMixture(3, random_state=0, **options).fit(X)
    assert_same(model.fit(da.from_array(X, chunks=(700, 3))), expected)


@pytest.mark.parametrize("weighted", [*slow(False), True])
def test_truncated_em_with_all_components_is_that_of_one_machine(client, X, weight, weighted):
    """Three candidates are kept, so with three components it is exact EM."""
    weight = weight if weighted else None
    options = {"covariance_type": "full", "random_state": 0, "tol": 1e-5}
    expected = fastgmm.GaussianMixture(3, **options).fit(X, sample_weight=weight)
    model = distributed.GaussianMixture(3, posterior="truncated", exact_iter=0, **options)
    weights = da.from_array(weight, chunks=700) if weighted else None
    model.fit(da.from_array(X, chunks=(700, 3)), sample_weight=weights)
    assert_same(model, expected)


def many_clusters():
    rng = np.random.default_rng(2)
    centers = rng.normal(scale=3.0, size=(300, 4))
    return centers[rng.integers(300, size=9000)] + rng.normal(size=(9000, 4))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_truncated_em_with_few_candidates(client):
    """Partitions have neighbourhoods of their own: other candidates, and nearly the same bound."""
    X = many_clusters()
    blocks = da.from_array(X, chunks=(1700, 4))
    options = {"covariance_type": "diag", "reg_covar": 1e-3, "random_state": 0, "max_iter": 12}
    one_machine = fastgmm.GaussianMixture(300, posterior="truncated", **options).fit(X)
    model = distributed.GaussianMixture(300, posterior="truncated", **options).fit(blocks)
    assert model.lower_bound_ == pytest.approx(one_machine.lower_bound_, abs=0.05)
    assert model.score(blocks) == pytest.approx(one_machine.score(X), abs=0.05)
    assert model.lower_bound_ < model.score(blocks)
    assert (np.diff(model.lower_bounds_) > -1e-6).all()
    automatic = distributed.GaussianMixture(300, posterior="auto", **options).fit(blocks)
    assert_same_bits(automatic, model)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_dask_forgets_past_iterations_of_truncated_em(client, X):
    """Else it would keep the parameters of each, and repeat all where a worker dies."""
    counts = []

    def count(iteration):
        counts.append(client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))

    model = distributed.GaussianMixture(5, posterior="truncated", tol=0.0, max_iter=20)
    model.fit(da.from_array(X, chunks=(1000, 3)), callback=count)
    assert max(counts[10:]) <= max(counts[:10])


@pytest.mark.slow
def test_float32_to_the_rounding_of_blocks(client, X):
    narrow = X.astype(np.float32)
    expected = fastgmm.GaussianMixture(3, random_state=0).fit(narrow)
    model = distributed.GaussianMixture(3, random_state=0).fit(da.from_array(narrow, chunks=1000))
    assert_same(model, expected, {"rtol": 1e-5, "atol": 1e-5})
    density = model.score_samples(da.from_array(narrow, chunks=1000))
    assert density.dtype == density.compute().dtype == np.float32


@pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")
def test_predictions_are_lazy_and_equal_one_machine(client, X, weight):
    blocks = da.from_array(X, chunks=(700, 2))
    model = distributed.GaussianMixture(3, random_state=0).fit(blocks)
    for method in ("predict", "predict_proba", "score_samples"):
        predicted, expected = getattr(model, method)(blocks), getattr(model, method)(X)
        assert predicted.chunks[0] == blocks.chunks[0]
        assert predicted.shape == expected.shape
        np.testing.assert_array_equal(predicted.compute(), expected)
    labels, expected = model.predict(blocks), model.predict(X)
    model.set_params(n_components=2).fit(blocks)
    np.testing.assert_array_equal(labels.compute(), expected)
    with dask.config.set(scheduler="synchronous"):  # without workers
        np.testing.assert_array_equal(model.predict(blocks).compute(), model.predict(X))
    weights = da.from_array(weight, chunks=700)
    np.testing.assert_allclose(model.score(blocks, None, weights), model.score(X, None, weight))
    np.testing.assert_allclose(model.bic(blocks, weights), model.bic(X, weight), rtol=1e-12)
    fresh = distributed.GaussianMixture(2, random_state=0)
    np.testing.assert_array_equal(fresh.fit_predict(blocks).compute(), model.predict(X))


def test_data_frames_name_features(client, X):
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(w=1.5)
    blocks = dd.from_pandas(frame, npartitions=3, sort=False)
    model = distributed.GaussianMixture(3, random_state=0)
    model.fit(blocks[["a", "b", "c"]], sample_weight=blocks["w"])
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    expected = fastgmm.GaussianMixture(3, random_state=0).fit(X, sample_weight=1.5)
    assert_same(model, expected)
    nullable = model.score_samples(blocks[["a", "b", "c"]].astype("Float64")).compute()
    np.testing.assert_array_equal(nullable, model.score_samples(frame[["a", "b", "c"]]))
    labels = model.predict(blocks[["a", "b", "c"]])
    np.testing.assert_array_equal(labels.compute(), model.predict(frame[["a", "b", "c"]]))
    with pytest.raises(ValueError, match="feature names should match"):
        model.score(blocks[["a", "b", "w"]])


def test_partitions_of_unknown_and_of_no_size(client, X, weight):
    """Also those whose weights are all 0, and rows of weight 0 that hold anything."""
    parts = [X[:0], X[:500], np.full((3, 3), np.nan), X[500:2000], X[2000:], X[:0]]
    weights = [weight[:0], weight[:500], np.zeros(3), weight[500:2000], weight[2000:], weight[:0]]
    model = distributed.GaussianMixture(3, random_state=0).fit(
        [delayed(part) for part in parts], sample_weight=[delayed(part) for part in weights]
    )
    expected = fastgmm.GaussianMixture(3, random_state=0).fit(X, sample_weight=weight)
    assert_same(model, expected)
    unknown = da.from_array(X, chunks=(700, 3))
    unknown = unknown[unknown[:, 0] > 0.0]
    model.fit(unknown)
    assert model.n_samples_seen_ == (X[:, 0] > 0.0).sum()
    labels = model.predict([delayed(part) for part in (X[:0], X[:10])])
    np.testing.assert_array_equal(labels.compute(), model.predict(X[:10]))


def test_files_are_read_by_the_workers(client, X, tmp_path):
    np.save(tmp_path / "0.npy", X[:1000])
    table = pa.table({name: X[1000:, j] for j, name in enumerate("abc")})
    parquet.write_table(table, tmp_path / "1.parquet")
    expected = fastgmm.GaussianMixture(3, random_state=0).fit(X)
    model = distributed.GaussianMixture(3, random_state=0)
    second = delayed(X[1000:])
    assert_same(model.fit([tmp_path / "0.npy", second]), expected)
    assert_same(model.fit([delayed(X[:1000]), second]), expected)
    model.fit([str(tmp_path / "1.parquet")])
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"2\.csv: a partition should be a file \.npy or"):
        model.fit([tmp_path / "2.csv"])


def test_errors_name_the_partition(client, X, weight):
    blocks = da.from_array(X, chunks=(1000, 3))
    broken = X.copy()
    broken[1500, 2] = np.nan
    model = distributed.GaussianMixture(3)

    def refuses(message, X, sample_weight=None, model=model, error=ValueError):
        with pytest.raises(error, match=message):
            model.fit(X, sample_weight=sample_weight)
        assert not hasattr(model, "means_")

    message = r"Partition 1: Input X contains NaN, first in row 500, feature 2"
    refuses(message, da.from_array(broken, chunks=(1000, 3)))
    weights = da.from_array(weight, chunks=1000)
    refuses("Partition 0: sample_weight should be finite and non-negative", blocks, weights - 1.5)
    misaligned = da.from_array(weight, chunks=((999, 1001, 1000),))
    refuses(r"Partition \d: sample_weight should .* shape of \(1000,\)", blocks, misaligned)
    few = da.from_array(weight, chunks=1500)
    refuses(r"should have the 3 partition\(s\) of X, but has 2", blocks, few)
    refuses("in partitions like X, or one number, .* ndarray", blocks, weight, error=TypeError)
    refuses("Found 0 sample", blocks, 0 * weights)
    refuses("finite sum", blocks, 1e308 + 0 * weights)
    parts = [delayed(X), delayed(X[:, :2])]
    refuses("Partition 1 has 2 features, but partition 0 has 3", parts)
    frames = [delayed(pd.DataFrame(X[:9], columns=list(names))) for names in ("abc", "acb")]
    refuses(r"Partition 1 has the columns \['a', 'c', 'b'\]", frames)
    refuses("Partition 0: Expected 2D array", blocks[:, 0])
    refuses("n_components = 9, n_samples = 8", blocks[:8], model=distributed.GaussianMixture(9))
    refuses("too large for float64", blocks * 1e160)
    given = distributed.GaussianMixture(3, init_params=np.zeros(len(X), int))
    refuses("init_params should be the name of a method", blocks, model=given)
    missing = distributed.GaussianMixture(3, missing="marginalize")
    refuses("missing should be 'error' where X is in partitions", blocks, model=missing)
    with pytest.raises(ValueError, match="out should be None where X is in partitions"):
        model.fit(blocks).predict(blocks, out=np.zeros(len(X), np.int64))
    with pytest.raises(TypeError, match="not in memory"):
        model.mahalanobis(blocks)


def test_needs_a_client(X, monkeypatch):
    def there_is_none():
        raise ValueError

    blocks = da.from_array(X, chunks=1000)
    monkeypatch.setattr(dask_distributed.Client, "current", there_is_none)
    with pytest.raises(RuntimeError, match="needs a client of Dask"):
        distributed.GaussianMixture(3).fit(blocks)


def test_samples_in_memory_are_fitted_as_ever(X):
    model = distributed.GaussianMixture(3, random_state=0)
    expected = fastgmm.GaussianMixture(3, random_state=0)
    np.testing.assert_array_equal(model.fit_predict(X), expected.fit_predict(X))
    assert_same_bits(model, expected)
    assert model.score(X) == expected.score(X)


def test_is_saved_as_the_plain_model(client, X, tmp_path):
    model = distributed.GaussianMixture(3, random_state=0).fit(da.from_array(X, chunks=1000))
    fastgmm.save(model, tmp_path / "model.npz")
    loaded = fastgmm.load(tmp_path / "model.npz")
    assert type(loaded) is fastgmm.GaussianMixture
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_warns_as_on_one_machine(client, X):
    blocks = da.from_array(X, chunks=1000)
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        distributed.GaussianMixture(3, tol=0.0, max_iter=2).fit(blocks)
    with pytest.warns(ConvergenceWarning, match="reg_covar=1 makes up"):
        distributed.GaussianMixture(3, reg_covar=1.0).fit(blocks)


@pytest.mark.slow
def test_the_number_of_workers_changes_no_bit(X):
    """Nor does the number of their threads."""
    blocks = da.from_array(X, chunks=(250, 3))
    fitted = []
    for n_workers, n_threads in ((1, 1), (3, 1), (2, 2)):
        with cluster(n_workers, n_threads) as client:
            alone = client.submit(threads_of_task, pure=False).result()
            assert alone == n_threads
            model = distributed.GaussianMixture(4, random_state=0, tol=1e-6)
            truncated = distributed.GaussianMixture(
                30, posterior="truncated", reg_covar=1e-3, random_state=0, tol=1e-2
            )
            fitted.append((model.fit(blocks), truncated.fit(blocks)))
    for models in fitted[1:]:
        for model, expected in zip(models, fitted[0], strict=True):
            assert_same_bits(model, expected)


# --- summarize and merge, without Dask


def test_parts_add_up_to_the_whole(X, weight):
    parameters = em.starting_parameters(X, 3, random_state=0)
    whole = em.summarize(X, parameters, weight)
    bounds = [0, 0, 100, 101, 1500, 3000]
    parts = [
        em.summarize(X[start:stop], parameters, weight[start:stop], n_jobs=1)
        for start, stop in pairwise(bounds)
    ]
    total = em.merge(parts)
    np.testing.assert_allclose(total.lower_bound, whole.lower_bound, rtol=1e-13)
    for sums, expected in zip(total.moments, whole.moments, strict=True):
        np.testing.assert_allclose(sums, expected, rtol=1e-10, atol=1e-10)


def test_parts_of_parts_add_up_to_the_same_bits():
    numbers = list(np.random.default_rng(0).normal(size=77))
    groups = [em.merge(numbers[start : start + 8]) for start in range(0, 77, 8)]
    assert em.merge(groups) == em.merge(iter(numbers))


def test_summarize_and_merge_refuse(X):
    parameters = em.starting_parameters(X, 2, random_state=0)
    with pytest.raises(ValueError, match="X has 2 features, but 3 are expected"):
        em.summarize(X[:, :2], parameters)
    with pytest.raises(TypeError, match="MixtureParameters or a LatentVariableModel, but got int"):
        em.summarize(X, 3)
    with pytest.raises(ValueError, match="one object or more, but got none"):
        em.merge([])


def test_models_of_your_own_have_parts(X):
    class Normal(em.LatentVariableModel):
        latent = "continuous"
        n_features = 3

        def summarize(self, X, weight):
            values = {"x": weight @ X}
            return em.Sums(-0.5 * float(weight @ (X**2).sum(axis=1)), float(weight.sum()), values)

        def update(self, sums):
            return self

    parts = [em.summarize(part, Normal()) for part in (X[:1000], X[1000:])]
    np.testing.assert_allclose(em.merge(parts)["x"], X.sum(axis=0))
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        em.summarize(X[:0], Normal())


# --- failures


def busy_partition(number):
    rng = np.random.default_rng(number)
    return rng.normal(2.0 * rng.integers(0, 3, (4000, 1)), 1.0, (4000, 4))


def long_fit(callback=None, n_components=3, **options):
    common = {"random_state": 0, "tol": 0.0, "max_iter": 40, "init_params": "random_from_data"}
    model = distributed.GaussianMixture(n_components, **common, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        partitions = [delayed(busy_partition)(number) for number in range(5)]
        return model.fit(partitions, callback=callback)


class Killer(threading.Thread):
    """Kill workers, each a random time after all were there and an iteration had ended."""

    def __init__(self, local, n_kills, seed):
        super().__init__(daemon=True)
        self.local, self.n_kills, self.n_killed = local, n_kills, 0
        self.rng = np.random.default_rng(seed)
        self.goes_on = threading.Event()

    def note(self, iteration):
        self.goes_on.set()

    def run(self):
        while self.n_killed < self.n_kills:
            self.goes_on.wait()
            workers = self.local.scheduler.workers
            nannies = [n for n in self.local.workers.values() if n.worker_address in workers]
            if len(nannies) < 3:
                time.sleep(0.02)
                continue
            time.sleep(self.rng.uniform(0.0, 1.0))
            nanny = nannies[self.rng.integers(len(nannies))]
            address = nanny.worker_address
            os.kill(nanny.pid, signal.SIGKILL)
            self.n_killed += 1
            while address in workers:
                time.sleep(0.02)
            self.goes_on.clear()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signal that kills")
@pytest.mark.parametrize("allowed_failures, n_kills", [(3, 3 * N_KILLS), (0, 2 * N_KILLS)])
def test_workers_that_die_cost_no_fit_and_no_bit(allowed_failures, n_kills):
    """Where Dask allows no failure, each death in the middle of a task is a retry of ours."""
    for model, expected in fits_with_deaths(allowed_failures, n_kills):
        assert_same_bits(model, expected)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signal that kills")
@pytest.mark.parametrize("allowed_failures, n_kills", [(3, 3 * N_KILLS), (0, 2 * N_KILLS)])
def test_workers_that_die_cost_no_truncated_fit(allowed_failures, n_kills):
    """Candidates that are lost are sought anew, so the bits are others."""
    options = {"n_components": 40, "posterior": "truncated"}
    for model, expected in fits_with_deaths(allowed_failures, n_kills, **options):
        assert model.n_iter_ == expected.n_iter_
        assert model.lower_bound_ == pytest.approx(expected.lower_bound_, abs=0.02)


def fits_with_deaths(allowed_failures, n_kills, **options):
    """Yield fits in the middle of which workers die, each with one without deaths."""
    config = {
        "distributed.scheduler.allowed-failures": allowed_failures,
        # a cluster gives up a worker that is away so long after it was lost, also by a later death
        "distributed.deploy.lost-worker-timeout": "1h",
    }
    with dask.config.set(config), cluster(3) as client:
        expected = long_fit(**options)
        killer = Killer(client.cluster, n_kills, allowed_failures)
        killer.start()
        n_fits = 0
        while killer.is_alive():
            yield long_fit(killer.note, **options), expected
            n_fits += 1
    assert killer.n_killed == n_kills
    assert n_fits >= max(1, n_kills // 10)


def deadly_partition():
    os._exit(1)


@pytest.mark.slow
def test_a_partition_that_kills_its_workers_is_an_error(X):
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        cluster(2),
        pytest.raises(dask_distributed.KilledWorker, match="all those workers died"),
    ):
        distributed.GaussianMixture(3).fit([delayed(X), delayed(deadly_partition)()])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signal that kills")
def test_a_lost_fit_goes_on_from_its_checkpoint(client, X, tmp_path):
    parts = [delayed(X[:1500]), delayed(X[1500:])]
    options = {"n_components": 3, "random_state": 0, "tol": 1e-9, "max_iter": 8}
    options["init_params"] = "random_from_data"

    def lose(iteration):
        if iteration.number == 4:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        distributed.GaussianMixture(**options).fit(
            parts, checkpoint=tmp_path / "fit", callback=lose
        )
    numbers = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = distributed.GaussianMixture(**options).fit(
            parts, checkpoint=tmp_path / "fit", callback=lambda it: numbers.append(it.number)
        )
        assert_same_bits(model, distributed.GaussianMixture(**options).fit(parts))
    assert numbers == [4, 5, 6, 7, 8]  # the last one that was kept is reported again


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_truncated_fit_goes_on_from_its_checkpoint(client, X, tmp_path):
    """It seeks candidates anew: they were on the workers, and no checkpoint has them."""
    parts = [delayed(X[:1500]), delayed(X[1500:])]
    options = {"posterior": "truncated", "random_state": 0, "tol": 0.0, "max_iter": 8}

    def lose(iteration):
        if iteration.number == 4:
            raise ConnectionError

    def new():
        return distributed.GaussianMixture(30, reg_covar=1e-3, **options)

    with pytest.raises(ConnectionError):
        new().fit(parts, checkpoint=tmp_path / "fit", callback=lose)
    numbers = []
    model = new().fit(
        parts, checkpoint=tmp_path / "fit", callback=lambda it: numbers.append(it.number)
    )
    assert numbers == [4, 5, 6, 7, 8]
    whole = new().fit(parts)
    assert model.lower_bounds_[:4] == whole.lower_bounds_[:4]
    assert model.lower_bound_ == pytest.approx(whole.lower_bound_, abs=0.02)


@pytest.mark.slow
def test_a_lost_scheduler_is_named(X, run_python):
    """In a process of its own: Dask's threads complain of their loss in the background."""
    script = """
import os, signal
import numpy as np
from dask import delayed
from dask.distributed import Client
from distributed.deploy.subprocess import SubprocessCluster
from fastgmm import distributed

if __name__ == "__main__":
    X = np.random.default_rng(0).normal(size=(2000, 3))
    cluster = SubprocessCluster(n_workers=1, worker_kwargs={"nthreads": 1})
    client = Client(cluster)
    pid = client.run_on_scheduler(os.getpid)
    seen = []

    def lose(iteration):
        seen.append(iteration.partial())
        if iteration.number == 2:
            os.kill(pid, signal.SIGKILL)

    try:
        distributed.GaussianMixture(3, tol=0.0).fit([delayed(X)], callback=lose)
    except ConnectionError as error:
        print(len(seen), error, flush=True)
    os._exit(0)
"""
    printed = run_python(script)
    assert printed.startswith("2 The connection to the scheduler of Dask was lost")
