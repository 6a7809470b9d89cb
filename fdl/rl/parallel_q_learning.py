"""Parallelised Q-learning (PQN): on-policy, without a memory or a target network."""

import functools

import jax
import optax

from fdl.errors import check_probability
from fdl.learners import gradient_learner
from fdl.rl.collection import collect
from fdl.rl.exploration.noise import Exploration
from fdl.rl.minibatches import rollout_size, rollout_steps, shuffle
from fdl.rl.on_policy import PARTITION, initial
from fdl.rl.returns import lambda_returns
from fdl.rl.rollout import Transition
from fdl.types import Array, Env, Learner, Model, Objective, Variables


def parallel_q_learning(
    env: Env,
    model: Model,
    explore: Exploration,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    *,
    num_envs: int,
    num_steps: int,
    num_epochs: int,
    num_minibatches: int,
    discount: float,
    lambda_: float,
) -> Learner:
    """Parallelised Q-learning (PQN): Q(λ) on rollouts of many environments.

    A step of the learner collects a rollout of ``num_envs * num_steps`` environment
    steps, computes the λ-returns of its actions (`q_lambda`), and then takes
    ``num_epochs * num_minibatches`` gradient steps towards them. It ignores its batch.
    There is neither a replay memory, as experience of many environments is diverse
    already, nor a target network: in its place, the Q-network has layer normalisation,
    ``QNetwork(norm=flax.linen.LayerNorm)``.

    Observation statistics of the model, if there are any (`normalize_observations`),
    are updated as by `on_policy`.

    Args:
      env: Environment.
      model: Q-network, of observations to values, float [B, A].
      explore: ``explore(num_steps) -> policy`` of the environment steps so far, such as
        `epsilon_greedy` with a schedule of ε.
      objective: Objective to minimise: `objectives.q_regression`. Its batches have
        ``observation``, ``action`` and ``return``.
      optimizer: Optimizer of the gradients.
      num_envs: Number of parallel environments, N.
      num_steps: Number of steps of a rollout in each environment, T.
      num_epochs: Number of passes over a rollout.
      num_minibatches: Number of minibatches of a pass; divides N T.
      discount: Discount factor γ.
      lambda_: λ of the returns.

    Raises:
      UserError: A size is below 1, or ``num_minibatches`` does not divide the rollout;
        in the first step, also: actions are not those of the environment.

    References:
      Gallici et al., `Simplifying Deep Temporal Difference Learning
      <https://arxiv.org/abs/2407.04811>`_, 2024.
    """
    size = rollout_size(
        num_envs=num_envs,
        num_steps=num_steps,
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
    )
    check_probability(discount=discount, lambda_=lambda_)
    updates = gradient_learner(model, objective, optimizer)

    def step(state, batch=None):
        del batch
        unroll_key, shuffle_key = jax.random.split(
            jax.random.fold_in(state.key, state.step)
        )
        policy = explore(state.step * size)
        act = functools.partial(policy, state.train.train_variables)
        state, transitions, episodes = collect(env, act, state, unroll_key, num_steps)
        targets = q_lambda(
            model,
            state.train.train_variables,
            transitions,
            discount=discount,
            lambda_=lambda_,
        )
        experience = {
            "observation": transitions.observation,
            "action": transitions.action,
            "return": targets,
        }
        rows = shuffle(shuffle_key, size, num_epochs, num_minibatches)
        train, metrics = rollout_steps(
            updates.step,
            state.train,
            jax.tree.map(_flat, experience),
            rows,
            transitions.observation,
        )
        state = state._replace(step=state.step + 1, train=train)
        return state, {**metrics, **episodes}

    return Learner(
        functools.partial(initial, env, updates, num_envs),
        step,
        lambda state: updates.variables(state.train),
        PARTITION,
        optimizer=optimizer,
    )


def q_lambda(
    model: Model,
    variables: Variables,
    transitions: Transition,
    *,
    discount: float,
    lambda_: float,
) -> Array:
    """Q(λ) by Peng and Williams: λ-returns that bootstrap from the best action.

    ``G_t = r_t + γ ((1 - λ) max_a Q(s_{t+1}, a) + λ G_{t+1})``; see `lambda_returns`.
    Traces are not cut where an action was not the best one.

    Args:
      model: Q-network, of observations to values, float [B, A].
      variables: Its variables.
      transitions: Transitions of a rollout, [T, N, ...].
      discount: Discount factor γ.
      lambda_: λ; zero gives the targets of one-step Q-learning.

    Returns:
      Returns, float [T, N].

    References:
      Peng and Williams, `Incremental Multi-Step Q-Learning
      <https://doi.org/10.1007/BF00114731>`_, 1996.
    """
    # Of the observations before a reset, and not of the row that follows.
    values, _ = model.apply(variables, _flat(transitions.next_observation))
    return lambda_returns(
        transitions.reward,
        values.max(axis=-1).reshape(transitions.reward.shape),
        transitions.terminated,
        transitions.truncated,
        discount=discount,
        lambda_=lambda_,
    )


def _flat(x: Array) -> Array:
    """Rows [T * N, ...] of an array [T, N, ...]."""
    return x.reshape(-1, *x.shape[2:])
