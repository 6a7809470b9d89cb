"""First state and first batch of an experiment, on which diagnostics are run."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from fdl import config as configs
from fdl.errors import UserError
from fdl.runs.experiment import LoadedExperiment, build, load
from fdl.runs.experiment_files import user_code
from fdl.runs.process import prepare
from fdl.types import Batch, Experiment, State


class FirstBatch(NamedTuple):
    """Experiment with its first state and its first batch.

    Attributes:
      loaded: File and config of the experiment.
      experiment: Experiment that was built.
      state: State of the learner before the first step.
      batch: Batch of the first step.
    """

    loaded: LoadedExperiment
    experiment: Experiment
    state: State
    batch: Batch

    @property
    def num_examples(self) -> int:
        """Number of examples in the batch."""
        return jax.tree.leaves(self.batch)[0].shape[0]


def first_batch(
    experiment: str,
    overrides: Sequence[str] = (),
    *,
    more_overrides: Callable[[ConfigDict], Sequence[str]] = lambda config: (),
) -> FirstBatch:
    """Loads and builds an experiment, and makes its first state and batch.

    Args:
      experiment: Path or name of its file, with ``:ARG`` if it takes an argument.
      overrides: Overrides of the config, ``key=value``.
      more_overrides: Function of the config that returns further overrides.

    Raises:
      UserError: There is no such experiment, or its learner has no objective.
    """
    loaded = load(experiment, overrides)
    configs.override(loaded.config, more_overrides(loaded.config))
    prepare(keep_memory=loaded.config.keep_memory)
    (built,) = build(loaded)
    if built.learner.objective is None:
        raise UserError(
            f"{loaded.name} has no single objective (it takes several gradient steps, "
            "compares learners, or makes its own experience): expected a learner as "
            "fdl.gradient_learner makes it"
        )
    with user_code(loaded.path):
        state = jax.jit(built.learner.init)(jax.random.key(loaded.config.seed))
        batches = built.batches
        batch = jax.jit(batches.take)(batches.data, next(batches.stream(0)))
        # Traced here, so that an error is reported with its line of the file.
        jax.eval_shape(built.learner.step, state, batch)
    return FirstBatch(loaded, built, state, batch)
