"""Policies and models that do not go together: one message each, before the data is touched."""

import numpy as np
import pytest
from generators import mixture

from fastgmm import em


class Untouchable:
    """Data that nothing may look at."""

    def __getattr__(self, name):
        raise AssertionError(f"the data was asked for {name}")


class Coin(em.LatentVariableModel):
    """The least that is a model."""

    latent = "discrete"

    def summarize(self, X, weight):
        return em.Sums(-1.0, weight.sum(), {"heads": weight @ X})

    def update(self, sums):
        return self


class Mute(em.LatentVariableModel):
    """Nothing but an update."""

    latent = "continuous"

    def update(self, sums):
        return self


class Drawn(Mute):
    """All that chains and Gaussians need, but log-densities."""

    n_latent = 2
    theta = np.zeros(1)

    def summarize_draws(self, X, Z, weight):
        return {"z": weight @ Z.mean(axis=1)}


def density(x, z, theta):
    return -0.5 * (z[0] - x[0]) ** 2


def density_and_gradient(x, z, theta, gradient):
    gradient[:] = 0.0
    gradient[0] = x[0] - z[0]
    return density(x, z, theta)


class Complete(Drawn):
    """A normal variable about x; the functions need no ``staticmethod``."""

    log_joint = density
    log_joint_gradient = density_and_gradient


def model_with(base=Complete, **attributes):
    """Return a model of a class M whose attributes differ."""
    return type("M", (base,), attributes)()


def without(name):
    """Return a model that lacks an attribute of Complete."""
    return model_with(**{name: getattr(em.LatentVariableModel, name)})


MIXTURE = mixture("full", 2, 3)
GAUSSIAN, CHAINS = em.GaussianPosterior(), em.MCMCPosterior(4)

#: Policies for Gaussian mixtures alone.
FOR_MIXTURES = [
    em.AmortizedPosterior(10),
    em.HardPosterior(),
    em.IncrementalPosterior(4),
    em.MetropolisPosterior(4),
    em.NeighborhoodPosterior(2),
    em.SampledPosterior(4),
    em.StepwisePosterior(10),
    em.TemperedPosterior(0.5),
    em.TruncatedPosterior(2),
    em.ConjugatePrior.__new__(em.ConjugatePrior),
    em.GradientAscent(),
    em.GradientStep(),
    em.MeansOnly(),
    em.QuasiNewton(),
]
ROLES = {em.Posterior: "posterior", em.Update: "update", em.Acceleration: "acceleration"}


def role_of(policy):
    return next(role for kind, role in ROLES.items() if isinstance(policy, kind))


@pytest.mark.parametrize("policy", FOR_MIXTURES, ids=lambda policy: type(policy).__name__)
def test_a_policy_for_mixtures_refuses_a_model(policy):
    role, name = role_of(policy), type(policy).__name__
    needed = "VariationalParameters" if name == "ConjugatePrior" else "MixtureParameters"
    with pytest.raises(TypeError) as error:
        em.fit(Untouchable(), Coin(), convergence=em.Never(), **{role: policy})
    assert str(error.value) == f"{role} {name} needs {needed}, but got Coin."


@pytest.mark.parametrize("posterior", [GAUSSIAN, CHAINS])
def test_draws_of_z_refuse_a_mixture(posterior):
    with pytest.raises(TypeError) as error:
        em.fit(Untouchable(), MIXTURE, posterior=posterior)
    assert str(error.value) == (
        f"posterior {type(posterior).__name__} needs LatentVariableModel, "
        "but got MixtureParameters."
    )


def test_every_policy_was_tried():
    """A new one must be put into the list, or work for every model."""
    for_models = {"ExactPosterior", "MiniBatchPosterior", "GaussianPosterior", "MCMCPosterior"}
    for_models |= {"ClosedForm", "NoAcceleration"}
    classes = {name: getattr(em, name) for name in em.__all__}
    policies = {
        name
        for name, value in classes.items()
        if isinstance(value, type)
        and issubclass(value, tuple(ROLES))
        and not getattr(value, "__abstractmethods__", None)
    }
    assert policies == for_models | {type(policy).__name__ for policy in FOR_MIXTURES}


#: Posterior, model, and what is said.
WRONG_MODELS = [
    (None, Mute(), "posterior ExactPosterior needs a model with summarize, but Mute has none."),
    (
        em.MiniBatchPosterior(5),
        Mute(),
        "posterior ExactPosterior needs a model with summarize, but Mute has none.",
    ),
    (
        GAUSSIAN,
        Coin(),
        "posterior GaussianPosterior needs a latent variable that is continuous, but that of Coin "
        "is discrete.",
    ),
    (CHAINS, Drawn(), "posterior MCMCPosterior needs a model with log_joint, but Drawn has none."),
    (
        GAUSSIAN,
        Drawn(),
        "posterior GaussianPosterior needs a model with log_joint_gradient, but Drawn has none.",
    ),
    *[
        (
            CHAINS,
            without(name),
            f"posterior MCMCPosterior needs a model with {name}, but M has none.",
        )
        for name in ("n_latent", "theta", "summarize_draws", "log_joint")
    ],
    (
        CHAINS,
        model_with(latent="discrete"),
        "posterior MCMCPosterior needs a model with n_states, but M has none.",
    ),
    (
        None,
        {"means": 0},
        "posterior ExactPosterior needs MixtureParameters or LatentVariableModel, but got dict.",
    ),
    (None, Coin, "posterior ExactPosterior needs MixtureParameters or LatentVariableModel, but got "
                 "ABCMeta."),
]  # fmt: skip


