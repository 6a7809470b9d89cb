"""Contrastive divergence beside the exact gradient of a small Boltzmann machine.

fdl train experiments/theory/contrastive_divergence.py --seeds 5

A machine of 9 visible and 8 hidden units learns the 14 images of 3x3 pixels that are
made of whole rows or columns; their log-likelihood is at most -log 14 = -2.639 nats.
The exact gradient ends at -2.698 ± 0.007, CD-10 at -2.742 ± 0.009, CD-1 at -3.129 ±
0.043, and persistent chains, which mix badly here, at -3.088 ± 0.072 (mean ± standard
error of the seeds 0 to 4). Early on, the expected gradient of CD-1 is 21.8 ± 1.4
degrees off the exact one, that of CD-10 0.0003; where CD-1 ends, 86 ± 2 degrees, and
that of CD-30 26 ± 4. All five claims hold. All five seeds take 41 seconds of processor
time.
"""

import itertools
from functools import partial
from typing import Literal

import numpy as np
from ml_collections import ConfigDict

import fdl
from fdl.types import Evaluate

STEPS = (1, 3, 10, 30)  # Of Gibbs sampling.


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 6000 if size == "full" else 10
    config.log_every = "500 steps"
    config.eval_every = "1000 steps"
    config.save_every = "never"
    config.steps_per_call = 250
    config.best = "max exact/log_likelihood"

    config.batch_size = 14
    config.model = {"num_hidden": 8, "input_shape": (3, 3, 1)}
    config.num_chains = 100
    config.optimizer = {
        "name": "momentum",
        "learning_rate": 0.03,
        "momentum": 0.9,
        "schedule": "linear",
    }
    config.early = 0.1  # Factor of the learning rate.
    return config


def build(config: ConfigDict) -> fdl.Experiment:
    """Experiment of a config."""
    patterns = bars_and_stripes()
    splits = fdl.data.Splits(*[{"image": patterns}] * 3)
    images = fdl.data.preprocessing.images((3, 3, 1), white=1)
    cd = fdl.objectives.contrastive_divergence
    objectives = {"exact": partial(fdl.objectives.density, method="log_prob")}
    objectives |= {f"cd_{k}": partial(cd, num_steps=k) for k in (1, 10)}
    objectives["pcd"] = partial(cd, persistent=True)
    objectives["early"] = objectives["exact"]
    arms = {}
    for name, objective in objectives.items():
        chains = config.num_chains if name == "pcd" else None
        network = fdl.models.RBM(**config.model, num_chains=chains)
        optimizer = {**config.optimizer}
        if name == "early":  # It has not come far when the others have.
            optimizer["learning_rate"] *= config.early
        task = fdl.experiment.Task(objective)
        arm = fdl.supervised(config, splits, images, network, task, optimizer=optimizer)
        measure = measured(patterns)
        arms[name] = arm._replace(evaluate=measure, test=measure)
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "early on, CD-1 is off the exact gradient (angle in degrees)",
                lambda m: m["early/angle_1"],
                at_least=10,
            ),
            fdl.Claim(
                "ten steps are nearer to it (ratio of the norms of the biases)",
                lambda m: m["early/bias_10"] / m["early/bias_1"],
                at_most=0.5,
            ),
            fdl.Claim(
                "where CD-1 ends, 30 steps still tell the way (ratio of the angles)",
                lambda m: m["cd_1/angle_30"] / m["cd_1/angle_1"],
                at_most=0.6,
            ),
            fdl.Claim(
                "CD-1 misses nats of the exact likelihood",
                lambda m: m["exact/log_likelihood"] - m["cd_1/log_likelihood"],
                at_least=0.1,
            ),
            fdl.Claim(
                "CD-10 comes near it (nats)",
                lambda m: m["exact/log_likelihood"] - m["cd_10/log_likelihood"],
                at_most=0.2,
            ),
        ],
    )


def bars_and_stripes() -> np.ndarray:
    """All images of 3x3 pixels made of whole rows, or of whole columns: 14."""
    rows = np.array([*itertools.product([0, 1], repeat=3)], np.uint8)
    bars = np.broadcast_to(rows[:, :, None], (8, 3, 3)).reshape(8, 9)
    stripes = np.broadcast_to(rows[:, None], (8, 3, 3)).reshape(8, 9)
    return np.unique(np.concatenate([bars, stripes]), axis=0).reshape(-1, 3, 3, 1)


def measured(patterns: np.ndarray) -> Evaluate:
    """Evaluation of the log-likelihood and of the bias of CD-k, summed over all states.

    In float64. The expected gradient of CD-k follows from the probabilities of all
    transitions. At the given parameters, ``angle_k`` is that to the exact gradient, and
    ``bias_k`` the norm of the difference.
    """
    visible = all_states(9)
    index = patterns.reshape(-1, 9) @ 2 ** np.arange(9)
    data = np.bincount(index, minlength=len(visible)) / len(patterns)

    def evaluate(variables):
        w, b, c = (
            np.float64(variables["params"][name])
            for name in ("kernel", "visible_bias", "hidden_bias")
        )
        hidden = all_states(len(c))
        logits = visible @ w + c
        log_p = visible @ b + np.logaddexp(0, logits).sum(axis=1)
        log_p -= np.logaddexp.reduce(log_p)
        to_hidden = transitions(logits, hidden)
        to_visible = transitions(hidden @ w.T + b, visible)

        def expected(weights):
            """Expectation of −∂F / ∂θ under the weights of all visible states."""
            on = np.exp(-np.logaddexp(0, -logits))
            parts = visible.T @ (weights[:, None] * on), weights @ visible, weights @ on
            return np.concatenate([part.ravel() for part in parts])

        exact = expected(data) - expected(np.exp(log_p))
        found = {"log_likelihood": float(data @ log_p)}
        distribution = data
        for k in range(1, max(STEPS) + 1):
            distribution = distribution @ to_hidden @ to_visible
            if k in STEPS:
                estimate = expected(data) - expected(distribution)
                found[f"angle_{k}"] = angle(estimate, exact)
                found[f"bias_{k}"] = float(np.linalg.norm(estimate - exact))
        return found

    return evaluate


def all_states(size: int) -> np.ndarray:
    """All states of binary units, float64 [2^size, size]; bit i is unit i."""
    numbers = np.arange(2**size)[:, None] >> np.arange(size)
    return (numbers & 1).astype(np.float64)


def transitions(logits: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Probabilities of states of independent units, float64 [N, S].

    Args:
      logits: Logits of 1 of each unit, float64 [N, U].
      states: All states, [S, U].
    """
    log_on, log_off = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    return np.exp(log_on @ states.T + log_off @ (1 - states).T)


def angle(x: np.ndarray, y: np.ndarray) -> float:
    """Angle between two vectors in degrees."""
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
