"""Setup of a run: its learner, batches, periods and compiled program."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from fdl import config as configs
from fdl.errors import UserError
from fdl.learners import evaluate_each, replicate
from fdl.runs.checkpoint import policy
from fdl.runs.early_stopping import rule_of_config
from fdl.runs.generative_plots import Draw, drawer
from fdl.runs.layer_hook import Measure, layer_measure
from fdl.train.early_stopping import EarlyStoppingRule
from fdl.train.loop import Program, compiled
from fdl.train.mesh import make_mesh
from fdl.trees import select_variables
from fdl.types import Batches, Experiment, Learner, PyTree, Variables


class RunSetup(NamedTuple):
    """Setup of a run, of one seed or several.

    Attributes:
      learner: Learner of all seeds at once.
      batches: Training batches of all seeds.
      evaluate: ``evaluate(variables)``, the metrics of the validation, floats or lists
        over seeds; of the variables that ``learner.variables`` returns.
      test: ``test(variables)``, the same of the test; None if there is none.
      keys: Keys of the learner: one, or one per seed [S].
      num_steps: Number of steps of the run.
      periods: Steps between two logs, evaluations and checkpoints, by config key.
      program: Jitted program of the learner and its batches.
      layers: Function that measures the norms of each layer; None if not logged.
      rule: Early stopping rule; None if there is none.
      samples: ``samples(variables)``, text that the model of the first seed generates;
        None if there is none.
      pictures: ``pictures(variables, title)``, a figure of what the model of the first
        seed makes, to be drawn at each evaluation; None if there is none.
      save_model: True if checkpoints hold the variables of the model beside the state.
    """

    learner: Learner
    batches: Batches
    evaluate: Callable[[Variables], Mapping[str, Any]]
    test: Callable[[Variables], Mapping[str, Any]] | None
    keys: PyTree
    num_steps: int
    periods: Mapping[str, int]
    program: Program
    layers: Measure | None = None
    rule: EarlyStoppingRule | None = None
    samples: Callable[[Variables], str] | None = None
    pictures: Draw | None = None
    save_model: bool = True


def setup(experiments: Sequence[Experiment], config: ConfigDict) -> RunSetup:
    """Sets up one run of an experiment, or of several that differ in their seed only.

    Args:
      experiments: One for each seed, from ``config.seed`` on.
      config: Config of the first.

    Raises:
      UserError: A value of the config is invalid.
    """
    first, num_seeds = experiments[0], len(experiments)
    configs.check_ranges(config)
    policy(config.keep, config.best)  # Checked here, before the first checkpoint.
    learner, batches = first.learner, first.batches
    evaluate: Any = first.evaluate
    test: Any = first.test
    samples, pictures = first.samples, drawer(first)
    keys = jax.random.key(config.seed)
    if num_seeds > 1:
        learner, batches = _of_seeds(experiments)
        evaluate = evaluate_each([evaluate] * num_seeds)
        test = test and evaluate_each([test] * num_seeds)
        samples = samples and _of_first_seed(samples)
        pictures = pictures and _of_first_seed(pictures)
        keys = jnp.stack([jax.random.key(config.seed + i) for i in range(num_seeds)])
    mesh = make_mesh(config.mesh.to_dict())
    num_steps = configs.num_steps(config, batches.steps_per_epoch)
    periods = {
        key: configs.every(config[key], batches.steps_per_epoch, key)
        for key in configs.PERIODS
    }
    # No call is longer, and one is padded to its size.
    longest = min(num_steps, *(n for n in periods.values() if n), config.steps_per_call)
    program = compiled(learner, batches, steps_per_call=longest, mesh=mesh)
    rule = rule_of_config(config, periods["eval_every"], num_steps)
    measure = None
    if periods["layers_every"]:
        objective = first.learner.objective
        measure = layer_measure(learner, objective, batches, program.data, num_seeds)
    return RunSetup(
        learner,
        batches,
        evaluate,
        test,
        keys,
        num_steps,
        periods,
        program,
        measure,
        rule,
        samples,
        pictures,
        config.save_model,
    )


def _of_first_seed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Function of the variables of the first of several seeds."""
    return lambda variables, *rest: function(select_variables(variables, 0), *rest)


def _of_seeds(experiments: Sequence[Experiment]) -> tuple[Learner, Batches]:
    """Learner and batches of all seeds, which differ in their keys and batches only."""
    for field in ("fingerprint", "steps_per_epoch"):
        values = {getattr(one.batches, field) for one in experiments}
        if len(values) > 1:
            raise UserError(
                f"batches.{field}: expected the same for every seed, as all of them "
                "are evaluated on the same data"
            )
    return replicate(
        [experiments[0].learner] * len(experiments),
        [experiment.batches for experiment in experiments],
    )
