"""λ of GAE trades the bias of the critic for the variance of the rewards.

fdl train experiments/theory/gae_lambda.py --seeds 10

Estimated is by how much the advantage of one action exceeds that of another, -6.40, on
a ring of places with rewards at one side and a critic that knows half of each value.
With λ = 0, 0.5, 0.8, 0.9, 0.95 and 1 the bias is 2.89, 2.63, 2.07, 1.53, 1.00 and
-0.01 ± 0.04, and the standard deviation of one estimate 0.71, 1.57, 3.40, 5.12, 6.94
and 11.29. The error of a mean of sixteen is least between the ends: 2.90, 2.66, 2.24,
2.00, 2.01 and 2.82 (means of the seeds 0 to 9, 10,000 rollouts each). All four claims
hold.

References:
  Schulman et al., `High-Dimensional Continuous Control Using Generalized Advantage
  Estimation <https://arxiv.org/abs/1506.02438>`_, 2015.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl

LAMBDAS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 20 if size == "full" else 1  # Each draws new rollouts.
    config.log_every = "1 step"
    config.eval_every = "20 steps"
    config.save_every = "never"
    config.best = "min lambda_0.9/error"

    config.num_places = 20
    config.discount = 0.95
    config.knowledge = 0.5  # Of the true values, what the critic has learnt.
    config.noise = 0.5  # Standard deviation of each reward.
    config.num_rollouts = 500
    config.mean_of = 16  # Rollouts that an estimate is the mean of, in its error.
    config.rollout_length = 150
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: the same rollouts, judged with each λ."""
    batches = fdl.data.no_data(config.num_rollouts, "rollouts")
    arms = {}
    for lambda_ in LAMBDAS:
        measure, truth = estimates(config, lambda_)
        arms[f"lambda_{lambda_:g}"] = fdl.Experiment(
            fdl.monte_carlo(measure), batches, errors(truth, config.mean_of)
        )
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "with λ = 0 the estimate has the bias of the critic (bias)",
                lambda m: m["lambda_0/bias"],
                at_least=2.5,
            ),
            fdl.Claim(
                "with λ = 1 it has none (bias)",
                lambda m: m["lambda_1/bias"],
                at_least=-0.3,
                at_most=0.3,
            ),
            fdl.Claim(
                "but ten times the standard deviation (its ratio to that of λ = 0)",
                lambda m: m["lambda_1/deviation"] / m["lambda_0/deviation"],
                at_least=10,
            ),
            fdl.Claim(
                "between them the error is less than at both (ratio to the lesser)",
                lambda m: (
                    m["lambda_0.9/error"]
                    / min(m["lambda_0/error"], m["lambda_1/error"])
                ),
                at_most=0.8,
            ),
        ],
    )


def estimates(config, lambda_):
    """Measures A(right) − A(left) on a ring of places, and its true value.

    The policy goes left or right by chance. What both advantages have in common, such
    as the baseline, does not change a policy gradient; their difference does.
    """
    places = np.arange(config.num_places)
    reward = np.cos(2 * np.pi * places / config.num_places)  # Of arriving there.
    right = np.roll(np.eye(config.num_places), 1, axis=1)
    left = right.T
    walk = (right + left) / 2
    value = np.linalg.solve(
        np.eye(config.num_places) - config.discount * walk, walk @ reward
    )
    start = config.num_places // 4  # Rewards are to the left of it.
    gain = (right - left) @ (reward + config.discount * value)
    critic = jnp.asarray(config.knowledge * value, jnp.float32)
    reward = jnp.asarray(reward, jnp.float32)

    def advantage(key, first):
        step_key, noise_key = jax.random.split(key)
        shape = config.rollout_length, config.num_rollouts
        steps = 2 * jax.random.bernoulli(step_key, shape=shape).astype(jnp.int32) - 1
        steps = steps.at[0].set(first)
        place = (start + jnp.cumsum(steps, axis=0)) % config.num_places
        before = (place - steps) % config.num_places
        noise = config.noise * jax.random.normal(noise_key, shape)
        no = jnp.zeros(shape, bool)
        return fdl.rl.gae(
            reward[place] + noise,
            critic[before],
            critic[place],
            no,
            no,
            discount=config.discount,
            lambda_=lambda_,
        )[0]

    def measure(key):
        keys = jax.random.split(key)
        found = advantage(keys[0], 1) - advantage(keys[1], -1)
        mean = fdl.metrics.mean
        return {"difference": mean(found), "square": mean(jnp.square(found))}

    return measure, float(gain[start])


def errors(truth, mean_of):
    """Evaluates the bias and the deviation of an estimate, and the error of a mean."""

    def evaluate(variables):
        found = fdl.monte_carlo_estimates(variables)
        bias = found["difference"] - truth
        variance = found["square"] - found["difference"] ** 2
        return {
            "bias": bias,
            "deviation": variance**0.5,
            "error": (bias**2 + variance / mean_of) ** 0.5,
        }

    return evaluate
