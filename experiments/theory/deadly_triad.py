"""The deadly triad: function approximation, bootstrapping and off-policy data diverge.

fdl train experiments/theory/deadly_triad.py --seeds 10

Baird's counterexample: the value zero of all states could be represented, and there are
no rewards, yet the weights grow without bound. Any two of the three do not.

The largest value of a state after 2,000 steps, to that before, means and ranges of the
seeds 0 to 9: 672 (505 to 1040) with all three. Of on-policy data 0.1045 (0.1041 to
0.1048), with returns in place of bootstrapping 0.0016 (0.0003 to 0.0041), with a table
in place of features 0.973 (0.967 to 0.977), which is slow, as the discount is 0.99. All
four claims hold. All ten seeds take 10 seconds on two CPU cores that others use
as well.

References:
  Baird, `Residual Algorithms: Reinforcement Learning with Function Approximation
  <https://doi.org/10.1016/B978-1-55860-377-6.50013-X>`_, 1995.

  Sutton and Barto, `Reinforcement Learning: An Introduction
  <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, sections 11.2 and 11.3.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl

BEHAVIOUR = np.array([6 / 7, 1 / 7], np.float32)  # To one of six states, to the last.
TARGET = np.array([0.0, 1.0], np.float32)  # Always to the last.
# Values are 2 w[i] + w[7] in the first six states, and w[6] + 2 w[7] in the last.
FEATURES = np.eye(7, 8, dtype=np.float32) * [2, 2, 2, 2, 2, 2, 1, 0]
FEATURES[:, 7] = [1, 1, 1, 1, 1, 1, 2]
WEIGHTS = np.array([1, 1, 1, 1, 1, 1, 10, 1], np.float32)
TABLE = np.eye(7, dtype=np.float32)


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 20 if full else 2
    config.log_every = "5 steps" if full else "1 step"
    config.eval_every = "5 steps" if full else "1 step"
    config.save_every = "never"
    config.best = "min on_policy/growth"

    config.num_env_steps = 100 if full else 10  # Of each step.
    config.step_size = 0.01
    config.discount = 0.99
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: the triad, and each of its three pairs."""
    values = FEATURES @ WEIGHTS
    arms = {
        "triad": td(config, FEATURES, WEIGHTS, TARGET),
        # Learns the values of the policy that acts.
        "on_policy": td(config, FEATURES, WEIGHTS, BEHAVIOUR),
        # All rewards are zero, and so is the return of every episode.
        "monte_carlo": td(config, FEATURES, WEIGHTS, TARGET, bootstrapping=False),
        "table": td(config, TABLE, values, TARGET),
    }
    batches = fdl.data.no_data(config.num_env_steps, "env_steps")
    pairs = {
        "on_policy": "on-policy data",
        "monte_carlo": "returns in place of bootstrapping",
        "table": "a table in place of features",
    }
    return fdl.experiment.compare(
        {
            name: fdl.Experiment(learner, batches, growth)
            for name, learner in arms.items()
        },
        claims=[
            fdl.Claim(
                "with all three, the largest error grows tenfold (ratio)",
                lambda m: m["triad/growth"],
                at_least=10,
            ),
            *(
                fdl.Claim(
                    f"with {text}, it shrinks (ratio)",
                    lambda m, name=name: m[f"{name}/growth"],
                    at_most=1,
                )
                for name, text in pairs.items()
            ),
        ],
    )


class State(NamedTuple):
    """State of a learner: its weights, and where the agent is."""

    step: jax.Array
    key: jax.Array
    features: jax.Array
    weights: jax.Array
    place: jax.Array

    @property
    def variables(self):
        """Values of all states."""
        return {"params": {"values": self.features @ self.weights}}


def td(config, features, weights, policy, *, bootstrapping=True):
    """Semi-gradient TD(0) with importance sampling, from data of another policy."""
    ratios = jnp.asarray(policy / BEHAVIOUR)
    discount = config.discount if bootstrapping else 0.0

    def init(key):
        zero = jnp.zeros((), jnp.int32)
        return State(zero, key, jnp.asarray(features), jnp.asarray(weights), zero)

    def advance(state, key):
        action_key, place_key = jax.random.split(key)
        solid = jax.random.bernoulli(action_key, BEHAVIOUR[1]).astype(jnp.int32)
        after = jnp.where(solid, 6, jax.random.randint(place_key, (), 0, 6))
        here, there = state.features[state.place], state.features[after]
        error = discount * there @ state.weights - here @ state.weights
        change = config.step_size * ratios[solid] * error * here
        return state._replace(weights=state.weights + change, place=after), None

    def step(state, batch):
        key = jax.random.fold_in(state.key, state.step)
        keys = jax.random.split(key, config.num_env_steps)
        state, _ = jax.lax.scan(advance, state, keys)
        size = jnp.abs(state.weights).max()
        return state._replace(step=state.step + 1), {"largest_weight": size}

    return fdl.Learner(init, step)


def growth(variables):
    """Largest value of a state, which should be zero, to the largest one before.

    The largest, as that is what tabular updates are known to shrink: the values of
    single states may grow at first, towards the one that they are followed by.
    """
    values = np.asarray(variables["params"]["values"], np.float64)
    return {"growth": float(np.abs(values).max() / (FEATURES @ WEIGHTS).max())}
