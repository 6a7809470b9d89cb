"""On-policy learning: alternate rollouts of the policy with updates on them."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from fdl.distributions import Distribution
from fdl.errors import UserError, check_nonnegative, check_probability
from fdl.learners import gradient_learner
from fdl.metrics import mean
from fdl.rl.collection import collect
from fdl.rl.exploration.bonuses import Bonus, update_bonus
from fdl.rl.minibatches import rollout_size, rollout_steps, shuffle
from fdl.rl.policies import actor, sampling
from fdl.rl.returns import gae
from fdl.rl.rollout import Transition, reset_all
from fdl.rl.statistics.episodes import EpisodeStats, init_episode_stats
from fdl.rl.statistics.rewards import RewardStats, init_reward_stats, normalize_rewards
from fdl.types import (
    Array,
    Env,
    Key,
    Learner,
    Metrics,
    Model,
    Objective,
    PyTree,
    State,
    TrainState,
    Variables,
)


class OnPolicyState(NamedTuple):
    """State of an on-policy learner and of its environments.

    Attributes:
      step: Number of rollouts, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      train: Parameters and optimizer state; its step counts gradient steps.
      env: States of the environments, [N, ...].
      observation: Current observations of the environments, [N, ...].
      episode: Return and length of the running episodes, [N].
      rewards: Statistics of the rewards, [N], or None.
      bonus: State of the exploration bonus, or None.
    """

    step: Array
    key: Key
    train: TrainState
    env: State
    observation: Array
    episode: EpisodeStats
    rewards: RewardStats | None = None
    bonus: State = None


# Environments are sharded over the devices, and parameters replicated.
_REPLICATED: PyTree = PartitionSpec()
_SHARDED: PyTree = PartitionSpec("data")
PARTITION = OnPolicyState(
    step=_REPLICATED,
    key=_REPLICATED,
    train=_REPLICATED,
    env=_SHARDED,
    observation=_SHARDED,
    episode=_SHARDED,
    rewards=_REPLICATED,
    bonus=_REPLICATED,
)


def on_policy(
    env: Env,
    model: Model,
    distribution: Distribution,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_envs: int,
    num_steps: int,
    num_epochs: int,
    num_minibatches: int,
    discount: float,
    lambda_: float,
    max_kl: float | None = None,
    normalize_rewards: bool = False,
    bonus: Bonus | None = None,
) -> Learner:
    """On-policy actor-critic learner, such as PPO or A2C.

    A step of the learner collects a rollout of ``num_envs * num_steps`` environment
    steps, and then takes ``num_epochs * num_minibatches`` gradient steps on it. It
    ignores its batch.

    Observation statistics of the model, if there are any (`normalize_observations`),
    are updated from the rollout after these gradient steps, so that the policy which is
    improved is the one that has acted. The first rollout is played without them.

    Args:
      env: Environment.
      model: Actor-critic model, of observations to the parameters of the distribution
        and values, float [B].
      distribution: Distribution of the actions.
      objective: Objective to minimise: `ppo` or `actor_critic`. Its batches have
        ``observation``, ``action``, and ``log_prob``, ``value``, ``advantage`` and
        ``return`` by the policy that acted, and ``step``, the number of rollouts before
        this one, for schedules.
      optimizer: Optimizer of the gradients.
      num_envs: Number of parallel environments, N.
      num_steps: Number of steps of a rollout in each environment, T.
      num_epochs: Number of passes over a rollout.
      num_minibatches: Number of minibatches of a pass; divides N T.
      discount: Discount factor γ.
      lambda_: λ of generalised advantage estimation; see `gae`.
      max_kl: Upper bound of the metric ``approx_kl`` of a minibatch, in nats: the first
        one above it and those after it are left out until the next rollout. The metric
        ``stopped`` is their share. Default: none.
      normalize_rewards: Whether to learn from rewards that are divided by the running
        standard deviation of the discounted return; see `normalize_rewards`.
      bonus: Exploration bonus, such as `count_bonus`, which is added to the rewards,
        normalised or not. The metric ``bonus`` is its mean. Default: none.

    Raises:
      UserError: A size is below 1, ``num_minibatches`` does not divide the rollout, or
        the distribution is none, or the discount or λ is outside [0, 1]; in the first
        step, also: the model is no actor-critic, or its actions are not those of the
        environment.
    """
    size = rollout_size(
        num_envs=num_envs,
        num_steps=num_steps,
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
    )
    check_probability(discount=discount, lambda_=lambda_)
    check_nonnegative(max_kl=max_kl)
    policy = sampling(actor(model), distribution)
    updates = gradient_learner(model, objective, optimizer)
    experience_of = functools.partial(
        with_advantages, model, distribution, discount=discount, lambda_=lambda_
    )
    reward_of = functools.partial(_rewards, bonus, discount)

    def step(state, batch=None):
        del batch
        unroll_key, shuffle_key = jax.random.split(
            jax.random.fold_in(state.key, state.step)
        )
        act = functools.partial(policy, state.train.train_variables)
        state, transitions, episodes = collect(env, act, state, unroll_key, num_steps)
        state, reward, bonuses = reward_of(state, transitions, unroll_key)
        # Advantages and log-probabilities are computed once, before the first update:
        # PPO compares each update with the policy that collected the rollout.
        experience = experience_of(
            state.train.train_variables, transitions._replace(reward=reward)
        )
        experience["step"] = jnp.full(size, state.step)
        rows = shuffle(shuffle_key, size, num_epochs, num_minibatches)
        train, metrics = rollout_steps(
            updates.step,
            state.train,
            experience,
            rows,
            transitions.observation,
            max_kl=max_kl,
        )
        state = state._replace(step=state.step + 1, train=train)
        return state, {**metrics, **episodes, **bonuses}

    def init(key):
        state = initial(env, updates, num_envs, key)
        if normalize_rewards:
            state = state._replace(rewards=init_reward_stats(num_envs))
        if bonus is not None:  # With a key besides the three that there are.
            state = state._replace(bonus=bonus.init(jax.random.fold_in(key, 3)))
        return state

    return Learner(
        init,
        step,
        lambda state: updates.variables(state.train),
        PARTITION,
        optimizer=optimizer,
    )


def initial(env: Env, updates: Learner, num_envs: int, key: Key) -> OnPolicyState:
    """Initial state of an on-policy learner, with environments that are just reset.

    Args:
      env: Environment.
      updates: Learner from minibatches.
      num_envs: Number of parallel environments, N.
      key: Key of everything that is random.
    """
    train_key, env_key, step_key = jax.random.split(key, 3)
    env_state, observation = reset_all(env, env_key, num_envs)
    return OnPolicyState(
        jnp.zeros((), jnp.int32),
        step_key,
        updates.init(train_key),
        env_state,
        observation,
        init_episode_stats(num_envs),
    )


def _rewards(
    bonus: Bonus | None,
    discount: float,
    state: OnPolicyState,
    transitions: Transition,
    key: Key,
) -> tuple[OnPolicyState, Array, Metrics]:
    """Rewards to learn from, [T, N], with the state and the metrics of their parts."""
    reward, rewards = transitions.reward, state.rewards
    if rewards is not None:
        rewards, reward = normalize_rewards(
            rewards, reward, transitions.ended, discount=discount
        )
        state = state._replace(rewards=rewards)
    if bonus is None:
        return state, reward, {}
    state = state._replace(bonus=update_bonus(bonus, state.bonus, transitions, key))
    seen = jax.lax.collapse(transitions.next_observation, 0, 2)
    extra = bonus.reward(state.bonus, seen)
    return state, reward + extra.reshape(reward.shape), {"bonus": mean(extra)}


def with_advantages(
    model: Model,
    distribution: Distribution,
    variables: Variables,
    transitions: Transition,
    *,
    discount: float,
    lambda_: float,
) -> dict[str, Array]:
    """Batch of transitions with their advantages, returns and log-probabilities.

    Args:
      model: Actor-critic model.
      distribution: Distribution of the actions.
      variables: Variables of the model that collected the transitions.
      transitions: Transitions of a rollout, [T, N, ...].
      discount: Discount factor γ.
      lambda_: λ of generalised advantage estimation.

    Returns:
      ``observation``, ``action``, ``log_prob``, ``value``, ``advantage`` and
      ``return``, each [T * N, ...].
    """
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), transitions)
    (params, values), _ = model.apply(variables, flat.observation)
    # Not the values shifted by a step: after a reset, the next row is of another
    # episode, and a truncated one is bootstrapped from its own last observation.
    (_, next_values), _ = model.apply(variables, flat.next_observation)
    if values.shape != flat.reward.shape:
        raise UserError(
            f"values {[*values.shape]}: expected {[*flat.reward.shape]} of the model, "
            "one of each observation"
        )
    advantage = gae(
        transitions.reward,
        values.reshape(transitions.reward.shape),
        next_values.reshape(transitions.reward.shape),
        transitions.terminated,
        transitions.truncated,
        discount=discount,
        lambda_=lambda_,
    ).reshape(-1)
    return {
        "observation": flat.observation,
        "action": flat.action,
        "log_prob": distribution.log_prob(params, flat.action),
        "value": values,
        "advantage": advantage,
        "return": advantage + values,
    }
