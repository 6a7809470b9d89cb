"""Exact values of a grid, by dynamic programming and learnt from experience.

fdl train experiments/rl/gridworld.py --seeds 10

Policy evaluation of the policy that takes all actions alike finds the values of the
book, to 0.0002. Q-learning finds the optimal action values exactly, with an error of 0.
TD(0.5) finds the values of that policy, which go down to -22, with a root mean square
error of 0.17 (0.07 to 0.31), and means of 2,000 Monte Carlo episodes its action values
with one of 0.71 (0.56 to 1.19); means and ranges of the seeds 0 to 9. All four claims
hold. All ten seeds take 2 minutes on two CPU cores that others use as well.

References:
  Sutton and Barto, `Reinforcement Learning: An Introduction
  <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, example 4.1.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl
from fdl.rl import tabular

# Of the policy that takes all actions alike, as printed in figure 4.1 of the book.
BOOK = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
UNIFORM = np.full((16, 4), 0.25, np.float32)


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 2000 if full else 2
    config.log_every = "100 steps" if full else "1 step"
    config.eval_every = "200 steps" if full else "1 step"
    config.save_every = "never"
    config.steps_per_call = 100 if full else 1
    config.best = "min q_learning/error"

    config.num_env_steps = 200  # Of each step.
    config.q_learning = {"step_size": 0.5, "epsilon": 0.2}
    config.td = {"step_size": 0.05, "lambda_": 0.5}
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: three learners, and what they ought to find."""
    mdp = fdl.envs.mdps.two_corners()
    env = fdl.envs.from_mdp(mdp)
    batches = fdl.data.no_data(config.num_env_steps, "env_steps")
    return fdl.experiment.compare(
        {
            name: fdl.Experiment(learner, batches, distance(mdp, exact))
            for name, (learner, exact) in learners_of(config, env).items()
        },
        claims=[
            fdl.Claim(
                "policy evaluation finds the values of the book (largest error)",
                lambda m: m["td/error_of_dynamic_programming"],
                at_most=0.005,
            ),
            fdl.Claim(
                "Q-learning finds the optimal action values exactly (largest error)",
                lambda m: m["q_learning/error"],
                at_most=0,
            ),
            fdl.Claim(
                "TD(λ) finds those of a random policy, down to -22 (rms error)",
                lambda m: m["td/rms_error"],
                at_most=1,
            ),
            fdl.Claim(
                "and so do Monte Carlo means (rms error)",
                lambda m: m["monte_carlo/rms_error"],
                at_most=1,
            ),
        ],
    )


def learners_of(config, env):
    """Learners by name, each with the function of the values that it ought to find."""
    size = {"num_steps": config.num_env_steps}
    td = config.td
    return {
        "q_learning": (
            tabular.td_control(
                env, tabular.q_learning, discount=1.0, **size, **config.q_learning
            ),
            optimal,
        ),
        "td": (
            tabular.td_prediction(
                env,
                UNIFORM,
                # Decays, so that the mean of the noise is taken.
                step_size=lambda step: td.step_size / (1 + step / 20),
                discount=1.0,
                lambda_=td.lambda_,
                **size,
            ),
            values_of_the_random_policy,
        ),
        "monte_carlo": (
            tabular.monte_carlo_prediction(
                env, UNIFORM, discount=1.0, max_steps=config.num_env_steps
            ),
            means_of_the_random_policy,
        ),
    }


def optimal(mdp):
    """Optimal action values, [16, 4]."""
    values = tabular.value_iteration(mdp, discount=1.0).values
    return tabular.expected_updates(mdp, values, discount=1.0)


def values_of_the_random_policy(mdp):
    """Values of the policy that takes all actions alike, [16]."""
    return tabular.policy_evaluation(mdp, UNIFORM, discount=1.0)


def means_of_the_random_policy(mdp):
    """Action values of that policy, [16, 4]."""
    values = values_of_the_random_policy(mdp)
    return tabular.expected_updates(mdp, values, discount=1.0)


def distance(mdp, exact):
    """Evaluation of a table by its errors, terminal states left out."""

    @jax.jit
    def evaluate(variables):
        (table,) = jax.tree.leaves(variables["params"])
        error = (table - exact(mdp))[~mdp.terminal]
        book = values_of_the_random_policy(mdp) - jnp.array(BOOK)
        return {
            "error": jnp.abs(error).max(),
            "rms_error": jnp.sqrt(jnp.square(error).mean()),
            "error_of_dynamic_programming": jnp.abs(book).max(),
        }

    return evaluate
