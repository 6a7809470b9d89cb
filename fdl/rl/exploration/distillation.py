"""Random network distillation: an exploration bonus that is learnt."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fdl import metrics
from fdl.errors import UserError, check_positive
from fdl.learners import gradient_learner
from fdl.rl.exploration.bonuses import Bonus
from fdl.rl.minibatches import minibatch_steps, shuffle
from fdl.rl.statistics.observations import (
    normalize_observations,
    update_observation_stats,
)
from fdl.rl.statistics.running import (
    RunningStats,
    init_running_stats,
    update_running_stats,
)
from fdl.types import Array, Model, Objective, Params, Spec, TrainState


class DistillationState(NamedTuple):
    """State of random network distillation.

    Attributes:
      target: Parameters of the random network, which never change.
      train: Train state of the network that learns its outputs.
      errors: Running statistics of its squared errors.
    """

    target: Params
    train: TrainState
    errors: RunningStats


def random_network_distillation(
    model: Model,
    observation: Spec,
    optimizer: optax.GradientTransformation,
    *,
    scale: float | Array = 1.0,
    num_minibatches: int = 1,
    clip: float = 5.0,
) -> Bonus:
    """Random network distillation (RND): the error of a guess at a random network.

    A network learns the outputs of another one, which is random and stays so. Its error
    is small at observations like those it has learnt from, and large elsewhere. The
    bonus is the mean squared error, divided by the running standard deviation of such
    errors; observations are standardised by their running statistics.

    Other than in the paper, bonuses and rewards are one sum, with one value and one
    discount, and errors are divided by their own deviation rather than by that of their
    discounted sum.

    Args:
      model: Model of observations to features, float [B, C], for both networks.
      observation: Specification of an observation, ``env.observation``.
      optimizer: Optimizer of the network that learns.
      scale: Bonus of an error of one standard deviation.
      num_minibatches: Number of gradient steps on the observations of a rollout, each
        on another part of them; divides their number.
      clip: Maximum absolute value of a normalised observation.

    Raises:
      UserError: ``num_minibatches`` is below 1, or, in the first step, does not divide
        the observations of a rollout.

    References:
      Burda et al., `Exploration by Random Network Distillation
      <https://arxiv.org/abs/1810.12894>`_, 2018.
    """
    check_positive(num_minibatches=num_minibatches)
    model = normalize_observations(model, observation, clip=clip)
    learner = gradient_learner(model, _distance(model), optimizer)

    def features_of(state, observation):
        variables = {**state.train.train_variables, "params": state.target}
        return model.apply(variables, observation)[0]

    def errors_of(state, observation, features):
        guess, _ = model.apply(state.train.train_variables, observation)
        return jnp.square(guess - features).mean(axis=-1)

    def init(key):
        target_key, train_key = jax.random.split(key)
        target = model.init(target_key)["params"]
        return DistillationState(target, learner.init(train_key), init_running_stats())

    def update(state, observation, key):
        rows = _shuffle(key, len(observation), num_minibatches)
        seen = update_observation_stats(state.train.model_state, observation)
        state = state._replace(train=state.train._replace(model_state=seen))
        features = features_of(state, observation)
        data = {"observation": observation, "features": features}
        train, _ = minibatch_steps(learner.step, state.train, data, rows)
        state = state._replace(train=train)
        errors = errors_of(state, observation, features)
        return state._replace(errors=update_running_stats(state.errors, errors))

    def reward(state, observation):
        features = features_of(state, observation)
        return scale * state.errors.scale(errors_of(state, observation, features))

    return Bonus(init, update, reward)


def _distance(model: Model) -> Objective:
    """Mean squared distance of the outputs of a model from the features of a batch."""

    def objective(variables, batch, key=None, *, train=False):
        guess, model_state = model.apply(
            variables, batch["observation"], key=key, train=train
        )
        loss = metrics.mean(jnp.square(guess - batch["features"]).mean(axis=-1))
        return loss.compute(), (model_state, {"loss": loss})

    return objective


def _shuffle(key, size, num_minibatches):
    """Rows of each minibatch of the observations of a rollout."""
    if size % num_minibatches:
        raise UserError(
            f"num_minibatches={num_minibatches}: expected a divisor of the {size} "
            "observations of a rollout"
        )
    return shuffle(key, size, 1, num_minibatches)
