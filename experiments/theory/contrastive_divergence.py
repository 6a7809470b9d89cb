"""Contrastive divergence beside the exact gradient of a small Boltzmann machine.

fdl train experiments/theory/contrastive_divergence.py --seeds 5

RESULT
"""

import itertools
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import fdl
from fdl.types import Evaluate, Params

STEPS = (1, 3, 10, 30)  # Of Gibbs sampling.


def get_config(size: Literal["full", "smoke"] = "full") -> ConfigDict:
    """Config of the experiment: sizes, rates and periods."""
    config = ConfigDict()
    config.num_steps = 4000 if size == "full" else 10
    config.log_every = "500 steps"
    config.eval_every = "1000 steps"
    config.save_every = "never"
    config.steps_per_call = 250
    config.best = "max exact/log_likelihood"

    config.batch_size = 14
    config.model = {"num_hidden": 8, "input_shape": (3, 3, 1)}
    config.num_chains = 100
    config.optimizer = {"name": "momentum", "learning_rate": 0.05, "momentum": 0.9}
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
    arms = {}
    for name, objective in objectives.items():
        chains = config.num_chains if name == "pcd" else None
        network = fdl.models.RBM(**config.model, num_chains=chains)
        task = fdl.experiment.Task(objective)
        arm = fdl.supervised(config, splits, images, network, task)
        measure = measured(network, patterns)
        arms[name] = arm._replace(evaluate=measure, test=measure)
    return fdl.experiment.compare(
        arms,
        claims=[
            fdl.Claim(
                "CD-1 errs from the exact gradient, halfway (angle in degrees)",
                lambda m: m["exact/angle_1"],
                at_least=10,
            ),
        ],
    )


def bars_and_stripes() -> np.ndarray:
    """All images of 3x3 pixels made of whole rows, or of whole columns: 14."""
    rows = np.array([*itertools.product([0, 1], repeat=3)], np.uint8)
    bars = np.broadcast_to(rows[:, :, None], (8, 3, 3)).reshape(8, 9)
    stripes = np.broadcast_to(rows[:, None], (8, 3, 3)).reshape(8, 9)
    return np.unique(np.concatenate([bars, stripes]), axis=0).reshape(-1, 3, 3, 1)


def measured(network: fdl.models.RBM, patterns: np.ndarray) -> Evaluate:
    """Evaluation of the log-likelihood and of the bias of CD-k, summed over all states.

    The angle between the expected gradient of CD-k and that of the log-likelihood is
    measured at the given parameters, and the norm of their difference relative to it.
    """
    num_visible, num_hidden = 9, network.num_hidden
    visible, hidden = all_states(num_visible), all_states(num_hidden)
    index = patterns.reshape(-1, 9) @ 2 ** np.arange(9)
    data = np.bincount(index, minlength=len(visible)) / len(patterns)

    def apply(params, inputs, method=None):
        return network.apply({"params": params}, inputs, method=method)

    @jax.jit
    def transition(params: Params):
        """log p(v), and p(h | v), p(v | h) of all pairs of states."""
        log_p = apply(params, visible, "log_prob")
        on, visible_on = (
            apply(params, visible, "encode"),
            apply(params, hidden, "decode"),
        )
        return log_p, on, visible_on.reshape(len(hidden), -1)

    @jax.jit
    def gradient(params: Params, weights):
        """Of the mean free energy under the weights of all visible states."""
        return jax.grad(lambda p: (weights * apply(p, visible)).sum())(params)

    def flat(params, weights):
        leaves = jax.tree.leaves(gradient(params, jnp.asarray(weights, jnp.float32)))
        return np.concatenate([np.ravel(np.float64(x)) for x in leaves])

    def evaluate(variables):
        params = variables["params"]
        log_p, on, visible_on = map(np.float64, transition(params))
        to_hidden, to_visible = chances(on, hidden), chances(visible_on, visible)
        exact = flat(params, data) - flat(params, np.exp(log_p))
        found = {"log_likelihood": float(data @ log_p)}
        distribution = data
        for k in range(1, max(STEPS) + 1):
            distribution = distribution @ to_hidden @ to_visible
            if k in STEPS:
                estimate = flat(params, data) - flat(params, distribution)
                cosine = exact @ estimate / norm(exact) / norm(estimate)
                found[f"angle_{k}"] = float(np.degrees(np.arccos(min(cosine, 1.0))))
                found[f"bias_{k}"] = norm(estimate - exact) / norm(exact)
        return found

    return evaluate


def all_states(size: int) -> np.ndarray:
    """All states of binary units, float32 [2^size, size]; bit i is unit i."""
    numbers = np.arange(2**size)[:, None] >> np.arange(size)
    return (numbers & 1).astype(np.float32)


def chances(on: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Probabilities of states of independent units, float64 [N, S].

    Args:
      on: Probabilities of 1 of each unit, float64 [N, U].
      states: All states, [S, U].
    """
    log_on, log_off = np.log(on), np.log1p(-on)
    return np.exp(log_on @ states.T + log_off @ (1 - states).T)


def norm(vector: np.ndarray) -> float:
    """Euclidean norm."""
    return float(np.sqrt(vector @ vector))
