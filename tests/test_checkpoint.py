"""A fit that goes on from its checkpoint ends with the bits of one that was never interrupted."""

import shutil
from typing import ClassVar

import kept_fits
import numpy as np
import pytest
from kept_fits import X
from marks import slow

from fastgmm import GaussianMixture, SoftKMeans, em
from fastgmm.em.checkpoints.file import read

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: One fit of each kind; the others are slow.
QUICK = (
    *("em: quasi-Newton", "em: incremental", "em: amortized", "em: Metropolis", "em: variational"),
    *("em: own policies", "em: a model of its own", "em: mini-batch, weighted"),
    *("starts", "split-merge", "Bayesian", "SoftKMeans"),
)
each_fit = pytest.mark.parametrize(
    "name", [*QUICK, *slow(*(name for name in kept_fits.names() if name not in QUICK))]
)


def model(**options):
    given = {"tol": 0.0, "max_iter": 6, "random_state": 0, "init_params": "k-means++", **options}
    return GaussianMixture(3, **given)


def every(path, iterations=1):
    return em.Checkpoint(path, every_seconds=None, every_iterations=iterations)


def assert_same(outcome, expected):
    assert outcome.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(outcome[key], value, err_msg=key, strict=True)


def assert_same_fit(fitted, expected):
    outcomes = (kept_fits.outcome_of_fit(each, X) for each in (fitted, expected))
    assert_same(*outcomes)


def fail_in(number, error=KeyboardInterrupt):
    """Return a callback that raises an error in an iteration."""

    def callback(iteration):
        if iteration.number == number:
            raise error

    return callback


def copies(path, fit):
    """Run a fit; return copies of its checkpoint as it was in each iteration, and at the end."""
    found = []

    def keep(_iteration=None):
        if path.exists():
            found.append(path.with_name(f"copy{len(found)}"))
            shutil.copy(path, found[-1])

    fit(callback=keep, checkpoint=every(path))
    keep()
    return found


