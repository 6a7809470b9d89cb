"""Ten-armed bandits: figures 2.2 to 2.5 of Sutton and Barto, as claims.

fdl train experiments/rl/bandits.py --seeds 5

Mean reward of the last 100 of 1,000 pulls, and share of the best arm among them, over
2,000 runs (means of the seeds 0 to 4, whose standard errors are at most 0.01):

| figure | algorithm | reward | best arm |
|---|---|---|---|
| 2.2 | greedy | 1.026 | 35.8 % |
| 2.2 | ε = 0.01 | 1.306 | 59.4 % |
| 2.2, 2.4 | ε = 0.1 | 1.360 | 79.7 % |
| 2.4 | UCB, c = 2 | 1.478 | 85.1 % |
| 2.3 | greedy from estimates of 5, α = 0.1 | 1.493 | 85.7 % |
| 2.3 | ε = 0.1, α = 0.1 | 1.342 | 75.2 % |
| 2.5 | gradient, α = 0.1 | 5.494 | 85.1 % |
| 2.5 | gradient, α = 0.1, no baseline | 5.194 | 48.1 % |
| 2.5 | gradient, α = 0.4 | 5.438 | 73.3 % |
| 2.5 | gradient, α = 0.4, no baseline | 4.793 | 28.1 % |

Of the first 100 pulls, ε = 0.1 has the best arm in 37.7 %, and optimism in 19.3 %. All
eight claims hold. All five seeds take 6 minutes on two CPU cores that others use
as well.

References:
  Sutton and Barto, `Reinforcement Learning: An Introduction
  <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, chapter 2.
"""

from typing import Literal

import jax
from ml_collections import ConfigDict

import fdl
from fdl.rl import bandits


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    full = size == "full"
    config = ConfigDict()
    config.num_steps = 20 if full else 1  # Each plays new bandits.
    config.log_every = "5 steps" if full else "1 step"
    config.eval_every = "20 steps" if full else "1 step"
    config.save_every = "never"
    config.best = "max epsilon_0.1/reward"

    config.num_runs = 100 if full else 2  # Of each step.
    config.num_pulls = 1000 if full else 20
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config: nine algorithms on the same bandits."""
    testbed = fdl.envs.bandit()
    shifted = fdl.envs.bandit(mean=4.0)
    arms = {
        # Figures 2.2 and 2.4.
        "greedy": (testbed, bandits.epsilon_greedy(0.0)),
        "epsilon_0.01": (testbed, bandits.epsilon_greedy(0.01)),
        "epsilon_0.1": (testbed, bandits.epsilon_greedy(0.1)),
        "ucb": (testbed, bandits.ucb(2.0)),
        # Figure 2.3.
        "optimistic": (
            testbed,
            bandits.epsilon_greedy(0.0, step_size=0.1, initial=5.0),
        ),
        "realistic": (testbed, bandits.epsilon_greedy(0.1, step_size=0.1)),
    }
    # Figure 2.5.
    for step_size in (0.1, 0.4):
        for baseline in (True, False):
            name = f"gradient_{step_size}" + ("" if baseline else "_no_baseline")
            arms[name] = shifted, bandits.gradient(step_size, baseline=baseline)
    batches = fdl.data.no_data(config.num_runs, "runs")
    return fdl.experiment.compare(
        {
            name: fdl.Experiment(
                fdl.monte_carlo(played(config, env, bandit)),
                batches,
                fdl.monte_carlo_estimates,
            )
            for name, (env, bandit) in arms.items()
        },
        claims=claims(),
    )


def claims():
    """Claims about the last tenth of the pulls, or the first."""

    def more(left, right, metric, text, at_least):
        return fdl.Claim(
            f"{text} ({metric})",
            lambda m: m[f"{left}/{metric}"] - m[f"{right}/{metric}"],
            at_least=at_least,
        )

    return [
        more(
            *("epsilon_0.1", "greedy", "reward"),
            "2.2: who explores gets more than who is greedy",
            0.25,
        ),
        fdl.Claim(
            "2.2: the greedy one finds the best arm in a third of the runs (best)",
            lambda m: m["greedy/best"],
            at_least=0.30,
            at_most=0.40,
        ),
        more(
            *("epsilon_0.1", "epsilon_0.01", "best"),
            "2.2: in 1,000 pulls, ε = 0.1 finds it more often than ε = 0.01",
            0.1,
        ),
        more(
            *("realistic", "optimistic", "early_best"),
            "2.3: optimism finds it later than ε = 0.1",
            0.0,
        ),
        more(
            *("optimistic", "realistic", "best"),
            "2.3: but more often in the end",
            0.05,
        ),
        more(
            *("ucb", "epsilon_0.1", "reward"),
            "2.4: UCB gets more than ε = 0.1",
            0.08,
        ),
        more(
            *("gradient_0.1", "gradient_0.1_no_baseline", "best"),
            "2.5: a baseline helps a gradient bandit",
            0.1,
        ),
        more(
            *("gradient_0.4", "gradient_0.4_no_baseline", "best"),
            "2.5: and one of larger steps as well",
            0.2,
        ),
    ]


def played(config, env, bandit):
    """Measures runs of an algorithm by what its last pulls pay."""
    few = config.num_pulls // 10

    def measure(key):
        keys = jax.random.split(key, config.num_runs)
        rewards, best = jax.vmap(
            lambda key: bandits.pull(env, bandit, key, config.num_pulls)
        )(keys)
        return {
            "reward": fdl.metrics.mean(rewards[:, -few:]),
            "best": fdl.metrics.mean(best[:, -few:]),
            "early_best": fdl.metrics.mean(best[:, :few]),
        }

    return measure
