"""Every method that shares EM's fixed points ends where EM does, on the patches of two photographs.

Old Faithful and iris, with the numbers of other programs, are in the tests of each method.
"""

import numpy as np
import pytest

from fastgmm import em
from fastgmm.data.sample_data import load_sample

TOL = 1e-9
GROWING = em.Growing(1000, 1.5)  # all 540,176 patches from iteration 17 on


@pytest.fixture(scope="module")
def patches():
    pytest.importorskip("PIL")
    return load_sample("patches")


@pytest.fixture(scope="module")
def start(patches):
    """Half of the patches are nearly flat: two components of one mean and unlike spread."""
    covariance = np.cov(patches.T)
    return em.MixtureParameters.from_covariances(
        "full",
        np.array([0.5, 0.5]),
        np.tile(patches.mean(axis=0), (2, 1)),
        np.stack([0.2 * covariance, 2.0 * covariance]),
    )


@pytest.fixture(scope="module")
def maximum(patches, start):
    result = em.fit(
        patches,
        start,
        update=em.ClosedForm(0.0),
        convergence=em.RemainingGain(TOL),
        max_iter=1000,
    )
    assert result.converged
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    "policies",
    [
        {"acceleration": em.QuasiNewton()},
        {"update": em.GradientStep()},
        {"posterior": em.TruncatedPosterior(2)},
        {"posterior": em.NeighborhoodPosterior(5)},
        {"posterior": em.TemperedPosterior([1.5, 1.2, 1.0])},
        {"posterior": em.IncrementalPosterior(10)},
        {"posterior": em.StepwisePosterior(GROWING)},
        {"posterior": em.MiniBatchPosterior(GROWING), "update": em.GradientAscent(1.0)},
    ],
    ids=lambda policies: ", ".join(type(policy).__name__ for policy in policies.values()),
)
def test_reaches_the_maximum_of_em(patches, start, maximum, policies):
    policies = {"update": em.ClosedForm(0.0), **policies}
    result = em.fit(patches, start, convergence=em.RemainingGain(TOL), max_iter=3000, **policies)
    assert result.converged
    reached = em.fit(patches, result.parameters, max_iter=1).lower_bound
    assert reached == pytest.approx(maximum.lower_bound, abs=1e-6)


@pytest.mark.slow
@pytest.mark.one_backend
def test_amortized_reaches_the_maximum_of_em(patches, start):
    """On every eighth of the patches: hundreds of passes over all of them take a minute."""
    some = patches[::8].copy()
    policies = {"update": em.ClosedForm(0.0), "convergence": em.RemainingGain(TOL)}
    maximum = em.fit(some, start, max_iter=1000, **policies)
    posterior = em.AmortizedPosterior(GROWING)  # all 67,522 of them from iteration 12 on
    result = em.fit(some, start, posterior=posterior, max_iter=3000, **policies)
    assert maximum.converged
    assert result.converged
    reached = em.fit(some, result.parameters, max_iter=1).lower_bound
    assert reached == pytest.approx(maximum.lower_bound, abs=1e-6)


def test_gradient_ascent_reaches_the_maximum_of_em(patches, start, maximum):
    result = em.gradient_ascent(patches, start, tol=TOL)
    assert result.lower_bound == pytest.approx(maximum.lower_bound, abs=1e-6)


def test_monte_carlo_stays_within_its_error(patches, maximum):
    """m draws a sample cost p / (4 n m) nats a sample at most: 4e-5 here."""
    start, n_draws = maximum.parameters, 4
    posterior = em.SampledPosterior(n_draws, seed=0)
    result = em.fit(patches, start, posterior=posterior, update=em.ClosedForm(0.0), max_iter=6)
    error = start.n_parameters / (4 * len(patches) * n_draws)
    reached = em.fit(patches, result.parameters, max_iter=1).lower_bound
    assert maximum.lower_bound - 3 * error < reached < maximum.lower_bound + 1e-9


def test_chains_stay_within_their_error(patches, maximum):
    """The states of a chain are correlated: up to K times the loss of as many draws."""
    start, n_steps = maximum.parameters, 4
    posterior = em.MetropolisPosterior(n_steps, seed=0)
    result = em.fit(patches, start, posterior=posterior, update=em.ClosedForm(0.0), max_iter=6)
    error = start.n_components * start.n_parameters / (4 * len(patches) * n_steps)
    reached = em.fit(patches, result.parameters, max_iter=1).lower_bound
    assert maximum.lower_bound - 3 * error < reached < maximum.lower_bound + 1e-9


def test_stepwise_comes_as_near_as_its_last_steps_allow(patches, start, maximum):
    """Steps gamma with batches of m cost about p gamma / (4 m) nats a sample: 6e-4 here."""
    posterior = em.StepwisePosterior(2000, exponent=0.6, seed=0)
    result = em.fit(patches, start, posterior=posterior, update=em.ClosedForm(0.0), max_iter=1000)
    error = start.n_parameters * 1000**-0.6 / (4 * 2000)
    reached = em.fit(patches, result.parameters, max_iter=1).lower_bound
    assert maximum.lower_bound - 2 * error < reached < maximum.lower_bound
