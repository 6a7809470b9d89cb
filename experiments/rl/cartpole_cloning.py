"""Clone the behaviour of an expert who balances a pole, from recorded episodes.

    fdl train experiments/rl/cartpole_cloning.py
    fdl play runs/cartpole_ppo-... --episodes 20 --record expert.npz
    fdl train rl/cartpole_cloning --config.data.path=expert.npz

Without a file the expert is a linear controller, of which 10 episodes are recorded.
All of 100 greedy test episodes then reach the limit, a return of 500, with each of the
seeds 0 to 9; the worst of 1000 validation episodes is 345. A seed trains in a second.

References:
  Pomerleau, `ALVINN: An Autonomous Land Vehicle in a Neural Network
  <https://proceedings.neurips.cc/paper/1988/hash/812b4ba287f5ee0bc9d43bbf5bbe87fb-Abstract.html>`_,
  1988.
"""

import pathlib
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl
from fdl import rl
from fdl.data.npz_files import read_arrays


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 1000 if full else 2
    config.log_every = 200
    config.eval_every = 500
    config.save_every = 500
    config.steps_per_call = 100 if full else 1
    config.best = "max episode_return"

    config.env = {"name": "CartPole-v1"}
    config.data = {"path": "", "num_episodes": 10 if full else 2}
    config.batch_size = 64 if full else 8
    config.model = {"hidden_sizes": (64, 64)}
    config.optimizer = {"name": "adam", "learning_rate": 1e-3, "schedule": "cosine"}
    config.num_test_episodes = 100 if full else 4
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    env = fdl.envs.gymnax(**config.env)
    transitions = load(config, env)
    module = fdl.models.MLP(**config.model, num_outputs=env.action.num_values)
    model = fdl.models.functional(module, jnp.zeros((1, *env.observation.shape)))
    objective = fdl.objectives.classification(
        model, inputs="observation", labels="action"
    )
    optimizer = fdl.optim.chain(**config.optimizer, num_steps=config.num_steps)
    policy = rl.greedy(model, fdl.distributions.categorical())
    return fdl.experiment.reinforcement_learning(
        fdl.gradient_learner(model, objective, optimizer),
        fdl.data.batches(transitions, config.batch_size, config.seed),
        env,
        policy,
        num_episodes=config.num_test_episodes,
        model=model,
        probabilities=rl.action_probabilities(model),
    )


def load(config: ConfigDict, env: fdl.Env) -> dict[str, np.ndarray]:
    """Observations and actions of an expert, of a file or of the controller."""
    names = ("observation", "action")
    if config.data.path:
        return read_arrays(pathlib.Path(config.data.path), names)
    episodes = rl.record(
        rl.Player(env, controller),
        {},
        jax.random.key(2),
        num_episodes=config.data.num_episodes,
    )
    return {
        name: np.concatenate([getattr(x.transitions, name) for x in episodes])
        for name in names
    }


def controller(variables: fdl.types.Variables, observation: jax.Array, key: jax.Array):
    """Policy that pushes where the pole falls, and slowly back to the middle."""
    del variables, key
    gains = jnp.array([0.05, 0.15, 1.0, 0.3])
    return (observation @ gains > 0).astype(jnp.int32)
