"""Reinforcement learning as an experiment: evaluated on full episodes, and played."""

from collections.abc import Callable
from functools import partial

from fdl import rl
from fdl.types import Array, Batches, Env, Experiment, Learner, Model, Variables


def reinforcement_learning(
    learner: Learner,
    batches: Batches,
    env: Env,
    policy: rl.Policy | rl.RecurrentPolicy,
    *,
    num_episodes: int,
    model: Model | None = None,
    probabilities: Callable[[Variables, Array], Array] | None = None,
) -> Experiment:
    """Experiment of a learner whose policy is measured by its returns.

    Validation and test are full episodes, from other starts each, see
    `rl.on_episodes`. The policy is the player of ``fdl play``.

    Args:
      learner: Learner, such as one of `rl.on_policy`.
      batches: Its batches, such as ``fdl.data.no_data(per_step, "env_steps")``.
      env: Environment.
      policy: Policy to evaluate, such as `rl.greedy(model, distribution)`.
      num_episodes: Number of episodes of an evaluation.
      model: Model that is trained, to export it.
      probabilities: Probabilities of discrete actions, such as those of
        `rl.action_probabilities`, to be drawn by ``fdl play``; none if None.
    """
    whole = partial(rl.on_episodes, env, policy, num_episodes=num_episodes)
    return Experiment(
        learner,
        batches,
        evaluate=whole(),
        test=whole(seed=1),
        model=model,
        player=rl.Player(env, policy, probabilities),
    )
