"""Training steps on minibatches of the same data, such as a rollout."""

import jax
import jax.numpy as jnp

from fdl.errors import UserError, check_nonnegative, check_positive, near
from fdl.rl.statistics.observations import update_observation_stats
from fdl.types import Array, Batch, Key, Mean, Metrics, State, Step, TrainState


def minibatch_steps(
    step: Step, state: State, data: Batch, rows: Array, *, max_kl: float | None = None
) -> tuple[State, Metrics]:
    """Training steps on minibatches of the same data, one after another.

    Args:
      step: ``step(state, batch) -> (state, metrics)``.
      state: State before the first step.
      data: Arrays that share their leading axis.
      rows: Row indices of each minibatch, int [U, B], such as those of `shuffle`.
      max_kl: Upper bound of the metric ``approx_kl`` of a minibatch: a step on one
        above it is not taken, nor are those after it. Default: none.

    Returns:
      State after U steps, and the merged metrics of all of them; with ``max_kl`` also
      ``stopped``, the share of the steps that were not taken.

    Raises:
      UserError: There is a ``max_kl``, but no such metric, or it is negative.
    """
    check_nonnegative(max_kl=max_kl)

    def learn(state, rows):
        return step(state, jax.tree.map(lambda x: x[rows], data))

    if max_kl is not None:
        going = jnp.ones((), bool)
        learn = _until(max_kl, learn)
        (state, _), metrics = jax.lax.scan(learn, (state, going), rows)
    else:
        state, metrics = jax.lax.scan(learn, state, rows)
    # Metrics are named tuples of sums, which are merged by addition.
    return state, jax.tree.map(lambda x: x.sum(axis=0), metrics)


def rollout_steps(
    step: Step,
    train: TrainState,
    experience: Batch,
    rows: Array,
    observation: Array,
    *,
    max_kl: float | None = None,
) -> tuple[TrainState, Metrics]:
    """Training steps on minibatches of a rollout; see `minibatch_steps`.

    Observation statistics are updated after them, so that the policy which is improved
    is the one that has acted.

    Args:
      step: ``step(state, batch) -> (state, metrics)``.
      train: State before the first step.
      experience: Arrays of the rollout that share their leading axis.
      rows: Row indices of each minibatch, int [U, B].
      observation: Observations of the rollout, [T, N, ...].
      max_kl: Upper bound of the metric ``approx_kl`` of a minibatch. Default: none.
    """
    train, metrics = minibatch_steps(step, train, experience, rows, max_kl=max_kl)
    model_state = update_observation_stats(train.model_state, observation)
    return train._replace(model_state=model_state), metrics


def rollout_size(
    *, num_envs: int, num_steps: int, num_epochs: int, num_minibatches: int
) -> int:
    """Number of transitions of a rollout, which minibatches divide.

    Raises:
      UserError: A size is below 1, or ``num_minibatches`` does not divide the rollout.
    """
    check_positive(
        num_envs=num_envs,
        num_steps=num_steps,
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
    )
    size = num_envs * num_steps
    if size % num_minibatches:
        raise UserError(
            f"num_minibatches={num_minibatches}: expected a divisor of "
            f"num_envs * num_steps = {size}"
        )
    return size


def _until(max_kl, learn):
    """The same steps, of which none is taken after one of too large a divergence."""

    def guarded(carry, rows):
        state, going = carry
        after, metrics = learn(state, rows)
        if "approx_kl" not in metrics:
            hint = near("approx_kl", metrics)
            raise UserError(f"max_kl={max_kl}: expected a metric 'approx_kl'. {hint}")
        # A divergence of NaN is no reason to stop: its metrics are to tell of it.
        taken = going & ~(metrics["approx_kl"].compute() > max_kl)
        state, metrics = jax.tree.map(
            lambda new, old: jnp.where(taken, new, old),
            (after, metrics),
            # Metrics of zero have no weight, and drop out of all means.
            (state, jax.tree.map(jnp.zeros_like, metrics)),
        )
        stopped = Mean(1 - taken.astype(jnp.float32), jnp.ones(()))
        return (state, taken), {**metrics, "stopped": stopped}

    return guarded


def shuffle(key: Key, size: int, num_epochs: int, num_minibatches: int) -> Array:
    """Shuffled row indices of each minibatch, int [num_epochs * num_minibatches, B].

    Each epoch is a permutation of all rows, cut into minibatches.

    Args:
      key: Key of the permutations.
      size: Number of rows.
      num_epochs: Number of epochs.
      num_minibatches: Number of minibatches of an epoch; divides ``size``.
    """
    keys = jax.random.split(key, num_epochs)
    rows = jax.vmap(lambda key: jax.random.permutation(key, size))(keys)
    return rows.reshape(num_epochs * num_minibatches, size // num_minibatches)