@each_fit
def test_bits(name, tmp_path):
    """Of a fit with a checkpoint, and of those that go on from it as it was in some iterations."""
    expected = kept_fits.fit(name)
    path = tmp_path / "fit"
    found = copies(path, lambda **given: assert_same(kept_fits.fit(name, **given), expected))
    assert len(found) >= 6
    some = [len(found) // 2] if name in QUICK else range(0, len(found), len(found) // 6)
    for copy in [*(found[number] for number in some), path]:
        assert_same(kept_fits.fit(name, checkpoint=copy), expected)
    assert set(tmp_path.iterdir()) == {*found, path}


def numbers_of(name, **options):
    """Run a fit; return the numbers of the iterations with which its callback is called."""
    numbers = []
    kept_fits.fit(name, callback=lambda iteration: numbers.append(iteration.number), **options)
    return numbers


def test_a_fit_that_has_ended_asks_for_the_last_iteration_of_each_run(tmp_path):
    """Split and merge runs EM on all samples more than once, and starts are runs, too."""
    for name, n_runs in (("split-merge", 2), ("starts", 4)):
        numbers = numbers_of(name, checkpoint=tmp_path / name)
        again = numbers_of(name, checkpoint=tmp_path / name)
        assert len(again) == n_runs
        assert again[-1] == numbers[-1]
        assert set(again) < set(numbers)
        stored = read(str(tmp_path / name)).runs  # none on a subsample, and policies of the last
        assert ["posterior" in run.state.trees for run in stored] == [False] * (n_runs - 1) + [True]


def test_starts_run_one_after_the_other(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise AssertionError("starts run at once")

    monkeypatch.setattr("fastgmm.estimators._restarts.ThreadPoolExecutor", fail)
    for fitted in (model(n_init=2, n_jobs=2), SoftKMeans(3, n_init=2, n_jobs=2, random_state=0)):
        with pytest.raises(AssertionError, match="at once"):
            fitted.fit(X)
        fitted.fit(X, checkpoint=tmp_path / type(fitted).__name__)


def test_components_that_collapsed_are_remembered(tmp_path):
    """Also those of which only iterations before the resumption tell."""
    fitted, arguments = kept_fits.estimators()["collapse"]
    expected = fitted.fit(**arguments).collapsed_
    assert expected
    last = max(expected.values())
    assert last < fitted.n_iter_
    found = copies(tmp_path / "fit", lambda **given: fitted.fit(**arguments, **given))
    assert fitted.fit(**arguments, checkpoint=found[last]).collapsed_ == expected


# when it is written, and what is lost


def test_every_so_many_iterations(tmp_path):
    seen = []
    model().fit(
        X,
        callback=lambda iteration: seen.append((tmp_path / "fit").exists()),
        checkpoint=every(tmp_path / "fit", 3),
    )
    assert seen == [False, False, False, True, True, True]


def test_every_so_many_seconds(tmp_path, monkeypatch):
    now, seen = [0.0], []
    monkeypatch.setattr("fastgmm.em.checkpoints.journal.monotonic", lambda: now[0])

    def callback(iteration):
        seen.append((tmp_path / "fit").exists())
        now[0] += 21.0

    model().fit(X, callback=callback, checkpoint=str(tmp_path / "fit"))
    assert seen == [False, False, False, True, True, True]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_an_error_in_a_callback_loses_nothing(tmp_path, error):
    """A minute is not over, but the iterations that were complete are in the file."""
    with pytest.raises(error):
        model().fit(X, callback=fail_in(4, error), checkpoint=tmp_path / "fit")
    numbers = []
    resumed = model().fit(
        X,
        callback=lambda iteration: numbers.append(iteration.number),
        checkpoint=tmp_path / "fit",
    )
    assert numbers == [4, 5, 6]
    assert_same_fit(resumed, model().fit(X))


class Interrupted(em.IncrementalPosterior):
    """Incremental EM that is interrupted after its own step, before the update."""

    plan: ClassVar[list[bool]] = []

    def summarize(self, samples, parameters):
        statistics = super().summarize(samples, parameters)
        if self.plan and self.plan.pop():
            raise KeyboardInterrupt
        return statistics


def test_an_interrupt_within_an_iteration_loses_that_alone(tmp_path):
    arguments = {"X": X, "parameters": kept_fits.start(), "max_iter": 9}
    expected = em.fit(**arguments, posterior=em.IncrementalPosterior(3))
    Interrupted.plan[:] = [True, False, False, False, False]
    posterior = Interrupted(3)
    with pytest.raises(KeyboardInterrupt):
        em.fit(**arguments, posterior=posterior, checkpoint=tmp_path / "fit")
    numbers = []
    resumed = em.fit(
        **arguments,
        posterior=posterior,  # the same object: it begins anew, then goes on
        checkpoint=tmp_path / "fit",
        callback=lambda iteration: numbers.append(iteration.number),
    )
    assert numbers == [4, 5, 6, 7, 8, 9]
    assert resumed.lower_bounds == expected.lower_bounds
    np.testing.assert_array_equal(resumed.parameters.means, expected.parameters.means)


def test_max_time_loses_nothing(tmp_path, monkeypatch):
    """Of three iterations at a time, which a callback counts; the first one it has seen before."""
    now, n_iter = [0.0], []
    expected = model(n_init=2).fit(X)
    monkeypatch.setattr("fastgmm.em.time_limit.perf_counter", lambda: now[0])

    def three():
        seen = []

        def callback(iteration):
            seen.append(iteration.number)
            now[0] += 3600.0 * (len(seen) == 4)

        return callback

    while sum(n_iter[-1:]) < 12:
        fitted = model(n_init=2, max_time=60)
        fitted.fit(X, callback=three(), checkpoint=tmp_path / "fit")
        n_iter.append(sum(start.n_iter for start in fitted.restarts_))
    assert len(n_iter) > 3
    assert n_iter == sorted(n_iter)
    assert_same_fit(fitted, expected)


def test_a_run_from_a_start_that_time_cut_short_is_not_kept(tmp_path, monkeypatch):
    """The search for moves ends early: a whole fit would not run EM from there."""
    now = [0.0]
    monkeypatch.setattr("fastgmm.em.time_limit.perf_counter", lambda: now[0])

    def dawdle(X, n_components, random_state):
        now[0] += 3600.0
        return random_state.randint(n_components, size=len(X))

    options = {"acceleration": "split-merge", "init_params": dawdle}
    late = model(max_time=60, **options).fit(X, checkpoint=tmp_path / "fit")
    assert late.n_iter_ == 1
    assert not (tmp_path / "fit").exists()


def test_a_callback_that_stops_is_asked_again(tmp_path):
    """It ends the fit where it would have; the fit goes on if it does not any more."""
    for _ in range(2):
        stopped = model(n_init=3).fit(
            X, checkpoint=tmp_path / "fit", callback=lambda iteration: iteration.number == 4
        )
        assert (stopped.n_iter_, len(stopped.restarts_)) == (4, 1)
    assert_same_fit(model(n_init=3).fit(X, checkpoint=tmp_path / "fit"), model(n_init=3).fit(X))


def test_partial_results_go_on(tmp_path):
    scores = []
    with pytest.raises(KeyboardInterrupt):
        model().fit(X, callback=fail_in(3), checkpoint=tmp_path / "fit")
    fitted = model().fit(
        X,
        callback=lambda iteration: scores.append(iteration.partial().score(X)),
        checkpoint=tmp_path / "fit",
    )
    assert len(scores) == 4
    assert scores == sorted(scores)
    assert scores[-1] == fitted.score(X)


# what a call that goes on may have of its own


def test_without_a_seed(tmp_path):
    """Random numbers begin where they began, and end where they would have."""
    options = {"random_state": None, "init_params": "random", "n_init": 3}
    fitted = []
    found = copies(
        tmp_path / "fit", lambda **given: fitted.append(model(**options).fit(X, **given))
    )
    after = np.random.random_sample()
    for path in found[::5]:
        np.random.seed(1)
        assert_same_fit(model(**options).fit(X, checkpoint=path), fitted[0])
        assert np.random.random_sample() == after


def test_other_threads_and_limits(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        model(n_jobs=1).fit(X, callback=fail_in(3), checkpoint=tmp_path / "fit")
    resumed = model(n_jobs=2, verbose_interval=3, max_time=1e6)
    assert_same_fit(resumed.fit(X, checkpoint=tmp_path / "fit"), model().fit(X))
    arguments = {"X": X, "parameters": kept_fits.start(), "convergence": em.Never(), "max_iter": 5}
    expected = em.fit(**arguments, posterior=em.SampledPosterior(2))
    with pytest.raises(KeyboardInterrupt):
        em.fit(
            **arguments,
            posterior=em.SampledPosterior(2, n_jobs=1),
            callback=fail_in(2),
            checkpoint=tmp_path / "em",
        )
    posterior = em.SampledPosterior(2, n_jobs=2)
    resumed = em.fit(**arguments, posterior=posterior, checkpoint=tmp_path / "em")
    assert posterior.n_threads == 2
    np.testing.assert_array_equal(resumed.parameters.means, expected.parameters.means)


def test_warm_start(tmp_path):
    def second():
        return model(warm_start=True, max_iter=2).fit(X).set_params(max_iter=6)

    expected = second().fit(X)
    with pytest.raises(KeyboardInterrupt):
        second().fit(X, callback=fail_in(4), checkpoint=tmp_path / "fit")
    resumed = second().fit(X, checkpoint=tmp_path / "fit")
    assert_same_fit(resumed, expected)
    with pytest.raises(ValueError, match=r"the mixture of warm_start was .* and is "):
        resumed.fit(X, checkpoint=tmp_path / "fit")


def test_a_fit_within_a_fit(tmp_path):
    """Has its own checkpoint, or none."""

    def within(X, n_components, random_state):
        start = em.starting_parameters(X, n_components, random_state=random_state)
        return em.fit(X, start, max_iter=2).parameters

    def callback(iteration):
        model(max_iter=2).fit(X)
        model(max_iter=3).fit(X, checkpoint=tmp_path / "inner")

    options = {"init_params": within}
    expected = model(**options).fit(X)
    found = copies(tmp_path / "fit", lambda **given: model(**options).fit(X, **given))
    for path in [found[2], tmp_path / "fit"]:
        resumed = model(**options).fit(X, callback=callback, checkpoint=path)
        assert_same_fit(resumed, expected)
    assert (tmp_path / "inner").exists()


def test_no_iterations(tmp_path):
    expected = model(max_iter=0).fit(X)
    for _ in range(2):
        assert_same_fit(model(max_iter=0).fit(X, checkpoint=tmp_path / "fit"), expected)