@pytest.mark.parametrize("posterior, model, message", WRONG_MODELS)
def test_what_a_model_lacks_is_named(posterior, model, message):
    with pytest.raises(TypeError) as error:
        em.fit(Untouchable(), model, posterior=posterior)
    assert str(error.value) == message


def test_a_model_says_what_its_latent_variable_is():
    class Forgetful(em.LatentVariableModel):
        def update(self, sums):
            return self

    with pytest.raises(TypeError, match="needs a model with latent, but Forgetful has none"):
        em.fit(Untouchable(), Forgetful())
    message = "Odd.latent should be 'discrete' or 'continuous', got 'binary'."
    with pytest.raises(TypeError) as error:
        type("Odd", (Coin,), {"latent": "binary"})
    assert str(error.value) == message


@pytest.mark.parametrize(
    "attributes, message",
    [
        ({"n_latent": 0}, "n_latent of M should be an integer of at least 1, got 0."),
        ({"n_latent": 2.0}, "n_latent of M should be an integer of at least 1, got 2.0."),
        (
            {"latent": "discrete", "n_states": 1},
            "n_states of M should be an integer of at least 2, got 1.",
        ),
    ],
)
def test_sizes_that_a_model_states(attributes, message):
    with pytest.raises(ValueError, match="of M should") as error:
        em.fit(Untouchable(), model_with(**attributes), posterior=CHAINS)
    assert str(error.value) == message


def test_a_stop_rule_refuses_a_bound_that_fluctuates():
    with pytest.raises(ValueError, match="needs a posterior whose lower bound is") as error:
        em.fit(Untouchable(), Complete(), posterior=CHAINS, convergence=em.LowerBoundChange())
    assert str(error.value) == (
        "convergence LowerBoundChange needs a posterior whose lower bound is the log-likelihood or "
        "a bound below the log-likelihood, but that of MCMCPosterior is a number that fluctuates."
    )


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: em.MCMCPosterior(0), "n_draws should be a positive integer, got 0."),
        (
            lambda: em.MCMCPosterior(4, burn_in=-1),
            "burn_in should be an integer of at least 0, got -1.",
        ),
        (lambda: em.MCMCPosterior(4, seed=-1), "seed should be an integer from 0 to"),
        (lambda: em.GaussianPosterior([]), "n_draws should be a number or a sequence"),
        (lambda: em.GaussianPosterior(2, 0), "n_steps should be a positive integer, got 0."),
        (lambda: em.GaussianPosterior(2, 1, 0.0), "step_size should be positive, or callable"),
    ],
)
def test_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# what a method returns


def nan_sums(self, X, weight):
    return em.Sums(-1.0, weight.sum(), {"heads": np.array([1.0, np.nan])})


def nan_bound(self, X, weight):
    return em.Sums(np.nan, weight.sum(), {})


def nan_draws(self, X, Z, weight):
    return {"z": np.full(2, np.nan)}


def nan_density(x, z, theta):
    return np.nan


def nan_gradient(x, z, theta, gradient):
    gradient[:] = np.nan
    return z[0]


def nan_theta(self, sums):
    return model_with(theta=np.array([np.nan]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "posterior, model, message",
    [
        (None, model_with(Coin, summarize=nan_bound),
         "summarize of M should lead to a finite log-likelihood, got nan."),
        (None, model_with(Coin, summarize=nan_sums),
         "summarize of M should return sums that are numbers, but 'heads' contains NaN."),
        (CHAINS, model_with(summarize_draws=nan_draws),
         "summarize_draws of M should return sums that are numbers, but 'z' contains NaN."),
        (CHAINS, model_with(log_joint=nan_density),
         "log_joint of M should lead to a finite log-likelihood, got nan."),
        (GAUSSIAN, model_with(log_joint_gradient=nan_gradient),
         "log_joint_gradient of M should lead to a finite log-likelihood, got nan."),
        (CHAINS, model_with(update=nan_theta),
         "update of M should return numbers, but theta contains NaN."),
    ],
)  # fmt: skip
def test_a_method_that_returns_nan_is_named(posterior, model, message):
    pytest.importorskip("numba")
    with pytest.raises(ValueError, match="of M should") as error:
        em.fit(np.ones((4, 2)), model, posterior=posterior, max_iter=2)
    assert str(error.value) == message


def test_an_update_that_returns_nothing_is_named():
    model = model_with(Coin, update=lambda self, sums: None)
    with pytest.raises(TypeError, match="update of M should return a LatentVariableModel"):
        em.fit(np.ones((4, 2)), model)


@pytest.mark.slow
def test_an_instance_may_hold_its_log_density():
    pytest.importorskip("numba")
    model = Drawn()
    model.log_joint = density
    bounds = [
        em.fit(np.ones((4, 2)), each, posterior=em.MCMCPosterior(4), max_iter=2).lower_bounds
        for each in (model, Complete())
    ]
    assert bounds[0] == bounds[1]


def test_features_that_a_model_does_not_have():
    with pytest.raises(ValueError, match="X has 3 features, but 2 are expected"):
        em.fit(np.ones((4, 3)), model_with(Coin, n_features=2))
