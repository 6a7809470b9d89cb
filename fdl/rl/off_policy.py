"""Off-policy learning: act, remember, and learn from what is remembered."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.envs.specs import expect
from fdl.errors import UserError, check_nonnegative, check_positive
from fdl.learners import checked
from fdl.metrics import mean
from fdl.rl.collection import collect
from fdl.rl.exploration.bonuses import Bonus, update_bonus
from fdl.rl.exploration.noise import Exploration, random_actions
from fdl.rl.replay.uniform import Replay
from fdl.rl.rollout import Transition, reset_all
from fdl.rl.statistics.episodes import EpisodeStats, init_episode_stats
from fdl.types import Array, Batch, Env, Key, Learner, Metrics, State, Variables


class OffPolicyState(NamedTuple):
    """State of an off-policy learner, with its environments and its memory.

    Attributes:
      step: Number of rollouts, int32 [].
      key: Root key, from which those of all steps are derived; it never changes.
      train: State of the learner from batches.
      env: States of the environments, [N, ...].
      observation: Current observations of the environments, [N, ...].
      episode: Return and length of the running episodes, [N].
      replay: State of the replay memory.
      bonus: State of the exploration bonus, or None.
    """

    step: Array
    key: Key
    train: State
    env: State
    observation: Array
    episode: EpisodeStats
    replay: State
    bonus: State = None


def off_policy(
    env: Env,
    explore: Exploration,
    updates: Learner,
    replay: Replay,
    *,
    num_envs: int,
    num_steps: int,
    num_updates: int,
    batch_size: int,
    learning_starts: int,
    priority: Callable[[Variables, Batch], Array] | None = None,
    save_replay: bool = True,
    bonus: Bonus | None = None,
) -> Learner:
    """Off-policy learner, such as DQN or SAC.

    A step of the learner takes ``num_envs * num_steps`` environment steps, remembers
    them, and then takes ``num_updates`` steps of another learner on batches from the
    memory. It ignores its own batch. Until ``learning_starts``, actions are uniformly
    random, and nothing is learned.

    Args:
      env: Environment.
      explore: ``explore(num_steps) -> policy`` of the environment steps so far; the
        policy is given the variables of ``updates``.
      updates: Learner from batches; see `Replay` for what they have.
      replay: Replay memory.
      num_envs: Number of parallel environments, N.
      num_steps: Number of steps of a rollout in each environment, T.
      num_updates: Number of updates after a rollout.
      batch_size: Number of transitions of an update.
      learning_starts: Number of environment steps before the first update.
      priority: ``priority(variables, batch)`` of each transition before the update,
        float [B], such as absolute TD errors; for a prioritised memory. It is given the
        variables of all networks in a `TrainState`. Default: priorities stay.
      save_replay: Whether checkpoints hold the memory. Without, a resumed run begins
        with an empty one, and learns again once its policy has taken
        ``learning_starts`` steps.
      bonus: Exploration bonus, such as `count_bonus`, of the ``next_observation`` of a
        batch, added to its ``reward``. It is computed when the batch is sampled, not
        when it is remembered: what has become common since is worth less. Of n-step
        returns, it is that of the last step. The metric ``bonus`` is its mean. Default:
        none.

    Raises:
      UserError: A size is below 1, the memory holds less than a batch, or there are
        priorities that it does not take; in the first step, also: actions are not those
        of the environment.
    """
    check_positive(
        num_envs=num_envs,
        num_steps=num_steps,
        num_updates=num_updates,
        batch_size=batch_size,
    )
    check_nonnegative(learning_starts=learning_starts)
    if replay.capacity < batch_size:
        raise UserError(
            f"batch_size={batch_size}: expected at most the capacity of the replay "
            f"memory, {replay.capacity}"
        )
    if priority is not None and replay.update is None:
        raise UserError(
            "priority: expected a memory that samples by priorities, such as "
            "prioritized_replay"
        )
    per_rollout = num_envs * num_steps
    learn = _learning(updates, replay, batch_size, priority, bonus)

    def empty_memory(observation):
        return replay.init(_transition(env, observation))

    def init(key):
        train_key, env_key, step_key = jax.random.split(key, 3)
        env_state, observation = reset_all(env, env_key, num_envs)
        return OffPolicyState(
            jnp.zeros((), jnp.int32),
            step_key,
            updates.init(train_key),
            env_state,
            observation,
            init_episode_stats(num_envs),
            empty_memory(observation),
            # With a key besides the three that there are.
            bonus and bonus.init(jax.random.fold_in(key, 3)),
        )

    def act(state, observation, key):
        num_before = state.step * per_rollout
        policy = explore(num_before)
        chosen = policy(updates.variables(state.train), observation, key)
        expect("action", chosen, env.action)
        random = random_actions(env.action, num_envs, key)
        return jnp.where(num_before < learning_starts, random, chosen)

    def step(state, batch=None):
        del batch
        unroll_key, *keys = jax.random.split(
            jax.random.fold_in(state.key, state.step), 1 + num_updates
        )
        state, transitions, episodes = collect(
            env, functools.partial(act, state), state, unroll_key, num_steps
        )
        if bonus is not None:
            seen = update_bonus(bonus, state.bonus, transitions, unroll_key)
            state = state._replace(bonus=seen)
        memory = replay.add(state.replay, transitions)
        ready = (state.step + 1) * per_rollout >= learning_starts
        # Fewer than there were steps, if the memory was not in the checkpoint.
        ready &= replay.size(memory) >= min(learning_starts, replay.capacity)
        (train, memory), metrics = jax.lax.scan(
            functools.partial(learn, ready, state.bonus),
            (state.train, memory),
            jnp.stack(keys),
        )
        # Metrics are named tuples of sums, which are merged by addition.
        metrics = jax.tree.map(lambda x: x.sum(axis=0), metrics)
        state = state._replace(step=state.step + 1, train=train, replay=memory)
        return state, {**metrics, **episodes}

    learner = Learner(init, step, lambda state: updates.variables(state.train))
    if save_replay:
        return learner
    return learner._replace(
        persist=lambda state: state._replace(replay=None),
        revive=lambda part, key: part._replace(replay=empty_memory(part.observation)),
    )


def count_updates(
    num_rollouts: int,
    *,
    num_envs: int,
    num_steps: int,
    num_updates: int,
    learning_starts: int,
) -> int:
    """Number of updates of a run of `off_policy`, for a learning rate schedule.

    Args:
      num_rollouts: Number of steps of the learner, each a rollout.
      num_envs: Number of parallel environments.
      num_steps: Number of steps of a rollout in each environment.
      num_updates: Number of updates after a rollout.
      learning_starts: Number of environment steps before the first update.

    Raises:
      UserError: A size is below 1, or learning starts after the end of the run.

    Example:
      >>> sizes = {"num_envs": 2, "num_steps": 5, "num_updates": 3}
      >>> count_updates(4, **sizes, learning_starts=20)
      9
    """
    check_positive(num_envs=num_envs, num_steps=num_steps, num_updates=num_updates)
    check_nonnegative(learning_starts=learning_starts)
    total = num_rollouts * num_envs * num_steps
    if learning_starts > total:
        raise UserError(
            f"learning_starts={learning_starts}: expected at most the {total} "
            "environment steps of the run"
        )
    without = max(math.ceil(learning_starts / (num_envs * num_steps)) - 1, 0)
    return (num_rollouts - without) * num_updates


def _transition(env: Env, observation: Array) -> Transition:
    """Shapes of a transition of N environments, whose observations are [N, ...]."""
    num_envs = len(observation)
    observed = jax.ShapeDtypeStruct(observation.shape, observation.dtype)
    action = jax.ShapeDtypeStruct((num_envs, *env.action.shape), env.action.dtype)
    flag = jax.ShapeDtypeStruct((num_envs,), bool)
    reward = jax.ShapeDtypeStruct((num_envs,), jnp.float32)
    return Transition(observed, action, observed, reward, flag, flag)  # type: ignore[arg-type]


def _learning(
    updates: Learner,
    replay: Replay,
    batch_size: int,
    priority: Callable[[Variables, Batch], Array] | None,
    bonus: Bonus | None,
) -> Callable[
    [Array, State, tuple[State, State], Key], tuple[tuple[State, State], Metrics]
]:
    """Update on a batch from the memory: ``(ready, bonus, (train, memory), key)``."""
    step = checked(updates.step)

    def learn(train, batch):
        judged = priority and priority(train.train_variables, batch)
        return *step(train, batch), judged

    def skip(train, batch):
        # Metrics of zero have no weight, and drop out of all means.
        shapes = jax.eval_shape(learn, train, batch)[1:]
        return train, *jax.tree.map(jnp.zeros_like, shapes)

    def update(ready, explored, carry, key):
        train, memory = carry
        batch = replay.sample(memory, batch_size, key)
        extra = {}
        if bonus is not None:
            reward = bonus.reward(explored, batch["next_observation"])
            batch = {**batch, "reward": batch["reward"] + reward}
            extra = {"bonus": mean(reward)}
        # The memory stays out of the condition, which would copy it.
        train, metrics, judged = jax.lax.cond(ready, learn, skip, train, batch)
        if replay.update is not None and priority is not None:
            index = jnp.where(ready, batch["index"], -1)
            memory = replay.update(memory, index, judged)
        return (train, memory), {**metrics, **extra}

    return update
